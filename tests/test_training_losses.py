import numpy as np
import pytest

from kerasgan3d.training.losses import LOSSES, critic_loss, generator_loss, squared_gradient, unit_gradient

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


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("wasserstein", -2 / 3 - 0.5, 2 / 3),
        ("least_squares", (1 + 4 + 0.25) / 6 + (9 + 0 + 1) / 6, (16 + 1 + 0) / 6),
        ("hinge", (0 + 2 + 0.5) / 3 + (0 + 1 + 2) / 3, 2 / 3),
    ],
)
def test_the_other_losses(loss, critic, generator):
    assert float(critic_loss(REAL, FAKE, loss)) == pytest.approx(critic, rel=1e-6)
    assert float(generator_loss(FAKE, loss)) == pytest.approx(generator, rel=1e-6)


def test_smoothing_moves_the_label_of_least_squares():
    assert float(critic_loss(REAL * 0 + 0.9, FAKE * 0, "least_squares", label_smoothing=0.1)) == pytest.approx(0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_critic_that_knows_pays_less(loss):
    high, low = np.full(4, 0.8, "float32"), np.full(4, -0.1, "float32")
    assert float(critic_loss(high, low, loss)) < float(critic_loss(low, high, loss))
    assert float(generator_loss(high, loss)) < float(generator_loss(low, loss))


def test_at_chance_both_know_nothing():
    zeros = np.zeros(4, "float32")
    assert float(critic_loss(zeros, zeros)) == pytest.approx(2 * np.log(2), rel=1e-6)
    assert float(generator_loss(zeros)) == pytest.approx(np.log(2), rel=1e-6)


def test_large_logits_stay_finite():
    large = np.array([1e4], "float32")
    assert float(critic_loss(-large, large)) == pytest.approx(2e4)
    assert float(critic_loss(large, -large)) == 0
    assert float(generator_loss(-large)) == pytest.approx(1e4)


def test_penalties_of_gradients():
    gradients = np.zeros((2, 2, 2, 1), "float32")
    gradients[0, 0] = [[3.0], [4.0]]
    gradients[1, 1, 1] = 1.0
    assert float(squared_gradient(gradients)) == pytest.approx((25 + 1) / 2)
    assert float(unit_gradient(gradients)) == pytest.approx((4**2 + 0) / 2, rel=1e-5)
    assert float(unit_gradient(np.zeros((1, 3), "float32"))) == pytest.approx(1, rel=1e-5)
