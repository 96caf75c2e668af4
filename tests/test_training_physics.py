import keras
import numpy as np
import pytest

from kerasgan3d.data import Symmetry
from kerasgan3d.metrics import specific_surface_area, two_point_correlation
from kerasgan3d.training import physics

LAGS = (1, 2, 5)


def hard(labels, phases):
    """Probabilities of 0 and 1: (1, z, y, x, phases)."""
    return np.eye(phases, dtype="float32")[labels][None]


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype("uint8")


def test_hard_probabilities_have_the_statistics_of_their_labels(labels):
    wanted = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    found = hard(labels, 3)
    np.testing.assert_allclose(physics.soft_fractions(found), wanted["fractions"], rtol=1e-5)
    np.testing.assert_allclose(physics.soft_two_point_correlation(found, LAGS), wanted["s2"], rtol=1e-5)
    np.testing.assert_allclose(physics.soft_surface(found), wanted["surface"], rtol=1e-5)


def test_they_are_those_of_the_measures(labels):
    wanted = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    correlation = two_point_correlation(labels, max(LAGS), periodic=False, phases=3)
    np.testing.assert_allclose(wanted["s2"], correlation[..., list(LAGS)], rtol=1e-6)
    cube = labels[:8, :8, :8]
    # By faces, 1/µm at 1 µm: each axis adds its share of faces.
    area = specific_surface_area(cube, voxel_size=1.0, phases=3, periodic=False)
    surface = physics.statistics(cube, 3, Symmetry())["surface"]
    np.testing.assert_allclose(surface.sum(1), area, rtol=0.15)


def test_layers():
    slabs = (np.arange(8) // 2 % 2).astype("uint8")[:, None, None].repeat(6, 1).repeat(6, 2)
    found = physics.statistics(slabs, 2, Symmetry("axial", 0), lags=(2, 4))
    np.testing.assert_allclose(found["fractions"], [0.5, 0.5])
    np.testing.assert_allclose(found["surface"], [[3 / 7, 0, 0]] * 2)
    np.testing.assert_allclose(found["s2"][:, 0], [[0, 0.5]] * 2)
    np.testing.assert_allclose(found["s2"][:, 1:], 0.5)


def test_directions_that_are_alike_share_their_mean(labels):
    apart = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    axial = physics.statistics(labels, 3, Symmetry("axial", 1), lags=LAGS)
    for key in ("s2", "surface"):
        np.testing.assert_allclose(axial[key][:, 1], apart[key][:, 1])
        np.testing.assert_allclose(axial[key][:, 0], apart[key][:, [0, 2]].mean(1))
        np.testing.assert_allclose(axial[key][:, 0], axial[key][:, 2])
        everywhere = physics.statistics(labels, 3, Symmetry(), lags=LAGS)[key]
        np.testing.assert_allclose(everywhere, apart[key].mean(1, keepdims=True).repeat(3, 1))


def test_one_slice_stands_for_three_directions():
    image = np.random.default_rng(0).integers(0, 2, (20, 30)).astype("uint8")
    found = physics.statistics(image, 2, Symmetry(), lags=LAGS)
    assert (found["s2"].shape, found["surface"].shape) == ((2, 3, 3), (2, 3))
    changes = np.mean([np.mean(image[1:] != image[:-1]), np.mean(image[:, 1:] != image[:, :-1])])
    np.testing.assert_allclose(found["surface"], changes)


def test_what_is_excluded_counts_for_nothing(labels):
    excluded = np.zeros(labels.shape, bool)
    excluded[5:] = True
    spoilt = np.where(excluded, 0, labels)
    part = physics.statistics(spoilt, 3, Symmetry("orthotropic"), lags=(1, 2), excluded=excluded)
    whole = physics.statistics(labels[:5], 3, Symmetry("orthotropic"), lags=(1, 2))
    for key in whole:
        np.testing.assert_allclose(part[key], whole[key])


def test_a_blurred_boundary_has_the_area_of_a_sharp_one():
    sharp, blurred = np.zeros((1, 8, 3, 3, 2), "float32"), np.zeros((1, 8, 3, 3, 2), "float32")
    sharp[:, 4:, ..., 0] = 1
    blurred[..., 0] = np.clip((np.arange(8) - 1) / 5, 0, 1)[:, None, None]
    for p in (sharp, blurred):
        p[..., 1] = 1 - p[..., 0]
    np.testing.assert_allclose(physics.soft_surface(blurred), physics.soft_surface(sharp), rtol=1e-5)


def test_errors_are_squared_summed_over_phases_and_averaged_over_the_rest():
    found = keras.ops.convert_to_tensor(np.array([[1.0, 3.0], [0.0, 0.0]], "float32"))
    assert float(physics.squared_error(found, [[0.0, 0.0], [2.0, 0.0]])) == pytest.approx(5 + 2)
    assert float(physics.squared_error(found[:, 0], [0.0, 2.0])) == pytest.approx(5)


def test_a_lag_beyond_the_data_is_refused(labels):
    with pytest.raises(ValueError, match="`s2_lags` must be smaller than the data, 8 x 9 x 10 voxels. Received: 8"):
        physics.statistics(labels, 3, Symmetry(), lags=(8,))
