"""Cuts of simplices whose corners lie in different phases into regions, one per phase, without gaps or overlaps.

Cubes between eight neighbouring voxel centres are divided into six tetrahedra along the paths from one corner to the
opposite one (Kuhn, 1960). A tetrahedron is cut through the midpoints of its edges between two phases, the centres of
its triangles between three, and its own centre between four. Neighbours share edges and triangles, and cut them in the
same way. A region is then a neighbourhood of the corners of its phase, whose surface is a manifold for any arrangement
of voxels.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np

# Corners of a cube are numbered from 0 to 7: 4 z + 2 y + x. Those of a tetrahedron or triangle lie on a path from the
# first to the last, along which coordinates grow.
TETRAHEDRA = tuple((0, 1 << a, 1 << a | 1 << b, 7) for a, b in itertools.permutations(range(3), 2))


class Cut(NamedTuple):
    """One triangle of a cut: its three corners, each the centre of some corners of the simplex, and its two sides.

    `inside` and `outside` are corners of the simplex in the phases that it separates; `outside` is None at the box.
    """

    corners: tuple[tuple[int, ...], ...]
    inside: int
    outside: int | None


def position(corner: int) -> np.ndarray:
    """Return the position of a corner of a cube: (z, y, x), 0 or 1."""
    return np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1], float)


@cache
def cuts_between(simplex: tuple[int, ...], pattern: tuple[int, ...]) -> tuple[Cut, ...]:
    """Return the triangles that separate the phases of a tetrahedron, each with its normal from inside to outside.

    Args:
        simplex: The four corners.
        pattern: Phase of each corner, given as the first corner of that phase: (0, 0, 2, 0).
    """
    found = []
    for first, second in itertools.combinations(sorted(set(pattern)), 2):
        ours, theirs, others = (
            [k for k in range(4) if chosen(pattern[k])]
            for chosen in (first.__eq__, second.__eq__, lambda p, pair=(first, second): p not in pair)
        )
        polygon = _polygon(ours, theirs, others, pattern)
        for corners in _fan(polygon):
            ahead = position(simplex[theirs[0]]) - position(simplex[ours[0]])
            found.append(Cut(_turned(simplex, corners, ahead), ours[0], theirs[0]))
    return tuple(found)


@cache
def regions_of(
    simplex: tuple[int, ...], pattern: tuple[int, ...]
) -> tuple[tuple[int, tuple[tuple[int, ...], ...]], ...]:
    """Return the tetrahedra into which the regions of a tetrahedron are divided, oriented as for solvers.

    A region is convex, and divided from its phase's first corner towards each triangle of its surface that does not
    contain that corner: triangles to other phases, and those in the opposite side, which the neighbour divides in the
    same way.

    Args:
        simplex, pattern: As for `cuts_between`.

    Returns:
        For each tetrahedron its phase, given as that phase's first corner, and its four corners as in `Cut`.
    """
    found = []
    for first in sorted(set(pattern)):
        bounds = []
        for cut in cuts_between(simplex, pattern):
            if first in [pattern[k] for k in (cut.inside, cut.outside) if k is not None]:
                bounds.append(cut.corners)
        others = [k for k in range(4) if k != first]
        side = tuple(next(m for m, other in enumerate(others) if pattern[other] == pattern[k]) for k in others)
        for cut in cuts_of_face(tuple(simplex[k] for k in others), side, (1.0, 0.0, 0.0)):
            if pattern[others[cut.inside]] == first:
                bounds.append(tuple(tuple(others[k] for k in corner) for corner in cut.corners))
        for corners in bounds:
            apex, a, b, c = (
                np.mean([position(simplex[k]) for k in corner], axis=0)[::-1] for corner in ((first,), *corners)
            )
            ahead = np.linalg.det([a - apex, b - apex, c - apex]) > 0
            found.append((first, ((first,), *(corners if ahead else corners[::-1]))))
    return tuple(found)


def _polygon(ours, theirs, others, pattern):
    """Return the corners of the polygon between two phases, in order around it."""
    if len(others) == 0:
        if len(ours) == len(theirs) == 2:
            (a, b), (c, d) = ours, theirs
            return [(a, c), (a, d), (b, d), (b, c)]
        return [(a, b) for a in ours for b in theirs]
    if len(others) == 2:
        (a,), (b,), (c, d) = ours, theirs, others
        if pattern[c] == pattern[d]:
            return [(a, b), (a, b, c), (a, b, d)]
        return [(a, b), (a, b, c), (a, b, c, d), (a, b, d)]
    (lone,), pair, (other,) = (ours, theirs, others) if len(ours) == 1 else (theirs, ours, others)
    a, b = pair
    return [(a, lone), (b, lone), (b, lone, other), (a, lone, other)]


@cache
def cuts_of_face(simplex: tuple[int, ...], pattern: tuple[int, ...], outward: tuple[float, ...]) -> tuple[Cut, ...]:
    """Return the triangles into which phases divide a triangle of the box, each with its normal outward."""
    found = []
    for phase in sorted(set(pattern)):
        ours = [k for k in range(3) if pattern[k] == phase]
        theirs = [k for k in range(3) if pattern[k] != phase]
        if len(ours) == 3:
            polygon = [(0,), (1,), (2,)]
        elif len(ours) == 2:
            (a, b), (c,) = ours, theirs
            polygon = [(a,), (b,), (b, c), (a, c)]
        else:
            (a,), (b, c) = ours, theirs
            middle = [] if pattern[b] == pattern[c] else [(0, 1, 2)]
            polygon = [(a,), (a, b), *middle, (a, c)]
        for corners in _fan(polygon):
            found.append(Cut(_turned(simplex, corners, np.array(outward)), ours[0], None))
    return tuple(found)


def _fan(polygon):
    """Divide a polygon into triangles around its first corner."""
    return [(polygon[0], *pair) for pair in itertools.pairwise(polygon[1:])]


def _turned(simplex, corners, ahead):
    """Return a triangle with sorted corners of the simplex, oriented so that its normal points ahead."""
    corners = tuple(tuple(sorted(corner)) for corner in corners)
    a, b, c = (np.mean([position(simplex[k]) for k in corner], axis=0) for corner in corners)
    # Right-handed in (x, y, z), as in files.
    normal = np.cross((b - a)[::-1], (c - a)[::-1])
    return corners if normal @ ahead[::-1] > 0 else (corners[0], corners[2], corners[1])
