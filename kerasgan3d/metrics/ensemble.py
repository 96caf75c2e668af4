"""Measurement of many sub-volumes of one material in parallel."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.checks import check_integer
from kerasgan3d.crops import random_windows, windows_touching
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import Checked, check_slice, check_volume, require_voxel_size
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics._workers import side_by_side
from kerasgan3d.metrics.registry import ALL, COMPARED, COMPARED_CURVES, SAMPLED, sub_volume_value

__all__ = ["LAGS", "UNITS", "measure_samples", "random_windows", "sample_values", "windows_touching"]

# The units of the numbers that are measured of a sub-volume (of a window of a slice: `Measure.unit_in(2)`).
UNITS = {key: row.unit for key, row in SAMPLED.items()}
LAGS = 32  # voxels: the longest distance of the two-point correlation, where the sub-volumes are large enough


@renamed("phases", "n_phases")
def measure_samples(
    samples: Iterable[ArrayLike],
    *,
    n_phases: int,
    voxel_size: float | None,
    transport: bool = True,
    shapes: bool = True,
    particles: bool = False,
    max_lag: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Measure each of some sub-volumes, or windows of slices, as if nothing lay around it.

    Each is measured on its own, by processes that run side by side; how many they are changes no value.

    Args:
        samples: Arrays of labels, all (z, y, x) or all (y, x), 0..n-1.
        n_phases: Number of phases n.
        voxel_size: Edge length of a voxel in µm.
        transport: Whether relative diffusivities are computed, which takes most of the time.
        shapes: Whether granulometry, specks and holes are, which take most of the rest.
        particles: Whether particles are separated, and lineal paths and profiles measured.
        max_lag: Longest distance of the two-point correlation in voxels; default: 32, or half the edge of the
            sub-volumes, beyond which pairs are few.
        workers: Processes; default: one per core. 1 starts none and works here.
        progress: A function (samples done, samples in all).

    Returns:
        dict of float64 arrays, the samples along the first axis: "volume_fraction", "specific_surface_area" (by
        faces) and "specific_surface_area_marching_cubes" (samples, n); "interfacial_area" (samples, pairs of phases
        as `itertools.combinations` orders them); "triple_phase_boundary_density" and
        "active_triple_phase_boundary_density" (samples,), where there are three phases or more;
        "connected_fraction" and "relative_diffusivity" (mirror sides) (samples, n, 3 axes); "mean_chord_length"
        (samples, n, axes); "euler_characteristic", "speck_density" and "hole_density" (samples, n);
        "two_point_correlation" (samples, n, axes, lags), not normalised; "granulometry" (samples, n, radii), times the
        volume fraction. `UNITS` has the units. With particles also "particle_diameter", "particle_sphericity",
        "particle_contact_area" (samples, n), "fraction_profile_spread" (samples, n, 3 axes) and "lineal_path"
        (samples, n, axes, lags).

        Of slices there are estimates by stereology: fractions, "specific_surface_area", "interfacial_area",
        "triple_phase_boundary_density" (see `slice_statistics`), "mean_chord_length" and "two_point_correlation" along
        y, x; and what is the slice's own: "granulometry" by discs, "euler_characteristic", "speck_density" and
        "hole_density", per area.

    Raises:
        ValueError: If an argument is invalid.
    """
    samples = [np.asarray(sample) for sample in samples]
    if not samples or any(sample.shape != samples[0].shape for sample in samples):
        raise ValueError(
            "`samples` must be sub-volumes of one size. "
            f"Received: {len(samples)} of shapes {sorted({sample.shape for sample in samples})}."
        )
    check = check_slice if samples[0].ndim == 2 else check_volume
    checked = [check(sample, phases=n_phases, voxel_size=voxel_size) for sample in samples]
    require_voxel_size(checked[0])
    smallest = min(samples[0].shape)
    max_lag = min(LAGS, smallest // 2) if max_lag is None else check_integer(max_lag, "max_lag", 0, smallest - 1)
    options = {"phases": checked[0].phases, "voxel_size": checked[0].voxel_size, "max_lag": max_lag}
    asked = {"transport": bool(transport), "shapes": bool(shapes), "particles": bool(particles)}
    tasks = [(sample.labels, {**options, **asked}) for sample in checked]
    records = side_by_side(_measure, tasks, workers, progress)
    return {key: np.array([record[key] for record in records], float) for key in records[0]}


def sample_values(measured: Mapping[str, np.ndarray], digits: int | None = 6) -> dict[str, Any]:
    """Return the result of `measure_samples`, without the correlation, as a JSON-serialisable dict.

    Args:
        measured: What `measure_samples` returned.
        digits: Significant digits that are kept.

    Returns:
        dict of nested lists, shaped as the arrays are.
    """
    return {key: _rounded(values, digits).tolist() for key, values in measured.items() if key in COMPARED}


def _measure(labels, options):
    """Measure one sub-volume or window."""
    checked = Checked(labels, options["phases"], (False,) * labels.ndim, options["voxel_size"])
    conducting = tuple(range(options["phases"])) if options["transport"] else ()
    asked = {key: options[key] for key in ("max_lag", "shapes", "particles")}
    subject = Subject(checked, ALL, conducting=conducting, **asked)
    return {
        key: _rounded(sub_volume_value(row, subject), row.digits)
        for key, row in {**COMPARED, **COMPARED_CURVES}.items()
        if row.told_by(subject)
    }


def _rounded(values, digits):
    """Round to a number of significant digits, if given."""
    if digits is None:
        return values
    return np.vectorize(lambda value: float(f"{value:.{digits}g}"), otypes=[float])(values)
