"""Differentiable relative diffusivity of phase probabilities.

Steady diffusion through a volume between two opposite faces, with no flux through the others, is solved on a coarse
grid. The conductance of a cell is its fraction of a phase, that of a face between two cells the product of theirs. The
solution minimises the dissipation over all potentials, and the minimum is the diffusivity (Dirichlet's principle:
Torquato, Random Heterogeneous Materials, 2002, 13.3). The derivative of the diffusivity by a conductance is therefore
the squared difference of potential, and an approximate solution has an error of second order.
"""

from typing import Any

import numpy as np
from keras import ops

# Largest number of cells per side; and the conductance outside the phase, which defines the potential everywhere.
CELLS = 32
LEAK = 0.01
# Steps of the conjugate gradients. The result is then still slightly too large, equally for data and generators, but
# follows the diffusivity from volume to volume.
STEPS = 40
_SMALL = 1e-12


def soft_diffusivity(shares):
    """Compute the relative diffusivity along the first axis of volumes: (count,).

    Args:
        shares: Conducting fraction of each cell, from 0 to 1: (count, z, y, x).
    """
    cells = LEAK + (1.0 - LEAK) * shares
    faces, first, last = _conductances(cells)
    potential = _potential(*map(ops.stop_gradient, (*faces, first, last)))
    lost = sum(
        ops.sum(face * ops.square(difference), axis=(1, 2, 3))
        for face, difference in zip(faces, _differences(potential), strict=True)
    )
    lost += ops.sum(first * ops.square(1.0 - potential[:, :1]), axis=(1, 2, 3))
    lost += ops.sum(last * ops.square(potential[:, -1:]), axis=(1, 2, 3))
    _, length, rows, columns = cells.shape
    return lost * (length / (rows * columns))


def coarse(volumes):
    """Average over cubes of voxels, so that at most ``CELLS`` lie along an axis.

    Args:
        volumes: (count, z, y, x, phases); incomplete cubes at the far faces are dropped.
    """
    factor = -(-max(volumes.shape[1:4]) // CELLS)
    return volumes if factor == 1 else ops.average_pool(volumes, factor, data_format="channels_last")


def relative_diffusivities(volumes: Any) -> Any:
    """Return relative diffusivities along the axes: (phases, 3).

    Args:
        volumes: Cubes of probabilities, (batch, edge, edge, edge, phases); flux is between opposite faces.
    """
    cells, n = coarse(volumes), volumes.shape[-1]
    # Phases and volumes together, with the direction as the first axis: all are solved at once.
    turned = [ops.transpose(cells, (4, 0, axis + 1, *(i + 1 for i in range(3) if i != axis))) for axis in range(3)]
    shares = [ops.reshape(part, (-1, *part.shape[2:])) for part in turned]
    found = ops.reshape(soft_diffusivity(ops.concatenate(shares, axis=0)), (3, n, -1))
    return ops.transpose(ops.mean(found, axis=-1))


def relative_diffusivity(volumes: Any, phase: int, axis: int) -> Any:
    """Return the relative diffusivity of a phase along an axis: a scalar, the mean over volumes.

    Args:
        volumes: Probabilities (batch, z, y, x, phases), the edges of any lengths.
        phase: Index of the phase.
        axis: 0, 1 or 2 for z, y or x, the direction of the flux between opposite faces.
    """
    cells = coarse(volumes)[..., phase]
    return ops.mean(soft_diffusivity(ops.moveaxis(cells, axis + 1, 1)))


def _conductances(cells):
    """Return the conductances of the faces along each axis, and of the two ends, which are half a cell away."""
    faces = (
        cells[:, 1:] * cells[:, :-1],
        cells[:, :, 1:] * cells[:, :, :-1],
        cells[:, :, :, 1:] * cells[:, :, :, :-1],
    )
    return faces, 2.0 * ops.square(cells[:, :1]), 2.0 * ops.square(cells[:, -1:])


def _differences(values):
    return (
        values[:, 1:] - values[:, :-1],
        values[:, :, 1:] - values[:, :, :-1],
        values[:, :, :, 1:] - values[:, :, :, :-1],
    )


def _potential(along, rows, columns, first, last):
    """Solve for the potential, 1 at the first end and 0 at the last, by conjugate gradients from a linear one."""

    def before(face, axis):
        return ops.pad(face, [(1, 0) if i == axis else (0, 0) for i in range(4)])

    def after(face, axis):
        return ops.pad(face, [(0, 1) if i == axis else (0, 0) for i in range(4)])

    # Conductances to the six neighbours of each cell, none beyond the faces; beyond the ends there is no unknown.
    links = [fit(face, axis) for axis, face in enumerate((along, rows, columns), 1) for fit in (before, after)]
    length = links[0].shape[1]
    source = ops.pad(first, ((0, 0), (0, length - 1), (0, 0), (0, 0)))
    total = sum(links) + source + ops.pad(last, ((0, 0), (length - 1, 0), (0, 0), (0, 0)))

    def flow(values):
        """Return the flux out of each cell."""
        wide = ops.pad(values, ((0, 0), (1, 1), (1, 1), (1, 1)))
        beside = [
            wide[:, :-2, 1:-1, 1:-1],
            wide[:, 2:, 1:-1, 1:-1],
            wide[:, 1:-1, :-2, 1:-1],
            wide[:, 1:-1, 2:, 1:-1],
            wide[:, 1:-1, 1:-1, :-2],
            wide[:, 1:-1, 1:-1, 2:],
        ]
        return total * values - sum(link * part for link, part in zip(links, beside, strict=True))

    def dot(a, b):
        return ops.sum(a * b, axis=(1, 2, 3), keepdims=True)

    ramp = 1.0 - (np.arange(length, dtype="float32") + 0.5) / length
    values = ops.zeros_like(total) + ramp.reshape(1, -1, 1, 1)
    residual = source - flow(values)
    direction = residual / total
    size = dot(residual, direction)

    def step(_, state):
        values, residual, direction, size = state
        flowing = flow(direction)
        share = size / ops.maximum(dot(direction, flowing), _SMALL)
        values, residual = values + share * direction, residual - share * flowing
        scaled = residual / total
        new = dot(residual, scaled)
        return values, residual, scaled + new / ops.maximum(size, _SMALL) * direction, new

    return ops.fori_loop(0, STEPS, step, (values, residual, direction, size))[0]
