"""Notebook displays of volumes, generators, records and comparisons: a picture and a table.

The HTML is self-contained: it embeds its pictures, has no scripts, and escapes every text. Nothing is measured for it
that takes more than seconds.
"""

import base64
import io

import matplotlib

from kerasgan3d.checks import axis_letters
from kerasgan3d.folder import MAX_BYTES, PREVIEW, own_file
from kerasgan3d.metrics._record_text import record_rows
from kerasgan3d.palette import phase_colors
from kerasgan3d.report import figures
from kerasgan3d.report.overview import render
from kerasgan3d.report.page import verdict_list
from kerasgan3d.report.pictures import label_slices
from kerasgan3d.report.style import INK, STYLE, Picture, label_text, png_of
from kerasgan3d.report.tables import measure_table
from kerasgan3d.report.verdict import headline, verdicts_of
from kerasgan3d.texts import clipped, html_text

# Styles apply to this class only: a notebook has other tables.
_CSS = """<style>
.kerasgan3d { font: 13px/1.5 system-ui, sans-serif; max-width: 60rem; }
.kerasgan3d h4 { font-size: 15px; margin: 0 0 .4rem; }
.kerasgan3d img { max-width: 100%; height: auto; background: #fff; }
.kerasgan3d .scroll { overflow-x: auto; }
.kerasgan3d table { border-collapse: collapse; margin: .4rem 0; font-size: 12px; }
.kerasgan3d th, .kerasgan3d td { border: 0; padding: .15rem .8rem .15rem 0; text-align: right; vertical-align: top; }
.kerasgan3d th { font-weight: 600; white-space: nowrap; }
.kerasgan3d tr > :first-child, .kerasgan3d .text { text-align: left; }
.kerasgan3d .swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border: 1px solid #888; }
.kerasgan3d .unit, .kerasgan3d .legend { opacity: .7; }
</style>"""
_DPI = 100
_COLORS = 128  # colours of a picture: a third of the bytes, without a visible difference
_LARGE = 512  # voxels along an edge; larger volumes are shown in part
_LONGEST = 300
_MOST_PIXELS = 8192  # along an edge


def volume_html(volume):
    """Return a Volume as HTML: its picture, its facts, and the fractions of its phases."""
    shown = volume[(slice(0, _LARGE),) * 3]
    extent = None if volume.size_um is None else f"{_by(f'{n:.4g}' for n in volume.size_um)} µm"
    origin = volume.provenance.get("generator")
    facts = [
        ("extent", extent),
        ("voxel size", _voxel_size(volume)),
        ("periodic", f"along {', '.join(axis_letters(volume.periodic))}" if any(volume.periodic) else "no"),
        ("generator", origin.get("name") if isinstance(origin, dict) else None),
        ("seed", volume.provenance.get("seed")),
        ("shown", None if shown.shape == volume.shape else f"the first {_by(shown.shape)} voxels"),
    ]
    shares = [f"{share:.1%}".replace("%", " %") for share in shown.fractions]
    phases = _table(("phase", "fraction"), zip(_named(volume.phases), map(html_text, shares), strict=True))
    return _html(f"Volume, {_by(volume.shape)} voxels", _drawn(render(shown)), _facts(facts), phases)


def generator_html(generator):
    """Return a Generator as HTML: the picture of its folder, if any, and its facts."""
    card = generator.card
    facts = [
        ("description", card.get("description")),
        ("voxel size", _voxel_size(generator)),
        ("stride", f"{generator.stride} voxels: sizes along periodic axes are multiples of it"),
        ("padding", generator.padding),
        ("widths", ", ".join(map(str, generator.widths))),
        ("weights", f"{generator.count_params():,}"),
        ("takes fractions", "no" if generator.conditions is None else "yes"),
        ("data", card.get("data")),
        ("licence", card.get("licence")),
        ("citation", card.get("citation")),
        ("from", card.get("repo")),
        ("commit", card.get("revision")),
    ]
    phases = _table(("phases",), [[name] for name in _named(generator.phases)])
    title = f"Generator {card.get('name', '')}".strip()
    return _html(title, _preview(generator.preview), _facts(facts), phases)


