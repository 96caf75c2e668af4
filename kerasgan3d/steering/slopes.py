"""Gradients of target properties with respect to the mean of the noise, through the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from kerasgan3d.backend import backend
from kerasgan3d.differentiable import (
    likeliest,
    relative_diffusivity,
    surface_areas,
    triple_phase_boundaries,
    volume_fractions,
)
from kerasgan3d.models.shift import Shifted
from kerasgan3d.sampling.job import SamplingJob
from kerasgan3d.steering.targets import Target

_SMALL = 1e-9


def has_slope(target: Target) -> bool:
    """Tell whether the property of a target is differentiable."""
    return target.key in _SOFT


class Slopes:
    """Gradients of target properties with respect to the mean of the noise, compiled once for all means.

    Those of the differentiable measures of labels, as the network makes them of whole periods; in shares of these
    measures, and of the values that were measured in the end, so that what is coarser there by a factor does not count.

    Args:
        moved: The generator, whose mean may be moved between calls.
        targets: Targets that `has_slope`.
    """

    def __init__(self, moved: Shifted, targets: Sequence[Target]):
        self._moved, self._functions = moved, [_of_target(moved.generator, target) for target in targets]

    def __call__(self, jobs: Sequence[SamplingJob], values: np.ndarray) -> np.ndarray:
        """Return the gradients: (targets, channels).

        Args:
            jobs: Of periodic volumes of one size, over which the mean is taken.
            values: What was measured of the volumes on average, (targets,).
        """
        network, soft = self._moved.generator, np.zeros(len(values))
        gradients = np.zeros((len(values), self._moved.channels))
        for job in jobs:
            first, cells = job.cells
            field = job.field(network.latent_channels, network.conditions)
            latents = ops.convert_to_tensor(field.window(first, cells, cells)[np.newaxis])
            for i, function in enumerate(self._functions):
                value, gradient = (np.asarray(ops.convert_to_numpy(x), "float64") for x in function(latents))
                soft[i] += value
                gradients[i] += gradient @ self._moved.inputs
        scale = np.where(np.abs(soft) > _SMALL * len(jobs), values / np.where(soft == 0, 1.0, soft), 1.0 / len(jobs))
        return gradients * scale[:, np.newaxis]


def _of_target(network, target):
    """Return a function from latents to a target's property per voxel, and its gradient by a shift of all inputs."""
    tools = backend()

    def both(latents):
        shift = tools.leaf(ops.zeros((latents.shape[-1],)))
        with tools.recording(shift) as tape:
            value = _SOFT[target.key](likeliest(network(latents + shift)), target.index)
        (gradient,) = tools.gradients(tape, [value], [shift], [ops.ones_like(value)])
        return ops.stop_gradient(value), gradient

    return tools.compiled(both)


def _fraction(labels, index):
    return volume_fractions(labels)[index[0]]


def _surface(labels, index):
    return ops.sum(surface_areas(labels, periodic=True)[index[0]])


def _interface(labels, index):
    # In the surfaces of two phases and of their union, the interface between them counts twice.
    one, other = (labels[..., i] for i in index)
    areas = surface_areas(ops.stack([one, other, one + other], axis=-1), periodic=True)
    return ops.sum(areas[0] + areas[1] - areas[2]) / 2.0


def _boundaries(labels, index):
    return ops.sum(triple_phase_boundaries(labels, periodic=True))


def _chord(labels, index):
    phase, axis = index
    ends = surface_areas(labels, periodic=True)[phase]
    chords = 2.0 * volume_fractions(labels)[phase] / ops.maximum(ends, _SMALL)
    return ops.mean(chords) if axis is None else chords[axis]


def _of_axes(of_axis: Callable[[Any, int, int], Any]) -> Callable[[Any, tuple[int, ...]], Any]:
    """Return a function of labels and an index, whose axis None stands for the mean over all axes."""

    def value(labels, index):
        phase, axis = index
        return sum(of_axis(labels, phase, a) for a in range(3)) / 3.0 if axis is None else of_axis(labels, phase, axis)

    return value


def _resistance(labels, phase, axis):
    return 1.0 / ops.maximum(relative_diffusivity(labels, phase, axis), _SMALL)


_SOFT: dict[str | None, Callable[[Any, Any], Any]] = {
    "volume_fraction": _fraction,
    "specific_surface_area": _surface,
    "specific_surface_area_marching_cubes": _surface,
    "interfacial_area": _interface,
    "triple_phase_boundary_density": _boundaries,
    "mean_chord_length": _chord,
    "relative_diffusivity": _of_axes(relative_diffusivity),
    "macmullin_number": _of_axes(_resistance),
    "tortuosity_factor": _of_axes(
        lambda labels, phase, axis: volume_fractions(labels)[phase] * _resistance(labels, phase, axis)
    ),
}
