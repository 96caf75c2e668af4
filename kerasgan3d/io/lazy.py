"""Lazy arrays: windows are read, or computed, on demand."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_BLOCK_BYTES = 1 << 26


class LazyArray:
    """An array of which only the requested windows are read.

    Indexing takes one slice of step 1 or one integer per axis (omitted ones at the end are whole axes) and returns
    NumPy arrays; ``np.asarray`` reads all of it. Arrays derived from it are lazy too.

    Args:
        shape: Its shape.
        dtype: Its type.
        read: A function from a window, one non-empty slice (start, stop) per axis within the array, to an array of that
            shape.
        depth: The edge of a chunk along the first axis: reading less takes as long.
        whole: A function that reads all of it faster than ``read``; or None.
        reopen: (function, arguments) that create it again in another process; without them, its values are sent there.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        read: Callable[[tuple[slice, ...]], np.ndarray],
        *,
        depth: int = 1,
        whole: Callable[[], np.ndarray] | None = None,
        reopen: tuple[Callable, tuple] | None = None,
    ):
        self.shape, self.dtype, self.depth = tuple(map(int, shape)), np.dtype(dtype), depth
        self._read, self._whole, self._reopen = read, whole, reopen

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def reopens(self) -> bool:
        """Whether another process creates the array again instead of receiving its values."""
        return self._reopen is not None

    def __getitem__(self, window: Any) -> np.ndarray:
        window = window if isinstance(window, tuple) else (window,)
        window += (slice(None),) * (self.ndim - len(window))
        places = tuple(_place(part, length) for part, length in zip(window, self.shape, strict=True))
        lengths = [place.stop - place.start for place in places]
        block = np.asarray(self._read(places)) if 0 not in lengths else np.empty(lengths, self.dtype)
        return block[tuple(slice(None) if isinstance(part, slice) else 0 for part in window)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self[()] if self._whole is None else self._whole()
        return np.array(values, dtype=dtype, copy=copy)

    # Without this, Python would iterate by indexing with one integer at a time.
    __iter__ = None

    def __reduce__(self):
        return self._reopen or (np.asarray, (np.asarray(self),))

    def map(self, function: Callable[[np.ndarray], np.ndarray], dtype: Any, reopen: Any = None) -> LazyArray:
        """Return the array with an elementwise function applied to every window that is read."""
        read, whole = self._read, self._whole
        return LazyArray(
            self.shape,
            dtype,
            lambda window: function(read(window)),
            depth=self.depth,
            whole=whole and (lambda: function(whole())),
            reopen=reopen,
        )

    def take(self, indices: Sequence[np.ndarray]) -> LazyArray:
        """Return the elements at ascending indices along each axis, selected as by `np.ix_`."""

        def read(window):
            wanted = [part[place] for part, place in zip(indices, window, strict=True)]
            block = self[tuple(slice(int(part[0]), int(part[-1]) + 1) for part in wanted)]
            return block[np.ix_(*(part - part[0] for part in wanted))]

        return LazyArray([len(part) for part in indices], self.dtype, read)

    def plane(self, k: int) -> LazyArray:
        """Return the plane of index `k` along the first axis."""
        return LazyArray(self.shape[1:], self.dtype, lambda window: self[(k, *window)])


def lazy(array: Any) -> LazyArray:
    """Return an object with shape, dtype and indexing as a LazyArray."""
    if isinstance(array, LazyArray):
        return array
    return LazyArray(array.shape, array.dtype, array.__getitem__, depth=getattr(array, "depth", 1))


def windows(array: Any) -> list[tuple[slice, ...]]:
    """Divide an array, lazy or not, into windows of whole planes of some 64 MB, in order, for work in passes.

    Args:
        array: An object with shape and dtype, and `depth` where it is stored in chunks: their first edge.

    Returns:
        List of tuples of slices that cover the array.
    """
    plane = max(1, math.prod(array.shape[1:]) * np.dtype(array.dtype).itemsize)
    depth = getattr(array, "depth", 1)
    step = max(1, _BLOCK_BYTES // plane // depth) * depth
    rest = tuple(slice(0, n) for n in array.shape[1:])
    return [(slice(first, min(first + step, array.shape[0])), *rest) for first in range(0, array.shape[0], step)]


def _place(part: Any, length: int) -> slice:
    """Return the range of an axis that a slice or an integer selects."""
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        if step != 1:
            raise IndexError(f"slices must have the step 1. Received: {part}.")
        return slice(start, max(start, stop))
    index = operator.index(part)
    if not -length <= index < length:
        raise IndexError(f"indices must lie within the {length} places of an axis. Received: {index}.")
    return slice(index % length, index % length + 1)
