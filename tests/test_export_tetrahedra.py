"""Tetrahedra by phase: they conform, fill the box, have the volumes of the voxels, and are read back from files."""

import itertools

import meshio
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage
from scipy.io import netcdf_file

from kerasgan3d import Volume
from kerasgan3d.cli import main
from kerasgan3d.export import Mesh, export, surface_mesh, tetrahedral_mesh
from kerasgan3d.export._cuts import TETRAHEDRA, position, regions_of

NAMES = ("pore", "NMC", "CBD")


def blobs(shape=(7, 6, 5), periodic=True, sigma=1.2):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), sigma, mode="wrap")
    return Volume(np.digitize(noise, np.quantile(noise, [0.4, 0.7])), NAMES, 0.5, periodic)


def volumes(mesh):
    corners = mesh.points[mesh.cells]
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6


def sides_of(cells):
    """The three nodes of each side, and of how many cells it is."""
    sides = np.sort(np.concatenate([np.delete(cells, k, axis=1) for k in range(4)]), axis=1)
    return np.unique(sides, axis=0, return_counts=True)


@pytest.mark.parametrize("simplex", TETRAHEDRA)
def test_regions_fill_a_tetrahedron_and_none_is_turned(simplex):
    for labels in itertools.product(range(4), repeat=4):
        pattern = tuple(labels.index(label) for label in labels)
        found = []
        for phase, corners in regions_of(simplex, pattern):
            a, b, c, d = (np.mean([position(simplex[k]) for k in corner], axis=0)[::-1] for corner in corners)
            found.append(np.linalg.det([b - a, c - a, d - a]) / 6)
            assert phase in pattern
        assert min(found) > 1e-3
        assert sum(found) == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("periodic", "sigma", "smoothing"),
    [(True, 1.2, 20), (True, 1.2, 0), (False, 1.2, 20), ((True, False, True), 1.2, 20), (True, 0, 20), (False, 0, 20)],
)
def test_tetrahedra_conform_and_have_the_volumes_of_the_voxels(periodic, sigma, smoothing):
    volume = blobs(periodic=periodic, sigma=sigma)
    mesh = tetrahedral_mesh(volume, smoothing=smoothing)
    assert isinstance(mesh, Mesh)
    np.testing.assert_array_equal(np.unique(mesh.cells), np.arange(len(mesh.points)))
    assert len(np.unique(mesh.points, axis=0)) == len(mesh.points)
    found = volumes(mesh)
    assert found.min() > 0
    for label in range(3):
        voxels = np.count_nonzero(volume.labels == label) * 0.125
        assert found[mesh.labels == label].sum() == pytest.approx(voxels, rel=1e-3)  # 2 % are asked for
    sides, counts = sides_of(mesh.cells)
    assert counts.max() == 2
    outer = np.concatenate([np.sort(mesh.facets(face), axis=1) for face in mesh.sides])
    np.testing.assert_array_equal(np.unique(outer, axis=0), sides[counts == 1])  # nothing is open but the box
    for face in mesh.sides:
        corners = mesh.points[mesh.facets(face)]
        axis, end = "xyz".index(face[0]), int(face[1])
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert np.all(normals[:, axis] * (2 * end - 1) > 0)
        others = [k for k in range(3) if k != axis]
        area = np.prod(mesh.points.max(axis=0)[others] - mesh.points.min(axis=0)[others])
        assert np.abs(normals[:, axis]).sum() / 2 == pytest.approx(area)
    assert set(mesh.pairs) == {axis for axis, wraps in zip("zyx", volume.periodic, strict=True) if wraps}
    for axis, (first, last) in mesh.pairs.items():
        np.testing.assert_array_equal(np.sort(last), mesh.nodes(f"{axis}1"))
        np.testing.assert_array_equal(first, mesh.nodes(f"{axis}0"))
        step = np.zeros(3)
        step["xyz".index(axis)] = volume.shape["zyx".index(axis)] * 0.5
        np.testing.assert_allclose(mesh.points[last] - mesh.points[first], np.tile(step, (len(first), 1)), atol=1e-12)


@pytest.mark.parametrize("phases", ["CBD", ["pore", 1]])
def test_chosen_phases_are_those_of_the_whole(phases):
    volume = blobs()
    whole, part = tetrahedral_mesh(volume), tetrahedral_mesh(volume, phases, unit="m")
    wanted = np.isin(whole.labels, list(part.phases))
    np.testing.assert_array_equal(part.labels, whole.labels[wanted])
    np.testing.assert_allclose(part.points[part.cells], whole.points[whole.cells[wanted]] * 1e-6)
    for first, last in part.pairs.values():
        assert first.min() >= 0
        assert last.max() < len(part.points)


