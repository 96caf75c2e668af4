import numpy as np
import pytest
from keras import ops

from kerasgan3d.training.normalization import renew_statistics


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_statistics_become_those_of_the_weights(make_generator, upsampling):
    generator = make_generator(upsampling)
    rng = np.random.default_rng(0)
    weights = [w.numpy() for w in generator.trainable_weights]
    for normalization in generator.normalizations:
        normalization.moving_mean.assign(rng.normal(size=normalization.moving_mean.shape).astype("float32"))
        normalization.moving_variance.assign(rng.uniform(1, 9, normalization.moving_mean.shape).astype("float32"))
    n = generator.latents_for(16)
    latents = rng.normal(size=(64, n, n, n, generator.latent_channels)).astype("float32")

    def difference():
        """Of what the generator makes with its own statistics and with those of a batch."""
        return float(ops.mean(ops.abs(generator(latents) - generator(latents, training=True))))

    before = difference()
    for normalization in generator.normalizations:  # what the pass in training mode moved
        normalization.moving_mean.assign(rng.normal(size=normalization.moving_mean.shape).astype("float32"))
    renew_statistics(generator, 16)
    assert difference() < 0.1 * before
    for a, b in zip(generator.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_they_are_the_same_every_time(make_generator):
    generator = make_generator("resize")
    renew_statistics(generator, 16)
    first = [w.numpy() for w in generator.weights]
    renew_statistics(generator, 16)
    for a, b in zip(generator.weights, first, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_a_generator_without_batch_normalisation_is_left_alone(make_generator):
    folded = make_generator("resize").folded()
    before = folded.get_weights()
    renew_statistics(folded, 16)
    for a, b in zip(folded.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
