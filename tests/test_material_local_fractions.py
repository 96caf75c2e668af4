"""Local volume fractions of data, and the condition field that varies like them."""

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.data import LabelledData
from kerasgan3d.material import local_fractions
from kerasgan3d.material.local_fractions import fit_conditions
from kerasgan3d.sampling.conditions import ConditionedField

STRIDE, BOX = 4, 16


def material(shape=(96, 88, 80), seed=0):
    """Three phases whose local fractions vary."""
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=shape), 1.2, mode="wrap")
    coarse = ndimage.gaussian_filter(rng.normal(size=shape), 3, mode="wrap")
    field = fine / fine.std() + 0.6 * coarse / coarse.std()
    return np.digitize(field, [-0.3, 1.1]).astype("uint8")


@pytest.fixture(scope="module")
def labels():
    return material()


@pytest.fixture(scope="module")
def conditions(labels):
    return fit_conditions(LabelledData.of(labels, n_phases=3), STRIDE)


def test_means_and_deviations_are_those_of_boxes(labels, conditions):
    np.testing.assert_allclose(conditions.mean, np.bincount(labels.ravel()) / labels.size)
    boxes = [ndimage.uniform_filter((labels == k).astype(float), BOX)[8:-7, 8:-7, 8:-7] for k in range(3)]
    np.testing.assert_allclose(conditions.deviation, [box.std() for box in boxes], rtol=0.02)


def test_pairs_of_voxels_tell_the_deviations_of_boxes(labels, conditions):
    covariances = local_fractions._of_pairs(LabelledData.of(labels, n_phases=3), BOX, STRIDE)
    np.testing.assert_allclose(np.sqrt(np.diag(covariances[0, 0])), conditions.deviation, rtol=0.06)


def test_slices_of_an_isotropic_material_tell_the_deviations_of_boxes(labels, conditions):
    slices = [labels[i] for i in range(0, 96, 4)]
    found = fit_conditions(LabelledData.of(slices, n_phases=3), STRIDE)
    np.testing.assert_allclose(found.deviation, conditions.deviation, rtol=0.12)
    np.testing.assert_allclose(found.taps[0], conditions.taps[0], atol=0.08)


def test_a_drawn_field_varies_like_the_data(labels, conditions):
    y = ConditionedField(0, 1, conditions).window((0, 0, 0), (32, 32, 32))[..., 1:].astype(float)
    # Phases add up to one.
    fractions = y * conditions.deviation + np.array(conditions.mean)
    np.testing.assert_allclose(fractions.sum(-1), 1, atol=2e-3)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=0.15)
    boxes = ndimage.uniform_filter((labels == 0).astype(float), BOX)[8:-7, 8:-7, 8:-7]
    for lag in (1, 2, 3):
        wanted = np.corrcoef(boxes[lag * STRIDE :].ravel(), boxes[: -lag * STRIDE].ravel())[0, 1]
        found = np.corrcoef(y[lag:, ..., 0].ravel(), y[:-lag, ..., 0].ravel())[0, 1]
        assert found == pytest.approx(wanted, abs=0.12)


def test_what_is_excluded_plays_no_part(labels, conditions):
    spoilt, excluded = labels.copy(), np.zeros(labels.shape, bool)
    spoilt[:20], excluded[:20] = 2, True
    found = fit_conditions(LabelledData.of(spoilt, excluded=excluded, n_phases=3), STRIDE)
    alone = fit_conditions(LabelledData.of(labels[20:], n_phases=3), STRIDE)
    np.testing.assert_allclose(found.mean, alone.mean)
    np.testing.assert_allclose(found.deviation, alone.deviation, rtol=1e-3)


@pytest.mark.parametrize("shape", [(20, 20, 20), (12, 40)], ids=["a small volume", "a small slice"])
def test_data_smaller_than_boxes_are_no_obstacle(shape):
    data = LabelledData.of(np.random.default_rng(0).integers(0, 2, shape).astype("uint8"), n_phases=2)
    found = fit_conditions(data, STRIDE)
    assert found.n_phases == 2
    assert [len(taps) for taps in found.taps] == [13, 13, 13]
    # Of white noise: sqrt(p q / 16^3).
    assert max(found.deviation) < 0.03
