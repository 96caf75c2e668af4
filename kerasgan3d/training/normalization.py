"""Statistics of batch normalisation that belong to a generator's weights."""

from keras import ops

from kerasgan3d.sampling.field import LatentField
from kerasgan3d.seeds import NORMALIZATION
from kerasgan3d.training.gradient_step import without_gradients

_VOXELS = 48 * 64**3


def renew_statistics(generator, size, equivariance=None):
    """Set the moving means and variances of a generator to those that its weights have now.

    An average of weights has other activations than the generators whose moving statistics were averaged with it; with
    those, its volume fractions are off by several percent and swing as training goes on. (The same is done for averages
    of weights by Izmailov et al., UAI 2018, 3.2.) Layer by layer, for each sees what the ones before it now make.

    Args:
        generator: A Generator with batch normalisation; changed in place.
        size: Edge length in voxels of the volumes that are made: 48 of 64, fewer of larger ones.
        equivariance: The FlipEquivariance of a generator that shall go on to commute.
    """
    if not generator.normalizations:
        return
    n, volumes = generator.latents_for(size), min(64, max(2, round(_VOXELS / size**3)))
    latents = LatentField(NORMALIZATION, generator.latent_channels).window((0, 0, 0), (volumes * n, n, n))
    without_gradients(lambda: _renew(generator, latents.reshape(volumes, n, n, n, generator.latent_channels)))
    if equivariance is not None:
        equivariance.even(generator)


def _renew(generator, latents):
    x = ops.convert_to_tensor(latents)
    for unit in generator.units:
        y = unit.convolve(x)
        if unit.normalization is not None:
            mean, variance = ops.moments(ops.cast(y, "float32"), axes=(0, 1, 2, 3))
            unit.normalization.moving_mean.assign(mean)
            unit.normalization.moving_variance.assign(variance)
        x = unit.finish(x, y)
