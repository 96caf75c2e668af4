import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasgan3d.report import phase_colors, render
from kerasgan3d.volume import Volume

PHASES = ("pore", "NMC", "CBD")


def volume(shape=(6, 8, 10), voxel_size=0.5, phases=PHASES):
    labels = np.random.default_rng(0).integers(0, len(phases), shape).astype(np.uint8)
    return Volume(labels, phases=phases, voxel_size=voxel_size)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_slices_hold_the_middle_of_the_volume_voxel_by_voxel():
    sample = volume()
    figure = render(sample)
    assert isinstance(figure, Figure)
    colors = phase_colors(PHASES)
    for axes, labels in zip(
        figure.axes[1:], (sample.labels[3], sample.labels[:, 4], sample.labels[:, :, 5]), strict=True
    ):
        np.testing.assert_array_equal(axes.images[0].get_array(), colors[labels])
        assert axes.images[0].get_interpolation() == "nearest"


def test_axes_are_named_and_measured_in_micrometres():
    _, z, y, x = render(volume()).axes
    labels = [(axes.get_ylabel(), axes.get_xlabel(), axes.get_title()) for axes in (z, y, x)]
    assert labels == [
        ("y (µm)", "x (µm)", "z = 1.5 µm"),
        ("z (µm)", "x (µm)", "y = 2 µm"),
        ("z (µm)", "y (µm)", "x = 2.5 µm"),
    ]
    assert z.images[0].get_extent() == [0, 5, 4, 0]


def test_without_a_voxel_size_lengths_are_in_voxels():
    figure = render(volume(voxel_size=None))
    assert figure.axes[1].get_xlabel() == "x (voxels)"
    assert figure.axes[1].get_title() == "z = 3"
    assert {"z  6 voxels", "y  8 voxels", "x  10 voxels"} <= set(texts(figure))


def test_edges_of_the_body_carry_their_lengths_and_one_slice_a_scale_bar():
    assert {"z  3 µm", "y  4 µm", "x  5 µm", "1 µm"} == set(texts(render(volume())))


@pytest.mark.parametrize(
    ("voxel_size", "expected"), [(0.398, "10 µm"), (1.0, "20 µm"), (0.001, "0.02 µm"), (1.6, "50 µm"), (None, "20")]
)
def test_the_scale_bar_has_a_round_length(voxel_size, expected):
    figure = render(Volume(np.zeros((96, 96, 96), dtype=np.uint8), voxel_size=voxel_size))
    assert any(text.startswith(expected) for text in texts(figure))


def test_the_scale_bar_is_as_long_as_it_says():
    figure = render(volume((32, 32, 32), voxel_size=1.0), axis="z")
    (axes,) = figure.axes
    _, bar = axes.patches
    width_um = bar.get_width() * 32
    assert texts(figure) == [f"{width_um:g} µm"]


def test_the_legend_gives_phases_and_volume_fractions():
    labels = np.zeros((4, 5, 10), dtype=np.uint8)
    labels[:, :, :3] = 1
    figure = render(Volume(labels, phases=PHASES, voxel_size=1.0))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["pore  70.0 %", "NMC  30.0 %", "CBD  0.0 %"]
    np.testing.assert_allclose(legend.get_patches()[1].get_facecolor()[:3], phase_colors(PHASES)[1] / 255)


def test_a_long_legend_says_how_much_it_leaves_out():
    sample = volume(phases=[f"phase {index}" for index in range(200)])
    (legend,) = render(sample).legends
    assert legend.get_texts()[-1].get_text() == "and 176 more"


@pytest.mark.parametrize(("axis", "title"), [("z", "z = 1.5 µm"), ("y", "y = 2 µm"), (2, "x = 2.5 µm")])
def test_one_slice_alone(axis, title):
    (axes,) = render(volume(), axis=axis).axes
    assert axes.get_title() == title


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 64, 64), (64, 2, 2), (2, 2, 300), (40, 64, 8)], ids=lambda shape: "x".join(map(str, shape))
)
def test_unequal_sides_stay_inside_the_figure_at_one_scale(shape):
    figure = render(volume(shape))
    width, height = figure.get_size_inches()
    assert width < 14
    assert height < 8
    for axes in figure.axes:
        box = axes.get_position()
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
    sides = [
        (axes.get_position().width * width / columns, axes.get_position().height * height / rows)
        for axes, (rows, columns) in zip(figure.axes[1:], (shape[1:], shape[::2], shape[:2]), strict=True)
        if min(axes.get_position().width * width, axes.get_position().height * height) > 0.13
    ]
    np.testing.assert_allclose(sides, np.full_like(sides, sides[0][0] if sides else 0))


def test_slices_of_large_volumes_are_thinned_for_drawing():
    labels = np.zeros((1, 16, 5000), dtype=np.uint8)
    shown = render(Volume(labels, voxel_size=1.0)).axes[1].images[0]
    assert max(shown.get_array().shape) <= 2048
    assert shown.get_extent() == [0, 5000, 16, 0]


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_saving_gives_the_same_file_every_time(tmp_path, suffix, magic):
    sample = volume()
    files = [tmp_path / f"{name}{suffix}" for name in ("a", "b")]
    for file in files:
        render(sample, file)
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(magic)
    assert first == second
    assert sorted(tmp_path.iterdir()) == files


def test_the_volume_is_left_as_it_was(tmp_path):
    sample = volume()
    before = sample.labels.copy()
    render(sample, tmp_path / "a.png", colors={"NMC": "red"}, title="title")
    np.testing.assert_array_equal(sample.labels, before)


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(self, stream, **_):
        stream.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="no space left"):
        render(volume(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.gif", ValueError, "must end in .png, .pdf, .svg"),
        ("none", ValueError, "must end in .png, .pdf, .svg"),
        ("missing/a.png", FileNotFoundError, "folder of the picture must exist"),
        ("folder.png", IsADirectoryError, "must be a file, not a folder"),
    ],
)
def test_wrong_paths_are_refused(tmp_path, name, error, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(error, match=message):
        render(volume(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "w"}, "`axis` must be 'z', 'y' or 'x'"),
        ({"axis": 3}, "`axis` must be 'z', 'y' or 'x'"),
        ({"axis": True}, "`axis` must be 'z', 'y' or 'x'"),
        ({"dpi": 0}, "`dpi` must be a number from 10 to 1200. Received: 0"),
        ({"dpi": float("nan")}, "`dpi` must be a number from 10 to 1200. Received: nan"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        render(volume(), **options)


def test_arrays_are_refused_with_advice():
    with pytest.raises(TypeError, match=r"make one with Volume\(labels.*Received: ndarray"):
        render(np.zeros((4, 4, 4), dtype=np.uint8))


def test_no_pyplot_and_no_keras_are_loaded():
    names = ("matplotlib.pyplot", "keras", "tensorflow")
    code = f"import sys, kerasgan3d.report; print(*(name for name in {names} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
