"""What a training run watches: morphology of the real data, and how far generated volumes are from it."""

import math

import numpy as np

from kerasgan3d import data, metrics
from kerasgan3d.metrics._check import check_slice, check_volume
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics.ensemble import LAGS
from kerasgan3d.metrics.registry import MEASURES, MONITORED, MONITORED_CURVES

# A structuring element is as long as twice the lag at which the normalised autocovariance has fallen to this. For balls
# of diameter D, whose autocovariance is 1 - 3/2 (r/D) + 1/2 (r/D)^3 (Debye et al., J. Appl. Phys. 28 (1957) 679), that
# is 0.9 D.
COVARIANCE_LEVEL = math.exp(-1)


def reference_statistics(labels, phases, voxel_size, *, size=64, count=100, seed=0, excluded=None, counts=None):
    """Means and standard deviations of the morphology over random sub-volumes (3D data) or windows (slices).

    Args:
        labels: (z, y, x) or (y, x), or a list of either, 0..n-1; arrays, or what is indexed like them; or LabelledData.
        phases: Names of the phases.
        voxel_size: µm, or None; lengths are then in voxels.
        size: Edge length of a sub-volume or window in voxels.
        count: How many of them.
        seed: Non-negative int.
        excluded: What no sub-volume may touch and is not counted: bool, of the labels' shape, of several images a
            list; or None.
        counts: Voxels of each phase, if they have been counted.

    Returns:
        dict that JSON can hold: "phases", "voxel_size", "sub_volumes" (count, size, dimensions, seed), "bulk" (the
        fractions of all the data), "mean" and "std" of the measures that are watched, by the keys of
        ``kerasgan3d.metrics.registry``; curves such as "two_point_correlation" (n, axes, lags) are normalised to 1 at
        lag 0.
    """
    images, n = data.LabelledData.of(labels, excluded=excluded, n_phases=len(phases)), len(phases)
    size = min(size, images.smallest)
    samples = images.random_crops(size, count, seed)
    counts = images.counts() if counts is None else counts
    return {
        **facts_of(phases, voxel_size, count, size, images.dimensions, seed, counts),
        **summarise(samples, n, voxel_size),
    }


