"""Summaries of many records: mean and standard deviation of every number, by the names of phases and axes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.files import replacing
from kerasgan3d.metrics._measure import PER_PAIR
from kerasgan3d.metrics._record_json import plain
from kerasgan3d.metrics._tables import check_table, write_columns
from kerasgan3d.metrics.record import Measurement
from kerasgan3d.metrics.registry import ALL
from kerasgan3d.texts import json_text


class Number(NamedTuple):
    """One number of a material: its identity, and its values in all volumes, NaN for missing ones.

    `phase`, `other_phase` (of pairs) and `axis` are None where it is not of one.
    """

    measure: str
    phase: str | None
    other_phase: str | None
    axis: str | None
    unit: str
    mean: float
    std: float
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Summary:
    """Mean and standard deviation over several volumes, or slices, of the same phases; made by `summarise`.

    Attributes:
        records: Measurement by the name of each volume.
        mean, std: By key, arrays as the records have them. The standard deviation is that of the material, from which
            the volumes were drawn (n - 1); NaN of a single one, and where something is infinite.
    """

    records: dict[str, Measurement]
    mean: dict[str, Any]
    std: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a JSON-serialisable dict: "mean", "std" and every volume by measure, phase and axis."""
        first = next(iter(self.records.values()))
        return {
            "count": len(self.records),
            "phases": list(first.phases),
            "units": {key: unit for key, unit in first.units.items() if key in self.mean},
            "mean": named(self.mean, first.phases),
            "std": named(self.std, first.phases),
            "volumes": {
                name: named({key: record[key] for key in self.mean}, record.phases)
                for name, record in self.records.items()
            },
        }

    def numbers(self) -> Iterator[Number]:
        """Yield every number except those of curves, each pair of phases once."""
        first = next(iter(self.records.values()))
        phases, axes = first.phases, AXES[-len(first.shape) :]
        for key, mean in self.mean.items():
            row = ALL[key]
            if row.is_curve:
                continue
            for index in np.ndindex(np.shape(mean)):
                names: list[str | None] = [phases[index[0]] if index else None, None, None]
                if row.shape == PER_PAIR:
                    if index not in set(combinations(range(len(phases)), 2)):
                        continue
                    names[1] = phases[index[1]]
                elif len(index) == 2:
                    names[2] = axes[index[1]]
                found = [float(np.asarray(values)[index]) for values in (mean, self.std[key])]
                values = tuple(float(np.asarray(record[key])[index]) for record in self.records.values())
                yield Number(
                    key, names[0], names[1], names[2], row.unit_in(len(first.shape)), found[0], found[1], values
                )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write .csv or .parquet, with a row per number and a column per volume, or .json, the result of `to_dict`.

        Raises:
            ValueError: Another suffix.
            MissingLibraryError: pyarrow is missing, which writes .parquet.
        """
        path = check_table(path)
        if path.suffix.lower() == ".json":
            with replacing(path) as temporary:
                temporary.write_text(json_text(self.to_dict(), indent=2) + "\n", "utf-8")
            return
        head = [*Number._fields[:-1], *self.records]
        rows = [[*number[:-1], *number.values] for number in self.numbers()]
        write_columns(path, dict(zip(head, map(list, zip(*rows, strict=True)), strict=True)))


def summarise(records: Mapping[str, Measurement]) -> Summary:
    """Return mean and standard deviation of the records of several volumes.

    Measures that a record lacks are omitted, as are curves of different lengths.

    Args:
        records: Measurement by the name of each volume: of the same phases, and all of volumes or all of slices.

    Raises:
        ValueError: If there are none, or they are of different phases or dimensions.
    """
    records = dict(records)
    check_alike({(record.phases, len(record.shape)) for record in records.values()})
    mean, std = {}, {}
    for key in ALL:
        values = [record[key] for record in records.values()]
        if any(value is None for value in values) or len({np.shape(value) for value in values}) > 1:
            continue
        with np.errstate(invalid="ignore"):
            mean[key] = np.mean(values, axis=0)
            std[key] = np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full(np.shape(values[0]), np.nan)
    return Summary(records, mean, std)


def check_alike(kinds: Set[tuple[tuple[str, ...], int]]) -> None:
    """Raise a ValueError unless all phases and dimensions are the same; `kinds` are pairs of these."""
    if len(kinds) != 1:
        told = "; ".join(f"{', '.join(phases)} in {axes} dimensions" for phases, axes in sorted(kinds)) or "none"
        raise ValueError(f"Records must be of the same phases, all of volumes or all of slices. Received: {told}.")


def named(values: Mapping[str, Any], phases: tuple[str, ...]) -> dict[str, Any]:
    """Return measures by the names of phases and axes instead of positions, in JSON types.

    ``{"relative_diffusivity": {"pore": {"z": 0.3, ...}}}``; curves are lists; of pairs of phases both orders are there.
    NaN and infinite numbers are as in `Measurement.to_dict`.
    """
    return {key: _named(plain(np.asarray(value, float)), ALL[key].shape, phases) for key, value in values.items()}


def _named(value, dimensions, phases):
    if not dimensions or dimensions[0] not in ("phases", "axes"):
        return value
    names = phases if dimensions[0] == "phases" else AXES[-len(value) :]
    return {name: _named(part, dimensions[1:], phases) for name, part in zip(names, value, strict=True)}
