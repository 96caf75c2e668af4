"""Distributions of the paper: box plots, relative diffusivity against volume fraction, and two-point correlation."""

import dataclasses
import json

import numpy as np
from paper_rows import DATA, FIRST, Rows, generator_of, identity, real_of, table, title_of

from kerasgan3d import compare
from kerasgan3d.report import figures
from kerasgan3d.report.comparison import Comparison

FEW = 100  # volumes of the paper's smaller set
KEYS = {
    "volume_fraction": "volume fraction",
    "specific_surface_area": "Δ(SSA)",
    "triple_phase_boundary_density": "triple-phase boundaries",
    "relative_diffusivity": "relative diffusivity",
}


def measure(options):
    """Compare each generator with its real data, and draw the distributions."""
    for name in options.names:
        generator, size = generator_of(name), options.sizes[0]
        real = real_of(options.data, name, generator)
        if real is None:
            continue
        stem = options.out / f"statistics-{title_of(name)}"
        facts = {"generator": title_of(name), "weights": identity(generator), "count": options.count, "size": size}
        rows = Rows(f"{stem}.json", **facts)
        record = compared(real, generator, name, options).record
        part = record.volumes or record
        rows.rows = told(part.measures)
        rows.write(complete=True)
        draw(part, record.phases, generator.voxel_size, stem)


def compared(real, generator, name, options):
    """Return the comparison with the real data, which is kept in the folder of work."""
    size, count = options.sizes[0], options.count
    kept = options.work / f"statistics-{title_of(name)}-{identity(generator)}-{count}-{size}.json"
    if kept.is_file():
        return Comparison.load(kept)
    source = real.labels[0] if real.shape[0] == 1 else real.labels
    asked = {"count": count, "size": size, "seed": FIRST, "classifier": False, "nearest": 0, "periodic_volumes": 0}
    asked |= {"phases": generator.phases, "voxel_size": generator.voxel_size, "workers": options.workers}
    found = compare(source, generator, exclude=list(DATA[name].excluded) or None, **asked)
    options.work.mkdir(parents=True, exist_ok=True)
    found.save(kept)
    return found


def told(measures):
    """Return, by measure and phase, the means of real, of few and of all generated volumes, and their deviations."""
    found = {}
    for row in drawn(measures):
        values = np.array(row.generated, float)
        deviations = [row.real_std, float(values.std(ddof=1))]
        means = [row.real_mean, float(values[:FEW].mean()), float(values.mean())]
        name = f"{KEYS[row.key] if row.key != 'specific_surface_area' else 'area'} {row.phase or ''}".strip()
        found[name] = {"means": means, "deviations": deviations, "unit": row.unit}
    return found


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


def draw(record, phases, voxel_size, stem):
    """Draw box plots of few and of all volumes, the scatter of diffusivity, and the curves."""
    for key, label in KEYS.items():
        rows = [_entry(row) for row in drawn(record.measures) if row.key == key]
        figure = figures.box_plots(rows, phases, label) if rows else None
        if figure is not None:
            figure.savefig(f"{stem}-{key}.png", dpi=65)
    content = [dataclasses.asdict(row) for row in record.measures]
    pictures = {"scatter": figures.diffusivity_scatter(content, phases)}
    curves = dataclasses.asdict(record.two_point_correlation)
    pictures["s2"] = figures.correlation_curves(curves, phases, voxel_size)
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(f"{stem}-{name}.png", dpi=65)


def _entry(row):
    """Return a row of measures for a box plot; areas as percentages of the real mean, from it, as in the paper."""
    entry = dataclasses.asdict(row)
    if row.key == "specific_surface_area":
        for side in ("real", "generated"):
            if entry[side]:
                entry[side] = (100 * (np.array(entry[side], float) / row.real_mean - 1)).tolist()
            entry[f"{side}_std"] = entry[f"{side}_std"] and 100 * entry[f"{side}_std"] / row.real_mean
        entry |= {"generated_mean": 100 * row.relative_difference, "real_mean": 0.0, "unit": "%"}
    return entry


def section(files):
    """Return the section: pictures and a table."""
    lines = [
        "## Distributions",
        "",
        "The paper compares volume fractions, areas, triple-phase boundaries and relative diffusivities of real and "
        "generated volumes by box plots, diffusivity against volume fraction with Bruggeman's line, and S2(r)/S2(0) "
        "(`python docs/paper.py statistics`). **Δ(SSA)** is the deviation of the area of each volume from the mean of "
        "the real ones, in percent; a comparison's Δ(SSA) is that of the mean of all volumes alone, and says nothing "
        "of their spread. Values of the anode's slice are estimates by stereology.",
        "",
    ]
    for file in files:
        record = json.loads(file.read_text("utf-8"))
        lines += [f"### Distributions of {record['generator']}: volumes of {record['size']}³ voxels", ""]
        rows = []
        for name, facts in record["rows"].items():
            real, few, many = facts["means"]
            unit = "" if facts["unit"] == "1" else f", {facts['unit']}"
            changes = [f"{100 * (value / real - 1):+.1f} %" if real else f"{value:.4g}" for value in (few, many)]
            deviations = ["" if value is None else f"{value:.3g}" for value in facts["deviations"]]
            rows.append([name + unit, f"{real:.4g}" if real else "", *changes, *deviations])
        few = min(FEW, record["count"])
        head = ("", "real mean", f"{few} generated", f"{record['count']} generated", "deviation, real", "generated")
        lines += [*table(head, rows), ""]
        stem = f"{file.parent.name}/{file.stem}"
        for key, caption in {**KEYS, "scatter": "Diffusivity against volume fraction", "s2": "S2(r)/S2(0)"}.items():
            if file.with_name(f"{file.stem}-{key}.png").is_file():
                lines += [f"![{caption}]({stem}-{key}.png)", ""]
    return "\n".join(lines)
