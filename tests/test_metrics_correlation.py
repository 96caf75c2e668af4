from itertools import product

import numpy as np
import pytest

from kerasgan3d.metrics import (
    normalised_two_point_correlation,
    radial_two_point_correlation,
    two_point_correlation,
    volume_fractions,
)

MEASURES = (two_point_correlation, radial_two_point_correlation)
BOUNDARIES = list(product((False, True), repeat=3))


def random_labels(shape, phases=3, seed=0):
    labels = np.random.default_rng(seed).integers(0, phases, shape, dtype=np.uint8)
    labels.flags.writeable = False
    return labels


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_against_a_count_of_pairs(periodic):
    labels = random_labels((5, 6, 7))
    correlation = two_point_correlation(labels, 4, periodic=periodic)
    assert correlation.shape == (3, 3, 5)
    for phase, axis, lag in np.ndindex(correlation.shape):
        here = np.moveaxis(labels == phase, axis, 0)
        both = here & np.roll(here, -lag, axis=0)
        if not periodic[axis]:
            both = both[: len(both) - lag]
        assert correlation[phase, axis, lag] == both.sum() / both.size


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_radial_against_a_count_of_pairs(periodic):
    labels = random_labels((4, 5, 6))
    shares = [[] for _ in range(4)]  # of each distance: the S2 of every displacement
    for displacement in product(range(-3, 4), repeat=3):
        distance = round(float(np.linalg.norm(displacement)))
        if distance > 3:
            continue
        ahead = np.indices(labels.shape) + np.reshape(displacement, (3, 1, 1, 1))
        size = np.reshape(labels.shape, (3, 1, 1, 1))
        inside = ((ahead >= 0) & (ahead < size) | np.reshape(periodic, (3, 1, 1, 1))).all(axis=0)
        here, there = labels[inside], labels[tuple(ahead % size)][inside]
        shares[distance].append([np.mean((here == phase) & (there == phase)) for phase in range(3)])
    assert [len(of_one) for of_one in shares] == [1, 18, 62, 98]
    expected = np.array([np.mean(of_one, axis=0) for of_one in shares]).T
    np.testing.assert_allclose(radial_two_point_correlation(labels, 3, periodic=periodic), expected, atol=1e-14)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(8, 9, 10), (7, 13, 11), (1, 5, 6), (32, 33, 31)])
def test_at_distance_zero_it_is_the_volume_fraction(shape, periodic):
    labels = random_labels(shape)
    correlation = two_point_correlation(labels, periodic=periodic)
    assert correlation.dtype == np.float64
    for axis in range(3):
        np.testing.assert_array_equal(correlation[:, axis, 0], volume_fractions(labels))
    radial = radial_two_point_correlation(labels, periodic=periodic)
    assert radial.dtype == np.float64
    np.testing.assert_array_equal(radial[:, 0], volume_fractions(labels))


def test_default_is_half_of_the_smallest_dimension():
    assert two_point_correlation(random_labels((12, 9, 10))).shape == (3, 3, 5)
    assert radial_two_point_correlation(random_labels((12, 9, 10))).shape == (3, 5)


def test_checkerboard_alternates():
    labels = np.indices((8, 6, 10)).sum(axis=0) % 2
    correlation = two_point_correlation(labels, 5, periodic=True)
    np.testing.assert_array_equal(correlation, np.broadcast_to([0.5, 0, 0.5, 0, 0.5, 0], (2, 3, 6)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slab(axis):
    labels = np.zeros((12, 8, 8), np.uint8)
    labels[:4] = 1
    labels = np.moveaxis(labels, 0, axis)
    lags = np.arange(6)
    correlation = two_point_correlation(labels, 5, periodic=True)[1]
    for other in range(3):
        expected = np.maximum(4 - lags, 0) / 12 if other == axis else np.full(6, 4 / 12)
        np.testing.assert_allclose(correlation[other], expected, rtol=1e-14)
    bounded = two_point_correlation(labels, 5)[1, axis]
    np.testing.assert_allclose(bounded, np.maximum(4 - lags, 0) / (12 - lags), rtol=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
def test_independent_voxels_are_uncorrelated(measure):
    labels = random_labels((32, 32, 32), phases=2)
    np.testing.assert_allclose(measure(labels, periodic=True)[..., 1:], 0.25, atol=0.01)


@pytest.mark.parametrize("measure", MEASURES)
def test_rolling_a_periodic_volume_changes_nothing(measure):
    labels = random_labels((6, 7, 8))
    rolled = np.roll(labels, (2, 3, 4), axis=(0, 1, 2))
    first, second = (measure(a, periodic=True) for a in (labels, rolled))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 2, 0)])
def test_radial_does_not_know_the_axes(axes):
    labels, periodic = random_labels((6, 7, 8)), (True, False, True)
    turned = radial_two_point_correlation(labels.transpose(axes), periodic=[periodic[axis] for axis in axes])
    np.testing.assert_allclose(turned, radial_two_point_correlation(labels, periodic=periodic), rtol=1e-13)


def test_periodic_distances_go_round():
    correlation = two_point_correlation(random_labels((8, 8, 8)), 7, periodic=True)
    np.testing.assert_array_equal(correlation[:, :, 1:], correlation[:, :, :0:-1])


@pytest.mark.parametrize("measure", MEASURES)
def test_many_lines_are_transformed_in_parts(monkeypatch, measure):
    labels = random_labels((9, 10, 11))
    whole = measure(labels)
    monkeypatch.setattr("kerasgan3d.metrics._count._CHUNK", 100)
    np.testing.assert_array_equal(measure(labels), whole)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(
    ("max_lag", "message"),
    [
        (5, "less than the smallest dimension of the volume, 5 voxels. Received: 5"),
        (-1, "`max_lag` must be an integer of at least 0. Received: -1"),
        (2.0, "`max_lag` must be an integer"),
        (True, "`max_lag` must be an integer"),
    ],
)
def test_distances_that_do_not_fit_are_refused(max_lag, message, periodic, measure):
    with pytest.raises(ValueError, match=message):
        measure(random_labels((5, 6, 7)), max_lag, periodic=periodic)


def test_normalised_by_the_volume_fraction():
    labels = random_labels((6, 7, 8))
    normalised = normalised_two_point_correlation(labels, 3, periodic=True)
    np.testing.assert_array_equal(normalised[:, :, 0], 1)
    expected = two_point_correlation(labels, 3, periodic=True) / volume_fractions(labels)[:, None, None]
    np.testing.assert_allclose(normalised, expected, rtol=1e-14)


def test_an_absent_phase_has_no_normalised_correlation():
    labels = 2 * random_labels((4, 4, 4), phases=2)
    np.testing.assert_array_equal(two_point_correlation(labels)[1], 0)
    with pytest.raises(ValueError, match="without phase 1, 3: use `two_point_correlation`"):
        normalised_two_point_correlation(labels, n_phases=4)
