"""Surfaces shared by several phases: smoothing, and correction of the phases' volumes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy import sparse

from kerasgan3d.checks import cores

# Steps of a smoothing pass (Taubin, SIGGRAPH 1995, 351-358). With Taubin's longer step back no shape shrinks; a
# slightly shorter one leaves less of the voxel stairs, and `with_volumes` undoes the shrinkage.
_FORTH, _BACK = 0.6, -0.5
_STEPS = 12  # of Newton's method; three or four are enough
_CLOSE = 1e-7
_LESS = 0.1  # of what is missing is left after a step; else slopes are those of new places
_MARGIN = 0.1  # voxels: less than the distance of any point from a face of the box in which it does not lie
_PIECE = 1 << 16  # simplices or points at a time
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Complex:
    """Triangles of a `SurfaceMesh` before the positions of their points are known.

    Attributes:
        triangles, inside, outside, faces: As in `SurfaceMesh`.
        fixed: Coordinates x, y, z of each point that stay, because it lies in a face of the box: bool (points, 3).
        pairs: Periodic axis -> (points on the first face, points on the last face).
        box: The least and the greatest x, y, z, in voxels: (2, 3).
    """

    triangles: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    faces: np.ndarray
    fixed: np.ndarray
    pairs: dict[str, tuple[np.ndarray, np.ndarray]]
    box: np.ndarray

    def moved(self, points: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Return points moved together with their images: points in faces stay there, and no others enter a face."""
        low, high = self.box
        points = points + by[self.image] * ~self.fixed
        for values, fixed, least, most in zip(points.T, self.fixed.T, low + _MARGIN, high - _MARGIN, strict=True):
            np.clip(values, least, most, out=values, where=~fixed)
        return points

    @cached_property
    def image(self) -> np.ndarray:
        """For each point the original of which it is a periodic image: its partner on the first face, or itself."""
        image = np.arange(len(self.fixed))
        for first, last in self.pairs.values():
            image[last] = first
        for _ in self.pairs:
            image = image[image]
        return image

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Return the normals of triangles, from inside to outside and twice as long as they have area."""
        found = np.empty(self.triangles.shape)

        def work(part: slice) -> None:
            found[part] = np.stack(_normals(points, self.triangles[part])[1], axis=1)

        in_pieces(work, len(found))
        return found

    def volumes(self, points: np.ndarray) -> np.ndarray:
        """Return by label the volume that the surface of a phase encloses."""
        labels = 2 + int(max(self.inside.max(), self.outside.max()))  # from beyond the box on

        def work(part: slice) -> np.ndarray:
            first, normal = _normals(points, self.triangles[part])
            parts = sum(along * across for along, across in zip(first.T, normal, strict=True)) / 6
            sides = (np.bincount(side[part] + 1, parts, labels) for side in (self.inside, self.outside))
            return np.subtract(*sides)

        return np.add.reduce(in_pieces(work, len(self.triangles)))[1:]

    def renumbered(self, simplices: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[np.ndarray, ...]]]:
        """Return the points of simplices, and the simplices and pairs renumbered to these points, -1 if absent.

        Args:
            simplices: Triangles or tetrahedra, by their points: (simplices, corners).
        """
        there = np.zeros(len(self.fixed), bool)
        there[simplices] = True
        numbers = np.where(there, np.cumsum(there, dtype=np.int32) - 1, -1)
        pairs = {axis: (numbers[first], numbers[last]) for axis, (first, last) in self.pairs.items()}
        return np.flatnonzero(there), numbers[simplices], pairs


def edges_of(triangles: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of triangles, (edges, 2) with the smaller point first, and the number of triangles at each."""
    both = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    numbers, counts = np.unique(both[:, 0].astype(np.int64) * points + both[:, 1], return_counts=True)
    return np.stack(np.divmod(numbers, points), axis=1), counts


def pieces(count: int) -> list[slice]:
    """Return slices of `count` things, of each of which the numbers stay in a core's cache."""
    return [slice(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE)]


def in_pieces(work: Callable[[slice], _Found], count: int) -> list[_Found]:
    """Call a function with slices of `count` things, in threads, and return what it returns."""
    parts = pieces(count)
    with ThreadPoolExecutor(max(1, min(cores(), len(parts)))) as pool:
        return list(pool.map(work, parts))


def _normals(points, triangles):
    """Return the first points of triangles, (triangles, 3), and the three coordinates of their normals."""
    a, b, c = points.take(triangles.T, axis=0)
    (ax, ay, az), (bx, by, bz) = (b - a).T, (c - a).T
    return a, (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)


def smoothed(complex_: Complex, points: np.ndarray, passes: int) -> np.ndarray:
    """Return points smoothed in passes, each a step towards the mean of their neighbours and one back.

    Points where three phases or the box meet follow only neighbours of that kind; points in a face stay in it.
    """
    middles, firsts, shared, alone = _middles(complex_)
    image = complex_.image
    lasts = np.flatnonzero(image != np.arange(len(image)))

    def along(axis: int) -> np.ndarray:
        least, most = complex_.box[:, axis] + (_MARGIN, -_MARGIN)
        values, stays = points[:, axis].copy(), np.flatnonzero(complex_.fixed[:, axis] | alone)
        start = values[stays]
        for step in (_FORTH, _BACK) * passes:
            steps = middles @ values
            steps[firsts] = shared @ values
            steps -= values
            steps *= step
            values += steps
            np.clip(values, least, most, out=values)
            values[lasts] = values[image[lasts]]
            values[stays] = start
        return values

    with ThreadPoolExecutor(3) as pool:
        return np.stack(list(pool.map(along, range(3))), axis=1)


