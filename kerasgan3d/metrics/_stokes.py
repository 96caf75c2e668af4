"""Creeping flow through the voxels of a mask, from its first layer to its last: the equations and their solution."""

import warnings

import numpy as np
import pyamg
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, minres

WALL, MIRROR, PERIODIC = "wall", "mirror", "periodic"
_ITERATIONS = 1000
_EVERY = 5  # steps between two looks at the flow


def solve_stokes(mask, sides, tolerance):
    """Return the flow of a liquid of viscosity 1 through a mask, where the pressure falls by 1 from end to end.

    Stokes' equations on a staggered grid (Harlow and Welch, Phys. Fluids 8, 1965, 2182-2189): pressures at the centres
    of voxels, velocities on the faces between them, zero at walls. The ends are mirrors, at which the pressure is given
    and the flow goes straight through, so that the mask continues as its mirror image.

    The system is symmetric and indefinite: it is solved by minimal residuals (Paige and Saunders, SIAM J. Numer. Anal.
    12, 1975, 617-629), preconditioned by a block of multigrid for the velocities, and for the pressures by one that is
    right for pores much wider and much narrower than the pressure's variations are long (Cahouet and Chabard, Int. J.
    Numer. Methods Fluids 8, 1988, 869-895), with the drag of walls as the coefficient.

    The flow is taken from a functional that is stationary in the solution, so that its error is the square of the
    field's.

    Args:
        mask: bool (z, y, x), each part of it connected to both ends, with a wall somewhere.
        sides: Of y and x: "wall", "mirror" or "periodic".
        tolerance: How far the fluxes through the layers may lie apart, as a share of the flow; the flow must also
            change by less than this in the last five steps.

    Returns:
        The flow in voxel³ per unit of time, times the viscosity.

    Warns:
        RuntimeWarning: If the tolerance is not reached.
    """
    shear, divergence, inlet, layers = equations(mask, sides)
    matrix = sparse.block_array([[shear, -divergence.T], [-divergence, None]]).tocsr()
    source = np.concatenate([inlet, np.zeros(divergence.shape[0])])
    found = {"flow": 0.0, "steps": 0}

    def look(solution):
        found["steps"] += 1
        if found["steps"] % _EVERY:
            return
        last = found["flow"]
        found["flow"] = float(solution @ (2 * source - matrix @ solution))
        through = np.bincount(layers, solution[: len(layers)])
        found["apart"] = np.ptp(through) / abs(found["flow"])
        if max(found["apart"], abs(found["flow"] - last) / abs(found["flow"])) <= tolerance:
            raise StopIteration

    try:
        solution, _ = minres(
            matrix, source, rtol=1e-14, maxiter=_ITERATIONS, M=_preconditioner(shear, divergence), callback=look
        )
    except StopIteration:
        return found["flow"]
    flow = float(solution @ (2 * source - matrix @ solution))
    if found["steps"] >= _ITERATIONS:
        warnings.warn(
            f"Flow has not settled in {_ITERATIONS} iterations: the fluxes through the layers lie "
            f"{found['apart']:.1e} apart, where the tolerance is {tolerance:g}.",
            RuntimeWarning,
            stacklevel=4,
        )
    return flow


