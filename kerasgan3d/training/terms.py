"""Statistic-matching losses, which supplement the critics: objects of one interface, in one registry.

A recipe weights them by name; their measures are functions of ``kerasgan3d.differentiable``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

import kerasgan3d.differentiable as differentiable
from kerasgan3d.data import LabelledData
from kerasgan3d.material.local_fractions import BOX
from kerasgan3d.material.statistics import mean_of_crops
from kerasgan3d.sampling.conditions import Conditions

_CROPS, _EDGE = 48, 64  # crops on which statistics of the data are measured, and their edge in voxels
_BALLS = ((4, 8, 8), (8, 8, 8), (8, 8, 12), (8, 12, 12))  # voxels: widths of filters; radii of some 7 to 13
_DECAY = 0.95  # of running means, per update
_LIMIT = 0.1  # error, in its unit, beyond which the gradient no longer grows
_SMALL = 1e-6


class Term:
    """A loss that matches a statistic of generated volumes to that of the data.

    Args:
        target: The statistic, a result of ``of_data``.

    Attributes:
        variables: Variables that change in training.
    """

    def __init__(self, target: Any):
        self.target = np.asarray(target, "float32")
        self.variables: list[keras.Variable] = []

    @classmethod
    def of_data(cls, data: LabelledData, conditions: Conditions | None, stride: int) -> np.ndarray | str:
        """Return the statistic of the data, zero by default; or why the loss does not apply to data or conditions."""
        return np.zeros(())

    def loss(self, labels: Any, asked: Any, probabilities: Any) -> tuple[Any, Any]:
        """Return the generator's loss, and the error to report: two scalars.

        Args:
            labels: Periodic volumes (batch, z, y, x, phases): 1 for the most probable phase, see
                ``kerasgan3d.differentiable.likeliest``.
            asked: Their conditions y, (batch, z, y, x, phases) at the lattice points; or None.
            probabilities: The probabilities that the labels come from, of the same shape.
        """
        raise NotImplementedError


class VolumeFractions(Term):
    """Volume fractions: the sum of squared errors."""

    @classmethod
    def of_data(cls, data, conditions, stride):
        counts = data.counts()
        return counts / counts.sum()

    def loss(self, labels, asked, probabilities):
        error = ops.sum(ops.square(differentiable.volume_fractions(labels) - ops.convert_to_tensor(self.target)))
        return error, error


class LocalFractions(Term):
    """Requested volume fractions around each lattice point: pseudo-Huber loss, in units of the deviations."""

    @classmethod
    def of_data(cls, data, conditions, stride):
        if conditions is None:
            return "the generator is not told local fractions"
        return np.array([conditions.mean, conditions.deviation])

    def loss(self, labels, asked, probabilities):
        stride = labels.shape[1] // asked.shape[1]
        found = differentiable.local_fractions(labels, stride, BOX)
        mean, deviation = map(ops.convert_to_tensor, self.target)
        off = (found - mean) / deviation - asked
        loss = labels.shape[-1] * ops.mean(ops.sqrt(1.0 + ops.square(off)) - 1.0)
        return loss, ops.mean(ops.abs(off))


class Average(Term):
    """A statistic whose mean over many volumes is matched to the data's, while single volumes may differ.

    The loss has the gradient of the squared relative error of a running mean. Beyond an error of a tenth the gradient
    no longer grows, so that it does not outweigh the critics.
    """

    solid = 0  # voxels per side of the smallest volume that tells the statistic; 0 if slices tell it too

    def __init__(self, target):
        super().__init__(target)
        self._scale = self.scale(self.target).astype("float32")
        self._running = keras.Variable(self.target, trainable=False, dtype="float32", name=type(self).__name__)
        self.variables = [self._running]

    @staticmethod
    def scale(target: np.ndarray) -> np.ndarray:
        """Return the unit of errors: the mean over the axes."""
        return np.maximum(np.mean(target, axis=-1, keepdims=True), _SMALL)

    @staticmethod
    def measure(volumes: Any, periodic: bool) -> Any:
        """Return the statistic of probabilities (batch, z, y, x, phases): (k, axes)."""
        raise NotImplementedError

    @classmethod
    def of_data(cls, data, conditions, stride):
        """Return the mean over random crops, averaged over equivalent axes."""
        if cls.solid and (data.dimensions == 2 or data.smallest < cls.solid):
            return f"{'slices' if data.dimensions == 2 else 'volumes as small as these'} do not tell it"
        return mean_of_crops(
            data,
            lambda hot: ops.convert_to_numpy(cls.measure(ops.convert_to_tensor(hot[np.newaxis]), False)),
            min(_EDGE, data.smallest),
            _CROPS,
        )

    def loss(self, labels, asked, probabilities):
        found, before = self.measure(labels, True), ops.convert_to_tensor(self._running)
        scale = ops.convert_to_tensor(self._scale)
        residual = (before - ops.convert_to_tensor(self.target)) / scale
        slope = 2.0 * ops.clip(residual, -_LIMIT, _LIMIT) / scale
        known = ops.stop_gradient(found)
        self._running.assign(_DECAY * before + (1.0 - _DECAY) * known)
        error = ops.mean(ops.square(residual))
        return error + ops.mean(slope * (found - known)), error


class SurfaceAreas(Average):
    """Surface areas of the phases, from the faces normal to each axis."""

    measure = staticmethod(differentiable.surface_areas)


class TriplePhaseBoundaries(Average):
    """Lengths of triple-phase boundaries along each axis."""

    measure = staticmethod(differentiable.triple_phase_boundaries)

    @classmethod
    def of_data(cls, data, conditions, stride):
        found = super().of_data(data, conditions, stride)
        return found if np.any(found) else "phases do not meet three at a time"


class RelativeDiffusivities(Average):
    """Relative diffusivities of the phases along each axis."""

    solid = 1
    measure = staticmethod(lambda volumes, periodic: differentiable.relative_diffusivities(volumes))


class BallMoments(Average):
    """How many large bodies the phases have; errors are relative to the data, or to a thousandth if that is more."""

    solid = sum(_BALLS[-1])
    measure = staticmethod(lambda volumes, periodic: differentiable.ball_moments(volumes, _BALLS, periodic))
    scale = staticmethod(lambda target: np.maximum(target, 1e-3))


class Lattice(Average):
    """Variation with the position within a lattice step, which is zero in the data."""

    scale = staticmethod(lambda target: np.ones_like(target))

    @classmethod
    def of_data(cls, data, conditions, stride):
        return np.zeros((2 * (data.n_phases or 1), stride, 3))

    def measure(self, volumes, periodic):  # pyright: ignore[reportIncompatibleMethodOverride]
        return differentiable.lattice(volumes, self.target.shape[1])


class Ambiguity(Term):
    """Probability that two phases drawn from a voxel's probabilities differ; it is zero in the data."""

    def loss(self, labels, asked, probabilities):
        error = 1.0 - ops.mean(ops.sum(ops.square(probabilities), axis=-1))
        return error, error


TERMS: dict[str, type[Term]] = {
    "volume_fractions": VolumeFractions,
    "local_fractions": LocalFractions,
    "surface_areas": SurfaceAreas,
    "triple_phase_boundaries": TriplePhaseBoundaries,
    "relative_diffusivities": RelativeDiffusivities,
    "ball_moments": BallMoments,
    "lattice": Lattice,
    "ambiguity": Ambiguity,
}


def applied(
    weights: Mapping[str, float], data: LabelledData, conditions: Conditions | None, stride: int
) -> tuple[dict[str, tuple[float, Term]], list[str]]:
    """Return the losses that apply, with their weights, and in words the reasons why the others do not.

    Args:
        weights: dict from names of ``TERMS`` to weights.
        data: The LabelledData.
        conditions: Conditions of the generator, or None for an unconditional one.
        stride: Voxels per lattice step.
    """
    found, notes = {}, []
    for name, weight in weights.items():
        term = TERMS[name]
        target = term.of_data(data, conditions, stride)
        if isinstance(target, str):
            notes.append(f"no {name.replace('_', ' ')}: {target}")
        else:
            found[name] = (float(weight), term(target))
    return found, notes
