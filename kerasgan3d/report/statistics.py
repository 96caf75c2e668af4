"""The statistics of two sets of sub-volumes, side by side."""

from itertools import combinations

import numpy as np
from scipy import stats

from kerasgan3d.checks import AXES
from kerasgan3d.metrics.ensemble import UNITS

BAND = (5, 95)  # percent: what lies between these is the band of a curve
# What the statistics of a generator's folder call what is measured here.
_IN_REFERENCE = {
    "volume_fraction": "volume_fractions",
    "specific_surface_area": "specific_surface_area",
    "triple_phase_boundary_density": "triple_phase_boundary_density",
}


def measure_rows(real, generated, phases, *, estimated=False):
    """Compare every measure of two sets of sub-volumes.

    Args:
        real, generated: What `measure_samples` returned; `real` may also be a dict that `reference_values` returned.
        phases: Names of the n phases.
        estimated: Whether the measures are estimates by stereology, from slices.

    Returns:
        A list of dicts, one per measure, phase or pair of phases, and axis: "key", "phase", "other", "axis" ("mean"
        stands for the mean of the three), "unit", "estimated"; "real" and "generated", a value per sub-volume;
        "real_mean", "real_std", "generated_mean", "generated_std"; "relative_difference" of the means, as a share of
        the real one; "deviation_ratio", generated over real standard deviation; "ks_distance" and "ks_p", the
        Kolmogorov-Smirnov distance of the two distributions and the probability of one as large between sets of
        independent sub-volumes of one material. None is what has no value or is not known.
    """
    rows = []
    for key, values in generated.items():
        if key not in UNITS:
            continue
        known = real.get(key)
        for place, labels in _places(key, phases):
            mine = _values(values, place, labels["axis"])
            theirs = {} if known is None else _summary(known, place, labels["axis"])
            rows.append(
                {"key": key, **labels, "unit": UNITS[key], "estimated": estimated, **_compared(theirs, _of(mine))}
            )
    return rows


def correlation_record(real, generated, axes):
    """Compare the two-point correlation S2(r) / S2(0) of two sets of sub-volumes.

    Args:
        real, generated: (samples, n, axes, lags), S2 not normalised; `real` may be the normalised mean (n, axes, lags).
        axes: Names of the axes.

    Returns:
        dict: "lags" in voxels, "axes", "real" and "generated" with "mean" (mean S2(r) over mean S2(0), [phase][axis]
        [lag]), "low" and "high" (5th and 95th percentile of S2(r) / S2(0) of single sub-volumes that hold the phase;
        None where they are not known), and "largest_difference" of the means, [phase][axis].
    """
    lags = min(real.shape[-1], generated.shape[-1])
    sides = {"real": _curves(real[..., :lags]), "generated": _curves(generated[..., :lags])}
    means = [np.array(sides[side]["mean"], float) for side in ("real", "generated")]
    return {
        "lags": list(range(lags)),
        "axes": list(axes),
        **{side: {name: plain(values) for name, values in curves.items()} for side, curves in sides.items()},
        "largest_difference": plain(np.abs(means[1] - means[0]).max(-1)),
    }


def volume_record(real, generated, curves, phases, size):
    """Compare generated volumes with what a real slice says of volumes by stereology.

    Args:
        real: What `measure_samples` returned of windows that cover the slice, or what `reference_values` did.
        generated: What `measure_samples` returned of volumes.
        curves: S2 of the windows, as `correlation_record` takes it; where it is along two axes, their mean stands for
            all directions.
        phases: Names of the n phases.
        size: Edge length of the volumes in voxels.

    Returns:
        dict: "count", "size"; "measures", rows as of `measure_rows`, without what compares the scatter of windows with
        that of volumes; "two_point_correlation", as of `correlation_record`, along z, y and x; "anisotropy", the
        largest difference between the mean S2(r) / S2(0) of two axes, per phase.
    """
    rows = measure_rows(real, generated, phases, estimated=True)
    for row in rows:
        row |= {"real": None, "real_std": None, "deviation_ratio": None, "ks_distance": None, "ks_p": None}
    correlation = generated["two_point_correlation"]
    if curves.shape[-2] < len(AXES):
        curves = np.repeat(curves.mean(-2, keepdims=True), len(AXES), -2)
    found = correlation_record(curves, correlation, AXES)
    means = np.array(found["generated"]["mean"], float)
    return {
        "count": len(correlation),
        "size": size,
        "measures": rows,
        "two_point_correlation": found,
        "anisotropy": plain((means.max(1) - means.min(1)).max(-1)),
    }


