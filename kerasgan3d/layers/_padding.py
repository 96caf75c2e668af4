"""Helpers of the layers: the three kinds of boundary, and cropping."""

from collections.abc import Sequence
from typing import Any

from kerasgan3d.checks import check_count

PADDINGS = ("valid", "circular", "zeros")


def check_padding(padding: Any) -> str:
    """Return ``padding`` if it is one of "valid", "circular" and "zeros"; raise ValueError otherwise."""
    if padding not in PADDINGS:
        raise ValueError(f"`padding` must be one of {', '.join(map(repr, PADDINGS))}. Received: {padding!r}.")
    return padding


def check_filters(filters: Any) -> int:
    """Return ``filters`` if it is a positive int; raise ValueError otherwise."""
    return check_count(filters, "filters")


def crop(x: Any, n: int) -> Any:
    """Remove ``n`` voxels from both ends of the three spatial axes of ``x``: (batch, z, y, x, channels)."""
    if n == 0:
        return x
    from keras import ops

    batch, *spatial, channels = ops.shape(x)
    # Several times faster than indexing in training: TensorFlow's gradient of a cropping layer is a padding.
    return ops.slice(x, (0, n, n, n, 0), (batch, *(length - 2 * n for length in spatial), channels))


def pad_circular(x: Any, padding: Sequence[tuple[int, int]]) -> Any:
    """Continue ``x``: (batch, z, y, x, channels) periodically, by ((before, after), ...) voxels per spatial axis.

    Any width is allowed: where it exceeds the volume, the volume is repeated as often as necessary.
    """
    from keras import ops

    for axis, (before, after) in enumerate(padding, start=1):
        if before == 0 and after == 0:
            continue
        n = x.shape[axis]
        if n is not None and before <= n and after <= n:
            head = _take(x, axis, -before, None) if before else None
            tail = _take(x, axis, None, after) if after else None
            x = ops.concatenate([part for part in (head, x, tail) if part is not None], axis=axis)
        else:
            # The size may be known only when the graph runs, and may be smaller than the padding.
            n = ops.shape(x)[axis]
            x = ops.take(x, ops.mod(ops.arange(-before, n + after, dtype="int32"), n), axis=axis)
    return x


def _take(x, axis, start, stop):
    return x[(slice(None),) * axis + (slice(start, stop),)]
