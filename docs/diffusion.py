"""From a generated cathode to diffusion through its pore by finite elements, on the mesh that `export` writes.

    pip install kerasgan3d scikit-fem && python docs/diffusion.py [SIZE]

It prints D_eff / D_0 through the plane by trilinear hexahedra (scikit-fem) and by kerasgan3d's finite volumes: on the
original voxels, on voxels of half the edge, and extrapolated to the limit. It also prints the result of linear
tetrahedra that follow the smooth surface. The sides of the volume are periodic in all cases.
"""

import sys
import tempfile
from pathlib import Path

import meshio
import numpy as np
import pyamg
import skfem
from scipy import sparse
from skfem.io.meshio import from_meshio
from skfem.models.poisson import laplace

from kerasgan3d import Volume, load_generator
from kerasgan3d.metrics import percolating_voxels, relative_diffusivity


def main(size: int = 32) -> None:
    """Print what `both` finds for a generated volume, and what tetrahedra do."""
    volume = load_generator("nmc-cathode").sample(size, periodic=True, seed=0)
    for name, (ours, theirs) in both(volume).items():
        print(f"{name}: {ours:.4f} by finite volumes, {theirs:.4f} by finite elements", flush=True)
    print(f"smooth surface: {by_finite_elements(volume, cells='tetrahedra'):.4f} by tetrahedra")


def both(volume: Volume) -> dict[str, tuple[float, float]]:
    """Return D_eff / D_0 of the pore by finite volumes and by finite elements: on voxels, on halves, and the limits.

    Around edges of the solid the field goes as r^(2/3), so that the error of the energy falls as h^(4/3).
    """
    coarse, fine = (
        np.array([relative_diffusivity(part, "pore", "z"), by_finite_elements(part)])
        for part in (volume, volume.resample(volume.voxel_size / 2))
    )
    limits = fine + (fine - coarse) / (2 ** (4 / 3) - 1)
    return {name: tuple(pair) for name, pair in (("voxels", coarse), ("halves", fine), ("limits", limits))}


def by_finite_elements(volume: Volume, phase: str = "pore", cells: str = "voxels") -> float:
    """Return D_eff / D_0 of a phase along z by finite elements, trilinear on its voxels or linear on "tetrahedra".

    1 and 0 are the concentrations at the first and the last face; where the volume is periodic along y and x, nodes on
    opposite sides are one unknown.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.vtu"
        percolating(volume, phase).export(path, cells, phases=[phase])
        read = meshio.read(path)
    mesh = from_meshio(read)
    element = skfem.ElementHex1() if cells == "voxels" else skfem.ElementTetP1()
    stiffness = laplace.assemble(skfem.Basis(mesh, element))
    image = np.arange(len(read.points))
    for axis, column in (("y", 1), ("x", 0)):
        partner = read.point_data.get(f"partner_{axis}", np.full(len(image), -1))
        last = (partner >= 0) & (read.points[:, column] == read.points[:, column].max())
        image[last] = image[partner[last]]
    image = image[image]  # of edges, where two axes meet
    tied = sparse.csr_array((np.ones(len(image)), (np.arange(len(image)), image)), stiffness.shape)
    matrix = sparse.csr_array(tied.T @ stiffness @ tied)
    height = volume.shape[0] * volume.voxel_size
    z = read.points[:, 2]
    first, last = np.isclose(z, 0), np.isclose(z, height)
    values = first.astype(float)
    free = np.flatnonzero((image == np.arange(len(image))) & ~first & ~last)
    right = -(matrix @ values)[free]
    within = sparse.csr_matrix(matrix[free][:, free])
    values[free] = pyamg.smoothed_aggregation_solver(within).solve(right, tol=1e-8, accel="cg")
    area = volume.shape[1] * volume.shape[2] * volume.voxel_size**2
    return float(values[image] @ (stiffness @ values[image])) * height / area


def percolating(volume: Volume, phase: str) -> Volume:
    """Return the volume, with ends along z, without the voxels of a phase that do not connect these."""
    label = volume.phases.index(phase)
    connected = percolating_voxels(volume, "z", periodic=(False, *volume.periodic[1:]))
    labels = np.where((volume.labels == label) & ~connected, len(volume.phases), volume.labels)
    return Volume(labels, (*volume.phases, "islands"), volume.voxel_size, (False, *volume.periodic[1:]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
