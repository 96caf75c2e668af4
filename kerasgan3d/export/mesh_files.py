"""Files of cell meshes: NASTRAN, VTK, gmsh and XDMF by meshio, Abaqus directly, Exodus by SciPy's netCDF.

meshio writes reduced elements for Abaqus, and no names of blocks for Exodus.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import meshio
import numpy as np
from scipy.io import netcdf_file

from kerasgan3d.export.mesh import Mesh
from kerasgan3d.files import check_room, replacing

_CELLS = {8: "hexahedron", 4: "tetra"}
_FACETS = {8: "quad", 4: "triangle"}
_FACE_TAG = 101  # of the first face, "z0"; cells have the label of their phase + 1
_ABAQUS_NAMES = {8: "C3D8", 4: "C3D4"}
_EXODUS_NAMES = {8: "HEX8", 4: "TETRA4"}
_EXODUS_STRING = 33


def write_abaqus(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write an Abaqus input file (.inp): C3D8 or C3D4, an ELSET per phase, an NSET per face and per face's pairs.

    Nodes of NSETs `pairs_x0` and `pairs_x1` are opposite one another in their order, which is that of their numbers.
    """
    kind = mesh.cells.shape[1]
    nodes = {f"face_{face}": mesh.nodes(face) for face in mesh.sides}
    nodes |= {f"pairs_{axis}{end}": pair[end] for axis, pair in mesh.pairs.items() for end in (0, 1)}
    with _writing(path, mesh) as file:
        file.write(b"*HEADING\nkerasgan3d\n" + _lines(("** ", ""), notes) + b"*NODE\n")
        np.savetxt(file, np.c_[1 : len(mesh.points) + 1, mesh.points], "%d, %.9g, %.9g, %.9g")
        file.write(f"*ELEMENT, TYPE={_ABAQUS_NAMES[kind]}\n".encode())
        np.savetxt(file, np.c_[1 : len(mesh.cells) + 1, mesh.cells + 1], "%d", delimiter=",")
        for label, name in mesh.phases.items():
            _write_set(file, f"*ELSET, ELSET={name}", mesh.cells_of(label) + 1)
        for name, numbers in nodes.items():
            _write_set(file, f"*NSET, NSET={name}", numbers + 1)


