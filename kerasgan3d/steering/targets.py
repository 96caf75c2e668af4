"""Targets: a measure by name, and a number that it should equal, exceed or stay below."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES, check_number
from kerasgan3d.metrics import relative_diffusivity
from kerasgan3d.metrics._check import check_volume
from kerasgan3d.metrics._measure import PER_PAIR, PER_PHASE, PER_PHASE_AND_AXIS, Measure, Subject
from kerasgan3d.metrics.registry import MEASURES
from kerasgan3d.volume import Volume

# Short names of measures; those of records are names too.
SHORT = {
    "fraction": "volume_fraction",
    "ssa": "specific_surface_area",
    "interface": "interfacial_area",
    "tpb": "triple_phase_boundary_density",
    "active_tpb": "active_triple_phase_boundary_density",
    "chord": "mean_chord_length",
    "connected": "connected_fraction",
    "D_rel": "relative_diffusivity",
    "tau": "tortuosity_factor",
    "macmullin": "macmullin_number",
    "euler": "euler_characteristic",
    "specks": "speck_density",
    "holes": "hole_density",
}
_NUMBERS = {key: row for key, row in MEASURES.items() if not row.is_curve}
# Solved for one phase and axis at a time: by far what takes longest.
_OF_DIFFUSIVITY: dict[str, Callable[[float, float], float]] = {
    "relative_diffusivity": lambda diffusivity, fraction: diffusivity,
    "tortuosity_factor": lambda diffusivity, fraction: fraction / diffusivity if diffusivity else np.inf,
    "macmullin_number": lambda diffusivity, fraction: 1 / diffusivity if diffusivity else np.inf,
}


@dataclass(frozen=True)
class Target:
    """A target value of a measure.

    Attributes:
        name: What it is of, such as "D_rel.pore.z".
        relation: "=", "<" or ">".
        wanted: The number; of a relative target the share that is to be added to a mean, 0.15 for "+15%".
        unit: Its unit, "1" where it has none.
        key: The measure's key, None for a function of its own.
        index: Where it stands in the measure's array; None along an axis for the mean over all axes.
        function: A function of a Volume that returns the number, in place of a measure.
        relative: Whether the number that is wanted is relative to a mean; see `of_mean`.
    """

    name: str
    relation: str
    wanted: float
    unit: str = "1"
    key: str | None = None
    index: tuple[int | None, ...] = ()
    function: Callable[[Volume], float] | None = None
    relative: bool = False

    def of_mean(self, mean: float) -> Target:
        """Return the target with an absolute number, given the mean to which a relative one refers."""
        return replace(self, wanted=mean * (1 + self.wanted), relative=False) if self.relative else self

    def miss(self, values: np.ndarray) -> np.ndarray:
        """Return the deviations of values from the target, 0 where it is met; infinite for missing values."""
        beyond = self.beyond(values)
        return np.where(np.isfinite(values), np.maximum(-beyond, 0.0), np.inf)

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Return the margins by which values meet the target, negative if they miss it; for "=" minus the deviation."""
        difference = values - self.wanted
        return {"=": -np.abs(difference), ">": difference, "<": -difference}[self.relation]

    def __str__(self) -> str:
        return f"{self.name}{self.relation}{f'{100 * self.wanted:+g}%' if self.relative else f'{self.wanted:g}'}"


def as_targets(targets: Any, phases: Sequence[str], voxel_size: float | None) -> tuple[Target, ...]:
    """Parse the targets of volumes of a material.

    Args:
        targets: One or several: texts, MEASURE[.PHASE[.PHASE]][.AXIS] and =, < or > and a number; or tuples (function
            of a Volume that returns a number, relation, number), the function named for what it measures. MEASURE is a
            key of a record, or one of `SHORT`; without an axis the mean over all axes is meant. A number with a sign
            and %, "+15%", is relative to the mean of what is steered.
        phases: Names of the phases.
        voxel_size: µm, or None.

    Raises:
        ValueError: if one is not of the above, or two are of the same.
    """
    given = [targets] if isinstance(targets, str) else list(targets)
    if not given:
        raise ValueError("`targets` must be one or more, such as 'D_rel.pore.z=0.2'. Received: none.")
    found = tuple(
        _parsed(target, tuple(phases), voxel_size) if isinstance(target, str) else _of_function(target)
        for target in given
    )
    names = [target.name for target in found]
    if len(set(names)) != len(names):
        raise ValueError(f"`targets` must be of different things. Received: {', '.join(map(str, found))}.")
    return found


def as_kept(
    keep: Any, targets: Sequence[Target], phases: Sequence[str], voxel_size: float | None
) -> tuple[Target, ...]:
    """Return measures that should keep their mean, as additional targets.

    Args:
        keep: One name or several: those of targets, without relation and number. A measure's name alone stands for all
            of its numbers: of each phase or pair of them, the means over the axes.
        targets: The others.
        phases, voxel_size: As for `as_targets`.

    Raises:
        ValueError: if one is no such name, or something is named twice, here or by the targets.
    """
    found, taken = [], {_thing(target): target.name for target in targets if target.key}
    for name in [keep] if isinstance(keep, str) else list(keep):
        if not isinstance(name, str):
            raise ValueError(f"`keep` must be names of measures, such as 'volume_fraction'. Received: {name!r:.200}.")
        row, places = _of_measure(name, tuple(phases), voxel_size)
        if row.shape == PER_PHASE_AND_AXIS:
            places = {place: index for place, index in places.items() if None in index}
        names = [f"{name}.{place}" for place in places] if "." not in name and row.shape else [name]
        kept = as_targets([f"{each}=+0%" for each in names], phases, voxel_size)
        for target in reversed({_thing(target): target for target in reversed(kept)}.values()):
            if _thing(target) in taken:
                raise ValueError(
                    f"`keep` must name other things than the targets, each once. Received: {target.name}, and "
                    f"{taken[_thing(target)]}."
                )
            taken[_thing(target)] = target.name
            found.append(target)
    return tuple(found)


