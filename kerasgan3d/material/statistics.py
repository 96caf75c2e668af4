"""Statistics that a training run monitors: morphology of the real data, and deviations of generated volumes."""

import math

import numpy as np

from kerasgan3d import data, metrics
from kerasgan3d.crops import middle_sections
from kerasgan3d.metrics._check import check_slice, check_volume
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics.ensemble import LAGS
from kerasgan3d.metrics.registry import MEASURES, MONITORED, MONITORED_CURVES, sub_volume_value

# The length of a structuring element is twice the lag at which the normalised autocovariance falls to this. For balls
# of diameter D, whose autocovariance is 1 - 3/2 (r/D) + 1/2 (r/D)^3 (Debye et al., J. Appl. Phys. 28 (1957) 679), that
# is 0.9 D.
COVARIANCE_LEVEL = math.exp(-1)
# The error of a generator is the mean over these measures, which short tables show.
ERROR_OF = (*(key for key, row in MONITORED.items() if row.headline), *MONITORED_CURVES)
_ROWS = {**MONITORED, **MONITORED_CURVES}
_OF_SLICES_ALONE = {key: row for key, row in _ROWS.items() if not row.stereology}
_OF_VOLUMES_TOO = {key: row for key, row in _ROWS.items() if row.stereology}


def reference_statistics(labels, phases, voxel_size, *, size=64, count=100, seed=0, excluded=None, counts=None):
    """Compute means and standard deviations of the morphology over random sub-volumes (3D data) or windows (slices).

    Args:
        labels: (z, y, x) or (y, x), or a list of either, 0..n-1; arrays, or objects that are indexed like arrays; or
            LabelledData.
        phases: Names of the phases.
        voxel_size: Edge of a voxel in µm, or None; lengths are then in voxels.
        size: Edge length of a sub-volume or window in voxels.
        count: Number of sub-volumes or windows.
        seed: Non-negative int.
        excluded: Mask of voxels that no sub-volume may touch and that are not counted: bool, of the labels' shape, a
            list for several images; or None.
        counts: Voxels of each phase, if they have been counted.

    Returns:
        JSON-serialisable dict: "phases", "voxel_size", "sub_volumes" (count, size, dimensions, seed), "bulk" (the
        fractions of all the data), "mean" and "std" of the monitored measures, by the keys of
        ``kerasgan3d.metrics.registry``; curves, "two_point_correlation" (n, axes, lags) and "granulometry" (n, radii),
        are normalised to 1 at their start.
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
    """Return the variability of generated volumes relative to that of real ones: 1 where equal, 0 where all are alike.

    Args:
        reference: Result of ``reference_statistics`` for sub-volumes as large as the samples.
        samples: Generated labels, (z, y, x) each.

    Returns:
        float, the mean over phases of the ratio of the standard deviations of volume fractions (for slices, of the
        area fractions of slices through the middle); None where the real ones do not vary.
    """
    n = len(reference["phases"])
    if reference["sub_volumes"]["dimensions"] == 2:
        samples = middle_sections(samples)
    shares = np.array([np.bincount(sample.ravel(), minlength=n) / sample.size for sample in samples])
    real = np.array(reference["std"]["volume_fraction"])
    if len(samples) < 2 or not (real > 0).any():
        return None
    return float(np.mean(shares.std(0, ddof=1)[real > 0] / real[real > 0]))


def structuring_length(samples, phases):
    """Return the length in voxels of the largest structuring element of samples of labels: all 3D or 2D, of one size.

    It is twice the lag at which the normalised autocovariance (S2(r) - phi^2) / (phi - phi^2) of a phase along an axis
    first falls below 1/e, maximised over phases and axes.

    Returns:
        float; inf where the autocovariance does not fall that far within half the samples' edge.
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


def summarise(samples, phases, voxel_size, dimensions=None):
    """Compute "mean" and "std" of the morphology of some arrays of labels, all 3D or all 2D.

    With 2 ``dimensions`` the result is comparable with slices: measures that slices do not give for volumes, such as
    granulometry, are those of the middle slices of volumes.
    """
    if dimensions == 2 and samples[0].ndim == 3:
        gathered = _gathered(samples, phases, voxel_size, _OF_VOLUMES_TOO)
        gathered |= _gathered(middle_sections(samples), phases, voxel_size, _OF_SLICES_ALONE)
    else:
        gathered = _gathered(samples, phases, voxel_size, _ROWS)
    mean = {key: value.mean(0) for key, value in gathered.items()}
    # A phase that is absent from a sub-volume has no normalised curve: the mean is normalised, not the records.
    mean |= {key: normalised(mean[key]) for key in MONITORED_CURVES}
    std = {key: gathered[key].std(0, ddof=1).tolist() if len(samples) > 1 else None for key in MONITORED}
    return {"mean": {key: value.tolist() for key, value in mean.items()}, "std": std}


def _gathered(samples, phases, voxel_size, rows):
    records = [measure_sample(sample, phases, voxel_size or 1.0, rows) for sample in samples]
    return {key: np.array([record[key] for record in records]) for key in records[0]}


def normalised(curves):
    """Divide curves (..., lags) by their first values."""
    return curves / np.maximum(curves[..., :1], 1e-12)


