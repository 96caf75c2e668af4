"""The nearest label: images at another voxel size."""

import numpy as np


def resampled(labels, spacing, voxel_size):
    """Return an image at another voxel size: every new voxel takes the label of the voxel in which its centre lies.

    Labels are no numbers to be averaged; structures thinner than a new voxel are lost in part.

    Args:
        labels: An array (z, y, x) or (y, x), or a LazyArray.
        spacing: Edges of its voxels along these axes, µm.
        voxel_size: Edge of the new voxels, µm.

    Returns:
        An array if it was one, else a LazyArray.
    """
    indices = tuple(_nearest(n, voxel_size / edge) for n, edge in zip(labels.shape, spacing, strict=True))
    if isinstance(labels, np.ndarray):
        return labels[np.ix_(*indices)]
    return labels.take(indices)


def resampled_range(start, stop, length, edge, voxel_size):
    """Return the new voxels that lie in a range of old ones: (start, stop), empty where there is none."""
    nearest = _nearest(length, voxel_size / edge)
    return int(np.searchsorted(nearest, start)), int(np.searchsorted(nearest, stop))


def _nearest(length, ratio):
    """The old voxel in which the centre of each new one lies."""
    count = max(1, round(length / ratio))
    return np.minimum(((np.arange(count) + 0.5) * ratio).astype(np.intp), length - 1)
