"""Surfaces of phases: triangles shared by neighbouring phases, without gaps or overlaps, closed at the box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kerasgan3d.checks import check_integer
from kerasgan3d.export._chosen import asked_of_surfaces, solver_names
from kerasgan3d.export._complex import smoothed, with_volumes
from kerasgan3d.export._decimation import decimated
from kerasgan3d.export._lattice import Lattice
from kerasgan3d.volume import Volume

PASSES = 20
_BYTES = (40, 1500)  # per voxel, and per pair of unlike neighbours


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """Triangles between phases, and between phases and the outside of the box.

    Attributes:
        points: Coordinates x, y, z in the unit: float64 (points, 3). The image's first corner is at 0.
        triangles: int32 (triangles, 3), normals from inside to outside.
        inside, outside: Labels of the phases on both sides: int16 (triangles,); -1 beyond the box.
        faces: Face of the box that contains a triangle, as an index of `FACES`, 6 for none: uint8 (triangles,).
        pairs: Periodic axis -> points on the first and on the last face, (2, points), the k-th opposite one another.
        phases: Label -> name of each phase, of letters, digits and underscores.
        unit: Unit of the coordinates, "um" or "m".
    """

    points: np.ndarray
    triangles: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    faces: np.ndarray
    pairs: dict[str, np.ndarray]
    phases: dict[int, str]
    unit: str

    def surface(self, label: int) -> np.ndarray:
        """Return the closed surface of a phase, normals outward: int32 (triangles, 3)."""
        return np.concatenate([self.triangles[self.inside == label], self.triangles[self.outside == label][:, ::-1]])

    def volume(self, label: int) -> float:
        """Return the volume that the surface of a phase encloses, in the unit cubed."""
        a, b, c = (self.points[corner] for corner in self.surface(label).T)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def surface_mesh(
    volume: Volume,
    phases: Iterable[int | str] | int | str | None = None,
    unit: str = "um",
    smoothing: int = PASSES,
    triangles: int | None = None,
) -> SurfaceMesh:
    """Return the surfaces of phases as triangles that neighbours share.

    Surfaces run between voxel centres. They are smoothed, while points in a face of the box stay there and periodic
    faces stay equal, and then shifted slightly outward or inward so that each phase has the volume of its voxels. Each
    phase's surface is closed and a manifold. Along a periodic axis the box extends from the centres of the first voxels
    to their next images, so that both faces show the same section.

    Args:
        volume: The volume.
        phases: Names or labels of the requested phases; default: all.
        unit: Unit of the coordinates: "um" or "m".
        smoothing: Number of smoothing passes, 0 or more.
        triangles: Largest number of triangles; default: no limit. Edges are contracted where that changes the surface
            least, so that neighbouring phases still share their triangles, periodic faces stay equal, and points in a
            face of the box stay in it. The number may be exceeded where fewer triangles would change the contacts of
            phases, or a phase's volume by more than 5 % before it is corrected.

    Returns:
        SurfaceMesh.

    Raises:
        ValueError: If there is no such phase or unit, or the voxel size is unknown.
        MemoryError: If the machine has too little memory.
    """
    wanted, edge = asked_of_surfaces(volume, phases, unit, smoothing, _BYTES)
    complex_, points = Lattice(volume).complex()
    counts = np.bincount(volume.labels.reshape(-1), minlength=len(volume.phases))
    points = with_volumes(complex_, smoothed(complex_, points, smoothing), counts)
    if triangles is not None:
        bounds = np.isin(complex_.inside, wanted) | np.isin(complex_.outside, wanted)
        complex_ = decimated(complex_, points, bounds, check_integer(triangles, "triangles", 4))
        points = with_volumes(complex_, points, counts)
    names = solver_names(volume.phases)
    return _of_phases(complex_, points * edge, {label: names[label] for label in wanted}, unit)


def _of_phases(complex_, points, phases, unit):
    """Return the triangles that bound some phases, and only their points."""
    wanted = list(phases)
    kept = np.isin(complex_.inside, wanted) | np.isin(complex_.outside, wanted)
    used, triangles, pairs = complex_.renumbered(complex_.triangles[kept])
    return SurfaceMesh(
        points[used],
        triangles,
        complex_.inside[kept],
        complex_.outside[kept],
        complex_.faces[kept],
        {axis: np.stack(pair)[:, (pair[0] >= 0) & (pair[1] >= 0)] for axis, pair in pairs.items()},
        phases,
        unit,
    )
