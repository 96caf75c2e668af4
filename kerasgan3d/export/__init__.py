"""Export of volumes to simulations: meshes of voxels, surfaces of phases, parameters of cell models."""

from kerasgan3d.export.cells import ElectrodeParameters, electrode_parameters
from kerasgan3d.export.exporting import FORMATS, Format, export
from kerasgan3d.export.mesh import Mesh
from kerasgan3d.export.surfaces import SurfaceMesh, surface_mesh
from kerasgan3d.export.tetrahedra import tetrahedral_mesh
from kerasgan3d.export.voxels import voxel_mesh

__all__ = [
    "FORMATS",
    "ElectrodeParameters",
    "Format",
    "Mesh",
    "SurfaceMesh",
    "electrode_parameters",
    "export",
    "surface_mesh",
    "tetrahedral_mesh",
    "voxel_mesh",
]
