"""Readable names of measures and axes."""

from kerasgan3d.metrics.registry import ALL

_OTHERS = {"label_change_rate": "label changes"}


def measure_name(key):
    """Return the readable name of a measure, such as "volume fraction" for "volume_fraction"."""
    return ALL[key].name if key in ALL else _OTHERS.get(key) or str(key).replace("_", " ")


def axis_name(axis):
    """Return the readable name of an axis: "z", "y", "x" or "mean" (of the axes); an empty string for None."""
    return "" if axis is None else str(axis)
