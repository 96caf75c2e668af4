"""Images of two or three dimensions with a halo of surrounding voxels, for measures that look in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasgan3d.metrics._check import Checked, check_slice, check_volume
from kerasgan3d.volume import Volume


class Halo(NamedTuple):
    """A window on an image: a block, and up to some number of voxels around it.

    Attributes:
        start, stop: The window's voxels along each axis; below 0 and beyond the end of an axis it goes on at the other
            end.
        own: Slices of the window that are the block.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    own: tuple[slice, ...]


def halo(start: Sequence[int], stop: Sequence[int], shape: Sequence[int], periodic: Sequence[bool], reach: int) -> Halo:
    """Return the window of a block with `reach` voxels around it: fewer only where an axis that does not wrap ends."""
    low = [first - reach if wraps else max(first - reach, 0) for first, wraps in zip(start, periodic, strict=True)]
    high = [
        last + reach if wraps else min(last + reach, size)
        for last, size, wraps in zip(stop, shape, periodic, strict=True)
    ]
    own = tuple(slice(first - edge, last - edge) for first, last, edge in zip(start, stop, low, strict=True))
    return Halo(tuple(low), tuple(high), own)


def with_halo(labels: np.ndarray, periodic: Sequence[bool], reach: int) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Return a whole image with what lies around it along its periodic axes, and the slices of the image in that."""
    start, stop, own = halo((0,) * labels.ndim, labels.shape, labels.shape, periodic, reach)
    for axis, wraps in enumerate(periodic):
        if wraps:
            labels = labels.take(np.arange(start[axis], stop[axis]), axis, mode="wrap")
    return labels, own


def check_image(volume, *, phases=None, periodic=None, voxel_size=None) -> Checked:
    """Return a Volume, or an integer array (z, y, x) or (y, x), as `Checked`."""
    flat = not isinstance(volume, Volume) and np.ndim(volume) == 2
    check = check_slice if flat else check_volume
    return check(volume, phases=phases, periodic=periodic, voxel_size=voxel_size)
