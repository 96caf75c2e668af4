"""Fill a volume from the latent field, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerasgan3d.sampling.field import LatentField
from kerasgan3d.sampling.plan import Tile, TilePlan

Progress = Callable[[int, int], object]  # voxels done, voxels in all


def generate(
    function: Callable[[np.ndarray], np.ndarray],
    field: LatentField,
    plan: TilePlan,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Compute what ``plan`` describes.

    Args:
        function: Any callable from latents (batch, z, y, x, channels), float32, to labels (batch, z, y, x) or
            probabilities (batch, z, y, x, phases), without boundary effects: ``plan.margin`` latents fewer, times
            ``plan.stride``.
        field: The LatentField.
        plan: The TilePlan.
        progress: A function (voxels done, voxels in all), called after each batch.

    Returns:
        Array (z, y, x) or (z, y, x, phases) of the dtype that ``function`` gives.

    Raises:
        ValueError: if ``function`` gives another shape than the plan expects.
    """
    volume: Any = None
    done, total = 0, math.prod(plan.size)
    for tiles in _batches(plan):
        latents = np.stack([field.window(tile.start, tile.shape, plan.period) for tile in tiles])
        result = function(latents)
        expected = tuple(plan.stride * (n - sum(plan.margin)) for n in tiles[0].shape)
        if result.shape[:4] != (len(tiles), *expected):
            raise ValueError(
                f"`function` must turn latents {latents.shape} into {(len(tiles), *expected)} voxels. "
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


def _batches(plan: TilePlan) -> Iterator[list[Tile]]:
    """The tiles in groups of one shape, at most ``plan.batch`` in each."""
    waiting: dict[tuple[int, ...], list[Tile]] = {}
    for tile in plan.iterate():
        group = waiting.setdefault(tile.shape, [])
        group.append(tile)
        if len(group) == plan.batch:
            yield waiting.pop(tile.shape)
    yield from waiting.values()
