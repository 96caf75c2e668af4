"""What a volume is exported as, beside cell models: voxel meshes and surfaces, read back from their files."""

import re
import sys
import zipfile

import meshio
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage
from scipy.io import netcdf_file

from kerasgan3d import Volume
from kerasgan3d.cli import main
from kerasgan3d.export import Mesh, _lattice, export, surface_mesh, voxel_mesh

NAMES = ("pore", "NMC 1", "CBD")
SAFE = ("pore", "NMC_1", "CBD")
FACES = ("z0", "z1", "y0", "y1", "x0", "x1")


def blobs(shape=(7, 6, 5), periodic=True, sigma=1.2):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), sigma, mode="wrap")
    return Volume(np.digitize(noise, np.quantile(noise, [0.4, 0.7])), NAMES, 0.5, periodic)


def edges(triangles):
    """Each edge as it is run through, one row per triangle and side."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


# Hexahedra.


def test_voxels_become_hexahedra_that_share_nodes():
    volume = blobs()
    mesh = voxel_mesh(volume)
    assert isinstance(mesh, Mesh)
    assert len(mesh.cells) == volume.labels.size
    assert len(mesh.points) == len(np.unique(mesh.points, axis=0)) == 8 * 7 * 6
    np.testing.assert_array_equal(mesh.labels, volume.labels.reshape(-1))
    corners = mesh.points[mesh.cells]
    np.testing.assert_allclose(corners.mean(axis=1)[1], [0.75, 0.25, 0.25])  # x, y, z: x is fastest
    edge = corners[:, [1, 3, 4]] - corners[:, :1]
    np.testing.assert_allclose(np.linalg.det(edge), 0.125)  # none is turned inside out
    np.testing.assert_allclose(mesh.points.max(axis=0), [2.5, 3, 3.5])


@pytest.mark.parametrize("phases", [["pore"], [1], ["CBD", "NMC 1"], "CBD", ["1", 2]])
def test_chosen_phases_leave_no_orphan_nodes(phases):
    volume = blobs()
    mesh = voxel_mesh(volume, phases)
    wanted = {NAMES[int(p)] if str(p).isdecimal() else p for p in ([phases] if isinstance(phases, str) else phases)}
    assert [NAMES[label] for label in mesh.phases] == [name for name in NAMES if name in wanted]
    assert len(mesh.cells) == sum(np.count_nonzero(volume.labels == label) for label in mesh.phases)
    np.testing.assert_array_equal(np.unique(mesh.cells), np.arange(len(mesh.points)))


def test_sides_lie_in_the_faces_of_the_box_and_point_outward():
    mesh = voxel_mesh(blobs(), ["pore", "CBD"])
    for face in ("z0", "z1", "y0", "y1", "x0", "x1"):
        axis = "xyz".index(face[0])
        corners = mesh.points[mesh.facets(face)]
        assert np.all(corners[..., axis] == mesh.points[:, axis].max() * int(face[1]))
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert np.all(normals[:, axis] * (2 * int(face[1]) - 1) > 0)
        on = np.flatnonzero(mesh.points[:, axis] == mesh.points[:, axis].max() * int(face[1]))
        np.testing.assert_array_equal(mesh.nodes(face), on)


@pytest.mark.parametrize("phases", [None, ["pore"]])
def test_nodes_of_periodic_faces_come_in_pairs(phases):
    volume = blobs(periodic=(True, False, True))
    mesh = voxel_mesh(volume, phases)
    assert set(mesh.pairs) == {"z", "x"}
    for axis, length in (("z", 3.5), ("x", 2.5)):
        first, last = mesh.pairs[axis]
        expected = np.zeros(3)
        expected["xyz".index(axis)] = length
        assert len(first)
        np.testing.assert_allclose(mesh.points[last] - mesh.points[first], np.tile(expected, (len(first), 1)))
        assert np.all(np.diff(first) > 0)  # Abaqus sorts sets
        assert np.all(np.diff(last) > 0)


def test_abaqus(tmp_path):
    volume = blobs()
    lines = export(volume, tmp_path / "a.inp", unit="m")
    assert lines == [
        "210 cells, 336 nodes",
        "lengths in m; x, y, z",
        "phases: 0 pore, 1 NMC_1, 2 CBD; sets with numbers count from 1",
    ]
    text = (tmp_path / "a.inp").read_text()
    assert "** lengths in m; x, y, z\n" in text
    assert "*ELEMENT, TYPE=C3D8\n" in text
    mesh = meshio.read(tmp_path / "a.inp")
    np.testing.assert_allclose(mesh.points.max(axis=0), np.array([2.5, 3, 3.5]) * 1e-6)
    for label, name in enumerate(SAFE):
        np.testing.assert_array_equal(mesh.cell_sets[name][0], np.flatnonzero(volume.labels.reshape(-1) == label))
    step = mesh.points[mesh.point_sets["pairs_y1"]] - mesh.points[mesh.point_sets["pairs_y0"]]
    np.testing.assert_allclose(step, np.tile([0, 3e-6, 0], (len(step), 1)), atol=1e-15)
    assert len(mesh.point_sets["face_z0"]) == 7 * 6


@pytest.mark.parametrize("name", ["a.vtu", "a.xdmf"])
def test_cell_tags_and_partners(tmp_path, name):
    volume = blobs()
    volume.export(tmp_path / name)
    mesh = meshio.read(tmp_path / name)
    np.testing.assert_array_equal(mesh.cell_data["phase"][0], volume.labels.reshape(-1))
    partner = mesh.point_data["partner_z"]
    there = np.flatnonzero(partner >= 0)
    assert len(there) == 2 * 7 * 6
    np.testing.assert_array_equal(partner[partner[there]], there)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({name, "a.h5"} if "xdmf" in name else {name})
    assert b"<!-- phases: 0 pore, 1 NMC_1, 2 CBD" in (tmp_path / name).read_bytes()[:300]


def test_gmsh(tmp_path):
    volume = blobs()
    volume.export(tmp_path / "a.msh", phases=["NMC 1", "CBD"])
    mesh = meshio.read(tmp_path / "a.msh")
    assert {name: value.tolist() for name, value in mesh.field_data.items() if value[1] == 3} == {
        "NMC_1": [2, 3],
        "CBD": [3, 3],
    }
    tags = mesh.cell_data_dict["gmsh:physical"]
    labels = volume.labels.reshape(-1)
    np.testing.assert_array_equal(tags["hexahedron"], labels[labels > 0] + 1)
    assert np.count_nonzero(tags["quad"] == mesh.field_data["face_z1"][0]) == np.count_nonzero(volume.labels[-1])
    assert [entry[0] for entry in mesh.gmsh_periodic] == [2, 2, 2]
    last, first = mesh.gmsh_periodic[0][3].T
    np.testing.assert_allclose(mesh.points[last] - mesh.points[first], np.tile([0, 0, 3.5], (len(first), 1)))


def test_exodus(tmp_path):
    volume = blobs()
    volume.export(tmp_path / "a.e")
    with netcdf_file(tmp_path / "a.e", mmap=False) as file:
        names = [b"".join(row).rstrip(b"\0").decode() for row in file.variables["eb_names"][:]]
        assert names == list(SAFE)
        assert file.variables["eb_prop1"][:].tolist() == [1, 2, 3]
        assert file.variables["connect2"].elem_type == b"HEX8"
        cells = np.concatenate([file.variables[f"connect{k}"][:] for k in (1, 2, 3)]) - 1
        points = np.stack([file.variables[f"coord{axis}"][:] for axis in "xyz"], axis=1)
        centres = points[cells].mean(axis=1)
        expected = np.repeat([0, 1, 2], np.bincount(volume.labels.reshape(-1)))
        places = tuple((centres[:, ::-1] // 0.5).astype(int).T)
        np.testing.assert_array_equal(volume.labels[places], expected)
        faces = [b"".join(row).rstrip(b"\0").decode() for row in file.variables["ss_names"][:]]
        number = faces.index("face_x1") + 1
        assert np.all(centres[file.variables[f"elem_ss{number}"][:] - 1, 0] == 2.25)
        assert np.all(points[file.variables[f"node_ns{number}"][:] - 1, 0] == 2.5)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["a.e", "a.vtu", "a.vti"])
def test_vtk_reads_what_we_write(tmp_path, name):
    pyvista = pytest.importorskip("pyvista", reason="PyVista is not installed")
    volume = blobs()
    volume.export(tmp_path / name)
    found = pyvista.read(tmp_path / name)
    if name == "a.e":
        blocks = found["Element Blocks"]
        assert blocks.keys() == list(SAFE)
        found = blocks.combine()
        assert [block.n_cells for block in blocks] == np.bincount(volume.labels.reshape(-1)).tolist()
    assert found.n_cells == volume.labels.size
    assert found.volume == pytest.approx(volume.labels.size * 0.125 * (1e-18 if name == "a.vti" else 1))
    if name == "a.vti":  # DAMASK's: metres, int64, said in comments
        np.testing.assert_array_equal(found.cell_data["material"].reshape(volume.shape), volume.labels)
        assert found.field_data["comments"].tolist() == ["lengths in m", "materials: 0 pore, 1 NMC 1, 2 CBD"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phases": ["Ni"]}, "A phase must be one of pore, NMC 1, CBD, or a label from 0 to 2. Received: 'Ni'"),
        ({"phases": []}, "`phases` must name phases that the volume holds. Received: no phase"),
        ({"unit": "mm"}, "`unit` must be one of 'um', 'm'. Received: 'mm'"),
        ({"colour": 1}, "The options of voxels are phases, unit. Received: colour"),
        ({"format": "abaqus"}, "`format` must be one of voxels, surface,"),
        ({"format": "surface"}, "The file to write must end in one of .stl"),
    ],
)
def test_errors(tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        blobs().export(tmp_path / "a.inp", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_voxel_size_and_what_is_too_large(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="The voxel size of the volume is unknown.*`voxel_size`"):
        export(Volume(np.zeros((2, 2, 2), int)), tmp_path / "a.inp")
    with pytest.raises(ValueError, match="must end in one of .inp, .*Received: .*a.doc"):
        export(blobs(), tmp_path / "a.doc")
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    for name in ("a.inp", "a.stl"):
        with pytest.raises(MemoryError, match="Crop or resample the volume"):
            export(blobs(), tmp_path / name)


def test_what_needs_a_library_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(ValueError, match=re.escape("needs pyvista: pip install 'kerasgan3d[mesh]'")):
        export(blobs(), tmp_path / "a.vti")
    assert list(tmp_path.iterdir()) == []


def test_names_of_sets_are_those_that_solvers_accept():
    volume = Volume(np.arange(4).reshape(1, 2, 2), ["2 µm", "a-b", "A b", "b"], 1.0)
    assert list(voxel_mesh(volume).phases.values()) == ["phase_2_m", "a_b_1", "A_b_2", "b"]


# Surfaces.


@pytest.mark.parametrize(
    ("periodic", "sigma"), [(True, 1.5), (False, 1.5), ((True, False, True), 1.5), (True, 0), (False, 0)]
)
def test_surfaces_are_closed_manifolds_with_the_volumes_of_the_voxels(periodic, sigma):
    volume = blobs((9, 10, 8), periodic, sigma)
    mesh = surface_mesh(volume)
    for label in range(3):
        surface = mesh.surface(label).astype(np.int64)
        ways = edges(surface) @ [len(mesh.points), 1]
        back = edges(surface) @ [1, len(mesh.points)]
        assert len(np.unique(ways)) == len(ways)
        np.testing.assert_array_equal(np.sort(ways), np.sort(back))  # each edge once forth and once back
        assert mesh.volume(label) == pytest.approx(np.count_nonzero(volume.labels == label) * 0.125, rel=1e-4)
    low = [0.25 if wraps else 0 for wraps in volume.periodic[::-1]]
    np.testing.assert_allclose(mesh.points.min(axis=0), low)
    np.testing.assert_allclose(mesh.points.max(axis=0), np.add(low, [4, 5, 4.5]))
    assert set(mesh.pairs) == {axis for axis, wraps in zip("zyx", volume.periodic, strict=True) if wraps}
    for axis, (first, last) in mesh.pairs.items():
        step = np.zeros(3)
        step["xyz".index(axis)] = {"z": 4.5, "y": 5, "x": 4}[axis]
        np.testing.assert_allclose(mesh.points[last] - mesh.points[first], np.tile(step, (len(first), 1)), atol=1e-12)
        on = np.flatnonzero(np.isclose(mesh.points[:, "xyz".index(axis)], mesh.points[:, "xyz".index(axis)].max()))
        np.testing.assert_array_equal(np.sort(last), on)


def test_points_are_numbered_slab_by_slab_as_at_once(monkeypatch):
    lattice = _lattice.Lattice(blobs())
    keys = lattice._cut()[0]
    monkeypatch.setattr(_lattice, "_SLAB", 100)
    numbers, found = _lattice._numbered(keys, keys, lattice.grid.size)
    wanted, inverse = np.unique(keys, return_inverse=True)
    np.testing.assert_array_equal(numbers, wanted)
    np.testing.assert_array_equal(found, inverse.reshape(keys.shape))


def test_the_surface_of_a_sphere_is_smooth():
    z, y, x = np.indices((20, 20, 20)) - 9.3
    volume = Volume((z**2 + y**2 + x**2 <= 49).astype(int), ("pore", "ball"), 1.0, True)
    mesh = surface_mesh(volume, "ball")
    assert list(mesh.phases.values()) == ["ball"]
    a, b, c = (mesh.points[corner] for corner in mesh.surface(1).T)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(4 * np.pi * 49, rel=0.03)  # voxel faces have 3/2 of it
    assert np.linalg.norm(mesh.points - 9.8, axis=1) == pytest.approx(7, abs=0.4)


@pytest.mark.parametrize(
    ("periodic", "sigma", "phases", "wanted"),
    [(True, 1.5, None, 1500), (True, 1.5, "CBD", 600), (False, 1.5, None, 1500), ((True, False, True), 1.5, None, 1500)]
    + [(True, 0, None, 9000), (True, 1.5, None, 4)],
)
def test_fewer_triangles_leave_what_phases_touch(periodic, sigma, phases, wanted):
    volume = blobs((8, 8, 7), periodic, sigma)
    whole, mesh = surface_mesh(volume, phases), surface_mesh(volume, phases, triangles=wanted)
    assert len(mesh.triangles) < len(whole.triangles) / 1.1
    assert (len(mesh.triangles) <= wanted) == (wanted != 4)
    for label in mesh.phases:
        counts = []
        for one in (whole, mesh):
            run = edges(one.surface(label)).astype(np.int64)
            ways, back = run @ [len(one.points), 1], run @ [1, len(one.points)]
            assert len(np.unique(ways)) == len(ways)
            np.testing.assert_array_equal(np.sort(ways), np.sort(back))
            counts.append(len(np.unique(run)) - len(run) // 2 + len(run) // 3)
        assert counts[0] == counts[1]  # as many pieces, holes and handles
        assert mesh.volume(label) == pytest.approx(np.count_nonzero(volume.labels == label) * 0.125, rel=1e-3)
    np.testing.assert_allclose(
        [f(mesh.points, 0) for f in (np.min, np.max)], [f(whole.points, 0) for f in (np.min, np.max)]
    )
    pairs = {tuple(row) for row in np.sort(np.stack([whole.inside, whole.outside], 1)).tolist()}
    assert {tuple(row) for row in np.sort(np.stack([mesh.inside, mesh.outside], 1)).tolist()} == pairs
    for axis, (first, last) in mesh.pairs.items():
        step = np.zeros(3)
        step["xyz".index(axis)] = volume.shape["zyx".index(axis)] * 0.5
        np.testing.assert_allclose(mesh.points[last] - mesh.points[first], np.tile(step, (len(first), 1)), atol=1e-12)
        to = np.full(len(mesh.points), -1)
        to[last] = first
        faces = [mesh.triangles[mesh.faces == FACES.index(f"{axis}{end}")] for end in (0, 1)]
        rows = [np.unique(np.sort(face, axis=1), axis=0) for face in (faces[0], to[faces[1]])]
        np.testing.assert_array_equal(*rows)  # the same triangles on both


def test_the_number_of_triangles_is_said_where_it_cannot_be(tmp_path):
    lines = blobs((6, 6, 6), True, 1.5).export(tmp_path / "a.stl", triangles=10)
    assert lines[-1].startswith("10 triangles would change which phases touch")
    with pytest.raises(ValueError, match="`triangles` must be"):
        blobs().export(tmp_path / "a.stl", triangles=3)


def test_files_of_surfaces(tmp_path):
    volume = blobs((6, 6, 6), True, 1.5)
    mesh = surface_mesh(volume)
    for suffix in ("stl", "ply", "obj", "3mf"):
        lines = volume.export(tmp_path / f"a.{suffix}")
        assert lines[0] == f"{len(mesh.triangles)} triangles, {len(mesh.points)} points"
    text = (tmp_path / "a.stl").read_text()
    assert re.findall("^solid (.*)$", text, re.M) == list(SAFE)
    assert text.count("endfacet") == sum(len(mesh.surface(label)) for label in range(3))
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert b"comment phases: pore, NMC_1, CBD\n" in head
    rows = np.frombuffer(body[24 * len(mesh.points) :], "u1,(3,)<i4,<i4,<i4")
    np.testing.assert_array_equal(rows["f1"], mesh.triangles)
    np.testing.assert_array_equal(rows["f2"], mesh.inside)
    np.testing.assert_array_equal(rows["f3"], mesh.outside)
    objects = (tmp_path / "a.obj").read_text().split("\no ")[1:]
    assert [part.splitlines()[0] for part in objects] == list(SAFE)
    assert [part.count("\nf ") for part in objects] == [len(mesh.surface(label)) for label in range(3)]
    with zipfile.ZipFile(tmp_path / "a.3mf") as archive:
        model = archive.read("3D/3dmodel.model").decode()
    assert 'unit="micron"' in model
    assert model.count("<triangle ") == sum(len(mesh.surface(label)) for label in range(3))
    volume.export(tmp_path / "b.stl", phases="CBD", unit="m")
    one = meshio.read(tmp_path / "b.stl")
    assert len(one.cells[0].data) == len(mesh.surface(2))
    assert one.points.max() < 4e-6


@pytest.mark.parametrize("phases", [None, "CBD"])
def test_surfaces_for_nastran_name_the_phases_on_both_sides(tmp_path, phases):
    volume = blobs((6, 6, 6), True, 1.5)
    mesh = surface_mesh(volume, phases)
    lines = volume.export(tmp_path / "a.nas", "surface", phases=phases)
    assert lines[0] == f"{len(mesh.triangles)} triangles, {len(mesh.points)} points"
    read = meshio.read(tmp_path / "a.nas")
    np.testing.assert_array_equal(read.cells_dict["triangle"], mesh.triangles)
    np.testing.assert_allclose(read.points, mesh.points, atol=1e-6)
    found = re.findall(r"^\$ property (\d+): (.+) to (.+)$", (tmp_path / "a.nas").read_text(), re.M)
    sides = {int(number): pair for number, *pair in found}
    names = dict(enumerate(SAFE)) if phases is None else {0: "phase 0", 1: "phase 1", 2: "CBD"}
    names[-1] = "outside"
    written = [sides[number] for number in np.concatenate(read.cell_data["nastran:ref"])]
    assert written == [[names[side] for side in pair] for pair in zip(mesh.inside, mesh.outside, strict=True)]


@pytest.mark.peer
@pytest.mark.parametrize("name", ["a.ply", "a.stl", "a.obj"])
def test_vtk_reads_surfaces(tmp_path, name):
    pyvista = pytest.importorskip("pyvista", reason="PyVista is not installed")
    volume = blobs((6, 6, 6), True, 1.5)
    volume.export(tmp_path / name, phases="CBD")
    found = pyvista.read(tmp_path / name).triangulate().clean()
    assert found.n_open_edges == 0
    assert found.is_manifold
    if name != "a.ply":  # where triangles are turned from inside to outside, be that of this phase or another
        assert found.volume == pytest.approx(np.count_nonzero(volume.labels == 2) * 0.125, rel=1e-3)


# The command.


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blobs().save("v.tif")

    def run(text):
        return CliRunner().invoke(main, ["export", *text.split()], catch_exceptions=False)

    result = run("v.tif a.inp --phases pore,2 --unit m")
    assert result.exit_code == 0
    assert "wrote a.inp\n" in result.output
    assert "lengths in m; x, y, z\n  phases: 0 pore, 2 CBD" in result.output
    assert run("v.tif a.inp").exit_code == 2  # exists
    assert run("v.tif a.inp --overwrite").exit_code == 0
    for text, message in (
        ("v.tif b.inp --phases Ni", "A phase must be one of pore, NMC 1, CBD"),
        (
            "v.tif b.inp --smoothing 3",
            "smoothing for b.inp. It is an option of surface, tetrahedra; `format` (--f",
        ),
        ("nmc-cathode b.inp", "nmc-cathode is a generator, and a file of a volume is needed."),
        ("v.tif b.json --base nope.json", "There must be a file or folder of that name. Received: nope.json"),
        ("v.tif b.inp --phases pore,NMC,CBD --only Ni", "A phase must be one of pore, NMC, CBD"),
        ("v.tif b.inp --phases pore --only pore", "Every grey value must belong to a phase (0 = pore)"),
        ("v.tif b.json --conductivity CBD=1 --conductivity CBD=2", "--conductivity names CBD twice."),
        ("v.tif b.json --conductivity CBD", "must be a phase and its S/m, such as CBD=400. Received: CBD"),
        ("v.tif b.doc", "The file to export must end in one of .inp"),
    ):
        result = run(text)
        assert result.exit_code == 2
        assert message in result.output
    assert not list(tmp_path.glob("b.*"))


@pytest.mark.parametrize(
    ("options", "phases", "said"),
    [
        ("--only pore,2", "0 pore, 2 CBD", None),
        ("--phases A,B,C", "0 A, 1 B, 2 C", None),
        ("--phases A,B,C --only B", "1 B", None),
        ("--phases pore,2", "0 pore, 2 CBD", "--phases of some of the phases is called --only now"),
        ("--names A,B,C", "0 A, 1 B, 2 C", "--names is called --phases now"),
        ("--names A,B,C --phases B,0", "0 A, 1 B", "--names is called --phases now"),
    ],
)
def test_phases_are_what_they_are_in_other_commands(tmp_path, monkeypatch, options, phases, said):
    monkeypatch.chdir(tmp_path)
    blobs().save("v.tif")
    result = CliRunner().invoke(main, ["export", "v.tif", "a.inp", *options.split()], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"phases: {phases};" in result.stdout
    assert [line.partition("; the old")[0] for line in result.stderr.splitlines()] == [said] * bool(said)


def test_a_slice_is_said_to_be_one(tmp_path):
    volume = Volume(np.eye(4, dtype=int)[np.newaxis], ("pore", "solid"), 1.0)
    for name in ("a.inp", "a.stl"):
        assert volume.export(tmp_path / name)[-1] == "one voxel along z: a slice, of which nothing is known along it"
