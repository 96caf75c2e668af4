import numpy as np
import pytest

from kerasgan3d.metrics import volume_fractions


def test_shares_of_hand_made_labels():
    labels = np.array([[[0, 0, 0, 2], [0, 1, 2, 2]]])
    fractions = volume_fractions(labels)
    assert fractions.dtype == np.float64
    np.testing.assert_array_equal(fractions, [0.5, 0.125, 0.375])


@pytest.mark.parametrize(
    ("labels", "phases", "expected"),
    [
        pytest.param(np.zeros((2, 2, 2), int), None, [1.0], id="one phase"),
        pytest.param(np.zeros((2, 2, 2), int), 3, [1.0, 0.0, 0.0], id="absent phases"),
        pytest.param(np.zeros((2, 2, 2), bool), None, [1.0, 0.0], id="mask without a True"),
        pytest.param(np.array([[[False, True, True, True]]]), None, [0.25, 0.75], id="mask"),
        pytest.param(np.array([[[0, 254]]], np.uint8), None, [0.5] + 253 * [0.0] + [0.5], id="highest label"),
    ],
)
def test_number_of_phases(labels, phases, expected):
    np.testing.assert_array_equal(volume_fractions(labels, n_phases=phases), expected)


def test_fractions_add_up_to_one():
    labels = np.random.default_rng(0).integers(0, 7, (5, 6, 7))
    assert volume_fractions(labels).sum() == pytest.approx(1, abs=1e-15)