def fidelity(reference, generated, error_of=ERROR_OF):
    """Compute deviations of generated from real morphology: relative differences of means, and one error.

    Args:
        reference, generated: Results of ``reference_statistics`` and ``summarise``.
        error_of: Keys of the measures that enter the error.

    Returns:
        dict: by the keys of ``MONITORED``, relative differences of the means; by those of ``MONITORED_CURVES``, the
        largest difference of the normalised curves over phases, axes and lags, or radii; "error", the mean over
        ``error_of`` of the largest difference of each measure.
    """
    real, fake = reference["mean"], generated["mean"]
    result, largest = {}, {}
    # Statistics of an earlier version may lack measures that are monitored today.
    for key in (key for key in MONITORED if key in real):
        a, b = np.array(real[key]), np.array(fake[key])
        if np.any(a > 0):
            difference = np.where(a > 0, (b - a) / np.where(a > 0, a, 1.0), 0.0)
            result[key] = difference.tolist()
            largest[key] = float(np.abs(difference).max())
    for key in (key for key in MONITORED_CURVES if key in real):
        a, b = np.array(real[key]), np.array(fake[key])
        if a.ndim == 3 and a.shape[1] != b.shape[1]:  # one slice of an isotropic material against volumes
            a, b = a.mean(1), b.mean(1)
        lags = min(a.shape[-1], b.shape[-1])
        result[key] = largest[key] = float(np.abs(a[..., :lags] - b[..., :lags]).max())
    result["error"] = float(np.mean([value for key, value in largest.items() if key in error_of]))
    return result


def fidelity_facts(reference, generated):
    """Return the deviations of ``fidelity`` as facts for a card.

    Args:
        reference, generated: As for ``fidelity``.

    Returns:
        dict: "fidelity", measure to "real" and "generated" means and standard deviations; "two_point_correlation"
        and "granulometry", "difference" as ``fidelity`` has it, and up to which lag or radius in voxels.
    """
    table = {}
    for key in (key for key in MONITORED if key in reference["mean"]):
        table[key] = {"real": reference["mean"][key], "generated": generated["mean"][key]}
        table[key] |= {"real_std": reference["std"][key], "generated_std": generated["std"][key]}
    found = fidelity(reference, generated)
    facts = {"two_point_correlation": {"max_lag": LAGS}}
    if "granulometry" in found:
        facts["granulometry"] = {"max_radius": len(generated["mean"]["granulometry"][0]) - 1}
    return {"fidelity": table, **{key: {"difference": found[key], **up_to} for key, up_to in facts.items()}}


def facts_of(phases, voxel_size, count, size, dimensions, seed, counts):
    """Return the facts of reference statistics about their data, besides means and deviations."""
    return {
        "phases": list(phases),
        "voxel_size": voxel_size,
        "sub_volumes": {"count": count, "size": size, "dimensions": dimensions, "seed": seed},
        "bulk": {"volume_fraction": (counts / counts.sum()).tolist()},
    }


def correlation(labels, phases, lags):
    """Compute S2(r) up to ``lags`` voxels: (phases, axes, lags + 1)."""
    if labels.ndim == 2:
        return metrics.slice_statistics(labels, voxel_size=1.0, n_phases=phases, max_lag=lags).two_point_correlation
    return metrics.two_point_correlation(labels, lags, periodic=False, n_phases=phases)


def measure_sample(labels, phases, voxel_size, rows=_ROWS):
    """Compute the measures of reference statistics, or those of ``rows``, for one array of labels, 3D or 2D: a dict."""
    check = check_slice if labels.ndim == 2 else check_volume
    lag = min(LAGS, min(labels.shape) - 1)
    subject = Subject(check(labels, phases=phases, voxel_size=voxel_size), MEASURES, max_lag=lag)
    return {key: sub_volume_value(row, subject) if row.told_by(subject) else 0.0 for key, row in rows.items()}


def mean_of_crops(labelled, measure, edge, count):
    """Return the mean of a statistic over random crops, averaged over equivalent axes: (k, axes).

    Args:
        labelled: A LabelledData, its number of phases known.
        measure: Function from one-hot labels (z, y, x, phases) to (k, axes), NaN along the normal of a slice.
        edge: Edge of a crop in voxels.
        count: Least number of crops; of slices equally many along each axis.
    """
    rng, normals = np.random.default_rng(0), labelled.normals
    parts = [labelled] if normals is None else [labelled.normal_to((axis,)) for axis in sorted(set(normals))]
    found = []
    for part in parts:
        crops = part.crops((edge,) * labelled.dimensions)
        for _ in range(-(-count // len(parts))):
            k, crop = crops.draw(rng)
            normal = 0 if part.normals is None else part.normals[k]
            volume = crop if crop.ndim == 3 else np.expand_dims(crop, normal)
            found.append(measure(np.eye(labelled.n_phases or 1, dtype="float32")[volume]))
    known = ~np.isnan(found)
    sums, counts, mean = np.nansum(found, axis=0), known.sum(axis=0), np.zeros(known.shape[1:])
    for axes in map(list, labelled.symmetry.groups):
        mean[:, axes] = (sums[:, axes].sum(1) / np.maximum(counts[:, axes].sum(1), 1))[:, np.newaxis]
    return mean
