"""Diffusive transport through one phase as in TauFactor, solved by multigrid."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from kerasgan3d.checks import Periodic
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_axis, check_long_enough, check_phase, check_tolerance, check_volume
from kerasgan3d.metrics._diffusion import flux_magnitude, solve_diffusion
from kerasgan3d.metrics._measure import PER_PHASE_AND_AXIS, Measure
from kerasgan3d.metrics.connectivity import neighbourhood, spanning_clusters
from kerasgan3d.volume import Volume

BOUNDARIES = ("mirror", "periodic")


class DiffusionField(NamedTuple):
    """The steady state inside the phase, on the voxels of the volume (z, y, x).

    `concentration`: float32, 1 at the outer face before the first voxel of the axis and 0 at the one behind the last;
    NaN outside the part of the phase that percolates.

    `flux`: float32, the magnitude of the flux in each voxel, the mean of that through its two faces along each axis; 1
    is the flux through a straight channel along the axis, D_0 times the concentration difference over the length of
    the volume. 0 outside the part of the phase that percolates.
    """

    concentration: np.ndarray
    flux: np.ndarray


class _Measure(Protocol):
    """Signature of the measures of this module: they return a number, or with `return_field` that and the field."""

    @overload
    def __call__(
        self,
        volume: Volume | ArrayLike,
        phase: int | str,
        axis: int | str,
        boundary: str | None = None,
        return_field: Literal[False] = False,
        *,
        voxel_size: float | None = None,
        n_phases: int | None = None,
        periodic: Periodic | None = None,
        tolerance: float = 1e-3,
    ) -> float: ...

    @overload
    def __call__(
        self,
        volume: Volume | ArrayLike,
        phase: int | str,
        axis: int | str,
        boundary: str | None = None,
        return_field: Literal[True] = True,
        *,
        voxel_size: float | None = None,
        n_phases: int | None = None,
        periodic: Periodic | None = None,
        tolerance: float = 1e-3,
    ) -> tuple[float, DiffusionField]: ...


def _typed(function: Callable[..., Any]) -> _Measure:
    return function


@_typed
@renamed("phases", "n_phases")
def relative_diffusivity(
    volume: Volume | ArrayLike,
    phase: int | str,
    axis: int | str,
    boundary: str | None = None,
    return_field: bool = False,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> Any:
    """Return the effective diffusivity D_eff / D_0 of a phase along an axis: 1 is free space, 0 is blocked.

    The same number is the relative ionic, electronic or thermal conductivity of a volume in which only that phase
    conducts. It is computed from steady diffusion between two concentrations at the two ends of the volume, by finite
    volumes on the voxels: neighbours across a face exchange, each voxel has one concentration at its centre, and the
    ends are the outer faces, half a voxel beyond the first and the last centre. These are the equations of TauFactor
    (Cooper et al., SoftwareX 5, 2016, 203-210; Kench et al., J. Open Source Softw. 8(88), 2023, 5358). A straight
    channel has the fraction of the cross-section that it fills.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1, at least two voxels long along the axis.
        phase: The conducting phase: its index, or its name where `volume` is a Volume.
        axis: 0, 1 or 2, or "z", "y" or "x": the direction of transport.
        boundary: What lies beyond the four sides: ``"mirror"`` (walls, nothing passes) or ``"periodic"`` (the opposite
            side). Default: periodic along each axis on which `periodic` says so, mirror along others. The two ends are
            never joined.
        return_field: Whether to return the field as well.
        voxel_size: Not used, as the result has no unit: taken so that all measures can be called alike.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array. Only used where
            `boundary` is left out.
        tolerance: 1e-10 to 0.1. The fluxes through the layers of the volume, all equal in the exact solution, may
            differ by this fraction of their size. The result is taken from the dissipated energy, whose error is about
            the square of theirs: with the default it was at most 1e-6 of the value for each phase and axis of a
            generated cathode of 128^3 voxels.

    Returns:
        D_eff / D_0, dimensionless: 0.0 where the phase does not connect the two ends, or is absent. With
        `return_field`, the pair of this and a `DiffusionField`.

    Raises:
        ValueError: If there is no such phase, axis or boundary, if the volume is one voxel thin along the axis, or an
            argument is not as above.

    Warns:
        RuntimeWarning: If the tolerance is not reached.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((8, 6, 6), np.uint8)
        >>> labels[:, 2:5, 1:5] = 1
        >>> round(relative_diffusivity(labels, 1, "z"), 6)
        0.333333
        >>> relative_diffusivity(labels, 1, "x")
        0.0
    """
    given = {"voxel_size": voxel_size, "phases": n_phases, "periodic": periodic}
    value, _, field = _measure(volume, phase, axis, boundary, return_field, tolerance, given)
    return (value, field) if return_field else value


@_typed
@renamed("phases", "n_phases")
def tortuosity_factor(
    volume: Volume | ArrayLike,
    phase: int | str,
    axis: int | str,
    boundary: str | None = None,
    return_field: bool = False,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> Any:
    """Return the tortuosity factor of a phase along an axis: its volume fraction over its relative diffusivity.

    1 for straight channels, infinite where the phase does not connect the two ends. The volume fraction is that of the
    whole phase, with islands and dead ends, as in TauFactor. See `relative_diffusivity` for the arguments, the errors
    raised, the equations and the result with `return_field`.
    """
    given = {"voxel_size": voxel_size, "phases": n_phases, "periodic": periodic}
    value, fraction, field = _measure(volume, phase, axis, boundary, return_field, tolerance, given)
    factor = fraction / value if value else np.inf
    return (factor, field) if return_field else factor


@_typed
@renamed("phases", "n_phases")
def macmullin_number(
    volume: Volume | ArrayLike,
    phase: int | str,
    axis: int | str,
    boundary: str | None = None,
    return_field: bool = False,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> Any:
    """Return the MacMullin number of a phase along an axis: one over its relative diffusivity.

    This is the resistance of the volume with electrolyte in this phase, divided by that of the electrolyte alone
    (MacMullin and Muccini, AIChE J. 2, 1956, 393-403); infinite where the phase does not connect the two ends. See
    `relative_diffusivity` for the arguments, the errors raised, the equations and the result with `return_field`.
    """
    given = {"voxel_size": voxel_size, "phases": n_phases, "periodic": periodic}
    value, _, field = _measure(volume, phase, axis, boundary, return_field, tolerance, given)
    number = 1 / value if value else np.inf
    return (number, field) if return_field else number


@_typed
@renamed("phases", "n_phases")
def bruggeman_exponent(
    volume: Volume | ArrayLike,
    phase: int | str,
    axis: int | str,
    boundary: str | None = None,
    return_field: bool = False,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic | None = None,
    tolerance: float = 1e-3,
) -> Any:
    """Return the Bruggeman exponent of a phase along an axis: b = ln(D_rel) / ln(phi).

    Cell models use it in D_rel = phi^b, with the volume fraction phi (Bruggeman, Ann. Phys. 416, 1935, 636-664: 1.5 for
    spheres). The exponent of the law for the tortuosity factor, tau = phi^(1 - alpha), is the same number:
    alpha = 1 - ln(tau) / ln(phi) = b, since tau = phi / D_rel. It is 1 for straight channels, infinite where the phase
    does not connect the two ends, NaN where it is absent or alone. See `relative_diffusivity` for the arguments, the
    errors raised, the equations and the result with `return_field`.
    """
    given = {"voxel_size": voxel_size, "phases": n_phases, "periodic": periodic}
    value, fraction, field = _measure(volume, phase, axis, boundary, return_field, tolerance, given)
    exponent = float(_exponents(value, fraction))
    return (exponent, field) if return_field else exponent


def _measure(volume, phase, axis, boundary, return_field, tolerance, given):
    """Return the relative diffusivity, the volume fraction and, if requested, the field."""
    checked = check_volume(volume, **given)
    index = check_phase(volume, phase, checked.phases)
    axis = check_axis(axis)
    tolerance = check_tolerance(tolerance)
    mask = np.ascontiguousarray(np.moveaxis(checked.labels == index, axis, 0))
    check_long_enough(checked, axis)
    depth, *sides = mask.shape
    fraction = float(mask.mean())
    wraps = side_wraps(boundary, checked.periodic, axis)
    mask = percolating_part(mask, wraps)
    if not mask.any():
        field = DiffusionField(np.full(checked.labels.shape, np.nan, np.float32), np.zeros_like(checked.labels, "f4"))
        return 0.0, fraction, field if return_field else None
    steady = solve_diffusion(mask, wraps, tolerance)
    field = _field(mask, wraps, steady.values, axis) if return_field else None
    return steady.flux * depth / (sides[0] * sides[1]), fraction, field


def percolating_part(mask, wraps):
    """Return the part of a mask that connects its first layer to its last."""
    structure = neighbourhood(6)
    clusters, count = ndimage.label(mask, structure)
    return spanning_clusters(clusters, count, 0, wraps, structure)[clusters]


def _field(mask, wraps, values, axis):
    concentration = np.full(mask.shape, np.nan, np.float32)
    concentration[mask] = values
    flux = flux_magnitude(mask, wraps, values)
    return DiffusionField(*(np.ascontiguousarray(np.moveaxis(part, 0, axis)) for part in (concentration, flux)))


def side_wraps(boundary, periodic, axis):
    """Return whether the axis of transport, which never wraps, and the two others, in order, wrap."""
    if boundary is None:
        return (False, *periodic[:axis], *periodic[axis + 1 :])
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(
            f"`boundary` must be 'mirror', 'periodic', or None for what the volume is. Received: {boundary!r}."
        )
    return (False,) + (boundary == "periodic",) * 2


_COST = 130  # of one phase and axis


def _problems(subject):
    """List the phases and axes to solve for: along an axis one voxel long there is no inside to diffuse through."""
    return [(phase, axis) for phase in subject.conducting for axis in range(3) if subject.labels.shape[axis] > 1]


def _diffusivities(subject):
    values = np.full((subject.n_phases, 3), np.nan)
    for phase, axis in _problems(subject):
        subject.begin("diffusion", _COST)
        values[phase, axis] = relative_diffusivity(subject.labels, phase, axis, **subject.options)
    return values


def _macmullin_numbers(subject):
    with np.errstate(divide="ignore"):
        return 1 / subject["relative_diffusivity"]


def _exponents(diffusivity, fraction):
    """Return ln(D_rel) / ln(phi): inf where nothing percolates, NaN where phi is 0 or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.log(diffusivity) / np.log(fraction)
    return np.where((np.asarray(fraction) > 0) & (np.asarray(fraction) < 1), exponents, np.nan)


