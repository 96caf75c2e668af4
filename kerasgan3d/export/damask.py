"""DAMASK's grid: a .vti file in metres whose cells hold `material`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasgan3d.export._chosen import edge_length
from kerasgan3d.extras import library
from kerasgan3d.files import replacing
from kerasgan3d.volume import Volume


def write_damask(path: Path, volume: Volume) -> list[str]:
    """Write a volume as the grid of DAMASK 3, https://damask-multiphysics.org: material k is the phase of label k.

    Args:
        path: The .vti file.
        volume: The volume, with all its phases.

    Returns:
        Notes on the file, which it holds as `comments`.

    Raises:
        ValueError: If the voxel size is unknown.
        MissingLibraryError: If PyVista is not installed.
    """
    edge = edge_length(volume, "m")
    pyvista = library("pyvista", "mesh", "a grid for DAMASK")
    vtk_io = library("vtkmodules.vtkIOXML", "mesh", "a grid for DAMASK")
    notes = ["lengths in m", "materials: " + ", ".join(f"{label} {name}" for label, name in enumerate(volume.phases))]
    grid = pyvista.ImageData(dimensions=[length + 1 for length in volume.shape[::-1]], spacing=(edge,) * 3)
    grid.cell_data["material"] = volume.labels.reshape(-1).astype(np.int64)
    grid.add_field_data(np.array(notes), "comments")
    writer = vtk_io.vtkXMLImageDataWriter()
    writer.SetDataModeToBinary()  # DAMASK reads only inline data
    writer.SetCompressorTypeToZLib()
    writer.SetInputData(grid)
    with replacing(path) as temporary:
        writer.SetFileName(str(temporary))
        if not writer.Write():
            raise OSError(f"VTK could not write {path}")
    return notes
