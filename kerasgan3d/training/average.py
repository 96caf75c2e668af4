"""Moving average of a generator's weights: the generator that a run keeps."""

from typing import Any

from keras import ops

from kerasgan3d.backend import backend
from kerasgan3d.models import Generator
from kerasgan3d.seeds import NORMALIZATION

_VOXELS = 6 * 128**3


class MovingAverage:
    """An exponential moving average of a generator's weights.

    Args:
        generator: The Generator that learns.
        decay: Decay per step.
        ramp: Whether the average follows faster in the first steps, which suits random initial weights; those of a
            pretrained generator are good from the start.

    Attributes:
        generator: The average: a Generator with the same settings.
    """

    def __init__(self, generator: Generator, decay: float = 0.999, ramp: bool = True):
        self.decay, self.ramp, self._source = float(decay), bool(ramp), generator
        self.generator = generator.with_padding(generator.padding)

    def update(self, step: Any) -> None:
        """Move the average towards the generator after ``step`` steps (a scalar tensor)."""
        decay = self.decay
        if self.ramp:
            step = ops.cast(step, "float32")
            decay = ops.minimum(decay, (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.generator.variables, self._source.variables, strict=True):
            if mean.dtype == value.dtype and "float" in str(mean.dtype):
                mean.assign(decay * mean.value + (1.0 - decay) * value.value)

    def renew_statistics(self, size: int) -> None:
        """Recompute the moving means and variances of batch normalisation for the averaged weights.

        Averaged weights produce other activations than the weights whose moving statistics were averaged with them;
        with those statistics, volume fractions are off by several percent and fluctuate during training (Izmailov et
        al., UAI 2018, 3.2, also recompute them). Layers are processed in order, because each receives the new output of
        the layers before it. Volumes are periodic, and their conditions are those of the data.

        Args:
            size: Edge length in voxels of the volumes that are used.
        """
        generator = self.generator
        if not generator.normalizations:
            return
        n, volumes = size // generator.stride, min(64, max(2, round(_VOXELS / size**3)))
        # Consecutive rows of cells, along which the random field varies as it does in large volumes.
        field = generator.field(NORMALIZATION)
        latents = field.window((0, 0, 0), (volumes * n, n, n)).reshape(volumes, n, n, n, generator.input_channels)
        backend().without_gradients(lambda: _renew(generator, latents))


def _renew(generator, latents):
    x = ops.convert_to_tensor(latents)
    for unit in generator.units:
        y = unit.convolve(x)
        if unit.normalization is not None:
            mean, variance = ops.moments(ops.cast(y, "float32"), axes=(0, 1, 2, 3))
            unit.normalization.moving_mean.assign(mean)
            unit.normalization.moving_variance.assign(variance)
        x = unit.finish(x, y)
