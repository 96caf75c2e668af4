"""Figures of a comparison of generated with real microstructures.

Colour denotes the phase, and form the side, so that it survives a grey-scale print: real is filled, or a wide line with
a band; generated is open, hatched, or a dashed dark line. Every function returns a matplotlib Figure, or None where the
record holds nothing to draw.
"""

import functools
import math
import textwrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kerasgan3d.palette import phase_colors
from kerasgan3d.report.names import axis_name, measure_name
from kerasgan3d.report.slices import MICROMETRE, draw_slice
from kerasgan3d.report.style import INK, MARGIN, STYLE, draw_legend, label_text, legend_height

WIDTH = 9.6
_NEUTRAL = np.array([138, 145, 156])
_LIGHTEST = 175
_MOST_SLICES = 5
_MOST_POINTS = 1000  # more points are drawn as pixels, to keep files small
_MARKERS = "osD"
# Box plots show at least this range, relative to the real mean, so that a difference of 1 % does not fill a panel.
_LEAST_RANGE = 0.2
_GOLDEN_RATIO = 0.6180339887498949


def _styled(draw):
    """Draw in the package's style, regardless of the caller's matplotlib settings."""

    @functools.wraps(draw)
    def styled(*args, **kwargs):
        with matplotlib.rc_context({**STYLE, "axes.spines.top": False, "axes.spines.right": False}):
            return draw(*args, **kwargs)

    return styled


@_styled
def slice_rows(real, generated, phases, voxel_size=None):
    """Draw slices of both sides, real above generated, all at one scale.

    Args:
        real, generated: lists of integer arrays (rows, columns); the first five of each are drawn. One may be empty.
        phases: names of the phases.
        voxel_size: µm, or None where it is not known.
    """
    rows = [(name, side[:_MOST_SLICES]) for name, side in (("real", real), ("generated", generated)) if len(side)]
    if not rows:
        return None
    palette = phase_colors(phases)
    gap, left, title = 0.12, 0.3, 0.08
    columns = max(len(side) for _, side in rows)
    highest, widest = (max(image.shape[axis] for _, side in rows for image in side) for axis in (0, 1))
    scale = min((WIDTH - left - (columns + 1) * gap) / (columns * widest), 2.6 / highest)
    foot = MARGIN + legend_height(phases, WIDTH)
    height = foot + len(rows) * (highest * scale + gap) + title
    figure = Figure(figsize=(WIDTH, height))
    indent = left + (WIDTH - left - columns * (widest * scale + gap)) / 2
    for row, (name, side) in enumerate(rows):
        bottom = foot + (len(rows) - 1 - row) * (highest * scale + gap) + gap / 2
        for column, image in enumerate(side):
            across, up = image.shape[1] * scale, image.shape[0] * scale
            box = (indent + column * (widest * scale + gap), bottom + highest * scale - up, across, up)
            first = row == column == 0
            axes = draw_slice(figure, box, image, palette, voxel_size=voxel_size, scale_bar=first)
            axes.set(xticks=[], yticks=[], xlabel="", ylabel=name if column == 0 else "")
            axes.yaxis.label.set_fontsize(12)
            axes.spines[:].set_visible(True)
    draw_legend(figure, phases, palette)
    return figure


