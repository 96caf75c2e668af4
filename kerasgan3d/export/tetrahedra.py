"""Tetrahedral meshes of volumes, with smooth boundaries that neighbouring phases share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import sparse

from kerasgan3d.export._chosen import asked_of_surfaces, solver_names
from kerasgan3d.export._complex import Complex, smoothed, with_volumes
from kerasgan3d.export._cuts import TETRAHEDRA, regions_of
from kerasgan3d.export._lattice import FACES, Lattice, patterns
from kerasgan3d.export.mesh import Mesh
from kerasgan3d.export.surfaces import PASSES
from kerasgan3d.volume import Volume

_SIDE = np.array([1, 2, 0, 3])  # of a tetrahedron, by the node that does not lie in it, see `SIDES`
_LEAST = 0.1  # of the volume that a cell has before its corners are moved
_SHARES = 0.1  # of a way, less than which is none
_SPREAD = 4  # passes by which what lies between surfaces follows them
_CORRECTIONS = 3
_BYTES = (1600, 10000)  # per voxel, and per pair of unlike neighbours


def tetrahedral_mesh(
    volume: Volume,
    phases: Iterable[int | str] | int | str | None = None,
    unit: str = "um",
    smoothing: int = PASSES,
) -> Mesh:
    """Return a volume, or some of its phases, as tetrahedra whose boundaries are smooth.

    Every cube between eight voxel centres is divided into six tetrahedra, which are cut where phases meet. Cells are
    therefore conforming, also where three phases meet, and no mesher is needed, which would move the boundaries.
    Boundaries are smoothed like those of `surface_mesh`, but each point only so far that the cells around it keep a
    tenth of their volume, and then shifted so that each phase has the volume of its voxels. Nodes on periodic faces
    come in pairs. Along a periodic axis the box extends from the centres of the first voxels to their next images.

    There are some 6 cells per voxel, and more at boundaries: resample the volume first for fewer.

    Args:
        volume: The volume.
        phases: Names or labels of the phases to mesh; default: all.
        unit: Unit of the coordinates: "um" or "m".
        smoothing: Number of smoothing passes, 0 or more.

    Returns:
        The Mesh.

    Raises:
        ValueError: If there is no such phase or unit, or the voxel size is unknown.
        MemoryError: If the machine has too little memory.
    """
    wanted, edge = asked_of_surfaces(volume, phases, unit, smoothing, _BYTES)
    lattice = Lattice(volume)
    keys, labels = _cells(lattice)
    numbers, inverse = np.unique(keys, return_inverse=True)
    cells = inverse.reshape(-1, 4).astype(np.int32)
    complex_, start = lattice.complex(numbers)
    least = _LEAST * _volumes(cells, start)
    points = _towards(
        complex_, cells, least, start, _spread(complex_, cells, start, smoothed(complex_, start, smoothing))
    )
    counts = np.bincount(volume.labels.reshape(-1), minlength=len(volume.phases))
    for _ in range(_CORRECTIONS):
        points = _towards(complex_, cells, least, points, with_volumes(complex_, points, counts))
    names = solver_names(volume.phases)
    return _of_phases(complex_, points, cells, labels, {label: names[label] for label in wanted}, unit, edge)


def _cells(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Return all tetrahedra, by the numbers of their points (cells, 4), and their labels."""
    keys, labels = [], []
    for bases, around in lattice.cubes(alike=True):
        for simplex in TETRAHEDRA:
            corners = around[list(simplex)]
            for pattern, chosen in patterns(corners):
                for phase, region in regions_of(simplex, pattern):
                    keys.append(lattice.numbers(simplex, region, bases[chosen]))
                    labels.append(corners[phase, chosen])
    return np.concatenate(keys), np.concatenate(labels)


def _spread(complex_: Complex, cells: np.ndarray, start: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return targets for all points; those of points in no surface follow from the shifts of their neighbours."""
    free = np.ones(len(start), bool)
    free[complex_.triangles] = False
    first, second = (cells[:, ends].ravel() for ends in ([0, 0, 0, 1, 1, 2], [1, 2, 3, 2, 3, 3]))
    beside = sparse.csr_array((np.ones(len(first), np.float32), (first, second)), (len(start),) * 2)
    beside = beside + beside.T
    degree = np.asarray(beside.sum(axis=1)).reshape(-1, 1)
    moves = target - start
    for _ in range(_SPREAD):
        moves[free] = ((beside @ moves) / degree)[free]
    return complex_.moved(start, moves)


def _towards(
    complex_: Complex, cells: np.ndarray, least: np.ndarray, points: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Return points moved towards a target, each as far as all cells keep at least ``least`` of their volume."""
    share = np.ones((len(points), 1))
    while True:
        moved = points + share * (target - points)
        small = cells[_volumes(cells, moved) < least * (1 - 1e-9)]
        if not len(small):
            return moved
        held = np.unique(complex_.image[small])
        share[held] = np.where(share[held] > _SHARES, share[held] / 2, 0)
        share = share[complex_.image]


def _volumes(cells: np.ndarray, points: np.ndarray) -> np.ndarray:
    a, b, c, d = (points[corner] for corner in cells.T)
    return np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a) / 6


def _of_phases(complex_, points, cells, labels, phases, unit, edge) -> Mesh:
    """Return the cells of some phases as a Mesh with only their points."""
    kept = np.isin(labels, list(phases))
    used, cells, pairs = complex_.renumbered(cells[kept])
    points = points[used]
    return Mesh(
        points * edge,
        cells,
        labels[kept].astype(np.uint8),
        phases,
        {face: _at(points, cells, "xyz".index(face[0]), complex_.box[int(face[1])]) for face in FACES},
        {axis: _both(*pair) for axis, pair in pairs.items()},
        unit,
    )


def _at(points, cells, axis, ends):
    """Return the cells at a face of the box, and the index of the side in it."""
    within = points[cells, axis] == ends[axis]
    found = np.flatnonzero(np.count_nonzero(within, axis=1) == 3)
    return found, _SIDE[np.argmin(within[found], axis=1)]


def _both(first, last):
    """Return pairs of nodes that both exist, increasing by the first."""
    there = (first >= 0) & (last >= 0)
    order = np.argsort(first[there])
    return first[there][order], last[there][order]
