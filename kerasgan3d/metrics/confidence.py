"""Confidence intervals of measures from one image, and representative image sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike
from scipy import stats

from kerasgan3d.checks import Periodic, check_count, check_number
from kerasgan3d.metrics._check import Checked
from kerasgan3d.metrics._halo import check_image
from kerasgan3d.metrics._measure import PER_PAIR, PER_PHASE, PER_PHASE_AND_AXIS, SCALAR, Measure, Subject
from kerasgan3d.metrics.connectivity import percolating_voxels
from kerasgan3d.metrics.fractions import fractions_of
from kerasgan3d.metrics.registry import ALL, MEASURES
from kerasgan3d.metrics.tpb import PERCOLATING
from kerasgan3d.volume import Volume

LEVEL, WITHIN = 0.95, 0.05
SMALLEST = 16  # voxels per axis, in halves of 8
_ACTIVE = "active_triple_phase_boundary_density"
# Measured of sub-volumes; volume fractions have their two-point statistics.
BY_PARTS = (
    "specific_surface_area",
    "interfacial_area",
    "triple_phase_boundary_density",
    _ACTIVE,
    "relative_diffusivity",
)
_REACH = 1.5  # of the edge of a cube of the integral range: how far pairs are summed


class Interval(NamedTuple):
    """A confidence interval, arrays of the measure's shape; NaN where it cannot be determined.

    Attributes:
        low, high: Its ends, within what is possible.
        half_width: By how much the value of the image may lie off that of the material.
        edge: Voxels along the edge of a cube, or a square, of which the half width would be as wanted.
    """

    low: np.ndarray
    high: np.ndarray
    half_width: np.ndarray
    edge: np.ndarray


@dataclass(frozen=True, eq=False)
class Confidence:
    """Confidence of the measures of one image as estimates of those of its material.

    Attributes:
        level: The share of images whose intervals hold the material's value.
        within: The half width, as a share of the value, that an image of the edge length `Interval.edge` would have.
        intervals: `Interval` by the keys of the measures.
    """

    level: float
    within: float
    intervals: dict[str, Interval]

    def __getitem__(self, key: str) -> Interval:
        return self.intervals[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the intervals as a dict of numbers, texts and arrays."""
        intervals = {key: interval._asdict() for key, interval in self.intervals.items()}
        return {"level": self.level, "within": self.within, "intervals": intervals}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Confidence:
        """Read a result of `to_dict`.

        Raises:
            ValueError: If the record is not one.
        """
        try:
            intervals = {
                key: Interval(*(np.asarray(interval[name], float) for name in Interval._fields))
                for key, interval in record["intervals"].items()
            }
            return cls(check_level(record["level"]), check_within(record["within"]), intervals)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"`confidence` must be what `Confidence.to_dict` makes. Received: {record!r:.100}."
            ) from error