@_styled
def box_plots(measures, phases, label=None):
    """Draw the distribution of one measure: a panel per phase (or pair of phases), a pair of boxes per axis.

    The box spans the quartiles with a line at the median, whiskers reach the 5th and 95th percentile, dots are
    sub-volumes. Where only mean and standard deviation are known they are drawn instead.

    Args:
        measures: entries of a comparison's "measures" that share a unit, such as those of one key.
        phases: names of the phases.
        label: label of the vertical axis, without the unit; default: the name of the first measure.
    """
    panels = {}
    for entry in measures:
        if _drawable(entry, "real") or _drawable(entry, "generated"):
            panels.setdefault((entry.get("phase"), entry.get("other"), entry["key"]), []).append(entry)
    if not panels:
        return None
    groups = max(len(entries) for entries in panels.values())
    figure, grid = _panels(len(panels), columns=4 if groups == 1 else 3, height=2.5)
    many = sum(len(entry.get(side) or ()) for entry in measures for side in ("real", "generated")) > _MOST_POINTS
    several_keys = len({key for _, _, key in panels}) > 1
    for axes, ((phase, other, key), entries) in zip(grid, panels.items(), strict=True):
        color = _color(phase, phases) if other is None else _NEUTRAL
        for place, entry in enumerate(entries):
            _draw_box(axes, place - 0.2, entry, "real", color, many)
            _draw_box(axes, place + 0.2, entry, "generated", color, many)
        name = " \N{EN DASH} ".join(part for part in (phase, other) if part)
        title = name or measure_name(key)
        if name and several_keys:
            title = f"{name}, {measure_name(key)}"
        title += " (by stereology)" if any(entry.get("estimated") for entry in entries) else ""
        axes.set_title(_wrapped(title, 2.2 if groups == 1 else 3.0))
        if groups == 1:
            axes.set_xticks([-0.2, 0.2], ["real", "generated"])
        else:
            axes.set_xticks(range(len(entries)), [label_text(axis_name(entry.get("axis"))) for entry in entries])
        axes.set_xlim(-0.5, len(entries) - 0.5)
        axes.tick_params(axis="x", length=0)
        _set_range(axes, entries)
    unit = measures[0].get("unit", "1")
    name = label or measure_name(measures[0]["key"])
    figure.supylabel(label_text(name + (f" ({unit})" if unit != "1" else "")), fontsize=10)
    _legend(figure, _boxes_of_sides())
    return figure


@_styled
def correlation_curves(correlation, phases, voxel_size=None, label="$S_2(r)\\,/\\,S_2(0)$"):
    """Draw S2(r)/S2(0), or other curves: a row per phase, a column per axis, both sides in each panel.

    Args:
        correlation: a comparison's "two_point_correlation".
        phases: names of the phases.
        voxel_size: µm, or None where it is not known: distances are then in voxels.
    """
    names = list(correlation["axes"])
    lags = np.asarray(correlation["lags"]) * (voxel_size or 1)
    curves: dict[tuple[str, str], Any] = {
        (side, kind): _curves(correlation.get(side), kind, (len(phases), len(names), len(lags)))
        for side in ("real", "generated")
        for kind in ("mean", "low", "high")
    }
    if curves["real", "mean"] is None and curves["generated", "mean"] is None:
        return None
    figure = Figure(figsize=(WIDTH, 0.7 + 1.95 * len(phases)), layout="constrained")
    grid = figure.subplots(len(phases), len(names), sharex=True, sharey="row", squeeze=False)
    for (i, k), axes in np.ndenumerate(grid):
        color = _color(phases[i], phases)
        low, high = curves["real", "low"], curves["real", "high"]
        if low is not None and high is not None:
            axes.fill_between(lags, low[i, k], high[i, k], color=_tint(color, 0.3), linewidth=0)
        if curves["real", "mean"] is not None:
            axes.plot(lags, curves["real", "mean"][i, k], color=_tint(color, 0.8), linewidth=3.2)
        for kind in ("low", "high"):
            if curves["generated", kind] is not None:
                axes.plot(lags, curves["generated", kind][i, k], color=INK, linewidth=0.9, linestyle=":")
        if curves["generated", "mean"] is not None:
            axes.plot(lags, curves["generated", "mean"][i, k], color=INK, linewidth=1.5, linestyle=(0, (4, 2)))
        axes.set_xlim(0, lags[-1])
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if i == 0:
            axes.set_title("" if names[k] == "all" else label_text(f"along {names[k]}"))
        if k == 0:
            axes.set_ylabel(_wrapped(phases[i], 1.9))
        if i == len(phases) - 1:
            axes.set_xlabel(f"r ({MICROMETRE if voxel_size else 'voxels'})")
    figure.supylabel(label, fontsize=10)
    band = _tint(_NEUTRAL, 0.3)
    handles = []
    if curves["real", "mean"] is not None:
        handles.append(Line2D([], [], color=_tint(_NEUTRAL, 0.8), linewidth=3.2, label="real, mean"))
    if curves["real", "low"] is not None:
        handles.append(Patch(facecolor=band, label="real, 5th to 95th percentile"))
    if curves["generated", "mean"] is not None:
        handles.append(Line2D([], [], color=INK, linewidth=1.5, linestyle=(0, (4, 2)), label="generated, mean"))
    if curves["generated", "low"] is not None:
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=":", label="generated, 5th and 95th"))
    _legend(figure, handles)
    return figure