def equations(mask, sides):
    """Return the equations of the velocities and pressures of a mask; arguments as for `solve_stokes`.

    A face is where the velocity of one component is known: between two voxels of the mask, and at an end. What it
    exchanges by shear is the sum over its halves, one in either voxel: with the face of the neighbouring voxel, which
    is 1 away, or with a wall, 1/2 away.

    Returns:
        CSR (faces, faces), the shear, positive definite; CSR (voxels, faces), what flows out of each voxel less what
        flows in; (faces,) 1 at the inlet; and the layer boundary of each of the first faces, which are those along z.
    """
    cells = np.full(mask.shape, -1)
    cells[mask] = np.arange(np.count_nonzero(mask))
    numbers, count = [], 0
    for axis in range(3):
        found = _numbered(mask, axis, sides, count)
        count = max(count, int(found.max()) + 1)
        numbers.append(found)
    inlet = np.zeros(count)
    inlet[numbers[0][0][mask[0]]] = 1
    layers = np.nonzero(numbers[0] >= 0)[0]
    links, walls = [], np.zeros(count)
    rows, columns, entries = [], [], []
    for axis, faces in enumerate(numbers):
        low, high = (np.moveaxis(np.moveaxis(faces, axis, 0)[part], 0, axis) for part in (np.s_[:-1], np.s_[1:]))
        _exchange(low[mask], high[mask], 1.0, links, walls)
        for face, sign in ((low, -1.0), (high, 1.0)):
            here = face >= 0
            here &= mask
            rows.append(cells[here])
            columns.append(face[here])
            entries.append(np.full(np.count_nonzero(here), sign))
            for across in {0, 1, 2} - {axis}:
                _exchange_across(face, mask, across, (WALL, *sides)[across], links, walls)
    before, after, strengths = (np.concatenate(part) for part in zip(*links, strict=True))
    upper = sparse.coo_array((strengths, (before, after)), shape=(count, count)).tocsr()
    both = upper + upper.T
    shear = (sparse.diags_array(walls + both.sum(axis=1)) - both).tocsr()
    places = (np.concatenate(rows), np.concatenate(columns))
    divergence = sparse.coo_array((np.concatenate(entries), places), shape=(int(cells.max()) + 1, count)).tocsr()
    return shear, divergence, inlet, layers


def _numbered(mask, axis, sides, first):
    """Number the faces along an axis in C order, -1 where there is none: one more along it than there are voxels."""
    lines = np.moveaxis(mask, axis, 0)
    faces = np.zeros((len(lines) + 1, *lines.shape[1:]), bool)
    faces[1:-1] = lines[1:] & lines[:-1]
    wraps = axis and sides[axis - 1] == PERIODIC
    if not axis:
        faces[0], faces[-1] = lines[0], lines[-1]
    elif wraps:
        faces[0] = lines[0] & lines[-1]
    faces = np.moveaxis(faces, 0, axis)
    numbers = np.full(faces.shape, -1)
    numbers[faces] = first + np.arange(np.count_nonzero(faces))
    if wraps:
        ends = np.moveaxis(numbers, axis, 0)
        ends[-1] = ends[0]
    return numbers


def _exchange(one, other, strength, links, walls):
    """Add the links between pairs of faces: to one that is none, -1, velocity 0 at the same distance."""
    both = (one >= 0) & (other >= 0) & (one != other)
    links.append((one[both], other[both], np.full(np.count_nonzero(both), strength)))
    for alone, there in ((one, other), (other, one)):
        np.add.at(walls, alone[(alone >= 0) & (there < 0)], strength)


def _exchange_across(faces, mask, axis, side, links, walls):
    """Add what the halves of faces, one per voxel of the mask, exchange with their neighbours along another axis."""
    lines, inside = np.moveaxis(faces, axis, 0), np.moveaxis(mask, axis, 0)
    around = [(slice(-1, None), slice(1))] if side == PERIODIC else []
    for low, high in [(slice(-1), slice(1, None)), *around]:
        both = inside[low] & inside[high]
        _exchange(lines[low][both], lines[high][both], 0.5, links, walls)
        for here, there in ((low, high), (high, low)):
            np.add.at(walls, _known(lines[here][inside[here] & ~inside[there]]), 1.0)
    if side == WALL:
        for end in (0, -1):
            np.add.at(walls, _known(lines[end][inside[end]]), 1.0)


def _known(numbers):
    return numbers[numbers >= 0]


def _preconditioner(shear, divergence):
    """Return the operator that comes close to the inverse of the blocks of velocities and pressures."""
    faces, cells = shear.shape[0], divergence.shape[0]
    velocities, pressures = (
        pyamg.smoothed_aggregation_solver(matrix, max_coarse=300).aspreconditioner()
        for matrix in (shear, (divergence @ divergence.T).tocsr())
    )
    # The mean velocity between plates w apart is w²/12 per gradient; they have 2/w of wall per voxel, which is 2 each
    # in the sum of their rows.
    drag = 3 * (float(shear.sum()) / 2 / faces) ** 2

    def apply(residual):
        pressure = residual[faces:]
        return np.concatenate([velocities @ residual[:faces], pressure + drag * (pressures @ pressure)])

    return LinearOperator((faces + cells,) * 2, apply, dtype=np.float64)
