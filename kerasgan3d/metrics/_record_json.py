"""A record of measures as JSON: what each entry is, and the way there and back."""

import math
from typing import NamedTuple

import numpy as np

from kerasgan3d.checks import check_voxel_size
from kerasgan3d.phases import PhaseMap

FORMAT = 1


class Entry(NamedTuple):
    """The unit of a measure, the dimensions of its array, and whether a record may do without it."""

    unit: str
    dimensions: tuple
    optional: bool = False


ENTRIES = {
    "volume_fractions": Entry("1", ("phases",)),
    "specific_surface_area": Entry("1/µm", ("phases",)),
    "specific_surface_area_marching_cubes": Entry("1/µm", ("phases",), optional=True),
    "interfacial_areas": Entry("1/µm", ("phases", "phases")),
    "triple_phase_boundary_density": Entry("1/µm²", (), optional=True),
    "active_triple_phase_boundary_density": Entry("1/µm²", (), optional=True),
    "connected_fractions": Entry("1", ("phases", "axes"), optional=True),
    "relative_diffusivity": Entry("1", ("phases", "axes"), optional=True),
    "tortuosity_factor": Entry("1", ("phases", "axes"), optional=True),
    "macmullin_number": Entry("1", ("phases", "axes"), optional=True),
    "two_point_correlation": Entry("1", ("phases", "axes", "lags")),
    "radial_two_point_correlation": Entry("1", ("phases", "lags"), optional=True),
}
UNITS = {"voxel_size": "µm", **{name: entry.unit for name, entry in ENTRIES.items()}}
_FACTS = ("phases", "voxel_size", "shape", "periodic", "stereology")


def to_json(value):
    """Return a value of a Measurement as JSON has it; inf becomes "inf", NaN null."""
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def from_json(record):
    """Return the attributes that a record of `Measurement.to_dict` holds, or say what is wrong with it."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(
            f'A measurement must be a dict with "format": {FORMAT}, made by `Measurement.to_dict`. '
            f"Received: {record!r:.100}."
        )
    missing = [name for name in (*_FACTS, *ENTRIES, "units") if name not in record]
    if missing:
        raise ValueError(f"A measurement must have every entry. Received: one without {', '.join(missing)}.")
    if record["units"] != UNITS:
        raise ValueError(f"The units of a measurement must be {UNITS}. Received: {record['units']!r}.")
    phases = PhaseMap(record["phases"]).names
    shape = _checked_list(record, "shape", "numbers of voxels", lambda size: type(size) is int and size > 0)
    periodic = _checked_list(record, "periodic", "bools", lambda flag: isinstance(flag, bool))
    stereology = _checked_list(record, "stereology", "names of measures", lambda name: name in tuple(ENTRIES))
    if len(shape) not in (2, 3) or len(periodic) != len(shape):
        raise ValueError(
            "`shape` and `periodic` must have one item for each of z, y, x, or of y, x. "
            f"Received: {shape} and {periodic}."
        )
    sizes = {"phases": len(phases), "axes": len(shape)}
    return {
        "phases": phases,
        "voxel_size": check_voxel_size(record["voxel_size"]),
        "shape": shape,
        "periodic": periodic,
        "stereology": stereology,
        **{name: _checked_values(name, record[name], sizes) for name in ENTRIES},
    }


def _checked_list(record, name, rule, holds):
    """Return a list of a record as a tuple, if every item of it `holds`."""
    items = record[name]
    if not isinstance(items, (list, tuple)) or not all(holds(item) for item in items):
        raise ValueError(f"`{name}` must be a list of {rule}. Received: {items!r:.100}.")
    return tuple(items)


def _checked_values(name, values, sizes):
    """Return one measure of a record as an array or a number; `sizes` learns the number of lags."""
    entry = ENTRIES[name]
    if values is None and entry.optional:
        return None
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if "lags" in entry.dimensions and array.ndim == len(entry.dimensions):
        sizes.setdefault("lags", array.shape[-1])
    if array.shape != tuple(sizes.get(dimension) for dimension in entry.dimensions):
        of = " x ".join(entry.dimensions) or "one"
        raise ValueError(f"`{name}` must be {of} numbers. Received: {values!r:.100}.")
    return array if entry.dimensions else float(array)
