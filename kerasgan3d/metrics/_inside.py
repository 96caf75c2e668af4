"""Measures of a part of an image: excluded voxels become an additional phase, and the measures of the part follow."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.checks import box_window
from kerasgan3d.io.lazy import LazyArray, lazy
from kerasgan3d.phases import MAX_PHASES


class Inside(NamedTuple):
    """The measured part of an image.

    Attributes:
        n: The number of its phases.
        share: Its share of all voxels.
        pairs: For each axis and lag the share of the pairs of voxels of which both are measured: (axes, lags).
        straight: For each axis whether all slices normal to it are measured at the same places.
    """

    n: int
    share: float
    pairs: np.ndarray
    straight: tuple[bool, ...]

    def along_straight(self, values: np.ndarray) -> np.ndarray:
        """Return values per phase and axis of the phases that are measured, NaN along axes that are not straight."""
        return np.where(self.straight, values[: self.n], np.nan)


def excluded_last(
    labels: Any, names: tuple[str, ...], mask: Any, exclude: Any
) -> tuple[np.ndarray | LazyArray, tuple[str, ...]]:
    """Return labels whose last phase is the excluded part, and the names of the other phases.

    Args:
        labels: of all phases, an array or what lies elsewhere.
        names: of all phases.
        mask: bool or integers, of the labels' shape or, for all slices of a volume, of one: 0 is not measured; or None.
        exclude: boxes, one (start, stop) or None per axis, and phases by name or index.

    Raises:
        ValueError: if one of these is not as above, or nothing is left.
    """
    boxes, phases = [], set()
    for each in [exclude] if isinstance(exclude, str | numbers.Integral) else exclude:
        if each in names or (isinstance(each, numbers.Integral) and 0 <= int(each) < len(names)):
            phases.add(names.index(each) if isinstance(each, str) else int(each))
        elif isinstance(each, str | numbers.Integral):
            raise ValueError(f"`exclude` must name phases, {', '.join(names)}, or boxes. Received: {each!r}.")
        else:
            boxes.append(box_window(each, labels.shape))
    kept = tuple(name for index, name in enumerate(names) if index not in phases)
    if not kept or len(kept) == MAX_PHASES:
        raise ValueError(f"`exclude` must leave 1 to {MAX_PHASES - 1} phases. Received: {len(kept)} of {len(names)}.")
    shape = tuple(labels.shape)
    if mask is not None and tuple(mask.shape) not in (shape, shape[1:]):
        raise ValueError(
            f"`mask` must have the shape of what is measured, {' x '.join(map(str, shape))}. Received: "
            f"{' x '.join(map(str, mask.shape))}."
        )
    table = np.array([kept.index(name) if name in kept else len(kept) for name in names], np.uint8)
    used = None if mask is None else lazy(mask)

    def read(window):
        block = table[np.asarray(labels[window])]
        for box in boxes:
            parts = zip(box, window, strict=True)
            block[tuple(slice(max(0, a.start - b.start), max(0, a.stop - b.start)) for a, b in parts)] = len(kept)
        if used is not None:
            block[np.broadcast_to(used[window[-used.ndim :]] == 0, block.shape)] = len(kept)
        return block

    found = LazyArray(shape, np.uint8, read)
    return (np.asarray(found) if isinstance(labels, np.ndarray) else found), kept
