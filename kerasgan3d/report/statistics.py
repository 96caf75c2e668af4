"""The statistics of two sets of sub-volumes, side by side."""

import dataclasses
from typing import Any

import numpy as np
from scipy import stats

from kerasgan3d.checks import AXES
from kerasgan3d.folder import current_statistics
from kerasgan3d.metrics._measure import PER_PHASE_AND_AXIS
from kerasgan3d.metrics.registry import COMPARED, places, unit_power
from kerasgan3d.report.record import Curves, CurveSide, MeasureRow, Volumes, plain, worst_of

BAND = (5, 95)  # percentiles that bound the band of a curve
_CURVE = "two_point_correlation"


def measure_rows(real, generated, phases, *, dimensions=3, estimated=False, halves=(), whole=None):
    """Compare every measure of two sets of sub-volumes.

    Args:
        real, generated: Results of `measure_samples`; `real` may also be a result of `reference_values`.
        phases: Names of the n phases.
        dimensions: 3, or 2 where the generated values are those of slices.
        estimated: Whether the real values are from slices, so that values of volumes are stereological estimates.
        halves: Ways to split the real sub-volumes in two, each a bool array (samples,), one part of the image against
            the other. They give the differences between real sub-volumes.
        whole: dict from measure to its value for the whole real image, where known; otherwise real means are those of
            the sub-volumes.

    Returns:
        list of MeasureRow, one per measure, phase or pair of phases, and axis, with None for missing values.
    """
    rows = []
    for key, row in COMPARED.items():
        if key not in generated:
            continue
        known = real.get(key)
        facts = {"unit": row.unit_in(dimensions), "estimated": estimated and row.stereology}
        for place in places(row, tuple(phases), AXES[-dimensions:]):
            theirs = {} if known is None else _summary(known, place.index)
            labels = {"key": key, "phase": place.phase, "other": place.other, "axis": place.axis}
            at = None if whole is None or key not in whole else plain(_values(whole[key][np.newaxis], place.index)[0])
            found = _compared(theirs, _of(_values(generated[key], place.index)), halves, at)
            rows.append(MeasureRow(**labels, **facts, **found))
    return rows


def correlation_record(real, generated, axes, *, halves=(), whole=None):
    """Compare the two-point correlation S2(r) / S2(0) of two sets of sub-volumes.

    Args:
        real, generated: (samples, n, axes, lags), unnormalised S2; `real` may be the normalised mean (n, axes, lags).
        axes: Names of the axes.
        halves: As for `measure_rows`.
        whole: S2 of the whole real image (n, axes, lags), which replaces the real mean.

    Returns:
        Curves. Means are mean S2(r) over mean S2(0), "low" and "high" the 5th and 95th percentile of S2(r) / S2(0) of
        single sub-volumes that hold the phase; None where they are unknown.
    """
    lags = min(real.shape[-1], generated.shape[-1])
    real, generated = real[..., :lags], generated[..., :lags]
    sides = [_curves(real), _curves(generated)]
    if whole is not None:
        sides[0]["mean"] = _ratio(whole[..., :lags])
    difference = np.abs(sides[1]["mean"] - sides[0]["mean"])
    sampled = real.ndim == 4
    variance = _ratio_variance(generated) + (_ratio_variance(real) if sampled else 0)
    apart = []
    for half in halves if sampled else ():
        parts = [real[half], real[~half]]
        between = np.abs(_ratio(parts[0].mean(0)) - _ratio(parts[1].mean(0)))
        noise = sum(_ratio_variance(part) for part in parts)
        apart.append(_at_largest(between, between**2 - noise))
    return Curves(
        lags=list(range(lags)),
        axes=list(axes),
        real=CurveSide(**{name: plain(values) for name, values in sides[0].items()}),
        generated=CurveSide(**{name: plain(values) for name, values in sides[1].items()}),
        largest_difference=plain(difference.max(-1)),
        standard_error=plain(np.sqrt(_at_largest(difference, variance))),
        real_from_real=plain(np.sqrt(np.maximum(0, np.mean(apart, axis=0)))) if apart else None,
        worst=worst_of(plain(difference.max(-1))),
        max_lag=lags - 1,
    )


