"""The surfaces of phases: triangles that neighbouring phases share, without gaps or overlaps, closed at the box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kerasgan3d.checks import AXES, check_integer, check_memory
from kerasgan3d.export._chosen import chosen_phases, edge_length, solver_names
from kerasgan3d.export._complex import Complex, smoothed, with_volumes
from kerasgan3d.export._cuts import TETRAHEDRA, cuts_between, cuts_of_face
from kerasgan3d.volume import Volume

OUTSIDE = -1  # the label of what lies beyond the box
FACES = ("z0", "z1", "y0", "y1", "x0", "x1")
_INTERIOR = len(FACES)  # in no face
_SLAB = 1 << 20  # cubes that are cut at once
_PASSES = 20
_BYTES = (40, 1500)  # per voxel, and per pair of unlike neighbours
_STEPS = 512  # ways from a lattice point to three others of a tetrahedron, as a number


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """Triangles between phases, and between phases and what lies beyond the box.

    Attributes:
        points: Coordinates x, y, z in the unit: float64 (points, 3). The image's first corner is at 0.
        triangles: int32 (triangles, 3), normals from inside to outside.
        inside, outside: Labels of the phases on both sides: int16 (triangles,); -1 beyond the box.
        faces: Face of the box in which a triangle lies, as an index of `FACES`, 6 where in none: uint8 (triangles,).
        pairs: Periodic axis -> points on the first and on the last face, (2, points), the k-th opposite one another.
        phases: Label -> name of each phase, of letters, digits and underscores.
        unit: What the coordinates are in, "um" or "m".
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
    smoothing: int = _PASSES,
) -> SurfaceMesh:
    """Return the surfaces of phases as triangles that neighbours share.

    Surfaces run between voxel centres. They are smoothed, with what lies in a face of the box staying there and
    periodic faces staying alike, and then moved outward or inward by the little that gives each phase the volume of its
    voxels. Each phase's surface is closed and a manifold. Along a periodic axis the box runs from the centres of the
    first voxels to their next images, where both faces show the same section.

    Args:
        volume: The volume.
        phases: Names or labels of the phases whose surfaces are wanted; default: all.
        unit: Of the coordinates: "um" or "m".
        smoothing: Passes of smoothing, 0 or more.

    Returns:
        SurfaceMesh.

    Raises:
        ValueError: If there is no such phase or unit, or the voxel size is unknown.
        MemoryError: If the machine has not the memory.
    """
    wanted = chosen_phases(volume, phases)
    edge = edge_length(volume, unit)
    check_integer(smoothing, "smoothing", 0)
    unlike = sum(int(np.count_nonzero(np.diff(volume.labels, axis=axis))) for axis in range(3))
    check_memory(_BYTES[0] * volume.labels.size + _BYTES[1] * unlike, "Crop or resample the volume.")
    grid, places = _lattice(volume)
    keys, inside, outside, faces = _cut(grid)
    numbers, inverse = np.unique(keys, return_inverse=True)
    corners = inverse.reshape(-1, 3).astype(np.int32)
    points, fixed = _positions(numbers, places)
    pairs = _pairs(numbers, grid.shape, volume.periodic)
    box = np.array([(along[0], along[-1]) for along in places[::-1]]).T
    complex_ = Complex(corners, inside, outside, faces, fixed, pairs, box)
    counts = np.bincount(volume.labels.reshape(-1), minlength=len(volume.phases))
    points = with_volumes(complex_, smoothed(complex_, points, smoothing), counts)
    names = solver_names(volume.phases)
    return _of_phases(complex_, points * edge, {label: names[label] for label in wanted}, unit)


def _lattice(volume):
    """Return the labels at voxel centres and at the faces of the box (z, y, x), and their places along each axis."""
    grid, places = volume.labels, []
    for axis, (size, wraps) in enumerate(zip(volume.shape, volume.periodic, strict=True)):
        grid = np.pad(grid, [(not wraps, 1) if k == axis else (0, 0) for k in range(3)], "wrap" if wraps else "edge")
        centres = np.arange(size + wraps) + 0.5
        places.append(centres if wraps else np.concatenate([[0], centres, [size]]))
    return grid, places


def _cut(grid):
    """Cut all tetrahedra and the triangles of the box.

    Returns:
        The points of triangles as numbers that name where they are, (triangles, 3); inside, outside and faces as in
        `SurfaceMesh`.
    """
    strides = np.array([grid.shape[1] * grid.shape[2], grid.shape[2], 1])
    found = [*_cut_tetrahedra(grid, strides)]
    for face, name in enumerate(FACES):
        found += _cut_box(grid, strides, AXES.index(name[0]), int(name[1]), face)
    keys, inside, outside, faces = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return keys, inside, outside, faces


