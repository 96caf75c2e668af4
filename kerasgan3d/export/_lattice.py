"""The lattice of voxel centres and faces of the box: its cuts, their points, and periodic images.

A point is encoded as a number: that of the first of the lattice points of which it is the centre, times `STEPS`, plus
the steps from there to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.export._complex import Complex, in_pieces, pieces
from kerasgan3d.export._cuts import TETRAHEDRA, cuts_between, cuts_of_face
from kerasgan3d.volume import Volume

OUTSIDE = -1  # the label outside the box
FACES = ("z0", "z1", "y0", "y1", "x0", "x1")
_INTERIOR = len(FACES)  # in no face
_SLAB = 1 << 20  # cubes that are cut at once
_STEPS = 512  # ways from a lattice point to three others of a tetrahedron, as a number


class Lattice:
    """Labels at voxel centres and at the faces of the box, and the cuts between them.

    Attributes:
        grid: The labels (z, y, x).
        places: Their positions along each axis, in voxels.
        strides: Increments of a lattice point's number along each axis.
        periodic: Whether each axis is periodic.
    """

    def __init__(self, volume: Volume) -> None:
        self.grid, self.places = _lattice(volume)
        self.strides = np.array([self.grid.shape[1] * self.grid.shape[2], self.grid.shape[2], 1])
        self.periodic = volume.periodic

    def cubes(self, alike: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the numbers of cubes, those of their first points, and their labels (8, cubes), slab by slab.

        Args:
            alike: Whether those are wanted, too, that lie in one phase.
        """
        grid = self.grid
        corners = [tuple(slice(bit, bit - 1 or None) for bit in (k >> 2 & 1, k >> 1 & 1, k & 1)) for k in range(8)]
        step = max(1, _SLAB // int(self.strides[0]))
        for start in range(0, len(grid) - 1, step):
            slab = grid[start : start + step + 1]
            cubes = np.stack([slab[corner] for corner in corners])
            chosen = np.nonzero((cubes != cubes[0]).any(axis=0) | alike)
            places = (chosen[0] + start, *chosen[1:])
            yield self.strides @ np.stack(places), cubes[:, *chosen]

    def numbers(self, simplex: tuple[int, ...], corners: tuple[tuple[int, ...], ...], bases: np.ndarray) -> np.ndarray:
        """Return the points of cuts, each the middle of some corners of a simplex, in cubes: (cubes, points)."""
        return np.stack([bases * _STEPS + _place(simplex, corner, self.strides) for corner in corners], 1)

    def complex(self, numbers: np.ndarray | None = None) -> tuple[Complex, np.ndarray]:
        """Return the triangles between phases and at the box, and the positions of their points.

        Args:
            numbers: The points, increasing, where there are more than those of triangles.
        """
        keys, inside, outside, faces = self._cut()
        numbers, triangles = _numbered(keys if numbers is None else numbers, keys, self.grid.size)
        points, fixed = _positions(numbers, self.places)
        box = np.array([(along[0], along[-1]) for along in self.places[::-1]]).T
        pairs = _pairs(numbers, self.grid.shape, self.periodic)
        return Complex(triangles, inside, outside, faces, fixed, pairs, box), points

    def _cut(self):
        """Cut all tetrahedra and the triangles of the box.

        Returns:
            The points of triangles, (triangles, 3); inside, outside and faces as in `SurfaceMesh`.
        """
        found = []
        for bases, labels in self.cubes():
            for simplex in TETRAHEDRA:
                found += self._triangles(simplex, labels[list(simplex)], bases, cuts_between, _INTERIOR)
        for face, name in enumerate(FACES):
            found += self._box(AXES.index(name[0]), int(name[1]), face)
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def _box(self, axis, end, face):
        """Yield the triangles in a face of the box."""
        plane = np.take(self.grid, -end, axis=axis)
        bases = np.arange(self.grid.size).reshape(self.grid.shape).take(-end, axis=axis)[:-1, :-1].reshape(-1)
        first, second = (4 >> other for other in range(3) if other != axis)
        outward = tuple((2.0 * end - 1) * (other == axis) for other in range(3))
        for middle in (first, second):
            parts = [plane[:-1, :-1], plane[1:, :-1] if middle == first else plane[:-1, 1:], plane[1:, 1:]]
            labels = np.stack([part.reshape(-1) for part in parts])
            yield from self._triangles(
                (0, middle, first | second), labels, bases, lambda *of: cuts_of_face(*of, outward), face
            )

    def _triangles(self, simplex, labels, bases, cuts: Callable, face):
        """Yield the triangles of simplices that have the same corners in their cubes: points, inside, outside, face."""
        for pattern, chosen in patterns(labels):
            for cut in cuts(simplex, pattern):
                outside = np.full(len(chosen), OUTSIDE) if cut.outside is None else labels[cut.outside, chosen]
                yield (
                    self.numbers(simplex, cut.corners, bases[chosen]),
                    labels[cut.inside, chosen].astype(np.int16),
                    outside.astype(np.int16),
                    np.full(len(chosen), face, np.uint8),
                )


def patterns(labels: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield how simplices are divided, as the first corner of the phase of each corner, and which ones are so.

    Args:
        labels: (corners, simplices).
    """
    pattern = np.zeros(labels.shape, np.uint8)
    for k in range(1, len(labels)):
        pattern[k] = k
        for earlier in range(k - 1, -1, -1):
            pattern[k][labels[k] == labels[earlier]] = earlier
    codes = np.zeros(labels.shape[1], np.int64)
    for row in pattern[1:]:
        codes = codes * 4 + row
    for code in np.unique(codes):
        yield tuple(int(code) >> 2 * k & 3 for k in range(len(labels) - 1, -1, -1)), np.flatnonzero(codes == code)


def _lattice(volume):
    """Return the labels at voxel centres and at the faces of the box (z, y, x), and their places along each axis."""
    grid, places = volume.labels, []
    for axis, (size, wraps) in enumerate(zip(volume.shape, volume.periodic, strict=True)):
        grid = np.pad(grid, [(not wraps, 1) if k == axis else (0, 0) for k in range(3)], "wrap" if wraps else "edge")
        centres = np.arange(size + wraps) + 0.5
        places.append(centres if wraps else np.concatenate([[0], centres, [size]]))
    return grid, places


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


def _numbered(points, keys, count):
    """Return the points without repetition, increasing, and which of them each key is: int32.

    Of some 500 numbers that a lattice point might have, no more than 26 are used. So 32 bits tell which, and what comes
    before is counted, where sorting would take most of the time. The bits are bytes at first, for a slab at a time.
    """
    flat, keyed = points.reshape(-1), keys.reshape(-1)
    ways = sum(np.bincount(flat[part] % _STEPS, minlength=_STEPS) for part in pieces(len(flat)))
    used = np.flatnonzero(ways)
    bit = np.zeros(_STEPS, np.uint8)
    bit[used] = np.arange(len(used))
    parts = pieces(len(flat))
    ends = [(flat[part].min() // _STEPS, flat[part].max() // _STEPS) for part in parts]
    bits, numbers = np.empty(count, np.uint32), []
    for start in range(0, count, _SLAB):
        there = np.zeros((min(_SLAB, count - start), 32), bool)
        stop = start + len(there)
        for part in (part for part, (first, last) in zip(parts, ends, strict=True) if first < stop and last >= start):
            place, way = np.divmod(flat[part], _STEPS)
            here = (start <= place) & (place < stop)
            there[place[here] - start, bit[way[here]]] = True
        bits[start:stop] = np.packbits(there, axis=1, bitorder="little").view("<u4")[:, 0]
        place, among = np.divmod(np.flatnonzero(there), 32)
        numbers.append((start + place) * _STEPS + used[among])
    before = np.cumsum(np.append(0, np.bitwise_count(bits)[:-1]), dtype=np.int32)
    lower = (np.uint32(1) << np.arange(32, dtype=np.uint32)) - np.uint32(1)
    found = np.empty(keyed.shape, np.int32)

    def work(part: slice) -> None:
        place, way = np.divmod(keyed[part], _STEPS)
        found[part] = before[place] + np.bitwise_count(bits[place] & lower[bit[way]])

    in_pieces(work, len(keyed))
    return np.concatenate(numbers), found.reshape(keys.shape)


def _positions(numbers, places):
    """Return points (n, 3) x, y, z from their numbers, and which coordinates are those of a face of the box."""
    shape = tuple(map(len, places))
    points, fixed = np.empty((len(numbers), 3)), np.empty((len(numbers), 3), bool)

    def work(part: slice) -> None:
        place, way = np.divmod(numbers[part], _STEPS)
        index = np.unravel_index(place, shape)
        ways = [way >> 6 & 7, way >> 3 & 7, way & 7]
        count = 1 + sum((way > 0).astype(float) for way in ways)
        for axis in range(3):
            bits = [way >> (2 - axis) & 1 for way in ways]
            total = places[axis][index[axis]]
            for way, bit in zip(ways, bits, strict=True):
                total = total + np.where(way > 0, places[axis][np.minimum(index[axis] + bit, shape[axis] - 1)], 0)
            points[part, 2 - axis] = total / count
            within = bits[0] | bits[1] | bits[2]
            fixed[part, 2 - axis] = ((index[axis] == 0) & (within == 0)) | (index[axis] == shape[axis] - 1)

    in_pieces(work, len(numbers))
    return points, fixed


def _pairs(numbers, shape, periodic):
    """Return the opposite points on both faces of each periodic axis."""
    index = np.unravel_index(numbers // _STEPS, shape)
    pairs = {}
    for axis in np.flatnonzero(periodic):
        last = np.flatnonzero(index[axis] == shape[axis] - 1)
        stride = int(np.prod(shape[axis + 1 :]))
        first = np.searchsorted(numbers, numbers[last] - (shape[axis] - 1) * stride * _STEPS)
        pairs[AXES[axis]] = (first, last)
    return pairs
