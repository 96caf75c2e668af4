"""Table of measures, one row each, used by records, blocks, comparisons, references, cards and the monitor.

How to add one: docs/contributing.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.metrics import (
    chords,
    connectivity,
    correlation,
    euler,
    fractions,
    openings,
    particles,
    permeability,
    pieces,
    profiles,
    surface,
    tpb,
    transport,
)
from kerasgan3d.metrics._measure import PER_PAIR, PER_PHASE, PER_PHASE_AND_AXIS, Measure, Subject

_ROWS = (
    fractions.VOLUME_FRACTION,
    surface.SPECIFIC_SURFACE_AREA,
    surface.SPECIFIC_SURFACE_AREA_MARCHING_CUBES,
    surface.INTERFACIAL_AREA,
    tpb.TRIPLE_PHASE_BOUNDARY_DENSITY,
    tpb.ACTIVE_TRIPLE_PHASE_BOUNDARY_DENSITY,
    openings.GRANULOMETRY,
    chords.MEAN_CHORD_LENGTH,
    euler.EULER_CHARACTERISTIC,
    pieces.SPECK_DENSITY,
    pieces.HOLE_DENSITY,
    connectivity.CONNECTED_FRACTION,
    transport.RELATIVE_DIFFUSIVITY,
    transport.TORTUOSITY_FACTOR,
    transport.MACMULLIN_NUMBER,
    transport.BRUGGEMAN_EXPONENT,
    correlation.TWO_POINT_CORRELATION,
    correlation.RADIAL_TWO_POINT_CORRELATION,
)
# Measured where they are asked for alone.
_ROWS_ON_REQUEST = (
    particles.PARTICLE_DIAMETER,
    particles.PARTICLE_SPHERICITY,
    particles.PARTICLE_CONTACT_AREA,
    profiles.LINEAL_PATH,
    profiles.FRACTION_PROFILE_SPREAD,
    permeability.PERMEABILITY,
)
MEASURES: dict[str, Measure] = {row.key: row for row in _ROWS}
ON_REQUEST: dict[str, Measure] = {row.key: row for row in _ROWS_ON_REQUEST}
ALL = {**MEASURES, **ON_REQUEST}
# Of every sub-volume that is compared: numbers, and curves.
SAMPLED = {key: row for key, row in MEASURES.items() if row.sampled and not row.is_curve}
SAMPLED_CURVES = {key: row for key, row in MEASURES.items() if row.sampled and row.is_curve}
# The same with what is measured on request.
COMPARED = {key: row for key, row in ALL.items() if row.sampled and not row.is_curve}
COMPARED_CURVES = {key: row for key, row in ALL.items() if row.sampled and row.is_curve}
# What reference statistics hold and a training run watches.
MONITORED = {key: row for key, row in MEASURES.items() if row.monitored and not row.is_curve}
MONITORED_CURVES = {key: row for key, row in MEASURES.items() if row.monitored and row.is_curve}


class Place(NamedTuple):
    """Place of a value in the array of a sub-volume, with its phase, pair and axis."""

    index: tuple[int | slice, ...]
    phase: str | None = None
    other: str | None = None
    axis: str | None = None


def places(row: Measure, phases: tuple[str, ...], axes: str = AXES) -> Iterator[Place]:
    """Yield the places of a measure's values in arrays of sub-volumes (`sampled_value`): by phase, pair, axis.

    Of a measure whose axes are judged together, the mean of the axes comes last; its index ends with a slice.

    Args:
        row: The measure.
        phases: Names of the phases.
        axes: Letters of the axes: "zyx", or "yx" of slices.
    """
    if row.shape == PER_PAIR:
        for index, (one, other) in enumerate(combinations(phases, 2)):
            yield Place((index,), one, other)
    elif row.shape == PER_PHASE:
        for index, phase in enumerate(phases):
            yield Place((index,), phase)
    elif row.shape == PER_PHASE_AND_AXIS:
        for index, phase in enumerate(phases):
            for axis, letter in enumerate(axes):
                yield Place((index, axis), phase, axis=letter)
            if row.mean_of_axes:
                yield Place((index, slice(None)), phase, axis="mean")
    elif not row.shape:
        yield Place(())


def sampled_value(row: Measure, value: Any) -> Any:
    """Return a measure in the form for sub-volumes: pairs once each, in the order of `itertools.combinations`."""
    if row.shape != PER_PAIR:
        return value
    return np.asarray(value)[np.triu_indices(len(value), 1)]


def sub_volume_value(row: Measure, subject: Subject) -> Any:
    """Return a measure of one of many sub-volumes, or windows, of one shape, as `sampled_value` does."""
    return sampled_value(row, row.of_sub_volume(subject) if row.of_sub_volume else subject[row.key])


def unit_power(unit: str) -> int:
    """Return the power of a length in a unit: -1 for 1/µm."""
    return {"1": 0, "1/µm": -1, "1/µm²": -2, "1/µm³": -3, "µm": 1, "µm²": 2}[unit]
