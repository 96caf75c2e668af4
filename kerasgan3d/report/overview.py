"""Overview figure of a volume: a 3D view, three orthogonal slices, the phases and their fractions."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kerasgan3d.palette import phase_colors
from kerasgan3d.report.files import check_drawable, check_picture, save_figure
from kerasgan3d.report.slices import MICROMETRE, draw_slice
from kerasgan3d.report.solid import Projection, solid_image
from kerasgan3d.report.style import (
    ABOVE_SLICE,
    BELOW_SLICE,
    INK,
    LEFT_OF_SLICE,
    MARGIN,
    STYLE,
    TITLE_HEIGHT,
    Picture,
    draw_legend,
    label_text,
    legend_height,
)
from kerasgan3d.volume import Volume

_AXES = ("z", "y", "x")
_SLICES_WIDTH = 8.4
_ROW_HEIGHT = 4.6
_COLUMN_HEIGHT = 5.2
_SOLID_WIDTH = 3.6
_SOLID_HEIGHT = 3.4
_EDGE_LABEL = 0.34
_SINGLE_SLICE = 4.0
_SMALLEST_SIDE = 0.12


def render(
    volume: Volume,
    path: str | os.PathLike[str] | None = None,
    *,
    axis: int | str | None = None,
    colors: Mapping[str, Any] | Iterable[Any] | None = None,
    title: str | None = None,
    dpi: float = 150,
) -> Figure:
    """Draw a volume: a 3D view of its three visible faces, the middle slices normal to z, y and x, and a legend.

    All slices have the same scale. Lengths are in µm, or in voxels where the voxel size is unknown. The volume is seen
    from above its first slice, with z pointing down. The legend gives the volume fraction of each phase.

    Args:
        volume: A `kerasgan3d.Volume`.
        path: File to save the figure to, .png, .pdf or .svg; an existing file is replaced.
        axis: "z", "y" or "x" (or 0, 1, 2) draws only the middle slice normal to that axis.
        colors: One colour per phase, or a dict from phase name to colour; see `phase_colors` for the default.
        title: Text above the figure.
        dpi: Dots per inch, 10 to 1200.

    Returns:
        The `matplotlib.figure.Figure`; it belongs to no window and need not be closed.

    Raises:
        TypeError: if `volume` is not a Volume.
        ValueError: if an axis, suffix or colour is unknown, or `dpi` is out of range.
        OSError: if the file cannot be written.
    """
    check_drawable(volume, Volume)
    normal = _axis(axis)
    check_dpi(dpi)
    if path is not None:
        check_picture(path)
    palette = phase_colors(volume.phases, colors)
    texts = [
        f"{name}  {share:.1%}".replace("%", " %") for name, share in zip(volume.phases, volume.fractions, strict=True)
    ]
    with matplotlib.rc_context(STYLE):
        draw = _draw_overview if normal is None else _draw_single
        figure = draw(volume, normal, palette, texts, title, dpi)
        if path is not None:
            save_figure(figure, path, dpi=dpi)
    return figure


def check_dpi(dpi: Any) -> None:
    """Check the resolution of a figure.

    Raises:
        ValueError: if it is not a number from 10 to 1200.
    """
    if isinstance(dpi, bool) or not isinstance(dpi, (int, float, np.number)) or not 10 <= dpi <= 1200:
        raise ValueError(f"`dpi` must be a number from 10 to 1200. Received: {dpi!r}")


def _axis(axis):
    if axis is None:
        return None
    if not isinstance(axis, bool):
        if axis in _AXES:
            return _AXES.index(axis)
        if axis in (0, 1, 2):
            return int(axis)
    raise ValueError(f"`axis` must be 'z', 'y' or 'x', or 0, 1 or 2. Received: {axis!r}")


def _draw_overview(volume, _, palette, texts, title, dpi):
    boxes, block_width, block_height = _slice_boxes(volume.shape)
    solid_width, solid_height = _solid_size(volume.shape)
    width = 3 * MARGIN + solid_width + block_width
    body = max(block_height, solid_height)
    foot = MARGIN + legend_height(texts, width)
    figure = Picture(figsize=(width, foot + body + MARGIN + (TITLE_HEIGHT if title else 0)), dpi=dpi)
    _draw_title(figure, title)
    _draw_solid(figure, (MARGIN, foot + (body - solid_height) / 2, solid_width, solid_height), volume, palette)

    left, bottom = 2 * MARGIN + solid_width, foot + (body - block_height) / 2
    largest = max(range(3), key=lambda normal: (min(boxes[normal][2:]), -normal))
    for normal, (x, y, across, up) in enumerate(boxes):
        box = (left + x, bottom + y, across, up)
        _draw_middle(figure, box, volume, normal, palette, scale_bar=normal == largest)
    draw_legend(figure, texts, palette)
    return figure


def _draw_single(volume, normal, palette, texts, title, dpi):
    rows, columns = (side for axis, side in enumerate(volume.shape) if axis != normal)
    scale = _SINGLE_SLICE / max(rows, columns)
    width, height = max(_SMALLEST_SIDE, columns * scale), max(_SMALLEST_SIDE, rows * scale)
    across = max(LEFT_OF_SLICE + width + 2 * MARGIN, 3.0)
    foot = MARGIN + legend_height(texts, across)
    head = MARGIN + (TITLE_HEIGHT if title else 0)
    figure = Picture(figsize=(across, foot + BELOW_SLICE + height + ABOVE_SLICE + head), dpi=dpi)
    _draw_title(figure, title)
    left = (across + LEFT_OF_SLICE - MARGIN - width) / 2
    _draw_middle(figure, (left, foot + BELOW_SLICE, width, height), volume, normal, palette, scale_bar=True)
    draw_legend(figure, texts, palette)
    return figure


def _slice_boxes(shape):
    """Place the slices normal to z, y and x at one scale, in a row, or in a column where they are much larger then.

    Returns:
        Three boxes (left, bottom, width, height) and the width and height of the block, inches.
    """
    z, y, x = shape
    sizes = ((x, y), (x, z), (y, z))
    across, up = zip(*sizes, strict=True)
    around = (LEFT_OF_SLICE + MARGIN, BELOW_SLICE + ABOVE_SLICE)
    row = min((_SLICES_WIDTH - 3 * around[0]) / sum(across), (_ROW_HEIGHT - around[1]) / max(up))
    column = min((_SLICES_WIDTH - around[0]) / max(across), (_COLUMN_HEIGHT - 3 * around[1]) / sum(up))
    in_a_row = 1.5 * row >= column
    scale = row if in_a_row else column
    drawn = [tuple(max(_SMALLEST_SIDE, side * scale) for side in size) for size in sizes]
    if in_a_row:
        block_height = max(height for _, height in drawn) + around[1]
        boxes, left = [], 0.0
        for width, height in drawn:
            boxes.append((left + LEFT_OF_SLICE, block_height - ABOVE_SLICE - height, width, height))
            left += width + around[0]
        return boxes, left, block_height
    block_height = sum(height for _, height in drawn) + 3 * around[1]
    boxes, top = [], block_height
    for width, height in drawn:
        top -= height + around[1]
        boxes.append((LEFT_OF_SLICE, top + BELOW_SLICE, width, height))
    return boxes, max(width for width, _ in drawn) + around[0], block_height


def _draw_middle(figure, box, volume, normal, palette, *, scale_bar):
    index = volume.shape[normal] // 2
    where = f"{index * volume.voxel_size:.3g} {MICROMETRE}" if volume.voxel_size else f"{index}"
    names = tuple(name for axis, name in enumerate(_AXES) if axis != normal)
    labels = np.take(volume.labels, index, axis=normal)
    title = f"{_AXES[normal]} = {where}"
    draw_slice(
        figure, box, labels, palette, voxel_size=volume.voxel_size, names=names, title=title, scale_bar=scale_bar
    )


def _solid_size(shape):
    """Return the width and height of the body with its labels, inches."""
    across, down = Projection(shape).extent
    scale = min((_SOLID_WIDTH - 2 * _EDGE_LABEL) / across, (_SOLID_HEIGHT - 2 * _EDGE_LABEL) / down)
    return max(across * scale + 2 * _EDGE_LABEL, _SOLID_WIDTH / 2), down * scale + 2 * _EDGE_LABEL


def _draw_solid(figure, box, volume, palette):
    """Draw the body in its box (left, bottom, width, height in inches), with its edges and their lengths."""
    view = Projection(volume.shape)
    across, down = view.extent
    scale = (box[3] - 2 * _EDGE_LABEL) / down
    width, height = across * scale, down * scale
    left, bottom = box[0] + (box[2] - width) / 2, box[1] + _EDGE_LABEL
    whole = figure.get_size_inches()
    axes = figure.add_axes((left / whole[0], bottom / whole[1], width / whole[0], height / whole[1]))
    axes.set_axis_off()
    pixels = int(min(2400, max(200, 2 * figure.dpi * max(width, height))))
    image = solid_image(volume.labels, palette, pixels=pixels)
    axes.imshow(image, extent=(0, across, down, 0), aspect="auto", interpolation="auto")
    axes.set_xlim(0, across)
    axes.set_ylim(down, 0)

    z, y, x = volume.shape
    rim = view([(0, 0, 0), (0, 0, x), (z, 0, x), (z, y, x), (z, y, 0), (0, y, 0), (0, 0, 0)])
    ridges = [view([(0, y, x), corner]) for corner in ((0, 0, x), (0, y, 0), (z, y, x))]
    line = {"clip_on": False, "solid_joinstyle": "round", "solid_capstyle": "round"}
    for ridge in ridges:
        axes.plot(*ridge.T, color="white", alpha=0.6, linewidth=0.8, **line)
    axes.plot(*rim.T, color=INK, linewidth=0.9, **line)

    size = volume.voxel_size
    for name, voxels, ends, anchor in (
        ("z", z, ((0, y, 0), (z, y, 0)), "center"),
        ("x", x, ((z, y, 0), (z, y, x)), "right"),
        ("y", y, ((z, y, x), (z, 0, x)), "left"),
    ):
        text = f"{name}  {voxels * size:.3g} {MICROMETRE}" if size else f"{name}  {voxels} voxels"
        _label_edge(axes, view(ends) * scale, text, anchor, scale)


def _label_edge(axes, ends, text, anchor, scale):
    """Write a text along an edge, outside the body; `ends` in inches, right and down.

    A text longer than its edge grows away from the front corner, where the two lower edges meet.
    """
    direction = ends[1] - ends[0]
    length = float(np.linalg.norm(direction))
    if anchor == "center":
        outward, angle = np.array([-1.0, 0.0]), 90.0
    else:
        outward = np.array([-direction[1], direction[0]]) / length
        angle = -float(np.degrees(np.arctan2(direction[1], direction[0])))
    place = ends.mean(axis=0)
    if length < 0.08 * len(text) and anchor != "center":
        place = ends[1] if anchor == "right" else ends[0]
    else:
        anchor = "center"
    axes.text(
        *((place + outward * 0.15) / scale),
        text,
        rotation=angle,
        rotation_mode="anchor",
        ha=anchor,
        va="center",
        fontsize=9,
        color=INK,
        clip_on=False,
    )


def _draw_title(figure, title):
    if title:
        height = figure.get_size_inches()[1]
        figure.text(0.5, 1 - MARGIN / height, label_text(title), ha="center", va="top", fontsize=12, color=INK)