def volume_record(real, generated, curves, phases, size, windows, whole=None):
    """Compare generated volumes with stereological estimates from a real slice.

    Args:
        real: Result of `measure_samples` for windows that cover the slice, or of `reference_values`.
        generated: Result of `measure_samples` for volumes.
        curves: S2 of the windows, as for `correlation_record`.
        phases: Names of the n phases.
        size: Edge length of the volumes in voxels.
        windows: Number of windows behind the estimates.
        whole: As for `measure_rows`.

    Returns:
        Volumes: rows as of `measure_rows`, without comparisons of the scatter of windows with that of volumes. Measures
        that stereology does not give have no real values. Where slices give a measure along two axes, their mean is
        used for all directions.
    """
    scatter = dict.fromkeys(("real", "real_std", "deviation_ratio", "spread_from_real", "ks_distance", "ks_p"))
    real, whole = _of_volumes(real), _of_volumes(whole or {})
    rows = [
        dataclasses.replace(row, **scatter)
        for row in measure_rows(real, generated, phases, estimated=True, whole=whole)
    ]
    correlation = generated[_CURVE]
    found = correlation_record(_along_all(curves, -2), correlation, AXES)
    means = np.array(plain(found.generated)["mean"], float)
    anisotropy = plain((means.max(1) - means.min(1)).max(-1))
    return Volumes(len(correlation), size, windows, rows, found, anisotropy)


def _of_volumes(known):
    """Return estimates for volumes from measures of slices; for two axes, their mean for each of three."""
    found = {key: values for key, values in known.items() if key in COMPARED and COMPARED[key].stereology}
    for key, values in found.items():
        if COMPARED[key].shape == PER_PHASE_AND_AXIS:
            found[key] = tuple(map(_along_all, values)) if isinstance(values, tuple) else _along_all(values)
    return found


def _along_all(values, axis=-1):
    """Return values along two axes as their mean for each of three; values along three axes unchanged."""
    if values.shape[axis] == len(AXES):
        return values
    return np.repeat(values.mean(axis, keepdims=True), len(AXES), axis)


def delta_ssa(rows, phases):
    """Return the relative difference of the mean specific surface areas in percent, generated to real, per phase.

    This is the percentage that Gayon-Lombardo et al. (npj Comput. Mater. 6:82, 2020) give with their two-point
    correlations, in its unambiguous definition: surfaces by counting voxel faces. The slope of S2 at the origin, summed
    over the axes, is half of the area of these faces per volume, so that this is the relative difference of the mean
    slopes as well.

    Returns:
        A list of n floats, None where a phase has no surface in the real image.
    """
    found = {row.phase: row.relative_difference for row in rows if row.key == "specific_surface_area"}
    return [None if found.get(phase) is None else 100 * found[phase] for phase in phases]


def reference_values(statistics, voxel_size=None):
    """Return the measures of an image from its statistics, for `measure_rows`.

    Args:
        statistics: Content of a generator's ``reference.json``: "mean" and "std", and optionally, in "samples", the
            values of each sub-volume from `sample_values`.
        voxel_size: Edge of a voxel in µm, for statistics whose "voxel_size" is None, with lengths in voxels.

    Returns:
        dict from measure to array (samples, ...), or to a pair of arrays, mean and standard deviation.
    """
    statistics = current_statistics(statistics)
    samples = statistics.get("samples", {})
    known: dict[str, Any] = {key: np.array(values, float) for key, values in samples.items() if key in COMPARED}
    for key in COMPARED:
        mean = statistics["mean"].get(key)
        if key not in known and mean is not None:
            std = (statistics.get("std") or {}).get(key)
            mean = np.array(mean, float)
            known[key] = (mean, np.full_like(mean, np.nan) if std is None else np.array(std, float))
    if statistics.get("voxel_size") is None and voxel_size is not None:
        dimensions = statistics.get("sub_volumes", {}).get("dimensions", len(AXES))
        for key, values in known.items():
            edge = voxel_size ** unit_power(COMPARED[key].unit_in(dimensions))
            known[key] = tuple(part * edge for part in values) if isinstance(values, tuple) else values * edge
    return known


def _values(values, index):
    """Return the value of each sub-volume at a place, or the mean where the place ends with a slice."""
    found = values[(slice(None), *index)]
    return found.mean(-1) if index and isinstance(index[-1], slice) else found


def _summary(known, index):
    if not isinstance(known, tuple):
        return _of(_values(known, index))
    mean, std = (part[index] if part.ndim else part[()] for part in known)
    return {"values": None, "mean": mean, "std": std}


