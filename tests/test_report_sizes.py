"""The picture of how measures scatter with size: what belongs together, and nothing over the bands."""

import numpy as np
import pytest

from kerasgan3d.metrics import SizeCurve
from kerasgan3d.report import sizes

PHASES = ("pore", "NMC", "CBD")
SHAPES = {"volume_fraction": (3,), "mean_chord_length": (3, 3), "interfacial_area": (3, 3)}


@pytest.mark.parametrize(("key", "lines"), [("volume_fraction", 3), ("mean_chord_length", 9), ("interfacial_area", 3)])
def test_the_legend_stands_beside_the_bands(monkeypatch, key, lines):
    drawn = []
    monkeypatch.setattr(sizes, "save_figure", lambda figure, path, **_: drawn.append(figure))
    mean = {key: np.ones((4, *SHAPES[key]))}
    sizes.draw_sizes(SizeCurve(np.array([8, 12, 16, 24]), np.array([9, 9, 9, 9]), mean, mean), "a.png", PHASES, 0.5)
    (axes,) = drawn[0].axes
    drawn[0].draw_without_rendering()
    assert len(axes.get_legend().get_texts()) == len(axes.get_lines()) == lines
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1
    assert axes.get_legend().get_window_extent().x1 <= drawn[0].bbox.x1
    looks = {(line.get_linestyle(), str(line.get_color()), str(line.get_markerfacecolor())) for line in axes.lines}
    assert len(looks) == lines
