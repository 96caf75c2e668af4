import keras
import numpy as np
import pytest

from kerasgan3d.models import SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.models.spectral import SpectralNorm


@pytest.fixture(params=["slices", "volumes"])
def critic(request):
    critic = SliceDiscriminator(2, (4, 6)) if request.param == "slices" else VolumeDiscriminator(2, (4, 6))
    rng = np.random.default_rng(0)
    for variable in critic.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return critic


def largest(kernel):
    return np.linalg.svd(np.reshape(kernel, (-1, kernel.shape[-1])), compute_uv=False)[0]


def test_the_singular_value_is_found(critic):
    norm = SpectralNorm(critic, seed=1)
    for _ in range(100):
        norm.iterate()
    assert len(norm.kernels) == 3
    for kernel, vector in zip(norm.kernels, norm.vectors, strict=True):
        assert float(norm.singular_value(kernel, vector)) == pytest.approx(largest(kernel.numpy()), rel=1e-3)


def test_within_its_scope_kernels_are_divided_by_it(critic):
    norm = SpectralNorm(critic)
    stored = [kernel.numpy().copy() for kernel in norm.kernels]
    x = np.random.default_rng(1).random((2, *(16,) * (len(critic.head.kernel.shape) - 2), 2)).astype("float32")
    values = [float(norm.singular_value(k, v)) for k, v in zip(norm.kernels, norm.vectors, strict=True)]
    with norm.scope():
        normalised = np.array(critic(x, training=True))
    for kernel, before in zip(norm.kernels, stored, strict=True):
        np.testing.assert_array_equal(kernel.numpy(), before)  # the stored kernel is left as it was
    for kernel, value in zip(norm.kernels, values, strict=True):
        kernel.assign(kernel / value)
    np.testing.assert_allclose(np.array(critic(x)), normalised, rtol=1e-4, atol=1e-6)


def test_gradients_know_that_the_size_of_a_kernel_does_not_matter(critic):
    import tensorflow as tf

    norm = SpectralNorm(critic)
    for _ in range(100):
        norm.iterate()
    x = keras.ops.ones((1, *(16,) * (len(critic.head.kernel.shape) - 2), 2))
    with tf.GradientTape() as tape, norm.scope():
        total = tf.reduce_sum(critic(x))
    for kernel, gradient in zip(norm.kernels, tape.gradient(total, norm.kernels), strict=True):
        along = float(tf.reduce_sum(gradient * kernel.value))
        assert abs(along) < 1e-3 * float(tf.norm(gradient) * tf.norm(kernel.value))


def test_vectors_depend_on_the_seed(critic):
    first, again, other = (SpectralNorm(critic, seed).vectors[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
