"""The condition field y: local volume fractions at the lattice points, drawn like the data's or as they are wished."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.sampling.profile import around, as_nodes, at_cells

_MAX_TAPS = 33
_SUM = 1e-6  # by how much fractions of all phases may miss one
# Whoever names all phases will have rounded them.
_ROUNDED = 1e-3

Fractions = Mapping[str, Any]


@dataclass(frozen=True)
class Conditions:
    """What a conditional generator is told of the material: local volume fractions, and how they vary.

    At every lattice point stand the fractions f of n phases in a box around it, as y = (f - mean) / deviation. Without
    a wish y is a stationary normal random field, y = root (w * e): white noise e of the latent field (its channels
    beyond the latents), filtered along each axis by a few taps w. Its values are pure functions of seed and place, and
    periodic where the latents are.

    Attributes:
        mean, deviation: (n,), of local fractions over the data.
        root: (n, n), a square root of the correlations between the phases.
        taps: For the axes z, y, x, the odd number of taps of the filter, whose squares add up to one.
        lowest, highest: (n,), the range of local fractions that training covered.
        gain, shift: (n,), what the network makes of fractions f: mean + gain (f - mean) + shift. Measured once; what
            is wished or drawn is corrected by them.

    Raises:
        ValueError: if they are not of these shapes, or out of range.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    root: tuple[tuple[float, ...], ...]
    taps: tuple[tuple[float, ...], ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    gain: tuple[float, ...]
    shift: tuple[float, ...]

    def __post_init__(self) -> None:
        n = len(self.mean)

        def check(name: str, good: bool, what: str) -> None:
            if not good:
                raise ValueError(f"`conditions` must give {what} as {name!r}. Received: {getattr(self, name)!r:.200}.")

        for name in ("mean", "deviation", "lowest", "highest", "gain", "shift"):
            values = getattr(self, name)
            check(name, len(values) == n and all(map(_is_finite, values)), f"{n} numbers")
        check("mean", abs(sum(self.mean) - 1) < 1e-3 and min(self.mean) > 0, "positive fractions that add up to one")
        check("deviation", min(self.deviation) > 0, f"{n} positive numbers")
        check("gain", min(self.gain) > 0, f"{n} positive numbers")
        check(
            "highest",
            all(0 <= low <= high <= 1 for low, high in zip(self.lowest, self.highest, strict=True)),
            "fractions above the lowest",
        )
        rows = [len(row) == n and all(map(_is_finite, row)) for row in self.root]
        check("root", len(rows) == n and all(rows), f"{n} times {n} numbers")
        odd = [len(w) % 2 == 1 and len(w) <= _MAX_TAPS and all(map(_is_finite, w)) for w in self.taps]
        check("taps", len(odd) == len(AXES) and all(odd), f"three times an odd number of at most {_MAX_TAPS} numbers")

    @property
    def n_phases(self) -> int:
        """Number of phases n."""
        return len(self.mean)

    @classmethod
    def from_json(cls, record: Any) -> Conditions:
        """Read what `to_json` made.

        Raises:
            ValueError: if it is no such thing.
        """
        names = tuple(cls.__dataclass_fields__)
        if not isinstance(record, dict) or set(record) != set(names):
            raise ValueError(f"`conditions` must be a dict of {', '.join(names)}. Received: {record!r:.200}.")
        return cls(**{name: _tuples(record[name], name) for name in names})

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as JSON holds them."""
        return {name: _lists(getattr(self, name)) for name in self.__dataclass_fields__}

    def asked(
        self,
        fractions: Fractions,
        phases: Sequence[str],
        shape: Sequence[int],
        periodic: Sequence[bool] = (False, False, False),
        *,
        beyond: bool = False,
    ) -> np.ndarray:
        """Evaluate a wish at the cells of a window.

        Args:
            fractions: dict from the names of phases to a number; a list of numbers, a profile along z; a dict from one
                axis's letter to such a list; or an array (z, y, x) of numbers. Lists and arrays span the window: their
                first and last values are those at its ends, what is between is interpolated linearly. Along a periodic
                axis the first value comes again after the last, a period on. Phases that are not named share what is
                left in the ratio that they have in the data.
            phases: Names of the n phases.
            shape: Cells (z, y, x) of the window, one per lattice step.
            periodic: Whether each axis is periodic.
            beyond: Whether wishes outside the range that training covered are allowed.

        Returns:
            float64 array (z, y, x, n), of length 1 along axes that it is constant along.

        Raises:
            ValueError: if a phase is unknown, values are not fractions, do not add up to one or lie outside the range,
                or their shape is not of the above.
        """
        if not isinstance(fractions, Mapping) or not fractions:
            raise ValueError(f"`fractions` must be a dict from phases to fractions. Received: {fractions!r:.200}.")
        unknown = [name for name in fractions if name not in phases]
        if unknown:
            raise ValueError(f"`fractions` must name phases of {', '.join(phases)}. Received: {unknown[0]!r}.")
        named = {
            phases.index(name): at_cells(as_nodes(value, f"`fractions` of {name}"), shape, periodic)
            for name, value in fractions.items()
        }
        full = np.zeros((*np.broadcast_shapes(*(part.shape for part in named.values())), len(phases)))
        for index, part in named.items():
            full[..., index] = part
        left, others = 1 - full.sum(-1), [i for i in range(len(phases)) if i not in named]
        if (left < -_SUM).any() and (others or left.min() < -_ROUNDED):
            raise ValueError(f"`fractions` must add up to at most 1. Received: {1 - left.min():.4g} somewhere.")
        if others:
            share = np.array(self.mean)[others]
            full[..., others] = np.maximum(left, 0)[..., np.newaxis] * share / share.sum()
        elif np.abs(left).max() > _ROUNDED:
            raise ValueError(
                f"`fractions` of all phases must add up to 1. Received: {1 - left.max():.4g} at some place."
            )
        else:
            full /= full.sum(-1, keepdims=True)
        if not beyond:
            self._check_covered(full, phases)
        return full

    def standardised(self, fractions: np.ndarray) -> np.ndarray:
        """Return y (..., n), float32, for which the network makes these fractions (..., n)."""
        return self.corrected((fractions - np.array(self.mean)) / np.array(self.deviation)).astype("float32")

    def corrected(self, y: np.ndarray) -> np.ndarray:
        """Return the y (..., n) for which the network makes what a perfect one would make of ``y``."""
        return (y - np.array(self.shift) / np.array(self.deviation)) / np.array(self.gain)

    def _check_covered(self, fractions, phases):
        for index, name in enumerate(phases):
            low, high = fractions[..., index].min(), fractions[..., index].max()
            if low < self.lowest[index] - _SUM or high > self.highest[index] + _SUM:
                raise ValueError(
                    f"`fractions` must be within what the generator has learned of {name}, {self.lowest[index]:.3g} to "
                    f"{self.highest[index]:.3g}. Received: {low:.3g} to {high:.3g}. `beyond=True` (--beyond) allows it."
                )


class ConditionedField:
    """Latents and conditions as one field, in the place of a `LatentField`.

    Args:
        seed: int, 0 <= seed < 2**64.
        channels: Channels of the latents alone.
        conditions: The Conditions.
        first: Cell (z, y, x) at which the window of a wish begins.
        cells: Its cells (z, y, x).
        wish: What `Conditions.asked` returned; None draws y. Beyond the window it goes on as at its faces.
    """

    def __init__(
        self,
        seed: int,
        channels: int,
        conditions: Conditions,
        first: Sequence[int] = (0, 0, 0),
        cells: Sequence[int] = (1, 1, 1),
        wish: np.ndarray | None = None,
    ):
        self._field = LatentField(seed, channels + conditions.n_phases)
        self._latents, self._conditions = LatentField(seed, channels), conditions
        self._first, self._cells = tuple(first), tuple(cells)
        self._wish = None if wish is None else conditions.standardised(wish)

    @property
    def channels(self) -> int:
        """Channels of the latents and the conditions."""
        return self._field.channels

    def window(
        self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None] = (None, None, None)
    ) -> np.ndarray:
        """The latents and conditions of a window of the lattice: as `LatentField.window`, (z, y, x, channels)."""
        latents = self._latents.window(start, shape, period)
        if self._wish is None:
            y = self._drawn(start, shape, period)
        else:
            y = around(self._wish, self._first, self._cells, start, shape, period)
        return np.concatenate([latents, y], axis=-1)

    def _drawn(self, start, shape, period):
        reach = [len(taps) // 2 for taps in self._conditions.taps]
        around = [n + 2 * r for n, r in zip(shape, reach, strict=True)]
        begin = [first - r for first, r in zip(start, reach, strict=True)]
        noise = self._field.window(begin, around, period)[..., self._latents.channels :].astype("float64")
        for axis, (taps, n) in enumerate(zip(self._conditions.taps, shape, strict=True)):
            # Tap by tap: the same sums whatever the window.
            noise = reduce(np.add, (tap * noise.take(np.arange(i, i + n), axis) for i, tap in enumerate(taps)))
        phases = range(self._conditions.n_phases)
        y = [reduce(np.add, (row[j] * noise[..., j] for j in phases)) for row in self._conditions.root]
        return self._conditions.corrected(np.stack(y, axis=-1)).astype("float32")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _tuples(value: Any, name: str) -> Any:
    """Return a list of numbers, or of lists of numbers, as tuples."""
    if not isinstance(value, (list, tuple)) or len(value) > 255:
        raise ValueError(f"`conditions` must give a list as {name!r}. Received: {value!r:.200}.")
    return tuple(_tuples(item, name) if isinstance(item, (list, tuple)) else item for item in value)


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
