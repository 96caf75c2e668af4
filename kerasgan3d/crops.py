"""Random crops: windows at random places in images, outside excluded regions.

Every free place of a window is equally likely, and no draw is rejected. The exclusion mask is read once, slab by slab,
and only the number of free places along each line of the last axis is kept. A place is drawn by its number among the
free ones: these sums give the line that holds it, and the mask of that line is read again to find the place. Memory is
therefore that of a slab and of one number per line, however large the image is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasgan3d.checks import check_integer

_SLAB = 1 << 26  # voxels of the exclusion mask that are read at once


class NoRoomError(ValueError):
    """Error raised where every possible crop touches an excluded region."""


class Places:
    """The free places of a window in an image.

    Args:
        shape: Shape of the image.
        window: Shape of the window.
        excluded: Mask of voxels that no window may touch: bool, of the image's shape, an array or an array-like that is
            indexed like one; None excludes nothing.
        spacing: Windows begin at multiples of this number of voxels.

    Attributes:
        count: Number of free places.
    """

    def __init__(self, shape: Sequence[int], window: Sequence[int], excluded: Any = None, spacing: int = 1):
        self._window, self._excluded, self._spacing = tuple(window), excluded, spacing
        self._grid = tuple(max(0, (n - w) // spacing + 1) for n, w in zip(shape, window, strict=True))
        self.count, self._sums = math.prod(self._grid), None
        if excluded is not None and self.count:
            sums = np.cumsum(self._free_by_line())
            # Excluded voxels that no window can touch do not matter.
            if sums[-1] < self.count:
                self.count, self._sums = int(sums[-1]), sums

    def draw(self, rng: np.random.Generator, order: Sequence[int] | None = None) -> tuple[slice, ...]:
        """Return the window at a random place.

        Args:
            rng: Random number generator.
            order: Order in which the axes are drawn where nothing is excluded.
        """
        if self._sums is not None:
            corner = self.corners([int(rng.integers(self.count))])[0].tolist()
        else:
            axes = range(len(self._grid)) if order is None else order
            drawn = {axis: int(rng.integers(self._grid[axis])) * self._spacing for axis in axes}
            corner = [drawn[axis] for axis in range(len(self._grid))]
        return tuple(slice(c, c + w) for c, w in zip(corner, self._window, strict=True))

    def corners(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the first corners of places, given by number from 0 to ``count`` - 1: int (numbers, axes)."""
        if self._sums is None:
            return np.stack(np.unravel_index(numbers, self._grid), axis=1) * self._spacing
        numbers = np.asarray(numbers)
        lines = np.searchsorted(self._sums, numbers, side="right")
        found = np.empty((len(numbers), len(self._grid)), np.intp)
        for line in np.unique(lines):
            first = np.array(np.unravel_index(line, self._grid[:-1]), np.intp) * self._spacing
            slab = tuple(slice(c, c + w) for c, w in zip(first, self._window, strict=False))
            touched = np.asarray(self._excluded[(*slab, slice(None))]).any(axis=tuple(range(len(first))))
            free = np.flatnonzero(~windows_touching(touched, self._window[-1:])[:: self._spacing]) * self._spacing
            mine = lines == line
            found[mine, :-1] = first
            found[mine, -1] = free[numbers[mine] - (self._sums[line] - len(free))]
        return found

    def _free_by_line(self) -> np.ndarray:
        """Count the free places along each line of the last axis."""
        rest = (slice(None),) * (len(self._grid) - 1)
        thick, plane = self._window[0], math.prod(self._excluded.shape[1:])
        step = max(1, (_SLAB // plane - thick) // self._spacing)
        counts = []
        for first in range(0, self._grid[0], step):
            last = min(first + step, self._grid[0]) - 1
            slab = self._excluded[(slice(first * self._spacing, last * self._spacing + thick), *rest)]
            touching = windows_touching(slab, self._window)[(slice(None, None, self._spacing),) * len(self._grid)]
            counts.append(touching.shape[-1] - np.count_nonzero(touching, axis=-1).ravel())
        return np.concatenate(counts)


class Crops:
    """Random crops of one shape from one or more images, each image weighted by its number of free places.

    Args:
        images: Arrays with as many axes as the window, or objects that are indexed like arrays.
        window: Shape of a crop.
        excluded: For each image the mask of voxels that no crop may touch, see `Places`.
        spacing: Crops begin at multiples of this number of voxels.

    Raises:
        ValueError: If an image is smaller than a crop.
        NoRoomError: If no image has a free place.
    """

    def __init__(self, images: Sequence, window: Sequence[int], excluded: Sequence, spacing: int = 1):
        self.images = images
        for image in images:
            check_fits(image.shape, window)
        pairs = zip(images, excluded, strict=True)
        self._places = [Places(image.shape, window, beside, spacing) for image, beside in pairs]
        counts = np.array([places.count for places in self._places], float)
        if not counts.any():
            raise NoRoomError(
                f"the data must hold crops beside what is excluded. Received: an exclusion that every crop of "
                f"{' x '.join(map(str, window))} voxels touches. Exclude less, or pass a smaller crop."
            )
        self._shares = counts / counts.sum()

    def draw(
        self, rng: np.random.Generator, order: Sequence[int] | None = None, *, always: bool = False
    ) -> tuple[int, np.ndarray]:
        """Return the number of an image, and a crop of it.

        Args:
            rng, order: As for `Places.draw`.
            always: Whether a random number is drawn for the image even where there is only one.
        """
        k = int(rng.choice(len(self._places), p=self._shares)) if always or len(self._places) > 1 else 0
        return k, self.images[k][self._places[k].draw(rng, order)]


def check_fits(shape: Sequence[int], window: Sequence[int]) -> None:
    """Raise a ValueError if an image is smaller than a crop."""
    if any(n < w for n, w in zip(shape, window, strict=True)):
        raise ValueError(
            f"the data must be at least as large as a crop of {max(window)} voxels per side. "
            f"Received: {' x '.join(map(str, shape))}. Pass a smaller crop."
        )


def random_windows(
    shape: Sequence[int], size: int, count: int, seed: int | Sequence[int] = 0, *, excluded: Any = None
) -> np.ndarray:
    """Draw the first corners of sub-volumes of an image, uniformly and without repetition.

    Args:
        shape: Shape of the image, (z, y, x) or (y, x).
        size: Edge length of the sub-volumes in voxels.
        count: Number of sub-volumes; fewer where the image has fewer places.
        seed: Non-negative int, or a sequence of them.
        excluded: Mask of voxels that no sub-volume may hold: bool, of that shape, an array or an object that is indexed
            like one; None excludes nothing.

    Returns:
        int array (count, axes): the first corner of each sub-volume.

    Raises:
        ValueError: If no sub-volume fits.
    """
    size, count = check_integer(size, "size", 1, None), check_integer(count, "count", 1, None)
    if size > min(shape):
        raise ValueError(
            f"`size` must be at most the smallest dimension of the image. Received: {size} voxels, and an image of "
            f"{' x '.join(map(str, shape))}: pass a smaller `size`."
        )
    places = Places(shape, (size,) * len(shape), excluded)
    if not places.count:
        raise ValueError(
            f"There must be room for a sub-volume outside what is excluded. Received: sub-volumes of {size} "
            f"voxels per side in an image of {' x '.join(map(str, shape))}: exclude less, or pass a smaller `size`."
        )
    rng = np.random.default_rng(seed)
    return places.corners(rng.choice(places.count, min(count, places.count), replace=False))


def windows_touching(mask: Any, window: Sequence[int]) -> np.ndarray:
    """Find the windows of an image that hold a voxel of a mask.

    Args:
        mask: bool array (z, y, x) or (y, x).
        window: Shape of the windows, no larger than the image along any axis.

    Returns:
        bool array, indexed by the first corner of each window.
    """
    held = np.asarray(mask, bool)
    for axis, size in enumerate(window):
        lines, reach = np.moveaxis(held, axis, 0), 1
        while reach < size:
            # Windows of length `reach` determine those of up to twice that length.
            step = min(reach, size - reach)
            lines, reach = lines[:-step] | lines[step:], reach + step
        held = np.moveaxis(lines, 0, axis)
    return held


def middle_sections(samples: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Return the middle slices of each volume, normal to z, y and x; 2D slices as they are."""
    return [
        section
        for sample in samples
        for section in (
            [sample] if sample.ndim == 2 else [np.take(sample, sample.shape[axis] // 2, axis=axis) for axis in range(3)]
        )
    ]
