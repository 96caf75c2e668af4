"""Animations of volumes: their slices, and the body as it turns."""

import math
import sys

import numpy as np
import pytest
from PIL import Image

from kerasgan3d import Volume
from kerasgan3d.extras import MissingLibraryError
from kerasgan3d.palette import phase_colors
from kerasgan3d.report import animate_volume
from kerasgan3d.report.animation import check_animation
from kerasgan3d.report.solid import AZIMUTH, Projection, solid_image

COLORS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [0, 250, 250]], dtype=np.uint8)


def make_volume():
    return Volume(np.random.default_rng(0).integers(0, 3, (4, 6, 8)), ("pore", "a", "b"))


def frames(path):
    """The pictures of an animation, uint8 (rows, columns, 3)."""
    with Image.open(path) as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            yield np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_all_slices_are_shown_in_their_order(tmp_path, axis):
    volume = make_volume()
    animate_volume(volume, tmp_path / "a.gif", "slices", axis=axis)
    normal = "zyx".index(axis)
    shown = list(frames(tmp_path / "a.gif"))
    assert len(shown) == volume.shape[normal]
    for index, picture in enumerate(shown):
        labels = volume.labels.take(index, normal)
        factor = picture.shape[0] // labels.shape[0]
        colors = picture[factor // 2 :: factor, factor // 2 :: factor]
        np.testing.assert_array_equal(colors, phase_colors(volume.phases)[labels])


def test_a_rotation_begins_as_the_picture_and_turns_once(tmp_path):
    volume = make_volume()
    animate_volume(volume, tmp_path / "a.webp", frames=4)
    shown = list(frames(tmp_path / "a.webp"))
    assert len(shown) == 4
    assert all(picture.shape == shown[0].shape for picture in shown)
    # Opposite views of a box cover the same pixels, but for the rounding of their edges.
    grounds = [(picture == 255).all(-1) for picture in shown]
    assert (grounds[0] != grounds[2]).mean() < 0.01
    assert (grounds[0] != grounds[1]).mean() > 0.01
    assert all(ground[[0, -1]].all() for ground in grounds)


@pytest.mark.parametrize(("quarters", "left", "right"), [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 1), (4, 1, 2)])
def test_a_body_that_turns_shows_its_sides_one_after_the_other(quarters, left, right):
    labels = np.zeros((8, 9, 9), np.uint8)
    labels[1:, -1], labels[1:, :, -1], labels[1:, 0], labels[1:, :, 0] = 1, 2, 3, 4
    image = solid_image(labels, COLORS, pixels=300, azimuth=AZIMUTH + quarters * math.pi / 2)
    view = Projection(labels.shape)
    for label, centre in ((0, (0, 4.5, 4.5)), (left, (4.5, 9, 4.5)), (right, (4.5, 4.5, 9))):
        x, y = (view(centre) * 300 / max(view.extent)).astype(int)
        color = image[y, x, :3] / COLORS[label].max()
        assert (color > 0).tolist() == (COLORS[label] > 0).tolist()


def test_a_side_that_is_seen_edge_on_is_not_drawn():
    image = solid_image(np.ones((8, 8, 8), np.uint8), COLORS, pixels=200, azimuth=0.0)
    colors, counts = np.unique(image[image[..., 3] == 255][:, :3], axis=0, return_counts=True)
    assert sorted(colors[np.argsort(counts)[-2:]].tolist()) == [[0, 193, 0], [0, 250, 0]]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.png", {}, r"an animation must be a file of \.gif, \.webp.* Received: a.png"),
        ("a.gif", {"kind": "walk"}, "`kind` must be slices or rotation. Received: 'walk'"),
        ("a.gif", {"frames": 1}, "`frames` must be an integer of at least 2"),
        ("a.gif", {"axis": "w"}, "w"),
        ("a.gif", {"fps": 0}, "`fps` must be"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, path, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        animate_volume(make_volume(), path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_film_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingLibraryError, match=r"Received: a.mp4; .* pip install 'kerasgan3d\[video\]'\.$"):
        check_animation("a.mp4")


@pytest.mark.peer
# The library leaves its pipes open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_film_is_played(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    volume = Volume(np.arange(5).repeat(35).reshape(5, 5, 7) // 2, ("pore", "a", "b"))
    animate_volume(volume, tmp_path / "a.mp4", "slices", fps=10)
    film = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    facts = next(film)
    width, height = facts["size"]
    assert (facts["codec"], facts["fps"], width % 2, height % 2) == ("h264", 10, 0, 0)
    shown = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in film]
    assert len(shown) == 5
    for labels, picture in zip(volume.labels, shown, strict=True):
        wanted = phase_colors(volume.phases)[labels[0, 0]].astype(int)
        assert abs(picture[height // 2, width // 2] - wanted).max() < 12
