"""Blocks of a volume and the windows on it that they need, as integers; and the reading of a window."""

from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from kerasgan3d.io.lazy import LazyArray
from kerasgan3d.metrics._halo import Halo, halo

# The axes along which a neighbour lies ahead: across a face, or across an edge.
AHEAD = tuple(axes for number in (1, 2) for axes in combinations(range(3), number))


class Block(NamedTuple):
    """A block of a volume: its place among the blocks, and its voxels, `start` to `stop`, along z, y, x."""

    place: tuple
    start: tuple
    stop: tuple

    @property
    def shape(self):
        """Voxels along z, y, x."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


class Plan(NamedTuple):
    """Division of a volume of some shape, periodic along some axes, into blocks with an edge of `block` voxels.

    Where it is `excluding`, the last phase stands for voxels that are not measured.
    """

    shape: tuple
    periodic: tuple
    block: int
    excluding: bool = False

    @property
    def counts(self):
        """Number of blocks along z, y, x."""
        return tuple(-(-size // self.block) for size in self.shape)

    def blocks(self):
        """Return all blocks, x running fastest."""
        blocks = []
        for place in product(*map(range, self.counts)):
            start = tuple(index * self.block for index in place)
            stop = tuple(min(first + self.block, size) for first, size in zip(start, self.shape, strict=True))
            blocks.append(Block(place, start, stop))
        return blocks

    def ahead(self, block, axes):
        """Return the place of the block that follows along all of some axes, or None where the volume ends."""
        place = list(block.place)
        for axis in axes:
            place[axis] += 1
            if place[axis] == self.counts[axis]:
                if not self.periodic[axis]:
                    return None
                place[axis] = 0
        return tuple(place)

    def wraps(self, block, axis):
        """Tell whether a block is followed along an axis by the other end of the volume."""
        return block.place[axis] == self.counts[axis] - 1

    def core(self, block):
        """Return the window (start, stop) of a block with one more voxel along each axis, unless the volume ends."""
        return self.around(block, 0)[:2]

    def around(self, block, margin):
        """Return the Halo of a block with a margin of voxels around it, ahead at least one, unless the volume ends."""
        start, _, own = halo(block.start, block.stop, self.shape, self.periodic, margin)
        return Halo(start, tuple(self._stop(block, axis, max(margin, 1)) for axis in range(3)), own)

    def arm(self, block, axis, reach):
        """Return the window (start, stop) of up to `reach` voxels that follow a block along an axis."""
        start, stop = list(block.start), list(block.stop)
        start[axis], stop[axis] = block.stop[axis], self._stop(block, axis, reach)
        return tuple(start), tuple(stop)

    def _stop(self, block, axis, reach):
        stop = block.stop[axis] + reach
        return stop if self.periodic[axis] else min(stop, self.shape[axis])


def window(stored, start, stop):
    """Return a window on labels that is read on demand.

    Args:
        stored: What has a shape, a dtype, and slicing.
        start, stop: Its voxels along z, y, x; below 0 and beyond the end of an axis they go on at the other end. No
            voxel is read twice, however often it stands in the window.

    Returns:
        A LazyArray, which goes to another process as what it is a window on, if that can be opened again there, else
        as the voxels in it; where the labels are a dask.array, a `dask.delayed.Delayed` that makes the window.
    """
    shape = [b - a for a, b in zip(start, stop, strict=True)]
    if not is_dask(stored):
        reopen = (window, (stored, start, stop)) if getattr(stored, "reopens", False) else None

        def whole():
            if 0 in shape:  # beyond the end of the volume: not every file has a way to read nothing
                return np.empty(shape, stored.dtype)
            return repeated(np.block(pieces(stored, start, stop)), shape)

        return LazyArray(shape, stored.dtype, lambda part: whole()[part], whole=whole, reopen=reopen)
    import dask.array as da
    from dask.delayed import delayed

    parts = pieces(stored, start, stop)
    # The part of a chunk that neighbours need is copied, so that the chunk itself need not be kept for it.
    joined = da.block([[[part.map_blocks(np.array, dtype=part.dtype) for part in x] for x in y] for y in parts])
    # Not optimised, which would make the chunks of each window anew instead of once for all that need them.
    whole = joined.rechunk(joined.shape).to_delayed(optimize_graph=False).item()
    return whole if joined.shape == tuple(shape) else delayed(repeated)(whole, shape)


def pieces(stored, start, stop):
    """Return the parts of a window, nested along z, y, x, cut where an axis ends and begins again.

    Along an axis that the window is longer than, they are what is to be `repeated`.
    """
    ranges = [_ranges(a, min(b, a + size), size) for a, b, size in zip(start, stop, stored.shape, strict=True)]
    return [[[stored[z, y, x] for x in ranges[2]] for y in ranges[1]] for z in ranges[0]]


def repeated(labels, shape):
    """Return labels extended periodically along axes where a shape is longer."""
    for axis, length in enumerate(shape):
        if length > labels.shape[axis]:
            labels = labels.take(np.arange(length), axis, mode="wrap")
    return labels


def is_dask(stored):
    """Tell whether an object is a dask.array, without loading Dask."""
    return hasattr(stored, "__dask_graph__") and hasattr(stored, "map_blocks")


def _ranges(start, stop, size):
    """Cut start..stop, which may extend beyond `size`, into slices of 0..size; one empty slice if it is empty."""
    ranges = []
    while start < stop or not ranges:
        first = start % size
        length = min(stop - start, size - first)
        ranges.append(slice(first, first + length))
        start += max(length, 1)
    return ranges