@_styled
def diffusivity_scatter(measures, phases):
    """Draw relative diffusivity against volume fraction, a panel per phase, a point per sub-volume.

    The mean of the axes is drawn where the record has it, else every axis. The dotted line is Bruggeman's
    D_rel = phi^1.5 (Ann. Phys. 416, 636 (1935)).

    Args:
        measures: a comparison's "measures".
        phases: names of the phases.
    """
    drawn = []
    for phase in phases:
        mine = [entry for entry in measures if entry.get("phase") == phase and entry.get("other") is None]
        fraction = next((entry for entry in mine if entry["key"] == "volume_fraction"), None)
        transport = [entry for entry in mine if entry["key"] == "relative_diffusivity"]
        transport = [entry for entry in transport if entry.get("axis") == "mean"] or transport
        sides = {side: _points(fraction, transport, side) for side in ("real", "generated")} if fraction else {}
        if any(len(x) for x, _ in sides.values()):
            drawn.append((phase, sides))
    if not drawn:
        return None
    figure, grid = _panels(len(drawn), columns=3, height=2.7)
    for axes, (phase, sides) in zip(grid, drawn, strict=True):
        color = _color(phase, phases)
        (x, y), (u, v) = sides["real"], sides["generated"]
        many = len(x) + len(u) > _MOST_POINTS
        axes.scatter(x, y, s=26, marker="o", color=_tint(color, 0.75), linewidth=0, rasterized=many)
        axes.scatter(u, v, s=20, marker="^", facecolor="none", edgecolor=INK, linewidth=0.8, rasterized=many)
        edges = np.array(axes.get_xlim()).clip(0, 1)
        line = np.linspace(edges[0], edges[1], 100)
        top = axes.get_ylim()[1]
        axes.plot(line, line**1.5, color="#6b7280", linewidth=1, linestyle=":", zorder=0)
        axes.set_xlim(*edges)
        top = max(top, line[-1] ** 1.5 * 1.05)
        axes.set_ylim(-0.03 * top, top)
        axes.set_title(_wrapped(phase, 3.0))
        axes.set_xlabel("volume fraction")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    figure.supylabel("relative diffusivity", fontsize=10)
    real = Line2D([], [], linestyle="", marker="o", markersize=6, color=_tint(_NEUTRAL, 0.8), label="real")
    generated = Line2D([], [], linestyle="", marker="^", markerfacecolor="none", color=INK, label="generated")
    _legend(figure, [real, generated, Line2D([], [], color="#6b7280", linestyle=":", label="Bruggeman, $\\phi^{1.5}$")])
    return figure


def flux_maps(real, generated):
    """Draw the magnitude of the flux through a phase, driven down the rows, real above generated; see `flux_rows`."""
    return flux_rows({"real": real, "generated": generated})


