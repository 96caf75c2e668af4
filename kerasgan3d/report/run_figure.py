"""Overview figure of a training run: slices, correlation, fractions and error; and slices of one seed over the run."""

import contextlib
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kerasgan3d.files import replacing
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.files import save_figure
from kerasgan3d.report.style import INK, STYLE, label_text

FRAMES = "evolution.npz"  # in the folder of a run
_PANELS = 6
_DPI = 110


def draw_monitor(path, real, samples, reference, measured, rows):
    """Draw real slices over generated ones, S2(r)/S2(0) of both, and fractions, error and spread over the run.

    Args:
        path: Picture to write; an existing one is replaced.
        real: Slices of the data, a list of (rows, columns) labels.
        samples: Generated labels, a list of (z, y, x).
        reference, measured: Statistics of the data and of the samples, from ``kerasgan3d.material.statistics``.
        rows: Lines of the log, dicts from column to text.

    Returns:
        Path of the picture.

    Raises:
        OSError: if the picture cannot be written.
    """
    names, colors = [*map(label_text, reference["phases"])], phase_colors(reference["phases"])
    generated = [sample.take(len(sample) // 2, axis) for axis, sample in zip((0, 1, 2) * 2, samples, strict=False)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 7.2), dpi=_DPI, layout="constrained")
        grid = figure.add_gridspec(3, 2 * _PANELS, height_ratios=(1, 1, 1.6))
        for row, (title, slices) in enumerate((("real", real), ("generated", generated))):
            for k, labels in enumerate(slices[:_PANELS]):
                axes = figure.add_subplot(grid[row, 2 * k : 2 * k + 2])
                axes.imshow(colors[labels], interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                if k == 0:
                    axes.set_ylabel(title)
        left, middle, right = (figure.add_subplot(grid[2, 4 * k : 4 * k + 4]) for k in range(3))
        _draw_correlation(left, reference, measured, names, colors / 255)
        _draw_fractions(middle, reference, rows, names, colors / 255)
        _draw_errors(right, rows)
        figure.align_ylabels()
        return save_figure(figure, path, dpi=_DPI)


def keep_frame(folder, number, step, labels):
    """Keep the middle slice of a run's volume of one seed beside those of earlier measurements.

    Two measurements per doubling stay, numbers 0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32 and so on, and the latest: 24 of
    2,048. Those of this number and later ones are replaced, so that a resumed run leaves the same file as one that was
    not interrupted, if frames are kept before its state.

    Args:
        folder: Folder of the run.
        number: Number of the measurement, 0 for that before the first step.
        step: Steps done.
        labels: The volume, labels (z, y, x).

    Raises:
        OSError: if the file cannot be written.
    """
    kept = []
    with contextlib.suppress(OSError, ValueError):  # there are none, or they are damaged
        frames = zip(*read_frames(folder), strict=True)
        kept = [frame for frame in frames if frame[0] < number and _stays(int(frame[0]))]
    numbers, steps, slices = zip(*kept, (number, step, labels[len(labels) // 2]), strict=True)
    arrays = {"numbers": np.array(numbers, int), "steps": np.array(steps, int), "slices": np.array(slices, np.uint8)}
    with replacing(Path(folder) / FRAMES) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_frames(folder):
    """Return the slices that `keep_frame` kept.

    Returns:
        Arrays: numbers of the measurements (n,), steps done (n,), and slices of labels (n, y, x).

    Raises:
        OSError: if there are none.
        ValueError: if the file is damaged.
    """
    path = Path(folder) / FRAMES
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                numbers, steps, slices = (file[name] for name in ("numbers", "steps", "slices"))
        except Exception as error:  # damaged archives and arrays raise many kinds of errors
            raise ValueError(f"{path} is damaged: {error}.") from error
    if numbers.ndim != 1 or numbers.shape != steps.shape or slices.ndim != 3 or len(slices) != len(numbers):
        raise ValueError(f"{path} must hold a step and a slice of each measurement. Received: {slices.shape}.")
    return numbers, steps, slices


def _stays(number):
    """Tell whether a number is the first from a half power of two on."""
    return number < 2 or (number**2).bit_length() > ((number - 1) ** 2).bit_length()


def _draw_correlation(axes, reference, measured, names, colors):
    """Draw means over axes, solid for the data and dashed for generated volumes."""
    for statistics, style in ((reference, "-"), (measured, "--")):
        curves = np.array(statistics["mean"]["two_point_correlation"]).mean(1)
        for name, color, curve in zip(names, colors, curves, strict=True):
            axes.plot(curve, style, color=color, label=name if style == "-" else None)
    axes.set(xlabel="r (voxels)", ylabel="S2(r) / S2(0)", title="data solid, generated dashed")
    axes.legend(frameon=False)


def _draw_fractions(axes, reference, rows, names, colors):
    steps = [int(row["step"]) for row in rows]
    for i, (name, color) in enumerate(zip(names, colors, strict=True)):
        axes.axhline(reference["mean"]["volume_fraction"][i], color=color, linewidth=0.8)
        axes.plot(steps, _column(rows, f"fraction_{i}"), ".--", color=color, label=name)
    axes.set(xlabel="step", ylabel="volume fraction", title="data solid, generated dashed", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_errors(axes, rows):
    steps, errors = [int(row["step"]) for row in rows], _column(rows, "error")
    best = int(np.nanargmin(errors))
    axes.plot(steps, errors, ".-", color=INK, label="error")
    axes.plot(steps[best], errors[best], "o", color=INK, fillstyle="none", markersize=10)
    axes.plot(steps, _column(rows, "spread"), ".:", color="#b8527f", label="spread, of the data's")
    axes.axhline(1, color="#b8527f", linewidth=0.5)
    axes.set(xlabel="step", yscale="log", title=f"smallest error {errors[best]:.3f}, step {steps[best]}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.legend(frameon=False)


def _column(rows, key):
    """Return a column of the log as numbers, NaN where it is empty."""
    return np.array([float(row.get(key) or "nan") for row in rows])
