import numpy as np
import pytest

from kerasgan3d.report import phase_colors, render_slices

PHASES = ("pore", "Ni", "YSZ")


def labels(shape=(8, 8)):
    return np.random.default_rng(0).integers(0, 3, shape)


def test_slices_stand_side_by_side_with_their_titles(tmp_path):
    first, second = labels(), labels((8, 12))
    first.setflags(write=False)
    path = tmp_path / "pair.png"
    figure = render_slices([("real", first), ("generated", second)], PHASES, 0.065, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figure.axes] == ["real", "generated"]
    for axes, expected in zip(figure.axes, (first, second), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), phase_colors(PHASES)[expected])
        assert axes.get_xlabel() == "x (µm)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(PHASES)
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.x1 < right.x0


def test_slices_of_different_sizes_have_one_scale():
    figure = render_slices([("a", labels((8, 8))), ("b", labels((4, 12)))], PHASES)
    inches = figure.get_size_inches()
    scales = [
        np.array([axes.get_position().width, axes.get_position().height]) * inches / shape[::-1]
        for axes, shape in zip(figure.axes, ((8, 8), (4, 12)), strict=True)
    ]
    np.testing.assert_allclose(scales, np.full((2, 2), scales[0][0]))
    assert figure.axes[0].get_xlabel() == "x (voxels)"


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([], "1 to 8 pairs"),
        ([("a", labels())] * 9, "1 to 8 pairs"),
        ([("a", labels((2, 2, 2)))], r"slice 'a' must be an integer array \(rows, columns\).*shape \(2, 2, 2\)"),
        ([("a", labels().astype(float))], "slice 'a' must be an integer array.*float64"),
        ([("a", labels() + 1)], "slice 'a' must hold the labels 0 to 2 of its 3 phases. Received: 1 to 3"),
        ([("a", labels() - 1)], "slice 'a' must hold the labels 0 to 2 of its 3 phases. Received: -1 to 1"),
    ],
    ids=["none", "too many", "3D", "float", "too high", "negative"],
)
def test_wrong_slices_are_refused(slices, message):
    with pytest.raises(ValueError, match=message):
        render_slices(slices, PHASES)


@pytest.mark.parametrize("voxel_size", [0, -1, float("nan"), float("inf"), "1"])
def test_wrong_voxel_sizes_are_refused(voxel_size):
    with pytest.raises(ValueError, match="`voxel_size` must be"):
        render_slices([("a", labels())], PHASES, voxel_size)
