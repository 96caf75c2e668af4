"""The convolution whose gradients are our own has those of the backend's, of first and second order."""

import keras
import pytest

from kerasgan3d.layers import _gradient

tf = pytest.importorskip("tensorflow")

CASES = {
    "volumes": ((2, 5, 6, 7, 3), (3, 3, 3, 3, 4), 1, "valid"),
    "volumes, padded": ((1, 5, 4, 5, 3), (3, 3, 3, 3, 4), 1, "same"),
    "volumes, even kernel, padded": ((1, 5, 4, 5, 3), (4, 4, 4, 3, 2), 1, "same"),
    "volumes, eighths": ((2, 4, 4, 4, 2), (2, 2, 2, 2, 16), 1, "valid"),
    "volumes, strided": ((2, 8, 6, 4, 3), (4, 4, 4, 3, 5), 2, "same"),
    "slices": ((2, 7, 8, 3), (3, 3, 3, 4), 1, "valid"),
    "slices, strided": ((2, 8, 6, 3), (4, 4, 3, 5), 2, "same"),
    "slices, strided, odd": ((2, 7, 9, 3), (4, 4, 3, 5), 2, "same"),
    "slices, strided without padding": ((2, 8, 8, 3), (4, 4, 3, 5), 2, "valid"),
}

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the gradients are for TensorFlow")


def derivatives(convolve, shape, kernel_shape, strides, padding):
    """What a convolution gives, its gradients, and those of a function of its gradients."""
    x = tf.random.stateless_normal(shape, (0, 1))
    kernel = tf.random.stateless_normal(kernel_shape, (0, 2))
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = convolve(x, kernel, strides, padding)
            total = tf.reduce_sum(tf.nn.softplus(y))
        first = inner.gradient(total, [x, kernel])
        penalty = tf.reduce_sum(first[0] ** 2) + tf.reduce_sum(tf.sin(first[1]))
    return [y, *first, *outer.gradient(penalty, [x, kernel])]


def theirs(x, kernel, strides, padding):
    return keras.ops.conv(x, kernel, strides=strides, padding=padding)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_gradients_of_both_orders_are_those_of_the_backend(case, compiled, monkeypatch):
    monkeypatch.setattr(_gradient, "_is_slow", lambda: True)
    monkeypatch.setattr(_gradient, "_LARGE", 0)
    wrap = tf.function if compiled else lambda function: function
    found = wrap(lambda: derivatives(_gradient.convolve, *case))()
    for mine, other in zip(found, derivatives(theirs, *case), strict=True):
        assert mine.shape == other.shape
        scale = float(tf.reduce_max(tf.abs(other)))
        assert float(tf.reduce_max(tf.abs(mine - other))) <= 2e-6 * scale


def test_half_precision_keeps_its_type(monkeypatch):
    monkeypatch.setattr(_gradient, "_is_slow", lambda: True)
    monkeypatch.setattr(_gradient, "_LARGE", 0)
    x, kernel = tf.ones((1, 4, 4, 4, 2), tf.bfloat16), tf.ones((3, 3, 3, 2, 2), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = _gradient.convolve(x, kernel)
    assert [part.dtype for part in (y, *tape.gradient(y, [x, kernel]))] == [tf.bfloat16] * 3


def test_other_backends_and_devices_use_their_own(monkeypatch):
    monkeypatch.setattr(_gradient, "_is_slow", lambda: False)
    monkeypatch.setattr(_gradient, "_convolve", None)
    x, kernel = tf.ones((1, 4, 4, 4, 2)), tf.ones((3, 3, 3, 2, 2))
    assert _gradient.convolve(x, kernel).shape == (1, 2, 2, 2, 2)


def test_small_convolutions_use_the_backends_gradients(monkeypatch):
    monkeypatch.setattr(_gradient, "_is_slow", lambda: True)
    monkeypatch.setattr(_gradient, "_convolve", lambda x, kernel: "ours")
    kernel = tf.ones((3, 3, 3, 2, 2))
    assert _gradient.convolve(tf.ones((1, 4, 4, 4, 2)), kernel).shape == (1, 2, 2, 2, 2)
    assert _gradient.convolve(tf.ones((1, 44, 44, 44, 2)), kernel) == "ours"
