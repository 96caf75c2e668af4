"""Soft edges: label smoothing in space, which makes real boundaries as soft as a network's own.

A network's probabilities change over a voxel or two where labels jump. Critics that see labels and probabilities mostly
learn to distinguish the two kinds of edges, and the generator responds with roughness. Therefore part of every voxel's
label is given to its neighbours, before slices are cut from a volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerasgan3d.data import LabelledData

FULL = 255  # value of a probability of one
SHARES = (0.15, 0.12, 0.1, 0.07, 0.05, 0.035, 0.02, 0.0)
_IN_MEMORY = 2**29  # bytes of an image whose soft labels are computed once
_BLOCK = 2**22  # voxels that are computed at once
# Largest fraction of a phase's voxels whose most probable phase may change once edges are soft.
_CHANGED = 1e-3


class SoftImage:
    """An image of soft labels: the same indexing, with one more axis for the phases.

    Along each axis in turn, a voxel gives ``share`` of its label to each neighbour inside the image that is not
    excluded; it keeps the part of any other neighbour.

    Args:
        labels: (z, y, x) or (y, x), an array or an object that is indexed like one.
        n_phases: Number of phases.
        share: Fraction of a label that each neighbour receives, from 0 to 1 / 3.
        excluded: Mask of voxels that may not be used: bool, of that shape, an array or an object that is indexed like
            one; or None.
    """

    def __init__(self, labels: Any, n_phases: int, share: float, excluded: Any = None):
        self.labels, self.n_phases, self.share, self.excluded = labels, n_phases, share, excluded
        self.shape, self.ndim, self.size = tuple(labels.shape), labels.ndim, labels.size
        self._whole: np.ndarray | None = None

    def __getitem__(self, window: Sequence[slice]) -> np.ndarray:
        """Return the soft labels of a window of slices (start, stop): uint8 (..., phases), 255 for one."""
        if self._whole is None and isinstance(self.labels, np.ndarray) and self.size * self.n_phases <= _IN_MEMORY:
            whole, rest = np.empty((*self.shape, self.n_phases), "uint8"), tuple(slice(0, n) for n in self.shape[1:])
            rows = max(1, _BLOCK * self.shape[0] // max(1, self.size))
            for first in range(0, self.shape[0], rows):
                block = (slice(first, min(first + rows, self.shape[0])), *rest)
                whole[block] = self._soft(block)
            self._whole = whole
        return self._soft(window) if self._whole is None else self._whole[tuple(window)]

    def _soft(self, window):
        around = tuple(slice(max(0, w.start - 1), min(n, w.stop + 1)) for w, n in zip(window, self.shape, strict=True))
        inner = tuple(slice(w.start - a.start, w.stop - a.start) for w, a in zip(window, around, strict=True))
        labels = np.asarray(self.labels[around])
        usable = None if self.excluded is None else ~np.asarray(self.excluded[around])
        parts = [np.where(labels == k, np.float32(FULL), np.float32(0)) for k in range(self.n_phases)]
        if self.share:
            parts = [_shared(part, np.float32(self.share), usable) for part in parts]
        return np.stack([np.rint(part[inner]).astype("uint8") for part in parts], axis=-1)


def softened(data: LabelledData, share: float) -> LabelledData:
    """Return the same data as soft images, from which samplers draw windows (..., phases)."""
    assert data.n_phases is not None
    pairs = zip(data.images, data.excluded, strict=True)
    images: Any = tuple(SoftImage(image, data.n_phases, share, beside) for image, beside in pairs)
    return replace(data, images=images)


def largest_share(data: LabelledData, size: int, count: int = 8, seed: int = 0) -> tuple[float, list[float]]:
    """Find the largest share that preserves the most probable phase of the data's voxels, measured on random crops.

    Args:
        data: The LabelledData.
        size: Largest edge length of the crops in voxels.
        count: Number of crops.
        seed: Non-negative int.

    Returns:
        The share, one of ``SHARES``; and for each phase the fraction of its voxels whose most probable phase changes.
    """
    crops = data.random_crops(min(size, data.smallest), count, seed)
    n = data.n_phases or 1
    totals = np.sum([np.bincount(crop.ravel(), minlength=n) for crop in crops], axis=0)
    for share in SHARES:
        changed = np.zeros(n)
        for crop in crops:
            likeliest = SoftImage(crop, n, share)[tuple(slice(0, m) for m in crop.shape)].argmax(-1)
            changed += np.bincount(crop[likeliest != crop], minlength=n)
        changed /= np.maximum(totals, 1)
        if changed.max() <= _CHANGED:
            return share, changed.tolist()
    return 0.0, [0.0] * n


def _shared(part, share, usable):
    """Return one phase's values after each voxel has given its share along each axis."""
    for axis in range(part.ndim):
        low = tuple(slice(None, -1) if i == axis else slice(None) for i in range(part.ndim))
        high = tuple(slice(1, None) if i == axis else slice(None) for i in range(part.ndim))
        flow = share * (part[high] - part[low])
        if usable is not None:
            flow = flow * (usable[high] & usable[low])
        part = part.copy()
        part[low] += flow
        part[high] -= flow
    return part
