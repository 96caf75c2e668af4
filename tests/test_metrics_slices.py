import dataclasses

import numpy as np
import pytest

from kerasgan3d.metrics import (
    SliceStatistics,
    slice_statistics,
    specific_surface_area,
    triple_phase_boundary_density,
    two_point_correlation,
    volume_fractions,
)


def overlapping_spheres(size=64, radius=9, count=60, seed=0):
    """Return a periodic pack of overlapping spheres of two phases (1 and 2) in a matrix (0)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size, size), np.uint8)
    along = np.arange(size)
    for index, centre in enumerate(rng.uniform(0, size, (count, 3))):
        z, y, x = (np.minimum(np.abs(along - c), size - np.abs(along - c)) ** 2 for c in centre)
        labels[z[:, None, None] + y[:, None] + x <= radius**2] = 1 + index % 2
    labels.flags.writeable = False
    return labels


SPHERES = overlapping_spheres()


def all_slices(labels, axis, periodic=False):
    sides = [periodic, periodic]
    return [
        slice_statistics(np.take(labels, place, axis), voxel_size=0.1, n_phases=3, periodic=sides, max_lag=4)
        for place in range(labels.shape[axis])
    ]


@pytest.fixture(scope="module", params=[False, True], ids=["bounded", "periodic"])
def spheres(request):
    """Return a pack, its boundary, and the statistics of all its slices normal to z, y and x."""
    return SPHERES, request.param, [all_slices(SPHERES, axis, request.param) for axis in range(3)]


def mean_of(slices, name):
    return np.mean([getattr(statistics, name) for statistics in slices], axis=0)


def test_surface_area_from_all_slices_is_that_of_the_volume(spheres):
    labels, periodic, slices = spheres
    volume = specific_surface_area(labels, "faces", voxel_size=0.1, periodic=periodic)
    estimates = np.mean([mean_of(along, "specific_surface_area") for along in slices], axis=0)
    lengths = np.mean([mean_of(along, "boundary_length") for along in slices], axis=0)
    np.testing.assert_allclose(estimates, volume, rtol=1e-12)
    np.testing.assert_allclose(lengths, 2 / 3 * volume, rtol=1e-12)


def test_triple_phase_boundary_from_all_slices_is_that_of_the_volume(spheres):
    labels, periodic, slices = spheres
    volume = triple_phase_boundary_density(labels, voxel_size=0.1, periodic=periodic)
    corrected = triple_phase_boundary_density(labels, voxel_size=0.1, periodic=periodic, staircase_correction=True)
    estimate = np.mean([mean_of(along, "triple_phase_boundary_density") for along in slices])
    points = np.mean([mean_of(along, "triple_point_density") for along in slices])
    assert volume > 0
    assert estimate == pytest.approx(volume, rel=1e-12)
    assert 2 * points == pytest.approx(corrected, rel=1e-12)


def test_slices_in_one_direction_estimate_an_isotropic_volume(spheres):
    labels, periodic, slices = spheres
    volume = specific_surface_area(labels, "faces", voxel_size=0.1, periodic=periodic)
    for along in slices:
        np.testing.assert_allclose(mean_of(along, "specific_surface_area"), volume, rtol=0.03)


def test_fractions_and_correlations_of_all_slices_are_those_of_the_volume(spheres):
    labels, periodic, slices = spheres
    volume = two_point_correlation(labels, 4, periodic=periodic)
    for axis, along in enumerate(slices):
        np.testing.assert_allclose(mean_of(along, "area_fractions"), volume_fractions(labels), rtol=1e-12)
        sides = [side for side in range(3) if side != axis]
        np.testing.assert_allclose(mean_of(along, "two_point_correlation"), volume[:, sides], rtol=1e-12)


@pytest.mark.parametrize(("periodic", "points", "edges"), [(False, 1, (6, 5, 7)), (True, 4, (12, 10, 14))])
def test_three_blocks(periodic, points, edges):
    labels = np.zeros((5, 6), np.uint8)  # 0 0 0 0 0 0 in two rows, then 1 1 2 2 2 2 in three
    labels[2:, :2] = 1
    labels[2:, 2:] = 2
    statistics = slice_statistics(labels, voxel_size=0.5, periodic=periodic)
    area = 30 * 0.5**2
    np.testing.assert_allclose(statistics.area_fractions, [12 / 30, 6 / 30, 12 / 30])
    np.testing.assert_allclose(statistics.boundary_length, np.array(edges) * 0.5 / area)
    np.testing.assert_allclose(statistics.specific_surface_area, 1.5 * np.array(edges) * 0.5 / area)
    assert statistics.triple_point_density == pytest.approx(points / area)
    assert statistics.triple_phase_boundary_density == pytest.approx(3 * points / area)
    assert statistics.two_point_correlation.shape == (3, 2, 3)


def test_disc_has_the_staircase_of_four_over_pi():
    radius, size = 40, 90
    along = np.arange(size) - size / 2 + 0.3
    disc = along[:, None] ** 2 + along**2 <= radius**2
    statistics = slice_statistics(disc, voxel_size=1)
    circumference = 2 * np.pi * radius / size**2
    np.testing.assert_allclose(statistics.boundary_length, 4 / np.pi * circumference, rtol=0.02)
    assert statistics.triple_point_density == 0


def test_statistics_are_a_record():
    statistics = slice_statistics(np.eye(4, dtype=int), voxel_size=1, n_phases=3, max_lag=1)
    assert isinstance(statistics, SliceStatistics)
    assert statistics.area_fractions.shape == (3,)
    assert statistics.two_point_correlation.shape == (3, 2, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.triple_point_density = 0


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        pytest.param(np.zeros((4, 4), int), {}, "pass `voxel_size=` in µm", id="no voxel size"),
        pytest.param(np.zeros((4, 4, 4), int), {"voxel_size": 1}, r"one slice \(y, x\).*\(4, 4, 4\)", id="volume"),
        pytest.param(np.zeros((4, 4)), {"voxel_size": 1}, "must be integers", id="float"),
        pytest.param(np.zeros((4, 4), int), {"voxel_size": 1, "max_lag": 4}, "less than the smallest", id="lag"),
        pytest.param(
            np.zeros((4, 4), int), {"voxel_size": 1, "periodic": (True,) * 3}, r"axis \(y, x\)", id="periodic"
        ),
    ],
)
def test_input_that_is_no_slice_is_refused(labels, given, message):
    with pytest.raises(ValueError, match=message):
        slice_statistics(labels, **given)
