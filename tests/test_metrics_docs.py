"""What is written about the measures is so: examples run, tables are what comes out."""

import csv
import doctest
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from kerasgan3d import metrics
from kerasgan3d.metrics import correlation, euler, fractions, openings, specific_surface_area

DOCS = Path(__file__).resolve().parent.parent / "docs"
in_repository = pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository")


def script(name):
    """A script of the documentation, as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(DOCS)  # as where it is run
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def maker():
    """The script that makes the table."""
    return script("measures")


@pytest.mark.parametrize("module", [fractions, correlation, openings, euler])
def test_docstring_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@in_repository
@pytest.mark.parametrize("page", ["measures.md", "shapes.md"])
def test_examples_of_the_page_run(page):
    result = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
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


@in_repository
def test_the_page_of_shapes_has_the_table_of_its_script():
    shapes = script("shapes")
    page = shapes.PAGE.read_text(encoding="utf-8")
    assert f"docs/shapes.py FOLDER -->\n{shapes.markdown()}<!-- end -->" in page
    assert "| scan, first half | NMC |" in page


@pytest.fixture(scope="module")
def chance():
    """The script that says how far two draws of one scan are apart."""
    return script("chance")


@in_repository
def test_the_page_of_the_cathode_has_the_table_of_chance(chance):
    page = chance.PAGE.read_text(encoding="utf-8")
    assert f"docs/chance.py SCAN -->\n{chance.markdown()}<!-- end -->" in page


@in_repository
def test_chance_is_what_two_draws_differ_by(chance):
    kind = np.random.default_rng(1).normal(1, 0.1, 80)
    measured = {
        "volume_fraction": np.outer(kind, [0.3, 0.5, 0.2]),
        "specific_surface_area": np.outer(kind, [1, 1, 1]),
        "triple_phase_boundary_density": kind,
        "relative_diffusivity": np.ones((80, 3, 3)),
        "two_point_correlation": np.ones((80, 3, 3, 4)),
    }
    lines = chance.rows(measured, ("a", "b", "c"), drawn=40, draws=200)
    assert {len(line) for line in lines} == {len(chance.COLUMNS)}
    by_name = {line[0]: line[1:] for line in lines}
    median = float(by_name["volume fractions"][1].removesuffix(" %"))
    # The median of a normal distribution's magnitude is 0.6745 standard deviations; those of two means, of 40 each.
    assert median == pytest.approx(100 * 0.6745 * kind.std(ddof=1) * np.sqrt(2 / 40), rel=0.2)
    assert by_name["relative diffusivity, a"] == ("6.0 %", "0.0 %", "0.0 %", "100 %")
    assert by_name["S2(r)/S2(0), c"] == ("0.020", "0.000", "0.000", "100 %")
    # Of few sub-volumes each, means are off and deviations differ.
    few = {line[0]: line[1:] for line in chance.rows(measured, ("a", "b", "c"), drawn=2, draws=200)}
    assert float(few["all of them at once"][3].removesuffix(" %")) < 60
