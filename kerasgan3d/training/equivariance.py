"""Generators that commute with flips."""

import numpy as np
from keras import ops

from kerasgan3d.layers import TransposedConv3D

BREACH = 1e-4  # what arithmetic in float32 may do to weights that should be the same, see ``FlipEquivariance.breach``
_FLIPS = np.arange(8)  # along z, y, x or several: bits 4, 2 and 1


class FlipEquivariance:
    """Which weights of a generator must be the same for it to commute with flips along the axes.

    Flipping the latents, and exchanging their channels as it says, then flips the generated volume. Since latents are
    independent and alike, flipped volumes are as likely as the others: nothing leans to one side, exactly, as in every
    Symmetry that training knows.

    Channels come in eights, one for each octant, which flips exchange (the group's regular representation: Cohen &
    Welling, ICML 2016); those that are left, and the phases, stay what they are. The network is an ordinary one, in
    which weights occur up to eight times. Dey et al., ICLR 2021, found that such generators learn from less data.

    Args:
        generator: A Generator; only shapes count.
    """

    def __init__(self, generator):
        self._kernels, self._channels = [], []
        before = _exchanged(generator.latent_channels)
        for unit in generator.units:
            layer, size = unit.convolution, unit.convolution.filters
            after = _exchanged(size) if unit.rectified else np.tile(np.arange(size), (8, 1))
            ends = (after, before) if isinstance(layer, TransposedConv3D) else (before, after)
            self._kernels.append(Orbits(tuple(layer.kernel.shape), (_flipped(layer.kernel.shape[0]), *ends)))
            self._channels.append(Orbits((size,), (after,)))
            before = after

    def tied(self, generator, last=True):
        """The variables of a generator of these shapes that are tied: a list of (variable, Orbits).

        Args:
            generator: A Generator.
            last: Whether the last layer is among them.
        """
        units = generator.units
        found = [(unit.convolution.kernel, orbits) for unit, orbits in zip(units, self._kernels, strict=True)]
        for unit, orbits in zip(units, self._channels, strict=True):
            found += [(variable, orbits) for variable in (unit.normalization.variables if unit.normalization else ())]
        return [pair for pair in found if last or pair[0] is not generator.convolutions[-1].kernel]

    def draw(self, generator):
        """Make weights that were drawn independently commute: each orbit takes its first; in place."""
        for variable, orbits in self.tied(generator):
            variable.assign(orbits.first(ops.convert_to_numpy(variable.value)))

    def even(self, generator):
        """Make weights that nearly commute do so: each orbit takes its mean; in place."""
        for variable, orbits in self.tied(generator):
            variable.assign(orbits.mean(ops.convert_to_tensor(variable.value)))

    def breach(self, generator, last=True):
        """How far a generator is from commuting: the largest difference of weights that should be the same, over the
        largest weight of their array; with or without the last layer."""
        worst = 0.0
        for variable, orbits in self.tied(generator, last):
            values = ops.convert_to_numpy(variable.value)
            difference = np.abs(values - orbits.first(values)).max()
            worst = max(worst, float(difference / max(np.abs(values).max(), 1e-12)))
        return worst


class Orbits:
    """Which entries of an array take one another's places.

    Args:
        shape: Of the array.
        images: For blocks of its axes, in order, where each flip takes each place: int arrays (8, places of the block).
    """

    def __init__(self, shape, images):
        places = np.zeros((len(_FLIPS), 1), int)
        for part in images:
            places = (places[:, :, None] * part.shape[1] + part[:, None, :]).reshape(len(_FLIPS), -1)
        self.shape = tuple(shape)
        self._first, members = np.unique(places.min(axis=0), return_inverse=True)
        self._members = members.astype("int32")
        self._share = (1 / np.bincount(members)).astype("float32")

    def __len__(self):
        return len(self._first)

    def first(self, values):
        """Values of the shape, each replaced by the first of its orbit; NumPy."""
        return values.reshape(-1)[self._first][self._members].reshape(self.shape)

    def mean(self, values):
        """Values of the shape, each replaced by the mean of its orbit; tensors."""
        members = ops.convert_to_tensor(self._members)
        sums = ops.segment_sum(ops.reshape(values, (-1,)), members, num_segments=len(self))
        share = ops.cast(ops.convert_to_tensor(self._share), values.dtype)
        return ops.reshape(ops.take(sums * share, members), self.shape)


def _exchanged(channels):
    """Where each flip takes each channel: (8, channels)."""
    here = np.arange(channels)
    return np.where(here < channels // 8 * 8, here ^ _FLIPS[:, None], here)


def _flipped(taps):
    """Where each flip takes each tap of a kernel with so many per axis: (8, taps ** 3)."""
    places = np.arange(taps**3).reshape(taps, taps, taps)
    return np.stack([np.flip(places, tuple(a for a in range(3) if flip & 4 >> a)).ravel() for flip in _FLIPS])
