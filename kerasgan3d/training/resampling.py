"""The nearest label: images at another voxel size."""

import math

import numpy as np


def resampled(labels, spacing, voxel_size):
    """Return an image at another voxel size: every new voxel takes the label of the voxel in which its centre lies.

    Labels are no numbers to be averaged; structures thinner than a new voxel are lost in part.

    Args:
        labels: An array (z, y, x) or (y, x), or what is indexed like one.
        spacing: Edges of its voxels along these axes, µm.
        voxel_size: Edge of the new voxels, µm.

    Returns:
        An array if it was one, else what is indexed like one.
    """
    indices = tuple(_nearest(n, voxel_size / edge) for n, edge in zip(labels.shape, spacing, strict=True))
    if isinstance(labels, np.ndarray):
        return labels[np.ix_(*indices)]
    return _Resampled(labels, indices)


def resampled_range(start, stop, length, edge, voxel_size):
    """Return the new voxels that lie in a range of old ones: (start, stop), empty where there is none."""
    nearest = _nearest(length, voxel_size / edge)
    return int(np.searchsorted(nearest, start)), int(np.searchsorted(nearest, stop))


class _Resampled:
    """A resampled image of which only the crops that are asked for are made."""

    def __init__(self, labels, indices):
        self._labels, self._indices = labels, indices
        self.shape, self.dtype = tuple(len(part) for part in indices), labels.dtype
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __getitem__(self, window):
        wanted = [part[place] for part, place in zip(self._indices, window, strict=True)]
        first = [int(np.min(part, initial=n)) for part, n in zip(wanted, self._labels.shape, strict=True)]
        block = self._labels[
            tuple(slice(a, int(np.max(w, initial=-1)) + 1) for a, w in zip(first, wanted, strict=True))
        ]
        block = block[np.ix_(*(np.atleast_1d(w) - a for a, w in zip(first, wanted, strict=True)))]
        return block[tuple(0 if np.ndim(w) == 0 else slice(None) for w in wanted)]


def _nearest(length, ratio):
    """The old voxel in which the centre of each new one lies."""
    count = max(1, round(length / ratio))
    return np.minimum(((np.arange(count) + 0.5) * ratio).astype(np.intp), length - 1)
