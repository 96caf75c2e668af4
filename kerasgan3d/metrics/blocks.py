"""The measures of a volume that is larger than memory: counted block by block, the same numbers as in memory."""

import numpy as np

from kerasgan3d.metrics._block import count_active_edges, count_block, highest_phase
from kerasgan3d.metrics._windows import AHEAD, Plan, is_dask, window
from kerasgan3d.metrics._workers import where_dask_says
from kerasgan3d.metrics.connectivity import spanning
from kerasgan3d.metrics.correlation import correlation_from
from kerasgan3d.metrics.fractions import fractions_from
from kerasgan3d.metrics.surface import areas_from
from kerasgan3d.metrics.tpb import density_from

BLOCK = 256  # voxels: some 300 MB per process, and a block reads 1.4 times its own voxels for lags up to 32

# About how long the passes take, relative to each other, for progress.
_COUNTING, _ACTIVE = 4, 1


def measure_blocks(checked, max_lag, block=BLOCK, workers=None, progress=None):
    """Return what a Measurement holds of a volume that is read block by block.

    Every block counts voxels, faces, edges and pairs of its own, with the first voxels of those ahead of it; sums of
    these integers are those of the whole volume. It labels its clusters; those that touch across the faces of blocks,
    and across those of the volume where it is periodic, are joined in one sparse graph. A second pass counts edges
    between clusters that percolate.

    Args:
        checked: What `check_stored` returned, its number of phases known.
        max_lag: Largest distance of the two-point correlation in voxels.
        block: Edge of the blocks in voxels.
        workers, progress: As for `measure`.

    Returns:
        dict of the measures by the names of the attributes.
    """
    stored, n, periodic, size = checked
    plan = Plan(tuple(map(int, stored.shape)), periodic, block)
    blocks = plan.blocks()
    total = len(blocks) * (_COUNTING + (_ACTIVE if n >= 3 else 0))
    told = _told(progress, total)
    cores = [window(stored, *plan.core(part)) for part in blocks]
    tasks = [
        (core, [window(stored, *plan.arm(part, axis, max_lag)) for axis in range(3)], part.shape, n, max_lag)
        for core, part in zip(cores, blocks, strict=True)
    ]
    told(0, "counting")
    counts = where_dask_says(
        count_block, tasks, workers, lambda done, _: told(done * _COUNTING, "counting"), is_dask(stored)
    )
    voxels = sum(part.voxels for part in counts)
    pairs = sum(part.pairs for part in counts)
    areas = areas_from(sum(part.faces for part in counts), int(voxels.sum()), size)
    correlation = [correlation_from(pairs[:, axis], plan.shape, axis, periodic[axis]) for axis in range(3)]
    percolating = [_percolating(plan, blocks, [part.clusters[phase] for part in counts]) for phase in range(n)]
    connected = np.zeros((n, 3))
    for phase in np.flatnonzero(voxels):
        sizes = np.concatenate([part.clusters[phase].sizes for part in counts])
        connected[phase] = [sizes[through].sum() / voxels[phase] for through in percolating[phase]]
    values = {
        "volume_fractions": fractions_from(voxels),
        "specific_surface_area": areas.sum(axis=1),
        "interfacial_areas": areas,
        "connected_fractions": connected,
        "two_point_correlation": np.stack(correlation, axis=1),
    }
    if n >= 3:
        edges = sum(part.edges for part in counts)
        active = [through.any(axis=0) for through in percolating]
        active_edges = 0
        if sum(some.any() for some in active) >= 3:
            told(len(blocks) * _COUNTING, "active boundaries")
            tasks = _active_tasks(plan, blocks, cores, counts, active)
            active_edges = sum(
                where_dask_says(
                    count_active_edges,
                    tasks,
                    workers,
                    lambda done, _: told(len(blocks) * _COUNTING + done * _ACTIVE, "active boundaries"),
                    is_dask(stored),
                )
            )
        values |= {
            "triple_phase_boundary_density": density_from(edges, int(voxels.sum()), size),
            "active_triple_phase_boundary_density": density_from(active_edges, int(voxels.sum()), size),
        }
    told(total, "done")
    return values


def highest_phases(stored, block=BLOCK, workers=None):
    """Return how many phases stored labels have if nobody says it: the highest label and one."""
    blocks = Plan(tuple(map(int, stored.shape)), (False,) * 3, block).blocks()
    tasks = [(window(stored, part.start, part.stop),) for part in blocks]
    return max(where_dask_says(highest_phase, tasks, workers, None, is_dask(stored)))


def _percolating(plan, blocks, clusters):
    """Tell which clusters of one phase percolate along z, y, x: bool (3, clusters of all blocks, one after another).

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


def _active_tasks(plan, blocks, cores, counts, active):
    """Return the arguments of `count_active_edges` for each block.

    Args:
        plan, blocks, cores: The Plan, its blocks, and the window that each one reads.
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
    for block, core in zip(blocks, cores, strict=True):
        there = [plan.ahead(block, axes) for axes in AHEAD]
        ahead = [
            [
                None if place is None else mine[place][phase][clusters[place][phase].own[index]]
                for index, place in enumerate(there)
            ]
            for phase in range(len(active))
        ]
        tasks.append((core, block.shape, list(mine[block.place]), ahead))
    return tasks


def _told(progress, total):
    return (lambda done, what: progress(done, total, what)) if progress is not None else (lambda *_: None)
