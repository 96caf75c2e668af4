"""Statistics of batch normalisation that belong to a generator's weights."""

from keras import ops

from kerasgan3d.sampling.field import LatentField

# A latent field that neither training nor samples look at.
_FIELD = 2**41
_VOLUMES = 48


def renew_statistics(generator, size, volumes=_VOLUMES):
    """Set the moving means and variances of a generator to those that its weights have now.

    An average of weights has other activations than the generators whose moving statistics were averaged with it; with
    those, its volume fractions are off by several percent and swing as training goes on. (The same is done for averages
    of weights by Izmailov et al., UAI 2018, 3.2.) Layer by layer, for each sees what the ones before it now make.

    Args:
        generator: A Generator with batch normalisation; changed in place.
        size: Edge length in voxels of the volumes that are made.
        volumes: How many.
    """
    if not generator.normalizations:
        return
    n = generator.latents_for(size)
    latents = LatentField(_FIELD, generator.latent_channels).window((0, 0, 0), (volumes * n, n, n))
    x = ops.convert_to_tensor(latents.reshape(volumes, n, n, n, generator.latent_channels))
    for convolution, normalization in zip(generator.convolutions, generator.normalizations, strict=False):
        x = convolution(x)
        mean, variance = ops.moments(ops.cast(x, "float32"), axes=(0, 1, 2, 3))
        normalization.moving_mean.assign(ops.stop_gradient(mean))
        normalization.moving_variance.assign(ops.stop_gradient(variance))
        x = ops.relu(normalization(x, training=False))
