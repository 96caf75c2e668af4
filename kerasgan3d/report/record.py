"""The record of a comparison: its schema, which only this module reads and writes.

All renderers of a comparison (report, terminal, card) take a `ComparisonRecord`. It is written as JSON of format 2.
Format 1 of the previous version is read: whole records, and the excerpts in cards.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasgan3d.metrics.registry import ALL

FORMAT = 2
_CACHE: dict[type, dict[str, Any]] = {}


@dataclass(frozen=True)
class Record:
    """A part of a comparison, whose attributes are also available as ``record["key"]`` and ``record.get("key")``."""

    def __getitem__(self, key: str) -> Any:
        if key not in _hints(type(self)):
            raise KeyError(key)
        return getattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return an attribute by its name, or a default for an unknown name."""
        return getattr(self, key) if key in _hints(type(self)) else default


@dataclass(frozen=True)
class Side(Record):
    """One side of a comparison: its name, the kind of its source, and its data."""

    name: str
    kind: str | None = None
    shape: list[int] | None = None
    phases: list[str] | None = None
    voxel_size: float | None = None


@dataclass(frozen=True)
class GeneratedSide(Side):
    """The generated side, and whether periodic volumes were examined."""

    periodic_checked: bool | None = None


@dataclass(frozen=True)
class Samples(Record):
    """The sub-volumes of both sides.

    Attributes:
        real, generated: Numbers of sub-volumes.
        size: Edge length in voxels.
        dimensions: 3, or 2 for windows of slices.
        seed: Seed of all random choices.
    """

    real: int
    generated: int
    size: int | None = None
    dimensions: int = 3
    seed: int | None = None


@dataclass(frozen=True)
class Windows(Record):
    """Choice of the sub-volumes of the real image, the same for every generator that is compared with it.

    Attributes:
        method: "random": places drawn uniformly without repetition.
        side_by_side: Number of sub-volumes that fit side by side into the image.
        covered: Fraction of the image's voxels that lie in at least one sub-volume.
        shared: Mean number of sub-volumes in which such a voxel lies.
    """

    method: str
    side_by_side: int
    covered: float
    shared: float


@dataclass(frozen=True)
class MeasureRow(Record):
    """One measure of one phase, pair or axis.

    Attributes:
        key, phase, other, axis: Identity of the measure; axis "mean" is the mean of the three.
        unit: Unit, "1" for dimensionless measures.
        estimated: Whether it is an estimate by stereology, from slices.
        real, generated: A value per sub-volume; None where only their mean is known.
        real_mean, real_std, generated_mean, generated_std: Means and standard deviations.
        real_mean_of: Source of the real mean: "image", the whole of it, or "sub-volumes".
        relative_difference: Difference of the means, relative to the real one.
        standard_error: Standard error of the relative difference, from the scatter of the sub-volumes.
        real_from_real: Difference between the means of real sub-volumes from two halves of the image, relative to the
            mean, beyond what the scatter of so few explains.
        deviation_ratio: Generated divided by real standard deviation.
        spread_from_real: The same ratio for the two halves of the image, the larger divided by the smaller.
        ks_distance, ks_p: Kolmogorov-Smirnov distance, and the probability of one as large between independent samples.
    """

    key: str
    phase: str | None = None
    other: str | None = None
    axis: str | None = None
    unit: str = "1"
    estimated: bool = False
    real: list | None = None
    generated: list | None = None
    real_mean: float | None = None
    real_std: float | None = None
    real_mean_of: str | None = None
    generated_mean: float | None = None
    generated_std: float | None = None
    relative_difference: float | None = None
    standard_error: float | None = None
    real_from_real: float | None = None
    deviation_ratio: float | None = None
    spread_from_real: float | None = None
    ks_distance: float | None = None
    ks_p: float | None = None


@dataclass(frozen=True)
class CurveSide(Record):
    """Curves [phase][axis][lag]: mean, and 5th and 95th percentile of single sub-volumes."""

    mean: list | None = None
    low: list | None = None
    high: list | None = None


@dataclass(frozen=True)
class Curves(Record):
    """Curves of both sides, over distances or sizes.

    Attributes:
        lags: Distances or sizes in voxels.
        axes: Names of the axes; "all" for curves without one.
        real, generated: The curves.
        largest_difference: Largest difference of the means, [phase][axis].
        standard_error: Standard error of the largest difference of each phase.
        real_from_real: The largest difference of each phase between two halves of the real image.
        worst: The largest difference of each phase, over the axes.
        max_lag: The longest lag.
    """

    lags: list[int] | None = None
    axes: list[str] | None = None
    real: CurveSide | None = None
    generated: CurveSide | None = None
    largest_difference: list | None = None
    standard_error: list | None = None
    real_from_real: list | None = None
    worst: list | None = None
    max_lag: int | None = None