def _of(values):
    with np.errstate(invalid="ignore"):  # a phase without chord ends has infinite chords
        std = values.std(ddof=1) if len(values) > 1 else np.nan
        return {"values": values, "mean": values.mean(), "std": std}


def _compared(real, generated, halves, whole):
    """Return the entries of a MeasureRow for two summaries; `whole` is the value of the whole real image, or None."""
    row, variance = {}, 0.0
    for side, summary in (("real", real), ("generated", generated)):
        values = summary.get("values")
        row[side] = None if values is None else plain(values)
        row[f"{side}_mean"], row[f"{side}_std"] = plain(summary.get("mean")), plain(summary.get("std"))
        if values is not None and row[f"{side}_std"] is not None and (side == "generated" or whole is None):
            variance += row[f"{side}_std"] ** 2 / len(values)
    if row["real_mean"] is not None:
        row["real_mean_of"] = "sub-volumes" if whole is None else "image"
        row["real_mean"] = row["real_mean"] if whole is None else whole
    mean, std, ours = row["real_mean"], row["real_std"], row["generated_mean"]
    row["relative_difference"] = (ours - mean) / abs(mean) if mean and ours is not None else None
    row["standard_error"] = float(np.sqrt(variance)) / abs(mean) if mean and variance else None
    row["deviation_ratio"] = row["generated_std"] / std if std and row["generated_std"] is not None else None
    both = row["real"] is not None and np.isfinite([*real["values"], *generated["values"]]).all()
    test = map(float, stats.ks_2samp(real["values"], generated["values"])) if both else (None, None)
    row["ks_distance"], row["ks_p"] = test
    if both and mean and halves:
        row["real_from_real"], row["spread_from_real"] = _apart(real["values"], halves, mean)
    return row


def _apart(values, halves, mean):
    """Return the difference of the means of two halves, relative to a mean, and the ratio of their deviations.

    The part that the scatter of so few sub-volumes explains is subtracted from each, and the mean square over the ways
    to cut the image in two is taken.
    """
    squares, spreads = [], []
    for half in halves:
        one, other = values[half], values[~half]
        noise = one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)
        squares.append((one.mean() - other.mean()) ** 2 - noise)
        if one.std() > 0 and other.std() > 0:
            # The logarithm of a standard deviation of n normal values has the variance 1 / (2 (n - 1)).
            ratio = np.log(one.std(ddof=1) / other.std(ddof=1))
            spreads.append(ratio**2 - 0.5 / (len(one) - 1) - 0.5 / (len(other) - 1))
    spread = float(np.exp(np.sqrt(max(0.0, np.mean(spreads))))) if spreads else None
    return float(np.sqrt(max(0.0, np.mean(squares))) / abs(mean)), spread


def _ratio_variance(correlation):
    """Return the variance of mean S2(r) over mean S2(0), of sub-volumes (samples, n, axes, lags): (n, axes, lags)."""
    if len(correlation) < 2:
        return np.full(correlation.shape[1:], np.nan)
    mean = correlation.mean(0)
    first = np.where(mean[..., :1] > 0, mean[..., :1], np.nan)
    # To first order, the ratio moves with S2_i(r) - ratio S2_i(0).
    moved = correlation - _ratio(mean) * correlation[..., :1]
    return moved.var(0, ddof=1) / (len(correlation) * first**2)


def _at_largest(values, of):
    """Return, for each phase, the value where other values (n, axes, lags) are largest: (n,)."""
    flat = np.where(np.isfinite(values), values, -1.0).reshape(len(values), -1)
    return of.reshape(len(values), -1)[np.arange(len(values)), flat.argmax(1)]


def _curves(correlation):
    """Return mean and band of S2(r) / S2(0), NaN where a phase is absent throughout."""
    if correlation.ndim == 3:
        return {"mean": correlation, "low": None, "high": None}
    mean = _ratio(correlation.mean(0))
    low, high = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    for phase in range(mean.shape[0]):
        present = correlation[:, phase, 0, 0] > 0
        if present.any():
            low[phase], high[phase] = np.percentile(_ratio(correlation[present, phase]), BAND, axis=0)
    return {"mean": mean, "low": low, "high": high}


def _ratio(correlation):
    first = correlation[..., :1]
    return np.divide(correlation, first, out=np.full(correlation.shape, np.nan), where=first > 0)
