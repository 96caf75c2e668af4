"""Figures of slices side by side, at one scale."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kerasgan3d.checks import check_voxel_size
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.files import check_picture, save_figure
from kerasgan3d.report.overview import check_dpi
from kerasgan3d.report.slices import draw_slice
from kerasgan3d.report.style import (
    ABOVE_SLICE,
    BELOW_SLICE,
    LEFT_OF_SLICE,
    MARGIN,
    STYLE,
    Picture,
    draw_legend,
    legend_height,
)

_PANEL_HEIGHT = 3.4
_WIDTH = 12.0
_MOST = 8


def render_slices(
    slices: Iterable[tuple[str, ArrayLike]],
    phases: Iterable[str],
    voxel_size: float | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    names: tuple[str, str] = ("y", "x"),
    dpi: float = 150,
) -> Figure:
    """Draw slices side by side at one scale, such as a generated one next to a real one.

    Args:
        slices: List of (title, labels), labels an integer array (rows, columns) of values 0..n-1.
        phases: Names of the n phases.
        voxel_size: Edge of a voxel in µm, the same for all slices; None where it is unknown.
        path: File to save the figure to, .png, .pdf or .svg; an existing file is replaced.
        colors: One colour per phase, or a dict from phase name to colour; see `phase_colors`.
        names: Names of the row axis and the column axis.
        dpi: Dots per inch, 10 to 1200.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there are no slices or more than 8, labels are not two-dimensional integers 0..n-1, the voxel
            size is not positive, or a suffix or colour is unknown.
        OSError: if the file cannot be written.
    """
    phases = tuple(phases)
    slices = [(title, _check_labels(title, labels, len(phases))) for title, labels in slices]
    if not 1 <= len(slices) <= _MOST:
        raise ValueError(f"`slices` must hold 1 to {_MOST} pairs (title, labels). Received: {len(slices)}")
    voxel_size = check_voxel_size(voxel_size)
    check_dpi(dpi)
    if path is not None:
        check_picture(path)
    palette = phase_colors(phases, colors)

    around = LEFT_OF_SLICE + MARGIN
    rows = max(labels.shape[0] for _, labels in slices)
    columns = sum(labels.shape[1] for _, labels in slices)
    scale = min(_PANEL_HEIGHT / rows, (_WIDTH - MARGIN - len(slices) * around) / columns)
    width = max(MARGIN + columns * scale + len(slices) * around, 3.0)
    foot = MARGIN + legend_height(phases, width)
    with matplotlib.rc_context(STYLE):
        height = foot + BELOW_SLICE + rows * scale + ABOVE_SLICE + MARGIN
        figure = Picture(figsize=(width, height), dpi=dpi)
        left = 0.0
        for index, (title, labels) in enumerate(slices):
            across, up = labels.shape[1] * scale, labels.shape[0] * scale
            box = (left + LEFT_OF_SLICE, foot + BELOW_SLICE + rows * scale - up, across, up)
            draw_slice(
                figure, box, labels, palette, voxel_size=voxel_size, names=names, title=title, scale_bar=index == 0
            )
            left += across + around
        draw_legend(figure, phases, palette)
        if path is not None:
            save_figure(figure, path, dpi=dpi)
    return figure


def _check_labels(title, labels, n):
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"slice {title!r} must be an integer array (rows, columns). "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= n:
        raise ValueError(
            f"slice {title!r} must hold the labels 0 to {n - 1} of its {n} phases. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    return labels
