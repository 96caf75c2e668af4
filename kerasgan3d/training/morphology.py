"""What a training run watches: morphology of the real data, and how far generated volumes are from it."""

import numpy as np

from kerasgan3d import metrics

LAGS = 32


def reference_statistics(labels, phases, voxel_size, *, size=64, count=100, seed=0, excluded=None):
    """Means and standard deviations of the morphology over random sub-volumes (3D data) or windows (one slice).

    Args:
        labels: (z, y, x) or (y, x), 0..n-1.
        phases: Names of the phases.
        voxel_size: µm, or None; lengths are then in voxels.
        size: Edge length of a sub-volume or window in voxels.
        count: How many of them.
        seed: Non-negative int.
        excluded: What no sub-volume may touch and is not counted: bool, of the labels' shape, or None.

    Returns:
        dict that JSON can hold: "phases", "voxel_size", "sub_volumes" (count, size, dimensions, seed), "bulk" (the
        fractions of all the data), "mean" and "std" of "volume_fractions" (n,), "specific_surface_area" (n,) in 1/µm,
        "triple_phase_boundary_density" in 1/µm², "two_point_correlation" (n, axes, lags), normalised to 1 at lag 0.
    """
    rng = np.random.default_rng(seed)
    size = min(size, *labels.shape)
    places = [_place(rng, labels.shape, size, excluded) for _ in range(count)]
    samples = [labels[place] for place in places]
    n = len(phases)
    counted = labels.ravel() if excluded is None else labels[~excluded]
    return {
        "phases": list(phases),
        "voxel_size": voxel_size,
        "sub_volumes": {"count": count, "size": size, "dimensions": labels.ndim, "seed": seed},
        "bulk": {"volume_fractions": (np.bincount(counted, minlength=n) / counted.size).tolist()},
        **summarise(samples, n, voxel_size),
    }


def summarise(samples, phases, voxel_size):
    """ "mean" and "std" of the morphology of some arrays of labels, all 3D or all 2D."""
    records = [_measure(sample, phases, voxel_size or 1.0) for sample in samples]
    gathered = {key: np.array([record[key] for record in records]) for key in records[0]}
    # A phase that is absent from a sub-volume has no normalised S2: the mean is normalised, not the records.
    unnormalised = gathered.pop("s2")
    mean = unnormalised.mean(0)
    gathered_mean = {key: value.mean(0).tolist() for key, value in gathered.items()}
    gathered_std = {key: value.std(0, ddof=1).tolist() if len(records) > 1 else None for key, value in gathered.items()}
    gathered_mean["two_point_correlation"] = (mean / np.maximum(mean[..., :1], 1e-12)).tolist()
    return {"mean": gathered_mean, "std": gathered_std}


def fidelity(reference, generated):
    """How far generated morphology is from the real: relative differences of means, and one number.

    Args:
        reference, generated: What ``reference_statistics`` and ``summarise`` give.

    Returns:
        dict: "volume_fractions", "specific_surface_area" (n,) and "triple_phase_boundary_density", relative
        differences of the means; "two_point_correlation", the largest difference of S2(r)/S2(0) of any phase, axis and
        lag; "error", the mean of the largest of each.
    """
    real, fake = reference["mean"], generated["mean"]
    result, largest = {}, []
    for key in ("volume_fractions", "specific_surface_area", "triple_phase_boundary_density"):
        a, b = np.array(real[key]), np.array(fake[key])
        if np.any(a > 0):
            difference = np.where(a > 0, (b - a) / np.where(a > 0, a, 1.0), 0.0)
            result[key] = difference.tolist()
            largest.append(float(np.abs(difference).max()))
    a, b = np.array(real["two_point_correlation"]), np.array(fake["two_point_correlation"])
    if a.shape[1] != b.shape[1]:  # one slice of an isotropic material against volumes
        a, b = a.mean(1), b.mean(1)
    lags = min(a.shape[-1], b.shape[-1])
    result["two_point_correlation"] = float(np.abs(a[..., :lags] - b[..., :lags]).max())
    largest.append(result["two_point_correlation"])
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
    for key in ("volume_fractions", "specific_surface_area", "triple_phase_boundary_density"):
        table[key] = {"real": reference["mean"][key], "generated": generated["mean"][key]}
        table[key] |= {"real_std": reference["std"][key], "generated_std": generated["std"][key]}
    correlation = {"difference": fidelity(reference, generated)["two_point_correlation"], "max_lag": LAGS}
    return {"fidelity": table, "two_point_correlation": correlation}


def _place(rng, shape, size, excluded, tries=10_000):
    for _ in range(tries):
        place = tuple(slice(c, c + size) for c in [int(rng.integers(n - size + 1)) for n in shape])
        if excluded is None or not excluded[place].any():
            return place
    raise ValueError(f"no sub-volume of {size} voxels per side was found beside what is excluded. Exclude less.")


def _measure(labels, phases, voxel_size):
    lag = min(LAGS, min(labels.shape) - 1)
    if labels.ndim == 2:
        s = metrics.slice_statistics(labels, voxel_size=voxel_size, phases=phases, max_lag=lag)
        return {
            "volume_fractions": s.area_fractions,
            "specific_surface_area": s.specific_surface_area,
            "triple_phase_boundary_density": s.triple_phase_boundary_density,
            "s2": s.two_point_correlation,
        }
    options = {"voxel_size": voxel_size, "phases": phases, "periodic": False}
    return {
        "volume_fractions": metrics.volume_fractions(labels, phases=phases),
        "specific_surface_area": metrics.specific_surface_area(labels, **options),
        "triple_phase_boundary_density": metrics.triple_phase_boundary_density(labels, **options)
        if phases > 2
        else 0.0,
        "s2": metrics.two_point_correlation(labels, lag, periodic=False, phases=phases),
    }
