"""What the page on steering says of blends is what was measured."""

import csv
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d import load_generator

DOCS = Path(__file__).resolve().parent.parent / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository")


@pytest.fixture(scope="module")
def maker():
    """The script that makes the page's figures."""
    spec = importlib.util.spec_from_file_location("docs_steering", DOCS / "steering.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(DOCS)  # as where it is run
        spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_file(maker):
    page = maker.PAGE.read_text("utf-8")
    count, size = map(int, re.search(r"measured of (\d+) volumes of (\d+)³ voxels at t = 0.5", page).groups())
    _, *rows = csv.reader(maker.TABLE.read_text("utf-8").splitlines())
    assert maker.blends_text([tuple(row) for row in rows], count, size) in page


def test_the_comparison_is_made_of_what_it_says(maker, make_generator):
    rows = list(maker.compare(make_generator(voxel_size=0.5), 3, 8))
    assert {row[0] for row in rows} >= {"volume_fraction", "specific_surface_area", "connected_fraction"}
    fractions = [float(row[2]) for row in rows if row[0] == "volume_fraction"]
    assert sum(fractions) == pytest.approx(1, abs=1e-3)
    assert "Of " in maker.blends_text(rows, 3, 8)


def test_a_scan_is_continued_and_closed_into_the_page(maker, small_preset, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "steering.md").write_text("before\n<!-- docs/steering.py extend -->\n<!-- end -->\nafter\n", "utf-8")
    for name, value in (("PAGE", tmp_path / "steering.md"), ("IMAGES", tmp_path / "images"), ("STEPS", 2)):
        monkeypatch.setattr(maker, name, value)
    load_generator(small_preset).sample(24, seed=5).save(tmp_path / "real.tif")
    maker.extend(small_preset, tmp_path / "real.tif", 2, 24, tmp_path / "fits")
    page = (tmp_path / "steering.md").read_text("utf-8")
    assert page.startswith(
        "before\n<!-- docs/steering.py extend -->\nHalf of a real block of 24³ voxels, continued from 2"
    )
    assert page.endswith("<!-- end -->\nafter\n")
    assert "\n| label changes | " in page
    assert "\n| volume fraction | pore | " in page
    assert re.search(r"cut of 16³ voxels becomes a periodic volume of 24³ in \d+\.\d min; ", page)
    assert {path.name for path in tmp_path.rglob("*.*")} >= {"half-40001.npz", "closed.npz", "extend-closed.png"}
    maker.extend(small_preset, tmp_path / "real.tif", 2, 24, tmp_path / "fits")
    again = (tmp_path / "steering.md").read_text("utf-8")
    assert again == re.sub(r" in \S+ min;", ";", page)


def test_costs_are_of_what_is_across_the_fractions(maker):
    fractions = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    rows = np.vstack([[3.0, 2.0, 0.5, 0.0], [0.0, 0.0, 0.0, -0.25], fractions])
    text = maker.reach_text("blocks", rows, rows, 4, 8)
    _, *table = (line.split(" | ") for line in text.splitlines() if line.startswith("| "))
    assert [(row[2], row[3], row[4]) for row in table] == [("1.00", "0.500", "0.005"), ("1.00", "0.250", "0.02")]
