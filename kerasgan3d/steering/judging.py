"""Judging of a tuned generator: its target properties, and side effects on shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.registry import MEASURES, places
from kerasgan3d.models import Generator
from kerasgan3d.report.classifier import classifier_score
from kerasgan3d.sampling.job import Size
from kerasgan3d.steering.targets import Target, measured

_SHAPES = (
    "volume_fraction",
    "specific_surface_area",
    "interfacial_area",
    "triple_phase_boundary_density",
    "mean_chord_length",
    "speck_density",
    "hole_density",
)
_RADII = (2, 4, 8, 12)  # voxels


def measured_side(generator: Generator, targets: Sequence[Target], size: Size, seeds: Sequence[int]) -> dict[str, Any]:
    """Measure windows of a generator, one for each seed.

    Returns:
        dict that JSON can hold: "values", (windows, targets); "shapes", from the name of a measure to its mean, None
        where it has none.
    """
    volumes = [generator.sample(size, seed=seed) for seed in seeds]
    values = [measured(volume, targets) for volume in volumes]
    options = {"n_phases": len(generator.phases), "voxel_size": generator.voxel_size or 1.0, "transport": False}
    found = measure_samples([volume.labels for volume in volumes], workers=1, **options)
    shapes: dict[str, Any] = {}
    for key in _SHAPES:
        row = MEASURES[key]
        for place in places(row, generator.phases) if key in found else ():
            if place.axis in (None, "z"):  # of axes their mean
                index = (place.index[0], slice(None)) if place.axis else place.index
                name = ".".join(filter(None, (key, place.phase, place.other)))
                shapes[name] = _mean(found[key][(slice(None), *index)])
    for phase, curve in zip(generator.phases, found["granulometry"].mean(0), strict=True):
        for radius in _RADII:
            if radius < len(curve):
                shapes[f"granulometry.{phase}, balls of {radius} voxels"] = _mean(curve[radius] / (curve[0] or np.nan))
    return {"values": values, "shapes": shapes}


def score(
    source: Generator,
    tuned: Generator,
    size: Size,
    seeds: Sequence[int],
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, float]:
    """Return the score of a classifier that distinguishes windows of two generators, trained on half of the seeds.

    Returns:
        dict: "score", 0.5 where it cannot, and "standard_error", see `kerasgan3d.report.classifier.classifier_score`.
    """
    sides = [[generator.sample(size, seed=seed).labels for seed in seeds] for generator in (source, tuned)]
    half = len(seeds) // 2
    learned, scored = ([side[part] for side in sides] for part in (slice(half), slice(half, None)))
    found = classifier_score(learned, scored, len(source.phases), progress=progress)
    return {key: found[key] for key in ("score", "standard_error")}


def unit_of_shape(name: str, voxel_size: float | None) -> str:
    """Return the unit of one of the shapes."""
    unit = MEASURES[name.partition(".")[0]].unit
    return unit if voxel_size else unit.replace("µm", "voxel")


def _mean(values: Any) -> float | None:
    mean = float(np.mean(values))
    return mean if np.isfinite(mean) else None