def volume_fraction_interval(
    volume: Volume | ArrayLike,
    level: float = LEVEL,
    within: float = WITHIN,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> Interval:
    """Return the confidence interval of the volume fractions of one image, from its own two-point statistics.

    The variance of a volume fraction phi over images of N voxels is the sum of the autocovariance C(r) = S2(r) - phi^2
    over all pairs of voxels, divided by N^2; in large images phi (1 - phi) A / N, with the integral range A (Matheron;
    Kanit et al., Int. J. Solids Struct. 40, 2003, 3647-3679). It is estimated from one image as in ImageRep (Dahari,
    Docherty, Kench and Cooper, arXiv 2410.19568, 2024): pairs are summed as far as they are correlated, and since phi
    is that of the same image, which makes every C(r) too small by the variance itself, the sum is divided by N^2 minus
    the number of pairs in it.

    Pairs are summed up to the distance R that is the first to exceed 1.5 times the edge of a cube (square) of the
    integral range up to there (after Sokal, Monte Carlo Methods in Statistical Mechanics, 1997, section 3). The
    variance is at least that of independent voxels.

    **The variance itself is an estimate.** It scatters like a spectral estimate with a flat window, with as many
    degrees of freedom as windows of R fit into the image, N^2 over the number of pairs. The half width is therefore
    Student's t with that many degrees of freedom times the standard deviation, and grows where an image holds few
    correlation lengths. `python tests/benchmarks/confidence.py` measures how often the intervals contain the truth.

    Memory is some 30 bytes per voxel, with up to 3.4 times as many voxels along axes that are not periodic.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1, at least 16 voxels long along each axis.
        level: The share of images whose intervals hold the material's value, between 0 and 1.
        within: The half width that is wanted, as a share of the value.
        periodic: One bool, or one per axis; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        Interval of arrays (n,). NaN for a phase that is absent or alone, and where pairs are correlated over more than
        half the image, which then gives no information on its scatter. `edge` assumes a variance inversely proportional
        to the volume.

    Raises:
        ValueError: If an argument is invalid.
    """
    checked = _large_enough(check_image(volume, periodic=periodic, phases=n_phases))
    return _of_fractions(checked, _estimates(checked), check_level(level), check_within(within))


def check_level(level: Any) -> float:
    """Return a checked confidence level, between 0 and 1."""
    level = check_number(level, "confidence", 0, 1)
    if not 0 < level < 1:
        raise ValueError(f"`confidence` must be a number between 0 and 1, such as 0.95. Received: {level!r}.")
    return level


def check_within(within: Any) -> float:
    """Return a requested relative half width, a positive number."""
    if not check_number(within, "within"):
        raise ValueError(f"`within` must be a positive share of the value, such as 0.05. Received: {within!r}.")
    return float(within)


def confidence_of(checked: Checked, values: dict[str, Any], conducting: Sequence[int], level: float, within: float):
    """Return the Confidence of the measures of a labelled image, by key.

    Volume fractions use `volume_fraction_interval`. The other measures (`BY_PARTS`) use the two halves of the image
    along each axis: the values of its n = 8 parts (4 of a slice) scatter by s, so that the half width is Student's t
    with n - 1 degrees of freedom times f s / sqrt(n). The factor f would be 1 for independent, large parts. It is
    chosen so that the same estimate is right for the phase's volume fraction, whose variances v in the image and w in
    its parts are known from the autocovariance: f^2 = (n - 1) v / (w - v), since s^2 / n is (w - v) / (n - 1) on
    average. For measures of several phases it is the largest of theirs.

    Active triple-phase boundaries of the parts are those at voxels that percolate in the image. Within a small part
    fewer voxels percolate, in some parts none of a phase, and this scatter is not that of the image.
    """
    estimates = _estimates(_large_enough(checked))
    intervals = {"volume_fraction": _of_fractions(checked, estimates, level, within)}
    rows = {key: MEASURES[key] for key in BY_PARTS if values.get(key) is not None}
    percolating = percolating_voxels(checked.labels, periodic=checked.periodic) if _ACTIVE in rows else None
    parts = [
        _measured(checked.labels[half], rows, conducting, checked, None if percolating is None else percolating[half])
        for half in _halves(checked.labels.shape)
    ]
    factors = np.array([estimate.factor for estimate in estimates])
    of_shape = {
        PER_PHASE: factors,
        PER_PAIR: np.maximum.outer(factors, factors),
        PER_PHASE_AND_AXIS: factors[:, np.newaxis],
        SCALAR: factors.max(),
    }
    for key, row in rows.items():
        scatter = of_shape[row.shape] * _scatter([part[key] for part in parts]) / math.sqrt(len(parts))
        half = stats.t.ppf((1 + level) / 2, len(parts) - 1) * scatter
        intervals[key] = _interval(values[key], half, within, checked.labels, np.inf)
    return Confidence(level, within, intervals)


class SizeCurve(NamedTuple):
    """Scatter of measures of sub-volumes with their size; made by `size_curve`.

    Attributes:
        sizes: Edge lengths in voxels, (sizes,).
        counts: How many sub-volumes there were of each.
        mean, std: By key, arrays (sizes, ...): of single sub-volumes; NaN where there are fewer than two.
    """

    sizes: np.ndarray
    counts: np.ndarray
    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]

    def edges(self, key: str, level: float = LEVEL, within: float = WITHIN) -> np.ndarray:
        """Return the edge in voxels at which single images lie within a fraction of the mean, in `level` of cases.

        It follows from the scatter at the largest size with at least eight sub-volumes, which is inversely proportional
        to the square root of the volume; NaN where there is no such size.
        """
        enough = np.flatnonzero(self.counts >= 8)
        if not enough.size:
            return np.full(self.mean[key].shape[1:], np.nan)
        last = enough[-1]
        half = stats.t.ppf((1 + level) / 2, self.counts[last] - 1) * self.std[key][last]
        return _edge(self.sizes[last], half, self.mean[key][last], within, 3)