def _middles(complex_):
    """Return what takes points to the middle of their neighbours, and of their images' neighbours.

    Returns:
        A matrix (points, points); the points that have images, and the rows for these; and which points have no
        neighbours: bool (points,).
    """
    count = len(complex_.fixed)
    ends = complex_.triangles, complex_.triangles[:, [1, 2, 0]]
    ends = tuple(f(*ends).reshape(-1) for f in (np.minimum, np.maximum))
    # By points, how many triangles have an edge between them.
    half = sparse.csr_array((np.ones(len(ends[0]), np.int8), ends), (count, count))
    edges = half + half.T.tocsr()
    starts = np.repeat(np.arange(count, dtype=np.int32), np.diff(edges.indptr))
    joint = np.zeros(count, bool)
    joint[starts[edges.data > 2]] = True
    kept = ~joint[starts] | (edges.data > 2)
    starts, stops = starts[kept], edges.indices[kept]
    del ends, half, edges, kept
    begins = np.append(0, np.cumsum(np.bincount(starts, minlength=count)))
    image, originals = complex_.image, complex_.image == np.arange(count)
    firsts, numbers = np.unique(image[~originals]), np.full(count, -1)
    numbers[firsts] = np.arange(len(firsts))
    rows = numbers[image[starts]]
    of_firsts = np.flatnonzero(rows >= 0)
    rows = rows[of_firsts]
    degree = np.diff(begins)
    degree[firsts] = np.bincount(rows, minlength=len(firsts))
    share = 1 / np.maximum(degree, 1)
    shared = sparse.csr_array((share[firsts][rows], (rows, stops[of_firsts])), (len(firsts), count))
    middles = sparse.csr_array((share[starts], stops, begins), (count, count))
    return middles, firsts, shared, (degree == 0) & originals


def with_volumes(complex_: Complex, points: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Return points moved along the normals, by one length per phase, so that each phase has the given volume.

    A volume changes with a point by a third of the normals around it, as its surface is closed.

    Args:
        complex_: The triangles.
        points: Their points, in voxels.
        volumes: Volume of each phase by label, in voxels.
    """
    present = [label for label in np.flatnonzero(volumes).tolist() if (complex_.inside == label).any()]
    before, ways = np.inf, None
    for _ in range(_STEPS):
        missing = volumes[present] - complex_.volumes(points)[present]  # which ends with the last label
        most = np.abs(missing).max()
        if most < _CLOSE * volumes.sum():
            break
        if ways is None or most > _LESS * before:
            ways, root = _ways(complex_, points, present)
            products = ways @ ways.T
        before, lengths = most, np.linalg.lstsq(products, missing, rcond=1e-9)[0]
        by = (lengths @ ways).reshape(points.shape)
        by /= root
        points = complex_.moved(points, by)
    return points


def _ways(complex_, points, present):
    """Return how points are moved by a length of each phase: its volume's slopes over the area around them.

    Returns:
        The slopes over the root of the area, (phases, coordinates), and that root, (points, 1).
    """
    normals = complex_.normals(points)
    slopes, between = np.zeros((len(present), *points.shape)), np.zeros(len(points))
    for pair, chosen, shares, corners in _contacts(complex_):
        sums = corners @ _turned(normals, chosen, shares)
        between += sums[:, 3]
        for label, add in zip(pair, (np.add, np.subtract), strict=True):
            if label in present:
                own = slopes[present.index(label)]
                add(own, sums[:, :3], out=own)
    slopes *= ~complex_.fixed
    root = np.sqrt(np.maximum(between, 1e-12))[:, np.newaxis]
    slopes /= root
    return slopes.reshape(len(present), -1), root


def _turned(normals, chosen, shares):
    """Return shares of chosen normals, and of their lengths without the sign: (chosen, 4)."""
    found = np.empty((len(chosen), 4))

    def work(part: slice) -> None:
        own = normals[chosen[part]]
        own *= shares[part, np.newaxis]
        found[part, :3], found[part, 3] = own, np.sqrt(np.einsum("ij,ij->i", own, own))

    in_pieces(work, len(chosen))
    return found


def _contacts(complex_):
    """Yield for each pair of phases in contact what lies between them.

    Yields:
        Both labels; the triangles; a sixth, negative where the first phase is outside; and which of these triangles are
        around each point and its images, 1 or 0, (points, triangles).
    """
    low, high = (f(complex_.inside, complex_.outside) for f in (np.minimum, np.maximum))
    labels = int(high.max()) + 1
    codes = np.where(low >= 0, low.astype(np.int32) * labels + high, labels**2)  # those of the box last
    for code in np.flatnonzero(np.bincount(codes)[: labels**2]):
        pair, chosen = divmod(int(code), labels), np.flatnonzero(codes == code)
        corners = complex_.image[complex_.triangles[chosen].reshape(-1)]
        entries = np.ones(len(corners)), corners, np.arange(0, len(corners) + 1, 3)
        matrix = sparse.csc_array(entries, (len(complex_.fixed), len(chosen)))
        yield pair, chosen, np.where(complex_.inside[chosen] == pair[0], 1 / 6, -1 / 6), matrix