@_styled
def flux_rows(rows):
    """Draw the magnitude of the flux through phases, driven down the rows of the maps: a column per phase.

    Each map is in units of its own mean, so that the unit of the field does not matter; colours follow its root.

    Args:
        rows: dict from the name of a row to its maps: dicts from phase name to a float array (rows, columns), NaN
            outside the phase.
    """
    rows = [(name, side) for name, side in rows.items() if side]
    columns = list(dict.fromkeys(phase for _, side in rows for phase in side))
    scaled = {(name, phase): _by_mean(image) for name, side in rows for phase, image in side.items()}
    scaled = {where: image for where, image in scaled.items() if image is not None}
    if not scaled:
        return None
    colors = matplotlib.colormaps["inferno"].with_extremes(bad="#e4e6e9")
    edge = min(2.75, (WIDTH - 0.4) / len(columns))
    figure = Figure(figsize=(max(3.5, 0.4 + edge * len(columns)), 1.2 + len(rows) * edge))
    figure.set_layout_engine("constrained", w_pad=0.08)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for column, phase in enumerate(columns):
        images = [scaled[name, phase] for name, _ in rows if (name, phase) in scaled]
        # Flux concentrates at necks: its square root also shows where it is weak.
        top = max((np.nanpercentile(image, 99) for image in images), default=1.0)
        scale = PowerNorm(0.5, vmin=0, vmax=top)
        for row, (name, _) in enumerate(rows):
            axes = grid[row, column]
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if column == 0:
                axes.set_ylabel(name, fontsize=12)
            if row == 0:
                axes.set_title(_wrapped(phase, edge))
            if (name, phase) in scaled:
                axes.imshow(scaled[name, phase], cmap=colors, norm=scale, interpolation="nearest")
            else:
                axes.set_aspect("equal")
                axes.text(
                    0.5, 0.5, "does not\npercolate", transform=axes.transAxes, ha="center", va="center", color=INK
                )
        if images:
            bar = ScalarMappable(scale, colors)
            ticks = [0, *MaxNLocator(3).tick_values(0, top)[1:]]
            figure.colorbar(
                bar,
                ax=grid[:, column],
                location="bottom",
                extend="max",
                shrink=0.85,
                ticks=[t for t in ticks if t <= top],
            )
    figure.supxlabel("flux / its mean in the slice", fontsize=10)
    return figure


