import numpy as np
import pytest

from kerasgan3d.training.losses import critic_loss, generator_loss

REAL, FAKE = np.array([2.0, -1.0, 0.5], "float32"), np.array([-3.0, 0.0, 1.0], "float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("float64")))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_critics_loss_is_cross_entropy(smoothing):
    real, fake = sigmoid(REAL), sigmoid(FAKE)
    expected = -np.mean((1 - smoothing) * np.log(real) + smoothing * np.log(1 - real)) - np.mean(np.log(1 - fake))
    assert float(critic_loss(REAL, FAKE, label_smoothing=smoothing)) == pytest.approx(expected, rel=1e-6)


def test_the_generators_loss_does_not_saturate():
    assert float(generator_loss(FAKE)) == pytest.approx(-np.log(sigmoid(FAKE)).mean(), rel=1e-6)


def test_at_chance_both_know_nothing():
    zeros = np.zeros(4, "float32")
    assert float(critic_loss(zeros, zeros)) == pytest.approx(2 * np.log(2), rel=1e-6)
    assert float(generator_loss(zeros)) == pytest.approx(np.log(2), rel=1e-6)


def test_large_logits_stay_finite():
    large = np.array([1e4], "float32")
    assert float(critic_loss(-large, large)) == pytest.approx(2e4)
    assert float(critic_loss(large, -large)) == 0
    assert float(generator_loss(-large)) == pytest.approx(1e4)
