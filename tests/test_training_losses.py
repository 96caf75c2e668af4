import keras
import numpy as np
import pytest
from keras import ops

from kerasgan3d.training.losses import LOSSES, PENALTIES, SMOOTHED

REAL, FAKE = np.array([2.0, -1.0, 0.5], "float32"), np.array([-3.0, 0.0, 1.0], "float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("float64")))


CRITIC = {
    "relativistic": -np.log(sigmoid(REAL - FAKE)).mean(),
    "logistic": -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean(),
    "wasserstein": -2 / 3 - 0.5,
    "least-squares": (1 + 4 + 0.25) / 6 + (9 + 0 + 1) / 6,
    "hinge": (0 + 2 + 0.5) / 3 + (0 + 1 + 2) / 3,
}
GENERATOR = {
    "relativistic": -np.log(sigmoid(FAKE - REAL)).mean(),
    "logistic": -np.log(sigmoid(FAKE)).mean(),
    "wasserstein": 2 / 3,
    "least-squares": (16 + 1 + 0) / 6,
    "hinge": 2 / 3,
}


def test_every_loss_is_looked_at():
    assert set(LOSSES) == set(CRITIC) == set(GENERATOR)


@pytest.mark.parametrize("name", CRITIC)
def test_both_players_minimise_what_the_papers_say(name):
    loss = LOSSES[name]()
    assert float(loss.critic(REAL, FAKE)) == pytest.approx(CRITIC[name], rel=1e-6)
    assert float(loss.generator(REAL, FAKE)) == pytest.approx(GENERATOR[name], rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothed_labels_of_the_logistic_loss(smoothing):
    real, fake = sigmoid(REAL), sigmoid(FAKE)
    expected = -np.mean((1 - smoothing) * np.log(real) + smoothing * np.log(1 - real)) - np.mean(np.log(1 - fake))
    assert float(LOSSES["logistic"](smoothing).critic(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)


def test_smoothing_moves_the_label_of_least_squares():
    loss = LOSSES["least-squares"](0.1)
    assert float(loss.critic(REAL * 0 + 0.9, FAKE * 0)) == pytest.approx(0)


@pytest.mark.parametrize("name", CRITIC)
def test_the_losses_that_can_be_smoothed_are_told(name):
    if name in SMOOTHED:
        assert LOSSES[name](smoothing=0.2).smoothing == 0.2
    else:
        with pytest.raises(TypeError):
            LOSSES[name](smoothing=0.2)


@pytest.mark.parametrize("name", CRITIC)
def test_a_critic_that_knows_pays_less(name):
    loss, high, low = LOSSES[name](), np.full(4, 0.8, "float32"), np.full(4, -0.1, "float32")
    assert float(loss.critic(high, low)) < float(loss.critic(low, high))
    assert float(loss.generator(low, high)) < float(loss.generator(high, low))


@pytest.mark.parametrize(("name", "critic", "generator"), [("relativistic", 1, 1), ("logistic", 2, 1)])
def test_at_chance_both_know_nothing(name, critic, generator):
    loss, zeros = LOSSES[name](), np.zeros(4, "float32")
    assert float(loss.critic(zeros, zeros)) == pytest.approx(critic * np.log(2), rel=1e-6)
    assert float(loss.generator(zeros, zeros)) == pytest.approx(generator * np.log(2), rel=1e-6)


@pytest.mark.parametrize("name", CRITIC)
def test_large_logits_stay_finite(name):
    loss = LOSSES[name]()
    for real, fake in ((1e4, -1e4), (-1e4, 1e4)):
        logits = np.array([real], "float32"), np.array([fake], "float32")
        values = [loss.critic(*logits), loss.generator(*logits), *([] if (f := loss.factor(*logits)) is None else [f])]
        assert np.isfinite([float(np.squeeze(ops.convert_to_numpy(value))) for value in values]).all()


def slope(function, fake):
    """The gradient of a scalar by logits of generated data."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(fake)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = function(x)
        return tape.gradient(total, x).numpy()
    x = ops.convert_to_tensor(fake).requires_grad_(True)
    function(x).backward()
    return x.grad.cpu().numpy()


@pytest.mark.parametrize("fake", [FAKE, np.array([-30.0, 0.0, 30.0], "float32")], ids=["near", "far"])
@pytest.mark.parametrize("name", CRITIC)
def test_the_factor_is_the_ratio_of_the_slopes(name, fake):
    loss = LOSSES[name]()
    critics, generators = (slope(lambda x, f=f: f(REAL, x), fake) for f in (loss.critic, loss.generator))
    factor = loss.factor(REAL, fake)
    if factor is None:  # the critic has no slope somewhere, where the generator has one
        zero = np.float32({"least-squares": 0.0, "hinge": -2.0}[name])
        at = np.full(3, zero)
        assert not slope(lambda x: loss.critic(REAL, x), at).any()
        assert slope(lambda x: loss.generator(REAL, x), at).all()
    else:
        np.testing.assert_allclose(critics * ops.convert_to_numpy(factor), generators, rtol=1e-4)


def test_penalties():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 2, 5, 3)).astype("float32")
    real, fake = (part.reshape(2, 5, 3) for part in (real, fake))
    shares = np.array([0.25, 0.75], "float32")

    def squares(x):
        return (x.astype("float64") ** 2).sum((1, 2))

    between = shares[:, None, None] * real + (1 - shares[:, None, None]) * fake
    expected = {
        "r1": squares(2 * real).mean() / 2,
        "r1+r2": (squares(2 * real).mean() + squares(2 * fake).mean()) / 2,
        "gradient": ((np.sqrt(squares(2 * between)) - 1) ** 2).mean(),
    }
    assert set(expected) == set(PENALTIES)
    for name, value in expected.items():
        # The slope of the sum of squares is twice the data.
        tensors = [ops.convert_to_tensor(x) for x in (real, fake, shares)]
        assert float(PENALTIES[name](*tensors, lambda x: 2.0 * x)) == pytest.approx(value, rel=1e-5), name


def test_a_critic_without_slope_has_a_finite_penalty():
    zeros = ops.zeros((2, 3))
    found = PENALTIES["gradient"](zeros, zeros, ops.zeros((2,)), lambda x: 0.0 * x)
    assert float(found) == pytest.approx(1, rel=1e-5)
