"""Records of measures as readable tables: at most 100 columns wide, phases side by side."""

import dataclasses
import math
import textwrap
from typing import NamedTuple

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.metrics._measure import CURVES, PER_PAIR, PER_PHASE, PER_PHASE_AND_AXIS, RADIAL_CURVES, SIZE_CURVES
from kerasgan3d.metrics.registry import ALL

WIDTH = 100

# Sub-volumes of one material differ in the third digit; what is exact is in the record itself.
_DIGITS = 3
_SHOWN = {"lags": (2, 8, 32), "radii": (4, 8, 12)}  # voxels
_LONGEST_NAME = 16
_ESTIMATE = " *"


class _Row(NamedTuple):
    """A row of the table: its name, its unit, its axis or distance, and a text for each phase."""

    measure: str
    unit: str
    of: str
    values: list


def record_text(record):
    """Return a Measurement as text: its subject, a table, and notes for reading it."""
    rows = [*_rows(record), *_sure_rows(record)]
    parts = [_subject(record), *_tables(rows, record.phases), _scalars(record), _notes(record), _sure_note(record)]
    return "\n\n".join(part for part in parts if part)


def record_rows(record):
    """Return the rows of a Measurement's table; numbers of the whole volume are in the column of the first phase."""
    scalars = [
        _Row(_label(record, row), row.unit, "", [_number(getattr(record, key)), *[""] * (len(record.phases) - 1)])
        for key, row in ALL.items()
        if not row.shape and getattr(record, key) is not None
    ]
    return [*_rows(record), *scalars]


def _subject(record):
    image, element = ("slice", "pixels") if len(record.shape) == 2 else ("volume", "voxels")
    axes = AXES[-len(record.shape) :]
    size = " x ".join(str(length) for length in record.shape)
    if record.voxel_size is None:
        edges = "unknown size"
    else:
        extent = " x ".join(_number(length * record.voxel_size) for length in record.shape)
        edges = f"{record.voxel_size:g} µm, {extent} µm"
    wraps = ", ".join(axis for axis, periodic in zip(axes, record.periodic, strict=True) if periodic)
    return (
        f"{image} of {size} {element} ({', '.join(axes)}) of {edges}, "
        f"{'periodic along ' + wraps if wraps else 'not periodic'}"
        + (f", {100 * record.excluded:.3g} % of it left out" if record.excluded else "")
    )


def _rows(record):
    for key, row in ALL.items():
        values = getattr(record, key)
        hidden = row.unless is not None and getattr(record, row.unless) is not None
        if values is not None and row.shape and not hidden:
            yield from _BY_SHAPE[row.shape](record, row, values, _label(record, row))


def _sure_rows(record):
    """Yield the half widths of confidence intervals, and the edges at which they would be as requested."""
    sure = record.confidence
    if sure is None:
        return
    for key, interval in sure.intervals.items():
        row = ALL[key]
        if row.shape in (PER_PHASE, PER_PHASE_AND_AXIS):
            half = dataclasses.replace(row, decimals=None)
            yield from _BY_SHAPE[row.shape](record, half, interval.half_width, f"± {row.name}")
            if row.shape == PER_PHASE:
                edge = dataclasses.replace(row, unit="µm", unit_of_slice="µm", decimals=None)
                size = record.voxel_size or 1
                yield from _per_phase(record, edge, interval.edge * size, f"  edge for {100 * sure.within:g} %")


def _sure_note(record):
    sure = record.confidence
    if sure is None:
        return ""
    return textwrap.fill(
        f"±: with {100 * sure.level:g} % confidence the material's value lies so close to the image's. Edge: of an "
        f"image that would tell it within {100 * sure.within:g} %.",
        WIDTH,
    )


def _label(record, row):
    return row.label_in(len(record.shape)) + (_ESTIMATE if row.key in record.stereology else "")


def _per_phase(record, row, values, label):
    yield _Row(label, _unit(record, row), "", _texts(values, row.decimals))


def _per_pair(record, row, values, label):
    if len(record.phases) < 3:  # the surface of either phase says it
        return
    for index, (phase, areas) in enumerate(zip(record.phases, values, strict=True)):
        texts = _texts(areas, row.decimals)
        texts[index] = "-"
        yield _Row(label.format(phase=_short(phase)), _unit(record, row), "", texts)


def _per_axis(record, row, values, label):
    for axis, letter in enumerate(AXES[-len(record.shape) :]):
        yield _Row("" if axis else label, _unit(record, row), letter, _texts(values[:, axis], row.decimals))