@dataclass(frozen=True)
class LeaningSide(Record):
    """Result of `leaning_statistics` for one side."""

    largest: list
    smallest_p: float | None = None
    error_of_largest: list | None = None
    planes: list | None = None
    lags: list | None = None
    difference: list | None = None
    standard_error: list | None = None


@dataclass(frozen=True)
class Leaning(Record):
    """Diagonal anisotropy of both sides."""

    generated: LeaningSide | None = None
    real: LeaningSide | None = None


@dataclass(frozen=True)
class Volumes(Record):
    """Generated volumes compared with stereological estimates from real slices."""

    count: int
    size: int | None = None
    windows: int | None = None
    measures: list[MeasureRow] = field(default_factory=list)
    two_point_correlation: Curves | None = None
    anisotropy: list | None = None


@dataclass(frozen=True)
class Classifier(Record):
    """Result of `classifier_score`."""

    score: float | None = None
    standard_error: float | None = None
    score_samples: float | None = None
    train: list | None = None
    test: list | None = None
    steps: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Distances(Record):
    """Summary of distances to the most similar window of the real image."""

    count: int
    mean: float
    least: float


@dataclass(frozen=True)
class Nearest(Record):
    """Distances of samples to the real image: all values, and a summary."""

    generated: list | None = None
    real: list | None = None
    generated_distances: Distances | None = None
    real_distances: Distances | None = None
    measure: str | None = None
    searched: str | None = None


@dataclass(frozen=True)
class SeamRow(Record):
    """One measure at the seam of periodic volumes and in their interior."""

    key: str
    phase: str | None = None
    axis: str | None = None
    seam: float | None = None
    interior: float | None = None
    standard_error: float | None = None
    p: float | None = None
    lag: int | None = None


@dataclass(frozen=True)
class Seam(Record):
    """Result of `seam_statistics`.

    Attributes:
        size, count: Size and number of the volumes.
        measures: One row per measure, phase and axis.
        tests: Number of tests.
        smallest_p: Smallest p times the number of tests.
        largest: The largest relative difference of label changes at the seam from those in the interior.
        standard_error: Standard error of that difference.
        interior: The same difference for a plane in the interior, which is not a seam.
    """

    size: list | int | None = None
    count: int | None = None
    measures: list[SeamRow] | None = None
    tests: int | None = None
    smallest_p: float | None = None
    largest: float | None = None
    standard_error: float | None = None
    interior: float | None = None


@dataclass(frozen=True)
class Lattice(Record):
    """Result of `lattice_statistics`.

    Attributes:
        period: Stride of the generator in voxels.
        smallest_p: Smallest p of flatness, times the number of tests.
        largest_swing: By "volume_fraction" and "label_change_rate": the largest relative deviation from the mean at a
            position of the lattice.
        swing_error: Standard errors of these.
        real_swing: The same for real sub-volumes, which have no lattice.
    """

    period: int
    smallest_p: float | None = None
    largest_swing: dict[str, float] | None = None
    swing_error: dict[str, float] | None = None
    real_swing: dict[str, float] | None = None
    fractions: list | None = None
    standard_error: list | None = None
    chi2_p: list | None = None
    label_change_rates: list | None = None
    label_change_standard_error: list | None = None
    label_change_chi2_p: list | None = None


@dataclass(frozen=True)
class Verdict(Record):
    """Outcome of a test.

    Attributes:
        test: Readable name of the test.
        outcome: "passes", "falls short", or "cannot be told" with so many volumes.
        value: The effect size, such as a relative difference of means.
        limit: The largest effect that passes: the bar, or twice the effect between real sub-volumes where that is more.
        bar: The limit that holds for every material.
        phase: The phase; None where the test covers all.
        real_from_real: The same effect between two halves of the real image; None where it is unknown.
        standard_error: Standard error of the value.
        needed: Approximate number of volumes that would decide the test; None where it is decided.
        relative: Whether value and limit are relative to the real value.
    """

    test: str
    outcome: str
    value: float
    limit: float
    bar: float
    phase: str | None = None
    real_from_real: float | None = None
    standard_error: float | None = None
    needed: int | None = None
    relative: bool = False

    @property
    def badness(self) -> float:
        """Value as a multiple of its limit."""
        return abs(self.value) / self.limit


