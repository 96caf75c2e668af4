import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import load_generator
from kerasgan3d.cli import main
from kerasgan3d.volume import Volume


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    labels = np.random.default_rng(0).integers(0, 3, (6, 8, 10)).astype(np.uint8)
    Volume(labels, phases=("pore", "NMC", "CBD"), voxel_size=0.398).save("volume.tif")
    np.save("grey.npy", np.array([0, 100, 200], dtype=np.uint8)[labels])
    (tmp_path / "old.html").write_bytes(b"old")
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, ["view", *map(str, words)], catch_exceptions=False)


def test_a_file_becomes_a_page(folder):
    result = run("volume.tif", "-o", "a.html")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "wrote a.html\n", "")
    text = (folder / "a.html").read_text("utf-8")
    assert "<title>volume.tif</title>" in text
    result = run(
        "grey.npy", "-o", "a.html", "--map", "0=pore,100=Ni,200=YSZ", "--title", "anode", "--overwrite", "--json"
    )
    found = json.loads(result.stdout)
    assert found.pop("bytes") == (folder / "a.html").stat().st_size
    facts = {"shape": [6, 8, 10], "shown": [6, 8, 10], "voxel_size": None, "periodic": [False] * 3}
    assert found == {"output": "a.html", **facts}
    assert "<title>anode</title>" in (folder / "a.html").read_text("utf-8")


def test_a_generator_makes_what_is_shown(folder, small_preset):
    assert run(small_preset, "--size", "8", "6", "4", "--seed", "3", "-o", "a.html").exit_code == 0
    volume = load_generator(small_preset).sample((8, 6, 4), seed=3)
    assert (folder / "a.html").read_text("utf-8") == volume.view().html


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("volume.tif", "-o", "a.png"), "a.png"),
        (("volume.tif", "-o", "missing/a.html"), "missing"),
        (("volume.tif", "-o", "old.html"), "--overwrite"),
        (
            ("missing.tif", "-o", "a.html"),
            "a generator, a volume or a folder of that name. Received: missing.tif",
        ),
        (("grey.npy", "-o", "a.html"), "0.*100.*200"),
        (("volume.tif", "--size", "8", "-o", "a.html"), "--size is for generators, and this is a file"),
        (("volume.tif", "--periodic", "-o", "a.html"), "--periodic is for generators, and this is a file"),
        (("nmc-cathode", "--phases", "a,b", "-o", "a.html"), "--phases is for files, and this is a generator"),
        (("volume.tif",), "Missing option '-o'"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(folder, words, message):
    before = sorted(folder.iterdir())
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)
    assert sorted(folder.iterdir()) == before
    assert (folder / "old.html").read_bytes() == b"old"