def spread(reference, samples):
    """How much generated volumes differ from one another, against real ones: 1 where as much, 0 where all are alike.

    Args:
        reference: What ``reference_statistics`` gives, of sub-volumes as large as the samples.
        samples: Generated labels, (z, y, x) each.

    Returns:
        float, the mean over phases of the ratio of the standard deviations of volume fractions (for slices, of the
        area fractions of slices through the middle); None where the real ones do not differ.
    """
    n = len(reference["phases"])
    if reference["sub_volumes"]["dimensions"] == 2:
        samples = [sample.take(sample.shape[axis] // 2, axis) for sample in samples for axis in range(3)]
    shares = np.array([np.bincount(sample.ravel(), minlength=n) / sample.size for sample in samples])
    real = np.array(reference["std"]["volume_fraction"])
    if len(samples) < 2 or not (real > 0).any():
        return None
    return float(np.mean(shares.std(0, ddof=1)[real > 0] / real[real > 0]))


def structuring_length(samples, phases):
    """Length of the largest structuring element in voxels, of samples of labels: all 3D or all 2D, of one size.

    Twice the lag at which the normalised autocovariance (S2(r) - phi^2) / (phi - phi^2) of a phase along an axis first
    falls below 1/e, at its longest over phases and axes.

    Returns:
        float; inf where it does not fall so far within half the samples' edge.
    """
    lags = min(samples[0].shape) // 2
    s2 = np.mean([correlation(sample, phases, lags) for sample in samples], axis=0)
    phi = s2[..., :1]
    covariance = (s2 - phi**2) / np.maximum(phi - phi**2, 1e-12)
    longest = 0.0
    for values in covariance[phi[..., 0] > 0]:
        below = np.flatnonzero(values < COVARIANCE_LEVEL)
        if not len(below):
            return math.inf
        last = int(below[0]) - 1
        step = (values[last] - COVARIANCE_LEVEL) / (values[last] - values[last + 1])
        longest = max(longest, 2 * (last + float(step)))
    return longest


def summarise(samples, phases, voxel_size):
    """ "mean" and "std" of the morphology of some arrays of labels, all 3D or all 2D."""
    records = [measure_sample(sample, phases, voxel_size or 1.0) for sample in samples]
    gathered = {key: np.array([record[key] for record in records]) for key in records[0]}
    mean = {key: value.mean(0) for key, value in gathered.items()}
    # A phase that is absent from a sub-volume has no normalised curve: the mean is normalised, not the records.
    mean |= {key: normalised(mean[key]) for key in MONITORED_CURVES}
    std = {key: gathered[key].std(0, ddof=1).tolist() if len(records) > 1 else None for key in MONITORED}
    return {"mean": {key: value.tolist() for key, value in mean.items()}, "std": std}


def normalised(curves):
    """Curves (..., lags) over their first values."""
    return curves / np.maximum(curves[..., :1], 1e-12)


def fidelity(reference, generated):
    """How far generated morphology is from the real: relative differences of means, and one number.

    Args:
        reference, generated: What ``reference_statistics`` and ``summarise`` give.

    Returns:
        dict: by the keys of ``MONITORED``, relative differences of the means; by those of ``MONITORED_CURVES``, the
        largest difference of the normalised curves of any phase, axis and lag; "error", the mean of the largest of
        each.
    """
    real, fake = reference["mean"], generated["mean"]
    result, largest = {}, []
    # Statistics of an earlier version may lack what is watched today.
    for key in (key for key in MONITORED if key in real):
        a, b = np.array(real[key]), np.array(fake[key])
        if np.any(a > 0):
            difference = np.where(a > 0, (b - a) / np.where(a > 0, a, 1.0), 0.0)
            result[key] = difference.tolist()
            largest.append(float(np.abs(difference).max()))
    for key in (key for key in MONITORED_CURVES if key in real):
        a, b = np.array(real[key]), np.array(fake[key])
        if a.shape[1] != b.shape[1]:  # one slice of an isotropic material against volumes
            a, b = a.mean(1), b.mean(1)
        lags = min(a.shape[-1], b.shape[-1])
        result[key] = float(np.abs(a[..., :lags] - b[..., :lags]).max())
        largest.append(result[key])
    result["error"] = float(np.mean(largest))
    return result


def fidelity_facts(reference, generated):
    """The same as facts for a card.

    Args:
        reference, generated: As for ``fidelity``.

    Returns:
        dict: "fidelity", measure to "real" and "generated" means and standard deviations; "two_point_correlation",
        "difference" and "max_lag" as ``fidelity`` has them.
    """
    table = {}
    for key in MONITORED:
        table[key] = {"real": reference["mean"][key], "generated": generated["mean"][key]}
        table[key] |= {"real_std": reference["std"][key], "generated_std": generated["std"][key]}
    found = fidelity(reference, generated)
    return {"fidelity": table, **{key: {"difference": found[key], "max_lag": LAGS} for key in MONITORED_CURVES}}


def facts_of(phases, voxel_size, count, size, dimensions, seed, counts):
    """What statistics say of the data that they are of, besides means and deviations."""
    return {
        "phases": list(phases),
        "voxel_size": voxel_size,
        "sub_volumes": {"count": count, "size": size, "dimensions": dimensions, "seed": seed},
        "bulk": {"volume_fraction": (counts / counts.sum()).tolist()},
    }


def correlation(labels, phases, lags):
    """S2(r) up to so many voxels: (phases, axes, lags + 1)."""
    if labels.ndim == 2:
        return metrics.slice_statistics(labels, voxel_size=1.0, n_phases=phases, max_lag=lags).two_point_correlation
    return metrics.two_point_correlation(labels, lags, periodic=False, n_phases=phases)


def measure_sample(labels, phases, voxel_size):
    """The measures of one array of labels, 3D or 2D, that reference statistics hold: dict by their keys."""
    check = check_slice if labels.ndim == 2 else check_volume
    lag = min(LAGS, min(labels.shape) - 1)
    subject = Subject(check(labels, phases=phases, voxel_size=voxel_size), MEASURES, max_lag=lag)
    rows = {**MONITORED, **MONITORED_CURVES}
    return {key: subject[key] if row.told_by(subject) else 0.0 for key, row in rows.items()}
