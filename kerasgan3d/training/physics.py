"""Statistics of a material that a generator's probabilities can be pulled towards, and their targets from the data.

Each is a plain mean over places, so that it has a gradient, and is exact where probabilities are 0 or 1.
"""

import numpy as np
from keras import ops


def soft_fractions(probabilities):
    """Volume fractions: mean probabilities, (phases,), of (batch, z, y, x, phases)."""
    return ops.mean(probabilities, axis=(0, 1, 2, 3))


def soft_two_point_correlation(probabilities, lags):
    """Probability that two places a lag apart along an axis are of the same given phase: S2(r).

    S2(r) = E p(x) p(x + r), over the pairs within the volumes (Torquato, Random Heterogeneous Materials, 2002, 2.2).

    Args:
        probabilities: (batch, z, y, x, phases).
        lags: Lags in voxels, positive and smaller than the volumes.

    Returns:
        (phases, 3 axes, lags).
    """

    def along(axis):
        pairs = (_pair(probabilities, axis, lag) for lag in lags)
        return ops.stack([ops.mean(a * b, axis=(0, 1, 2, 3)) for a, b in pairs], axis=-1)

    return ops.stack([along(axis) for axis in (1, 2, 3)], axis=1)


def soft_surface(probabilities):
    """Share of the voxel faces normal to an axis at which a phase begins or ends.

    E |p(x + 1) - p(x)|: a boundary counts once however many voxels it is blurred over. Divided by the voxel size it is
    the axis's part of the specific surface area by faces.

    Args:
        probabilities: (batch, z, y, x, phases).

    Returns:
        (phases, 3 axes).
    """
    pairs = (_pair(probabilities, axis, 1) for axis in (1, 2, 3))
    return ops.stack([ops.mean(ops.abs(a - b), axis=(0, 1, 2, 3)) for a, b in pairs], axis=1)


def squared_error(found, target):
    """Squared error of a statistic (phases, ...): summed over phases, averaged over axes and lags."""
    difference = ops.square(found - ops.convert_to_tensor(target, dtype=found.dtype))
    axes = tuple(range(1, len(difference.shape)))
    return ops.sum(ops.mean(difference, axis=axes) if axes else difference)


def statistics(labels, phases, symmetry, *, lags=(), excluded=None):
    """The same statistics of labelled data, in the same shapes.

    Directions that are alike share their mean; one slice of an isotropic material stands for all three.

    Args:
        labels: (z, y, x) or (y, x), 0..phases-1.
        phases: Number of phases.
        symmetry: A Symmetry.
        lags: Lags in voxels of the two-point correlation.
        excluded: What is not counted: bool, of the labels' shape, or None.

    Returns:
        dict of float64 arrays: "fractions" (phases,), "s2" (phases, 3, lags), "surface" (phases, 3).

    Raises:
        ValueError: if a lag leaves no pair in the data.
    """
    axes = range(labels.ndim)
    counted = labels.ravel() if excluded is None else labels[~excluded]
    s2 = np.array([[_same(labels, axis, r, phases, excluded) for r in lags] for axis in axes])
    surface = np.array([_changes(labels, axis, phases, excluded) for axis in axes])
    return {
        "fractions": np.bincount(counted, minlength=phases) / counted.size,
        "s2": _alike(s2.reshape(labels.ndim, len(lags), phases), symmetry).transpose(2, 0, 1),
        "surface": _alike(surface, symmetry).T,
    }


def _pair(values, axis, lag):
    """Values, and those a lag further along an axis."""
    head, tail = [slice(None)] * len(values.shape), [slice(None)] * len(values.shape)
    head[axis], tail[axis] = slice(None, -lag), slice(lag, None)
    return values[tuple(head)], values[tuple(tail)]


def _labels_of_pairs(labels, axis, lag, excluded):
    if not lag < labels.shape[axis]:
        raise ValueError(
            f"`s2_lags` must be smaller than the data, {' x '.join(map(str, labels.shape))} voxels. Received: {lag}."
        )
    a, b = _pair(labels, axis, lag)
    if excluded is None:
        return a.ravel(), b.ravel()
    first, second = _pair(excluded, axis, lag)
    counted = ~(first | second)
    return a[counted], b[counted]


def _same(labels, axis, lag, phases, excluded):
    a, b = _labels_of_pairs(labels, axis, lag, excluded)
    return np.bincount(a[a == b], minlength=phases) / a.size


def _changes(labels, axis, phases, excluded):
    a, b = _labels_of_pairs(labels, axis, 1, excluded)
    differ = a != b
    return (np.bincount(a[differ], minlength=phases) + np.bincount(b[differ], minlength=phases)) / a.size


def _alike(values, symmetry):
    """Values per axis, averaged over axes that are alike: (3, ...)."""
    if len(values) == 2:
        return np.repeat(values.mean(0, keepdims=True), 3, axis=0)
    result = np.empty_like(values)
    for group in symmetry.groups:
        result[list(group)] = values[list(group)].mean(0)
    return result
