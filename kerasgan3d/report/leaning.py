"""Diagonal anisotropy: differences of the two-point correlation between the diagonals of planes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kerasgan3d.checks import AXES
from kerasgan3d.metrics._count import diagonal_neighbours

LAGS = (2, 4, 8, 16)


def leaning_statistics(samples: Iterable[ArrayLike], n_phases: int) -> dict[str, Any]:
    """Compare the two-point correlation along the two diagonals of each plane.

    In a material with mirror planes, or one whose samples may be mirrored, both are equal on average. A generator with
    diagonal anisotropy, whose structures all lean to one side, can still have the right correlation along every axis.

    Args:
        samples: Arrays of labels 0..n-1, all (z, y, x) or all (y, x), of one size.
        n_phases: Number of phases n.

    Returns:
        dict: "planes", pairs of axes; "lags" k, in voxels along both axes, at most half the size; "difference" [phase]
        [plane][lag], mean over samples of the probability that two voxels offset by (k, k) are both in the phase, minus
        that of two voxels offset by (k, -k), divided by the volume fraction; "standard_error" of it, from sample to
        sample; "largest", the largest absolute difference per phase, 0 for an absent phase, and "error_of_largest", its
        standard error; "smallest_p", the smallest p of Student's t test of no difference, times the number of tests
        (None for fewer than three samples).
    """
    samples = [np.asarray(sample) for sample in samples]
    ndim, least = samples[0].ndim, min(samples[0].shape)
    planes = [(0, 1)] if ndim == 2 else [(1, 2), (0, 2), (0, 1)]
    lags = [lag for lag in LAGS if lag <= least // 2] or [1]
    values = np.array([[[_difference(s, plane, k, n_phases) for k in lags] for plane in planes] for s in samples])
    values = np.moveaxis(values, -1, 1)  # sample, phase, plane, lag
    fractions = np.mean([np.bincount(s.ravel(), minlength=n_phases) / s.size for s in samples], axis=0)
    values = values / np.where(fractions > 0, fractions, 1.0)[:, None, None]
    mean, n = values.mean(0), len(values)
    error = values.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(mean, np.nan)
    p = None
    if n > 2:
        told = error > 0
        each = 2 * stats.t.sf(np.abs(mean[told]) / error[told], n - 1)
        p = float(min(1.0, each.min(initial=1.0) * each.size))
    return {
        "planes": ["".join(AXES[axis + 3 - ndim] for axis in plane) for plane in planes],
        "lags": lags,
        "difference": mean,
        "standard_error": error,
        "largest": np.abs(mean).max((1, 2)),
        "error_of_largest": error.reshape(n_phases, -1)[
            np.arange(n_phases), np.abs(mean).reshape(n_phases, -1).argmax(1)
        ],
        "smallest_p": p,
    }


def _difference(labels, plane, lag, phases):
    """Return the probability of a phase at both ends of one diagonal minus that of the other: (phases,)."""
    found = []
    for back in (False, True):
        here, there = diagonal_neighbours(labels, plane, lag, back)
        found.append(np.bincount(here[here == there], minlength=phases) / here.size)
    return found[0] - found[1]
