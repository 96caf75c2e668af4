import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import Volume
from kerasgan3d.metrics import specks


def empty(shape=(20, 20, 20)):
    return np.zeros(shape, np.uint8)


def count(labels, *args, **given):
    """Return the numbers of specks and of holes of every phase."""
    found = specks(labels, *args, voxel_size=1, **given)
    return [np.rint(value * labels.size).astype(int).tolist() for value in (found.number, found.holes)]


@pytest.mark.parametrize("periodic", [False, True])
def test_pieces_smaller_than_a_cube_of_three(periodic):
    labels = empty()
    labels[2:5, 2:5, 2:5] = 1  # 27 voxels
    labels[10:13, 10:13, 10:12] = 1  # 18
    labels[15, 15, 15] = 1
    assert count(labels, periodic=periodic) == [[0, 2], [2, 0]]
    assert count(labels, 28, periodic=periodic) == [[0, 3], [3, 0]]
    assert count(labels, 18, periodic=periodic) == [[0, 1], [1, 0]]
    found = specks(labels, voxel_size=0.5, periodic=periodic)
    np.testing.assert_allclose(found.number, [0, 2 / (8000 * 0.125)])
    np.testing.assert_allclose(found.share, [0, 19 / 46])
    np.testing.assert_allclose(found.hole_share, [19 / (8000 - 46), 0])


def test_a_hole_is_a_piece_of_anything_else():
    labels = empty()
    labels[4:16, 4:16, 4:16] = 1
    labels[7, 7, 7:9] = 0
    labels[7, 7, 9] = 2
    labels[10, 10, 10] = 2
    # In phase 1 there are two holes; in phase 0 the body is none, being large, and its own speck is none in phase 1.
    assert count(labels) == [[1, 0, 2], [0, 2, 0]]


def test_voxels_of_a_piece_share_faces():
    labels = empty()
    labels[5, 5, 5] = labels[5, 6, 6] = labels[6, 7, 7] = 1
    labels[10, 10, 10] = labels[10, 10, 11] = 1
    assert count(labels)[0] == [0, 4]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pieces_at_a_face_count_where_it_is_periodic(axis):
    labels = empty()
    labels[0, 3, 3] = labels[-1, 3, 3] = 1
    labels[0, 9, 9] = labels[-1, 12, 12] = 1
    labels = np.moveaxis(labels, 0, axis)
    wraps = tuple(other == axis for other in range(3))
    assert count(labels)[0] == [0, 0]
    assert count(labels, periodic=wraps) == [[0, 3], [3, 0]]
    assert count(labels, periodic=tuple(not flag for flag in wraps))[0] == [0, 0]


def test_what_goes_around_a_periodic_volume_has_no_end():
    labels = empty((8, 20, 20))
    labels[:, 5, 5] = 1  # 8 voxels, again and again
    labels[2, 9, 9] = 1
    assert count(labels, periodic=True)[0] == [0, 1]


def test_pieces_reach_across_a_corner_of_a_periodic_volume():
    labels = empty((9, 10, 11))
    labels[[0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, -1]] = 1
    assert count(labels, periodic=True) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("periodic", [False, True])
def test_counts_are_those_of_labelling(periodic):
    rng = np.random.default_rng(0)
    labels = np.digitize(ndimage.gaussian_filter(rng.random((30, 31, 32)), 0.7, mode="wrap"), [0.45, 0.57])
    expected = []
    for phase in range(3):
        body = np.pad(labels == phase, 40, mode="wrap") if periodic else labels == phase
        for mask in (body, ~body):
            pieces, _ = ndimage.label(mask)
            number = voxels = 0
            for index, where in enumerate(ndimage.find_objects(pieces), 1):
                size = np.count_nonzero(pieces[where] == index)
                if periodic:
                    # Each piece stands at many places in what was wrapped: once with its first voxel in the middle.
                    first = np.argwhere(pieces[where] == index)[0] + [part.start for part in where]
                    mine = all(40 <= place < 40 + length for place, length in zip(first, labels.shape, strict=True))
                else:
                    mine = all(
                        part.start > 0 and part.stop < length for part, length in zip(where, labels.shape, strict=True)
                    )
                if size < 27 and mine:
                    number, voxels = number + 1, voxels + size
            expected.append((number, voxels))
    found = specks(labels, voxel_size=1, periodic=periodic)
    own = np.bincount(labels.ravel())
    values = [found.number * labels.size, found.share * own, found.holes * labels.size, found.hole_share * own]
    numbers = np.rint(values).astype(int)
    assert numbers[[0, 1]].T.tolist() == [list(pair) for pair in expected[0::2]]
    assert numbers[[2, 3]].T.tolist() == [list(pair) for pair in expected[1::2]]
    assert numbers[0].min() > 0


def test_specks_of_a_slice():
    labels = empty((20, 20))
    labels[3:6, 3:6] = 1
    labels[10, 10] = labels[11, 11] = 1
    labels[4, 4] = 0
    found = specks(labels, voxel_size=0.5)
    np.testing.assert_allclose(found.number * 100, [1, 3])
    np.testing.assert_allclose(found.share, [1 / (400 - 10), 1])
    np.testing.assert_allclose(found.holes * 100, [3, 1])


def test_rolling_a_periodic_volume_changes_nothing():
    labels = np.random.default_rng(1).integers(0, 4, (9, 10, 11))
    first = specks(labels, voxel_size=1, periodic=True)
    rolled = specks(np.roll(labels, (2, 5, 7), (0, 1, 2)), voxel_size=1, periodic=True)
    for name in ("number", "share", "holes", "hole_share"):
        np.testing.assert_array_equal(getattr(first, name), getattr(rolled, name))


def test_an_absent_phase_has_no_specks_and_no_share():
    found = specks(empty((5, 5, 5)), voxel_size=1, n_phases=2)
    np.testing.assert_array_equal(found.number, [0, 0])
    np.testing.assert_array_equal(found.share, [0, np.nan])


def test_a_volume_brings_its_voxel_size_and_axes():
    labels = empty((9, 9, 9))
    labels[0, 4, 4] = 1
    labels.flags.writeable = False
    found = specks(Volume(labels, ("pore", "solid"), 0.5, "z"))
    np.testing.assert_allclose(found.number, [0, 1 / (729 * 0.125)])


def test_numbers_need_a_voxel_size():
    with pytest.raises(ValueError, match="The voxel size is unknown"):
        specks(empty())


@pytest.mark.parametrize("smaller_than", [1, 1001, 2.5])
def test_a_speck_has_a_number_of_voxels(smaller_than):
    with pytest.raises(ValueError, match="`smaller_than` must be an integer from 2 to 1000. Received"):
        specks(empty(), smaller_than, voxel_size=1)
