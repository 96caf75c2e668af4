"""Figure of the scatter of measures with the size of a volume."""

import os
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kerasgan3d.metrics.confidence import SizeCurve
from kerasgan3d.metrics.registry import ALL, places, sampled_value
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.files import save_figure
from kerasgan3d.report.style import STYLE, label_text

_LINES = 12  # rows of a legend


def sampled_curve(curve: SizeCurve, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of a measure, each pair of phases once: (sizes, ...), as for `places`."""
    row = ALL[key]
    mean, std = (np.array([sampled_value(row, value) for value in part[key]]) for part in (curve.mean, curve.std))
    return mean, std


def draw_sizes(
    curve: SizeCurve,
    path: str | os.PathLike[str],
    phases: tuple[str, ...],
    voxel_size: float | None = None,
    *,
    dpi: float = 150,
) -> Path:
    """Draw the mean of each measure against the edge length of sub-volumes, and a standard deviation around it.

    Args:
        curve: Result of `size_curve`.
        path: The picture: .png, .pdf or .svg.
        phases: Names of the phases.
        voxel_size: Edge of a voxel in µm; None: lengths are in voxels.
        dpi: Dots per inch.

    Raises:
        ValueError, OSError: As for `kerasgan3d.report.check_picture`.
    """
    keys, colors = list(curve.mean), np.asarray(phase_colors(phases)) / 255
    lengths = curve.sizes * (voxel_size or 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6 * len(keys), 3.4), layout="constrained")
        for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
            row = ALL[key]
            mean, std = sampled_curve(curve, key)
            for place in (place for place in places(row, phases) if slice(None) not in place.index):
                index = (slice(None), *place.index)
                color = colors[phases.index(place.phase)] if place.phase else "0.2"
                style = {"z": "-", "y": "--", "x": ":"}.get(place.axis or "z")
                name = label_text(" ".join(filter(None, (place.phase, place.other, place.axis))))
                # For a pair of phases, the markers are those of the other one.
                inner = colors[phases.index(place.other)] if place.other else color
                axes.plot(lengths, mean[index], style, marker="o", markerfacecolor=inner, color=color, label=name)
                low, high = mean[index] - std[index], mean[index] + std[index]
                axes.fill_between(lengths, low, high, color=color, alpha=0.2)
            axes.set_xlabel(f"edge length [{'voxels' if voxel_size is None else 'µm'}]")
            axes.set_ylabel(row.name if row.unit == "1" else f"{row.name} [{row.unit}]")
            if row.shape:
                # Outside the axes, since it would cover the bands.
                lines = len(axes.get_lines())
                axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), ncols=-(-lines // _LINES))
        return save_figure(figure, path, dpi=dpi)
