"""Comparison of the structure across the joint of known and generated voxels with that of the known part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_LAGS = (2, 4, 8, 16)  # voxels, of the two-point correlation S2


def joint_statistics(
    labels: np.ndarray, known: np.ndarray, phases: Sequence[str], near: int
) -> list[dict[str, str | float | None]]:
    """Compare the structure across the joint with that within the known part.

    Label changes are the fraction of neighbours along an axis that differ, S2 that of pairs at a distance along an axis
    that are both in a phase; across the joint one of the two is known and the other generated. Volume fractions at the
    joint are those of generated voxels within ``near`` of known ones. Standard errors follow from blocks of twice
    ``near`` voxels per side, which are taken as independent.

    Args:
        labels: uint8 (z, y, x).
        known: bool (z, y, x).
        phases: Names of the phases.
        near: Voxels.

    Returns:
        A dict for each measure: "measure", and "joint", "known" and "generated", what it is across the joint, within
        the known part and within the generated one; "deviations", by how many standard errors the first two differ.
        None where there is nothing to measure.
    """
    blocks = _blocks(labels.shape, 2 * near)
    changes, pairs = _Shares(blocks), {(i, lag): _Shares(blocks) for i in range(len(phases)) for lag in _LAGS}
    for axis in range(3):
        for lag in (1, *_LAGS):
            if lag >= labels.shape[axis]:
                continue
            one, other = (_cut(axis, slice(None, -lag)), _cut(axis, slice(lag, None)))
            a, b, sides = labels[one], labels[other], known[one].astype("int8") + known[other]
            for side, kind in ((1, "joint"), (2, "known"), (0, "generated")):
                where = sides == side
                first, second, place = a[where], b[where], blocks[one][where]
                if lag == 1:
                    changes.add(kind, place, first != second)
                    continue
                for phase in range(len(phases)):
                    pairs[phase, lag].add(kind, place, (first == phase) & (second == phase))
    rows = [changes.row("label changes")]
    parts = {"joint": ~known & _near(known, near), "known": known, "generated": ~known}
    for phase, name in enumerate(phases):
        shares = _Shares(blocks)
        for kind, where in parts.items():
            shares.add(kind, blocks[where], labels[where] == phase)
        rows.append(shares.row(f"fraction {name}"))
    rows += [shares.row(f"S2 {phases[i]} at {lag}") for (i, lag), shares in pairs.items()]
    return rows


class _Shares:
    """Fractions of pairs or voxels on the sides of a joint, counted block by block."""

    def __init__(self, blocks):
        self._count, self._sums = int(blocks.max()) + 1, {}

    def add(self, kind, place, hits):
        """Add voxels or pairs that lie in blocks ``place`` (n,), of which some are hits (n,)."""
        sums = self._sums.setdefault(kind, np.zeros((2, self._count)))
        sums[0] += np.bincount(place, hits, self._count)
        sums[1] += np.bincount(place, minlength=self._count)

    def row(self, measure) -> dict[str, Any]:
        """Return the fractions, and the difference of joint and known part in standard errors."""
        found = {kind: _share(*self._sums.get(kind, np.zeros((2, 1)))) for kind in ("joint", "known", "generated")}
        (a, error), (b, other) = found["joint"], found["known"]
        sure = None if error is None or other is None else math.hypot(error, other)
        shares = {kind: share for kind, (share, _) in found.items()}
        return {"measure": measure, **shares, "deviations": (a - b) / sure if sure else None}


def _share(hits: np.ndarray, count: np.ndarray) -> tuple[Any, float | None]:
    """Return the fraction over all blocks, and its standard error as that of a ratio; None without a value."""
    if not count.sum():
        return None, None
    share, n = float(hits.sum() / count.sum()), int(np.count_nonzero(count))
    if n < 2:
        return share, None
    return share, float(np.sqrt(n / (n - 1) * np.square(hits - share * count).sum()) / count.sum())


def _blocks(shape, edge):
    """Return the index of the block that contains each voxel: integers (z, y, x)."""
    counts = [-(-n // edge) for n in shape]
    z, y, x = np.ix_(*(np.arange(n) // edge for n in shape))
    return (z * counts[1] + y) * counts[2] + x


def _near(known, distance):
    """Return a mask of voxels with a known one within a box of ``near`` voxels on each side."""
    from scipy.ndimage import maximum_filter

    return maximum_filter(known.astype("uint8"), 2 * distance + 1, mode="constant").astype(bool)


def _cut(axis, part):
    return (slice(None),) * axis + (part,)
