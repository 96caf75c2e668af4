"""Resampling of labels to another voxel size, by nearest label."""

import math

import numpy as np

from kerasgan3d.checks import check_voxel_size


def resampled(labels, spacing, voxel_size):
    """Resample an image: every new voxel takes the label of the voxel that contains its centre.

    Labels cannot be averaged; structures thinner than a new voxel are partly lost.

    Args:
        labels: An array (z, y, x) or (y, x), or a LazyArray.
        spacing: Edges of its voxels along these axes, µm.
        voxel_size: Edge of the new voxels, µm.

    Returns:
        An array for an array, a LazyArray for a LazyArray.
    """
    indices = tuple(_nearest(n, voxel_size / edge) for n, edge in zip(labels.shape, spacing, strict=True))
    if isinstance(labels, np.ndarray):
        return labels[np.ix_(*indices)]
    return labels.take(indices)


def resampled_range(start, stop, length, edge, voxel_size):
    """Return the range of new voxels within a range of old ones: (start, stop), possibly empty."""
    nearest = _nearest(length, voxel_size / edge)
    return int(np.searchsorted(nearest, start)), int(np.searchsorted(nearest, stop))


def _nearest(length, ratio):
    """Return the old voxel that contains the centre of each new one."""
    count = max(1, round(length / ratio))
    return np.minimum(((np.arange(count) + 0.5) * ratio).astype(np.intp), length - 1)


def resampled_volume(labels, spacing, voxel_size, periodic):
    """Resample a volume: return its labels, the voxel size, and the axes that stay periodic.

    Raises:
        ValueError: If the new size is not a positive number, or the old one is unknown.
    """
    size = check_voxel_size(voxel_size)
    if size is None or spacing is None or None in spacing:
        raise ValueError(
            f"resampling needs the voxel size before and after, in µm. Received: {spacing} and "
            f"{voxel_size!r}. Pass `voxel_size` where the file does not state it."
        )
    found = resampled(labels, spacing, size)
    lengths = zip(found.shape, labels.shape, spacing, strict=True)
    filled = [math.isclose(n * size, length * edge, rel_tol=1e-9) for n, length, edge in lengths]
    return found, size, tuple(wraps and fits for wraps, fits in zip(periodic, filled, strict=True))
