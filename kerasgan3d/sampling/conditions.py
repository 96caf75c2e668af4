"""The condition field y: local volume fractions at the lattice points, random like the data's or as requested."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.sampling.profile import around, as_nodes, at_cells, named_profile

_MAX_TAPS = 33
_MAX_KNOTS = 32
_MOST = 1e9  # larger numbers leave float32 in the network
_SUM = 1e-6  # tolerance of the sum of fractions of all phases
# Users who give all phases usually give rounded fractions.
_ROUNDED = 1e-3

Fractions = Mapping[str, Any]


def read_fractions(texts: Iterable[str]) -> dict[str, Any] | None:
    """Read requested volume fractions, as people write them.

    Args:
        texts: One phase each: "pore=0.45", a profile along z, "pore=0.3:0.5", or along x, "pore=x:0.3:0.5".

    Returns:
        dict from phases to a number or a profile, as ``Generator.sample`` takes it; None without texts.

    Raises:
        ValueError: if a text is nothing of that kind, or a phase comes twice.
    """
    fractions: dict[str, Any] = {}
    for text in texts:
        phase, value = named_profile(text)
        if not phase or value is None:
            raise ValueError(
                "volume fractions must be phase=fraction, such as pore=0.45, or a profile along an axis, such as "
                f"pore=0.3:0.5 or pore=x:0.3:0.5. Received: {text.strip()!r:.200}."
            )
        if phase in fractions:
            raise ValueError(f"volume fractions must name each phase once. Received: {phase} twice.")
        fractions[phase] = value
    return fractions or None


@dataclass(frozen=True)
class Conditions:
    """Statistics of local volume fractions, on which a generator is conditioned.

    The condition at every lattice point is the fractions f of n phases in a box around it, as
    y = (f - mean) / deviation. Without requested fractions, y is a stationary normal random field, y = root (w * e):
    white noise e of the latent field (its channels beyond the latents), filtered along each axis by a few taps w. Its
    values are pure functions of seed and position, and periodic where the latents are.

    Attributes:
        mean, deviation: (n,), mean and standard deviation of local fractions over the data.
        root: (n, n), a square root of the correlation matrix of the phases.
        taps: For the axes z, y, x, an odd number of filter taps, whose squares add up to one.
        lowest, highest: (n,), the range of local fractions that training covered.
        gain, shift: (n,), measured response of the network: fractions f become mean + gain (f - mean) + shift.
            Requested and drawn fractions are corrected for it.
        response: Further measured response to uniform requests, for which requested fractions are corrected: for each
            phase increasing fractions that were requested, and those of the volumes made, each 2 to 32; piecewise
            linear between, with a constant difference beyond. Or () for none.

    Raises:
        ValueError: if an attribute has another shape, or is out of range.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    root: tuple[tuple[float, ...], ...]
    taps: tuple[tuple[float, ...], ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    gain: tuple[float, ...]
    shift: tuple[float, ...]
    response: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()

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
        rows = [isinstance(row, (tuple, list)) and len(row) == n and all(map(_is_finite, row)) for row in self.root]
        check("root", len(rows) == n and all(rows), f"{n} times {n} numbers")
        odd = [
            isinstance(w, (tuple, list)) and len(w) % 2 == 1 and len(w) <= _MAX_TAPS and all(map(_is_finite, w))
            for w in self.taps
        ]
        check("taps", len(odd) == len(AXES) and all(odd), f"three times an odd number of at most {_MAX_TAPS} numbers")
        if self.response:
            curves = [
                isinstance(curve, tuple)
                and len(curve) == 2
                and all(isinstance(side, tuple) and _is_rising(side) for side in curve)
                and len(curve[0]) == len(curve[1])
                for curve in self.response
            ]
            check(
                "response", len(curves) == n and all(curves), f"{n} pairs of lists of 2 to {_MAX_KNOTS} rising numbers"
            )

    @property
    def n_phases(self) -> int:
        """Number of phases n."""
        return len(self.mean)

    @classmethod
    def from_json(cls, record: Any) -> Conditions:
        """Read the result of `to_json`.

        Raises:
            ValueError: if the record is not one.
        """
        names = tuple(cls.__dataclass_fields__)
        if not isinstance(record, dict) or set(record) | {"response"} != set(names):
            raise ValueError(f"`conditions` must be a dict of {', '.join(names)}. Received: {record!r:.200}.")
        return cls(**{name: _tuples(value, name) for name, value in record.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as a JSON-serialisable dict, without ``response`` where there is none."""
        names = [name for name in self.__dataclass_fields__ if name != "response" or self.response]
        return {name: _lists(getattr(self, name)) for name in names}

    def asked(
        self,
        fractions: Fractions,
        phases: Sequence[str],
        shape: Sequence[int],
        periodic: Sequence[bool] = (False, False, False),
        *,
        beyond: bool = False,
    ) -> np.ndarray:
        """Evaluate requested volume fractions at the cells of a window.

        Args:
            fractions: dict from the names of phases to a number; a list of numbers, a profile along z; a dict from one
                axis's letter to such a list; or an array (z, y, x) of numbers. Lists and arrays span the window: their
                first and last values apply at its ends, with linear interpolation between. Along a periodic axis the
                first value follows again after the last, one period on. Unnamed phases share the remainder in the
                ratio that they have in the data.
            phases: Names of the n phases.
            shape: Cells (z, y, x) of the window, one per lattice step.
            periodic: Whether each axis is periodic.
            beyond: Whether fractions outside the range that training covered are allowed.

        Returns:
            float64 array (z, y, x, n), of length 1 along axes on which it does not depend.

        Raises:
            ValueError: if a phase is unknown, values are not fractions, do not add up to one or lie outside the range,
                or have another shape.
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

    def check_stated(self, conditions: dict[str, Any], cells: Sequence[int]) -> None:
        """Check the conditions of a job, given its number of cells (z, y, x).

        Raises:
            ValueError: if its "fractions" are not an array (z, y, x, phases) as `asked` returns it, from 0 to 1.
        """
        wish: np.ndarray = np.array(np.nan)
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            wish = np.asarray(conditions.get("fractions"), "float64")
        fits = wish.ndim == 4 and all(n in (1, count) for n, count in zip(wish.shape, cells, strict=False))
        if not fits or wish.shape[3] != self.n_phases or not ((wish >= 0) & (wish <= 1)).all():
            raise ValueError(
                f"`conditions` of a job must give fractions from 0 to 1 as [z][y][x][{self.n_phases}], of length 1 or "
                f"as many as its lattice steps, {' x '.join(map(str, cells))}. Received: {conditions!r:.200}."
            )

    def standardised(self, fractions: np.ndarray) -> np.ndarray:
        """Return the y (..., n), float32, that makes the network produce these fractions (..., n)."""
        fractions = np.array(fractions, float)
        for index, (requested, made) in enumerate(self.response):
            fractions[..., index] = _interpolated(fractions[..., index], np.array(made), np.array(requested))
        return self.corrected((fractions - np.array(self.mean)) / np.array(self.deviation)).astype("float32")

    def corrected(self, y: np.ndarray) -> np.ndarray:
        """Return the y (..., n) that makes the network produce what a perfect one would for ``y``."""
        return (y - np.array(self.shift) / np.array(self.deviation)) / np.array(self.gain)

    def _check_covered(self, fractions, phases):
        for index, name in enumerate(phases):
            low, high = fractions[..., index].min(), fractions[..., index].max()
            if low < self.lowest[index] - _SUM or high > self.highest[index] + _SUM:
                raise ValueError(
                    f"`fractions` must be within what the generator has learned of {name}, {self.lowest[index]:.3g} to "
                    f"{self.highest[index]:.3g}. Received: {low:.3g} to {high:.3g}. `beyond=True` allows it."
                )


class ConditionedField:
    """Latents and conditions as one field, used in place of a `LatentField`.

    Args:
        seed: int, 0 <= seed < 2**64.
        channels: Number of channels of the latents alone.
        conditions: The Conditions.
        first: First cell (z, y, x) of the window that requested fractions span.
        cells: Number of its cells (z, y, x).
        wish: Requested fractions, as returned by `Conditions.asked`; None draws y. They extend beyond the window with
            the values at its faces.
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
        """Number of channels of the latents and the conditions."""
        return self._field.channels

    def window(
        self, start: Sequence[int], shape: Sequence[int], period: Sequence[int | None] = (None, None, None)
    ) -> np.ndarray:
        """Compute latents and conditions of a window of the lattice: as `LatentField.window`, (z, y, x, channels)."""
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
            # Tap by tap, so that sums do not depend on the window.
            noise = reduce(np.add, (tap * noise.take(np.arange(i, i + n), axis) for i, tap in enumerate(taps)))
        phases = range(self._conditions.n_phases)
        y = [reduce(np.add, (row[j] * noise[..., j] for j in phases)) for row in self._conditions.root]
        return self._conditions.corrected(np.stack(y, axis=-1)).astype("float32")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST


def _is_rising(values: tuple[Any, ...]) -> bool:
    return 2 <= len(values) <= _MAX_KNOTS and all(map(_is_finite, values)) and bool((np.diff(values) > 0).all())


def _interpolated(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly between knots; beyond them the values continue with slope one.

    In elementary operations, which round alike on all processors; `numpy.interp` may not.
    """
    left = np.clip(np.searchsorted(knots, x, "right") - 1, 0, len(knots) - 2)
    inside = np.clip(x, knots[0], knots[-1])
    share = (inside - knots[left]) / (knots[left + 1] - knots[left])
    return values[left] + share * (values[left + 1] - values[left]) + (x - inside)


def _tuples(value: Any, name: str) -> Any:
    """Return a list of numbers, or of lists of numbers, as tuples."""
    if not isinstance(value, (list, tuple)) or len(value) > 255:
        raise ValueError(f"`conditions` must give a list as {name!r}. Received: {value!r:.200}.")
    return tuple(_tuples(item, name) if isinstance(item, (list, tuple)) else item for item in value)


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
