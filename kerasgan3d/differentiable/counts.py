"""Measures that count voxels, faces, edges and pairs of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from keras import ops

_PLANES = ((1, 2), (0, 2), (0, 1))  # the axes of slices normal to z, y and x
_SMALL = 1e-6


def likeliest(probabilities: Any) -> Any:
    """Return 1 for the likeliest phase and 0 for the others, with the gradient of p^8, normalised.

    What is measured in the end are labels. The mean of soft probabilities can be right where that of labels is far off:
    0.3, 0.3 and 0.4 everywhere would be labelled as one phase. The gradient is "straight through" (Bengio et al. 2013),
    of probabilities sharpened so that it is largest near boundaries; a tenth of that of the probabilities themselves
    brings back a phase that is nowhere likely.

    Args:
        probabilities: (..., phases).
    """
    return _labels(probabilities)


@ops.custom_gradient
def _labels(p):
    def gradients(*arguments: Any, upstream: Any = None):
        # TensorFlow gives what comes from above alone, torch by name behind the arguments of the function.
        upstream = arguments[0] if upstream is None else upstream
        second = ops.square(p)
        fourth = ops.square(second)
        sharp = ops.square(fourth)  # `** 8` would take far longer
        scale = 1.0 / ops.sum(sharp, axis=-1, keepdims=True)
        mean = ops.sum(upstream * sharp, axis=-1, keepdims=True) * scale
        return (8.0 * scale) * (fourth * second * p) * (upstream - mean) + 0.1 * upstream

    return ops.one_hot(ops.argmax(p, axis=-1), p.shape[-1], dtype=p.dtype), gradients


def soft_edges(volumes: Any, share: float) -> Any:
    """Return periodic volumes whose voxels give a share of what they are to either neighbour along each axis in turn.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        share: From 0 to 1 / 3.
    """
    for axis in (1, 2, 3):
        beside = ops.roll(volumes, 1, axis=axis) + ops.roll(volumes, -1, axis=axis)
        volumes = (1.0 - 2.0 * share) * volumes + share * beside
    return volumes


def volume_fractions(volumes: Any) -> Any:
    """Return volume fractions: (phases,).

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
    """
    return ops.mean(volumes, axis=(0, 1, 2, 3))


def local_fractions(volumes: Any, stride: int, box: int) -> Any:
    """Return volume fractions in boxes around the lattice points of periodic volumes: (batch, z, y, x, phases).

    Args:
        volumes: Probabilities (batch, z, y, x, phases), the edges multiples of the stride.
        stride: Voxels per lattice step.
        box: Edge of the boxes in lattice steps, an even number.
    """
    x = volumes
    for axis in (1, 2, 3):
        shape = x.shape
        x = ops.mean(ops.reshape(x, (*shape[:axis], shape[axis] // stride, stride, *shape[axis + 1 :])), axis=axis + 1)
    for axis in (1, 2, 3):
        # Around the middle of a cell: whole cells to either side, and half of the ones at the ends.
        shifts = {shift: (0.5 if abs(shift) == box // 2 else 1.0) / box for shift in range(-(box // 2), box // 2 + 1)}
        x = sum(weight * ops.roll(x, shift, axis=axis) for shift, weight in shifts.items())
    return x


def surface_areas(volumes: Any, periodic: bool = False) -> Any:
    """Return the share of the voxel faces normal to each axis at which a phase begins or ends: (phases, axes).

    E |p(x + 1) - p(x)|: a boundary counts once however many voxels it is blurred over. The sum over axes, divided by
    the voxel size, is the specific surface area by faces.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        periodic: Whether faces between opposite sides count.
    """
    differences = [ops.abs(_ahead(volumes, axis, 1, periodic) - _here(volumes, axis, 1, periodic)) for axis in range(3)]
    return ops.stack([ops.mean(part, axis=(0, 1, 2, 3)) for part in differences], axis=-1)


def triple_phase_boundaries(volumes: Any, periodic: bool = False) -> Any:
    """Return the share of the voxel edges along each axis at which three phases or more meet: (1, axes).

    Of four voxels whose phases are independent, none but phase i occurs with probability a_i, the product of its
    probabilities, and none but i and j with probability b_ij, that of their sums; so at least three occur with
    probability 1 + (n - 2) sum a_i - sum b_ij for n phases. Divided by the voxel size squared, it is the length per
    volume of triple-phase boundaries along the axis.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        periodic: Whether edges at opposite sides count.
    """
    n, planes = volumes.shape[-1], ops.unstack(volumes, volumes.shape[-1], axis=-1)
    pairs = [planes[i] + planes[j] for i, j in combinations(range(n), 2)]
    found = []
    for plane in _PLANES:
        alone = sum(ops.mean(_all_four(part, plane, periodic)) for part in planes)
        together = sum(ops.mean(_all_four(part, plane, periodic)) for part in pairs)
        found.append(1.0 + (n - 2) * alone - together)
    return ops.reshape(ops.stack(found), (1, 3))


def two_point_correlation(volumes: Any, lags: Sequence[int], periodic: bool = False) -> Any:
    """Return how likely two voxels a lag apart along an axis are of the same given phase: (phases, axes * lags).

    S2(r) = E p(x) p(x + r) (Torquato, Random Heterogeneous Materials, 2002, 2.2).

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        lags: Voxels.
        periodic: Whether pairs across opposite sides count.
    """
    found = [
        ops.mean(_here(volumes, axis, lag, periodic) * _ahead(volumes, axis, lag, periodic), axis=(0, 1, 2, 3))
        for axis in range(3)
        for lag in lags
    ]
    return ops.stack(found, axis=-1)


def lattice(volumes: Any, stride: int) -> Any:
    """Return how fractions and label changes depend on the place within a lattice step: (2 * phases, stride, axes).

    For each place, the volume fraction of the planes that lie there, and the share of the faces between them and the
    planes before them at which a phase begins or ends, relative to the mean over all places, minus one. All are zero on
    average in a material, which knows no lattice.

    Args:
        volumes: Probabilities of periodic volumes (batch, z, y, x, phases), the edges multiples of the stride.
        stride: Voxels per lattice step.
    """
    found = []
    for axis in (1, 2, 3):
        others = tuple(i for i in range(4) if i != axis)
        changes = ops.abs(volumes - ops.roll(volumes, 1, axis=axis))
        profiles = ops.concatenate([ops.mean(x, axis=others) for x in (volumes, changes)], axis=-1)
        profiles = ops.mean(ops.reshape(profiles, (-1, stride, profiles.shape[-1])), axis=0)
        means = ops.mean(profiles, axis=0)
        found.append(ops.transpose((profiles - means) / ops.maximum(means, _SMALL)))
    return ops.stack(found, axis=-1)


def _here(x, axis, lag, periodic):
    """The voxels that have another one a lag ahead along an axis."""
    return x if periodic else x[(slice(None),) * (axis + 1) + (slice(None, -lag),)]


def _ahead(x, axis, lag, periodic):
    return ops.roll(x, -lag, axis=axis + 1) if periodic else x[(slice(None),) * (axis + 1) + (slice(lag, None),)]


def _all_four(x, plane, periodic):
    """Products over the four voxels around each edge normal to a plane."""
    for axis in plane:
        x = _here(x, axis, 1, periodic) * _ahead(x, axis, 1, periodic)
    return x
