"""Volumes as xarray and PyVista hold them, and as other tools of the field take them."""

import json
import sys

import numpy as np
import pytest

from kerasgan3d.io import VolumeRecord
from kerasgan3d.volume import Volume

LABELS = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
NAMES = ("pore", "active material", "CBD")


@pytest.fixture
def volume():
    return Volume(LABELS, NAMES, 0.5, "yx", {"seed": 7})


@pytest.mark.peer
def test_xarray_has_axes_lengths_and_names(volume, tmp_path):
    pytest.importorskip("xarray", reason="xarray is not installed")
    array = volume.to_xarray()
    assert array.dims == ("z", "y", "x")
    np.testing.assert_array_equal(array.values, LABELS)
    assert np.shares_memory(array.values, volume.labels)
    for axis, length in zip("zyx", LABELS.shape, strict=True):
        assert array[axis].values == pytest.approx((np.arange(length) + 0.5) * 0.5)
        assert array[axis].attrs["units"] == "um"
    assert array.attrs["flag_values"].tolist() == [0, 1, 2]
    assert array.attrs["flag_values"].dtype == array.dtype
    assert array.attrs["flag_meanings"] == "pore active_material CBD"
    assert (array.attrs["periodic"], array.attrs["voxel_size"]) == ("yx", 0.5)
    assert VolumeRecord.from_json(json.loads(array.attrs["kerasgan3d"])) == VolumeRecord.of(volume)
    assert float(array.sel(x=1.3, method="nearest").x) == 1.25


@pytest.mark.peer
def test_xarray_goes_to_netcdf_and_is_read_back(volume, tmp_path):
    pytest.importorskip("xarray", reason="xarray is not installed")
    volume.to_xarray().to_netcdf(tmp_path / "v.nc", engine="scipy")
    assert Volume.load(tmp_path / "v.nc", phases=NAMES).equals(Volume(LABELS, NAMES, 0.5))


@pytest.mark.peer
def test_without_a_voxel_size_xarray_has_no_coordinates():
    pytest.importorskip("xarray", reason="xarray is not installed")
    array = Volume(LABELS).to_xarray()
    assert list(array.coords) == []
    assert "voxel_size" not in array.attrs


@pytest.mark.peer
@pytest.mark.parametrize(("size", "edge"), [(0.5, 0.5), (None, 1.0)])
def test_pyvista_has_voxels_as_cells(size, edge):
    pytest.importorskip("pyvista", reason="PyVista is not installed")
    grid = Volume(LABELS, NAMES, size, "yx").to_pyvista()
    assert grid.bounds == pytest.approx((0, 6 * edge, 0, 5 * edge, 0, 4 * edge))
    np.testing.assert_array_equal(np.asarray(grid.cell_data["phase"]).reshape(LABELS.shape), LABELS)
    assert list(grid.field_data["phases"]) == list(NAMES)
    assert grid.field_data["periodic_zyx"].tolist() == [0, 1, 1]
    # Where a voxel is: the cell at the place of its centre.
    cell = grid.find_containing_cell((4.5 * edge, 2.5 * edge, 1.5 * edge))
    assert grid.cell_data["phase"][cell] == LABELS[1, 2, 4]


@pytest.mark.parametrize("name", ["xarray", "pyvista"])
def test_a_library_that_is_missing_is_named(volume, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{name} is not installed.*pip install 'kerasgan3d\[memory\]'"):
        getattr(volume, f"to_{name}")()


@pytest.mark.peer
def test_porespy_takes_a_volume(volume):
    porespy = pytest.importorskip("porespy", reason="PoreSpy is not installed")
    assert porespy.metrics.porosity(volume["pore"]) == pytest.approx(volume.fractions[0])
    assert porespy.metrics.porosity(volume == "pore") == pytest.approx(volume.fractions[0])


@pytest.mark.peer
def test_taufactor_takes_a_mask():
    taufactor = pytest.importorskip("taufactor", reason="TauFactor is not installed")
    pytest.importorskip("torch", reason="TauFactor solves with PyTorch, which is not installed")
    straight = Volume(np.repeat(LABELS[:1] == 0, 4, axis=0), ("solid", "pore"))
    solver = taufactor.Solver(straight["pore"], device="cpu")
    assert float(np.squeeze(solver.solve(verbose=False))) == pytest.approx(1, rel=1e-3)
