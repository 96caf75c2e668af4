"""Files of surfaces: STL, PLY, OBJ, 3MF, and NASTRAN by meshio."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import meshio
import numpy as np

from kerasgan3d.export.surfaces import SurfaceMesh
from kerasgan3d.files import replacing

_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_PLY = np.dtype([("count", "u1"), ("corners", "<i4", 3), ("inside", "<i4"), ("outside", "<i4")])
_UNITS_3MF = {"um": "micron", "m": "meter"}
_TYPES_3MF = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>
"""
_RELATIONS_3MF = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Target="/3D/3dmodel.model" Id="rel0" \
Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>
</Relationships>
"""


def write_stl(path: Path, mesh: SurfaceMesh, notes: list[str]) -> None:
    """Write STL: binary for one phase; for several as text, one closed solid with the name of each phase."""
    records = {name: _records(mesh, label) for label, name in mesh.phases.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        if len(records) == 1:
            (only,) = records.values()
            file.write("; ".join(notes).encode()[:80].ljust(80))
            file.write(np.uint32(len(only)).tobytes())
            file.write(only.tobytes())
            return
        for name, solid in records.items():
            file.write(f"solid {name}\n".encode())
            rows = np.concatenate([solid["normal"][:, np.newaxis], solid["corners"]], axis=1).reshape(-1, 12)
            np.savetxt(
                file,
                rows,
                "facet normal %.7g %.7g %.7g\nouter loop" + "\nvertex %.7g %.7g %.7g" * 3 + "\nendloop\nendfacet",
            )
            file.write(f"endsolid {name}\n".encode())


def write_ply(path: Path, mesh: SurfaceMesh, notes: list[str]) -> None:
    """Write binary PLY: every triangle once, with the labels of the phases on both sides, `inside` and `outside`."""
    rows = np.zeros(len(mesh.triangles), _PLY)
    rows["count"], rows["corners"], rows["inside"], rows["outside"] = 3, mesh.triangles, mesh.inside, mesh.outside
    head = ["ply", "format binary_little_endian 1.0", *(f"comment {note}" for note in notes)]
    head += [f"element vertex {len(mesh.points)}", *(f"property double {axis}" for axis in "xyz")]
    head += [f"element face {len(rows)}", "property list uchar int vertex_indices"]
    head += ["property int inside", "property int outside", "end_header", ""]
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(head).encode())
        file.write(mesh.points.astype("<f8").tobytes())
        file.write(rows.tobytes())


def write_obj(path: Path, mesh: SurfaceMesh, notes: list[str]) -> None:
    """Write OBJ: shared points, and an object with a closed surface for each phase."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write("".join(f"# {note}\n" for note in notes).encode())
        np.savetxt(file, mesh.points, "v %.9g %.9g %.9g")
        for label, name in mesh.phases.items():
            file.write(f"o {name}\n".encode())
            np.savetxt(file, mesh.surface(label) + 1, "f %d %d %d")


def write_3mf(path: Path, mesh: SurfaceMesh, notes: list[str]) -> None:
    """Write 3MF, core specification 1.3: an object for each phase, with its unit."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES_3MF)
        archive.writestr("_rels/.rels", _RELATIONS_3MF)
        with archive.open("3D/3dmodel.model", "w", force_zip64=True) as file:
            for part in _model_3mf(mesh, notes):
                file.write(part.encode())


def write_nastran(path: Path, mesh: SurfaceMesh, notes: list[str]) -> None:
    """Write a NASTRAN bulk data file (.nas, .bdf): every triangle once, CTRIA3, with a property per pair of phases.

    Comments at its head name the pairs.
    """
    codes, numbers = np.unique((mesh.inside.astype(np.int32) + 1 << 16) + mesh.outside + 1, return_inverse=True)
    names = {0: "outside", **{label + 1: name for label, name in mesh.phases.items()}}
    sides = [[names.get(int(side), f"phase {side - 1}") for side in divmod(code, 1 << 16)] for code in codes]
    notes = [*notes, *(f"property {number}: {' to '.join(pair)}" for number, pair in enumerate(sides, 1))]
    properties = {"nastran:ref": [numbers.astype(np.int32) + 1]}
    text = io.StringIO()
    meshio.Mesh(mesh.points, [("triangle", mesh.triangles)], cell_data=properties).write(text, file_format="nastran")
    with replacing(path) as temporary:
        temporary.write_text("".join(f"$ {note}\n" for note in notes) + text.getvalue(), "utf-8")


def _model_3mf(mesh: SurfaceMesh, notes: list[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<model xml:lang="en-US" '
    yield 'xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02" '
    yield f'unit="{_UNITS_3MF[mesh.unit]}">\n<metadata name="Description">{escape("; ".join(notes))}</metadata>\n'
    yield "<resources>\n"
    for number, (label, name) in enumerate(mesh.phases.items(), 1):
        used, triangles = np.unique(mesh.surface(label), return_inverse=True)
        yield f'<object id="{number}" type="model" name="{name}"><mesh><vertices>\n'
        yield from (f'<vertex x="{x:.9g}" y="{y:.9g}" z="{z:.9g}"/>\n' for x, y, z in mesh.points[used].tolist())
        yield "</vertices><triangles>\n"
        yield from (f'<triangle v1="{a}" v2="{b}" v3="{c}"/>\n' for a, b, c in triangles.reshape(-1, 3).tolist())
        yield "</triangles></mesh></object>\n"
    yield "</resources>\n<build>"
    yield "".join(f'<item objectid="{number}"/>' for number in range(1, len(mesh.phases) + 1))
    yield "</build>\n</model>\n"


def _records(mesh: SurfaceMesh, label: int) -> np.ndarray:
    """Return the triangles of a phase as binary STL records."""
    corners = mesh.points[mesh.surface(label)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    records = np.zeros(len(corners), _STL)
    records["normal"], records["corners"] = normals, corners
    return records
