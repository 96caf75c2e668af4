"""Distributions of the paper: box plots, relative diffusivity against volume fraction, and two-point correlation."""

import dataclasses
from functools import partial

import numpy as np
from paper_rows import DATA, FIRST, Rows, begun, real_of, table

from kerasgan3d.checks import AXES
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.report import figures
from kerasgan3d.report.sources import real_source
from kerasgan3d.report.statistics import correlation_record, delta_ssa, measure_rows, volume_record

FEW = 100  # volumes of the paper's smaller set
PART = 50  # volumes that are measured at once
AREA, S2 = "specific_surface_area", "two_point_correlation"
KEYS = {
    "volume_fraction": "volume fraction",
    AREA: "Δ(SSA)",
    "triple_phase_boundary_density": "triple-phase boundaries",
    "relative_diffusivity": "relative diffusivity",
}
TITLE = "Distributions"
TEXT = """\
The paper compares volume fractions, areas, triple-phase boundaries and relative diffusivities of real and generated
volumes by box plots, diffusivity against volume fraction with Bruggeman's line, and S2(r)/S2(0). **Δ(SSA)** is here
the deviation of a volume's specific surface area from the mean of the real volumes, in percent: a value per volume, and
so a box. The Δ(SSA) of [`compare`](measures.md) is one number per phase: the deviation of the mean of all generated
volumes from the area of the whole real image, which says nothing of their scatter. Values of the anode's slice are
estimates by stereology."""


def measure(name, options):
    """Measure volumes of a generator and of its real data part by part, and draw the distributions."""
    count, size = options.count, options.sizes[0]
    generator, rows = begun("statistics", name, options, count=count, size=size)
    real, phases = real_of(options.data, name, generator), generator.phases
    image = real.labels[0] if real.shape[0] == 1 else real.labels
    source = real_source(image, phases=phases, voxel_size=real.voxel_size, exclude=list(DATA[name].excluded) or None)
    asked = {"n_phases": len(phases), "voxel_size": real.voxel_size, "shapes": False, "workers": options.workers}
    parts = Rows(options.work / rows.path.name, **rows.setup)
    windows = source.draw(count, size, FIRST)
    theirs = in_parts(parts, "real", len(windows), lambda places: [windows[i] for i in places], asked)
    ours = in_parts(parts, "generated", count, partial(sampled, generator, size), asked)
    whole = {AREA: whole_area(source, size, asked)}
    measures, curves = compared(source, theirs, ours, phases, size)
    rows.rows = described(measures, delta_ssa(compared(source, theirs, ours, phases, size, whole)[0], phases), phases)
    rows.write(complete=True)
    draw(measures, curves, phases, generator.voxel_size, rows.path.with_suffix(""))


def sampled(generator, size, places):
    """Return the labels of some volumes of a generator, by their numbers."""
    return [generator.sample(size, seed=FIRST + i, progress=False).labels for i in places]


def in_parts(rows, side, count, find, asked):
    """Return what was measured of the volumes of a side: dict of arrays (volumes, ...).

    Args:
        rows: Rows, one per part.
        side: "real" or "generated".
        count: Number of volumes.
        find: A function from numbers of volumes to a list of their labels.
        asked: Options of `measure_samples`.
    """
    found = []
    for first in range(0, count, PART):
        places = range(first, min(first + PART, count))
        found.append(rows.row(f"{side} {first}", lambda places=places: part_of(find(places), asked)))
        print(f"{rows.setup['generator']}: {places[-1] + 1} of {count} {side} volumes are measured", flush=True)
    return {key: np.concatenate([np.array(part[key], float) for part in found]) for key in found[0]}


def part_of(samples, asked):
    """Return what the figures show of some volumes, as lists."""
    measured = measure_samples(samples, **asked)
    return {key: measured[key].tolist() for key in (*KEYS, S2) if key in measured}


def whole_area(source, size, asked):
    """Return the areas of the whole real image, as `compare` takes them: beside what is excluded, means of windows."""
    parts = source.images if source.excluded is None else source.side_by_side(size)
    return measure_samples(parts, transport=False, **asked)[AREA].mean(0)


def compared(source, theirs, ours, phases, size, whole=None):
    """Return rows of measures and curves of both sides; of a slice, with estimates for volumes."""
    if source.dimensions == 3:
        return measure_rows(theirs, ours, phases, whole=whole), correlation_record(theirs[S2], ours[S2], AXES)
    found = volume_record(theirs, ours, theirs[S2], phases, size, len(source.side_by_side(size)), whole)
    return found.measures, found.two_point_correlation


