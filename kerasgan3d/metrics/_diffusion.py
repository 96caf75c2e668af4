"""Steady diffusion through the voxels of a mask, from its first layer to its last: the equations and their solution."""

import warnings
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from kerasgan3d.metrics._multigrid import Multigrid, harmonic_mean

_ITERATIONS = 200
_SLAB = 2**18  # voxels whose neighbours are listed at once


class Steady(NamedTuple):
    """A steady state: flux through the mask, `values` at its voxels (n,), and the flux through each layer boundary."""

    flux: float
    values: np.ndarray
    fluxes: np.ndarray


def solve_diffusion(mask, wraps, tolerance, conductivity=None):
    """Solve for the concentration in a mask, 1 at the outer face of its first layer and 0 at that of its last.

    Finite volumes with one value at the centre of each voxel: conductance 1 between neighbours, 2 between a voxel of
    the first or last layer and the outer face, which is half a voxel away. Between voxels of conductivities a and b it
    is their harmonic mean 2ab / (a + b), and 2a to the outer face. Conjugate gradients, preconditioned by multigrid,
    start from the linear profile.

    The dissipated energy is the flux (the difference of concentration being 1). Of all fields the true one dissipates
    least, so that the energy is too large by the square of the field's error, where the flux through a single layer is
    off by about the error itself: the energy is what is returned.

    Args:
        mask: bool (z, y, x), each part of it connected to both ends.
        wraps: three bools; the first is not used.
        tolerance: how far the fluxes through the layers may lie apart, as a share of the flux; the energy must also
            fall by less than a tenth of this in the last iteration.
        conductivity: array (z, y, x), positive in the mask and at most 1; None: 1 everywhere.

    Returns:
        Steady. `flux` is in units of a voxel's edge times the diffusivity times the difference of concentration.

    Warns:
        RuntimeWarning: if the tolerance is not reached.
    """
    wraps = (False, *wraps[1:])
    matrix, ends, layers = equations(mask, wraps, conductivity)
    source = np.zeros(len(ends))
    source[: layers[0]] = 2.0 if conductivity is None else 2 * conductivity[0][mask[0]]
    starts = np.concatenate([[0], np.cumsum(layers)[:-1]])
    depth = len(layers)
    values = np.repeat(1 - (np.arange(depth) + 0.5) / depth, layers)
    residual = source - matrix @ values

    steps = _steps(lambda: Multigrid(matrix, ends, mask, wraps, conductivity), matrix, values, residual)
    energy = np.inf
    for _ in range(_ITERATIONS):
        inlet = source[: layers[0]] @ (1 - values[: layers[0]])
        fluxes = inlet - np.concatenate([[0.0], np.cumsum(np.add.reduceat(residual, starts))])
        last, energy = energy, inlet - values @ residual
        settled = last - energy <= tolerance / 10 * energy
        if np.ptp(fluxes) <= tolerance * energy and (settled or np.abs(residual).max() < 1e-12):
            break
        next(steps)
    else:
        warnings.warn(
            f"Diffusion has not settled in {_ITERATIONS} iterations: the fluxes through the layers lie "
            f"{np.ptp(fluxes) / energy:.1e} apart, where the tolerance is {tolerance:g}.",
            RuntimeWarning,
            stacklevel=4,
        )
    return Steady(float(energy), values, fluxes)


def _steps(make, matrix, values, residual):
    """Take steps of conjugate gradients, for a preconditioner that is not linear: `values`, `residual` change in place.

    Yields by how much each step lowers the energy. `make` makes the preconditioner, once it is needed.
    """
    precondition = make()
    direction, flow, dissipation = None, None, np.inf
    while True:
        step = precondition(residual)
        if direction is not None:
            step -= (step @ flow) / dissipation * direction
        direction = step
        flow = matrix @ direction
        dissipation = direction @ flow
        length = (direction @ residual) / dissipation
        values += length * direction
        residual -= length * flow
        yield length**2 * dissipation


def unit_gradient_flows(mask, tolerance, conductivity):
    """Return the mean flux along each axis for a unit gradient along each, where all axes wrap: (3, 3).

    With A the equations without ends and b_k what a unit gradient along k drives into each voxel, the deviation from
    the gradient solves A x_k = b_k. The fluxes are taken from the dissipated energy, so that their error is the square
    of the field's. One voxel of each connected part is tied to zero: nothing flows there, as the sum of b_k over the
    part vanishes.

    Args:
        mask, conductivity: As for `solve_diffusion`.
        tolerance: The last step must lower the energy by less than the square of this, as a share of it.

    Warns:
        RuntimeWarning: if the tolerance is not reached.
    """
    wraps = (True,) * 3
    matrix, ends, _ = equations(mask, wraps, conductivity, with_ends=False)
    firsts = np.unique(connected_components(matrix, directed=False)[1], return_index=True)[1]
    ends[firsts] = conductivity[mask][firsts]
    matrix = (matrix + sparse.diags_array(ends)).tocsr()
    sums, sources = np.empty(3), np.empty((3, len(ends)))
    for axis in range(3):
        through = np.zeros(mask.shape)
        both = mask & np.roll(mask, -1, axis)
        through[both] = harmonic_mean(conductivity[both], np.roll(conductivity, -1, axis)[both])
        sums[axis] = through.sum()
        sources[axis] = (np.roll(through, 1, axis) - through)[mask]

    hierarchy = cache(lambda: Multigrid(matrix, ends, mask, wraps, conductivity))
    values, residuals = np.zeros_like(sources), sources.copy()
    for x, residual, source, most in zip(values, residuals, sources, sums, strict=True):
        steps = _steps(hierarchy, matrix, x, residual)
        for _ in range(_ITERATIONS):
            if np.abs(residual).max() < 1e-14:
                break
            fall = next(steps)
            if fall <= tolerance**2 * (most - x @ (source + residual)):
                break
        else:
            warnings.warn(
                f"Conduction has not settled in {_ITERATIONS} iterations, with a tolerance of {tolerance:g}.",
                RuntimeWarning,
                stacklevel=3,
            )
    flows = (np.diag(sums) - values @ (sources + residuals).T) / mask.size
    return (flows + flows.T) / 2


