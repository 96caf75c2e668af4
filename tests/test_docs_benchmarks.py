"""The page of benchmarks says what the measurement files say."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.skipif(not DOCS.is_dir(), reason="the tests were taken out of the repository")
def test_the_page_is_made_of_the_measurement_files():
    spec = importlib.util.spec_from_file_location("docs_benchmarks", DOCS / "benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "benchmarks.md").read_text("utf-8") == module.page()
    assert {file.stem for file in (DOCS / "benchmarks").glob("*.json")} <= set(module.SECTIONS)
