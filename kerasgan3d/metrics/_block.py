"""Measurement of one block of a volume: counts, and the clusters that reach its faces.

A block sees its own voxels and the first ones of the blocks ahead of it, never those behind: each pair of neighbours
and each edge belongs to the block that holds its first voxel, and is counted there. Only measures of shape that say so
(`OnBlocks.margin`) see what lies around it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from kerasgan3d.metrics._check import check_part
from kerasgan3d.metrics._windows import AHEAD, Plan
from kerasgan3d.metrics.connectivity import neighbourhood
from kerasgan3d.metrics.registry import MEASURES
from kerasgan3d.phases import value_counts


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
    """Results of a block.

    Attributes:
        counted: For each measure that counts something, its integers.
        clusters: The Clusters of each phase.
    """

    counted: dict
    clusters: list


@dataclass(frozen=True)
class Part:
    """A block of a volume, as measures count it.

    Attributes:
        window: Labels of the block and of what was read around it: at least one more voxel ahead along each axis where
            the volume goes on.
        own: Slices of the window that are the block.
        plan: The Plan that the block is of.
        n_phases: Number of phases n.
        max_lag: Largest distance of pairs, in voxels.
        arms: For each axis, labels of up to `max_lag` voxels that follow the block along it.
        within: bool, as `core`: which voxels percolate; None in the first pass.
    """

    window: np.ndarray
    own: tuple[slice, ...]
    plan: Plan
    n_phases: int
    max_lag: int = 0
    arms: tuple = ()
    within: np.ndarray | None = None

    @property
    def n_measured(self):
        """Phases that are measured."""
        return self.n_phases - self.plan.excluding

    @property
    def shape(self):
        """The block's own voxels along z, y, x."""
        return tuple(part.stop - part.start for part in self.own)

    @property
    def labels(self):
        """The block's own labels."""
        return self.window[self.own]

    @property
    def core(self):
        """Labels of the block, with one more voxel along each axis unless the volume ends there."""
        return self.window[tuple(slice(part.start, part.stop + 1) for part in self.own)]

    def around(self, margin):
        """Return labels of the block with a margin of voxels around it, fewer where the volume ends, and its slices."""
        low = [max(part.start - margin, 0) for part in self.own]
        window = self.window[tuple(slice(a, part.stop + margin) for a, part in zip(low, self.own, strict=True))]
        return window, tuple(slice(part.start - a, part.stop - a) for a, part in zip(low, self.own, strict=True))

    def reaching(self, axes, values=None):
        """Return the block's labels, or other values, with the next voxel along some axes where there is one."""
        values = self.core if values is None else values
        return values[tuple(slice(size + (axis in axes)) for axis, size in enumerate(self.shape))]


def labels_in(labels):
    """Return the labels that occur in a part of a volume, and the number of phases that they need."""
    labels, needed = check_part(labels)
    return value_counts(labels)[0].tolist(), needed


def count_block(window, own, plan, arms, n_phases, max_lag, keys):
    """Count everything in a block that some measures need, and its clusters.

    Args:
        window, own, plan, arms, n_phases, max_lag: As for `Part`.
        keys: The measures that count something.

    Returns:
        Counts.
    """
    window, _ = check_part(window, n_phases)
    arms = map(np.asarray, arms)  # read once
    arms = tuple(check_part(arm, n_phases)[0] if arm.size else arm.astype(np.uint8) for arm in arms)
    part = Part(window, own, plan, n_phases, max_lag, arms)
    counted = _counted(part, keys)
    return Counts(counted, [_clusters(part.core, part.shape, phase) for phase in range(n_phases)])


def count_active(core, own, plan, active, active_ahead, keys):
    """Count voxels of active clusters for the measures that depend on them: integers by measure.

    Args:
        core, own, plan: As for `Part`.
        active: For each phase, bool (clusters,): which of the block's `Clusters` are active.
        active_ahead: For each phase and each entry of `AHEAD`, bool (patches,): which patches of the first layer or
            line of the block ahead are active; None where there is no such block.
        keys: The measures that count something.
    """
    core, _ = check_part(core, len(active))
    within = np.zeros(core.shape, bool)
    shape = core[own].shape
    for phase, (mine, theirs) in enumerate(zip(active, active_ahead, strict=True)):
        clusters, numbers = _labelled(core[own] == phase)
        # Number 0 stands for other phases and for clusters within the block, which end there.
        within[own] |= np.concatenate([[False], mine])[numbers][clusters]
        for axes, patches_active in zip(AHEAD, theirs, strict=True):
            if patches_active is not None:
                there = _next_layer(shape, axes)
                patches, _ = ndimage.label(core[there] == phase, neighbourhood(6))
                within[there] |= np.concatenate([[False], patches_active])[patches]
    part = Part(core, own, plan, len(active), within=within)
    return _counted(part, keys)


def _counted(part, keys):
    rows = {key: MEASURES[key].on_blocks for key in keys}
    return {key: row.count(part) for key, row in rows.items() if row is not None and row.count is not None}


def _next_layer(shape, axes):
    """Index the voxels of `core` that follow the block along some axes: a layer or a line."""
    return tuple(slice(size, size + 1) if axis in axes else slice(size) for axis, size in enumerate(shape))


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