def size_curve(
    volumes: Iterable[Volume],
    keys: Sequence[str] = ("volume_fraction",),
    sizes: Sequence[int] | None = None,
) -> SizeCurve:
    """Measure adjacent sub-volumes of several sizes, as if nothing lay around them.

    Args:
        volumes: Volumes of one shape and of the same phases, at least 16 voxels long along each axis.
        keys: Of measures that are numbers per phase, pair or axis: such as "volume_fraction", "specific_surface_area",
            "relative_diffusivity".
        sizes: Edge lengths in voxels; default: an eighth, a sixth, a quarter, a third and half of the smallest
            dimension from 8 on, and all of it of several volumes.

    Returns:
        SizeCurve.

    Raises:
        ValueError: If there is no such measure, or an argument is invalid.
    """
    checked = [_large_enough(check_image(volume)) for volume in volumes]
    rows = {key: _row(key) for key in keys}
    smallest = min(min(image.labels.shape) for image in checked)
    if sizes is None:
        found = {max(8, smallest // share) for share in (8, 6, 4, 3, 2)} | ({smallest} if len(checked) > 1 else set())
        sizes = sorted(found)
    sizes = [check_count(size, "sizes") for size in sizes]
    if not sizes or min(sizes) < 2 or max(sizes) > smallest:
        raise ValueError(f"`sizes` must be from 2 to {smallest} voxels, the smallest dimension. Received: {sizes}.")
    conducting = range(checked[0].phases)
    values = [
        [_measured(part, rows, conducting, image) for image in checked for part in _tiles(image.labels, size)]
        for size in sizes
    ]
    mean = {key: np.array([np.mean([part[key] for part in parts], axis=0) for parts in values]) for key in rows}
    std = {key: np.array([_scatter([part[key] for part in parts]) for parts in values]) for key in rows}
    return SizeCurve(np.array(sizes), np.array([len(parts) for parts in values]), mean, std)


def _scatter(values):
    """Return the estimated standard deviation of the population of some arrays; NaN for a single one."""
    return np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full_like(values[0], np.nan)


def _row(key: str) -> Measure:
    numbers = [name for name, row in ALL.items() if not row.is_curve]
    if key not in numbers:
        raise ValueError(f"`keys` must be of {', '.join(numbers)}. Received: {key!r}.")
    return ALL[key]


def _large_enough(checked: Checked) -> Checked:
    if min(checked.labels.shape) < SMALLEST:
        shape = " x ".join(map(str, checked.labels.shape))
        raise ValueError(
            f"A confidence interval needs an image of at least {SMALLEST} voxels along each axis. Received: {shape}."
        )
    return checked


class _Estimate(NamedTuple):
    """Estimate for a volume fraction: its variance, the degrees of freedom of this, and the factor of parts."""

    variance: float
    freedom: float
    factor: float


def _of_fractions(checked: Checked, estimates: list[_Estimate], level: float, within: float) -> Interval:
    variance, freedom, _ = np.array(estimates).T
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance)
    return _interval(fractions_of(checked.labels, checked.phases), half, within, checked.labels, 1.0)


def _estimates(checked: Checked) -> list[_Estimate]:
    """Return an estimate for each phase; NaN for one that is absent, alone, or correlated over half the image."""
    labels, fractions = checked.labels, fractions_of(checked.labels, checked.phases)
    return [
        _estimate((labels == phase) - share, checked.periodic) if 0 < share < 1 else _Estimate(*[math.nan] * 3)
        for phase, share in enumerate(fractions)
    ]


def _estimate(values, periodic):
    """Return the `_Estimate` of an indicator less its mean."""
    max_lag = (min(values.shape) - 1) // 2
    products, places = _products_by_distance(values, periodic, max_lag), _places(values.shape, periodic, max_lag)
    independent = products[0]
    sums = np.maximum(np.cumsum(products), independent)
    far = np.flatnonzero(np.arange(len(sums)) > _REACH * (sums / independent) ** (1 / values.ndim))
    if not far.size:
        return _Estimate(*[math.nan] * 3)
    reach = slice(far[0] + 1)
    squared, summed = values.size**2, places[reach].sum()
    variance = sums[far[0]] / (squared - summed)
    half = tuple(size // 2 for size in values.shape)
    covariance = products[reach] / places[reach] + variance
    of_part = _places(half, (False,) * values.ndim, max_lag)[reach] @ covariance / math.prod(half) ** 2
    factor = (2**values.ndim - 1) * variance / max(of_part - variance, variance)
    return _Estimate(variance, squared / summed, math.sqrt(factor))


def _products_by_distance(values, periodic, max_lag):
    """Sum the products of the pairs of voxels by their distance, rounded to 0..max_lag voxels: (max_lag + 1,)."""
    lengths = [
        size if wraps else scipy.fft.next_fast_len(size + max_lag, real=True)
        for size, wraps in zip(values.shape, periodic, strict=True)
    ]
    spectrum = scipy.fft.rfftn(values, lengths)
    correlation = scipy.fft.irfftn(spectrum.real**2 + spectrum.imag**2, lengths)
    lags = np.arange(-max_lag, max_lag + 1)
    return _by_distance(correlation[np.ix_(*(lags % length for length in lengths))])


def _places(shape, periodic, max_lag):
    """Count the pairs of voxels of an image by their distance, rounded to 0..max_lag voxels: (max_lag + 1,)."""
    lags = np.abs(np.arange(-max_lag, max_lag + 1))
    along = [
        np.full(len(lags), size) if wraps else np.maximum(size - lags, 0)
        for size, wraps in zip(shape, periodic, strict=True)
    ]
    return _by_distance(reduce(np.multiply.outer, along))


def _by_distance(values):
    """Sum values at displacements from -max_lag to max_lag along each axis by the length, rounded."""
    max_lag = len(values) // 2
    squares = reduce(np.add.outer, [np.arange(-max_lag, max_lag + 1) ** 2] * values.ndim)
    distances = np.rint(np.sqrt(squares)).astype(np.intp)
    near = distances <= max_lag
    return np.bincount(distances[near], values[near])


def _interval(values, half, within, labels, most):
    values = np.asarray(values, float)
    edge = _edge(labels.size ** (1 / labels.ndim), half, values, within, labels.ndim)
    return Interval(np.maximum(values - half, 0), np.minimum(values + half, most), half, edge)


def _edge(size, half, values, within, dimensions):
    """Return the image edge for a relative half width, which is proportional to 1 / sqrt(volume)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return size * (half / (within * np.abs(values))) ** (2 / dimensions)


def _halves(shape):
    """Return the windows of the halves of an image along each axis."""
    return list(itertools.product(*[(slice(n // 2), slice(n // 2, 2 * (n // 2))) for n in shape]))


def _tiles(labels, size):
    """Cut an image into adjacent cubes."""
    starts = [range(0, length - size + 1, size) for length in labels.shape]
    return [labels[tuple(slice(at, at + size) for at in corner)] for corner in itertools.product(*starts)]


def _measured(part, rows, conducting, image, percolating=None):
    """Return measures of a part of an image, by key; `percolating` marks its voxels that do so in the image."""
    alone = Checked(np.ascontiguousarray(part), image.phases, (False,) * part.ndim, image.voxel_size)
    # What is slow is measured of no other key than its own.
    asked = {"conducting": tuple(conducting), "particles": True, "flowing": tuple(conducting)}
    subject = Subject(alone, ALL, **asked, units=image.voxel_size is not None)
    if percolating is not None:
        subject.once(lambda: percolating, PERCOLATING)
    missing = [key for key, row in rows.items() if not row.told_by(subject)]
    if missing:
        raise ValueError(
            f"The image must tell {', '.join(missing)}. Received: {part.ndim} dimensions, {image.phases} "
            f"phases, voxels of {image.voxel_size} µm."
        )
    return {key: np.asarray(subject[key], float) for key in rows}
