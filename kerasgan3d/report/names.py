"""How measures and axes are called, for readers."""

from kerasgan3d.metrics.registry import MEASURES

_OTHERS = {"label_change_rate": "label changes"}


def measure_name(key):
    """Return the reader's name of a measure, such as "volume fraction" for "volume_fraction"."""
    return MEASURES[key].name if key in MEASURES else _OTHERS.get(key) or str(key).replace("_", " ")


def axis_name(axis):
    """Return the reader's name of an axis: "z", "y", "x" or "mean" (of the axes), or nothing for None."""
    return "" if axis is None else str(axis)