def _thing(target: Target) -> tuple[Any, ...]:
    """Return the property of a target, independent of its name: pairs of phases have no order."""
    pair = target.key is not None and _NUMBERS[target.key].shape == PER_PAIR
    return target.key, frozenset(target.index) if pair else target.index


def measured(volume: Volume, targets: Iterable[Target]) -> list[float]:
    """Measure only the properties of targets in a volume.

    A number that does not exist is NaN; a resistance of what does not conduct is infinite.
    """
    checked = check_volume(volume)
    subject = Subject(checked, _NUMBERS, units=volume.voxel_size is not None)

    @cache
    def diffusivity(phase, axis):
        return relative_diffusivity(volume, phase, axis)

    def value(target):
        if target.function is not None:
            return float(target.function(volume))
        if target.key in _OF_DIFFUSIVITY:
            phase, axis = target.index
            fraction = subject["volume_fraction"][phase]
            axes = range(3) if axis is None else (axis,)
            return float(np.mean([_OF_DIFFUSIVITY[target.key](diffusivity(phase, a), fraction) for a in axes]))
        array = np.asarray(subject[target.key])
        return float(np.mean(array[tuple(slice(None) if i is None else i for i in target.index)]))

    return [value(target) for target in targets]


def _parsed(text: str, phases: tuple[str, ...], voxel_size: float | None) -> Target:
    parts = re.fullmatch(r"(?s)\s*(.*[^<>=\s])\s*([<>=])\s*([^<>=]*?)\s*", text)
    number = _number(parts[3]) if parts else None
    if parts is None or number is None:
        raise ValueError(
            f"a target must be a measure, =, < or >, and a number, such as D_rel.pore.z=0.2 or ssa.{phases[-1]}>0.4, "
            f"or a change of the mean with its sign, such as D_rel.pore.z=+15%. Received: {text!r:.200}."
        )
    row, places = _of_measure(parts[1], phases, voxel_size)
    measure, _, of = parts[1].partition(".")
    if of not in places:
        one_way = {index: place for place, index in reversed(places.items())}
        there = ", ".join(f"{measure}.{place}" if place else measure for place in reversed(one_way.values()))
        raise ValueError(f"a target of {measure} must be one of {there:.500}. Received: {parts[1]!r:.200}.")
    return Target(parts[1], parts[2], number[0], row.unit, row.key, places[of], relative=number[1])


def _number(text: Any) -> tuple[float, bool] | None:
    """Return the number of a target, and whether it is relative: 0.2, or "+15%"; None if it is invalid."""
    relative = isinstance(text, str) and re.fullmatch(r"[-+].*%", text) is not None
    try:
        number = float(text[:-1]) / 100 if relative else float(text)
    except (TypeError, ValueError):
        return None
    return (number, relative) if np.isfinite(number) else None


def _of_measure(
    name: str, phases: tuple[str, ...], voxel_size: float | None
) -> tuple[Measure, dict[str, tuple[int | None, ...]]]:
    """Return the measure with which a name begins, and the places of its numbers by the possible suffixes."""
    measure = name.partition(".")[0]
    key = re.sub("[ -]", "_", measure)
    row = _NUMBERS.get(SHORT.get(key, key))
    if row is None:
        raise ValueError(
            f"a target must be of a measure: {', '.join(SHORT)}, or of a record's. Received: {measure!r:.200}."
        )
    if "three phases" in row.needs and len(phases) < 3:
        raise ValueError(f"{measure} needs three phases. Received: a generator of {len(phases)}, {', '.join(phases)}.")
    if row.unit != "1" and voxel_size is None:
        raise ValueError(f"{measure} is in {row.unit} and needs a voxel size, which the generator does not know.")
    return row, _places(row, phases)


def _places(row: Measure, phases: tuple[str, ...]) -> dict[str, tuple[int | None, ...]]:
    """Return the places of a measure's numbers by the suffix of its name: phases, pairs of phases, axes."""
    numbered = list(enumerate(phases))
    if row.shape == PER_PHASE:
        return {phase: (i,) for i, phase in numbered}
    if row.shape == PER_PAIR:
        pairs = [(i, j, one, other) for i, one in numbered for j, other in numbered if i != j]
        return {f"{one}{mark}{other}": (i, j) for mark in ".-" for i, j, one, other in pairs}
    if row.shape == PER_PHASE_AND_AXIS:
        means: dict[str, tuple[int | None, ...]] = {phase: (i, None) for i, phase in numbered}
        return means | {f"{phase}.{letter}": (i, j) for i, phase in numbered for j, letter in enumerate(AXES)}
    return {"": ()}


def _of_function(target: Any) -> Target:
    if not isinstance(target, (tuple, list)) or len(target) != 3 or not callable(target[0]):
        raise ValueError(f"a target must be a text, or (function, relation, number). Received: {target!r:.200}.")
    function, relation, wanted = target
    if relation not in ("=", "<", ">"):
        raise ValueError(f"a target's relation must be =, < or >. Received: {relation!r:.200}.")
    number = _number(wanted) if isinstance(wanted, str) else (check_number(wanted, "target", -np.inf), False)
    if number is None or isinstance(wanted, str) is not number[1]:
        raise ValueError(f"a function's target must be a number, or a change such as '+15%'. Received: {wanted!r:.99}.")
    name = getattr(function, "__name__", type(function).__name__)
    return Target(name, relation, number[0], function=function, relative=number[1])
