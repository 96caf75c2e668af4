"""Response of a conditional generator to requested volume fractions, measured once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kerasgan3d.models import Generator
from kerasgan3d.seeds import CALIBRATION

_EDGE = 8  # lattice steps: the edge of the volumes
_LEAST = 0.5  # smaller slopes are not fully corrected: conditions would lie far outside the range of training


def with_answers(generator: Generator, count: int = 24, seed: int = CALIBRATION) -> tuple[Generator, dict[str, Any]]:
    """Measure a generator's response to volume fractions across the range of its training, and correct for it.

    Periodic volumes are sampled with uniform fractions that vary like those of the data, but more widely. For each
    phase the line got = mean + gain (asked - mean) + shift is fitted by least squares; requested fractions are then
    corrected by it, so that the slope becomes one.

    Args:
        generator: A conditional Generator; not changed.
        count: Number of volumes.
        seed: Seed of the first volume.

    Returns:
        The generator with gain and shift; and a dict for its card: "count", "asked" and "got", (count, phases),
        "slope", "shift" and "rms_error", (phases,), the last of the errors that remain after the correction.
    """
    conditions = generator.conditions
    assert conditions is not None
    plain = replace(conditions, gain=(1.0,) * conditions.n_phases, shift=(0.0,) * conditions.n_phases)
    generator = generator.with_conditions(plain)
    mean, rng = np.array(plain.mean), np.random.default_rng(seed)
    drawn = rng.standard_normal((count, plain.n_phases)) @ np.array(plain.root).T * 1.5
    wishes = np.clip(mean + drawn * np.array(plain.deviation), plain.lowest, plain.highest)
    wishes /= wishes.sum(1, keepdims=True)
    got = np.array([_made(generator, wish, seed + i) for i, wish in enumerate(wishes)])
    off = wishes - mean
    slope = np.maximum(((got - got.mean(0)) * (off - off.mean(0))).sum(0) / np.square(off - off.mean(0)).sum(0), _LEAST)
    shift = got.mean(0) - mean - slope * off.mean(0)
    left = (got - mean - shift) / slope - off
    found = replace(plain, gain=tuple(slope.tolist()), shift=tuple(shift.tolist()))
    return generator.with_conditions(found), {
        "count": count,
        "asked": wishes.round(5).tolist(),
        "got": got.round(5).tolist(),
        "slope": slope.tolist(),
        "shift": shift.tolist(),
        "rms_error": np.sqrt(np.square(left).mean(0)).tolist(),
    }


def _made(generator, wish, seed):
    asked = dict(zip(generator.phases, wish.tolist(), strict=True))
    options = {"periodic": True, "seed": seed, "fractions": asked, "beyond": True}
    return generator.sample(_EDGE * generator.stride, **options).fractions
