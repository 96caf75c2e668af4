"""Measures that count voxels, faces, edges and pairs of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from keras import ops

_PLANES = ((1, 2), (0, 2), (0, 1))  # the axes of slices normal to z, y and x
_SMALL = 1e-6
_CELL = 4  # voxels along the edge of the cells that filters consist of


def likeliest(probabilities: Any) -> Any:
    """Return 1 for the most probable phase and 0 for the others, with the gradient of p^8, normalised.

    Measures are ultimately those of labels. The mean of soft probabilities can be right where that of labels is wrong:
    0.3, 0.3 and 0.4 everywhere would be labelled as one phase. The gradient is a straight-through estimate (Bengio et
    al. 2013) with sharpened probabilities, so that it is largest near boundaries; a tenth of the gradient of the
    probabilities themselves is added to restore a phase that is nowhere probable.

    Args:
        probabilities: (..., phases).
    """
    return _labels(probabilities)


@ops.custom_gradient
def _labels(p):
    def gradients(*arguments: Any, upstream: Any = None):
        # TensorFlow passes only the upstream gradient, torch passes it by name after the function's arguments.
        upstream = arguments[0] if upstream is None else upstream
        second = ops.square(p)
        fourth = ops.square(second)
        sharp = ops.square(fourth)  # `** 8` would take far longer
        scale = 1.0 / ops.sum(sharp, axis=-1, keepdims=True)
        mean = ops.sum(upstream * sharp, axis=-1, keepdims=True) * scale
        return (8.0 * scale) * (fourth * second * p) * (upstream - mean) + 0.1 * upstream

    return ops.one_hot(ops.argmax(p, axis=-1), p.shape[-1], dtype=p.dtype), gradients


def soft_edges(volumes: Any, share: float) -> Any:
    """Return periodic volumes smoothed by giving a share of each voxel to both neighbours along each axis in turn.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        share: Fraction that each neighbour receives, from 0 to 1 / 3.
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
        # Around the centre of a cell: whole cells on both sides, and half of those at the ends.
        shifts = {shift: (0.5 if abs(shift) == box // 2 else 1.0) / box for shift in range(-(box // 2), box // 2 + 1)}
        x = sum(weight * ops.roll(x, shift, axis=axis) for shift, weight in shifts.items())
    return x


def surface_areas(volumes: Any, periodic: bool = False) -> Any:
    """Return the fraction of voxel faces normal to each axis at which a phase begins or ends: (phases, axes).

    This is E |p(x + 1) - p(x)|: a boundary counts once, no matter over how many voxels it is blurred. The sum over
    axes, divided by the voxel size, is the specific surface area by faces.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        periodic: Whether faces between opposite sides count.
    """
    differences = [ops.abs(_ahead(volumes, axis, 1, periodic) - _here(volumes, axis, 1, periodic)) for axis in range(3)]
    return ops.stack([ops.mean(part, axis=(0, 1, 2, 3)) for part in differences], axis=-1)


def triple_phase_boundaries(volumes: Any, periodic: bool = False) -> Any:
    """Return the fraction of voxel edges along each axis at which three or more phases meet: (1, axes).

    For four voxels with independent phases, only phase i occurs with probability a_i, the product of its probabilities,
    and only i and j with probability b_ij, the product of their sums; at least three phases therefore occur with
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
    """Return the probability that two voxels a lag apart along an axis are both in a phase: (phases, axes * lags).

    S2(r) = E p(x) p(x + r) (Torquato, Random Heterogeneous Materials, 2002, 2.2).

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        lags: Lags in voxels.
        periodic: Whether pairs across opposite sides count.
    """
    found = [
        ops.mean(_here(volumes, axis, lag, periodic) * _ahead(volumes, axis, lag, periodic), axis=(0, 1, 2, 3))
        for axis in range(3)
        for lag in lags
    ]
    return ops.stack(found, axis=-1)


def ball_moments(volumes: Any, widths: Sequence[Sequence[int]], periodic: bool = False) -> Any:
    """Return the probability that 128 random points around a place all lie in the same phase: (phases * sizes, axes).

    This is E f^128 over the phase's volume fractions f around places, a moment of the coarse-grained phase (Torquato,
    Random Heterogeneous Materials, 2002, 2.6). The fractions are weighted by three box filters in a row, nearly a
    normal distribution, so that no direction is favoured. A single voxel of another phase near the place hardly counts,
    but a dent does: the moment follows the share of places around which a ball with a radius of some 2.5 standard
    deviations of these filters lies in the phase. It has no direction: the values are the same for each axis.

    Args:
        volumes: Probabilities (batch, z, y, x, phases).
        widths: For each size the widths of the three filters in voxels, multiples of 4. Filters begin at every fourth
            voxel; in periodic volumes their outer planes decide at which of four, so that nothing can keep to these.
        periodic: Whether the filters continue on the opposite sides.
    """
    if periodic:
        volumes = _rolled(volumes, _CELL)
    cells, found = ops.average_pool(volumes, _CELL, data_format="channels_last"), []
    for three in widths:
        x = cells
        for n in (width // _CELL for width in three if width > _CELL):
            if periodic:
                for axis in (1, 2, 3):
                    x = sum(ops.roll(x, -shift, axis=axis) for shift in range(n)) / n
            else:
                x = ops.average_pool(x, n, strides=1, data_format="channels_last")
        for _ in range(7):
            x = ops.square(x)  # `** 128` would take far longer
        found.append(ops.mean(x, axis=(0, 1, 2, 3)))
    return ops.repeat(ops.reshape(ops.stack(found, axis=-1), (-1, 1)), 3, axis=1)


def lattice(volumes: Any, stride: int) -> Any:
    """Return the variation of fractions and label changes within a lattice step: (2 * phases, stride, axes).

    For each position, the volume fraction of its planes, and the fraction of faces between them and the preceding
    planes at which a phase begins or ends, relative to the mean over all positions, minus one. All are zero on average
    in a material, which has no lattice.

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


def _rolled(volumes, n):
    """Return volumes rolled along each axis by 0 to n - 1 voxels, by what phases their outer planes have."""
    for axis in (1, 2, 3):
        plane = ops.stop_gradient(ops.take(volumes, 0, axis=axis)[..., 0])
        volumes = ops.roll(volumes, ops.cast(ops.mod(ops.sum(ops.round(plane)), n), "int32"), axis=axis)
    return volumes


def _here(x, axis, lag, periodic):
    """Return the voxels that have another one a lag ahead along an axis."""
    return x if periodic else x[(slice(None),) * (axis + 1) + (slice(None, -lag),)]


def _ahead(x, axis, lag, periodic):
    return ops.roll(x, -lag, axis=axis + 1) if periodic else x[(slice(None),) * (axis + 1) + (slice(lag, None),)]


def _all_four(x, plane, periodic):
    """Return the products over the four voxels around each edge normal to a plane."""
    for axis in plane:
        x = _here(x, axis, 1, periodic) * _ahead(x, axis, 1, periodic)
    return x
