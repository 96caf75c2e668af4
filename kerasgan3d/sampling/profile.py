"""Values that span a window of the lattice, for requested fractions and blends: a number, a profile, a coarse field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES


def as_nodes(value: Any, what: str) -> np.ndarray:
    """Return a number, a list along z, a dict from one axis's letter to a list, or an array (z, y, x), as (z, y, x).

    Args:
        value: The argument, numbers from 0 to 1.
        what: Its description, for the message.

    Raises:
        ValueError: if the value is none of these.
    """
    if isinstance(value, Mapping):
        if len(value) != 1 or next(iter(value)) not in tuple(AXES):
            raise ValueError(f"{what} must be along one axis of z, y, x. Received: {value!r:.200}.")
        ((letter, values),) = value.items()
        axis = AXES.index(letter)
    else:
        axis, values = 0, value
    try:
        nodes = np.asarray(values, "float64")
    except (TypeError, ValueError, OverflowError):
        nodes = np.full(1, np.nan)
    if nodes.ndim == 1 or isinstance(value, Mapping):
        nodes = nodes.reshape([-1 if i == axis else 1 for i in range(3)])
    elif nodes.ndim == 0:
        nodes = nodes.reshape(1, 1, 1)
    if nodes.ndim != 3 or 0 in nodes.shape or not ((nodes >= 0) & (nodes <= 1)).all():
        raise ValueError(
            f"{what} must be from 0 to 1: a number, a list along an axis, or an array (z, y, x). "
            f"Received: {value!r:.200}."
        )
    return nodes


def named_profile(text: str) -> tuple[str, float | dict[str, list[float]] | None]:
    """Read the text of a name with a number, "pore=0.45", or with a profile, as (name, value).

    "pore=0.3:0.5" is a profile along z, {"z": [0.3, 0.5]}, and "pore=x:0.3:0.5" one along x. The value is None if the
    text has no number, or something else in place of one.
    """
    name, _, after = (part.strip() for part in text.partition("="))
    parts = [part.strip() for part in after.split(":")]
    axis = parts.pop(0) if parts[0] in tuple(AXES) else "z"
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers:
        return name, None
    return name, numbers[0] if len(numbers) == 1 else {axis: numbers}


def at_cells(nodes: np.ndarray, cells: Sequence[int], periodic: Sequence[bool]) -> np.ndarray:
    """Interpolate nodes that span a window at the centres of its cells: (z, y, x), of length 1 where the nodes are.

    The first and last nodes lie at the ends, with linear interpolation between. Along a periodic axis the first node
    follows again after the last, one period on.
    """
    for axis, (count, wraps) in enumerate(zip(cells, periodic, strict=True)):
        nodes = _interpolated(nodes, axis, count, wraps) if nodes.shape[axis] > 1 else nodes
    return nodes


def around(
    values: np.ndarray,
    first: Sequence[int],
    cells: Sequence[int],
    start: Sequence[int],
    shape: Sequence[int],
    period: Sequence[int | None],
) -> np.ndarray:
    """Extend values of a window's cells, (z, y, x, ...), to another window of the lattice.

    Args:
        values: Values, of length 1 along axes on which they do not depend.
        first, cells: First cell (z, y, x) and number of cells of the window that the values belong to.
        start, shape, period: The other window. Outside the first one values continue as at its faces, along periodic
            axes from the beginning again.
    """
    for axis, (begin, n, modulus) in enumerate(zip(start, shape, period, strict=True)):
        places = np.arange(begin, begin + n) - first[axis]
        places = np.clip(places, 0, cells[axis] - 1) if modulus is None else places % modulus
        values = values.take(np.minimum(places, values.shape[axis] - 1), axis)
    return values


def _interpolated(nodes, axis, cells, wraps):
    count = nodes.shape[axis]
    middles = (np.arange(cells) + 0.5) / cells * (count if wraps else count - 1)
    below = np.floor(middles).astype(int)
    share = (middles - below).reshape([-1 if i == axis else 1 for i in range(3)])
    return nodes.take(below % count, axis) * (1 - share) + nodes.take((below + 1) % count, axis) * share
