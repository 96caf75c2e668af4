"""Two-point correlation functions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic, check_integer
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_volume
from kerasgan3d.metrics._count import (
    count_pairs,
    count_pairs_by_displacement,
    count_places,
    count_places_by_displacement,
)
from kerasgan3d.metrics._measure import CURVES, RADIAL_CURVES, Measure, OnBlocks
from kerasgan3d.volume import Volume


@renamed("phases", "n_phases")
def two_point_correlation(
    volume: Volume | ArrayLike,
    max_lag: int | None = None,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return S2(r), the probability that two points a distance r apart along an axis are both in the phase.

    S2(r) = P(x in phase and x + r in phase) (Torquato, Random Heterogeneous Materials, 2002, section 2.2), over all
    pairs of voxels that lie r voxels apart along the axis: those within the volume, and across the boundary where the
    axis is periodic. S2(0) is the volume fraction. S2 goes to its square where r is long and there is no order.
    The probabilities are ratios of exact numbers of pairs.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        max_lag: Largest distance in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, 3, max_lag + 1), dimensionless: phase, axis z, y, x, and distance in voxels. 0 for a phase
        that is absent.

    Raises:
        ValueError: If `max_lag` is negative or too large, or an argument is invalid.
    """
    checked = check_volume(volume, periodic=periodic, phases=n_phases)
    return correlation_of(checked.labels, checked.phases, checked.periodic, max_lag)


@renamed("phases", "n_phases")
def normalised_two_point_correlation(
    volume: Volume | ArrayLike,
    max_lag: int | None = None,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return S2(r) / S2(0): the probability that a point r voxels from one in the phase is in the phase too.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        max_lag: Largest distance in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, 3, max_lag + 1), dimensionless: phase, axis z, y, x, and distance in voxels. 1 at distance 0.

    Raises:
        ValueError: If a phase is absent, for which the ratio has no value, or as for `two_point_correlation`.
    """
    correlation = two_point_correlation(volume, max_lag, periodic=periodic, n_phases=n_phases)
    absent = np.flatnonzero(correlation[:, 0, 0] == 0)
    if absent.size:
        raise ValueError(
            "Every phase must be present for a normalised correlation. "
            f"Received a volume without phase {', '.join(map(str, absent))}: use `two_point_correlation`."
        )
    return correlation / correlation[:, :, :1]


@renamed("phases", "n_phases")
def radial_two_point_correlation(
    volume: Volume | ArrayLike,
    max_lag: int | None = None,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return S2(r) averaged over all directions, from the whole three-dimensional autocorrelation.

    For each displacement v on the lattice, S2(v) is the share of the pairs of voxels x, x + v that are both in the
    phase (Torquato, Random Heterogeneous Materials, 2002, section 2.2; the average over directions: Berryman, J. Appl.
    Phys. 57, 1985, 2374-2384). The pairs are those within the volume, and across the boundary where an axis is
    periodic, so that every S2(v) is free of bias. The numbers of pairs are autocorrelations, by fast Fourier transform
    (Wiener-Khinchin theorem), zero-padded along axes that are not periodic.

    **Bins.** S2(r) is the plain mean of S2(v) over the displacements whose length rounds to r, that is r - 1/2 < |v| <
    r + 1/2 in voxels. No length lies on the edge of two bins, as (r + 1/2)^2 is not an integer. The first bin holds v =
    0 alone, and S2(0) is the volume fraction exactly. Directions weigh equally, also in volumes that are no cubes. The
    mean length of the displacements in a bin exceeds r, by 0.28 voxels for r = 1, 0.23 for r = 2 and less than 0.14
    beyond.

    For an anisotropic phase this hides what the three axes of `two_point_correlation` show.

    One phase is transformed at a time. A volume of N voxels that is not periodic takes, at the default `max_lag`, some
    20 N bytes; less where `max_lag` is smaller. Transforms run on one thread, or on n within
    ``with scipy.fft.set_workers(n)``.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        max_lag: Largest distance in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, max_lag + 1), dimensionless: phase, and distance in voxels; 0 for a phase that is absent.

    Raises:
        ValueError: If `max_lag` is negative or too large, or an argument is invalid.

    Example:
        >>> import numpy as np
        >>> checkerboard = np.indices((4, 4, 4)).sum(axis=0) % 2
        >>> radial_two_point_correlation(checkerboard, 1, periodic=True)  # 12 of the 18 nearest are of like colour
        array([[0.5       , 0.33333333],
               [0.5       , 0.33333333]])
    """
    labels, n, periodic, _ = check_volume(volume, periodic=periodic, phases=n_phases)
    max_lag = _checked_lag(max_lag, labels.shape)
    total = np.zeros((n, max_lag + 1))
    for phase in range(n):
        pairs = count_pairs_by_displacement(labels == phase, max_lag, periodic)
        places = count_places_by_displacement(labels.shape, max_lag, periodic)
        for depth, (both, all_pairs) in enumerate(zip(pairs, places, strict=True)):
            total[phase] += _sum_by_distance(both / all_pairs, depth)
    anywhere = np.ones((2 * max_lag + 1, 2 * max_lag + 1))
    return total / sum(_sum_by_distance(anywhere, depth) for depth in range(max_lag + 1))


