"""Granulometry: the fraction of a phase covered by balls of some radius that fit into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import check_voxel_size
from kerasgan3d.metrics._halo import check_image, with_halo
from kerasgan3d.metrics._measure import SIZE_CURVES, Measure, OnBlocks
from kerasgan3d.volume import Volume

EDGES = ("inner", "open")
MAX_RADIUS = 128  # voxels; the work grows with the square of the radius
_DEFAULT_RADIUS = 16  # voxels: with 0.4 µm each, beyond it a tenth of a cathode's particles is left


def granulometry(
    volume: Volume | ArrayLike,
    radii: ArrayLike | None = None,
    edges: str = "inner",
    *,
    voxel_size: float | None = None,
    periodic=None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return the fraction of each phase covered by balls of given radii that fit into it: openings by balls.

    G(r) = |X o B_r| / |X|, with X the voxels of the phase and X o B_r its opening, the union of all balls B_r within X
    (Matheron, Random Sets and Integral Geometry, 1975; Serra, Image Analysis and Mathematical Morphology, 1982,
    chapter 10; Soille, Morphological Image Analysis, 2003, section 4.4).

    **The ball** of radius r is the voxels whose centres are no farther than r from that of its own: {o: |o| <= r}. It
    fits around a voxel if the nearest voxel of other phases is farther than r, centre to centre; a voxel lies in a
    ball if one that fits is no farther than r. These are the two exact Euclidean distance transforms of the textbook,
    thresholded, and r need not be whole: 1 has 7 voxels, 1.5 has 19, 2 has 33; 0 and 0.5 have one, and G is 1.

    **Edges.** Periodic axes wrap. At a face that is not periodic, ``"inner"`` counts only voxels at least 2 floor(r)
    voxels from it, so that no ball around them can extend beyond the face. The outside then has no influence, G is
    unbiased, and sub-volumes have the value of the whole on average, each weighted by the voxels that it counts. This
    needs sufficiently large volumes: for r = 14 those of 96³ count 40³ voxels, those of 64³ only 8³. ``"open"`` counts
    all voxels, and lets balls centred inside extend beyond the face as if the phase continued there. The result is too
    small, as a particle at a face has lost a part, but varies less between sub-volumes: compare only volumes of one
    shape.

    **Discretisation.** A discrete ball is not a union of smaller ones, which cannot reach all of its caps: for a single
    perfect ball of radius 10, G is 0.9 for r from 8 to 9.5 and 1 again for 10. G may therefore rise from one radius to
    the next (with ``"inner"`` also because the counted voxels differ). With many shapes it falls evenly; in a cathode
    it is up to 0.025 less than the fraction covered by the largest balls, of any radius from r, around all voxels
    ("local thickness"). Since balls are centred on voxels, the step of a single ball is at its radius if it is centred
    on a voxel too, and otherwise up to 0.9, on average 0.4 voxels below.

    In a slice the balls are discs. Their G is not that of balls: a slice cuts particles off their centres, and shows
    necks between particles that it does not pass through. Compare slices only with slices.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        radii: Radii in voxels, from 0 to 128, whole or not, increasing; default: 0, 1, 2 ... 16, as far as a quarter
            of the smallest dimension (half of it, where it is periodic).
        edges: ``"inner"`` or ``"open"``: treatment of faces that are not periodic.
        voxel_size: Not used, as shares have no unit: taken so that all measures can be called alike.
        periodic: One bool, or three (z, y, x), or two for a slice; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n, radii), dimensionless, 0 to 1; NaN where no voxel of the phase is counted.

    Raises:
        ValueError: If the radii, the edges or another argument are none of these.

    Example:
        >>> import numpy as np
        >>> slab = np.zeros((40, 40, 40), int)
        >>> slab[:5] = 1
        >>> granulometry(slab, [0, 1, 2, 2.5, 3], periodic=True)[1]  # 5 voxels thick
        array([1., 1., 1., 1., 0.])
    """
    checked = check_image(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    radii = default_radii(checked.labels.shape, checked.periodic) if radii is None else check_radii(radii)
    check_edges(edges)
    labels, own = with_halo(checked.labels, checked.periodic, reach_of(radii))
    return granulometry_from(count_openings(labels, own, radii, checked.phases, edges))


def default_radii(shape: Sequence[int], periodic: Sequence[bool]) -> tuple[float, ...]:
    """Return 0, 1, 2 ... 16 voxels, fewer where an image is so small that no voxel would be counted."""
    largest = min((size - 1) // (2 if wraps else 4) for size, wraps in zip(shape, periodic, strict=True))
    return tuple(map(float, range(min(largest, _DEFAULT_RADIUS) + 1)))


def check_radii(radii: ArrayLike) -> tuple[float, ...]:
    """Return radii as floats.

    Raises:
        ValueError: If they are not one or more increasing numbers from 0 to 128.
    """
    try:
        values = np.asarray(radii, float)
    except (TypeError, ValueError):
        values = np.empty(0)
    in_range = bool(np.all((values >= 0) & (values <= MAX_RADIUS)))
    if values.ndim != 1 or values.size == 0 or not in_range or np.any(np.diff(values) <= 0):
        raise ValueError(f"`radii` must be increasing numbers from 0 to {MAX_RADIUS}, in voxels. Received: {radii!r}.")
    return tuple(values.tolist())


def check_edges(edges: str) -> str:
    """Return the checked treatment of faces that are not periodic, ``"inner"`` or ``"open"``.

    Raises:
        ValueError: If it is neither.
    """
    if edges not in EDGES:
        raise ValueError(f"`edges` must be one of {', '.join(map(repr, EDGES))}. Received: {edges!r}.")
    return edges


def reach_of(radii: Sequence[float]) -> int:
    """Return the number of voxels around a block that decide which of its own lie in balls: a ball's diameter."""
    return 2 * math.floor(max(radii))


def count_openings(
    labels: np.ndarray, own: tuple[slice, ...], radii: Sequence[float], n_phases: int, edges: str = "inner"
) -> np.ndarray:
    """Count, for each phase and radius, a block's voxels that lie in balls, and those that could: exact numbers.

    Sums over the blocks of a volume are the numbers of the whole.

    Args:
        labels: Integer array, of three or two dimensions: the block and what lies around it, `reach_of` voxels on every
            side or as far as the volume goes.
        own: Slices of `labels` that are the block.
        radii: In voxels.
        n_phases: Number of phases n.
        edges: As for `granulometry`.

    Returns:
        int64 array (2, n, radii): voxels of the phase in balls, and voxels of the phase that were looked at.
    """
    # A side with less than the reach around the block is a face of the volume. Elsewhere there is so much around it
    # that its own voxels are all far enough from the sides: one rule holds for all sides.
    margins = [2 * math.floor(radius) if edges == "inner" else 0 for radius in radii]
    windows = [_away_from_sides(own, labels.shape, margin) for margin in margins]
    counts = np.zeros((2, n_phases, len(radii)), np.int64)
    for phase in range(n_phases):
        inside = labels == phase
        counts[1, phase] = [np.count_nonzero(inside[window]) for window in windows]
        bits, outside = _packed(inside), _packed(~inside)
        for index, (radius, window) in enumerate(zip(radii, windows, strict=True)):
            centres = bits & ~_dilated(outside, radius) if counts[1, phase, index] else np.zeros_like(bits)
            if centres.any():
                balls = _unpacked(bits & _dilated(centres, radius), labels.shape)
                counts[0, phase, index] = np.count_nonzero(balls[window])
    return counts


def granulometry_from(counts: np.ndarray) -> np.ndarray:
    """Return the fractions (n, radii) from the numbers that `count_openings` returns."""
    with np.errstate(invalid="ignore"):
        return counts[0] / counts[1]


@dataclass(frozen=True, eq=False)
class SizeDistribution:
    """Size distribution of phases by granulometry; made by `size_distribution`.

    Sizes are radii of n phases, in µm where a voxel size is given and else in voxels: each voxel has that of the
    largest fitting ball around it, so that sizes are weighted by volume.

    Attributes:
        mean: (n,), with sizes beyond the largest radius taken as that: a lower bound where `beyond` is not 0.
        p10, p50, p90: (n,), the sizes that 10, 50 and 90 % of the phase stay below; NaN beyond the largest radius.
        beyond: (n,), the fraction of the phase that lies in balls of the largest radius.
    """

    mean: np.ndarray
    p10: np.ndarray
    p50: np.ndarray
    p90: np.ndarray
    beyond: np.ndarray


def size_distribution(
    shares: ArrayLike, radii: ArrayLike | None = None, *, voxel_size: float | None = None
) -> SizeDistribution:
    """Return mean and percentiles of the sizes of particles, or pores, that a granulometry implies.

    1 - G(r) is the fraction of the phase with sizes below r, which requires no separation of particles. The mean is the
    integral of G over r, with linear interpolation between radii; where G rises from one radius to the next, it is
    taken as constant. Radii at which G is NaN are ignored.

    Args:
        shares: What `granulometry` returned: (n, radii).
        radii: The radii of it, in voxels; default: 0, 1, 2 ..., as there.
        voxel_size: Edge length of a voxel in µm; default: sizes are in voxels.

    Returns:
        SizeDistribution; NaN for a phase without values.

    Raises:
        ValueError: If there are not as many radii as shares, or an argument is invalid.
    """
    curves = np.asarray(shares, float)
    lengths = None if radii is None else check_radii(radii)
    if curves.ndim != 2 or 0 in curves.shape or (lengths is not None and curves.shape[1] != len(lengths)):
        rule = "(phases, radii)" if lengths is None else f"(phases, radii) with {len(lengths)} radii"
        raise ValueError(f"`shares` must be {rule}. Received an array of shape {curves.shape}.")
    lengths = np.arange(curves.shape[1]) if lengths is None else np.array(lengths)
    scale = check_voxel_size(voxel_size) or 1.0
    rows = np.array([_sizes(curve, lengths * scale) for curve in curves]).reshape(-1, 5)
    return SizeDistribution(*rows.T)


def _sizes(curve: np.ndarray, radii: np.ndarray) -> list[float]:
    """Return mean, three percentiles and the fraction beyond the largest radius of one curve."""
    told = ~np.isnan(curve)
    if not told.any():
        return [math.nan] * 5
    # Everything lies in balls of radius 0.
    radii, falling = np.append(0.0, radii[told]), np.minimum.accumulate(np.append(1.0, curve[told]))
    percentiles = [
        float(np.interp(left, falling[::-1], radii[::-1])) if falling[-1] <= left else math.nan
        for left in (0.9, 0.5, 0.1)
    ]
    return [float(np.trapezoid(falling, radii)), *percentiles, float(falling[-1])]


def _away_from_sides(own: tuple[slice, ...], shape: Sequence[int], margin: int) -> tuple[slice, ...]:
    """Return the part of a block's own voxels at least some number of voxels from the window's sides."""
    starts = [max(part.start, margin) for part in own]
    stops = [min(part.stop, size - margin) for part, size in zip(own, shape, strict=True)]
    return tuple(slice(start, max(start, stop)) for start, stop in zip(starts, stops, strict=True))


# Sets of voxels as bits: 64 voxels along x are one integer, and a ball is a stack of intervals along x.


def _packed(mask: np.ndarray) -> np.ndarray:
    """Return a mask (y, x) or (z, y, x) as bits: uint64 (z, y, words)."""
    mask = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)
    mask = np.ascontiguousarray(np.pad(mask, [(0, 0), (0, 0), (0, -mask.shape[-1] % 64)]))
    return np.packbits(mask, axis=-1, bitorder="little").view("<u8")


def _unpacked(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return bits as a mask of some shape."""
    voxels = np.unpackbits(bits.view(np.uint8), axis=-1, count=shape[-1], bitorder="little")
    return voxels.reshape(shape).view(bool)


def _dilated(bits: np.ndarray, radius: float) -> np.ndarray:
    """Return the bits within a radius of one that is set, as by the exact distance transform."""
    square = math.floor(radius**2 + 1e-9)  # squares of distances are whole; 1e-9 is for radii that are square roots
    reach = math.isqrt(square)
    rows = [bits]  # by half their length, the intervals along x around every bit
    for _ in range(reach):
        rows.append(_widened(rows[-1]))
    found = np.zeros_like(bits)
    for z in range(min(reach, len(bits) - 1) + 1):
        disc = rows[math.isqrt(square - z**2)].copy()
        for y in range(1, math.isqrt(square - z**2) + 1):
            row = rows[math.isqrt(square - z**2 - y**2)]
            disc[:, y:] |= row[:, :-y]
            disc[:, :-y] |= row[:, y:]
        found[z:] |= disc[: len(bits) - z]
        if z:
            found[:-z] |= disc[z:]
    return found


def _widened(bits: np.ndarray) -> np.ndarray:
    """Return the bits that are set or whose neighbour along x is."""
    one, last = np.uint64(1), np.uint64(63)
    wide = bits | bits << one | bits >> one
    wide[..., 1:] |= bits[..., :-1] >> last
    wide[..., :-1] |= bits[..., 1:] << last
    return wide


def _of(subject: Any) -> np.ndarray:
    return granulometry(subject.labels, **subject.options)


def _radii_of(plan: Any) -> tuple[float, ...]:
    return default_radii(plan.shape, plan.periodic)


def _count_of_block(part: Any) -> np.ndarray:
    radii = _radii_of(part.plan)
    labels, own = part.around(reach_of(radii))
    return count_openings(labels, own, radii, part.n_phases)


GRANULOMETRY = Measure(
    key="granulometry",
    name="granulometry",
    unit="1",
    shape=SIZE_CURVES,
    method="The share of the phase that lies in balls of radius r which fit into it, of slices in discs; they may "
    "reach out of sub-volumes. Curves are ratios of means over all samples.",
    of_volume=_of,
    of_slice=_of,
    # Of one shape, and varying less.
    of_sub_volume=lambda subject: (
        np.nan_to_num(granulometry(subject.labels, edges="open", **subject.options))
        * subject["volume_fraction"][:, np.newaxis]
    ),
    on_blocks=OnBlocks(
        count=_count_of_block,
        value=lambda counts, _: granulometry_from(counts),
        margin=lambda plan: reach_of(_radii_of(plan)),
    ),
    needs=frozenset({"shapes"}),
    cost=400,
    label="share in balls of radius",
    label_of_slice="share in discs of radius",
    decimals=3,
    bar=0.12,
    monitored=True,
)