def write_nastran(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write a NASTRAN bulk data file (.nas, .bdf), as COMSOL imports it: the property of a cell is its phase's."""
    out = _tagged(mesh, {"nastran:ref": [mesh.labels.astype(np.int32) + 1]})
    _write(path, out, "nastran", ("$ ", ""), notes, after=0)


def write_vtu(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write an unstructured grid of VTK (.vtu): cell data `phase`, point data with partners across periodic axes."""
    out = _tagged(mesh, {"phase": [mesh.labels]}, partners(mesh))
    _write(path, out, "vtu", ("<!-- ", " -->"), notes, after=1)


def write_xdmf(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write XDMF (.xdmf) with an HDF5 file of the same name beside it: cell tags `phase`, as FEniCSx reads them."""
    out = _tagged(mesh, {"phase": [mesh.labels.astype(np.int32)]}, partners(mesh))
    _write(path, out, "xdmf", ("<!-- ", " -->"), notes, after=0)


def write_gmsh(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write a gmsh file (.msh, version 2.2): physical volumes by phase, physical surfaces by face, periodic nodes."""
    kind = mesh.cells.shape[1]
    faces = {face: mesh.facets(face) for face in mesh.sides if len(mesh.sides[face][0])}
    tags = {face: _FACE_TAG + number for number, face in enumerate(mesh.sides)}
    numbers = [mesh.labels.astype(np.int32) + 1]
    numbers += [np.full(len(facets), tags[face], np.int32) for face, facets in faces.items()]
    blocks = [(_CELLS[kind], mesh.cells)] + [(_FACETS[kind], facets) for facets in faces.values()]
    names = {name: np.array([label + 1, 3]) for label, name in mesh.phases.items()}
    names |= {f"face_{face}": np.array([tags[face], 2]) for face in faces}
    periodic = [_periodic(mesh, axis, tags) for axis, (first, _) in mesh.pairs.items() if len(first)]
    out = meshio.Mesh(
        mesh.points,
        blocks,
        cell_data={"gmsh:physical": numbers, "gmsh:geometrical": numbers},
        field_data=names,
        gmsh_periodic=periodic or None,
    )
    _write(path, out, "gmsh22", ("$Comments\n", "\n$EndComments"), notes, after=0)


def write_exodus(path: Path, mesh: Mesh, notes: list[str]) -> None:
    """Write Exodus II (.e, .exo), as MOOSE and ParaView read it: a block per phase, side and node sets per face.

    The layout is that of SAND92-2137, in a netCDF file of 64-bit offsets.
    """
    blocks = {label: mesh.cells_of(label) for label in mesh.phases if (mesh.labels == label).any()}
    order = np.empty(len(mesh.cells), np.int32)  # blocks number their cells one after another
    order[np.concatenate(list(blocks.values()))] = np.arange(1, len(mesh.cells) + 1)
    sides = {face: (order[cells], side + 1) for face, (cells, side) in mesh.sides.items() if len(cells)}
    with replacing(path) as temporary, netcdf_file(temporary, "w", version=2) as file:
        file.title = "; ".join(notes)[:80]
        file.version = file.api_version = np.float32(5.1)
        file.floating_point_word_size, file.file_size = np.int32(8), np.int32(1)
        lengths = {"len_string": _EXODUS_STRING, "len_line": 81, "num_dim": 3, "num_nodes": len(mesh.points)}
        lengths |= {"num_elem": len(mesh.cells), "num_el_blk": len(blocks)}
        lengths |= {"num_side_sets": len(sides), "num_node_sets": len(sides)}
        file.createDimension("time_step", None)
        for name, length in lengths.items():
            file.createDimension(name, length)
        file.createVariable("time_whole", "d", ("time_step",))
        for number, axis in enumerate("xyz"):
            _variable(file, f"coord{axis}", mesh.points[:, number], "num_nodes")
        _names(file, "coor_names", "xyz", "num_dim")
        _names(file, "eb_names", [mesh.phases[label] for label in blocks], "num_el_blk")
        _variable(file, "eb_status", np.ones(len(blocks), np.int32), "num_el_blk")
        _variable(file, "eb_prop1", np.array(list(blocks), np.int32) + 1, "num_el_blk").name = "ID"
        for number, cells in enumerate(blocks.values(), 1):
            file.createDimension(f"num_nod_per_el{number}", mesh.cells.shape[1])
            nodes = mesh.cells[cells] + 1
            connect = _variable(file, f"connect{number}", nodes, f"num_el_in_blk{number}", f"num_nod_per_el{number}")
            connect.elem_type = _EXODUS_NAMES[mesh.cells.shape[1]]
        for kind in ("ss", "ns"):
            length = {"ss": "num_side_sets", "ns": "num_node_sets"}[kind]
            _names(file, f"{kind}_names", [f"face_{face}" for face in sides], length)
            _variable(file, f"{kind}_status", np.ones(len(sides), np.int32), length)
            _variable(file, f"{kind}_prop1", np.arange(1, len(sides) + 1, dtype=np.int32), length).name = "ID"
        for number, (face, (cells, side)) in enumerate(sides.items(), 1):
            _variable(file, f"elem_ss{number}", cells, f"num_side_ss{number}")
            _variable(file, f"side_ss{number}", side.astype(np.int32), f"num_side_ss{number}")
            _variable(file, f"node_ns{number}", (mesh.nodes(face) + 1).astype(np.int32), f"num_nod_ns{number}")


def partners(mesh: Mesh) -> dict[str, np.ndarray]:
    """Return for each periodic axis the number of each node's partner on the opposite face, -1 where it has none."""
    found = {}
    for axis, (first, last) in mesh.pairs.items():
        numbers = np.full(len(mesh.points), -1, np.int32)
        numbers[first], numbers[last] = last, first
        found[f"partner_{axis}"] = numbers
    return found


def _tagged(mesh, cell_data, point_data=None):
    return meshio.Mesh(
        mesh.points, [(_CELLS[mesh.cells.shape[1]], mesh.cells)], cell_data=cell_data, point_data=point_data
    )


def _periodic(mesh, axis, tags):
    """Return gmsh's entry for a periodic pair of faces: the last follows the first, shifted by the box's length."""
    first, last = mesh.pairs[axis]
    affine = np.eye(4)
    affine[:3, 3] = mesh.points[last[0]] - mesh.points[first[0]]
    return [2, (tags[f"{axis}1"], tags[f"{axis}0"]), affine.ravel(), np.stack([last, first], axis=1)]


def _write(path, out, file_format, comment, notes, after, **options):
    """Write a file by meshio, with notes after line ``after``, and its accompanying files."""
    with _writing(path, out) as target, tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".") as folder:
        written = Path(folder) / path.name
        out.write(written, file_format=file_format, **options)
        with written.open("rb") as source:
            for _ in range(after):
                target.write(source.readline())
            target.write(_lines(comment, notes))
            shutil.copyfileobj(source, target)
        written.unlink()
        for part in Path(folder).iterdir():
            with replacing(path.with_name(part.name)) as beside:
                part.replace(beside)


@contextlib.contextmanager
def _writing(path, mesh):
    """Yield a file to write to, which is moved into place when complete, if the disk has enough room."""
    check_room(path.resolve().parent, mesh.points.nbytes)
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def _lines(comment, notes):
    return "".join(f"{comment[0]}{note}{comment[1]}\n" for note in notes).encode()


def _write_set(file, title, numbers):
    """Write a set of Abaqus, eight numbers per line; nothing for an empty set."""
    lines = [",".join(map(str, numbers[k : k + 8])) for k in range(0, len(numbers), 8)]
    file.write("\n".join([title, *lines, ""]).encode() if lines else b"")


def _variable(file, name, values, *dimensions):
    """Write an array, creating its dimensions in the file where they do not exist yet."""
    for dimension, length in zip(dimensions, values.shape, strict=True):
        if dimension not in file.dimensions:
            file.createDimension(dimension, length)
    variable = file.createVariable(name, values.dtype, dimensions)
    variable[:] = values
    return variable


def _names(file, name, texts, dimension):
    """Write texts as rows of characters."""
    rows = b"".join(text.encode()[: _EXODUS_STRING - 1].ljust(_EXODUS_STRING, b"\0") for text in texts)
    _variable(file, name, np.frombuffer(rows, "S1").reshape(-1, _EXODUS_STRING), dimension, "len_string")