def measurement_html(record):
    """Return a Measurement as HTML: fractions and two-point correlations as a figure, and all measures as a table."""
    image, element = ("slice", "pixels") if len(record.shape) == 2 else ("volume", "voxels")
    header = ("measure", "unit", "", *_named(record.phases))
    rows = ([html_text(text) for text in (row.measure, row.unit, row.of, *row.values)] for row in record_rows(record))
    title = f"Measures of a {image} of {_by(record.shape)} {element}"
    facts = [("voxel size", _voxel_size(record)), ("periodic", axis_letters(record.periodic) or "no")]
    return _html(title, _drawn(_curves(record)), _facts(facts), _table(header, rows))


def comparison_html(comparison):
    """Return a Comparison as HTML: its verdicts, slices of both sides, and the main measures."""
    record, n = comparison.record, len(comparison.record.phases)
    slices = {side: label_slices(comparison.pictures.get(side), side, n) for side in ("real", "generated")}
    measures = headline(record.measures)
    figure = figures.slice_rows(slices["real"], slices["generated"], record.phases, record.real.voxel_size)
    if figure is None and measures:
        figure = figures.box_plots([row for row in measures if row.key == measures[0].key], record.phases)
    verdicts = verdict_list(record.verdicts or verdicts_of(record), record.unit_of_samples)
    title = f"{record.generated.name} against {record.real.name}"
    return _html(title, "" if figure is None else _drawn(figure), verdicts, measure_table(measures))


def _html(title, picture, *parts):
    title = f"<h4>{html_text(clipped(title, _LONGEST))}</h4>"
    return f'<div class="kerasgan3d">{_CSS}\n{title}\n{picture}\n{"".join(parts)}</div>'


def _facts(facts):
    """Return (name, text) pairs as a table, without those whose text is empty."""
    told = [(name, clipped(str(text), _LONGEST)) for name, text in facts if text not in (None, "")]
    rows = (f'<tr><th>{html_text(name)}</th><td class="text">{html_text(text)}</td></tr>' for name, text in told)
    return f"<table>{''.join(rows)}</table>\n"


def _table(header, rows):
    """Return rows of HTML as a table."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n'


def _named(phases):
    """Return the names of phases, each next to its colour."""
    return [
        f'<span class="swatch" style="background: rgb({r}, {g}, {b})"></span>{html_text(clipped(name, _LONGEST))}'
        for name, (r, g, b) in zip(phases, phase_colors(phases).tolist(), strict=True)
    ]


def _voxel_size(thing):
    return "unknown" if thing.voxel_size is None else f"{thing.voxel_size:g} µm"


def _by(numbers):
    return " x ".join(map(str, numbers))


def _drawn(figure):
    """Return a figure as an embedded image."""
    return _image(png_of(figure, _DPI))


def _preview(path):
    """Return the picture of a preset folder as an embedded image; an empty string without a readable one.

    It may be untrusted: it is re-encoded, and not opened if it is large.
    """
    try:
        path = own_file(path)
        return "" if path.stat().st_size > MAX_BYTES[PREVIEW] else _image(path.read_bytes())
    except Exception:  # any error of Pillow about a broken picture: show the rest without it
        return ""


def _image(png):
    from PIL import Image

    size = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")  # in the header of any PNG
    if max(size) > _MOST_PIXELS:
        raise ValueError(f"a picture must have at most {_MOST_PIXELS} pixels along an edge. Received: {size}.")
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        small = image.convert("RGB")
    small.thumbnail((1100, 1100))
    buffer = io.BytesIO()
    small.quantize(_COLORS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode("ascii")}" alt="">'


def _curves(record):
    """Draw the volume fractions of a Measurement, and its two-point correlations, if any."""
    colors = phase_colors(record.phases) / 255
    correlations = record.two_point_correlation
    with matplotlib.rc_context({**STYLE, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Picture(figsize=(8.0, 2.4), layout="constrained")
        panels = figure.subplots(1, 1 if correlations is None else 2, squeeze=False)[0]
        names = [label_text(clipped(name, 24)) for name in record.phases]
        panels[0].barh(range(len(names)), record.volume_fraction, color=colors, edgecolor=INK, linewidth=0.5)
        panels[0].set(yticks=range(len(names)), yticklabels=names, xlabel="volume fraction")
        panels[0].invert_yaxis()
        if correlations is not None:
            step, unit = (1.0, "voxels") if record.voxel_size is None else (record.voxel_size, "µm")
            for curve, color in zip(correlations.mean(axis=1), colors, strict=True):
                panels[1].plot([step * lag for lag in range(len(curve))], curve, color=color)
            panels[1].set(xlabel=f"distance ({unit})", ylabel="$S_2$", ylim=(0, None))
    return figure