def _cut_tetrahedra(grid, strides):
    """Yield the triangles between phases, slab by slab."""
    corners = [tuple(slice(bit, bit - 1 or None) for bit in (k >> 2 & 1, k >> 1 & 1, k & 1)) for k in range(8)]
    step = max(1, _SLAB // strides[0])
    for start in range(0, len(grid) - 1, step):
        slab = grid[start : start + step + 1]
        cubes = np.stack([slab[corner] for corner in corners])
        unlike = np.nonzero((cubes != cubes[0]).any(axis=0))
        bases = (unlike[0] + start) * strides[0] + unlike[1] * strides[1] + unlike[2]
        labels = cubes[:, *unlike]
        for simplex in TETRAHEDRA:
            yield from _triangles(simplex, labels[list(simplex)], bases, strides, cuts_between, _INTERIOR)


def _cut_box(grid, strides, axis, end, face):
    """Yield the triangles in a face of the box."""
    plane = np.take(grid, -end, axis=axis)
    bases = np.arange(grid.size).reshape(grid.shape).take(-end, axis=axis)[:-1, :-1].reshape(-1)
    first, second = (4 >> other for other in range(3) if other != axis)
    outward = tuple((2.0 * end - 1) * (other == axis) for other in range(3))
    for middle in (first, second):
        parts = [plane[:-1, :-1], plane[1:, :-1] if middle == first else plane[:-1, 1:], plane[1:, 1:]]
        labels = np.stack([part.reshape(-1) for part in parts])
        yield from _triangles(
            (0, middle, first | second), labels, bases, strides, lambda *of: cuts_of_face(*of, outward), face
        )


def _triangles(simplex, labels, bases, strides, cuts, face):
    """Yield the triangles of simplices that have the same corners in their cubes: points, inside, outside, face."""
    pattern = np.zeros(labels.shape, np.uint8)
    for k in range(1, len(labels)):
        pattern[k] = k
        for earlier in range(k - 1, -1, -1):
            pattern[k][labels[k] == labels[earlier]] = earlier
    codes = np.zeros(labels.shape[1], np.int64)
    for row in pattern[1:]:
        codes = codes * 4 + row
    for code in np.unique(codes):
        shape = tuple(int(code) >> 2 * k & 3 for k in range(len(labels) - 1, -1, -1))
        chosen = np.flatnonzero(codes == code)
        for cut in cuts(simplex, shape):
            keys = [bases[chosen] * _STEPS + _place(simplex, corner, strides) for corner in cut.corners]
            outside = np.full(len(chosen), OUTSIDE, np.int16) if cut.outside is None else labels[cut.outside, chosen]
            inside = labels[cut.inside, chosen].astype(np.int16)
            yield np.stack(keys, 1), inside, outside.astype(np.int16), np.full(len(chosen), face, np.uint8)


def _place(simplex, corner, strides):
    """Return the number of the middle of some corners of a simplex, from that of the cube's first corner.

    It is the lattice point of the first of them, and the ways from there to the others, three bits each: the same from
    whichever cube.
    """
    first = simplex[corner[0]]
    way = 0
    for k, other in enumerate(corner[1:]):
        way |= (simplex[other] - first) << 3 * (2 - k)
    return int(np.array([first >> 2 & 1, first >> 1 & 1, first & 1]) @ strides) * _STEPS + way


def _positions(numbers, places):
    """Return points (n, 3) x, y, z from their numbers, and which coordinates are those of a face of the box."""
    shape = tuple(map(len, places))
    index = np.unravel_index(numbers // _STEPS, shape)
    ways = [numbers >> 6 & 7, numbers >> 3 & 7, numbers & 7]
    count = 1 + sum((way > 0).astype(float) for way in ways)
    points, fixed = np.empty((len(numbers), 3)), np.empty((len(numbers), 3), bool)
    for axis in range(3):
        bits = [way >> (2 - axis) & 1 for way in ways]
        total = places[axis][index[axis]]
        for way, bit in zip(ways, bits, strict=True):
            total = total + np.where(way > 0, places[axis][np.minimum(index[axis] + bit, shape[axis] - 1)], 0)
        points[:, 2 - axis] = total / count
        within = bits[0] | bits[1] | bits[2]
        fixed[:, 2 - axis] = ((index[axis] == 0) & (within == 0)) | (index[axis] == shape[axis] - 1)
    return points, fixed


def _pairs(numbers, shape, periodic):
    """Return the points on both faces of each periodic axis, one opposite the other."""
    index = np.unravel_index(numbers // _STEPS, shape)
    pairs = {}
    for axis in np.flatnonzero(periodic):
        last = np.flatnonzero(index[axis] == shape[axis] - 1)
        stride = int(np.prod(shape[axis + 1 :]))
        first = np.searchsorted(numbers, numbers[last] - (shape[axis] - 1) * stride * _STEPS)
        pairs[AXES[axis]] = (first, last)
    return pairs


def _of_phases(complex_, points, phases, unit):
    """Return what of the triangles bounds some phases, and no point beside."""
    wanted = list(phases)
    kept = np.isin(complex_.inside, wanted) | np.isin(complex_.outside, wanted)
    used, inverse = np.unique(complex_.triangles[kept], return_inverse=True)
    numbers = np.full(len(points), -1, np.int32)
    numbers[used] = np.arange(len(used), dtype=np.int32)
    pairs = {axis: (numbers[first], numbers[last]) for axis, (first, last) in complex_.pairs.items()}
    return SurfaceMesh(
        points[used],
        inverse.reshape(-1, 3).astype(np.int32),
        complex_.inside[kept],
        complex_.outside[kept],
        complex_.faces[kept],
        {axis: np.stack(pair)[:, (pair[0] >= 0) & (pair[1] >= 0)] for axis, pair in pairs.items()},
        phases,
        unit,
    )
