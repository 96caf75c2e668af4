"""`Measure`: one row of the table of measures, with everything that other modules need to know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.metrics._check import Checked, require_voxel_size
from kerasgan3d.metrics._count import count_unlike_neighbours

# The dimensions of a measure's array; n phases, axes z, y, x.
SCALAR = ()
PER_PHASE = ("phases",)
PER_PAIR = ("phases", "phases")  # symmetric, its diagonal zero
PER_PHASE_AND_AXIS = ("phases", "axes")
CURVES = ("phases", "axes", "lags")
RADIAL_CURVES = ("phases", "lags")
SIZE_CURVES = ("phases", "radii")


class OnBlocks(NamedTuple):
    """Computation of a measure of a volume larger than memory from its blocks.

    Attributes:
        value: Function from the sum of what was counted, and the `Whole`, to the measure.
        count: Function from a `Part` to integers that add up over the blocks; None where there is nothing to count
            that other measures do not count.
        active: Whether to count in a second pass, when it is known which clusters percolate (`Part.within`).
        margin: Voxels around a block that `count` needs (`Part.around`), in the first pass; a function of the `Plan`
            where that depends on the volume.
    """

    value: Callable[[Any, Any], Any]
    count: Callable[[Any], Any] | None = None
    active: bool = False
    margin: int | Callable[[Any], int] = 0


@dataclass(frozen=True, eq=False)
class Measure:
    """A measure of a labelled image: its name, its computation, and the comparison of two samples of it.

    Attributes:
        key: Its name in records, in JSON and in Python.
        name: Its name for people.
        unit: "1" where it has none.
        shape: Dimensions of its array, one of those above.
        method: How it is computed, in one or two sentences for readers of a report.
        of_volume: Function from a `Subject` of three dimensions to the array.
        of_sub_volume: The same of one of many sub-volumes of one shape that are compared, where that is another thing;
            of a curve, values at the start of which is the volume fraction, so that means over means are shares.
        of_slice: The same of one slice. None where a slice does not tell it.
        stereology: Whether a slice's value estimates that of the volume it was cut from, right for isotropic material.
            False: it is the slice's own, such as the share in discs, to be compared with that of slices alone.
        unit_of_slice, label_of_slice: Unit and label of a slice's value, where they are not those of a volume's.
        on_blocks: How it follows from blocks; None where it does not.
        within: How the value of a part of the image follows, where the rest counts as one phase more: a function from
            what was measured so, by key, and the `Inside`, to the array; None where it does not.
        needs: "three phases", "percolation" (what connects the ends of a volume), "transport", "shapes",
            "particles" and "permeability" (costly: only where they are asked for).
        cost: About how long it takes, in units of 10 ms at 128^3 voxels of three phases, for progress; a function of
            the Subject where that depends on it.
        label: Its name in tables, "{phase}" standing for the other phase of a pair; default: the name.
        decimals: Decimals in tables; None: three significant digits.
        note: What a reader of a table must know of it.
        unless: Key of another measure; where that has a value, tables show it instead.
        sampled: Whether it is measured of every sub-volume when many are compared.
        digits: Significant digits that are kept of a sub-volume's value; None: all.
        mean_of_axes: Whether comparisons judge the mean of its axes instead of each.
        whole: Whether sub-volumes of any size have the value of the whole image on average, so that a comparison takes
            the real mean from all of it.
        bar: The largest difference of means that a comparison lets pass, relative to the real mean (of curves:
            absolute). None: it is shown and not judged.
        headline: Whether short tables show it among what is judged.
        spread: The least and the largest ratio of standard deviations, generated to real, that pass; None: not judged.
        monitored: Whether a training run watches it, and reference statistics hold its mean and standard deviation.
        section, figure: Where a report draws it: "structure" or "transport", and the title of the figure, which
            measures may share; None draws it nowhere.
    """

    key: str
    name: str
    unit: str
    shape: tuple[str, ...]
    method: str
    of_volume: Callable[[Subject], Any]
    of_slice: Callable[[Subject], Any] | None = None
    stereology: bool = False
    unit_of_slice: str | None = None
    label_of_slice: str | None = None
    of_sub_volume: Callable[[Subject], Any] | None = None
    on_blocks: OnBlocks | None = None
    within: Callable[[Any, Any], Any] | None = None
    needs: frozenset[str] = frozenset()
    cost: float | Callable[[Subject], float] = 1
    label: str | None = None
    decimals: int | None = None
    note: str = ""
    unless: str | None = None
    sampled: bool = True
    digits: int | None = None
    mean_of_axes: bool = False
    whole: bool = False
    bar: float | None = None
    headline: bool = True
    spread: tuple[float, float] | None = None
    monitored: bool = False
    section: str | None = None
    figure: str | None = None

    @property
    def is_curve(self) -> bool:
        """Whether the measure is a function of distance or size."""
        return self.shape[-1:] in (("lags",), ("radii",))

    def unit_in(self, dimensions: int) -> str:
        """Return the unit of the value of a volume, or of a slice for two dimensions."""
        return self.unit_of_slice or self.unit if dimensions == 2 else self.unit

    def label_in(self, dimensions: int) -> str:
        """Return the name in tables of the value of a volume, or of a slice for two dimensions."""
        label = self.label or self.name
        return self.label_of_slice or label if dimensions == 2 else label

    def told_by(self, subject: Subject) -> bool:
        """Tell whether an image has this measure."""
        met = met_needs(subject.n_measured, transport=bool(subject.conducting), shapes=subject.shapes)
        met |= {"particles"} if subject.particles else set()
        met |= {"permeability"} if subject.flowing else set()
        dimensions = subject.labels.ndim
        if subject.voxel_size is None and self.unit_in(dimensions) != "1":
            return False
        return self.needs <= met and (dimensions == 3 or self.of_slice is not None)


def met_needs(n_phases: int, *, transport: bool, shapes: bool) -> set[str]:
    """Return the `needs` of measures that are met by an image and the requested options."""
    met = {"percolation": True, "three phases": n_phases >= 3, "transport": transport, "shapes": shapes}
    return {need for need, is_met in met.items() if is_met}


class Subject:
    """A labelled image while it is measured. ``subject[measure.key]`` is the value of a measure, computed once.

    Args:
        checked: Labels that passed `check_volume` or `check_slice`, with their voxel size.
        measures: The measures by their keys.
        max_lag: Largest distance of two-point correlations, in voxels; None: half the smallest dimension.
        conducting: Indices of the phases whose transport is asked for.
        shapes: Whether the costly measures of shape are asked for.
        particles: Whether those that `measure` takes with `particles` are.
        flowing: Indices of the phases whose permeability is asked for.
        units: Whether measures that have a unit are.
        excluding: Whether the last phase stands for voxels that are not measured.
        progress: Function that is called with (done, total, what comes next) before every step.
    """

    def __init__(
        self,
        checked: Checked,
        measures: dict[str, Measure] | None = None,
        *,
        max_lag: int | None = None,
        conducting: tuple[int, ...] = (),
        shapes: bool = True,
        particles: bool = False,
        flowing: tuple[int, ...] = (),
        units: bool = True,
        excluding: bool = False,
        progress: Callable[[float, float, str], None] | None = None,
    ):
        self.labels, self.n_phases, self.periodic, _ = checked
        self.n_measured = self.n_phases - excluding
        self.voxel_size: Any = require_voxel_size(checked) if units else None
        self.max_lag, self.conducting, self.shapes = max_lag, tuple(dict.fromkeys(conducting)), shapes
        self.particles, self.flowing = particles, tuple(dict.fromkeys(flowing))
        self._progress = progress
        self._measures = {key: row for key, row in (measures or {}).items() if row.told_by(self)}
        self._values: dict[str, Any] = {}
        self._shared: dict[Any, Any] = {}
        self._done = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """Keywords for the functions that measure it."""
        return {"n_phases": self.n_phases, "periodic": self.periodic}

    @cached_property
    def faces(self) -> np.ndarray:
        """Neighbouring voxels, or pixels, of unlike phases: int64 (n, n)."""
        return count_unlike_neighbours(self.labels, self.n_phases, self.periodic)

    def once(self, compute: Callable[[], Any], name: Any) -> Any:
        """Return the result of a function that several measures need, computed once per name."""
        if name not in self._shared:
            self._shared[name] = compute()
        return self._shared[name]

    def measured(self) -> dict[str, Any]:
        """Return every measure that the image has, by its key."""
        found = {key: self[key] for key in self._measures}
        if self._progress is not None:
            self._progress(self._total, self._total, "done")
        return found

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            row = self._measures[key]
            if not callable(row.cost):
                self.begin(row.name, row.cost)
            compute = row.of_volume if self.labels.ndim == 3 or row.of_slice is None else row.of_slice
            self._values[key] = compute(self)
        return self._values[key]

    def begin(self, what: str, cost: float) -> None:
        """Report that a step begins, with its estimated duration."""
        if self._progress is not None:
            self._progress(self._done, self._total, what)
        self._done += cost

    @cached_property
    def _total(self) -> float:
        return sum(row.cost(self) if callable(row.cost) else row.cost for row in self._measures.values())
