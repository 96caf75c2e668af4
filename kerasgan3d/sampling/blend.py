"""Blends: one structure between those of two seeds, everywhere or from here to there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES, check_seed
from kerasgan3d.sampling.generate import Field
from kerasgan3d.sampling.profile import around, as_nodes, at_cells

_T = "t of a `blend`"
_DIGITS = 6  # of t
# Of sin(pi u / 2) / u in powers of u^2: sums and products alone, so that machines agree. Good to 1e-16 up to u = 1.
_SINE = [np.prod([-((np.pi / 2) ** 2) / (2 * k * (2 * k + 1)) for k in range(1, n + 1)]) for n in range(12)]


class BlendedField:
    """Two fields in the place of one: cos(t pi / 2) of the first and sin(t pi / 2) of the second.

    Of two independent normal fields that is a normal field with the same covariances, whatever t; a straight line
    between them is not: it would shrink the norm. Where t is 0 it is the first field, where t is 1 the second, to the
    bit.

    Args:
        one, other: The fields.
        t: (z, y, x), from 0 to 1, at the cells of a window; of length 1 along axes that it is constant along.
        first, cells: Where the window begins (z, y, x), and its cells. Beyond it t goes on as at its faces.
        channels: How many channels are blended; those after them, which both fields have alike, are the first's.
            None for all.
    """

    def __init__(
        self,
        one: Field,
        other: Field,
        t: np.ndarray,
        first: Sequence[int] = (0, 0, 0),
        cells: Sequence[int] = (1, 1, 1),
        channels: int | None = None,
    ):
        self._fields, self._channels = (one, other), channels
        self._shares, self._first, self._cells = (_sine(1 - t), _sine(t)), tuple(first), tuple(cells)

    def window(
        self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None] = (None, None, None)
    ) -> np.ndarray:
        """The values of a window of the lattice: as `LatentField.window`, float32 (z, y, x, channels)."""
        values, other = (field.window(start, shape, period) for field in self._fields)
        a, b = (around(s, self._first, self._cells, start, shape, period)[..., np.newaxis] for s in self._shares)
        blended = slice(self._channels)
        values[..., blended] = a * values[..., blended] + b * other[..., blended]
        return values


def asked_blend(blend: Any, size: Sequence[int], cells: Sequence[int], periodic: Sequence[bool]) -> dict[str, Any]:
    """Return a blend as a job holds it: {"seed": int, "t": [z][y][x]}, of length 1 along axes that t is constant along.

    Args:
        blend: (the other seed, t); t from 0, the job's own structure, to 1, the other's: a number; a list of numbers, a
            profile along z; a dict from one axis's letter to such a list; or an array (z, y, x). Lists and arrays span
            the window: their first and last values are those at its ends, what is between is interpolated linearly.
            Along a periodic axis the first value comes again after the last, a period on.
        size, cells: Voxels and cells (z, y, x) of the window.
        periodic: Whether each axis is periodic.

    Raises:
        ValueError: if it is not of the above.
    """
    if not isinstance(blend, (tuple, list)) or len(blend) != 2:
        raise ValueError(f"`blend` must be (the other seed, t). Received: {blend!r:.200}.")
    seed, nodes = check_seed(blend[0]), as_nodes(blend[1], _T)
    for letter, count, most in zip(AXES, nodes.shape, size, strict=True):
        if count > most:
            raise ValueError(f"{_T} must have at most a value a voxel, {most} along {letter}. Received: {count}.")
    return {"seed": seed, "t": at_cells(nodes, cells, periodic).round(_DIGITS).tolist()}


def check_blend(blend: Any, seed: int | None, cells: Sequence[int]) -> None:
    """Check a blend that a job of a seed, if it has one, and of so many cells (z, y, x) holds.

    Raises:
        ValueError: if it is not what `asked_blend` returns, or blends a seed with itself.
    """
    if not isinstance(blend, dict) or set(blend) != {"seed", "t"}:
        raise ValueError(f"`blend` of a job must be a dict of seed and t. Received: {blend!r:.200}.")
    if check_seed(blend["seed"]) == seed:
        raise ValueError(f"`blend` must be with another seed than the volume's. Received: {seed} for both.")
    shape = as_nodes(blend["t"], _T).shape
    if np.ndim(blend["t"]) != 3 or any(n not in (1, count) for n, count in zip(shape, cells, strict=True)):
        raise ValueError(
            f"{_T} of a job must be [z][y][x], each of length 1 or as many as its lattice steps, "
            f"{' x '.join(map(str, cells))}. Received: {' x '.join(map(str, shape))}."
        )


def _sine(u: np.ndarray) -> np.ndarray:
    """Return sin(u pi / 2) for u from 0 to 1, at both ends exactly 0 and 1."""
    return np.where(u == 1, 1.0, np.pi / 2 * u * np.polyval(_SINE[::-1], u * u))
