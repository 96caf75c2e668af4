"""Search for the mean of the noise that reaches targets at the least cost: by gradients, or by an evolution strategy.

Both make small |m|^2 / 2, what the mean m costs, and the misses of targets, each as a share of what it is of: the
objective is |m|^2 / 2 + sum (miss / tolerance)^2 / 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear

from kerasgan3d.extras import library
from kerasgan3d.steering.targets import Target

Values = Callable[[np.ndarray], Sequence[float]]  # from m to what targets are of
TOLERANCE = 0.002  # of a miss along gradients
ROUGH = 0.01  # of one in evolution, which is slow where it must follow a narrow valley
_RADIUS = 0.5  # of the first step, in deviations of the noise
_SHORTEST = 0.001  # a step that is no longer is the last
_SPREAD = 0.1  # of the first generation


def objective(m: np.ndarray, values: Sequence[float], targets: Sequence[Target], tolerance: float) -> float:
    """Return the objective to minimise; infinite where a value is missing."""
    return float(np.sum(np.square(m)) / 2 + np.sum(np.square(misses(values, targets) / tolerance)) / 2)


def misses(values: Sequence[float], targets: Sequence[Target]) -> np.ndarray:
    """Return the relative deviations of values from their targets: (targets,)."""
    both = zip(targets, values, strict=True)
    return np.array([target.miss(np.asarray(value)) / unit_of(target) for target, value in both])


def unit_of(target: Target) -> float:
    """Return the number to which a deviation is relative: the target, unless that is 0."""
    return abs(target.wanted) or 1.0


def descend(
    values: Values,
    slopes: Callable[[np.ndarray, np.ndarray], np.ndarray],
    targets: Sequence[Target],
    m: np.ndarray,
    steps: int,
) -> Iterator[tuple[np.ndarray, Sequence[float]]]:
    """Go from a mean of the noise towards the targets, by Gauss-Newton steps within a radius that adapts.

    Each goes towards the smallest mean for which all targets hold, if what they are of changed along its gradients.
    Gradients of other volumes than those that are measured are right but for their noise, so those of all places so
    far are averaged; how much a step changed corrects them along that step (Broyden, Math. Comp. 19, 1965, 577).

    Args:
        values: From m to what targets are of.
        slopes: From m and these values to their gradients, (targets, channels), with other noise at each call.
        targets: Not relative.
        m: Where to begin.
        steps: At most so many steps.

    Yields:
        (m, values) of each place, the first included.
    """
    radius, found = _RADIUS, values(m)
    yield m, found
    gradients = slopes(m, np.array(found, float))
    for taken in range(1, steps + 1):
        way = _nearest(gradients, np.array(found, float), targets, m) - m
        length = float(np.linalg.norm(way))
        if length <= _SHORTEST:
            return
        new = m + way * min(1.0, radius / length)
        there = values(new)
        yield new, there
        step, change = new - m, np.subtract(there, found)
        if objective(new, there, targets, TOLERANCE) < objective(m, found, targets, TOLERANCE):
            m, found, radius = new, there, 2 * radius
        else:
            radius = min(radius, length) / 4
        if taken == steps:
            return
        gradients = gradients + (slopes(m, np.array(found, float)) - gradients) / (taken + 1)
        if np.isfinite(change).all():
            gradients = gradients + np.outer(change - gradients @ step, step) / (step @ step)


def _nearest(gradients, values, targets, m):
    """Return the mean with the smallest objective, assuming that values change along gradients.

    It is a sum of gradients, m = J^T u, where u makes |J^T u|^2 / 2 + tolerance^2 |u|^2 / 2 - b u smallest; b is what
    is to be added to the values at m = 0, and u of an inequality has its sign.
    """
    units = np.array([unit_of(target) for target in targets])
    signs = np.array([-1.0 if target.relation == "<" else 1.0 for target in targets])
    rows = gradients * (signs / units)[:, np.newaxis]
    wanted = np.array([target.wanted for target in targets])
    missing = (wanted - values) * signs / units + rows @ m
    root = np.linalg.cholesky(rows @ rows.T + TOLERANCE**2 * np.eye(len(rows)))
    lowest = [-np.inf if target.relation == "=" else 0.0 for target in targets]
    return rows.T @ lsq_linear(root.T, np.linalg.solve(root, missing), (lowest, np.inf)).x


class Evolution:
    """CMA-ES (Hansen & Ostermeier, Evol. Comput. 9, 2001, 159) over means of the noise, a generation at a time.

    Args:
        m: Where to begin.
        seed: Of its random numbers: with the same values it goes the same way.

    Raises:
        MissingLibraryError: if `cmaes` is not installed.
    """

    def __init__(self, m: np.ndarray, seed: int):
        self._cma = check_evolution().CMA(mean=np.array(m, float), sigma=_SPREAD, seed=seed)
        self.size = self._cma.population_size

    def ask(self) -> list[np.ndarray]:
        """Return the candidate means of a generation."""
        return [self._cma.ask() for _ in range(self.size)]

    def tell(self, means: Sequence[np.ndarray], objectives: Sequence[float]) -> None:
        """Update the strategy with the results of a generation."""
        self._cma.tell(list(zip(means, objectives, strict=True)))


def check_evolution() -> Any:
    """Import the library of CMA-ES.

    Raises:
        MissingLibraryError: if it is not there.
    """
    return library("cmaes", "tune", "a target without a gradient")
