"""Sampling jobs: complete descriptions of volumes to be sampled, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from kerasgan3d import __version__
from kerasgan3d.checks import check_count, check_memory, check_periodic, check_seed, check_triple, is_integer
from kerasgan3d.folder import IDENTITY
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.sampling.blend import BlendedField, check_blend
from kerasgan3d.sampling.conditions import ConditionedField, Conditions
from kerasgan3d.sampling.field import LatentField, draw_seed
from kerasgan3d.sampling.generate import Field, Progress, Stem, generate
from kerasgan3d.sampling.plan import TilePlan, Window
from kerasgan3d.sampling.scan import FittedField, Scan

DEFAULT_TILE = 256  # voxels per side: some 1 GB of activations in the compact generator

_STEERED = ("conditions", "blend", "scan")
_ORIGIN = ("name", *IDENTITY, "tuned_from")  # facts of a card, for the provenance

Size = int | Sequence[int]
Periodic = bool | str | Sequence[bool]


@dataclass(frozen=True, init=False)
class SamplingJob:
    """A volume to be sampled. Arguments are checked once, on construction; `run` and its callers choose the output.

    Args:
        size: Voxels: an int, or (z, y, x). Any positive numbers; multiples of ``stride`` along periodic axes.
        periodic: Axes along which the volume is periodic: a bool, three (z, y, x), or letters of axes such as "yx".
        offset: Start of the window in voxels: an int or (z, y, x), any sign.
        seed: An int, 0 <= seed < 2**64; None to draw one when the job runs.
        tile: Voxels per side that are computed at once: an int or (z, y, x), rounded up to multiples of ``stride``.
            None for the default of the output.
        batch: Tiles that are computed at once; 1 if None.
        stride: Voxels per latent of the network.
        margin: Latents that the network needs (before, after) those that cover the window.
        bytes_per_voxel: Estimate of the network's activations, bytes per voxel of a tile.
        conditions: Requested conditions, a JSON-serialisable dict: "fractions", a list `[z][y][x][phase]` that spans
            the window's ``cells``, of length 1 along axes on which it does not depend; and "beyond", true where
            fractions may lie outside the range that the generator has learned. None for random conditions.
        blend: Blend with the structure of another seed, a JSON-serialisable dict: "seed", and "t", a list `[z][y][x]`
            that spans the window as fractions do, see `kerasgan3d.sampling.blend`. None for no blend.
        scan: A Scan, or the result of its ``to_json``: known voxels at the structure's origin, which are kept, and the
            latents that were fitted to them. None for a structure that is entirely generated.

    Raises:
        ValueError: if an argument is invalid.
    """

    size: tuple[int, int, int]
    periodic: tuple[bool, ...]
    offset: tuple[int, int, int]
    seed: int | None
    tile: tuple[int, int, int] | None
    batch: int
    stride: int
    margin: tuple[int, int]
    bytes_per_voxel: float
    conditions: dict[str, Any] | None = None
    blend: dict[str, Any] | None = None
    scan: Scan | None = None

    def __init__(
        self,
        size: Size,
        *,
        periodic: Periodic = False,
        offset: Size = (0, 0, 0),
        seed: int | None = None,
        tile: Size | None = None,
        batch: int | None = None,
        stride: int = 1,
        margin: Sequence[int] = (0, 0),
        bytes_per_voxel: float = 0.0,
        conditions: dict[str, Any] | None = None,
        blend: dict[str, Any] | None = None,
        scan: Scan | dict[str, Any] | None = None,
    ):
        if len(margin) != 2 or not all(is_integer(n) and n >= 0 for n in margin):
            raise ValueError(f"`margin` must be two integers of at least 0. Received: {margin!r}.")
        if not (conditions is None or isinstance(conditions, dict)):
            raise ValueError(f"`conditions` must be a dict or None. Received: {conditions!r:.200}.")
        vars(self).update(
            size=check_triple(size, "size", 1),
            offset=check_triple(offset, "offset"),
            tile=None if tile is None else check_triple(tile, "tile", 1),
            batch=1 if batch is None else check_count(batch, "batch"),
            periodic=check_periodic(periodic),
            seed=None if seed is None else check_seed(seed),
            stride=check_count(stride, "stride"),
            margin=tuple(margin),
            bytes_per_voxel=float(bytes_per_voxel),
            conditions=conditions,
            blend=blend,
            scan=scan if isinstance(scan, Scan | None) else Scan.from_json(scan),
        )
        for name, n, is_periodic in zip("zyx", self.size, self.periodic, strict=True):
            if is_periodic and n % self.stride:
                below, above = n // self.stride * self.stride, -(-n // self.stride) * self.stride
                raise ValueError(
                    f"`size` must be a multiple of {self.stride} along periodic axes. Received: {n} along {name}; "
                    f"the nearest are {f'{below} and ' if below else ''}{above}."
                )
        if self.scan is not None:
            self.scan.check_fits(self.size, self.periodic)
        if blend is not None:
            check_blend(blend, self.seed, self.cells[1])

    @cached_property
    def plan(self) -> TilePlan:
        """Plan of the computation, tile by tile.

        Raises:
            ValueError: if part of the volume lies outside the latent field.
        """
        plan = TilePlan(
            size=self.size,
            periodic=self.periodic,
            offset=self.offset,
            period=tuple(n // self.stride if p else None for n, p in zip(self.size, self.periodic, strict=True)),
            stride=self.stride,
            margin=self.margin,
            tile_cells=tuple(-(-n // self.stride) for n in self.tile or (DEFAULT_TILE,) * 3),
            batch=self.batch,
            bytes_per_voxel=self.bytes_per_voxel,
        )
        for axis, period in enumerate(plan.period):
            first, last = plan.cells(axis) if period is None else (0, 2 * period)
            if first - self.margin[0] < -LatentField.REACH or last + self.margin[1] > LatentField.REACH:
                raise ValueError(
                    f"the latent field has indices from -2**31 to 2**31 - 1, for {self.stride} voxels each. Received: "
                    f"size {self.size[axis]}, offset {self.offset[axis]} along {'zyx'[axis]}."
                )
        return plan

    @property
    def cells(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Lattice steps of the window: the first (z, y, x), and their number; along periodic axes the period."""
        first = tuple(n // self.stride for n in self.offset)
        ends = [-(-(a + n) // self.stride) for a, n in zip(self.offset, self.size, strict=True)]
        periods = self.plan.period
        counts = (end - start if p is None else p for start, end, p in zip(first, ends, periods, strict=True))
        return first, tuple(counts)

    @property
    def period(self) -> tuple[int | None, ...]:
        """Period per axis in voxels, None along axes that are not periodic."""
        return tuple(n if p else None for n, p in zip(self.size, self.periodic, strict=True))

    def seeded(self, otherwise: int | None = None) -> SamplingJob:
        """Return the job with a seed: its own, else ``otherwise``, else a random one."""
        if self.seed is not None:
            return self
        return replace(self, seed=draw_seed() if otherwise is None else otherwise)

    def run(
        self,
        function: Callable,
        channels: int,
        *,
        conditions: Conditions | None = None,
        stem: Stem | None = None,
        window: Window | None = None,
        voxel_bytes: int = 1,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Compute the volume, or a window (start, shape) of it in one tile, in memory.

        Args:
            function: Function from latents to labels or probabilities, as for `kerasgan3d.sampling.generate`.
            channels: Number of channels of a latent.
            conditions: Statistics of local fractions, where the function takes them besides the latents; or None.
            stem: First part of the network, or None; as for `kerasgan3d.sampling.generate`.
            window: Start and shape in voxels (z, y, x), relative to the volume's first voxel; None for all of it.
            voxel_bytes: Bytes per voxel of the function's result.
            progress: A function (voxels done, total voxels), called after each batch.

        Returns:
            Array (z, y, x) or (z, y, x, phases).

        Raises:
            ValueError: if the job has no seed, or the window lies outside the latent field.
            MemoryError: if the volume needs more memory than the machine has.
        """
        if window is None:
            self.check_memory(voxel_bytes)
        plan = self.plan if window is None else self.plan.window(*window)
        voxels = generate(function, self.field(channels, conditions), plan, stem=stem, progress=progress)
        if self.scan is not None:
            self.scan.keep(voxels, plan.offset, self.period)
        return voxels

    def field(self, channels: int, conditions: Conditions | None = None) -> Field:
        """Return the field from which the volume is generated: latents, conditions, or a blend of two seeds.

        Args:
            channels, conditions: As for `run`.

        Raises:
            ValueError: if the job has no seed.
        """
        field: Field = self._field_of(check_seed(self.seed), channels, conditions)
        if self.blend is not None:
            other, t = self._field_of(self.blend["seed"], channels, conditions), np.array(self.blend["t"], float)
            # Requested conditions are the same on both sides.
            field = BlendedField(field, other, t, *self.cells, None if self.conditions is None else channels)
        return field if self.scan is None else FittedField(field, self.scan)

    def _field_of(self, seed: int, channels: int, conditions: Conditions | None) -> Field:
        if conditions is None:
            return LatentField(seed, channels)
        wish = None if self.conditions is None else np.array(self.conditions["fractions"], float)
        return ConditionedField(seed, channels, conditions, *self.cells, wish)

    def check_memory(self, voxel_bytes: int = 1) -> None:
        """Check that the volume fits in the machine's memory, at ``voxel_bytes`` per voxel.

        Raises:
            MemoryError: if it does not.
        """
        check_memory(
            voxel_bytes * math.prod(self.size),
            "A part of it (`size` and `offset`) takes less; labels are streamed to .zarr and .tif files of any size.",
        )

    def record(self, phases: tuple[str, ...], voxel_size: float | None, card: dict[str, Any]) -> VolumeRecord:
        """Return the metadata of the volume's file, given the generator's phases, voxel size (µm) and card."""
        origin = {key: card[key] for key in _ORIGIN if key in card}
        provenance = {
            "kerasgan3d": __version__,
            **({"generator": origin} if origin else {}),
            "seed": self.seed,
            "offset": list(self.offset),
            **({} if self.conditions is None else {"conditions": self.conditions}),
            **({} if self.blend is None else {"blend": self.blend}),
            **({} if self.scan is None else {"scan": self.scan.told()}),
        }
        return VolumeRecord(self.size, phases, voxel_size, self.periodic, provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the job as a JSON-serialisable dict, which omits conditions, blend and scan that are None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["scan"] = None if self.scan is None else self.scan.to_json()
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if name not in _STEERED or value is not None
        }

    @classmethod
    def from_json(cls, record: Any) -> SamplingJob:
        """Read a job back.

        Raises:
            ValueError: if the record is not a result of `to_json`.
        """
        names = {field.name: field.default is MISSING for field in fields(cls)}
        if not isinstance(record, dict):
            raise ValueError(f"A sampling job must be a dict. Received: {record!r:.200}.")
        wrong = [f"no {name}" for name, needed in names.items() if needed and name not in record]
        wrong += [f"{name!r}" for name in record if name not in names]
        if wrong:
            raise ValueError(f"A sampling job must hold {', '.join(names)}. Received: {', '.join(wrong)}.")
        return cls(**record)


def plan_tiles(
    size: Size, *, stride: int, margin: Sequence[int], tile: Size = DEFAULT_TILE, **options: Any
) -> TilePlan:
    """Return the TilePlan of the SamplingJob with these arguments."""
    return SamplingJob(size, stride=stride, margin=margin, tile=check_triple(tile, "tile", 1), **options).plan
