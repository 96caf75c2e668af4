"""Volume fractions slice by slice, and the lineal path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic, check_integer
from kerasgan3d.metrics._halo import check_image
from kerasgan3d.metrics._measure import CURVES, PER_PHASE_AND_AXIS, Measure
from kerasgan3d.volume import Volume


def fraction_profiles(volume: Volume | ArrayLike, *, n_phases: int | None = None) -> tuple[np.ndarray, ...]:
    """Return the fraction of each phase in every slice normal to each axis.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        For each axis in the order of the image's a float64 array (n, its length), summing to 1 over phases: of a volume
        ``profiles[0][phase]`` is the share of the phase along z.

    Raises:
        ValueError: If an argument is invalid.
    """
    labels, n, _, _ = check_image(volume, phases=n_phases)
    axes = range(labels.ndim)
    return tuple(
        np.stack([(labels == phase).mean(axis=tuple(set(axes) - {axis})) for phase in range(n)]) for axis in axes
    )


def lineal_path(
    volume: Volume | ArrayLike,
    max_length: int | None = None,
    *,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return L(r), the probability that a segment of length r along an axis lies entirely in the phase.

    The lineal-path function (Lu and Torquato, Phys. Rev. A 45, 1992, 922-929; Torquato, Random Heterogeneous Materials,
    2002, section 2.4), on voxels: the share of the runs of r + 1 voxels, from centre to centre r apart, of which all
    are in the phase. L(0) is the volume fraction; unlike the two-point correlation it tells connectedness along lines.
    Runs are those within the volume, and across faces where the axis is periodic.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        max_length: Largest length in voxels, less than the smallest dimension; default: half of that.
        periodic: One bool, or one per axis; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, axes, max_length + 1), dimensionless.

    Raises:
        ValueError: If `max_length` is negative or too large, or an argument is invalid.
    """
    labels, n, wraps, _ = check_image(volume, periodic=periodic, phases=n_phases)
    smallest = min(labels.shape)
    longest = smallest // 2 if max_length is None else check_integer(max_length, "max_length", 0, smallest - 1)
    found = np.zeros((n, labels.ndim, longest + 1))
    for phase in range(n):
        for axis in range(labels.ndim):
            lines = np.moveaxis(labels == phase, axis, 0)
            lines = np.concatenate([lines, lines[:longest]]) if wraps[axis] else lines
            runs = lines
            for length in range(longest + 1):
                runs = runs[: len(lines) - length] & lines[length:]
                # Of what goes on, no run counts twice.
                found[phase, axis, length] = runs[: labels.shape[axis] if wraps[axis] else None].mean()
    return found


def _lineal_path_of(subject: Any) -> np.ndarray:
    return lineal_path(subject.labels, subject.max_lag, **subject.options)


def _spread_of(subject: Any) -> np.ndarray:
    profiles = fraction_profiles(subject.labels, n_phases=subject.n_phases)
    return np.stack([profile.std(axis=1) for profile in profiles], axis=1)


LINEAL_PATH = Measure(
    key="lineal_path",
    name="lineal path",
    unit="1",
    shape=CURVES,
    method="L(r) is the probability that a segment of length r along an axis lies in the phase all along; L(0) is the "
    "volume fraction. Curves are ratios of means over all samples.",
    of_volume=_lineal_path_of,
    of_slice=_lineal_path_of,
    stereology=True,
    needs=frozenset({"particles"}),
    cost=60,
    label="share of segments of length",
    bar=0.05,
    headline=False,
)
FRACTION_PROFILE_SPREAD = Measure(
    key="fraction_profile_spread",
    name="deviation of profiles",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="The standard deviation of the phase's share over the slices along an axis.",
    of_volume=_spread_of,
    needs=frozenset({"particles"}),
    cost=10,
    mean_of_axes=True,
    bar=0.25,
    headline=False,
    section="structure",
    figure="Deviations of profiles",
)
