"""Surfaces shared by several phases: smoothing, and correction of the phases' volumes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

# Steps of a smoothing pass (Taubin, SIGGRAPH 1995, 351-358). With Taubin's longer step back no shape shrinks; a
# slightly shorter one leaves less of the voxel stairs, and `with_volumes` undoes the shrinkage.
_FORTH, _BACK = 0.6, -0.5
_STEPS = 6  # of Newton's method; two or three are enough
_CLOSE = 1e-7
_MARGIN = 0.1  # voxels: less than the distance of any point from a face of the box in which it does not lie


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
        return np.where(self.fixed, points, np.clip(points, low + _MARGIN, high - _MARGIN))

    @cached_property
    def image(self) -> np.ndarray:
        """For each point the original of which it is a periodic image: its partner on the first face, or itself."""
        image = np.arange(len(self.fixed))
        for first, last in self.pairs.values():
            image[last] = first
        for _ in self.pairs:
            image = image[image]
        return image

    @cached_property
    def corners(self) -> sparse.csr_array:
        """Which triangles are around each point and its images: 1 or 0, (points, triangles); of images nothing."""
        count = len(self.triangles)
        entries = np.ones(3 * count), (self.image[self.triangles.reshape(-1)], np.arange(count).repeat(3))
        return sparse.csr_array(entries, (len(self.fixed), count))

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Return the normals of triangles, from inside to outside and twice as long as they have area."""
        x, y, z = ([along.take(corner) for corner in self.triangles.T] for along in np.ascontiguousarray(points.T))
        (ax, bx), (ay, by), (az, bz) = ((second - first, third - first) for first, second, third in (x, y, z))
        return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)

    def volumes(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Return by label the volume that the surface of a phase encloses."""
        parts = np.einsum("ij,ij->i", points.take(self.triangles[:, 0], axis=0), normals) / 6
        labels = 2 + int(max(self.inside.max(), self.outside.max()))  # from beyond the box on
        return (np.bincount(self.inside + 1, parts, labels) - np.bincount(self.outside + 1, parts, labels))[1:]

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


def smoothed(complex_: Complex, points: np.ndarray, passes: int) -> np.ndarray:
    """Return points smoothed in passes, each a step towards the mean of their neighbours and one back.

    Points where three phases or the box meet follow only neighbours of that kind; points in a face stay in it.
    """
    middle = _middles(complex_)

    def along(axis: int) -> np.ndarray:
        least, most = complex_.box[:, axis] + (_MARGIN, -_MARGIN)
        values, stays = points[:, axis].copy(), np.flatnonzero(complex_.fixed[:, axis])
        start = values[stays]
        for step in (_FORTH, _BACK) * passes:
            values += step * (middle @ values - values)
            np.clip(values, least, most, out=values)
            values[stays] = start
        return values

    with ThreadPoolExecutor(3) as pool:
        return np.stack(list(pool.map(along, range(3))), axis=1)


def _middles(complex_):
    """Return the matrix that takes points to the middle of their, and of their images', neighbours, or leaves them."""
    count = len(complex_.fixed)
    ends = complex_.triangles[:, [0, 1, 1, 2, 2, 0]], complex_.triangles[:, [1, 0, 2, 1, 0, 2]]
    # By points, how many triangles have an edge between them.
    edges = sparse.csr_array((np.ones(ends[0].size, np.int8), tuple(end.reshape(-1) for end in ends)), (count, count))
    edges.sum_duplicates()
    starts = np.repeat(np.arange(count, dtype=np.int32), np.diff(edges.indptr))
    joint = np.zeros(count, bool)
    joint[starts[edges.data > 2]] = True
    kept = ~joint[starts] | (edges.data > 2)
    starts, stops = complex_.image[starts[kept]], edges.indices[kept]
    degree = np.bincount(starts, minlength=count)
    alone = np.flatnonzero(degree == 0)
    starts, stops, share = np.append(starts, alone), np.append(stops, alone), 1 / np.maximum(degree, 1)
    return sparse.csr_array((share[starts], (starts, stops)), (count, count))[complex_.image]


def with_volumes(complex_: Complex, points: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Return points moved along the normals, by one length per phase, so that each phase has the given volume.

    A volume changes with a point by a third of the normals around it, as its surface is closed.

    Args:
        complex_: The triangles.
        points: Their points, in voxels.
        volumes: Volume of each phase by label, in voxels.
    """
    present = [label for label in np.flatnonzero(volumes) if (complex_.inside == label).any()]
    for _ in range(_STEPS):
        normals = complex_.normals(points)
        missing = volumes[present] - complex_.volumes(points, normals)[present]  # which ends with the last label
        if np.abs(missing).max() < _CLOSE * volumes.sum():
            break
        sides = [(complex_.inside == label) * 1.0 - (complex_.outside == label) for label in present]
        slopes = np.stack([complex_.corners @ (side[:, np.newaxis] * normals) for side in sides])
        slopes *= ~complex_.fixed / 6
        between = np.where(complex_.outside >= 0, np.linalg.norm(normals, axis=1) / 6, 0)
        ways = slopes / np.maximum(complex_.corners @ between, 1e-12)[:, np.newaxis]
        lengths = np.linalg.lstsq(np.einsum("pij,qij->pq", slopes, ways), missing, rcond=1e-9)[0]
        points = complex_.moved(points, np.einsum("p,pij->ij", lengths, ways))
    return points
