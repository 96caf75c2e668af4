"""What seeds give of data is what they gave before: crops of training, references, windows of comparisons."""

import json
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "golden"


def agree(found, expected, where):
    """Equal; numbers that sums of floats are made of, to the last digits."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for key in expected:
            agree(found[key], expected[key], f"{where}, {key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for a, b in zip(found, expected, strict=True):
            agree(a, b, where)
    else:
        assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected), where


@pytest.fixture(scope="module")
def made():
    return json.loads(json.dumps(runpy.run_path(str(FOLDER / "make_data.py"))["make"]()))


@pytest.mark.parametrize("part", ["samplers", "random_windows", "images", "materials"])
def test_draws_and_statistics_are_what_they_were(made, part):
    agree(made[part], json.loads((FOLDER / "data.json").read_text("utf-8"))[part], part)
