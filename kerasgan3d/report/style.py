"""Common style of all figures: type, line widths, lengths in inches, legend."""

import io
import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kerasgan3d.texts import clipped, printable

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10,
    "axes.titleweight": "normal",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": 10,
    "text.usetex": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
}
INK = "#24272d"

MARGIN = 0.15
LEFT_OF_SLICE = 0.62
BELOW_SLICE = 0.48
ABOVE_SLICE = 0.3
TITLE_HEIGHT = 0.42
LEGEND_ROW = 0.26
_LEGEND_ENTRIES = 24
_LEGEND_ENTRY_WIDTH = 1.15
_LETTER_WIDTH = 0.085
_LONGEST_LABEL = 120


class Picture(Figure):
    """A figure that notebooks display although it belongs to no pyplot window."""

    def _repr_png_(self):
        return png_of(self, min(self.dpi, 100))


def png_of(figure, dpi):
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def label_text(text):
    """Return a name for a picture: literal, not as a formula, and of limited length."""
    return clipped(printable(str(text)), _LONGEST_LABEL).replace("$", r"\$")


def legend_height(texts, width):
    """Return the height of a legend in inches, for a figure `width` inches wide."""
    return LEGEND_ROW * math.ceil(min(len(texts), _LEGEND_ENTRIES + 1) / _legend_columns(texts, width)) + 0.1


def draw_legend(figure, texts, colors):
    """Draw a patch and a text for each phase at the foot of the figure; phases beyond 24 are only counted."""
    texts = [label_text(text) for text in texts]
    handles = [
        Patch(facecolor=color / 255, edgecolor=INK, linewidth=0.5, label=text)
        for color, text in zip(colors[:_LEGEND_ENTRIES], texts, strict=False)
    ]
    if len(texts) > _LEGEND_ENTRIES:
        handles.append(Patch(facecolor="none", label=f"and {len(texts) - _LEGEND_ENTRIES} more"))
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, MARGIN / 2 / height),
        ncols=_legend_columns(texts, width),
        frameon=False,
        handlelength=1.2,
        handleheight=1.0,
        columnspacing=2.0,
        borderaxespad=0.0,
        borderpad=0.1,
    )


def round_length(extent):
    """Return the largest of 1, 2, 5, 10, 20, 50, ... times a power of ten that is at most a third of `extent`."""
    power = 10.0 ** math.floor(math.log10(extent / 3))
    factor = max(factor for factor in (1, 2, 5) if factor * power <= extent / 3 * (1 + 1e-9))
    return float(f"{factor * power:.12g}")


def _legend_columns(texts, width):
    longest = max(len(label_text(text)) for text in texts[:_LEGEND_ENTRIES])
    return max(1, min(len(texts), int(width / (_LEGEND_ENTRY_WIDTH + _LETTER_WIDTH * max(0, longest - 8)))))
