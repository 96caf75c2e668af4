"""Conversion of records of measures to JSON and back, including records of earlier versions."""

import math

import numpy as np

from kerasgan3d.checks import check_voxel_size
from kerasgan3d.folder import current_keys
from kerasgan3d.metrics.confidence import Confidence
from kerasgan3d.metrics.registry import ALL, MEASURES, ON_REQUEST
from kerasgan3d.phases import PhaseMap

FORMAT = 2
_FACTS = ("phases", "voxel_size", "shape", "periodic", "stereology")
# Those that every record has; what else there is depends on the image and on the version that measured it.
_ALWAYS = ("volume_fraction", "specific_surface_area", "interfacial_area", "two_point_correlation")


def units_of(dimensions, keys=MEASURES):
    """Return the unit of each number of a record of a volume, or a slice, that has these keys."""
    units = {key: row.unit_in(dimensions) for key, row in ALL.items() if key in keys}
    return {"voxel_size": "µm", **({"excluded": "1"} if keys is MEASURES or "excluded" in keys else {}), **units}


def to_json(record):
    """Return a Measurement as a JSON-serialisable dict; inf becomes "inf", NaN null."""
    values = {name: plain(getattr(record, name)) for name in (*_FACTS, *MEASURES)}
    # What was not asked for is not there.
    values |= {key: plain(record[key]) for key in ON_REQUEST if record[key] is not None}
    # What is whole says nothing of what was left out, as it always has.
    values |= {} if record.excluded is None else {"excluded": record.excluded}
    values |= {} if record.confidence is None else {"confidence": plain(record.confidence.to_dict())}
    return {"format": FORMAT, **values, "units": units_of(len(record.shape), values)}


def from_json(record):
    """Return the attributes in a record of `Measurement.to_dict`; raise a ValueError if it is invalid."""
    if not isinstance(record, dict) or record.get("format") not in (1, FORMAT):
        raise ValueError(
            f'A measurement must be a dict with "format": {FORMAT} (or 1), made by `Measurement.to_dict`. '
            f"Received: {record!r:.100}."
        )
    if record["format"] == 1:
        record = current_keys(record)
        if isinstance(record.get("units"), dict):
            record["units"] = current_keys(record["units"])
        if isinstance(record.get("stereology"), list | tuple):
            record["stereology"] = list(current_keys(dict.fromkeys(map(str, record["stereology"]))))
    missing = [name for name in (*_FACTS, *_ALWAYS, "units") if name not in record]
    if missing:
        raise ValueError(f"A measurement must have every entry. Received: one without {', '.join(missing)}.")
    phases = PhaseMap(record["phases"]).names
    shape = _checked_list(record, "shape", "numbers of voxels", lambda size: type(size) is int and size > 0)
    periodic = _checked_list(record, "periodic", "bools", lambda flag: isinstance(flag, bool))
    stereology = _checked_list(record, "stereology", "names of measures", lambda name: name in tuple(ALL))
    if len(shape) not in (2, 3) or len(periodic) != len(shape):
        raise ValueError(
            "`shape` and `periodic` must have one item for each of z, y, x, or of y, x. "
            f"Received: {shape} and {periodic}."
        )
    units = units_of(len(shape), record)
    if record["units"] != units:
        raise ValueError(f"The units of a measurement must be {units}. Received: {record['units']!r}.")
    excluded = record.get("excluded")
    if excluded is not None and not (isinstance(excluded, float) and 0 <= excluded < 1):
        raise ValueError(f"`excluded` must be a share, from 0 to less than 1. Received: {excluded!r:.100}.")
    # Without a voxel size there is nothing that has a unit.
    always = [key for key in _ALWAYS if record["voxel_size"] is not None or ALL[key].unit == "1"]
    sizes = {"phases": len(phases), "axes": len(shape)}
    return {
        "phases": phases,
        "voxel_size": check_voxel_size(record["voxel_size"]),
        "shape": shape,
        "periodic": periodic,
        "stereology": stereology,
        "excluded": excluded,
        "confidence": None if record.get("confidence") is None else Confidence.from_dict(record["confidence"]),
        **{key: _checked_values(key, record.get(key), sizes, always) for key in ALL},
    }


def plain(value):
    """Convert numbers, arrays and their containers to JSON types: inf becomes "inf", NaN null."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _checked_list(record, name, rule, holds):
    """Return a list of a record as a tuple, if every item of it `holds`."""
    items = record[name]
    if not isinstance(items, (list, tuple)) or not all(holds(item) for item in items):
        raise ValueError(f"`{name}` must be a list of {rule}. Received: {items!r:.100}.")
    return tuple(items)


def _checked_values(key, values, sizes, always):
    """Return one measure of a record as an array or a number; `sizes` learns those of lags and radii."""
    dimensions = ALL[key].shape
    if values is None and key not in always:
        return None
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if ALL[key].is_curve and array.ndim == len(dimensions):
        sizes.setdefault(dimensions[-1], array.shape[-1])
    if array.shape != tuple(sizes.get(dimension) for dimension in dimensions):
        of = " x ".join(dimensions) or "one"
        raise ValueError(f"`{key}` must be {of} number{'s' if dimensions else ''}. Received: {values!r:.100}.")
    return array if dimensions else float(array)
