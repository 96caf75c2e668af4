"""What is written about the measures is so: examples run, tables are what comes out."""

import csv
import doctest
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d import metrics
from kerasgan3d.metrics import correlation, fractions, specific_surface_area

DOCS = Path(__file__).resolve().parent.parent / "docs"
in_repository = pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository")


@pytest.fixture(scope="module")
def maker():
    """The script that makes the table."""
    spec = importlib.util.spec_from_file_location("make_measures", DOCS / "measures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("module", [fractions, correlation])
def test_docstring_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@in_repository
def test_examples_of_the_page_run():
    result = doctest.testfile(str(DOCS / "measures.md"), module_relative=False, encoding="utf-8")
    assert result.attempted >= 10
    assert result.failed == 0


@in_repository
@pytest.mark.parametrize("name", sorted(name for name in metrics.__all__ if name.islower()))
def test_the_page_has_every_measure(name):
    assert f"`{name}" in (DOCS / "measures.md").read_text("utf-8")


@in_repository
def test_the_table_of_the_page_is_the_file(maker):
    assert maker.markdown() in (DOCS / "measures.md").read_text("utf-8")


@in_repository
def test_the_table_is_what_comes_out(maker):
    with maker.TABLE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["radius"]) <= 20]
    assert len(rows) == 9
    for row in rows:
        radius, offset = int(row["radius"]), [float(shift) for shift in row["offset"].split()]
        labels = maker.sphere(radius, offset)
        true = 4 * np.pi * radius**2
        assert float(row["volume"]) == pytest.approx(labels.sum() / (radius * true / 3), abs=6e-4)
        for method in maker.METHODS:
            area = specific_surface_area(labels, method, voxel_size=1)[1] * labels.size
            assert float(row[method]) == pytest.approx(area / true, abs=6e-4)