@dataclass(frozen=True)
class ComparisonRecord(Record):
    """All results of a comparison; None for those that were not computed.

    Attributes:
        real, generated: The two sides.
        samples: Number and size of the sub-volumes.
        windows: Choice of those of the real image; None without an image.
        verdicts: All tests, worst first.
        measures: All measures of the sub-volumes.
        two_point_correlation: S2(r) / S2(0) along the axes.
        curves: Other measures that are curves, by their keys.
        leaning, classifier, nearest, seam, lattice, volumes: The tests.
        delta_ssa: Relative difference of the mean specific surface areas in percent, per phase.
        notes: Assumptions about facts that one of the sides does not state.
        seconds: Duration of each stage.
    """

    real: Side
    generated: GeneratedSide
    samples: Samples
    measures: list[MeasureRow]
    windows: Windows | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    two_point_correlation: Curves | None = None
    curves: dict[str, Curves] = field(default_factory=dict)
    leaning: Leaning | None = None
    delta_ssa: list | None = None
    volumes: Volumes | None = None
    classifier: Classifier | None = None
    nearest: Nearest | None = None
    seam: Seam | None = None
    lattice: Lattice | None = None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    version: str | None = None
    date: str | None = None
    hardware: str | None = None
    format: int = FORMAT

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases."""
        return tuple(self.real.phases or self.generated.phases or ())

    @property
    def unit_of_samples(self) -> str:
        """Word for the samples: "sub-volumes", or "windows" for slices."""
        return "windows" if self.samples.dimensions == 2 else "sub-volumes"

    def measure(
        self, key: str, phase: str | None = None, *, other: str | None = None, axis: str | None = None
    ) -> MeasureRow:
        """Return one row of the measures, such as ``record.measure("relative_diffusivity", "pore", axis="mean")``.

        Raises:
            ValueError: If there is no such row.
        """
        for row in self.measures:
            if (row.key, row.phase, row.other, row.axis) == (key, phase, other, axis):
                return row
        keys = ", ".join(dict.fromkeys(row.key for row in self.measures))
        raise ValueError(
            f"There must be a measure of that key, phase and axis. Received: {key!r}, {phase!r}, {other!r}, {axis!r}; "
            f"keys are {keys}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as a JSON-serialisable dict, with None for missing and uncomputed values."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(ComparisonRecord)}
        return plain({"format": self.format, **values})

    @classmethod
    def from_dict(cls, content: Any) -> ComparisonRecord:
        """Read a record written by `to_dict`, or by the previous version (format 1).

        Raises:
            ValueError: If the content is not such a record.
        """
        if not isinstance(content, Mapping) or content.get("format", 1) not in (1, FORMAT):
            got = content.get("format") if isinstance(content, Mapping) else type(content).__name__
            raise ValueError(
                f"A comparison must be the record of kerasgan3d.compare, a dict of format 1 or {FORMAT}. "
                f"Received: {got!r}"
            )
        try:
            content = _of_format_1(content) if content.get("format", 1) == 1 else content
        except (TypeError, AttributeError, LookupError) as error:
            raise ValueError(
                f"A comparison of format 1 must be as it was written. Received: {error!r:.200}."
            ) from error
        lacking = [key for key in ("real", "generated", "samples", "measures") if content.get(key) is None]
        if lacking:
            raise ValueError(
                "A comparison must hold 'real', 'generated', 'samples' and 'measures', as kerasgan3d.compare makes it. "
                f"Received: a record without {lacking[0]!r}"
            )
        return _built(cls, {**content, "format": FORMAT}, "comparison")

    def excerpt(self) -> ComparisonRecord:
        """Return the excerpt for a card: the measures that are judged, without values of single sub-volumes."""

        def rows(measures):
            judged = (row for row in measures if ALL[row.key].bar is not None)
            return [dataclasses.replace(row, real=None, generated=None) for row in judged]

        def curves(found):
            return found and dataclasses.replace(found, lags=None, real=None, generated=None)

        volumes = self.volumes and dataclasses.replace(
            self.volumes,
            measures=rows(self.volumes.measures),
            two_point_correlation=curves(self.volumes.two_point_correlation),
        )
        sides = self.leaning and {
            side: found and LeaningSide(found.largest, found.smallest_p, found.error_of_largest)
            for side, found in (("generated", self.leaning.generated), ("real", self.leaning.real))
        }
        lattice = self.lattice and Lattice(
            self.lattice.period,
            self.lattice.smallest_p,
            self.lattice.largest_swing,
            self.lattice.swing_error,
            self.lattice.real_swing,
        )
        return dataclasses.replace(
            self,
            measures=rows(self.measures),
            two_point_correlation=curves(self.two_point_correlation),
            curves={key: curves(found) for key, found in self.curves.items()},
            leaning=sides and Leaning(**sides),
            volumes=volumes,
            nearest=self.nearest and dataclasses.replace(self.nearest, generated=None, real=None),
            seam=self.seam and dataclasses.replace(self.seam, measures=None),
            lattice=lattice,
        )


def plain(values: Any) -> Any:
    """Convert records, arrays and numbers to JSON types, with None for numbers that are not finite."""
    if dataclasses.is_dataclass(values) and not isinstance(values, type):
        return {item.name: plain(getattr(values, item.name)) for item in dataclasses.fields(values)}
    if isinstance(values, Mapping):
        return {str(key): plain(value) for key, value in values.items()}
    if isinstance(values, np.ndarray | np.generic):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return None if isinstance(values, float) and not np.isfinite(values) else values


def distances(values: Any) -> Distances | None:
    """Summarise distances; return None for None."""
    values = [value for value in values or () if value is not None]
    return Distances(len(values), float(np.mean(values)), min(values)) if values else None


def worst_of(largest_difference: Any) -> list | None:
    """Return the largest difference of each phase over the axes, None for a phase that is absent on one side."""
    if largest_difference is None:
        return None
    return [max((value for value in row if value is not None), default=None) for row in largest_difference]


def _of_format_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a record of format 1, or an excerpt of one, to format 2."""
    found = dict(content)
    names = [row.get("phase") for row in content.get("measures") or () if isinstance(row, Mapping)]
    phases = [name for name in dict.fromkeys(names) if name]
    found.setdefault("real", {"name": "real", "phases": phases})
    found.setdefault("generated", {"name": "generated"})
    found["two_point_correlation"] = _curves_of_format_1(found.get("two_point_correlation"), found.get("max_lag"))
    volumes = found.get("volumes")
    if isinstance(volumes, Mapping):
        curves = _curves_of_format_1(volumes.get("two_point_correlation"), None)
        found["volumes"] = {**volumes, "two_point_correlation": curves}
    nearest = found.get("nearest")
    if isinstance(nearest, Mapping):
        nearest = dict(nearest)
        for side in ("generated", "real"):
            short = isinstance(nearest.get(side), Mapping)
            nearest[f"{side}_distances"] = nearest.get(side) if short else plain(distances(nearest.get(side)))
            nearest[side] = None if short else nearest.get(side)
        found["nearest"] = nearest
    seam = found.get("seam")
    if isinstance(seam, Mapping) and seam.get("measures"):
        p = [one for row in seam["measures"] if isinstance(row, Mapping) and (one := row.get("p")) is not None]
        found["seam"] = {"tests": len(p), "smallest_p": min(1.0, min(p) * len(p)) if p else None, **seam}
    # Excerpts of format 1 held transport separately, axis by axis.
    extra = [row for row in content.get("transport") or () if isinstance(row, Mapping)]
    if isinstance(found.get("measures"), list) and extra:
        found["measures"] = [
            {**row, "axis": "mean"} if row.get("key") == extra[0].get("key") else row for row in found["measures"]
        ] + extra
    return found


