"""Tests for visible seams of periodic volumes, and for traces of the generator's lattice."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kerasgan3d.checks import AXES


def seam_statistics(volumes: Iterable[ArrayLike], phases: Sequence[str], lag: int = 8) -> dict[str, Any]:
    """Compare the structure across the faces where periodic volumes close with that in their interior.

    Args:
        volumes: Two or more arrays of labels (z, y, x) of one shape, 0..n-1, periodic along all axes.
        phases: Names of the n phases.
        lag: Distance in voxels of the pairs for the two-point correlation.

    Returns:
        dict: "size" (voxels along z, y, x), "count" and "measures", a list of dicts, one per measure, phase and axis:
        "key", "phase", "axis", the means "seam" and "interior", the "standard_error" of their difference and "p".
        "label_change_rate": fraction of the voxel faces of a plane that lie between the phase and another one, for the
        plane where the volume closes and for all others. "volume_fraction": in the half of the volume around the seam
        and in the other half. "two_point_correlation": probability that two voxels `lag` apart are both in the phase,
        for pairs across the seam and for all others. Errors are those between volumes, which are independent, and p is
        that of Student's t test of the volumes' differences. "tests" is the number of tests, "smallest_p" the smallest
        p times that, at most 1 (Bonferroni). "largest" is the largest difference of label changes, relative to those in
        the interior, with its "standard_error"; "interior" is the same for the plane in the middle of the volumes.
    """
    volumes = [np.asarray(volume) for volume in volumes]
    rows, seams, middles = [], [], []
    for axis, name in enumerate(AXES):
        for phase, phase_name in enumerate(phases):
            profiles = [_profiles(volume == phase, axis, lag) for volume in volumes]
            seams.append(_relative(profiles, 0))
            middles.append(_relative(profiles, len(profiles[0][0]) // 2))
            for key, (seam, interior) in {
                "label_change_rate": _split([p[0] for p in profiles], 1),
                "volume_fraction": _split([np.roll(p[1], len(p[1]) // 4) for p in profiles], len(profiles[0][1]) // 2),
                "two_point_correlation": _split([p[2] for p in profiles], lag),
            }.items():
                rows.append({"key": key, "phase": phase_name, "axis": name, **_difference(seam, interior)})
                if key == "two_point_correlation":
                    rows[-1]["lag"] = lag
    largest, error = max(seams)
    return {
        "size": list(volumes[0].shape),
        "count": len(volumes),
        "measures": rows,
        "tests": len(rows),
        "smallest_p": min(1.0, min(row["p"] for row in rows) * len(rows)),
        "largest": largest,
        "standard_error": error,
        "interior": max(middles)[0],
    }


def lattice_statistics(volumes: Iterable[ArrayLike], phases: Sequence[str], period: int) -> dict[str, Any]:
    """Test whether fractions or label changes depend on the position modulo a generator's stride.

    Under the hypothesis that they do not, the Fourier coefficients of their profile over the positions of a cell of
    the lattice have mean zero and are uncorrelated, no matter how similar neighbouring planes are. The sum of the
    squared means of the coefficients, each divided by its variance between volumes, is therefore chi-squared
    distributed with period - 1 degrees of freedom. This holds for many volumes; for few the variances are uncertain
    and the test is conservative: the sum is at most period - 1 times the number of volumes, so that two volumes never
    show anything. Take 8 or more.

    Args:
        volumes: Arrays of labels (z, y, x) of one shape, periodic, that begin at a point of the lattice; sizes
            are multiples of the period.
        phases: Names of the n phases.
        period: Stride of the generator in voxels, 2 or more.

    Returns:
        dict: "period"; "fractions" and "label_change_rates" [axis][phase][position], means over the volumes at each
        position, and between it and the one before it; their "standard_error" and
        "label_change_standard_error" of the same shape; "chi2_p" and "label_change_chi2_p" [axis][phase]; and
        "smallest_p", the smallest of these times their number (Bonferroni), at most 1; "largest_swing" and
        "swing_error", see `lattice_swing`.
    """
    fractions, rates = [], []
    for volume in volumes:
        cells = [[_profiles(np.asarray(volume) == phase, axis, 1) for phase in range(len(phases))] for axis in range(3)]
        folded = [[[_folded(profile, period) for profile in phase[:2]] for phase in axis] for axis in cells]
        rates.append([[phase[0] for phase in axis] for axis in folded])
        fractions.append([[phase[1] for phase in axis] for axis in folded])
    result: dict[str, Any] = {"period": int(period)}
    smallest = []
    for key, error, p, values in (
        ("fractions", "standard_error", "chi2_p", np.array(fractions)),
        ("label_change_rates", "label_change_standard_error", "label_change_chi2_p", np.array(rates)),
    ):
        probability = _flatness(values)
        smallest.append(probability)
        result[key] = values.mean(0).tolist()
        result[error] = (values.std(0, ddof=1) / np.sqrt(len(values))).tolist()
        result[p] = probability.tolist()
    result["smallest_p"] = min(1.0, float(np.min(smallest)) * np.size(smallest))
    result["largest_swing"], result["swing_error"] = _swing(fractions, rates)
    return result


def lattice_swing(samples: Iterable[np.ndarray], n_phases: int, period: int) -> dict[str, float]:
    """Return the variation of fractions and label changes with the position modulo a period, in samples of any kind.

    Args:
        samples: Arrays of labels (z, y, x) of one shape, not periodic, longer than the period along each axis.
        n_phases: Number of phases n.
        period: Period in voxels.

    Returns:
        dict: by "volume_fraction" and "label_change_rate", the largest deviation from the mean at a position, of any
        axis and phase, relative to that mean. For real sub-volumes, which begin anywhere, it shows chance alone.
    """
    fractions, rates = [], []
    for sample in samples:
        # The first plane has no predecessor; planes after the last whole period are left out.
        whole = (min(sample.shape) - 1) // period * period
        planes = [[_profiles(sample == phase, axis, 1)[:2] for phase in range(n_phases)] for axis in range(3)]
        rates.append([[_folded(changes[1 : whole + 1], period) for changes, _ in axis] for axis in planes])
        fractions.append([[_folded(shares[1 : whole + 1], period) for _, shares in axis] for axis in planes])
    return _swing(fractions, rates)[0]


def _profiles(here, axis, lag):
    """Return, along an axis of a periodic volume, for each plane: its label changes to the plane before it (the first
    is the seam), the share of the phase in it, and the share of pairs with the plane `lag` before it."""
    lines = np.moveaxis(here, axis, 0)
    before = np.roll(lines, 1, 0)
    changes = (lines != before).mean(axis=(1, 2))
    pairs = (lines & np.roll(lines, lag, 0)).mean(axis=(1, 2))
    return changes, lines.mean(axis=(1, 2)), pairs


def _split(profiles, seam):
    """Return the means of the first `seam` values of each profile, and of the rest."""
    profiles = np.array(profiles)
    return profiles[:, :seam].mean(1), profiles[:, seam:].mean(1)


def _difference(seam, interior):
    difference = seam - interior
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    p = 2 * stats.t.sf(abs(difference.mean()) / error, len(difference) - 1) if error > 0 else 1.0
    return {"seam": seam.mean(), "interior": interior.mean(), "standard_error": error, "p": float(p)}


def _relative(profiles, place):
    """Return the relative difference of label changes at a plane from those at all others, and its error."""
    changes = np.array([profile[0] for profile in profiles])
    others = np.delete(changes, place, axis=1).mean(1)
    if not others.mean() > 0:
        return 0.0, 0.0
    difference = changes[:, place] - others
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return float(abs(difference.mean()) / others.mean()), float(error / others.mean())


def _swing(fractions, rates):
    """Return the largest relative deviation from the mean over the positions of a cell, and its standard error."""
    largest, errors = {}, {}
    for key, values in (("volume_fraction", np.array(fractions)), ("label_change_rate", np.array(rates))):
        mean = values.mean(0)
        level = mean.mean(-1, keepdims=True)
        deviation = np.abs(mean - level) / np.where(level > 0, level, 1)
        place = np.unravel_index(deviation.argmax(), deviation.shape)
        error = values.std(0, ddof=1)[place] / np.sqrt(len(values)) if len(values) > 1 else np.nan
        level = level[place[:-1]][0]
        largest[key], errors[key] = float(deviation[place]), float(error / level) if level > 0 else 0.0
    return largest, errors


def _folded(profile, period):
    return profile.reshape(-1, period).mean(0)


def _flatness(values):
    """Return the p-values of the hypothesis that profiles (volumes, axis, phase, position) are flat."""
    count, period = values.shape[0], values.shape[-1]
    modes = np.fft.rfft(values, axis=-1)[..., 1:]
    power = (np.abs(modes) ** 2).mean(0)
    freedom = np.full(modes.shape[-1], 2.0)
    if period % 2 == 0:
        freedom[-1] = 1.0  # the mode that alternates is real
    squares = np.abs(modes.mean(0)) ** 2 * count * freedom
    chi2 = np.divide(squares, power, out=np.zeros_like(power), where=power > 0).sum(-1)
    return stats.chi2.sf(chi2, freedom.sum())
