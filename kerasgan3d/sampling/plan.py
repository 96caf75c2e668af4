"""The tile plan: which latents make which voxels, as plain integers that can be printed and tested."""

import math
from dataclasses import dataclass, replace
from itertools import product

from kerasgan3d.checks import check_count, check_periodic, check_triple


@dataclass(frozen=True)
class Tile:
    """One tile: compute the latents ``start``, ``shape``; of the result, ``crop`` goes to ``out`` of the volume."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    crop: tuple[slice, slice, slice]
    out: tuple[slice, slice, slice]

    @property
    def voxels(self):
        """Voxels that this tile gives the volume."""
        return math.prod(s.stop - s.start for s in self.out)


@dataclass(frozen=True)
class TilePlan:
    """How a volume is computed from the latent field, tile by tile.

    Attributes:
        size: Voxels (z, y, x).
        periodic: Whether each axis is periodic.
        offset: Where the window begins in voxels.
        period: Period of the latents per axis, or None.
        stride: Voxels per latent.
        batch: Tiles that are computed at once.
        tiles: How many tiles; ``iterate()`` gives them.
        tile_shape: Voxels (z, y, x) of the largest tile.
        latent_shape: Latents (z, y, x) of the largest tile.
        bytes_output: Size of the labels.
        bytes_peak: Estimate of the memory that is needed at most, the labels included.
    """

    size: tuple[int, int, int]
    periodic: tuple[bool, bool, bool]
    offset: tuple[int, int, int]
    period: tuple[int | None, int | None, int | None]
    stride: int
    margin: tuple[int, int]
    tile_cells: tuple[int, int, int]
    batch: int
    bytes_per_voxel: float = 0.0

    def _cells(self, axis):
        """The window along an axis: (first cell, cell after the last). A cell is what one latent covers."""
        return self.offset[axis] // self.stride, -(-(self.offset[axis] + self.size[axis]) // self.stride)

    def _ranges(self, axis):
        """The tiles along an axis: (first cell, cell after the last)."""
        first, last = self._cells(axis)
        step = self.tile_cells[axis]
        return ((a, min(a + step, last)) for a in range(first, last, step))

    @property
    def tiles(self):
        """How many tiles there are."""
        counts = (-(-(last - first) // step) for (first, last), step in self._steps())
        return math.prod(counts)

    @property
    def tile_shape(self):
        """Voxels (z, y, x) of the largest tile."""
        return tuple(self.stride * min(step, last - first) for (first, last), step in self._steps())

    def _steps(self):
        return [(self._cells(axis), self.tile_cells[axis]) for axis in range(3)]

    @property
    def latent_shape(self):
        """Latents (z, y, x) of the largest tile."""
        return tuple(n // self.stride + sum(self.margin) for n in self.tile_shape)

    @property
    def bytes_output(self):
        """Bytes of the labels, one a voxel."""
        return math.prod(self.size)

    @property
    def bytes_peak(self):
        """Estimate of the memory that is needed at most, without the libraries themselves."""
        return self.bytes_output + int(self.bytes_per_voxel * self.batch * math.prod(self.tile_shape))

    def with_memory(self, bytes_per_voxel):
        """The same plan with an estimate of the activations' bytes per voxel of a tile."""
        return replace(self, bytes_per_voxel=bytes_per_voxel)

    def window(self, start, shape):
        """The plan of a part of this volume, ``shape`` voxels from ``start``, in one tile: the same voxels."""
        cells = tuple(-(-n // self.stride) + 1 for n in shape)
        offset = tuple(a + b for a, b in zip(self.offset, start, strict=True))
        return replace(self, size=tuple(shape), offset=offset, tile_cells=cells, batch=1)

    def iterate(self):
        """The tiles, in the order of the volume."""
        for cells in product(*(self._ranges(axis) for axis in range(3))):
            yield self._tile(cells)

    def _tile(self, cells):
        start, shape, crop, out = [], [], [], []
        for axis, (a, b) in enumerate(cells):
            begin = max(a * self.stride, self.offset[axis])
            end = min(b * self.stride, self.offset[axis] + self.size[axis])
            start.append(a - self.margin[0])
            shape.append(b - a + sum(self.margin))
            crop.append(slice(begin - a * self.stride, end - a * self.stride))
            out.append(slice(begin - self.offset[axis], end - self.offset[axis]))
        return Tile(tuple(start), tuple(shape), tuple(crop), tuple(out))

    def describe(self):
        """The plan in words, a few lines."""
        axes = "".join(name for name, is_periodic in zip("zyx", self.periodic, strict=True) if is_periodic)
        rows = [
            (
                "volume",
                f"{_by(self.size)} voxels, " + (f"periodic along {', '.join(axes)}" if axes else "not periodic"),
            ),
            ("offset", _by(self.offset)) if any(self.offset) else None,
            ("tiles", f"{self.tiles} of up to {_by(self.tile_shape)} voxels from {_by(self.latent_shape)} latents"),
            ("labels", _bytes(self.bytes_output)),
        ]
        return "\n".join(f"{row[0]:<8}{row[1]}" for row in rows if row)


def plan_tiles(size, *, stride, margin, periodic=False, offset=(0, 0, 0), tile=256, batch=None):
    """Plan a volume.

    Args:
        size: Voxels, an int or (z, y, x); a multiple of ``stride`` along periodic axes.
        stride: Voxels per latent.
        margin: Latents needed (before, after) the window that they fill.
        periodic: bool, three, or letters of axes such as "yx".
        offset: Where the window begins in voxels: an int or (z, y, x), any sign.
        tile: Voxels per side of a tile, an int or (z, y, x); rounded up to a multiple of ``stride``.
        batch: Tiles that are computed at once; 1 if None.

    Returns:
        TilePlan.

    Raises:
        ValueError: if an argument is not of the above.
    """
    size = check_triple(size, "size", 1)
    offset = check_triple(offset, "offset")
    tile = check_triple(tile, "tile", 1)
    batch = 1 if batch is None else check_count(batch, "batch")
    periodic = check_periodic(periodic)
    for name, n, is_periodic in zip("zyx", size, periodic, strict=True):
        if is_periodic and n % stride:
            below, above = n // stride * stride, -(-n // stride) * stride
            raise ValueError(
                f"`size` must be a multiple of {stride} along periodic axes. Received: {n} along {name}; "
                f"the nearest are {f'{below} and ' if below else ''}{above}."
            )
    return TilePlan(
        size=size,
        periodic=periodic,
        offset=offset,
        period=tuple(n // stride if p else None for n, p in zip(size, periodic, strict=True)),
        stride=stride,
        margin=tuple(margin),
        tile_cells=tuple(-(-n // stride) for n in tile),
        batch=batch,
    )


def _by(numbers):
    return " x ".join(str(n) for n in numbers)


def _bytes(n):
    power = min(4, max(0, (len(str(int(n))) - 1) // 3))
    return f"{n / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