def delta_ssa(rows, phases):
    """Return the relative difference of the mean specific surface areas in percent, generated to real, per phase.

    This is the number that Gayon-Lombardo et al. (npj Comput. Mater. 6:82, 2020) give beside their two-point
    correlations as a percentage, in the definition that is unambiguous: surfaces by counting voxel faces. The slope of
    S2 at the origin, summed over the axes, is half of the area of these faces per volume, so that it is the relative
    difference of the mean slopes as well.

    Returns:
        A list of n floats, None where a phase has no surface in the real image.
    """
    found = {row["phase"]: row["relative_difference"] for row in rows if row["key"] == "specific_surface_area"}
    return [None if found.get(phase) is None else 100 * found[phase] for phase in phases]


def reference_values(statistics, voxel_size=None):
    """Return what statistics of an image know of its measures, for `measure_rows`.

    Args:
        statistics: What a generator's ``reference.json`` holds: "mean" and "std", and, in "samples", the values of
            each sub-volume, as `sample_values` makes them, if there are any.
        voxel_size: µm, for statistics whose "voxel_size" is None: their lengths are in voxels.

    Returns:
        dict from measure to array (samples, ...), or to a pair of arrays, mean and standard deviation.
    """
    known = {key: np.array(values, float) for key, values in statistics.get("samples", {}).items() if key in UNITS}
    for key, name in _IN_REFERENCE.items():
        mean = statistics["mean"].get(name)
        if key not in known and mean is not None:
            std = (statistics.get("std") or {}).get(name)
            mean = np.array(mean, float)
            known[key] = (mean, np.full_like(mean, np.nan) if std is None else np.array(std, float))
    if statistics.get("voxel_size") is None and voxel_size is not None:
        for key, values in known.items():
            edge = voxel_size ** {"1/µm": 1, "1/µm²": 2}.get(UNITS[key], 0)
            known[key] = tuple(part / edge for part in values) if isinstance(values, tuple) else values / edge
    return known


def plain(values):
    """Return arrays and numbers as JSON holds them, None for what is not finite."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        return [plain(value) for value in values]
    if isinstance(values, np.generic):
        values = values.item()
    return None if isinstance(values, float) and not np.isfinite(values) else values


def _places(key, phases):
    """List where the values of a measure stand in a sub-volume's array, and what they are of."""
    nothing = {"phase": None, "other": None, "axis": None}
    if key == "interfacial_area":
        pairs = combinations(phases, 2)
        return [((i,), {**nothing, "phase": a, "other": b}) for i, (a, b) in enumerate(pairs)]
    if key.endswith("triple_phase_boundary_density"):
        return [((), nothing)]
    of_phases = [((i,), {**nothing, "phase": phase}) for i, phase in enumerate(phases)]
    if key not in ("connected_fraction", "relative_diffusivity"):
        return of_phases
    axes = AXES + ("m" if key == "relative_diffusivity" else "")
    return [
        ((*place, axis), {**labels, "axis": "mean" if name == "m" else name})
        for place, labels in of_phases
        for axis, name in enumerate(axes)
    ]


def _values(values, place, axis):
    """Return the value of each sub-volume at a place."""
    return values[:, place[0]].mean(-1) if axis == "mean" else values[(slice(None), *place)]


def _summary(known, place, axis):
    if not isinstance(known, tuple):
        return _of(_values(known, place, axis))
    mean, std = (part[place] if part.ndim else part[()] for part in known)
    return {"values": None, "mean": mean, "std": std}


def _of(values):
    return {"values": values, "mean": values.mean(), "std": values.std(ddof=1) if len(values) > 1 else np.nan}


def _compared(real, generated):
    row = {}
    for side, summary in (("real", real), ("generated", generated)):
        values = summary.get("values")
        row[side] = None if values is None else plain(values)
        row[f"{side}_mean"], row[f"{side}_std"] = plain(summary.get("mean")), plain(summary.get("std"))
    mean, std = row["real_mean"], row["real_std"]
    row["relative_difference"] = (row["generated_mean"] - mean) / abs(mean) if mean else None
    row["deviation_ratio"] = row["generated_std"] / std if std and row["generated_std"] is not None else None
    both = row["real"] is not None
    test = stats.ks_2samp(real["values"], generated["values"]) if both else None
    row["ks_distance"] = float(test.statistic) if both else None
    row["ks_p"] = float(test.pvalue) if both else None
    return row


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
