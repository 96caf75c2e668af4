"""One slice of labels as a panel: exact voxels, named axes, scale bar."""

from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from kerasgan3d.report.style import INK, label_text, round_length

MICROMETRE = "µm"
_PIXELS = 2048


def draw_slice(figure, box, labels, colors, *, voxel_size=None, names=("y", "x"), title=None, scale_bar=False):
    """Draw a slice.

    Args:
        figure: the matplotlib figure.
        box: left, bottom, width and height of the picture itself, inches.
        labels: integer array (rows, columns).
        colors: uint8 array (n, 3).
        voxel_size: µm, or None where it is not known: lengths are then in voxels.
        names: names of the row axis and the column axis.
        title: text above the slice.
        scale_bar: whether to draw one of a round length, where there is room for it.

    Returns:
        The matplotlib axes.
    """
    rows, columns = labels.shape
    unit = MICROMETRE if voxel_size else "voxels"
    length = voxel_size or 1.0
    width, height = figure.get_size_inches()
    axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
    stride = max(1, -(-max(rows, columns) // _PIXELS))
    shown = labels[::stride, ::stride]
    # Enlarged, a voxel is a sharp square; reduced, colours are averaged so that no fine structure is skipped.
    enlarged = shown.shape[1] <= box[2] * figure.dpi
    axes.imshow(
        colors[shown],
        extent=(0, columns * length, rows * length, 0),
        aspect="auto",
        interpolation="nearest" if enlarged else "auto",
        interpolation_stage="rgba",
    )
    axes.set_xlabel(f"{names[1]} ({unit})", labelpad=2)
    axes.set_ylabel(f"{names[0]} ({unit})", labelpad=3)
    for axis, inches in ((axes.xaxis, box[2]), (axes.yaxis, box[3])):
        axis.set_major_locator(MaxNLocator(nbins=max(1, min(4, int(inches / 0.45))), steps=[1, 2, 5, 10]))
    if title:
        axes.set_title(label_text(title), pad=5, loc="center" if box[2] > 0.09 * len(title) else "left")
    if scale_bar:
        _draw_scale_bar(axes, columns * length, box, unit, whole=not voxel_size)
    return axes


def _draw_scale_bar(axes, extent, box, unit, *, whole):
    """Draw a bar with its length in a white box, lower left."""
    length = round_length(extent)
    if whole:
        length = max(1.0, length)
    text = f"{length:g} {unit}"
    bar = length / extent * box[2]
    inner = max(bar, 0.085 * len(text))
    wide, high, gap = inner + 0.14, 0.3, 0.07
    if wide + gap > box[2] or high + gap > box[3]:
        return

    def patch(left, bottom, across, up, **style):
        size = (across / box[2], up / box[3])
        axes.add_patch(
            Rectangle((left / box[2], bottom / box[3]), *size, transform=axes.transAxes, linewidth=0, **style)
        )

    patch(gap, gap, wide, high, facecolor="white", alpha=0.86, zorder=3)
    patch(gap + (wide - bar) / 2, gap + 0.055, bar, 0.045, facecolor=INK, zorder=4)
    axes.text(
        (gap + wide / 2) / box[2],
        (gap + 0.125) / box[3],
        text,
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=9,
        color=INK,
        zorder=4,
    )
