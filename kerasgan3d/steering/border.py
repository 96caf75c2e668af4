"""Correction of generated voxels beside known ones, so that surfaces continue across the joint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from kerasgan3d.sampling.scan import UNKNOWN, Scan

_ROUNDS = 22  # steps of the correction; after more of them, fewer labels change across a joint than elsewhere
_DOUBT = 0.1  # divisor of logits, as at the end of a fit
HOW = (_ROUNDS, _DOUBT)  # what a kept fit depends on
_MOST_VOXELS = 80  # per side of what is corrected at once


def weights_of(labels: np.ndarray, beyond: Sequence[tuple[bool, bool]], reach: int, depth: float) -> np.ndarray:
    """Return the weight of each known voxel: 1 where it touches a generated one, decreasing with distance.

    Args:
        labels: uint8 (z, y, x), ``UNKNOWN`` where a voxel is generated.
        beyond: For each axis, whether there is something to generate below and above the box.
        reach: Voxels; known ones that are farther from what is generated do not count.
        depth: Voxels along which the weight falls to 1/e.

    Returns:
        float32 (z, y, x), 0 where nothing is known.
    """
    from scipy.ndimage import distance_transform_cdt

    known = np.ones([n + 2 for n in labels.shape], bool)
    # The layer around the box is generated where it lies within what is sampled.
    within = [np.r_[low, np.ones(n, bool), high] for n, (low, high) in zip(labels.shape, beyond, strict=True)]
    known[np.ix_(*within)] = False
    known[1:-1, 1:-1, 1:-1] = labels != UNKNOWN
    distance = distance_transform_cdt(known, "chessboard")[1:-1, 1:-1, 1:-1]
    weights = np.exp((1 - distance) / depth).astype("float32")
    weights[(distance < 1) | (distance > reach)] = 0
    return weights


def border_of(
    logits: Callable[[np.ndarray, np.ndarray], np.ndarray],
    scan: Scan,
    beyond: Sequence[tuple[bool, bool]],
    period: Sequence[int | None],
    stride: int,
) -> np.ndarray:
    """Return the labels of generated voxels that change so that the structure continues the known voxels.

    A fit does not reproduce all known voxels. Where it does not, surfaces would end at the joint. A smooth correction
    of the logits makes nearly all of them right. It acts on the generated side too and ends within half a stride.

    Args:
        logits: A function from (start, shape) to the generator's logits in that window of the structure, in multiples
            of their standard deviation: float32 (z, y, x, phases).
        scan: The scan with its fitted latents.
        beyond: As for `weights_of`.
        period: Period per axis in voxels, or None along axes that are not periodic.
        stride: The generator's stride in voxels.

    Returns:
        uint8, half a stride wider than the scan at each face; ``UNKNOWN`` where nothing changes.
    """
    rim, shape = stride // 2, scan.labels.shape
    border = np.full([n + 2 * rim for n in shape], UNKNOWN, "uint8")
    ends = [  # of what may change; along periodic axes from where the border begins, and no voxel twice
        (-rim * (low or p is not None), n + rim * high if p is None else min(n + rim * high, p - rim))
        for n, p, (low, high) in zip(shape, period, beyond, strict=True)
    ]
    edges = [-(-(b - a) // -(-(b - a) // _MOST_VOXELS)) for a, b in ends]
    for corner in product(*(range(a, b, edge) for (a, b), edge in zip(ends, edges, strict=True))):
        first = np.array(corner) - rim
        window = np.minimum(np.add(corner, edges), [b for _, b in ends]) + rim - first
        known = scan.known(first.tolist(), window.tolist(), period)
        inner = tuple(slice(rim, n - rim) for n in window)
        if (known[inner] == UNKNOWN).any() and (known != UNKNOWN).any():
            found = _changed(logits(first, window), known, rim, stride / 8)[inner]
            border[tuple(slice(a + rim, a + rim + n) for a, n in zip(corner, found.shape, strict=True))] = found
    return border


def _changed(logits, known, reach, depth):
    """Return the labels (z, y, x) of generated voxels that a correction of the logits changes, else ``UNKNOWN``.

    The correction descends the weighted cross-entropy of the known voxels within ``reach`` voxels of generated ones.
    Its steps are gradients smoothed by a Gaussian of ``depth`` voxels (functional gradient descent: Mason et al.,
    NeurIPS 12, 1999), with Nesterov's momentum. Because it stops early, it stays small.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.special import softmax

    weights = weights_of(known, [(False, False)] * 3, reach, depth)[..., np.newaxis]
    wanted = known[..., np.newaxis] == np.arange(logits.shape[-1])
    found = ahead = np.zeros_like(logits)
    for i in range(_ROUNDS):
        missing = weights * (wanted - softmax((logits + ahead) / _DOUBT, axis=-1))
        # The second derivative of the cross-entropy is at most 1 / (2 _DOUBT), and smoothing does not increase it.
        step = 2 * _DOUBT * gaussian_filter(missing, (depth, depth, depth, 0), mode="nearest")
        found, last = ahead + step, found
        ahead = found + i / (i + 3) * (found - last)
    before, after = logits.argmax(-1), (logits + found).argmax(-1)
    return np.where((known == UNKNOWN) & (after != before), after, UNKNOWN).astype("uint8")
