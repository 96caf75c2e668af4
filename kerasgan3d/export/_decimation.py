"""Decimation of triangles by edge contraction that preserves contacts between phases and periodic faces.

Edges are chosen by quadric error metrics (Garland and Heckbert, SIGGRAPH 1997, 209-216), including those of curves, on
which three phases or the box meet. A point of a surface may join any neighbour, one of a curve a neighbour on the
curve, an end of curves none; and only where the link condition holds (Dey, Edelsbrunner, Guha and Nekhayev, Publ. Inst.
Math. 66 (80), 23-45, 1999), so that manifolds stay manifolds. In one round only points without common neighbours are
joined, each together with its periodic images.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from kerasgan3d.export._complex import Complex

_CHEAPEST = 0.4  # of the points that may join, those that do so in a round
_TURNS = 3  # of choosing among them
_STRAIGHT = 0.3  # cosine by which a triangle may turn
_SLENDER = 0.02  # area of a triangle over that of an equilateral one on its longest edge
_LOST = 0.05  # of the volume of a phase, which is then given back
_SHORT = 1e-4  # weight of an edge's length, which decides in planes


def decimated(complex_: Complex, points: np.ndarray, counted: np.ndarray, wanted: int) -> Complex:
    """Return a complex with at most the wanted number of triangles, or more where that is impossible.

    It is impossible where another contraction would change the contacts of phases, or the volume of a phase by more
    than a twentieth.

    Args:
        complex_: The triangles.
        points: Their points, which do not move; some belong to no triangle afterwards.
        counted: Mask of the triangles that are counted: bool (triangles,).
        wanted: Wanted number of counted triangles.
    """
    ring, volumes = _Ring(complex_), complex_.volumes(points)
    quadrics = _quadrics(ring, points)
    banned = np.zeros(0, np.int64)
    kinds = counted.astype(np.int64)
    while kinds.sum() > wanted:
        sources, targets, groups = ring.joins(banned)
        if not len(sources):
            break
        costs = _costs(quadrics, points, sources, targets)
        chosen = ring.chosen(sources, groups, costs, int(kinds.sum() - wanted + 1) // 2)
        sources, targets = sources[chosen], targets[chosen]
        bad = ring.spoiled(points, sources, targets)
        banned = np.union1d(banned, sources[bad] * len(points) + targets[bad])
        sources, targets = sources[~bad], targets[~bad]
        joined, kept = ring.joined(sources, targets)
        if (np.abs(joined.volumes(points) - volumes) > _LOST * volumes).any():
            break
        ring, kinds = _Ring(joined), kinds[kept]
        np.add.at(quadrics, targets, quadrics[sources])
    return ring.complex


class _Ring:
    """Neighbourhood of each point of a complex: edges, edges of curves, and the kind of point."""

    def __init__(self, complex_: Complex) -> None:
        self.complex = complex_
        self.count = len(complex_.fixed)
        self.images = np.bincount(complex_.image, minlength=self.count)  # by the first of them
        count = self.count
        low, high = (f(complex_.inside, complex_.outside).astype(np.int64) for f in (np.minimum, np.maximum))
        patches = np.tile(((low + 1) * 512 + high) * 8 + complex_.faces, 3)
        corners = complex_.triangles.astype(np.int64)
        ends = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
        keys = ends[:, 0] * count + ends[:, 1]
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        least, most = (f.reduceat(patches[order], starts) for f in (np.minimum, np.maximum))
        self.edges = ends[order][starts]
        self.of = np.diff(np.append(starts, len(keys)))  # how many triangles
        self.curves = (self.of != 2) | (least != most)
        both = np.concatenate([self.edges, self.edges[:, ::-1]])
        self.order = np.argsort(both[:, 0], kind="stable")
        self.sources, self.targets = both[self.order].T
        self.edge = np.tile(np.arange(len(self.edges)), 2)[self.order]
        self.begin = np.searchsorted(self.sources, np.arange(count))
        on = self.edges[self.curves]
        degree = np.bincount(on.ravel(), minlength=count)
        kind = (least * 8 + np.minimum(self.of, 7))[self.curves]
        first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        for end in on.T:
            np.minimum.at(first, end, kind)
            np.maximum.at(last, end, kind)
        self.on_curve = degree > 0
        self.free = (degree == 0) | ((degree == 2) & (first == last))

    def joins(self, banned):
        """Return the allowed contractions: sources, targets, and groups of those that are images of one another."""
        curve = self.curves[self.edge]
        allowed = self.free[self.sources] & (curve | ~self.on_curve[self.sources]) & self._links()[self.edge]
        allowed &= ~np.isin(self.sources * self.count + self.targets, banned)
        sources, targets = self.sources[allowed], self.targets[allowed]
        image = self.complex.image
        _, groups, counts = np.unique(
            image[sources] * self.count + image[targets], return_inverse=True, return_counts=True
        )
        whole = counts[groups] == self.images[image[sources]]
        return sources[whole], targets[whole], groups[whole]

    def _links(self):
        """Return a mask of edges that satisfy the link condition, in the surface and along curves."""
        meet = []
        for edges in (self.edges, self.edges[self.curves]):
            ones = np.ones(2 * len(edges), np.int32)
            both = np.concatenate([edges, edges[:, ::-1]])
            beside = sparse.csr_array((ones, both.T), (self.count,) * 2)
            meet.append((beside @ beside).multiply(beside).tocsr())
        first, second = self.edges.T
        common, by_curves = (np.asarray(found[first, second]).ravel() for found in meet)
        return (common == self.of) & (by_curves == 0)

    def chosen(self, sources, groups, costs, most):
        """Return the indices of the cheapest contractions without common neighbours, images together."""
        image = self.complex.image
        total = np.bincount(groups, costs)
        order = np.lexsort((groups, total[groups], image[sources]))
        best = order[np.flatnonzero(np.diff(image[sources][order], prepend=-1))]  # of each point and its images
        best = best[np.argsort(total[groups[best]], kind="stable")][: max(1, int(_CHEAPEST * len(best)))]
        never = len(best)
        ranks = np.full(self.count, never)
        ranks[image[sources[best]]] = np.arange(len(best))
        ranks = ranks[image]
        taken = np.zeros(0, np.int64)
        for _ in range(_TURNS):
            now = np.unique(ranks[(ranks < never) & (ranks == self._around(self._around(ranks)))])
            taken = np.concatenate([taken, now])
            near = np.where(np.isin(ranks, now) & (ranks < never), 0, 1)
            ranks = np.where(self._around(self._around(near)) == 0, never, ranks)
        taken = np.sort(taken)[:most]
        return np.flatnonzero(np.isin(groups, groups[best[taken]]))

    def _around(self, values):
        """Return the least value among each point, its images and their neighbours."""
        least = values.copy()
        there = np.flatnonzero(np.diff(np.append(self.begin, len(self.sources))))
        if len(there):
            least[there] = np.minimum(least[there], np.minimum.reduceat(values[self.targets], self.begin[there]))
        image = self.complex.image
        first = least.copy()
        np.minimum.at(first, image, least)
        return first[image]

    def spoiled(self, points, sources, targets):
        """Return a mask of contractions that would flip a triangle, or make it a sliver or a duplicate."""
        to, number = np.arange(self.count), np.full(self.count, -1)
        to[sources], number[sources] = targets, np.arange(len(sources))
        before = self.complex.triangles
        hit = np.flatnonzero((number[before] >= 0).any(axis=1))
        of = number[before[hit]].max(axis=1)  # no triangle has two
        after = to[before[hit]]
        stays = np.array([len(set(row)) == 3 for row in after.tolist()], bool)
        of, after, before = of[stays], after[stays], before[hit][stays]
        old, new = (_normals(points[corners]) for corners in (before, after))
        sizes = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
        longest = (points[after] - points[np.roll(after, 1, axis=1)]) ** 2
        slender = sizes[1] < _SLENDER * np.sqrt(0.75) * longest.sum(axis=2).max(axis=1)
        bad = slender | (np.einsum("ij,ij->i", old, new) < _STRAIGHT * sizes[0] * sizes[1])
        bad |= self._laid(to)[hit][stays]
        spoiled = np.zeros(len(sources), bool)
        spoiled[of[bad]] = True
        roots = self.complex.image[sources]
        return np.isin(roots, roots[spoiled])

    def _laid(self, to):
        """Return a mask of triangles that would have the points of another."""
        after = np.sort(to[self.complex.triangles], axis=1)
        order = np.lexsort(after.T)
        same = np.zeros(len(after), bool)
        equal = np.flatnonzero((np.diff(after[order], axis=0) == 0).all(axis=1))
        same[order[equal]] = same[order[equal + 1]] = True
        return same

    def joined(self, sources, targets):
        """Return the complex after contractions, and a mask of the triangles that remain."""
        to = np.arange(self.count, dtype=np.int32)
        to[sources] = targets
        a, b, c = (after := to[self.complex.triangles]).T
        kept = (a != b) & (b != c) & (c != a)
        old = self.complex
        parts = {name: getattr(old, name)[kept] for name in ("inside", "outside", "faces")}
        return dataclasses.replace(old, triangles=after[kept], **parts), kept


def _quadrics(ring, points):
    """Return for each point the sum of squared distances to the planes and curves around it: (points, 4, 4)."""
    triangles = ring.complex.triangles
    normals = _normals(points[triangles])
    sizes = np.maximum(np.linalg.norm(normals, axis=1), 1e-300)
    planes = np.c_[normals, -np.einsum("ij,ij->i", normals, points[triangles[:, 0]])]
    found = np.zeros((len(points), 16))
    _add(found, triangles, np.einsum("ij,ik,i->ijk", planes, planes, 0.5 / sizes))
    curves = ring.edges[ring.curves]
    ways = points[curves[:, 1]] - points[curves[:, 0]]
    lengths = np.linalg.norm(ways, axis=1)
    across = np.eye(3) * lengths[:, np.newaxis, np.newaxis] ** 2 - np.einsum("ij,ik->ijk", ways, ways)
    shift = np.concatenate([np.tile(np.eye(3), (len(curves), 1, 1)), -points[curves[:, 0]][:, :, np.newaxis]], axis=2)
    _add(found, curves, np.einsum("ipj,ipq,iqk->ijk", shift, across, shift))
    return found.reshape(-1, 4, 4)


def _add(found, corners, values):
    """Add the values of simplices to each of their corners."""
    for corner in corners.T:
        for k, value in enumerate(values.reshape(-1, 16).T):
            found[:, k] += np.bincount(corner, value, len(found))


def _costs(quadrics, points, sources, targets):
    """Return the costs of moving sources to targets."""
    place = np.c_[points[targets], np.ones(len(targets))]
    away = ((points[sources] - points[targets]) ** 2).sum(axis=1)
    return np.einsum("ij,ijk,ik->i", place, quadrics[sources], place) + _SHORT * away**2


def _normals(corners):
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