def _tortuosity_factors(subject):
    numbers = subject["macmullin_number"]
    with np.errstate(invalid="ignore"):
        # Of a phase that is absent this is 0 x inf; it does not conduct either.
        return np.where(np.isinf(numbers), np.inf, subject["volume_fraction"][:, np.newaxis] * numbers)


_BLOCKED = "inf: the phase does not connect the two ends of the volume."
RELATIVE_DIFFUSIVITY = Measure(
    key="relative_diffusivity",
    name="relative diffusivity",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="Effective by intrinsic diffusivity, D_eff / D_0, of steady diffusion through the phase between fixed "
    "concentrations on two opposite faces, no flux through the sides, as in [3]; 0 where no path crosses. The "
    "tortuosity factor is the volume fraction divided by it.",
    of_volume=_diffusivities,
    within=lambda values, inside: inside.along_straight(values["relative_diffusivity"]) / inside.share,
    needs=frozenset({"transport", "percolation"}),
    cost=lambda subject: _COST * len(_problems(subject)),
    label="relative diffusivity D_eff/D_0",
    # Finer than the solver is: the last digits depend on the number of threads that add up.
    digits=8,
    mean_of_axes=True,
    bar=0.06,
    section="transport",
    figure="Relative diffusivities",
)
TORTUOSITY_FACTOR = Measure(
    key="tortuosity_factor",
    name="tortuosity factor",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="The volume fraction divided by the relative diffusivity.",
    of_volume=_tortuosity_factors,
    within=lambda values, inside: inside.along_straight(values["tortuosity_factor"]),
    needs=frozenset({"transport", "percolation"}),
    cost=0,
    note=_BLOCKED,
    sampled=False,
)
MACMULLIN_NUMBER = Measure(
    key="macmullin_number",
    name="MacMullin number",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="One over the relative diffusivity.",
    of_volume=_macmullin_numbers,
    within=lambda values, inside: inside.along_straight(values["macmullin_number"]) * inside.share,
    needs=frozenset({"transport", "percolation"}),
    cost=0,
    note=_BLOCKED,
    sampled=False,
)
BRUGGEMAN_EXPONENT = Measure(
    key="bruggeman_exponent",
    name="Bruggeman exponent",
    unit="1",
    shape=PER_PHASE_AND_AXIS,
    method="b = ln(D_eff / D_0) / ln(volume fraction), which is also alpha = 1 - ln(tortuosity factor) / ln(volume "
    "fraction).",
    of_volume=lambda subject: _exponents(subject["relative_diffusivity"], subject["volume_fraction"][:, np.newaxis]),
    within=lambda values, inside: _exponents(
        inside.along_straight(values["relative_diffusivity"]) / inside.share,
        values["volume_fraction"][: inside.n, np.newaxis] / inside.share,
    ),
    needs=frozenset({"transport", "percolation"}),
    cost=0,
    note=_BLOCKED,
    sampled=False,
)
