"""One seed through training, from noise to material: slices that a training run keeps."""

import csv
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from paper_rows import MissingError, Rows, generator_of, identity

from kerasgan3d.palette import phase_colors
from kerasgan3d.report.run_figure import read_frames

COLUMNS = 8
TITLE = "From noise to material"
TEXT = """\
A training run keeps slices of one seed: before the first step, and then at two measurements per doubling of the steps.
All are of the generator with averaged weights. The error of a measurement is explained under
[Train a generator](training.md)."""


def subjects(options):
    """Return the folder of the run."""
    return [options.run]


def measure(run, options):
    """Draw the slices of a run, which may still go on."""
    if run is None:
        raise MissingError("--run must name the folder of a training run")
    try:
        _, steps, slices = read_frames(run)
    except (OSError, ValueError) as error:
        raise MissingError(f"it holds no slices of one seed, as runs of earlier versions: {error}") from error
    generator = generator_of(str(Path(run) / "best"))
    name = generator.card["name"]
    rows = Rows(options.out / f"evolution-{name}.json", generator=name, weights=identity(generator))
    with (Path(run) / "log.csv").open(newline="", encoding="utf-8") as file:
        errors = {int(row["step"]): float(row["error"]) for row in csv.DictReader(file)}
    draw(steps.tolist(), slices, generator.phases, rows.path.with_suffix(".png"))
    known = {str(step): errors[step] for step in steps.tolist() if step in errors}
    rows.write(complete=True, size=slices.shape[-1], steps=steps.tolist(), errors=known)


def draw(steps, slices, phases, path):
    """Draw slices in the order of their steps, the steps above them."""
    columns = min(COLUMNS, len(steps))
    rows, colors = -(-len(steps) // columns), phase_colors(phases)
    figure = Figure(figsize=(max(4.0, 1.5 * columns), 1.75 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, step, labels in zip(grid.flat, steps, slices, strict=False):  # the last row may have room left
        axes.imshow(colors[labels], interpolation="nearest")
        axes.set_title(f"{step:,}", fontsize=9)
    patches = [Patch(color=color / 255, label=phase) for color, phase in zip(colors, phases, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)
    figure.savefig(path, dpi=90)


def told(record, file):
    """Return the part of a run: its slices, and its errors."""
    steps, errors = record["steps"], list(record["errors"].items())
    caption = f"{record['size']}² voxels of one seed after {steps[0]:,} to {steps[-1]:,} steps."
    lines = [f"### Evolution of {record['generator']}", "", f"![{caption}]({file.parent.name}/{file.stem}.png)", ""]
    lines += [f"*{caption}*", ""]
    if errors:
        shown = [errors[0], *errors[-1:]] if len(errors) > 1 else errors
        texts = [f"{error:.3f} after {int(step):,} steps" for step, error in shown]
        lines += [f"The error of the generator is {' and '.join(texts)}.", ""]
    return lines
