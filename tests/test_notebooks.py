"""The notebooks of the documentation run from the first cell to the last, and are stored without output."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="the tests were taken out of the repository")
named = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@named
def test_a_notebook_installs_what_it_needs_and_holds_no_output(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert "%pip install -q kerasgan3d" in "".join(cells[0]["source"])
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@named
def test_the_page_names_every_notebook(path):
    assert f"](notebooks/{path.name})" in (FOLDER.parent / "notebooks.md").read_text("utf-8")


@pytest.mark.peer
@named
def test_a_notebook_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    if "import pybamm" in path.read_text("utf-8"):
        pytest.importorskip("pybamm", reason="PyBaMM is not installed")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
