"""Blends: structures between those of two seeds, uniform or varying in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES, check_seed
from kerasgan3d.sampling.generate import Field
from kerasgan3d.sampling.profile import around, as_nodes, at_cells

_T = "t of a `blend`"
_DIGITS = 6  # of t
# Coefficients of sin(pi u / 2) / u in powers of u^2: sums and products alone, so that machines agree. Accurate to 1e-16
# up to u = 1.
_SINE = [np.prod([-((np.pi / 2) ** 2) / (2 * k * (2 * k + 1)) for k in range(1, n + 1)]) for n in range(12)]


class BlendedField:
    """Blend of two fields: cos(t pi / 2) times the first plus sin(t pi / 2) times the second.

    The blend of two independent normal fields is a normal field with the same covariances for any t; linear
    interpolation would shrink the norm. It equals the first field bit for bit where t is 0, the second where t is 1.

    Args:
        one, other: The fields.
        t: (z, y, x), from 0 to 1, at the cells of a window; of length 1 along axes on which it does not depend.
        first, cells: First cell (z, y, x) of the window, and number of its cells. Outside it t continues as at its
            faces.
        channels: Number of channels that are blended; the others, which are equal in both fields, are the first's.
            None blends all.
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
        """Compute the values of a window of the lattice: as `LatentField.window`, float32 (z, y, x, channels)."""
        values, other = (field.window(start, shape, period) for field in self._fields)
        a, b = (around(s, self._first, self._cells, start, shape, period)[..., np.newaxis] for s in self._shares)
        blended = slice(self._channels)
        values[..., blended] = a * values[..., blended] + b * other[..., blended]
        return values


def asked_blend(blend: Any, size: Sequence[int], cells: Sequence[int], periodic: Sequence[bool]) -> dict[str, Any]:
    """Return a blend as stored in a job: {"seed": int, "t": [z][y][x]}, of length 1 along axes without variation.

    Args:
        blend: (the other seed, t), with t from 0, the job's own structure, to 1, the other's: a number; a list of
            numbers, a profile along z; a dict from one axis's letter to such a list; or an array (z, y, x). Lists and
            arrays span the window: their first and last values apply at its ends, with linear interpolation between.
            Along a periodic axis the first value follows again after the last, one period on.
        size, cells: Voxels and cells (z, y, x) of the window.
        periodic: Whether each axis is periodic.

    Raises:
        ValueError: if the blend is none of these.
    """
    if not isinstance(blend, (tuple, list)) or len(blend) != 2:
        raise ValueError(f"`blend` must be (the other seed, t). Received: {blend!r:.200}.")
    seed, nodes = check_seed(blend[0]), as_nodes(blend[1], _T)
    for letter, count, most in zip(AXES, nodes.shape, size, strict=True):
        if count > most:
            raise ValueError(f"{_T} must have at most a value a voxel, {most} along {letter}. Received: {count}.")
    return {"seed": seed, "t": at_cells(nodes, cells, periodic).round(_DIGITS).tolist()}


def check_blend(blend: Any, seed: int | None, cells: Sequence[int]) -> None:
    """Check the blend of a job, given its seed, if any, and its number of cells (z, y, x).

    Raises:
        ValueError: if it is not a result of `asked_blend`, or blends a seed with itself.
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