@_styled
def nearest_distances(nearest):
    """Draw the distances to the nearest real sub-volume: of generated ones, and of real ones among themselves.

    Args:
        nearest: a comparison's "nearest".
    """
    rows = [("real", "real to other real"), ("generated", "generated to real")]
    rows = [(side, text, _finite(nearest.get(side))) for side, text in rows]
    rows = [row for row in rows if row[2].size]
    if not rows:
        return None
    figure = Figure(figsize=(WIDTH * 0.75, 0.75 + 0.55 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (side, _, values) in enumerate(reversed(rows)):
        height = place + 0.3 * _spread(values.size)
        if side == "real":
            axes.plot(values, height, linestyle="", marker="o", markersize=7, color=_tint(_NEUTRAL, 0.8))
        else:
            axes.plot(values, height, linestyle="", marker="^", markersize=7, markerfacecolor="none", color=INK)
        axes.plot([np.median(values)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=1.5)
    axes.set_yticks(range(len(rows)), [text for _, text, _ in reversed(rows)])
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlim(0, 1.06 * max(values.max() for _, _, values in rows) or 1)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label_text(nearest.get("measure") or "distance"))
    return figure


@_styled
def seam_differences(seam):
    """Draw the differences between seam and interior of periodic volumes, with two standard errors.

    Args:
        seam: a comparison's "seam".
    """
    panels = {}
    for entry in seam.get("measures") or ():
        numbers = [entry.get(name) for name in ("seam", "interior", "standard_error")]
        if None not in numbers and numbers[1]:
            difference, error = (100 * (numbers[0] - numbers[1]) / numbers[1], 100 * numbers[2] / abs(numbers[1]))
            phase, axis = _wrapped(entry.get("phase"), 1.6, lines=1), label_text(entry.get("axis") or "")
            name = ", ".join(text for text in (phase, axis) if text) or "all"
            measure = measure_name(entry["key"])
            measure += f" at {entry['lag']} voxels" if entry.get("lag") else ""
            panels.setdefault(measure, []).append((name, difference, error))
    if not panels:
        return None
    most = max(len(rows) for rows in panels.values())
    columns = min(len(panels), 3)
    height = 0.75 + 0.21 * most
    figure, grid = _panels(len(panels), columns=columns, height=height)
    for axes, (measure, rows) in zip(grid, panels.items(), strict=True):
        names, differences, errors = zip(*rows, strict=True)
        places = np.arange(len(rows))[::-1]
        axes.axvline(0, color="#9aa1ab", linewidth=1)
        axes.errorbar(
            differences, places, xerr=2 * np.array(errors), fmt="^", color=INK, markerfacecolor="white", capsize=2
        )
        axes.set_yticks(places, names)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        furthest = max(abs(d) + 2 * e for _, d, e in rows)
        axes.set_xlim(-1.1 * max(furthest, 1.0), 1.1 * max(furthest, 1.0))
        axes.set_title(label_text(measure))
        axes.set_xlabel("seam against interior (%)")
    return figure


@_styled
def lattice_profiles(lattice, phases):
    """Draw fractions and label changes by position within the generator's stride, as differences from their mean.

    Args:
        lattice: a comparison's "lattice".
        phases: names of the phases.
    """
    period = lattice["period"]
    rows = []
    for key, error, name in (
        ("fractions", "standard_error", "volume fraction"),
        ("label_change_rates", "label_change_standard_error", "label changes"),
    ):
        values = _array(lattice.get(key), (None, len(phases), period))
        if values is not None:
            rows.append((name, values, _array(lattice.get(error), values.shape)))
    if not rows:
        return None
    names = "zyx"[-len(rows[0][1]) :]
    phase_columns = len(phases) <= 3
    shape = (len(rows), len(phases)) if phase_columns else (len(phases), len(rows))
    width = min(WIDTH, 1.0 + 3.4 * shape[1])
    figure = Figure(figsize=(width, 0.8 + 1.9 * shape[0]), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False, sharex=True)
    for where, axes in np.ndenumerate(grid):
        row, column = where if phase_columns else where[::-1]
        name, values, errors = rows[row]
        shifts = 100 * (values - values.mean(axis=-1, keepdims=True))
        axes.axhline(0, color="#9aa1ab", linewidth=1)
        for k, marker in zip(range(len(names)), _MARKERS, strict=False):
            style = {"color": _shade(_color(phases[column], phases)), "marker": marker, "markersize": 3.5}
            bars = None if errors is None else 100 * errors[k, column]
            places = np.arange(period) + 0.18 * (k - 1)
            axes.errorbar(places, shifts[k, column], yerr=bars, elinewidth=0.8, linewidth=1, **style)
        reach = max(1.0, np.abs(shifts).max() + (0 if errors is None else 110 * errors.max()))
        axes.set_ylim(-reach, reach)
        title, side = (phases[column], name) if phase_columns else (name, phases[column])
        if where[0] == 0:
            axes.set_title(_wrapped(title, 3.0))
        if where[1] == 0:
            axes.set_ylabel(_wrapped(side, 1.9))
        if where[0] == shape[0] - 1:
            axes.set_xlabel(f"position in {period} voxels")
    figure.supylabel("difference (percentage points)", fontsize=10)
    style = {"color": _tint(_NEUTRAL, 0.8), "markersize": 4, "linewidth": 1}
    _legend(
        figure, [Line2D([], [], marker=m, label=f"along {a}", **style) for a, m in zip(names, _MARKERS, strict=False)]
    )
    return figure


def _panels(count, *, columns, height):
    """Make `count` panels in rows of at most `columns`; the last row may be shorter."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(min(WIDTH, 1.0 + 3.4 * columns), 0.65 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count]


def _draw_box(axes, place, entry, side, color, rasterized):
    values = _finite(entry.get(side))
    real = side == "real"
    edge = _shade(color)
    if values.size == 0:
        mean, std = entry.get(f"{side}_mean"), entry.get(f"{side}_std")
        if mean is not None:
            face = edge if real else "white"
            axes.errorbar(
                place, mean, yerr=std or 0, fmt="o" if real else "^", color=edge, markerfacecolor=face, capsize=4
            )
        return
    face = (
        {"facecolor": _tint(color, 0.45)} if real else {"facecolor": "white", "hatch": "////", "hatch_linewidth": 0.5}
    )
    line = {"color": edge, "linewidth": 1}
    axes.boxplot(
        [values],
        positions=[place],
        widths=0.34,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={**face, "edgecolor": edge, "linewidth": 1},
        medianprops={"color": INK, "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    dots = {"color": edge} if real else {"markerfacecolor": "white", "color": INK}
    axes.plot(
        place + 0.26 * _spread(values.size),
        values,
        linestyle="",
        marker="o" if real else "^",
        markersize=2.6,
        markeredgewidth=0.5,
        alpha=0.6,
        rasterized=rasterized,
        zorder=3,
        **dots,
    )


def _boxes_of_sides():
    edge = _shade(_NEUTRAL)
    return [
        Patch(facecolor=_tint(_NEUTRAL, 0.45), edgecolor=edge, label="real"),
        Patch(facecolor="white", edgecolor=edge, hatch="////", hatch_linewidth=0.5, label="generated"),
    ]


def _set_range(axes, entries):
    low, high = axes.dataLim.intervaly
    real = [entry["real_mean"] for entry in entries if entry.get("real_mean") is not None]
    span = max(high - low, _LEAST_RANGE * max(map(abs, real), default=0)) or 1.0
    middle = (low + high) / 2
    axes.set_ylim(middle - 0.56 * span, middle + 0.56 * span)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _legend(figure, handles):
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, handlelength=2.2)


def _drawable(entry, side):
    return _finite(entry.get(side)).size > 0 or entry.get(f"{side}_mean") is not None


def _points(fraction, transport, side):
    """Return volume fractions and diffusivities of the same sub-volumes, all axes in one."""
    pairs = [np.empty((2, 0))]
    for entry in transport:
        x, y = (np.array(item.get(side) or [], dtype=float) for item in (fraction, entry))
        if x.shape == y.shape:
            pairs.append(np.array([x, y]))
    x, y = np.concatenate(pairs, axis=1)
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


def _curves(side, kind, shape):
    return _array((side or {}).get(kind), shape)


def _array(values, shape):
    """Return nested lists as a float array of a shape (None: any length), or None for empty ones."""
    if values is None:
        return None
    array = np.array(values, dtype=float)
    wrong = array.ndim != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if wrong:
        raise ValueError(f"a part of the comparison must have the shape {shape}. Received: {array.shape}")
    return array if np.isfinite(array).any() else None


def _finite(values):
    array = np.array([] if values is None else values, dtype=float)
    return array[np.isfinite(array)]


def _by_mean(image):
    """Return a map in units of its mean, or None where no voxel carries a flux."""
    image = np.asarray(image, dtype=float)
    known = np.isfinite(image)
    if not known.any() or not image[known].mean() > 0:
        return None
    return image / image[known].mean()


def _spread(count):
    """Return deterministic offsets from -1/2 to 1/2 that separate neighbours."""
    return (np.arange(count) * _GOLDEN_RATIO) % 1 - 0.5


def _color(phase, phases):
    """Return a phase's colour, slightly darker where it would not stand out on white."""
    if phase not in phases:
        return _NEUTRAL
    color = phase_colors(phases)[list(phases).index(phase)].astype(float)
    return color * min(1.0, _LIGHTEST / max(1.0, color.mean()))


def _wrapped(text, inches, lines=3):
    """Break a name of any length into lines that fit, and truncate the rest."""
    width = max(8, int(inches / 0.085))
    return label_text("\n".join(textwrap.wrap(str(text or ""), width, max_lines=lines, placeholder=" ...")))


def _tint(color, strength):
    """Mix a colour with white, so that dark lines stand out on it."""
    return tuple((strength * np.asarray(color) + (1 - strength) * 255) / 255)


def _shade(color):
    """Darken a colour for thin lines on white."""
    return tuple(0.65 * np.asarray(color) / 255)
