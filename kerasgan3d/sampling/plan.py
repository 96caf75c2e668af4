"""The tile plan, which maps latents to voxels, as plain integers that can be printed and tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from kerasgan3d.checks import axis_letters

Window = tuple[tuple[int, ...], tuple[int, ...]]  # start and shape, voxels (z, y, x)


@dataclass(frozen=True)
class Tile:
    """One tile: the latents ``start``, ``shape`` are computed, and ``crop`` of the result goes to ``out``."""

    start: tuple[int, ...]
    shape: tuple[int, ...]
    crop: tuple[slice, ...]
    out: tuple[slice, ...]

    @property
    def voxels(self) -> int:
        """Number of voxels that this tile adds to the volume."""
        return math.prod(s.stop - s.start for s in self.out)


@dataclass(frozen=True)
class TilePlan:
    """Plan of a volume's computation from the latent field, tile by tile.

    Attributes:
        size: Voxels (z, y, x).
        periodic: Whether each axis is periodic.
        offset: Start of the window in voxels (z, y, x).
        period: Period of the latents per axis, or None.
        stride: Voxels per latent.
        margin: Latents needed (before, after) those that cover the window.
        tile_cells: Latents that a tile covers (z, y, x).
        batch: Tiles that are computed at once.
        tiles: Number of tiles; ``iterate()`` yields them.
        tile_shape: Voxels (z, y, x) of the largest tile.
        latent_shape: Latents (z, y, x) of the largest tile.
        bytes_output: Size of the labels in bytes.
        bytes_peak: Estimate of the peak memory in bytes, including the labels.
    """

    size: tuple[int, ...]
    periodic: tuple[bool, ...]
    offset: tuple[int, ...]
    period: tuple[int | None, ...]
    stride: int
    margin: tuple[int, ...]
    tile_cells: tuple[int, ...]
    batch: int
    bytes_per_voxel: float = 0.0

    def cells(self, axis: int) -> tuple[int, int]:
        """Return the window along an axis: (first cell, cell after the last). One latent covers one cell."""
        return self.offset[axis] // self.stride, -(-(self.offset[axis] + self.size[axis]) // self.stride)

    def _ranges(self, axis: int) -> Iterator[tuple[int, int]]:
        """Yield the tiles along an axis: (first cell, cell after the last)."""
        first, last = self.cells(axis)
        step = self.tile_cells[axis]
        return ((a, min(a + step, last)) for a in range(first, last, step))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        counts = (-(-(last - first) // step) for (first, last), step in self._steps())
        return math.prod(counts)

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Voxels (z, y, x) of the largest tile."""
        return tuple(self.stride * min(step, last - first) for (first, last), step in self._steps())

    def _steps(self) -> list[tuple[tuple[int, int], int]]:
        return [(self.cells(axis), self.tile_cells[axis]) for axis in range(3)]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Latents (z, y, x) of the largest tile."""
        return tuple(n // self.stride + sum(self.margin) for n in self.tile_shape)

    @property
    def bytes_output(self) -> int:
        """Size of the labels in bytes, one per voxel."""
        return math.prod(self.size)

    @property
    def bytes_peak(self) -> int:
        """Estimate of the peak memory in bytes, not counting the libraries themselves."""
        return self.bytes_output + int(self.bytes_per_voxel * self.batch * math.prod(self.tile_shape))

    def window(self, start: tuple[int, ...], shape: tuple[int, ...]) -> TilePlan:
        """Return the plan of a part of this volume, ``shape`` voxels from ``start``, in one tile: the same voxels."""
        cells = tuple(-(-n // self.stride) + 1 for n in shape)
        offset = tuple(a + b for a, b in zip(self.offset, start, strict=True))
        return replace(self, size=tuple(shape), offset=offset, tile_cells=cells, batch=1)

    def iterate(self) -> Iterator[Tile]:
        """Yield the tiles in the order of the volume."""
        # Not itertools.product here and below, since it would list whole axes first.
        for cells in ((z, y, x) for z in self._ranges(0) for y in self._ranges(1) for x in self._ranges(2)):
            yield self._tile(cells)

    def boxes(self, cells: int) -> Iterator[list[Tile]]:
        """Yield the tiles of successive boxes, each of at most ``cells`` cells per side, or of one larger tile."""

        def runs(axis: int) -> Iterator[list[tuple[int, int]]]:
            ranges = self._ranges(axis)
            return iter(lambda: list(islice(ranges, max(1, cells // self.tile_cells[axis]))), [])

        for box in ((z, y, x) for z in runs(0) for y in runs(1) for x in runs(2)):
            yield [self._tile(tile) for tile in product(*box)]

    def _tile(self, cells: Sequence[tuple[int, int]]) -> Tile:
        start, shape, crop, out = [], [], [], []
        for axis, (a, b) in enumerate(cells):
            begin = max(a * self.stride, self.offset[axis])
            end = min(b * self.stride, self.offset[axis] + self.size[axis])
            start.append(a - self.margin[0])
            shape.append(b - a + sum(self.margin))
            crop.append(slice(begin - a * self.stride, end - a * self.stride))
            out.append(slice(begin - self.offset[axis], end - self.offset[axis]))
        return Tile(tuple(start), tuple(shape), tuple(crop), tuple(out))

    def describe(self) -> str:
        """Describe the plan in a few lines of text."""
        axes = axis_letters(self.periodic)
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


def _by(numbers: Iterable[int]) -> str:
    return " x ".join(str(n) for n in numbers)


def _bytes(n: float) -> str:
    power = min(4, max(0, (len(str(int(n))) - 1) // 3))
    return f"{n / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
