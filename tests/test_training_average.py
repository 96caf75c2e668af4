"""The moving average of a generator, and the statistics of its batch normalisation."""

import numpy as np
import pytest
from keras import ops

from kerasgan3d.training.average import MovingAverage


def shaken(generator, seed=0):
    """Give batch normalisation other statistics than its weights have."""
    rng = np.random.default_rng(seed)
    for norm in (*generator.normalizations, *generator.residual_normalizations):
        norm.moving_mean.assign(rng.normal(size=norm.moving_mean.shape).astype("float32"))
        norm.moving_variance.assign(rng.uniform(1, 9, norm.moving_mean.shape).astype("float32"))


def moved(generator, factor=2.0):
    for variable in generator.variables:
        if "float" in str(variable.dtype):
            variable.assign(variable.numpy() * factor + 1)


@pytest.mark.parametrize(
    ("decay", "ramp", "step", "expected"),
    [(0.9, True, 1, 2 / 11), (0.9, True, 1000, 0.9), (0.9, False, 1, 0.9), (0.0, True, 5, 0.0), (0.1, True, 9, 0.1)],
)
def test_it_follows(make_generator, decay, ramp, step, expected):
    generator = make_generator(padding="circular")
    average = MovingAverage(generator, decay, ramp)
    before = [v.numpy() for v in average.generator.variables]
    for a, b in zip(before, generator.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())  # it begins as the generator
    moved(generator)
    average.update(ops.convert_to_tensor(step))
    for old, mean, value in zip(before, average.generator.variables, generator.variables, strict=True):
        if "float" in str(value.dtype):
            wanted = expected * old + (1 - expected) * value.numpy()
            np.testing.assert_allclose(mean.numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_its_settings_are_those_of_the_generator(make_generator):
    generator = make_generator(padding="circular", depths=(1, 0), voxel_size=0.5)
    average = MovingAverage(generator).generator
    assert average is not generator
    assert (average.padding, average.depths, average.voxel_size) == ("circular", (1, 0), 0.5)


@pytest.mark.parametrize(
    "options",
    [{}, {"depths": (1, 1)}, {"upsampling": "transposed"}],
    ids=["resize", "depths", "transposed"],
)
def test_statistics_become_those_of_the_weights(make_generator, options):
    generator = make_generator(padding="circular", **options)
    average = MovingAverage(generator)
    theirs = average.generator
    shaken(theirs)
    weights = [w.numpy() for w in theirs.trainable_weights]
    latents = np.random.default_rng(0).normal(size=(64, 4, 4, 4, generator.latent_channels)).astype("float32")
    batch = np.array(theirs(latents, training=True))
    shaken(theirs)

    def difference():
        """Of what the generator makes with its own statistics and with those of a batch."""
        return float(np.abs(np.array(theirs(latents)) - batch).mean())

    before = difference()
    average.renew_statistics(16)
    assert difference() < 0.1 * before
    for a, b in zip(theirs.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_they_are_the_same_every_time(make_generator):
    average = MovingAverage(make_generator(padding="circular"))
    average.renew_statistics(16)
    first = [w.numpy() for w in average.generator.weights]
    shaken(average.generator, 1)
    average.renew_statistics(16)
    for a, b in zip(average.generator.weights, first, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_a_generator_without_batch_normalisation_is_left_alone(make_generator):
    average = MovingAverage(make_generator(padding="circular").folded())
    before = average.generator.get_weights()
    average.renew_statistics(16)
    for a, b in zip(average.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
