"""Permeability of a pore phase: creeping flow of a liquid through its voxels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic
from kerasgan3d.metrics._check import check_axis, check_long_enough, check_phase, check_tolerance, check_volume
from kerasgan3d.metrics._measure import PER_PHASE_AND_AXIS, Measure
from kerasgan3d.metrics._stokes import MIRROR, PERIODIC, WALL, solve_stokes
from kerasgan3d.metrics.transport import percolating_part
from kerasgan3d.volume import Volume

BOUNDARIES = (WALL, MIRROR, PERIODIC)
# Of 1 µm². One darcy lets 1 cm/s of 1 cP through at 1 atm/cm, of 101325 Pa.
UNITS = {"µm²": 1.0, "m²": 1e-12, "darcy": 1.01325}
VOXELS = "voxel²"


def permeability(
    volume: Volume | ArrayLike,
    phase: int | str,
    axis: int | str,
    boundary: str | None = None,
    *,
    unit: str | None = None,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> float:
    """Return the permeability k of a phase along an axis by Darcy's law: mean velocity = k / viscosity x dp/dl.

    The mean velocity is the flow divided by the whole cross-section. The flow solves Stokes' equations on the voxels,
    for a pressure at each of the two ends: velocities are defined on the faces of voxels, pressures at their centres,
    and all other phases are walls (Harlow and Welch, Phys. Fluids 8, 1965, 2182-2189; for voxels of a material Bentz
    and Martys, NISTIR 7416, 2007). Beyond its ends the volume continues as its mirror image.

    **How far off.** A channel n voxels wide between flat walls has n²/12 + 1/6 voxel² where n²/12 is right: 2 % too
    much at 10 voxels, 0.5 % at 20; a square duct of n voxels has 3.8/n² of its permeability too much. Curved walls are
    stairs: cubic arrays of spheres, 16 voxels apart, are within 10 % of what Zick and Homsy (J. Fluid Mech. 115, 1982,
    13-26) found, within 7 % at 24. Pores of one or two voxels let through far too much.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1, at least two voxels long along the axis.
        phase: What the liquid fills: its index, or its name where `volume` is a Volume.
        axis: 0, 1 or 2, or "z", "y" or "x": the direction of the flow.
        boundary: What lies beyond the four sides: ``"wall"`` (where the liquid rests), ``"mirror"`` (along which it
            slips) or ``"periodic"`` (the opposite side). Default: periodic along each axis on which `periodic` says so,
            wall along others. The two ends are never joined. Walls slow down what is near them: of a small part of a
            material ``"mirror"`` tells more.
        unit: "µm²", "m²", "darcy" or "voxel²"; default: µm² where the voxel size is known, else voxel².
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array. Only used where
            `boundary` is left out.
        tolerance: 1e-10 to 0.1. The fluxes through the layers of the volume, all equal in the exact solution, may lie
            this far apart, as a share of the flow, and the flow may change by so much in the last five steps.

    Returns:
        The permeability: 0.0 where the phase does not connect the two ends, or is absent; inf where nothing resists the
        flow.

    Raises:
        ValueError: If there is no such phase, axis, boundary or unit, the unit needs a voxel size that is unknown, the
            volume is one voxel thin along the axis, or an argument is invalid.

    Warns:
        RuntimeWarning: If the tolerance is not reached.

    Example:
        >>> import numpy as np
        >>> slit = np.zeros((4, 12, 1), np.uint8)
        >>> slit[:, 1:11] = 1
        >>> round(permeability(slit, 1, "z", "periodic"), 6)  # 10 of 12 voxels: 10/12 (10²/12 + 1/6)
        7.083333
    """
    checked = check_volume(volume, voxel_size=voxel_size, phases=n_phases, periodic=periodic)
    index, axis, tolerance = check_phase(volume, phase, checked.phases), check_axis(axis), check_tolerance(tolerance)
    check_long_enough(checked, axis)
    scale = _scale(unit, checked.voxel_size)
    sides = _sides(boundary, checked.periodic, axis)
    mask = np.ascontiguousarray(np.moveaxis(checked.labels == index, axis, 0))
    mask = percolating_part(mask, (False, *(side == PERIODIC for side in sides)))
    if not mask.any():
        return 0.0
    if mask.all() and WALL not in sides:
        return math.inf
    return scale * solve_stokes(mask, sides, tolerance) * len(mask) / math.prod(mask.shape[1:])


def _scale(unit: Any, voxel_size: float | None) -> float:
    """Return the area of a voxel² in a unit."""
    if unit is None:
        unit = VOXELS if voxel_size is None else "µm²"
    if unit != VOXELS and unit not in UNITS:
        names = ", ".join(map(repr, (*UNITS, VOXELS)))
        raise ValueError(f"`unit` must be one of {names}, or None. Received: {unit!r}.")
    if unit == VOXELS:
        return 1.0
    if voxel_size is None:
        raise ValueError(f"The voxel size is unknown: for {unit} pass `voxel_size=` in µm, or take 'voxel²'.")
    return voxel_size**2 * UNITS[unit]


def _sides(boundary: Any, periodic: tuple[bool, ...], axis: int) -> tuple[str, ...]:
    """Return the boundary conditions at the sides along the two other axes, in order."""
    if boundary is None:
        return tuple(PERIODIC if wraps else WALL for wraps in (*periodic[:axis], *periodic[axis + 1 :]))
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        names = ", ".join(map(repr, BOUNDARIES))
        raise ValueError(f"`boundary` must be {names}, or None for what the volume is. Received: {boundary!r}.")
    return boundary, boundary


def _permeabilities(subject: Any) -> np.ndarray:
    values = np.full((subject.n_phases, 3), np.nan)
    given = {"voxel_size": subject.voxel_size, **subject.options}
    for phase, axis in _problems(subject):
        subject.begin("flow", _COST)
        values[phase, axis] = permeability(subject.labels, phase, axis, **given)
    return values


def _problems(subject: Any) -> list[tuple[int, int]]:
    """List the phases and axes to solve for: along an axis one voxel long there is no inside to flow through."""
    return [(phase, axis) for phase in subject.flowing for axis in range(3) if subject.labels.shape[axis] > 1]


_COST = 4000  # of one phase and axis
PERMEABILITY = Measure(
    key="permeability",
    name="permeability",
    unit="µm²",
    shape=PER_PHASE_AND_AXIS,
    method="Of creeping flow through the phase between two pressures on opposite faces, Stokes' equations on a "
    "staggered grid of voxels, walls along the sides; 0 where no path crosses.",
    of_volume=_permeabilities,
    needs=frozenset({"permeability"}),
    cost=lambda subject: _COST * len(_problems(subject)),
    label="permeability k",
    note="Permeability: 1 µm² is 1e-12 m² and 1.013 darcy; inf: nothing holds the flow.",
    sampled=False,
)