@pytest.mark.parametrize("names", [("a", "b", "none"), ("a", "none", "b")])
@pytest.mark.parametrize("mesh", [surface_mesh, tetrahedral_mesh])
def test_a_phase_that_does_not_occur_changes_nothing(mesh, names):
    labels = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(7, 6, 5)), 1, mode="wrap") > 0
    plain = mesh(Volume(labels.astype("uint8"), ("a", "b"), 0.5, True))
    found = mesh(Volume(labels.astype("uint8") * names.index("b"), names, 0.5, True))
    np.testing.assert_array_equal(found.points, plain.points)


def test_the_boundary_of_a_ball_is_smooth():
    z, y, x = np.indices((14, 14, 14)) - 6.3
    volume = Volume((z**2 + y**2 + x**2 <= 25).astype(int), ("pore", "ball"), 1.0, True)
    mesh = tetrahedral_mesh(volume, "ball")
    sides, counts = sides_of(mesh.cells)
    a, b, c = (mesh.points[corner] for corner in sides[counts == 1].T)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    radius = (0.75 * volumes(mesh).sum() / np.pi) ** (1 / 3)
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.04)  # voxel faces have 3/2 of it
    surface = surface_mesh(volume, "ball")
    assert len(sides[counts == 1]) == len(surface.triangles)
    # No point was kept far from where the surface has it.
    assert np.abs(surface.points - mesh.points[np.unique(sides[counts == 1])]).max() < 0.35


@pytest.mark.parametrize("suffix", ["vtu", "xdmf", "msh", "inp", "nas", "e"])
def test_files(tmp_path, suffix):
    volume = blobs((5, 5, 4))
    mesh = tetrahedral_mesh(volume, ["pore", "CBD"])
    path = tmp_path / f"a.{suffix}"
    lines = export(volume, path, "tetrahedra", phases=["pore", "CBD"])
    assert lines[0] == f"{len(mesh.cells)} cells, {len(mesh.points)} nodes"
    if suffix == "e":
        with netcdf_file(path, mmap=False) as file:
            assert file.variables["connect1"].elem_type == b"TETRA4"
            cells = np.concatenate([file.variables[f"connect{k}"][:] for k in (1, 2)]) - 1
        order = np.argsort(mesh.labels, kind="stable")
        np.testing.assert_array_equal(cells, mesh.cells[order])
        return
    found = meshio.read(path)
    np.testing.assert_allclose(found.points, mesh.points, atol=1e-6)
    np.testing.assert_array_equal(found.cells_dict["tetra"], mesh.cells)
    if suffix == "inp":
        np.testing.assert_array_equal(found.cell_sets["CBD"][0], np.flatnonzero(mesh.labels == 2))
        assert "TYPE=C3D4" in path.read_text()
        return
    key = {"msh": "gmsh:physical", "nas": "nastran:ref"}.get(suffix, "phase")
    shift = int(suffix in ("msh", "nas"))
    np.testing.assert_array_equal(found.cell_data_dict[key]["tetra"], mesh.labels + shift)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["a.e", "a.vtu"])
def test_vtk_reads_tetrahedra(tmp_path, name):
    pyvista = pytest.importorskip("pyvista", reason="PyVista is not installed")
    volume = blobs((5, 5, 4))
    volume.export(tmp_path / name, "tetrahedra")
    found = pyvista.read(tmp_path / name)
    found = found["Element Blocks"].combine() if name == "a.e" else found
    assert found.volume == pytest.approx(volume.labels.size * 0.125, rel=1e-5)
    assert found.compute_cell_sizes()["Volume"].min() > 0


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blobs((5, 5, 4)).save("v.tif")
    arguments = "export v.tif a.vtu --format tetrahedra --only NMC --smoothing 3"
    result = CliRunner().invoke(main, arguments.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "phases: 1 NMC;" in result.output
    assert set(meshio.read("a.vtu").cells_dict) == {"tetra"}


def test_what_is_too_large_is_told_before(monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    with pytest.raises(MemoryError, match="Crop or resample the volume"):
        tetrahedral_mesh(blobs())