def _curves_of_format_1(found: Any, max_lag: Any) -> Any:
    if isinstance(found, list):  # an excerpt: the largest difference of each phase
        return {"worst": found, "max_lag": max_lag}
    if isinstance(found, Mapping):
        lags = found.get("lags") or [None]
        return {**found, "worst": worst_of(found.get("largest_difference")), "max_lag": lags[-1]}
    return found


def _hints(cls: type) -> dict[str, Any]:
    """Return the types of a record's attributes."""
    if cls not in _CACHE:
        hints = typing.get_type_hints(cls)
        _CACHE[cls] = {item.name: hints[item.name] for item in dataclasses.fields(cls)}
    return _CACHE[cls]


def _built(cls: Any, content: Any, where: str) -> Any:
    """Build a record from JSON content, ignoring unknown entries."""
    if not isinstance(content, Mapping):
        raise ValueError(f"`{where}` must be an object. Received: {content!r:.80}.")
    hints = _hints(cls)
    missing = [
        item.name
        for item in dataclasses.fields(cls)
        if item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
        and (item.name not in content or (content[item.name] is None and not _is_optional(hints[item.name])))
    ]
    if missing:
        raise ValueError(f"`{where}` must hold {', '.join(missing)}. Received: an object without.")
    known = {name: hint for name, hint in hints.items() if name in content}
    values = {}
    for name, hint in known.items():
        if content[name] is None and not _is_optional(hint):
            continue  # the default
        values[name] = _checked(content[name], hint, f"{where}.{name}")
    return cls(**values)


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _checked(value: Any, hint: Any, where: str) -> Any:
    """Convert a JSON value to the type of a hint."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            return _built(kind, value, where)
        if origin is list and isinstance(value, list | tuple):
            return [_checked(item, arguments[0], where) for item in value] if arguments else list(value)
        if origin is dict and isinstance(value, Mapping):
            return {str(key): _checked(item, arguments[1], where) for key, item in value.items()}
        if kind is float and (isinstance(value, float) or (type(value) is int and abs(value) < 2**1000)):
            return float(value)
        if kind in (int, str, bool) and type(value) is kind:
            return value
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds if kind is not type(None))
    raise ValueError(f"`{where}` must be {names}. Received: {value!r:.80}.")
