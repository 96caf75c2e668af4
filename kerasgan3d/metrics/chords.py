"""Chord lengths: lengths of straight lines along an axis within one phase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import check_count
from kerasgan3d.metrics._check import require_voxel_size
from kerasgan3d.metrics._count import count_unlike_along, count_voxels
from kerasgan3d.metrics._halo import check_image
from kerasgan3d.metrics._measure import PER_PHASE_AND_AXIS, Measure, OnBlocks
from kerasgan3d.volume import Volume


@dataclass(frozen=True, eq=False)
class ChordLengths:
    """The chords of n phases along each axis (z, y, x, or y, x of a slice); made by `chord_lengths`.

    Attributes:
        mean: (n, axes) in µm; inf for a phase in which no chord ends, NaN for an absent one.
        distribution: (n, axes, max_length + 1): the fraction of chords that are 0, 1, 2 ... voxels long. The rest up to
            1 is longer.
        counts: int64 (n, axes, max_length + 1): the chords of these lengths of which both ends were seen.
        lengths: (max_length + 1,): the lengths in µm.
    """

    mean: np.ndarray
    distribution: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray


class ChordCounts(NamedTuple):
    """Chords of a block along one axis: exact numbers, which add up over blocks.

    Attributes:
        voxels: int64 (n,), of each phase.
        ends: int64 (n,), of chords: faces along the axis between the phase and another one.
        chords: int64 (n, max_length + 1), by their length in voxels.
    """

    voxels: np.ndarray
    ends: np.ndarray
    chords: np.ndarray


def chord_lengths(
    volume: Volume | ArrayLike,
    max_length: int | None = None,
    *,
    voxel_size: float | None = None,
    periodic=None,
    n_phases: int | None = None,
) -> ChordLengths:
    """Return mean and distribution of the chords of each phase along each axis.

    A chord is a run of voxels of one phase on a line along the axis, with another phase before and after it. Its
    length is that of its voxels (Torquato, Random Heterogeneous Materials, 2002, section 2.5).

    **Boundaries.** Along an axis that is not periodic, chords are counted only if both ends lie in the volume, and
    longer ones are cut more often: a plain mean of the `counts` is too small. On lines of L voxels, a chord of length l
    has L - l - 1 places with a voxel to spare at both ends, and is counted with that probability per L. The counts
    divided by L - l - 1 are therefore unbiased numbers of chords per length of line (Horvitz and Thompson, J. Am. Stat.
    Assoc. 47, 1952, 663-685); chords longer than L - 2 are never seen.

    **The mean** does not need them. It is the length of line in the phase divided by the number of chords on it, ::

        mean = φ a / (ends per voxel / 2)

    with the ends counted at all faces between voxels within the volume, including those of cut chords (Underwood,
    Quantitative Stereology, 1970, mean intercept length). Both numbers are unbiased. For random balls, and any other
    isotropic body, the mean is then 4 V / S without a staircase correction. The distribution is normalised by the same
    number of chords, so that it does not depend on `max_length`.

    Along a periodic axis chords continue at the opposite end, and all are counted. A line that lies entirely in the
    phase has no chord ends; its voxels count for the mean.

    Chords along y and x are the same in a slice normal to z: mean and distribution of all slices together are those of
    the volume along these axes, and for an isotropic material those of a slice in any direction.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        max_length: The longest chords that are told apart, in voxels; default: the smallest dimension.
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        periodic: One bool, or three (z, y, x), or two for a slice; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        ChordLengths.

    Raises:
        ValueError: If the voxel size is unknown, `max_length` is no positive integer, or an argument is invalid.
    """
    checked = check_image(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    size = require_voxel_size(checked)
    labels, n, wraps, _ = checked
    longest = min(labels.shape) if max_length is None else check_count(max_length, "max_length")
    counts = []
    for axis, length in enumerate(labels.shape):
        reach = np.arange(length + min(longest, length) + 1 if wraps[axis] else length)
        counts.append(count_chords(labels.take(reach, axis, mode="wrap"), length, axis, n, longest))
    return chords_from(counts, labels.shape, wraps, size)


def count_chords(labels: np.ndarray, own: int, axis: int, n_phases: int, max_length: int) -> ChordCounts:
    """Count the chords of a block along an axis: those that begin after one of its own voxels.

    Args:
        labels: Integer array, of three or two dimensions: the block, and up to `max_length` + 1 voxels that follow it
            along the axis, or as far as the volume goes.
        own: The block's own voxels along the axis.
        axis: Which one.
        n_phases: Number of phases n.
        max_length: The longest chords that are told apart, in voxels.

    Returns:
        ChordCounts.
    """
    lines = np.ascontiguousarray(np.moveaxis(labels, axis, -1))
    last = np.flatnonzero(lines[..., 1:] != lines[..., :-1])  # the voxels after which the phase is another one
    line, place = np.divmod(last, max(lines.shape[-1] - 1, 1))
    length = np.diff(last)
    counted = (line[1:] == line[:-1]) & (place[:-1] < own) & (length <= max_length)
    phase = lines.reshape(-1, lines.shape[-1])[line[:-1][counted], place[:-1][counted] + 1]
    codes = phase.astype(np.intp) * (max_length + 1) + length[counted]
    block = np.moveaxis(labels, axis, 0)
    return ChordCounts(
        voxels=count_voxels(block[:own], n_phases),
        ends=count_unlike_along(block[: own + 1], 0, n_phases, False).sum(axis=1),
        chords=np.bincount(codes, minlength=n_phases * (max_length + 1)).reshape(n_phases, -1),
    )


def chords_from(
    counts: Sequence[ChordCounts], shape: Sequence[int], periodic: Sequence[bool], voxel_size: float
) -> ChordLengths:
    """Return ChordLengths from the ChordCounts along each axis of an image of that shape."""
    voxels = int(np.prod(shape))
    ends = np.stack([part.ends for part in counts], axis=1)
    distributions = []
    for (_, found, chords), length, wraps in zip(counts, shape, periodic, strict=True):
        lines = voxels // length
        lengths = np.arange(chords.shape[-1])
        # Places are pairs of voxels for ends, and for a chord what it may begin after.
        places = lines * np.where(wraps, length, np.maximum(length - lengths - 1, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            per_voxel = found / (2 * lines * (length if wraps else length - 1))
            share = chords / places / per_voxel[:, None]
        distributions.append(np.where(chords > 0, share, 0.0))
    return ChordLengths(
        mean=mean_chords_from(counts[0].voxels, ends, shape, periodic) * voxel_size,
        distribution=np.stack(distributions, axis=1),
        counts=np.stack([part.chords for part in counts], axis=1),
        lengths=np.arange(counts[0].chords.shape[-1]) * voxel_size,
    )


def mean_chords_from(
    voxels: np.ndarray, ends: np.ndarray, shape: Sequence[int], periodic: Sequence[bool]
) -> np.ndarray:
    """Return mean chord lengths in voxels, (n, axes), from the voxels of each phase (n,) and the ends of its chords."""
    pairs = [
        math.prod(shape) // length * (length if wraps else length - 1)
        for length, wraps in zip(shape, periodic, strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (voxels / math.prod(shape))[:, np.newaxis] / (ends / (2 * np.array(pairs)))


def _mean(subject: Any) -> np.ndarray:
    ends = [
        count_unlike_along(subject.labels, axis, subject.n_phases, wraps)[:, : subject.n_measured].sum(axis=1)
        for axis, wraps in enumerate(subject.periodic)
    ]
    voxels, shape = count_voxels(subject.labels, subject.n_phases), subject.labels.shape
    return mean_chords_from(voxels, np.stack(ends, axis=1), shape, subject.periodic) * subject.voxel_size


def _count_ends(part: Any) -> np.ndarray:
    """Count the ends of the chords of each phase along each axis that a block has: (n, 3)."""
    ends = [
        count_unlike_along(part.reaching((axis,)), axis, part.n_phases, False)[:, : part.n_measured].sum(axis=1)
        for axis in range(part.labels.ndim)
    ]
    return np.stack(ends, axis=1)


MEAN_CHORD_LENGTH = Measure(
    key="mean_chord_length",
    name="mean chord length",
    unit="µm",
    shape=PER_PHASE_AND_AXIS,
    method="The share of lines along an axis that lies in the phase, over the number of its chords per length, which "
    "is half of the number of ends.",
    of_volume=_mean,
    of_slice=_mean,
    stereology=True,
    on_blocks=OnBlocks(
        count=_count_ends,
        value=lambda ends, whole: (
            mean_chords_from(whole.totals["volume_fraction"], ends, whole.shape, whole.periodic) * whole.voxel_size
        ),
    ),
    # Of the pairs of neighbours, only so many are measured.
    within=lambda values, inside: (
        values["mean_chord_length"][: inside.n] * inside.pairs[:, 1] / inside.share
        if inside.pairs.shape[1] > 1
        else None
    ),
    cost=6,
    mean_of_axes=True,
    bar=0.04,
    section="structure",
    figure="Mean chord lengths",
)
