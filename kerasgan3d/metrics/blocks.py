"""Measures of volumes larger than memory: counted block by block, with the same results as in memory."""

import math

import numpy as np

from kerasgan3d.metrics._block import count_active, count_block, labels_in
from kerasgan3d.metrics._measure import met_needs
from kerasgan3d.metrics._windows import AHEAD, Plan, is_dask, window
from kerasgan3d.metrics._workers import where_dask_says
from kerasgan3d.metrics.connectivity import spanning
from kerasgan3d.metrics.registry import MEASURES
from kerasgan3d.phases import check_dense

BLOCK = 256  # voxels: some 350 MB per process; a block reads 2.3 times its own voxels, for lags and shapes up to 32

# About how long the passes take, and what measures with a margin add to the first, relative to each other.
_COUNTING, _AROUND, _ACTIVE = 4, 21, 1


class Whole:
    """A volume whose blocks were counted. ``whole[measure.key]`` is the value of a measure, computed once.

    Attributes:
        shape, periodic, voxel_size, n_phases: As those of the volume.
        voxels: Its number of voxels.
        totals: For each measure that counts something, the sum over the blocks.
    """

    def __init__(self, plan, n_phases, voxel_size):
        self.shape, self.periodic, self.voxel_size, self.n_phases = plan.shape, plan.periodic, voxel_size, n_phases
        self.voxels, self.totals, self._values = math.prod(plan.shape), {}, {}
        self.percolating, self.sizes = [], []

    def add(self, counted):
        """Add up what the blocks counted: a list of dicts from measure to integers."""
        self.totals |= {key: sum(part[key] for part in counted) for key in counted[0]}

    def __getitem__(self, key):
        if key not in self._values:
            row = MEASURES[key].on_blocks
            assert row is not None
            self._values[key] = row.value(self.totals.get(key), self)
        return self._values[key]

    @property
    def connected_fractions(self):
        """Fraction of each phase that percolates along z, y, x: (n, 3)."""
        connected = np.zeros((self.n_phases, 3))
        for phase, voxels in enumerate(self.totals["volume_fraction"]):
            if voxels:
                sizes = self.sizes[phase]
                connected[phase] = [sizes[through].sum() / voxels for through in self.percolating[phase]]
        return connected


def measure_blocks(
    checked, max_lag, block=BLOCK, workers=None, progress=None, shapes=True, *, excluding=False, keys=MEASURES
):
    """Return the entries of a Measurement for a volume that is read block by block.

    Every block counts voxels, faces, edges and pairs of its own, with the first voxels of those ahead of it, and shapes
    with what lies around it; sums of these integers are those of the whole volume. It labels its clusters; those that
    touch across the faces of blocks, and across those of the volume where it is periodic, are joined in one sparse
    graph. A second pass counts edges between clusters that percolate.

    Args:
        checked: What `check_stored` returned, its number of phases known.
        max_lag: Largest distance of the two-point correlation in voxels.
        block: Edge of the blocks in voxels.
        workers, progress, shapes: As for `measure`.
        excluding: Whether the last phase stands for voxels that are not measured.
        keys: The measures that are asked for.

    Returns:
        dict of the measures by their keys.
    """
    stored, n, periodic, size = checked
    met = met_needs(n - excluding, transport=False, shapes=shapes)
    rows = {
        key: row.on_blocks
        for key, row in MEASURES.items()
        if row.on_blocks is not None and row.needs <= met and key in keys and (row.unit == "1" or size is not None)
    }
    first, second = (
        [key for key, row in rows.items() if row.count is not None and row.active == active] for active in (False, True)
    )
    plan = Plan(tuple(map(int, stored.shape)), periodic, block, excluding)
    blocks = plan.blocks()
    margin = max((_margin(rows[key], plan) for key in first), default=0)
    counting = _COUNTING + (_AROUND if margin else 0)
    total = len(blocks) * (counting + (_ACTIVE if second else 0))
    told = _told(progress, total)
    tasks = []
    for part in blocks:
        start, stop, own = plan.around(part, margin)
        arms = [window(stored, *plan.arm(part, axis, max_lag)) for axis in range(3)]
        tasks.append((window(stored, start, stop), own, plan, arms, n, max_lag, first))
    told(0, "counting")
    counts = where_dask_says(
        count_block, tasks, workers, lambda done, _: told(done * counting, "counting"), is_dask(stored)
    )
    whole = Whole(plan, n, size)
    whole.add([part.counted for part in counts])
    whole.percolating = [_percolating(plan, blocks, [part.clusters[phase] for part in counts]) for phase in range(n)]
    whole.sizes = [np.concatenate([part.clusters[phase].sizes for part in counts]) for phase in range(n)]
    if second:
        active = [through.any(axis=0) for through in whole.percolating]
        whole.totals |= dict.fromkeys(second, 0)
        least = 3 if all("three phases" in MEASURES[key].needs for key in second) else 1
        if sum(some.any() for some in active) >= least:
            told(len(blocks) * counting, "active boundaries")
            tasks = [(*task, second) for task in _active_tasks(stored, plan, blocks, counts, active)]
            counted = where_dask_says(
                count_active,
                tasks,
                workers,
                lambda done, _: told(len(blocks) * counting + done * _ACTIVE, "active boundaries"),
                is_dask(stored),
            )
            whole.add(counted)
    told(total, "done")
    return {key: whole[key] for key in rows}