def equations(mask, wraps, conductivity=None, with_ends=True):
    """Return the equations of the voxels of a mask, in C order; arguments as for `solve_diffusion`.

    Without ends, what is beyond the first and the last layer conducts nothing, or is joined where that axis wraps.

    Returns:
        CSR (n, n); (n,) the conductance from each voxel to the outer faces; the number of voxels in each layer.
    """
    around = np.pad(mask, 1).view(np.uint8)
    numbers = np.full(around.shape, -1, np.int32)
    layers = np.count_nonzero(mask, axis=(1, 2))
    count = int(layers.sum())
    numbers[1:-1, 1:-1, 1:-1][mask] = np.arange(count, dtype=np.int32)
    for axis in range(3):
        # A voxel that would be its own neighbour has none: nothing flows to itself.
        if wraps[axis] and mask.shape[axis] > 1:
            for padded in (around, numbers):
                lines = np.moveaxis(padded, axis, 0)
                lines[0], lines[-1] = lines[-2], lines[1]

    before = around[:-2, 1:-1, 1:-1] + around[1:-1, :-2, 1:-1] + around[1:-1, 1:-1, :-2]
    after = around[2:, 1:-1, 1:-1] + around[1:-1, 2:, 1:-1] + around[1:-1, 1:-1, 2:]
    before, after = before[mask], after[mask]
    neighbours = before + after
    rows = np.zeros(count + 1, np.int64)
    np.cumsum(neighbours + np.uint8(1), out=rows[1:])
    # pyamg's relaxation takes 32-bit indices, and both arrays of a matrix must be of one kind.
    if rows[-1] > np.iinfo(np.int32).max:
        raise ValueError(
            "The part of a phase that percolates must have at most some 300 million voxels. "
            f"Received: {count} voxels: measure sub-volumes."
        )
    rows = rows.astype(np.int32)
    columns = np.empty(rows[-1], np.int32)
    plane, line = around.shape[1] * around.shape[2], around.shape[2]
    shifts = np.array([-plane, -line, -1, 0, 1, line, plane])
    flat = numbers.ravel()
    bounds = np.concatenate([[0], np.cumsum(layers)])
    step = max(1, _SLAB // mask[0].size)
    for low in range(0, len(mask), step):
        high = min(low + step, len(mask))
        inside = np.zeros((high - low, *around.shape[1:]), bool)
        inside[:, 1:-1, 1:-1] = mask[low:high]
        here = np.flatnonzero(inside) + (low + 1) * plane
        found = flat[here[:, None] + shifts]
        columns[rows[bounds[low]] : rows[bounds[high]]] = found[found >= 0]
    ends = np.zeros(count)
    if with_ends:
        ends[: layers[0]] += 2
        ends[count - layers[-1] :] += 2
    diagonal = rows[:-1] + before
    if conductivity is None:
        entries = np.full(len(columns), -1.0)
        entries[diagonal] = neighbours + ends
    else:
        own = conductivity[mask]
        ends *= own
        entries = _conductances(own, columns, rows)
        np.negative(entries, out=entries)
        # What a voxel has with itself is in the sum of its row as well.
        entries[diagonal] = ends - np.add.reduceat(entries, rows[:-1]) - own
    return sparse.csr_array((entries, columns, rows), shape=(count, count)), ends, layers


def _conductances(own, columns, rows):
    """Return the harmonic mean of the conductivities of each voxel and of what its row lists: (len(columns),)."""
    entries = np.empty(len(columns))
    for low in range(0, len(own), _SLAB):
        high = min(low + _SLAB, len(own))
        part = slice(rows[low], rows[high])
        here = np.repeat(own[low:high], np.diff(rows[low : high + 1]))
        entries[part] = harmonic_mean(here, own[columns[part]])
    return entries


def flux_magnitude(mask, wraps, values):
    """Return the magnitude of the flux in each voxel of a steady state: float32 (z, y, x), 0 outside the mask.

    The mean of the fluxes through a voxel's two faces along each axis, in units of the flux in free space.
    """
    field = np.zeros(mask.shape)
    field[mask] = values
    squares = np.zeros(mask.shape, np.float32)
    for axis in range(3):
        lines, inside = np.moveaxis(field, axis, 0), np.moveaxis(mask, axis, 0)
        through = np.zeros((len(lines) + 1, *lines.shape[1:]), np.float32)
        through[1:-1] = np.where(inside[:-1] & inside[1:], lines[:-1] - lines[1:], 0)
        if axis == 0:
            through[0] = np.where(inside[0], 2 * (1 - lines[0]), 0)
            through[-1] = 2 * lines[-1]
        elif wraps[axis]:
            through[0] = through[-1] = np.where(inside[-1] & inside[0], lines[-1] - lines[0], 0)
        np.moveaxis(squares, axis, 0)[...] += (through[:-1] + through[1:]) ** 2
    return len(mask) / 2 * np.sqrt(squares) * mask
