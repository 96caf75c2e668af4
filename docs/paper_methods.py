"""Several ways to make a microstructure, compared with one scan at equal measure."""

import time
from functools import partial

import numpy as np
from paper_rows import FIRST, MissingError, begun, generator_of, if_there, published_of, real_of, table
from structures import fit_fields, plurigaussian, spheres_with_binder

from kerasgan3d import Volume, compare, metrics
from kerasgan3d.report import render_slices

REACH = 32  # voxels over which random fields are correlated
SMALLEST = 1000  # voxels: particles from which the spheres take their radii
# Rows of the table, each with a number per phase, and whether it is relative.
MEASURES = {
    "volume_fraction": ("volume fractions, difference", True),
    "specific_surface_area": ("specific surface areas, difference", True),
    "triple_phase_boundary_density": ("triple-phase boundaries, difference", True),
    "relative_diffusivity": ("relative diffusivities, difference", True),
    "euler_characteristic": ("Euler characteristics, difference", True),
    "two_point_correlation": ("S2(r)/S2(0), largest difference", False),
    "granulometry": ("granulometry, largest difference", False),
    "deviation": ("deviations of fractions, generated over real", False),
}


TITLE = "Other ways to make a microstructure"
TEXT = """\
Sub-volumes of each way and of the scan are measured alike (`--other LABEL=FOLDER` adds a trained generator, such as the
paper's network or one of slices alone, which are missing before that). **Plurigaussian fields** are fitted to the
volume fractions and two-point statistics of the scan: one field decides where particles are, another where binder is in
the rest. **Spheres** have the radii of the scan's particles, are grown until they fill their share, and binder is grown
at their necks. The first know nothing of shapes, the second nothing of calendering. A classifier of 0.5 is chance; with
few volumes it is left out."""


def measure(name, options):
    """Compare the methods one after the other, so that an interrupted measurement goes on."""
    size, edge, _ = options.sizes
    generator, rows = begun("methods", name, options, count=options.count, sizes=list(options.sizes))
    real = real_of(options.data, name, generator)
    if min(real.shape) < size or len(generator.phases) != 3:
        raise MissingError("its real data are no volume of three phases")
    slices = [("real", real.labels[real.shape[0] // 2, :edge, :edge])]
    for label, make in makers(rows, generator, real, options).items():
        print(f"{rows.setup['generator']}: {label}", flush=True)
        first = make(edge, FIRST)
        slices.append((label, first[edge // 2]))
        rows.row(label, partial(compared, real, make, first, options))
    published = if_there(published_of, options.data, name, generator)
    if published:
        slices.append(("published", published[0].labels[len(published[0].labels) // 2]))
        given = partial(found_of, real, published, min(options.count, len(published)), size, options.workers)
        rows.row("published samples", given)
    rows.write(complete=True)
    render_slices(slices[:8], generator.phases, generator.voxel_size, rows.path.with_suffix(".png"), dpi=90)


def makers(rows, generator, real, options):
    """Return, by the name of the method, a function from (voxels per side, seed) to labels."""
    shares, phases = metrics.volume_fractions(real), generator.phases

    def radii():
        volume = metrics.particles(real, 1).volume
        found = np.cbrt(0.75 / np.pi * volume[volume > SMALLEST * real.voxel_size**3])
        return np.quantile(found, (np.arange(50) + 0.5) / 50).round(4).tolist()

    spheres = np.array(rows.row("radii, µm", radii)) / real.voxel_size
    fields = fit_fields(real.labels, (1, 2, 0), min(REACH, options.sizes[0] // 2))
    made = {
        f"kerasgan3d, {rows.setup['generator']}": partial(sampled, generator),
        "plurigaussian fields": lambda size, seed: plurigaussian(fields, 0, size, seed),
        f"spheres, {phases[2]} grown": lambda size, seed: spheres_with_binder(spheres, shares, size, seed),
    }
    for other in options.other:
        label, _, folder = other.partition("=")
        made[label] = partial(sampled, generator_of(folder))
    return made


def sampled(generator, size, seed):
    """Return labels of an ordinary volume of a generator."""
    return generator.sample(size, seed=seed, progress=False).labels


def compared(real, make, first, options):
    """Return what was measured of a method, and the seconds that a large volume takes.

    Args:
        real: The Volume that is compared with.
        make: The method, a function from (voxels per side, seed) to labels.
        first: Labels of its first volume. What is compiled for that is left out of the seconds.
        options: The command's.
    """
    size, edge, large = options.sizes
    # Four sub-volumes of each.
    made = [first, *(make(edge, FIRST + i) for i in range(1, max(4, options.count // 4)))]
    made = [Volume(labels, real.phases, real.voxel_size) for labels in made]
    found = found_of(real, made, options.count, size, options.workers)
    began = time.perf_counter()
    make(large, FIRST)
    return found | {"seconds": time.perf_counter() - began}


def found_of(real, volumes, count, size, workers):
    """Return the rows of a comparison that the table shows: by measure, a number per phase."""
    record = compare(real, volumes, count=count, size=size, nearest=0, periodic_volumes=0, workers=workers).record
    found = {"samples": [record.samples.real, record.samples.generated]}
    for key in (key for key, (_, relative) in MEASURES.items() if relative):
        rows = [row for row in record.measures if row.key == key and row.axis in (None, "mean")]
        # A phase that hardly conducts differs by any factor.
        least = 0.01 if key == "relative_diffusivity" else 0
        found[key] = [row.relative_difference if abs(row.real_mean or 0) > least else None for row in rows]
    found["deviation"] = [row.deviation_ratio for row in record.measures if row.key == "volume_fraction"]
    found["two_point_correlation"] = record.two_point_correlation.worst
    found["granulometry"] = record.curves["granulometry"].worst
    found["classifier"] = record.classifier and [record.classifier.score, record.classifier.standard_error]
    found["passes"] = [sum(verdict.outcome == "passes" for verdict in record.verdicts), len(record.verdicts)]
    return found


def told(record, file):
    """Return the part of a scan: a table, a column per method, and slices."""
    columns = {label: row for label, row in record["rows"].items() if not label.startswith("radii")}
    lines = [f"### Methods for the scan of {record['generator']}: {' / '.join(record['phases'])}", ""]
    lines += [*table(["", *columns], _rows(columns, record["sizes"])), ""]
    lines += [f"![Slices of all]({file.parent.name}/{file.stem}.png)", ""]
    if "published samples" in columns:
        lines += ["The published samples are of another specimen: comparable in kind, not in value.", ""]
    return lines


def _rows(columns, sizes):
    """Return the rows of the table."""
    rows = [["sub-volumes, real and generated", *(" and ".join(map(str, row["samples"])) for row in columns.values())]]
    for key, (label, relative) in MEASURES.items():
        rows.append([label, *(_numbers(row[key], relative) for row in columns.values())])
    scores = [row["classifier"] for row in columns.values()]
    rows.append(["classifier", *("" if score is None else "{:.2f} ± {:.2f}".format(*score) for score in scores)])
    rows.append(["tests passed", *("{} of {}".format(*row["passes"]) for row in columns.values())])
    times = [f"{row['seconds']:.0f} s" if "seconds" in row else "" for row in columns.values()]
    can = ["yes" if time else "" for time in times]
    return [*rows, [f"time of {sizes[2]}³", *times], ["can be periodic", *can]]


def _numbers(values, relative):
    """Return the numbers of the phases as text; a dash where there is none."""
    text = "{:+.0%}" if relative else "{:.2f}"
    return " / ".join("–" if value is None else text.format(value).replace("%", " %") for value in values)
