import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.report import overview
from kerasgan3d.volume import Volume


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder with a labelled volume, and with one of grey values that says nothing about itself."""
    monkeypatch.chdir(tmp_path)
    labels = np.random.default_rng(0).integers(0, 3, (6, 8, 10)).astype(np.uint8)
    Volume(labels, phases=("pore", "NMC", "CBD"), voxel_size=0.398).save("volume.tif")
    np.save("grey.npy", np.array([0, 100, 200], dtype=np.uint8)[labels])
    (tmp_path / "broken.tif").write_bytes(b"no image at all")
    (tmp_path / "old.png").write_bytes(b"old")
    return tmp_path


def run(text):
    return CliRunner().invoke(main, ["render", *text.split()], catch_exceptions=False)


def test_a_picture_is_drawn(folder):
    result = run("volume.tif -o a.png --title cathode --dpi 50")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "wrote a.png\n", "")
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def test_options_reach_reader_and_renderer(monkeypatch):
    drawn = {}

    def render(volume, path, **options):
        drawn.update(volume=volume, **options)

    monkeypatch.setitem(vars(kerasgan3d), "render", render)
    assert run("grey.npy -o a.png --map 0=pore,100=Ni,200=YSZ --voxel-size 0.065 --axis y --dpi 50").exit_code == 0
    assert drawn["volume"].phases == ("pore", "Ni", "YSZ")
    assert drawn["volume"].voxel_size == 0.065
    assert (drawn["axis"], drawn["dpi"], drawn["title"]) == ("y", 50, None)


def test_existing_pictures_are_replaced_only_on_request(folder):
    result = run("volume.tif -o old.png --dpi 50")
    assert (result.exit_code, (folder / "old.png").read_bytes()) == (2, b"old")
    assert "--overwrite" in result.stderr
    assert run("volume.tif -o old.png --dpi 50 --overwrite").exit_code == 0
    assert (folder / "old.png").read_bytes() != b"old"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("volume.tif -o a.jpg", "must end in .png, .pdf, .svg. Received: a.jpg"),
        ("volume.tif -o missing/a.png", "folder of the picture must exist.*Received: missing"),
        ("missing.tif -o a.png", "missing.tif"),
        ("broken.tif -o a.png", "broken.tif must be"),
        ("grey.npy -o a.png", "0.*100.*200"),
        ("volume.tif -o a.png --phases pore", "pore"),
        ("volume.tif", "Missing option '-o'"),
        ("volume.tif -o a.png --axis w", "Invalid value for '--axis'"),
        ("volume.tif -o a.png --animate slices", "an animation must be a file of .*gif, .webp.* Received: a.png"),
        ("volume.tif -o missing/a.gif --animate slices", "missing"),
        ("volume.tif -o a.webp", "a.webp is an animation; give --animate, too"),
        (
            "nmc-cathode -o a.png",
            "nmc-cathode is a generator, .* kerasgan3d sample nmc-cathode --size 128",
        ),
        ("volume.tif -o a.png --frames 9", "--frames is for animations; give --animate, too"),
        ("volume.tif -o a.gif --animate slices --dpi 90", "--dpi is for pictures, and --animate makes none"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(folder, text, message):
    before = sorted(folder.iterdir())
    result = run(text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)
    assert sorted(folder.iterdir()) == before


def test_a_full_disk_is_one_line_and_leaves_no_file(folder, monkeypatch):
    def fail(figure, path, *, dpi):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(overview, "save_figure", fail)
    before = sorted(folder.iterdir())
    result = run("volume.tif -o a.png --dpi 50")
    assert (result.exit_code, result.stderr) == (2, "kerasgan3d: No space left on device: a.png\n")
    assert sorted(folder.iterdir()) == before


def test_json_says_what_was_drawn(folder):
    result = run("volume.tif -o a.png --dpi 50 --json")
    found = json.loads(result.stdout)
    shares = found.pop("fractions")
    assert found == {"output": "a.png", "shape": [6, 8, 10], "voxel_size": 0.398, "periodic": [False, False, False]}
    assert list(shares) == ["pore", "NMC", "CBD"]
    assert sum(shares.values()) == pytest.approx(1)


def test_an_animation_is_made_on_request(folder, monkeypatch):
    result = run("volume.tif -o a.gif --animate slices --axis x")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "wrote a.gif\n", "")
    with Image.open(folder / "a.gif") as picture:
        assert picture.n_frames == 10
    made = {}
    monkeypatch.setattr(
        "kerasgan3d.report.animation.animate_volume", lambda volume, path, kind, **given: made.update(given, kind=kind)
    )
    assert run("volume.tif -o b.webp --animate rotation --frames 9 --fps 5").exit_code == 0
    assert made == {"kind": "rotation", "frames": 9, "fps": 5}