def highest_phases(stored, block=BLOCK, workers=None):
    """Return the default number of phases of stored labels: the highest label plus one."""
    blocks = Plan(tuple(map(int, stored.shape)), (False,) * 3, block).blocks()
    tasks = [(window(stored, part.start, part.stop),) for part in blocks]
    found = list(where_dask_says(labels_in, tasks, workers, None, is_dask(stored)))
    needed = max(number for _, number in found)
    check_dense(sorted({label for labels, _ in found for label in labels}), needed - 1)
    return needed


def _percolating(plan, blocks, clusters):
    """Return a mask of the clusters of one phase that percolate along z, y, x: bool (3, clusters of all blocks).

    Args:
        plan: The Plan.
        blocks: Its blocks.
        clusters: The Clusters of each.
    """
    counts = [len(part.sizes) for part in clusters]
    offsets = dict(zip((block.place for block in blocks), np.cumsum([0, *counts[:-1]]), strict=True))
    by_place = dict(zip((block.place for block in blocks), clusters, strict=True))
    inside, across = [], ([], [], [])
    ends = [([], []) for _ in range(3)]
    for block, part in zip(blocks, clusters, strict=True):
        offset = offsets[block.place]
        for axis in range(3):
            if block.place[axis] == 0:
                ends[axis][0].append(part.first[axis] + offset)
            if plan.wraps(block, axis):
                ends[axis][1].append(part.last[axis] + offset)
            there = plan.ahead(block, (axis,))
            if there is None:
                continue
            mine, patches = part.ahead[axis]
            theirs = by_place[there].own[AHEAD.index((axis,))][patches]
            joined = np.stack([mine + offset, theirs + offsets[there]])
            (across[axis] if plan.wraps(block, axis) else inside).append(joined)
    through = []
    for axis in range(3):
        # The two ends of an axis are not joined when it is the one that matters.
        pairs = inside + [pair for side in range(3) if side != axis for pair in across[side]]
        through.append(spanning(pairs, sum(counts), *map(np.concatenate, ends[axis])))
    return np.array(through)


def _active_tasks(stored, plan, blocks, counts, active):
    """Return the arguments of `count_active` for each block, but the measures.

    Args:
        stored: What has a shape, a dtype, and slicing.
        plan, blocks: The Plan, and its blocks.
        counts: The Counts of each block.
        active: For each phase, bool (clusters of all blocks,).
    """
    mine = []  # by block and phase
    for phase, flags in enumerate(active):
        ends = np.cumsum([len(part.clusters[phase].sizes) for part in counts])
        mine.append(np.split(flags, ends[:-1]))
    mine = dict(zip((block.place for block in blocks), zip(*mine, strict=True), strict=True))
    clusters = {block.place: part.clusters for block, part in zip(blocks, counts, strict=True)}
    tasks = []
    for block in blocks:
        there = [plan.ahead(block, axes) for axes in AHEAD]
        ahead = [
            [
                None if place is None else mine[place][phase][clusters[place][phase].own[index]]
                for index, place in enumerate(there)
            ]
            for phase in range(len(active))
        ]
        start, stop, own = plan.around(block, 0)
        tasks.append((window(stored, start, stop), own, plan, list(mine[block.place]), ahead))
    return tasks


def _margin(row, plan):
    """Return the number of voxels around a block that a measure needs."""
    return row.margin(plan) if callable(row.margin) else row.margin


def _told(progress, total):
    return (lambda done, what: progress(done, total, what)) if progress is not None else (lambda *_: None)
