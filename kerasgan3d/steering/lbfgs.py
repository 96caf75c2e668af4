"""L-BFGS whose whole state is a few arrays, so that an interrupted minimisation resumes exactly."""

from __future__ import annotations

import math

import numpy as np

_PAIRS = 8  # steps and changes of the gradient to remember
_ENOUGH = 1e-4  # least decrease of the function by a step, as a share of what the gradient promises


class Descent:
    """Minimisation by L-BFGS (Nocedal & Wright, Numerical Optimization, 2006, algorithm 7.4), one evaluation at a time.

    The caller evaluates the function at ``trial`` and passes value and gradient to ``tell``, repeatedly. A trial that
    does not decrease the function enough shortens the step.

    Args:
        best: The start, an array; as an attribute, the point with the smallest value so far.
        memory: (1 + 2 k, ...): the gradient there, and the latest k steps and changes of the gradient; None at first.
        numbers: The value there, and the share of the direction to try; None at first.
    """

    def __init__(self, best: np.ndarray, memory: np.ndarray | None = None, numbers: np.ndarray | None = None):
        self.best = best
        if memory is None or numbers is None:
            memory, numbers = np.zeros((1, *best.shape)), np.array([math.inf, 1.0])
        (self._value, self._share), k = map(float, numbers), len(memory) // 2
        self._slope, self._pairs = memory[0], list(zip(memory[1 : 1 + k], memory[1 + k :], strict=True))
        self._way = self._downhill()

    @property
    def memory(self) -> np.ndarray:
        """State to resume from: the argument of that name."""
        return np.array([self._slope, *(s for s, _ in self._pairs), *(y for _, y in self._pairs)])

    @property
    def numbers(self) -> np.ndarray:
        """State to resume from: the argument of that name."""
        return np.array([self._value, self._share])

    @property
    def trial(self) -> np.ndarray:
        """The point to evaluate next."""
        return self.best + self._share * self._way

    def tell(self, value: float, slope: np.ndarray) -> None:
        """Take the value of the function and its gradient at ``trial``."""
        step = self._share * self._way
        promised = float((self._slope * step).sum())
        if value > self._value + _ENOUGH * promised:
            # The minimum of the parabola through both values and the gradient.
            self._share *= min(0.5, max(0.1, -promised / (2 * (value - self._value - promised))))
            return
        change = slope - self._slope
        if math.isfinite(self._value) and (change * step).sum() > 0:
            self._pairs = [*self._pairs, (step, change)][-_PAIRS:]
        self.best, self._value, self._slope = self.best + step, value, slope
        self._way = self._downhill()
        self._share = 1.0 if self._pairs else 1 / max(1.0, float(np.sqrt((slope**2).sum())))

    def _downhill(self):
        """Return the search direction: minus the gradient times the approximate inverse of the Hessian."""
        way, shares = -self._slope, []
        for step, change in reversed(self._pairs):
            shares.append((step * way).sum() / (step * change).sum())
            way = way - shares[-1] * change
        if self._pairs:
            step, change = self._pairs[-1]
            way = way * ((step * change).sum() / (change * change).sum())
        for (step, change), share in zip(self._pairs, reversed(shares), strict=True):
            way = way + (share - (change * way).sum() / (step * change).sum()) * step
        return way