def described(measures, compare, phases):
    """Return, by measure and phase, the means of real, of few and of all generated volumes, and their deviations.

    Args:
        measures: Rows of measures.
        compare: Δ(SSA) of a comparison by phase, in percent.
        phases: Names of the phases.

    Returns:
        dict by name: "means", "deviations" and "unit". Of areas also "delta": Δ(SSA) of the volumes in percent, "real"
        and "generated", [mean, standard deviation] or None, and "compare", that of a comparison.
    """
    found = {}
    for row in drawn(measures):
        values = np.array(row.generated, float)
        deviations = [row.real_std, float(values.std(ddof=1))]
        means = [row.real_mean, float(values[:FEW].mean()), float(values.mean())]
        name = f"{KEYS[row.key] if row.key != AREA else 'area'} {row.phase or ''}".strip()
        found[name] = {"means": means, "deviations": deviations, "unit": row.unit}
        if row.key == AREA:
            sides = {side: deltas(row, side) for side in ("real", "generated")}
            delta = {side: None if x is None else [x.mean(), x.std(ddof=1)] for side, x in sides.items()}
            found[name]["delta"] = {**delta, "compare": compare[list(phases).index(row.phase)]}
    return found


def deltas(row, side):
    """Return Δ(SSA) of the volumes of a side in percent; None where only their mean is known."""
    values = getattr(row, side)
    return None if values is None else 100 * (np.array(values, float) / row.real_mean - 1)


def drawn(measures):
    """Return the rows that are drawn, of volumes."""
    # A slice tells nothing of diffusivity, which is that of generated volumes alone then.
    return [
        row
        for row in measures
        if row.key in KEYS
        and row.generated
        and row.axis in (None, "mean")
        and (row.real_mean or row.key == "relative_diffusivity")
    ]


def draw(measures, curves, phases, voxel_size, stem):
    """Draw box plots of all volumes, the scatter of diffusivity, and the curves."""
    for key, label in KEYS.items():
        rows = [_entry(row) for row in drawn(measures) if row.key == key]
        figure = figures.box_plots(rows, phases, label) if rows else None
        if figure is not None:
            figure.savefig(f"{stem}-{key}.png", dpi=65)
    pictures = {"scatter": figures.diffusivity_scatter([dataclasses.asdict(row) for row in measures], phases)}
    pictures["s2"] = figures.correlation_curves(dataclasses.asdict(curves), phases, voxel_size)
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(f"{stem}-{name}.png", dpi=65)


def _entry(row):
    """Return a row of measures for a box plot; of areas, Δ(SSA)."""
    entry = dataclasses.asdict(row)
    if row.key == AREA:
        for side in ("real", "generated"):
            values = deltas(row, side)
            entry[side] = None if values is None else values.tolist()
            entry[f"{side}_std"] = entry[f"{side}_std"] and 100 * entry[f"{side}_std"] / row.real_mean
        entry |= {"generated_mean": 100 * row.relative_difference, "real_mean": 0.0, "unit": "%"}
    return entry


def told(record, file):
    """Return the part of a generator: tables and pictures."""
    lines = [f"### Distributions of {record['generator']}: volumes of {record['size']}³ voxels", ""]
    rows = []
    for name, facts in record["rows"].items():
        real, few, many = facts["means"]
        unit = "" if facts["unit"] == "1" else f", {facts['unit']}"
        changes = [f"{100 * (value / real - 1):+.1f} %" if real else f"{value:.4g}" for value in (few, many)]
        deviations = ["" if value is None else f"{value:.3g}" for value in facts["deviations"]]
        rows.append([name + unit, f"{real:.4g}" if real else "", *changes, *deviations])
    few = min(FEW, record["count"])
    head = ("", "real mean", f"{few} generated", f"{record['count']} generated", "deviation, real", "generated")
    lines += [*table(head, rows), "", *_delta_table(record["rows"]), ""]
    for key, caption in {**KEYS, "scatter": "Diffusivity against volume fraction", "s2": "S2(r)/S2(0)"}.items():
        if file.with_name(f"{file.stem}-{key}.png").is_file():
            lines += [f"![{caption}]({file.parent.name}/{file.stem}-{key}.png)", ""]
    return lines


def _delta_table(rows):
    """Return the table of Δ(SSA), of volumes and of a comparison."""
    lines = []
    for name, facts in rows.items():
        if "delta" in facts:
            delta = facts["delta"]
            real = "" if delta["real"] is None else f"± {delta['real'][1]:.1f} %"  # their mean is 0
            generated = "{:+.1f} ± {:.1f} %".format(*delta["generated"])
            lines.append([name.removeprefix("area "), real, generated, f"{delta['compare']:+.1f} %"])
    head = ("Δ(SSA)", "real volumes", "generated volumes", "of `compare`")
    return ["Δ(SSA), mean ± standard deviation of the volumes, and the one of a comparison:", "", *table(head, lines)]
