"""Fill a volume from the latent field, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from kerasgan3d.sampling.plan import Tile, TilePlan

Progress = Callable[[int, int], object]  # voxels done, total voxels
STEM_CELLS = 32  # latents per side of a box of tiles that share one stem computation: some 100 MB in the deep generator


class Field(Protocol):
    """Input of a network at each lattice point: a `LatentField`, or one with conditions besides the latents."""

    def window(self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None]) -> np.ndarray:
        """Compute the values (z, y, x, channels) of a window of the lattice."""
        ...


class Stem(Protocol):
    """First part of a network, which turns latents into features at the same resolution."""

    halo: int

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """Compute the features of latents (z, y, x, channels)."""
        ...


def generate(
    function: Callable[[np.ndarray], np.ndarray],
    field: Field,
    plan: TilePlan,
    *,
    stem: Stem | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Compute the volume that ``plan`` describes.

    Args:
        function: Any callable from latents (batch, z, y, x, channels), float32, to labels (batch, z, y, x) or
            probabilities (batch, z, y, x, phases), without boundary effects: it drops ``plan.margin`` latents, and
            each other latent becomes ``plan.stride`` voxels per axis.
        field: The LatentField, or a ConditionedField.
        plan: The TilePlan.
        stem: A first part of the network, from latents (z, y, x, channels) to features that are ``stem.halo`` fewer at
            each face. It is computed for many tiles at once; ``function`` then takes features in place of latents.
        progress: A function (voxels done, total voxels), called after each batch.

    Returns:
        Array (z, y, x) or (z, y, x, phases) of the dtype that ``function`` returns.

    Raises:
        ValueError: if ``function`` returns another shape than the plan expects.
    """
    volume: Any = None
    done, total = 0, math.prod(plan.size)
    for tiles, inputs in _batches(field, plan, stem):
        result = function(inputs)
        expected = tuple(plan.stride * (n - sum(plan.margin)) for n in tiles[0].shape)
        if result.shape[:4] != (len(tiles), *expected):
            raise ValueError(
                f"`function` must turn latents {inputs.shape} into {(len(tiles), *expected)} voxels. "
                f"Received: {result.shape}."
            )
        if volume is None:
            volume = np.empty((*plan.size, *result.shape[4:]), result.dtype)
        for tile, voxels in zip(tiles, result, strict=True):
            volume[tile.out] = voxels[tile.crop]
            done += tile.voxels
        if progress is not None:
            progress(done, total)
    return volume


def _batches(field: Field, plan: TilePlan, stem: Stem | None) -> Iterator[tuple[list[Tile], np.ndarray]]:
    """Yield groups of at most ``plan.batch`` tiles of one shape, each with the network's input for them."""
    if stem is None:
        for tiles in _groups(plan.iterate(), plan.batch):
            yield tiles, np.stack([field.window(tile.start, tile.shape, plan.period) for tile in tiles])
        return
    for box in plan.boxes(STEM_CELLS):
        start = [min(tile.start[axis] for tile in box) for axis in range(3)]
        shape = [max(tile.start[axis] + tile.shape[axis] for tile in box) - start[axis] for axis in range(3)]
        features = _features(stem, field, start, shape, plan.period)
        for tiles in _groups(box, plan.batch):
            windows = (
                tuple(slice(a - b, a - b + n - 2 * stem.halo) for a, b, n in zip(t.start, start, t.shape, strict=True))
                for t in tiles
            )
            yield tiles, np.stack([features[window] for window in windows])


def _features(
    stem: Stem, field: Field, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None]
) -> np.ndarray:
    """Compute the stem's features of a window of latents; along periodic axes each place is computed once."""
    lengths = [n - 2 * stem.halo for n in shape]
    once = [n if p is None else min(n, p) for n, p in zip(lengths, period, strict=True)]
    features = stem(field.window(start, [n + 2 * stem.halo for n in once], period))
    for axis, (n, m) in enumerate(zip(lengths, once, strict=True)):
        features = features if n == m else features.take(np.arange(n) % m, axis)
    return features


def _groups(tiles: Iterable[Tile], batch: int) -> Iterator[list[Tile]]:
    waiting: dict[tuple[int, ...], list[Tile]] = {}
    for tile in tiles:
        group = waiting.setdefault(tile.shape, [])
        group.append(tile)
        if len(group) == batch:
            yield waiting.pop(tile.shape)
    yield from waiting.values()
