"""What one block of a volume has to say: counts, and the clusters that reach its faces.

A block reads its own voxels and the first ones of the blocks ahead of it, never those behind: each pair of neighbours
and each edge belongs to the block that holds its first voxel, and is counted there.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from kerasgan3d.metrics._check import check_part
from kerasgan3d.metrics._count import count_junctions, count_pairs, count_unlike_along, count_voxels
from kerasgan3d.metrics._windows import AHEAD
from kerasgan3d.metrics.connectivity import neighbourhood


class Clusters(NamedTuple):
    """The clusters of one phase that reach a face of a block, numbered from 0.

    Attributes:
        sizes: int64 (clusters,), their voxels in the block.
        first, last: For each axis the clusters, int (any,), in the first and in the last layer of the block.
        own: For each entry of `AHEAD`, int (patches,): the cluster of each patch of the block's own first layer, or
            first line. A patch is what is connected within that layer or line, so that the block itself and the ones
            behind it, which see no more of it than that, number patches alike.
        ahead: For each axis, int (2, pairs): a cluster, and a patch of the next block's first layer that it touches.
    """

    sizes: np.ndarray
    first: tuple
    last: tuple
    own: tuple
    ahead: tuple


class Counts(NamedTuple):
    """The counts of a block.

    Attributes:
        voxels: int64 (n,), of each phase.
        faces: int64 (n, n), between unlike neighbours, symmetric.
        edges: Voxel edges where three phases meet.
        pairs: int64 (n, 3, max_lag + 1), of voxels of a phase by their distance along z, y, x.
        clusters: The Clusters of each phase.
    """

    voxels: np.ndarray
    faces: np.ndarray
    edges: int
    pairs: np.ndarray
    clusters: list


def highest_phase(labels):
    """Return the number of phases that some labels need."""
    return check_part(labels)[1]


def count_block(core, arms, shape, phases, max_lag):
    """Count everything that a block has.

    Args:
        core: Labels of the block, with one more voxel along each axis where the volume goes on.
        arms: For each axis, labels of up to `max_lag` voxels that follow the block along it.
        shape: The block's own voxels along z, y, x.
        phases: Number of phases n.
        max_lag: Largest distance of pairs, in voxels.

    Returns:
        Counts.
    """
    core, _ = check_part(core, phases)
    labels = core[tuple(map(slice, shape))]
    pairs = np.empty((phases, 3, max_lag + 1), np.int64)
    for axis in range(3):
        arm = np.asarray(arms[axis])
        if arm.size:
            arm, _ = check_part(arm, phases)
        line = np.concatenate([labels, arm], axis=axis)
        for phase in range(phases):
            pairs[phase, axis] = _pairs_from(line == phase, shape[axis], axis, max_lag)
    return Counts(
        voxels=count_voxels(labels, phases),
        faces=sum(count_unlike_along(_reaching(core, shape, (axis,)), axis, phases, False) for axis in range(3)),
        edges=_edges(core, shape, phases),
        pairs=pairs,
        clusters=[_clusters(core, shape, phase) for phase in range(phases)],
    )


def count_active_edges(core, shape, active, active_ahead):
    """Count the edges of a block where three phases meet whose clusters are active.

    Args:
        core, shape: As for `count_block`.
        active: For each phase, bool (clusters,): which of the block's `Clusters` are active.
        active_ahead: For each phase and each entry of `AHEAD`, bool (patches,): which patches of the first layer or
            line of the block ahead are active; None where there is no such block.
    """
    core, _ = check_part(core, len(active))
    within = np.zeros(core.shape, bool)
    own = tuple(map(slice, shape))
    for phase, (mine, theirs) in enumerate(zip(active, active_ahead, strict=True)):
        clusters, numbers = _labelled(core[own] == phase)
        # Number 0 stands for other phases and for clusters within the block, which end there.
        within[own] |= np.concatenate([[False], mine])[numbers][clusters]
        for axes, patches_active in zip(AHEAD, theirs, strict=True):
            if patches_active is not None:
                there = _next_layer(shape, axes)
                patches, _ = ndimage.label(core[there] == phase, neighbourhood(6))
                within[there] |= np.concatenate([[False], patches_active])[patches]
    return _edges(core, shape, len(active), within)


def _edges(core, shape, phases, within=None):
    edges = 0
    for plane in combinations(range(3), 2):
        part = _reaching(core, shape, plane)
        mask = None if within is None else _reaching(within, shape, plane)
        edges += count_junctions(part, range(phases), plane, (False,) * 3, mask)
    return edges


def _reaching(core, shape, axes):
    """Return the block, with the next voxel along some axes where there is one."""
    return core[tuple(slice(size + (axis in axes)) for axis, size in enumerate(shape))]


def _next_layer(shape, axes):
    """Index the voxels of `core` that follow the block along some axes: a layer or a line."""
    return tuple(slice(size, size + 1) if axis in axes else slice(size) for axis, size in enumerate(shape))


def _pairs_from(indicator, own, axis, max_lag):
    """Count the pairs whose first voxel is among the first `own` along an axis: all, less those that begin later."""
    pairs = count_pairs(indicator, axis, max_lag, False)
    later = np.moveaxis(indicator, axis, 0)[own:]
    return pairs - count_pairs(later, 0, max_lag, False) if len(later) else pairs


def _labelled(mask):
    """Label a mask; return labels (z, y, x), and for each label its number, 1, 2, ... if it reaches a face, else 0."""
    clusters, count = ndimage.label(mask, neighbourhood(6))
    faces = [clusters.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    numbers = np.zeros(count + 1, np.int64)
    numbers[np.concatenate(faces)] = 1
    numbers[0] = 0
    numbers[numbers > 0] = np.arange(1, numbers.sum() + 1)
    return clusters, numbers


def _clusters(core, shape, phase):
    """Return the Clusters of a phase."""
    clusters, numbers = _labelled(core[tuple(map(slice, shape))] == phase)
    sizes = np.bincount(clusters.ravel(), minlength=len(numbers))[numbers > 0]
    own = []
    for axes in AHEAD:
        layer = clusters[tuple(slice(1) if axis in axes else slice(None) for axis in range(3))]
        patches, count = ndimage.label(layer > 0, neighbourhood(6))
        cluster_of = np.zeros(count + 1, np.int64)
        cluster_of[patches] = numbers[layer]
        own.append(cluster_of[1:] - 1)
    ahead = []
    for axis in range(3):
        patches, count = ndimage.label(core[_next_layer(shape, (axis,))] == phase, neighbourhood(6))
        if patches.size == 0:
            ahead.append(np.empty((2, 0), np.int64))
            continue
        last = numbers[clusters.take([-1], axis)]
        both = (last > 0) & (patches > 0)
        codes = np.unique((last[both] - 1) * (count + 1) + patches[both] - 1)
        ahead.append(np.stack(np.divmod(codes, count + 1)))
    first, last = (
        tuple(np.setdiff1d(numbers[clusters.take(end, axis)], 0) - 1 for axis in range(3)) for end in (0, -1)
    )
    return Clusters(sizes, first, last, tuple(own), tuple(ahead))
