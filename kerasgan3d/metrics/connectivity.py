"""Connectivity: the part of each phase that connects opposite ends of the volume."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse

from kerasgan3d.checks import Periodic
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_axis, check_volume
from kerasgan3d.metrics._measure import PER_PHASE_AND_AXIS, Measure, OnBlocks
from kerasgan3d.volume import Volume

_CONNECTIVITY = {6: 1, 18: 2, 26: 3}  # neighbours of a voxel -> the rank that scipy gives their structure


@renamed("phases", "n_phases")
def connected_fractions(
    volume: Volume | ArrayLike,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
    connectivity: int = 6,
) -> np.ndarray:
    """Return the fraction of each phase that percolates along each axis: P = N_percolating / N_phase.

    A cluster of a phase percolates along an axis if it touches both ends of the volume along that axis. Side faces
    that are periodic are joined: a cluster may leave through one and come back through the opposite one. The two ends
    themselves are not, even if that axis is periodic, for else every cluster at one end would touch the other.
    (Stauffer and Aharony, Introduction to Percolation Theory, 1994: the strength of the infinite cluster, per site
    that is occupied.)

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.
        connectivity: Neighbours of a voxel: 6 (they share a face), 18 (or an edge) or 26 (or a corner).

    Returns:
        float64 array (n, 3), dimensionless: the fraction of each phase's voxels that belong to clusters percolating
        along z, y, x; 0 for a phase that is absent.

    Raises:
        ValueError: If `connectivity` is not 6, 18 or 26, or an argument is invalid.
    """
    checked = check_volume(volume, periodic=periodic, phases=n_phases)
    structure = neighbourhood(connectivity)
    fractions = np.zeros((checked.phases, 3))
    for phase in range(checked.phases):
        clusters, count = ndimage.label(checked.labels == phase, structure)
        if count == 0:
            continue
        sizes = np.bincount(clusters.ravel())
        for axis in range(3):
            through = spanning_clusters(clusters, count, axis, checked.periodic, structure)
            fractions[phase, axis] = sizes[through].sum() / sizes[1:].sum()
    return fractions


def percolating_voxels(
    volume: Volume | ArrayLike,
    axis: int | str | None = None,
    *,
    periodic: Periodic | None = None,
    connectivity: int = 6,
) -> np.ndarray:
    """Return a mask of voxels that belong to a percolating cluster of their phase.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        axis: 0, 1 or 2, or "z", "y" or "x": percolating along that axis; default: along at least one of the three.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        connectivity: Neighbours of a voxel: 6, 18 or 26.

    Returns:
        bool array (z, y, x). What percolating means is said at `connected_fractions`.

    Raises:
        ValueError: If there is no such axis, or an argument is invalid.
    """
    checked = check_volume(volume, periodic=periodic)
    axes = range(3) if axis is None else (check_axis(axis),)
    structure = neighbourhood(connectivity)
    percolating = np.zeros(checked.labels.shape, bool)
    for phase in range(checked.phases):
        clusters, count = ndimage.label(checked.labels == phase, structure)
        if count:
            through = [spanning_clusters(clusters, count, axis, checked.periodic, structure) for axis in axes]
            percolating |= np.any(through, axis=0)[clusters]
    return percolating


def neighbourhood(connectivity: int) -> np.ndarray:
    """Return a mask of the neighbours among the 3 x 3 x 3 voxels around one: bool."""
    if connectivity not in tuple(_CONNECTIVITY):
        raise ValueError(f"`connectivity` must be 6, 18 or 26 neighbours. Received: {connectivity!r}.")
    return ndimage.generate_binary_structure(3, _CONNECTIVITY[connectivity])


def spanning_clusters(
    clusters: np.ndarray, count: int, axis: int, periodic: Sequence[bool], structure: np.ndarray
) -> np.ndarray:
    """Return for each cluster 0..count whether it, with those joined to it across periodic sides, spans the axis.

    Returns bool (count + 1,); cluster 0, which is no cluster but all other phases, never does.
    """
    sides = tuple(wraps and side != axis for side, wraps in enumerate(periodic))
    pairs = [_touching(clusters, count, side, sides, structure) for side in range(3) if sides[side]]
    at_start, at_end = (np.setdiff1d(clusters.take(end, axis), 0) for end in (0, -1))
    return spanning(pairs, count + 1, at_start, at_end)


def spanning(pairs: Sequence[np.ndarray], count: int, at_start: np.ndarray, at_end: np.ndarray) -> np.ndarray:
    """Return a mask of clusters that, with those joined to them, touch both ends of an axis: (count,) bool.

    Args:
        pairs: Integer arrays (2, pairs) of clusters that are joined.
        count: Number of clusters, numbered from 0.
        at_start, at_end: Integer arrays of the clusters that touch either end.
    """
    before, after = np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1)
    graph = sparse.coo_array((np.ones(len(before), bool), (before, after)), shape=(count, count))
    groups = sparse.csgraph.connected_components(graph, directed=False)[1]
    return np.isin(groups, np.intersect1d(groups[at_start], groups[at_end]))


def _touching(clusters, count, axis, wraps, structure):
    """List the pairs of clusters that are neighbours across the two faces normal to an axis: (2, pairs)."""
    last, first = clusters.take(-1, axis), clusters.take(0, axis)
    sides = wraps[:axis] + wraps[axis + 1 :]
    first = np.pad(first, [(1, 1) if periodic else (0, 0) for periodic in sides], mode="wrap")
    first = np.pad(first, [(0, 0) if periodic else (1, 1) for periodic in sides])
    codes = []  # a pair as one integer, as np.unique is many times slower on rows
    for u, v in np.argwhere(structure.take(-1, axis)):
        neighbour = first[u : u + last.shape[0], v : v + last.shape[1]]
        both = (last > 0) & (neighbour > 0)
        codes.append(np.unique(last[both].astype(np.int64) * (count + 1) + neighbour[both]))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count + 1))


CONNECTED_FRACTION = Measure(
    key="connected_fraction",
    name="connected fraction",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="The share of a phase's voxels that belong to paths from one end face to the other along the axis.",
    of_volume=lambda subject: connected_fractions(subject.labels, **subject.options),
    on_blocks=OnBlocks(value=lambda _, whole: whole.connected_fractions),
    within=lambda values, inside: values["connected_fraction"][: inside.n],
    needs=frozenset({"percolation"}),
    cost=20,
    decimals=3,
)
