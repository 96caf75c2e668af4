from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import connected_fractions, percolating_voxels


def spaghetti(connectivity=6, seed=0):
    """Return random labels 0 and 1 near the percolation threshold, where 1 spans some axes and not others."""
    share = {6: 0.36, 18: 0.17, 26: 0.12}[connectivity]
    labels = (np.random.default_rng(seed).random((10, 9, 8)) < share).astype(np.uint8)
    labels.flags.writeable = False
    return labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_straight_channel(axis):
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[:, 2, 3] = 1
    fractions = connected_fractions(np.moveaxis(labels, 0, axis))
    np.testing.assert_array_equal(fractions[0], [1, 1, 1])
    np.testing.assert_array_equal(fractions[1], np.arange(3) == axis)


def test_only_the_cluster_that_spans_counts():
    labels = np.zeros((4, 7, 7), np.uint8)
    labels[:, 1, 1] = 1  # 4 voxels that span z
    labels[:3, 3, 3] = 1  # 3 that reach one end
    labels[1:3, 5, 5] = 1  # 2 that reach none
    np.testing.assert_allclose(connected_fractions(labels)[1], [4 / 9, 0, 0])
    expected = np.zeros(labels.shape, bool)
    expected[:, 1, 1] = True
    np.testing.assert_array_equal(percolating_voxels(labels) & (labels == 1), expected)


def test_a_channel_that_goes_through_only_by_way_of_a_periodic_face():
    labels = np.zeros((6, 7, 5), np.uint8)
    labels[:3, 0, 2] = 1
    labels[2:, -1, 2] = 1
    np.testing.assert_array_equal(connected_fractions(labels)[1], [0, 0, 0])
    np.testing.assert_array_equal(connected_fractions(labels, periodic=(True, False, True))[1], [0, 0, 0])
    for periodic in ((False, True, False), True):
        np.testing.assert_array_equal(connected_fractions(labels, periodic=periodic)[1, 0], 1)


def test_the_two_ends_themselves_are_not_joined():
    labels = np.zeros((6, 3, 3), np.uint8)
    labels[[0, 1, 4, 5], 1, 1] = 1  # in contact across the periodic ends, and interrupted in the middle
    np.testing.assert_array_equal(connected_fractions(labels, periodic=True)[1], [0, 0, 0])
    labels[2:4, 1, 1] = 1
    np.testing.assert_array_equal(connected_fractions(labels, periodic=True)[1], [1, 0, 0])


@pytest.mark.parametrize(
    ("step", "connectivity", "periodic"),
    [
        pytest.param((0, 1), 18, False, id="across edges"),
        pytest.param((1, 1), 26, False, id="across corners"),
        pytest.param((0, 3), 18, (False, False, True), id="across edges in a periodic face"),
        pytest.param((1, 3), 26, (False, False, True), id="across corners in a periodic face"),
        pytest.param((3, 3), 26, (False, True, True), id="across corners where two periodic faces meet"),
    ],
)
def test_connectivity(step, connectivity, periodic):
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[:2, 0, 0] = 1
    labels[2:, step[0], step[1]] = 1
    for other in (6, 18, 26):
        spans = connected_fractions(labels, connectivity=other, periodic=periodic)[1, 0]
        assert spans == (other >= connectivity)
    if periodic:
        assert connected_fractions(labels, connectivity=26)[1, 0] == 0


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_without_periodic_faces_it_is_plain_labelling(connectivity):
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    seen = set()
    for seed, axis in product(range(5), range(3)):
        labels = spaghetti(connectivity, seed)
        clusters, _ = ndimage.label(labels == 1, structure)
        spanning = set(clusters.take(0, axis).flat) & set(clusters.take(-1, axis).flat) - {0}
        expected = np.isin(clusters, list(spanning)).sum() / (labels == 1).sum()
        assert connected_fractions(labels, connectivity=connectivity)[1, axis] == expected
        seen.add(0 if expected == 0 else 1)
    assert seen == {0, 1}


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rolling_along_periodic_sides_changes_nothing(axis, connectivity):
    seen = set()
    for seed in range(5):
        labels = spaghetti(connectivity, seed)
        sides = tuple(side != axis for side in range(3))
        given = {"periodic": sides, "connectivity": connectivity}
        expected = connected_fractions(labels, **given)[:, axis]
        for shift in ((3, 4), (1, 7)):
            rolled = np.roll(labels, shift, axis=[side for side in range(3) if side != axis])
            np.testing.assert_array_equal(connected_fractions(rolled, **given)[:, axis], expected)
        seen.add(0 if expected[1] == 0 else 1)
    assert 1 in seen


@pytest.mark.parametrize("periodic", list(product((False, True), repeat=3)))
def test_voxels_and_fractions_agree(periodic):
    labels = np.random.default_rng(5).integers(0, 3, (6, 7, 8))
    fractions = connected_fractions(labels, periodic=periodic)
    along = [percolating_voxels(labels, axis, periodic=periodic) for axis in range(3)]
    for phase, axis in product(range(3), range(3)):
        assert along[axis][labels == phase].mean() == pytest.approx(fractions[phase, axis], abs=1e-15)
    np.testing.assert_array_equal(percolating_voxels(labels, periodic=periodic), np.any(along, axis=0))


def test_an_absent_phase_has_no_share():
    fractions = connected_fractions(np.ones((3, 4, 5), int), n_phases=3)
    np.testing.assert_array_equal(fractions, [[0, 0, 0], [1, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize("connectivity", [1, 8, "6", None, [6]])
def test_connectivity_is_a_number_of_neighbours(connectivity):
    with pytest.raises(ValueError, match="`connectivity` must be 6, 18 or 26 neighbours. Received"):
        connected_fractions(spaghetti(), connectivity=connectivity)


@pytest.mark.parametrize("axis", [3, -1, "zy", 0.0])
def test_axis_is_one_of_three(axis):
    with pytest.raises(ValueError, match="`axis` must be .* Received"):
        percolating_voxels(spaghetti(), axis)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes_have_letters(axis):
    labels = np.random.default_rng(3).integers(2, size=(3, 4, 5))
    by_letter, by_number = percolating_voxels(labels, "zyx"[axis]), percolating_voxels(labels, axis)
    np.testing.assert_array_equal(by_letter, by_number)
    assert by_letter.any() != by_letter.all()
