"""Stereology: estimates for a volume from one of its slices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_slice
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics.correlation import TWO_POINT_CORRELATION
from kerasgan3d.metrics.fractions import VOLUME_FRACTION
from kerasgan3d.metrics.surface import SPECIFIC_SURFACE_AREA
from kerasgan3d.metrics.tpb import triple_point_density


@dataclass(frozen=True, eq=False)
class SliceStatistics:
    """Measures of a slice, and estimates of those of an isotropic volume; made by `slice_statistics`.

    Attributes:
        area_fractions: (n,), which estimate the volume fractions.
        boundary_length: (n,) in 1/µm: pixel edges between the phase and others, per area.
        specific_surface_area: (n,) in 1/µm, to compare with `specific_surface_area(volume, "faces")`.
        triple_point_density: In 1/µm²: pixel corners where at least three phases meet, per area.
        triple_phase_boundary_density: In 1/µm², to compare with `triple_phase_boundary_density(volume)`.
        two_point_correlation: (n, 2, lags): S2 along the axes y, x of the slice.
    """

    area_fractions: np.ndarray
    boundary_length: np.ndarray
    specific_surface_area: np.ndarray
    triple_point_density: float
    triple_phase_boundary_density: float
    two_point_correlation: np.ndarray


@renamed("phases", "n_phases")
def slice_statistics(
    labels_2d: ArrayLike,
    *,
    voxel_size: float | None = None,
    n_phases: int | None = None,
    periodic: Periodic = False,
    max_lag: int | None = None,
) -> SliceStatistics:
    """Measure one slice, and estimate the same measures in 3D by stereology.

    The estimates hold on average over slices in all directions, so for slices of isotropic material.

    **Surface area.** The lines in a slice give the surface area as S_V = 4/pi L_A (Underwood, Quantitative
    Stereology, 1970), with L_A the length of the phase's true boundary per area. What is counted are pixel edges,
    which on average over directions are 4/pi times as long as the curve that they follow (2D: the mean of
    |cos| + |sin|). The two factors are the same, and S_V = L_A(edges). Voxel faces, in turn, show 3/2 of the true area
    (3D: the mean of |a| + |b| + |c|), so that ::

        S_V(faces) = 3/2 L_A(edges)

    This is also an identity, with no assumption, for the mean over all slices normal to z, y and x: slices normal to
    one axis show as pixel edges all voxel faces that are normal to the other two, thus each face is seen in two of the
    three directions, and the mean of L_A(edges) is 2/3 S_V(faces).

    **Triple-phase boundary.** A slice cuts the lines where three phases meet in points: L_V = 2 P_A (Underwood). Voxel
    edges show 3/2 of the true length, so that ::

        L_V(edges) = 3 P_A

    Again an identity for the mean over all slices in the three directions: a voxel edge along an axis is a pixel
    corner in one slice normal to that axis.

    Args:
        labels_2d: Integer array (y, x) of labels 0..n-1.
        voxel_size: Edge length of a pixel in µm.
        n_phases: Number of phases n; default: the highest label + 1.
        periodic: One bool, or two (y, x).
        max_lag: Largest distance of the two-point correlation, in pixels; default: half the smaller dimension.

    Returns:
        SliceStatistics.

    Raises:
        ValueError: If the voxel size is not given, the labels are not a slice, or an argument is invalid.
    """
    checked = check_slice(labels_2d, phases=n_phases, periodic=periodic, voxel_size=voxel_size)
    rows = (VOLUME_FRACTION, SPECIFIC_SURFACE_AREA, TWO_POINT_CORRELATION)
    subject = Subject(checked, {row.key: row for row in rows}, max_lag=max_lag)
    points = triple_point_density(subject)
    return SliceStatistics(
        area_fractions=subject["volume_fraction"],
        boundary_length=subject.faces.sum(axis=1) / (subject.labels.size * subject.voxel_size),
        specific_surface_area=subject["specific_surface_area"],
        triple_point_density=points,
        triple_phase_boundary_density=3 * points,
        two_point_correlation=subject["two_point_correlation"],
    )