def correlation_of(labels: np.ndarray, phases: int, periodic: Sequence[bool], max_lag: int | None) -> np.ndarray:
    """Return S2 of checked labels of any dimension: (phases, axes, max_lag + 1) float64."""
    max_lag = _checked_lag(max_lag, labels.shape)
    correlation = np.empty((phases, labels.ndim, max_lag + 1))
    for phase in range(phases):
        indicator = labels == phase
        for axis, wraps in enumerate(periodic):
            pairs = count_pairs(indicator, axis, max_lag, wraps)
            correlation[phase, axis] = correlation_from(pairs, labels.shape, axis, wraps)
    return correlation


def correlation_from(pairs: np.ndarray, shape: Sequence[int], axis: int, periodic: bool) -> np.ndarray:
    """Return S2 along an axis from the numbers of pairs of voxels (..., max_lag + 1) in an image of that shape."""
    return pairs / count_places(shape, axis, pairs.shape[-1] - 1, periodic)


def _sum_by_distance(plane, depth):
    """Sum values at displacements (depth, y, x), and at their opposites, by the length in voxels, rounded.

    The plane is (2 max_lag + 1, 2 max_lag + 1) for y and x from -max_lag to max_lag; returns (max_lag + 1,).
    """
    max_lag = len(plane) // 2
    squares = np.arange(-max_lag, max_lag + 1) ** 2
    length = np.rint(np.sqrt(depth**2 + squares[:, None] + squares)).astype(np.intp)
    near = length <= max_lag
    # The opposites of a plane are the plane at -depth; for depth 0 the plane itself.
    return (2 if depth else 1) * np.bincount(length[near], plane[near], minlength=max_lag + 1)


def _checked_lag(max_lag: int | None, shape: Sequence[int]) -> int:
    smallest = min(shape)
    if max_lag is None:
        return smallest // 2
    if check_integer(max_lag, "max_lag", 0, None) >= smallest:
        raise ValueError(
            f"`max_lag` must be less than the smallest dimension of the volume, {smallest} voxels. Received: {max_lag}."
        )
    return int(max_lag)


def _along_axes(subject):
    return correlation_of(subject.labels, subject.n_phases, subject.periodic, subject.max_lag)


def _count_pairs_of(part):
    """Count the pairs of a block whose first voxel is its own: (n, 3, max_lag + 1)."""
    pairs = np.empty((part.n_phases, 3, part.max_lag + 1), np.int64)
    for axis in range(3):
        line = np.concatenate([part.labels, part.arms[axis]], axis=axis)
        for phase in range(part.n_phases):
            indicator = line == phase
            pairs[phase, axis] = count_pairs(indicator, axis, part.max_lag, False)
            # All pairs, less those that begin later.
            later = np.moveaxis(indicator, axis, 0)[part.labels.shape[axis] :]
            if len(later):
                pairs[phase, axis] -= count_pairs(later, 0, part.max_lag, False)
    return pairs


def _of_blocks(pairs, whole):
    return np.stack(
        [correlation_from(pairs[:, axis], whole.shape, axis, wraps) for axis, wraps in enumerate(whole.periodic)],
        axis=1,
    )


TWO_POINT_CORRELATION = Measure(
    key="two_point_correlation",
    name="two-point correlation",
    unit="1",
    shape=CURVES,
    method="S2(r) is the probability that two points at distance r along an axis are both in the phase; S2(0) is the "
    "volume fraction. Curves are ratios of means over all samples.",
    of_volume=_along_axes,
    of_slice=_along_axes,
    stereology=True,
    on_blocks=OnBlocks(count=_count_pairs_of, value=_of_blocks),
    within=lambda values, inside: values["two_point_correlation"][: inside.n] / inside.pairs,
    cost=20,
    label="two-point correlation S2, mean of axes",
    decimals=3,
    unless="radial_two_point_correlation",
    whole=True,
    bar=0.02,
    monitored=True,
)
RADIAL_TWO_POINT_CORRELATION = Measure(
    key="radial_two_point_correlation",
    name="radial two-point correlation",
    unit="1",
    shape=RADIAL_CURVES,
    method="The mean of S2 over all directions.",
    of_volume=lambda subject: radial_two_point_correlation(subject.labels, subject.max_lag, **subject.options),
    cost=40,
    label="two-point correlation S2, radial",
    decimals=3,
    sampled=False,
)
