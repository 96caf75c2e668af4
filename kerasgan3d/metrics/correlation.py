"""Two-point correlation functions."""

import numpy as np

from kerasgan3d.metrics._check import check_integer, check_volume
from kerasgan3d.metrics._count import count_pairs, count_places


def two_point_correlation(volume, max_lag=None, *, periodic=None, phases=None):
    """Return S2(r), the probability that two points a distance r apart along an axis are both in the phase.

    S2(r) = P(x in phase and x + r in phase) (Torquato, Random Heterogeneous Materials, 2002, section 2.2), over all
    pairs of voxels that lie r voxels apart along the axis: those within the volume, and across the boundary where the
    axis is periodic. S2(0) is the volume fraction. S2 goes to its square where r is long and there is no order.
    The probabilities are ratios of exact numbers of pairs.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        max_lag: Largest distance in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, 3, max_lag + 1): phase, axis z, y, x, and distance in voxels.

    Raises:
        ValueError: If `max_lag` is negative or too large, or an argument is not as above.
    """
    checked = check_volume(volume, periodic=periodic, phases=phases)
    return correlation_of(checked.labels, checked.phases, checked.periodic, max_lag)


def normalised_two_point_correlation(volume, max_lag=None, *, periodic=None, phases=None):
    """Return S2(r) / S2(0): the probability that a point r voxels from one in the phase is in the phase too.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        max_lag: Largest distance in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, 3, max_lag + 1), 1 at distance 0.

    Raises:
        ValueError: If a phase is absent, for which the ratio has no value, or as for `two_point_correlation`.
    """
    correlation = two_point_correlation(volume, max_lag, periodic=periodic, phases=phases)
    absent = np.flatnonzero(correlation[:, 0, 0] == 0)
    if absent.size:
        raise ValueError(
            "Every phase must be present for a normalised correlation. "
            f"Received a volume without phase {', '.join(map(str, absent))}: use `two_point_correlation`."
        )
    return correlation / correlation[:, :, :1]


def correlation_of(labels, phases, periodic, max_lag):
    """Return S2 of checked labels of any dimension: (phases, axes, max_lag + 1) float64."""
    smallest = min(labels.shape)
    if max_lag is None:
        max_lag = smallest // 2
    elif check_integer(max_lag, "max_lag", 0, None) >= smallest:
        raise ValueError(
            f"`max_lag` must be less than the smallest dimension of the volume, {smallest} voxels. Received: {max_lag}."
        )
    correlation = np.empty((phases, labels.ndim, max_lag + 1))
    for phase in range(phases):
        indicator = labels == phase
        for axis, wraps in enumerate(periodic):
            places = count_places(labels.shape, axis, max_lag, wraps)
            correlation[phase, axis] = count_pairs(indicator, axis, max_lag, wraps) / places
    return correlation
