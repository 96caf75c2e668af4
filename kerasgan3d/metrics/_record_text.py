"""A record of measures as a table for people: at most 100 columns wide, phases side by side."""

import math
import textwrap
from typing import NamedTuple

import numpy as np

WIDTH = 100

# Sub-volumes of one material differ in the third digit; what is exact is in the record itself.
_DIGITS = 3
_LAGS = (2, 8, 32)
_LONGEST_NAME = 16
_ESTIMATE = " *"


class _Row(NamedTuple):
    """A line of the table: what it is, its unit, its axis or distance, and a text for each phase."""

    measure: str
    unit: str
    of: str
    values: list


def record_text(record):
    """Return a Measurement as text: what was measured, a table, and what one must know to read it."""
    parts = [_subject(record), *_tables(list(_rows(record)), record.phases), _boundaries(record), _notes(record)]
    return "\n\n".join(part for part in parts if part)


def _subject(record):
    image, element = ("slice", "pixels") if len(record.shape) == 2 else ("volume", "voxels")
    axes = "zyx"[-len(record.shape) :]
    size = " x ".join(str(length) for length in record.shape)
    extent = " x ".join(_number(length * record.voxel_size) for length in record.shape)
    wraps = ", ".join(axis for axis, periodic in zip(axes, record.periodic, strict=True) if periodic)
    return (
        f"{image} of {size} {element} ({', '.join(axes)}) of {record.voxel_size:g} µm, {extent} µm, "
        f"{'periodic along ' + wraps if wraps else 'not periodic'}"
    )


def _rows(record):
    def label(name, text):
        return text + (_ESTIMATE if name in record.stereology else "")

    yield _Row(label("volume_fractions", "volume fraction"), "", "", _texts(record.volume_fractions, decimals=3))
    if record.specific_surface_area_marching_cubes is not None:
        yield _Row("specific surface area, mesh", "1/µm", "", _texts(record.specific_surface_area_marching_cubes))
    faces = label("specific_surface_area", "specific surface area, voxel faces")
    yield _Row(faces, "1/µm", "", _texts(record.specific_surface_area))
    if len(record.phases) > 2:
        for index, (phase, areas) in enumerate(zip(record.phases, record.interfacial_areas, strict=True)):
            text = label("interfacial_areas", f"interface with {_short(phase)}, voxel faces")
            values = _texts(areas)
            values[index] = "-"
            yield _Row(text, "1/µm", "", values)
    for name, text, decimals in (
        ("connected_fractions", "connected fraction", 3),
        ("relative_diffusivity", "relative diffusivity D_eff/D_0", None),
        ("tortuosity_factor", "tortuosity factor", None),
        ("macmullin_number", "MacMullin number", None),
    ):
        values = getattr(record, name)
        if values is not None:
            for axis, letter in enumerate("zyx"):
                yield _Row("" if axis else text, "", letter, _texts(values[:, axis], decimals))
    yield from _correlation_rows(record, label)


def _correlation_rows(record, label):
    name, text = "radial_two_point_correlation", "two-point correlation S2, radial"
    correlation = record.radial_two_point_correlation
    if correlation is None:
        name, text = "two_point_correlation", "two-point correlation S2, mean of axes"
        correlation = record.two_point_correlation.mean(axis=1)
    first = label(name, text)
    for lag in (lag for lag in _LAGS if lag < correlation.shape[-1]):
        distance = f"{_number(lag * record.voxel_size)} µm"
        yield _Row(first, "", distance, _texts(correlation[:, lag], decimals=3))
        first = ""


def _tables(rows, phases):
    """Return the rows as one table, or several where the phases need more than the width."""
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
    """Return a column: the name of the phase, and numbers with their decimal points below each other."""
    parts = [text.partition(".") for text in texts]
    before = max(len(whole) for whole, _, _ in parts)
    after = max(len(point + decimals) for _, point, decimals in parts)
    width = max(before + after, len(name))
    return [name.rjust(width)] + [
        (whole.rjust(before) + (point + decimals).ljust(after)).rjust(width) for whole, point, decimals in parts
    ]


def _boundaries(record):
    if record.triple_phase_boundary_density is None:
        return ""
    mark = _ESTIMATE if "triple_phase_boundary_density" in record.stereology else ""
    lines = [("triple-phase boundary density, voxel edges" + mark, record.triple_phase_boundary_density)]
    if record.active_triple_phase_boundary_density is not None:
        lines.append(("  of it active", record.active_triple_phase_boundary_density))
    texts = _aligned([_number(value) for _, value in lines], "")[1:]
    width = max(len(text) for text, _ in lines)
    return "\n".join(f"{text:<{width}}  1/µm²  {value}".rstrip() for (text, _), value in zip(lines, texts, strict=True))


def _notes(record):
    scale = (
        "Areas and lengths are per volume of the whole, not of a phase. Voxel faces and edges make steps, on average "
        "3/2 of a smooth surface or line."
    )
    if record.specific_surface_area_marching_cubes is not None:
        scale += " The mesh, by marching cubes, is some 9 % more than a smooth surface."
    notes = [textwrap.fill(scale, WIDTH)]
    if record.tortuosity_factor is not None and np.isinf(record.tortuosity_factor).any():
        notes.append("inf: the phase does not connect the two ends of the volume.")
    if record.stereology:
        estimates = (
            f"{_ESTIMATE.strip()} Estimates of a volume's values from a slice by stereology, right for isotropic "
            "material. A slice does not tell connectivity and transport."
        )
        notes.append(textwrap.fill(estimates, WIDTH, subsequent_indent="  "))
    return "\n".join(notes)


def _texts(values, decimals=None):
    return [_number(value, decimals) for value in values]


def _number(value, decimals=None):
    """Return a number with so many decimals, or by default with so many significant digits; "-" for NaN."""
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
