"""Volumes on the way from seed to seed, and their animation."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kerasgan3d import Volume, load_generator
from kerasgan3d.cli import main
from kerasgan3d.palette import phase_colors
from kerasgan3d.report.animation import animate
from kerasgan3d.steering import interpolate


def test_the_way_goes_through_the_volumes_of_the_seeds(make_generator):
    generator = make_generator()
    frames = list(interpolate(generator, (1, 2, 1), 5, 8, periodic=True, offset=3))
    blends = [(seed, generator.sample(8, periodic=True, offset=3, seed=seed).labels) for seed in (1, 2, 1)]
    for frame, (seed, labels) in zip(frames[::2], blends, strict=True):
        np.testing.assert_array_equal(frame.labels, labels, err_msg=str(seed))
    between = generator.sample(8, periodic=True, offset=3, seed=1, blend=(2, 0.5)).labels
    np.testing.assert_array_equal(frames[1].labels, between)
    np.testing.assert_array_equal(frames[3].labels, between)
    assert [f.provenance["blend"]["t"][0][0][0] for f in frames] == [0, 0.5, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], 5, 8), "`seeds` must be two or more, and none may follow itself. Received: "),
        (([1, 1], 5, 8), "`seeds` must be two or more, and none may follow itself"),
        (([1, -2], 5, 8), "`seed` must be an integer from 0"),
        (([1, 2], 1, 8), "`frames` must be an integer of at least 2"),
        (([1, 2], 5, 0), "`size` must be a positive integer"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(make_generator, arguments, message):
    with pytest.raises(ValueError, match=message):
        interpolate(make_generator(), *arguments)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_holds_exactly_the_slices(tmp_path, suffix):
    slices = np.random.default_rng(0).integers(0, 3, (4, 30, 40))
    animate(slices, ("pore", "a", "b"), tmp_path / f"a{suffix}", fps=10)
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert (picture.n_frames, picture.size) == (4, (520, 390))
        for index, labels in enumerate(slices):
            picture.seek(index)
            colors = np.asarray(picture.convert("RGB"))[6::13, 6::13]
            np.testing.assert_array_equal(colors, phase_colors(("pore", "a", "b"))[labels])


def run(preset, tmp_path, *more):
    said = ["interpolate", str(preset), "--seeds", "1", "2", "--frames", "3", "--size", "8", "6", "4"]
    return CliRunner().invoke(main, [*said, *more])


def test_the_command_writes_volumes(small_preset, tmp_path):
    folder = tmp_path / "frames"
    result = run(small_preset, tmp_path, "-o", str(folder))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == ["frame-0.tif", "frame-1.tif", "frame-2.tif"]
    expected = load_generator(small_preset).sample((8, 6, 4), seed=1, blend=(2, 0.5))
    found = Volume.load(folder / "frame-1.tif")
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.provenance == expected.provenance
    assert "exists already" in run(small_preset, tmp_path, "-o", str(folder)).stderr
    assert run(small_preset, tmp_path, "-o", str(folder), "--overwrite").exit_code == 0
    (folder / "notes.txt").touch()
    refused = run(small_preset, tmp_path, "-o", str(folder), "--overwrite")
    assert (refused.exit_code, "holds other things than frames" in refused.stderr) == (2, True)


def test_the_command_writes_an_animation(small_preset, tmp_path):
    result = run(
        small_preset, tmp_path, "-o", str(tmp_path / "a.gif"), "--size", "16", "12", "8", "--axis", "x", "--json"
    )
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.gif") as picture:
        assert (picture.n_frames, picture.size) == (3, (384, 512))


def test_the_command_animates_solid_bodies(small_preset, tmp_path):
    result = run(small_preset, tmp_path, "-o", str(tmp_path / "a.webp"), "--body")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.webp") as picture:
        assert picture.n_frames == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-o", "a.mp4"), "an animation must be a file of .gif, .webp. Received: a.mp4"),
        (("-o", "a.gif", "--seeds", "1"), "must be two whole numbers or more. Received: 1"),
        (("-o", "a.gif", "--seeds", "3", "3"), "none may follow itself"),
    ],
)
def test_the_command_refuses_in_one_line(small_preset, tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    result = run(small_preset, tmp_path, *more)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
