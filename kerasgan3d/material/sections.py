"""Morphology of slices that lie in known directions."""

import math

import numpy as np

from kerasgan3d import data
from kerasgan3d.material.statistics import facts_of, measure_sample, normalised


def section_statistics(labels, phases, voxel_size, symmetry, *, size=64, count=102, seed=0, counts=None):
    """The same of slices that lie in known directions, as many windows from each direction.

    Args:
        labels: dict from axis (0, 1, 2) to a list of slices normal to it, see ``kerasgan3d.data.SliceSampler``; or
            LabelledData.
        phases, voxel_size, size, count, seed, counts: As for ``reference_statistics``.
        symmetry: A Symmetry; says which directions stand for others.

    Returns:
        dict, as ``reference_statistics``. Specific surface area and triple-phase boundary density are means over the
        three directions, for which slices give those of the volume; "two_point_correlation" has three axes.
    """
    n = len(phases)
    images = data.LabelledData.of(labels, symmetry, n_phases=n)
    size = min(size, images.smallest)
    found = section_windows(images, size, count, seed)
    records = [measure_sample(window, n, voxel_size or 1.0) for window, _ in found]
    correlations = [record.pop("two_point_correlation") for record in records]
    sizes = np.mean([record.pop("granulometry") for record in records], axis=0)
    s2 = np.stack([_along(axis, correlations, [axes for _, axes in found]) for axis in range(3)], axis=1)
    if counts is None:
        counts = images.counts()
    gathered = {key: np.array([record[key] for record in records]) for key in records[0]}
    mean = {key: value.mean(0).tolist() for key, value in gathered.items()}
    curves = {"two_point_correlation": normalised(s2).tolist(), "granulometry": normalised(sizes).tolist()}
    return {
        **facts_of(phases, voxel_size, count, size, 2, seed, counts),
        "mean": {**mean, **curves},
        "std": {key: value.std(0, ddof=1).tolist() for key, value in gathered.items()},
    }


def section_windows(images, size, count, seed=0):
    """Random windows of slices in known directions: a list of (array, (axis of its rows, axis of its columns)).

    Each direction has as many; where there are no slices normal to one, those normal to one that is alike stand for it.

    Args:
        images: LabelledData with ``normals``.
        size: Edge length of a window in voxels.
        count: How many there are to be; as many more as make it a multiple of three.
        seed: Non-negative int.
    """
    rng, symmetry, found = np.random.default_rng(seed), images.symmetry, []
    known = list(dict.fromkeys(images.normals))
    for normal in range(3):
        axes = tuple(axis for axis in range(3) if axis != normal)
        alike = [axis for axis in known if symmetry.interchangeable(axis, normal)]
        shown = normal if normal in known else next(iter(alike), normal)
        theirs = tuple(axis for axis in range(3) if axis != shown)
        # The one axis that differs from the others, if any, must lie where it lies in a slice that is right.
        turned = symmetry.kind == "axial" and symmetry.axis in axes
        turned = turned and axes.index(symmetry.axis) != theirs.index(symmetry.axis)
        crops = images.normal_to((shown,)).crops((size, size))
        for _ in range(math.ceil(count / 3)):
            _, window = crops.draw(rng, always=True)
            found.append((window.T if turned else window, axes))
    return found


def _along(axis, correlations, axes):
    """Mean correlation along an axis over the windows that show it: (phases, lags)."""
    return np.mean([c[:, pair.index(axis)] for c, pair in zip(correlations, axes, strict=True) if axis in pair], axis=0)