def _curve(record, row, values, label):
    values = values.mean(axis=1) if "axes" in row.shape else values
    for lag in (lag for lag in _SHOWN[row.shape[-1]] if lag < values.shape[-1]):
        distance = f"{lag} voxels" if record.voxel_size is None else f"{_number(lag * record.voxel_size)} µm"
        yield _Row(label, _unit(record, row), distance, _texts(values[:, lag], row.decimals))
        label = ""


_BY_SHAPE = {
    PER_PHASE: _per_phase,
    PER_PAIR: _per_pair,
    PER_PHASE_AND_AXIS: _per_axis,
    CURVES: _curve,
    RADIAL_CURVES: _curve,
    SIZE_CURVES: _curve,
}


def _unit(record, row):
    unit = row.unit_in(len(record.shape))
    return "" if unit == "1" else unit


def _tables(rows, phases):
    """Return the rows as one table, or as several where the phases exceed the width."""
    names = [_short(phase) for phase in phases]
    rows = [_Row("", "unit", "", names), *rows]
    heads = _columns([row[:3] for row in rows], [str.ljust, str.ljust, str.rjust])
    columns = [_aligned([row.values[phase] for row in rows[1:]], name) for phase, name in enumerate(names)]
    start = 0
    while start < len(columns):
        end, width = start, len(heads[0])
        while end < len(columns) and (end == start or width + 2 + len(columns[end][0]) <= WIDTH):
            width += 2 + len(columns[end][0])
            end += 1
        yield "\n".join("  ".join(line).rstrip() for line in zip(heads, *columns[start:end], strict=True))
        start = end


def _columns(rows, justify):
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    return ["  ".join(f(text, width) for f, text, width in zip(justify, row, widths, strict=True)) for row in rows]


def _aligned(texts, name):
    """Return a column: the name of the phase, and numbers with aligned decimal points."""
    parts = [text.partition(".") for text in texts]
    before = max(len(whole) for whole, _, _ in parts)
    after = max(len(point + decimals) for _, point, decimals in parts)
    width = max(before + after, len(name))
    return [name.rjust(width)] + [
        (whole.rjust(before) + (point + decimals).ljust(after)).rjust(width) for whole, point, decimals in parts
    ]


def _scalars(record):
    """Return the single numbers of the whole volume, one per line."""
    told = [(row, getattr(record, key)) for key, row in ALL.items() if not row.shape]
    told = [(_label(record, row), row.unit, value) for row, value in told if value is not None]
    if not told:
        return ""
    texts = _aligned([_number(value) for *_, value in told], "")[1:]
    width = max(len(label) for label, *_ in told)
    return "\n".join(
        f"{label:<{width}}  {unit}  {text}".rstrip() for (label, unit, _), text in zip(told, texts, strict=True)
    )


def _notes(record):
    scale = (
        "Areas and lengths are per volume of the whole, not of a phase. Voxel faces and edges make steps, on average "
        "3/2 of a smooth surface or line."
    )
    told = {key: row for key, row in ALL.items() if row.note and getattr(record, key) is not None}
    for row in told.values():
        if row.unit != "1":
            scale += f" {row.note}"
    notes = [] if record.voxel_size is None else [textwrap.fill(scale, WIDTH)]
    notes += dict.fromkeys(
        row.note for key, row in told.items() if row.unit == "1" and np.isinf(getattr(record, key)).any()
    )
    if record.stereology:
        estimates = (
            f"{_ESTIMATE.strip()} Estimates of a volume's values from a slice by stereology, right for isotropic "
            "material. A slice does not tell connectivity and transport."
        )
        notes.append(textwrap.fill(estimates, WIDTH, subsequent_indent="  "))
        own = [
            row.name
            for key, row in ALL.items()
            if row.of_slice is not None and not row.stereology and record[key] is not None
        ]
        if own:
            notes.append(textwrap.fill(f"Its own are {', '.join(own)}: compare slices with slices.", WIDTH))
    return "\n".join(notes)


def _texts(values, decimals=None):
    return [_number(value, decimals) for value in values]


def _number(value, decimals=None):
    """Return a number with a number of decimals, or by default of significant digits; "-" for NaN."""
    if math.isnan(value):
        return "-"
    if math.isinf(value) or value == 0:
        return f"{value:g}"
    if decimals is not None and round(abs(value), decimals) > 0:
        return f"{value:.{decimals}f}"
    rounded = float(f"{value:.{_DIGITS - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if not -5 <= exponent < 6:
        return f"{value:.{_DIGITS - 1}e}"
    return f"{rounded:.{max(0, _DIGITS - 1 - exponent)}f}"


def _short(name):
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
