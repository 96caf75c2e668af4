"""Libraries that are missing: one message, of which both kinds of handlers know."""

import sys

import pytest

from kerasgan3d import Volume
from kerasgan3d.extras import MissingLibraryError, library
from kerasgan3d.metrics import measure
from kerasgan3d.metrics.summary import summarise


def volume():
    return Volume([[[0, 1], [1, 0]], [[0, 1], [1, 0]]], ("pore", "solid"), 1.0)


@pytest.mark.parametrize(
    ("name", "extra", "use"),
    [
        ("pyvista", "mesh", lambda path: volume().export(path / "a.vti")),
        ("pyvista", "memory", lambda path: volume().to_pyvista()),
        ("xarray", "memory", lambda path: volume().to_xarray()),
        ("pyarrow", "tables", lambda path: summarise({"a": measure(volume())}).save(path / "a.parquet")),
    ],
)
def test_what_is_missing_is_named_with_its_extra(tmp_path, monkeypatch, name, extra, use):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingLibraryError, match=rf"^{name} is not installed; .* pip install 'kerasgan3d\[{extra}\]'\.$"
    ):
        use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_returned():
    assert library("json", "mesh", "this") is sys.modules["json"]
    assert issubclass(MissingLibraryError, ModuleNotFoundError)
    assert issubclass(MissingLibraryError, ValueError)
