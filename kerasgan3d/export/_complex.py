"""Surfaces shared by several phases: smoothing, and correction of the phases' volumes."""

from __future__ import annotations

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

    def volumes(self, points: np.ndarray) -> np.ndarray:
        """Return the volumes that the surfaces of phases enclose, by label."""
        a, b, c = (points[corner] for corner in self.triangles.T)
        parts = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
        labels = 2 + int(max(self.inside.max(), self.outside.max()))  # from beyond the box on
        return (np.bincount(self.inside + 1, parts, labels) - np.bincount(self.outside + 1, parts, labels))[1:]

    def renumbered(self, simplices: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[np.ndarray, ...]]]:
        """Return the points of simplices, and the simplices and pairs renumbered to these points, -1 if absent.

        Args:
            simplices: Triangles or tetrahedra, by their points: (simplices, corners).
        """
        used, inverse = np.unique(simplices, return_inverse=True)
        numbers = np.full(len(self.fixed), -1, np.int32)
        numbers[used] = np.arange(len(used), dtype=np.int32)
        pairs = {axis: (numbers[first], numbers[last]) for axis, (first, last) in self.pairs.items()}
        return used, inverse.reshape(simplices.shape).astype(np.int32), pairs

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges, (edges, 2) with the smaller point first, and the number of triangles at each."""
        return edges_of(self.triangles, len(self.fixed))


def edges_of(triangles: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of triangles, (edges, 2) with the smaller point first, and the number of triangles at each."""
    both = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    numbers, counts = np.unique(both[:, 0].astype(np.int64) * points + both[:, 1], return_counts=True)
    return np.stack(np.divmod(numbers, points), axis=1), counts


def smoothed(complex_: Complex, points: np.ndarray, passes: int) -> np.ndarray:
    """Return points smoothed in passes, each a step towards the mean of their neighbours and one back.

    Points where three phases or the box meet follow only neighbours of that kind; points in a face stay in it.
    """
    edges, counts = complex_.edges()
    joint = np.zeros(len(points), bool)
    joint[edges[counts > 2]] = True
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[~joint[both[:, 0]] | np.concatenate([counts > 2] * 2)]
    image, ones = complex_.image, np.ones(len(both))
    degree = np.bincount(image[both[:, 0]], minlength=len(points))
    towards = sparse.csr_array((ones, (image[both[:, 0]], both[:, 1])), (len(points),) * 2)
    towards -= sparse.csr_array((ones, (image[both[:, 0]], both[:, 0])), (len(points),) * 2)
    towards = sparse.diags_array(1 / np.maximum(degree, 1)) @ towards
    for step in (_FORTH, _BACK) * passes:
        points = complex_.moved(points, step * (towards @ points))
    return points


def with_volumes(complex_: Complex, points: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Return points moved along the normals, by one length per phase, so that each phase has the given volume.

    Args:
        complex_: The triangles.
        points: Their points, in voxels.
        volumes: Volume of each phase by label, in voxels.
    """
    present = [label for label in np.flatnonzero(volumes) if (complex_.inside == label).any()]
    for _ in range(_STEPS):
        missing, slopes = zip(*(_slope(complex_, points, label) for label in present), strict=True)
        missing = volumes[present] - np.array(missing)
        if np.abs(missing).max() < _CLOSE * volumes.sum():
            break
        slopes = np.stack(slopes)
        around = np.maximum(_areas(complex_, points), 1e-12)
        ways = slopes / around[:, np.newaxis]
        lengths = np.linalg.lstsq(np.einsum("pij,qij->pq", slopes, ways), missing, rcond=1e-9)[0]
        points = complex_.moved(points, np.einsum("p,pij->ij", lengths, ways))
    return points


def _slope(complex_, points, label):
    """Return the volume of a phase, and its derivatives by each coordinate of a point with its images."""
    sign = (complex_.inside == label) * 1.0 - (complex_.outside == label)
    a, b, c = (points[corner] for corner in complex_.triangles.T)
    slope = np.zeros_like(points)
    crosses = [np.cross(second, third) for second, third in ((b, c), (c, a), (a, b))]
    for corner, cross in zip(complex_.triangles.T, crosses, strict=True):
        for axis in range(3):
            slope[:, axis] += np.bincount(complex_.image[corner], sign * cross[:, axis] / 6, len(points))
    return float(np.einsum("i,ij,ij->", sign, a, crosses[0]) / 6), slope * ~complex_.fixed


def _areas(complex_, points):
    """Return a third of the area of the triangles between phases around each point and its images."""
    between = complex_.triangles[complex_.outside >= 0]
    a, b, c = (points[corner] for corner in between.T)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return sum(np.bincount(complex_.image[corner], areas, len(points)) for corner in between.T)
