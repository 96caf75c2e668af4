"""Conduction through several phases at once, each with its own conductivity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic, axis_letters, check_number
from kerasgan3d.metrics._check import check_axis, check_long_enough, check_phase, check_tolerance, check_volume
from kerasgan3d.metrics._diffusion import solve_diffusion, unit_gradient_flows
from kerasgan3d.metrics.transport import percolating_part, side_wraps
from kerasgan3d.volume import Volume

RATIO = 1e6  # of the largest conductivity to the least


def effective_conductivity(
    volume: Volume | ArrayLike,
    conductivities: Mapping[str | int, float],
    axis: int | str,
    boundary: str | None = None,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> float:
    """Return the effective conductivity along an axis of a volume whose phases conduct differently.

    Steady conduction, or diffusion, between two potentials on the two ends of the volume, by the finite volumes of
    `relative_diffusivity`: each voxel has one potential at its centre, and neighbours of conductivities a and b
    exchange through two half voxels in series, by the harmonic mean 2ab / (a + b). With one phase of conductivity 1 it
    is the relative diffusivity of that phase. A porous binder, which conducts ions a little, is a phase with a small
    conductivity. TauFactor's solver for several phases has the same equations but for its ends, which lie a whole voxel
    beyond the first and the last layer instead of half a one.

    The results lie between those of layers in series and side by side (Wiener's bounds): 1 / sum(phi_i / c_i) and
    sum(phi_i c_i), with the volume fractions phi_i.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1, at least two voxels long along the axis.
        conductivities: The conductivity of each phase that conducts, by its name or its index: numbers of at least 0 in
            any one unit, the largest at most 1e6 times the least that is not 0. Phases that are not named do not
            conduct.
        axis: 0, 1 or 2, or "z", "y" or "x": the direction of transport.
        boundary: What lies beyond the four sides, ``"mirror"`` or ``"periodic"``, as for `relative_diffusivity`.
            Default: periodic along each axis on which `periodic` says so, mirror along others.
        voxel_size: In µm; not used, as the result has the unit of what is given: taken so that all measures are called
            alike.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        tolerance: 1e-10 to 0.1, as for `relative_diffusivity`.

    Returns:
        The effective conductivity, in the unit of `conductivities`: 0.0 where nothing that conducts connects the two
        ends.

    Raises:
        ValueError: If there is no such phase, axis or boundary, a phase is named twice, the conductivities are not as
            above, the volume is one voxel thin along the axis, or an argument is not as for `relative_diffusivity`.

    Warns:
        RuntimeWarning: If the tolerance is not reached.

    Example:
        >>> import numpy as np
        >>> layers = np.zeros((4, 2, 2), int)
        >>> layers[2:] = 1
        >>> round(effective_conductivity(layers, {0: 1.0, 1: 3.0}, "z"), 9)  # in series
        1.5
        >>> round(effective_conductivity(layers, {0: 1.0, 1: 3.0}, "x"), 9)  # side by side
        2.0
    """
    checked = check_volume(volume, voxel_size=voxel_size, phases=n_phases, periodic=periodic)
    table, scale = _conductivities(volume, conductivities, checked.phases)
    axis, tolerance = check_axis(axis), check_tolerance(tolerance)
    check_long_enough(checked, axis)
    field = np.ascontiguousarray(np.moveaxis(table[checked.labels], axis, 0))
    wraps = side_wraps(boundary, checked.periodic, axis)
    mask = percolating_part(field > 0, wraps)
    if not mask.any():
        return 0.0
    depth, *sides = mask.shape
    return scale * solve_diffusion(mask, wraps, tolerance, field).flux * depth / (sides[0] * sides[1])


def effective_conductivity_tensor(
    volume: Volume | ArrayLike,
    conductivities: Mapping[str | int, float],
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Return the effective conductivity tensor of a periodic volume whose phases conduct differently.

    The volume is one cell of an infinite periodic material. For a mean gradient of the potential along each axis in
    turn, the deviation from it is periodic and solves the equations of `effective_conductivity`; the tensor's columns
    are the mean fluxes (homogenisation: Bensoussan, Lions and Papanicolaou, Asymptotic Analysis for Periodic
    Structures, 1978, chapter 1). With one phase of conductivity 1 it is the tensor D_eff / D_0 of that phase.

    There are no ends: conducting phases continue across all faces. The diagonal therefore differs from the result of
    `effective_conductivity` between two ends, though it is close in large volumes.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1, periodic, at least two voxels long along each axis.
        conductivities, voxel_size, n_phases: As for `effective_conductivity`.
        periodic: Default: the volume's. The volume must be periodic along all axes.
        tolerance: 1e-10 to 0.1: largest residual of the equations, relative to the driving term; the error of the
            tensor is about its square.

    Returns:
        float64 array (3, 3), symmetric, axes z, y, x, in the unit of `conductivities`.

    Raises:
        ValueError: If the volume is not periodic along all axes, or is one voxel thin along one, or as for
            `effective_conductivity`.

    Warns:
        RuntimeWarning: If the tolerance is not reached.
    """
    checked = check_volume(volume, voxel_size=voxel_size, phases=n_phases, periodic=periodic)
    if not all(checked.periodic):
        raise ValueError(
            "A conductivity tensor is of a volume that is periodic along z, y and x: use `effective_conductivity`, or "
            f"pass `periodic=True`. Received: periodic along {axis_letters(checked.periodic) or 'no axis'}."
        )
    table, scale = _conductivities(volume, conductivities, checked.phases)
    tolerance = check_tolerance(tolerance)
    for axis in range(3):
        check_long_enough(checked, axis)
    field = table[checked.labels]
    mask = field > 0
    if not mask.any():
        return np.zeros((3, 3))
    return scale * unit_gradient_flows(mask, tolerance, field)


def _conductivities(volume, given, count):
    """Return the conductivity of each phase, the largest being 1: (count,), and the largest."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            "`conductivities` must be a dict from phases to numbers, such as {'NMC': 1.0, 'CBD': 100.0}. "
            f"Received: {given!r}."
        )
    table = np.full(count, np.nan)
    for phase, value in given.items():
        index = check_phase(volume, phase, count, "conductivities")
        if not np.isnan(table[index]):
            raise ValueError(f"`conductivities` must name each phase once. Received: {phase!r} twice, in {given!r}.")
        table[index] = check_number(value, f"conductivities[{phase!r}]")
    table = np.nan_to_num(table)
    conducting = table[table > 0]
    if conducting.size and conducting.max() > RATIO * (1 + 1e-9) * conducting.min():
        raise ValueError(
            f"`conductivities` must lie within a factor of {RATIO:g}; 0 is what hardly conducts. Received: {given!r}."
        )
    scale = float(conducting.max()) if conducting.size else 1.0
    return table / scale, scale
