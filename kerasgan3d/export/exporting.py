"""Table of export formats: their files, and the functions that write them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from kerasgan3d.checks import AXES
from kerasgan3d.export import mesh_files, surface_files
from kerasgan3d.export.cells import electrode_parameters, write_bpx, write_pybamm
from kerasgan3d.export.damask import write_damask
from kerasgan3d.export.mesh import Mesh
from kerasgan3d.export.surfaces import surface_mesh
from kerasgan3d.export.tetrahedra import tetrahedral_mesh
from kerasgan3d.export.voxels import voxel_mesh
from kerasgan3d.io.writing import check_writable
from kerasgan3d.texts import shown
from kerasgan3d.volume import Volume

_MESHES = {
    ".inp": mesh_files.write_abaqus,
    ".vtu": mesh_files.write_vtu,
    ".msh": mesh_files.write_gmsh,
    ".xdmf": mesh_files.write_xdmf,
    ".e": mesh_files.write_exodus,
    ".exo": mesh_files.write_exodus,
    ".nas": mesh_files.write_nastran,
    ".bdf": mesh_files.write_nastran,
}
_SURFACES = {
    ".stl": surface_files.write_stl,
    ".ply": surface_files.write_ply,
    ".obj": surface_files.write_obj,
    ".3mf": surface_files.write_3mf,
    ".nas": surface_files.write_nastran,
    ".bdf": surface_files.write_nastran,
}


def write_voxels(path: Path, volume: Volume, **options: Any) -> list[str]:
    """Write a file of `voxel_mesh`; return notes on it."""
    return _write_mesh(path, volume, voxel_mesh(volume, **options))


def write_tetrahedra(path: Path, volume: Volume, **options: Any) -> list[str]:
    """Write a file of `tetrahedral_mesh`; return notes on it."""
    return _write_mesh(path, volume, tetrahedral_mesh(volume, **options))


def _write_mesh(path: Path, volume: Volume, mesh: Mesh) -> list[str]:
    names = ", ".join(f"{label} {name}" for label, name in mesh.phases.items())
    notes = [f"lengths in {mesh.unit}; x, y, z", f"phases: {names}; sets with numbers count from 1"]
    _MESHES[path.suffix.lower()](path, mesh, notes)
    return [f"{len(mesh.cells)} cells, {len(mesh.points)} nodes", *notes, *_thin(volume)]


def write_surface(path: Path, volume: Volume, **options: Any) -> list[str]:
    """Write a file of `surface_mesh`; return notes on it."""
    mesh = surface_mesh(volume, **options)
    notes = [f"lengths in {mesh.unit}; x, y, z", f"phases: {', '.join(mesh.phases.values())}"]
    if (asked := options.get("triangles")) is not None and len(mesh.triangles) > asked:
        notes.append(f"{asked} triangles would change which phases touch, or their volumes; there are as few as may be")
    _SURFACES[path.suffix.lower()](path, mesh, notes)
    return [f"{len(mesh.triangles)} triangles, {len(mesh.points)} points", *notes, *_thin(volume)]


def _thin(volume: Volume) -> list[str]:
    """Return a note on a volume of a single slice."""
    axes = "".join(axis for axis, length in zip(AXES, volume.shape, strict=True) if length == 1)
    return [f"one voxel along {axes}: a slice, of which nothing is known along it"] if axes else []


class Format(NamedTuple):
    """An export format.

    Attributes:
        suffixes: Suffixes of its files; where several formats share one, the first in the table is the default.
        write: (path, volume, options) -> lines on the output and the assumptions made.
        options: The names of the options.
    """

    suffixes: tuple[str, ...]
    write: Callable[..., list[str]]
    options: tuple[str, ...] = ()


def _options(function: Callable) -> tuple[str, ...]:
    """Return the arguments of a function that takes a volume and options."""
    return tuple(inspect.signature(function).parameters)[1:]


FORMATS = {
    "voxels": Format(tuple(_MESHES), write_voxels, _options(voxel_mesh)),
    "surface": Format(tuple(_SURFACES), write_surface, _options(surface_mesh)),
    "tetrahedra": Format(tuple(_MESHES), write_tetrahedra, _options(tetrahedral_mesh)),
    "damask": Format((".vti",), write_damask),
    "bpx": Format((".json",), write_bpx, (*_options(electrode_parameters), "base")),
    "pybamm": Format((".json",), write_pybamm, _options(electrode_parameters)),
}


def export(
    volume: Volume, path: str | PathLike, format: str | None = None, *, overwrite: bool = True, **options: Any
) -> list[str]:
    """Export a volume for a solver or a cell model, completely or not at all.

    Args:
        volume: The volume.
        path: The output file; its suffix determines the format, see docs/simulation.md.
        format: The format where a suffix has several: a name in `FORMATS`.
        overwrite: Whether an existing file may be replaced.
        **options: Arguments of `voxel_mesh`, `tetrahedral_mesh`, `surface_mesh` or `electrode_parameters`, and for
            "bpx" `base`, a BPX object or file of a whole cell, whose electrode receives the measured values.

    Returns:
        Lines on the output, its unit, and the assumptions made; the file contains them too.

    Raises:
        ValueError: If there is no such format, it does not have this suffix or option, or a value does not fit.
        MemoryError: If the machine has too little memory.
        OSError: If the file cannot be written.

    Example:
        >>> export(volume, "anode.inp", phases=["Ni", "YSZ"])  # doctest: +SKIP
    """
    name, row = _format_of(Path(path), format)
    unknown = [option for option in options if option not in row.options]
    if unknown:
        others = [key for key, other in FORMATS.items() if unknown[0] in other.options]
        hint = f" It is an option of {', '.join(others)}; `format` chooses one." if others else ""
        raise ValueError(
            f"The options of {name} are {', '.join(row.options) or 'none'}. Received: {', '.join(unknown)} for {path}."
            f"{hint}"
        )
    return row.write(check_writable(path, overwrite=overwrite, suffixes=row.suffixes), volume, **options)


def _format_of(path: Path, name: str | None) -> tuple[str, Format]:
    """Return the name and row of a format, by its name or by the suffix of a path."""
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"`format` must be one of {', '.join(FORMATS)}. Received: {shown(name)}.")
        return name, FORMATS[name]
    for key, row in FORMATS.items():
        if path.suffix.lower() in row.suffixes:
            return key, row
    endings = dict.fromkeys(suffix for row in FORMATS.values() for suffix in row.suffixes)
    raise ValueError(f"The file to export must end in one of {', '.join(endings)}. Received: {path}")
