"""Response of a conditional generator to requested volume fractions, measured once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerasgan3d.models import Generator
from kerasgan3d.sampling.conditions import ConditionedField
from kerasgan3d.seeds import CALIBRATION

_EDGE = 8  # lattice steps: the edge of the volumes
_KNOTS = 5  # of the curve of each phase
_LEAST = 0.25  # smaller slopes are not fully corrected: conditions would lie far outside the range of training


def with_answers(
    generator: Generator, fractions: Sequence[float] | None = None, count: int = 48, seed: int = CALIBRATION
) -> tuple[Generator, dict[str, Any]]:
    """Measure a generator's response to volume fractions, and correct for it.

    First, half of the volumes are sampled without a request. Their mean difference from what their own random
    fields ask for becomes the shift, so that the mean over many volumes is that of the data. Then periodic volumes
    are sampled with uniform fractions that vary like those of the data, but more widely. For each phase, what they have
    is fitted by a rising, piecewise linear function of what was requested; requested fractions are then corrected by
    it. Where the network falls short at an end of the range, the range shrinks to what it reaches, or to one standard
    deviation of the data's local fractions from their mean.

    Args:
        generator: A conditional Generator; not changed.
        fractions: (phases,), volume fractions of the data; None for the mean of the conditions.
        count: Number of volumes with a request.
        seed: Seed of the first volume.

    Returns:
        The generator with shift and response; and a dict for its card: "count", "asked" and "got", (count, phases),
        "slope" of the line through them, "shift" and "rms_error", (phases,), the last of the errors that remain after
        the correction.
    """
    conditions = generator.conditions
    assert conditions is not None
    n = conditions.n_phases
    mean, rng = np.array(conditions.mean), np.random.default_rng(seed)
    plain = replace(conditions, gain=(1.0,) * n, shift=(0.0,) * n, response=())
    shift = _excess(generator.with_conditions(plain), max(1, count // 2), seed)
    if fractions is not None:
        shift += mean - np.array(fractions)
    conditions = replace(plain, shift=tuple(shift.tolist()))
    generator = generator.with_conditions(conditions)
    drawn = rng.standard_normal((count, n)) @ np.array(conditions.root).T * 1.5
    wishes = np.clip(mean + drawn * np.array(conditions.deviation), conditions.lowest, conditions.highest)
    wishes /= wishes.sum(1, keepdims=True)
    got = np.array([_made(generator, wish, seed + i) for i, wish in enumerate(wishes)])
    curves = [_curve(wishes[:, k], got[:, k]) for k in range(n)]
    reached = np.array([(made[0], made[-1]) for _, made in curves])
    low, high, deviation = map(np.array, (conditions.lowest, conditions.highest, conditions.deviation))
    found = replace(
        conditions,
        response=tuple((tuple(asked.tolist()), tuple(made.tolist())) for asked, made in curves),
        lowest=tuple(np.maximum(low, np.minimum(reached[:, 0], mean - deviation)).tolist()),
        highest=tuple(np.minimum(high, np.maximum(reached[:, 1], mean + deviation)).tolist()),
    )
    left = [np.interp(wishes[:, k], *curves[k]) - got[:, k] for k in range(n)]
    return generator.with_conditions(found), {
        "count": count,
        "asked": wishes.round(5).tolist(),
        "got": got.round(5).tolist(),
        "slope": [float(np.polyfit(wishes[:, k], got[:, k], 1)[0]) for k in range(n)],
        "shift": shift.tolist(),
        "rms_error": np.sqrt(np.square(left).mean(1)).tolist(),
    }


def _excess(generator, count, seed):
    """Return by how much volumes exceed the fractions of their own random fields, (phases,)."""
    conditions, cells = generator.conditions, (_EDGE,) * 3
    off = []
    for i in range(count):
        field = ConditionedField(seed + i, generator.latent_channels, conditions)
        y = field.window((0, 0, 0), cells, cells)[..., generator.latent_channels :]
        wish = np.array(conditions.mean) + np.array(conditions.deviation) * y.mean((0, 1, 2))
        off.append(generator.sample(_EDGE * generator.stride, periodic=True, seed=seed + i).fractions - wish)
    return np.mean(off, axis=0)


def _curve(asked, got):
    """Fit a rising piecewise linear function by least squares: (knots, values)."""
    knots = np.linspace(asked.min(), asked.max(), _KNOTS)
    hats = np.maximum(0.0, 1.0 - np.abs(asked[:, np.newaxis] - knots) / (knots[1] - knots[0]))
    # A little of the plain line keeps knots without data nearby in place.
    roughness = np.diff(np.eye(_KNOTS), n=2, axis=0) * 0.1
    line = np.concatenate([hats, roughness])
    values = np.linalg.lstsq(line, np.concatenate([got, np.zeros(len(roughness))]), rcond=None)[0]
    steps = np.maximum(np.diff(values), _LEAST * np.diff(knots))
    values = np.concatenate([[0.0], np.cumsum(steps)])
    return knots, values + np.mean(got - np.interp(asked, knots, values))


def _made(generator, wish, seed):
    asked = dict(zip(generator.phases, wish.tolist(), strict=True))
    options = {"periodic": True, "seed": seed, "fractions": asked, "beyond": True}
    return generator.sample(_EDGE * generator.stride, **options).fractions
