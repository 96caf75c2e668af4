"""Morphology of slices of known direction."""

import math

import numpy as np

from kerasgan3d import data
from kerasgan3d.material.statistics import facts_of, measure_sample, normalised


def section_statistics(labels, phases, voxel_size, symmetry, *, size=64, count=102, seed=0, counts=None):
    """Compute reference statistics of slices of known direction, with equally many windows from each direction.

    Args:
        labels: dict from axis (0, 1, 2) to a list of slices normal to it, see ``kerasgan3d.data.SliceSampler``; or
            LabelledData.
        phases, voxel_size, size, count, seed, counts: As for ``reference_statistics``.
        symmetry: The Symmetry, which determines the directions that can replace others.

    Returns:
        dict, as for ``reference_statistics``. Specific surface area and triple-phase boundary density are means over
        the three directions, which equal those of the volume; "two_point_correlation" has three axes.
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
    """Draw random windows of slices of known direction: a list of (array, (axis of its rows, axis of its columns)).

    Each direction has equally many; without slices normal to one axis, those normal to an equivalent axis are used.

    Args:
        images: LabelledData with ``normals``.
        size: Edge length of a window in voxels.
        count: Number of windows, rounded up to a multiple of three.
        seed: Non-negative int.
    """
    rng, symmetry, found = np.random.default_rng(seed), images.symmetry, []
    known = list(dict.fromkeys(images.normals))
    for normal in range(3):
        axes = tuple(axis for axis in range(3) if axis != normal)
        alike = [axis for axis in known if symmetry.interchangeable(axis, normal)]
        shown = normal if normal in known else next(iter(alike), normal)
        theirs = tuple(axis for axis in range(3) if axis != shown)
        # The axis that differs from the others, if any, must have the position that it has in a true slice.
        turned = symmetry.kind == "axial" and symmetry.axis in axes
        turned = turned and axes.index(symmetry.axis) != theirs.index(symmetry.axis)
        crops = images.normal_to((shown,)).crops((size, size))
        for _ in range(math.ceil(count / 3)):
            _, window = crops.draw(rng, always=True)
            found.append((window.T if turned else window, axes))
    return found


def _along(axis, correlations, axes):
    """Return the mean correlation along an axis over the windows that contain it: (phases, lags)."""
    return np.mean([c[:, pair.index(axis)] for c, pair in zip(correlations, axes, strict=True) if axis in pair], axis=0)
