"""Where windows lie beside what is excluded: all free places, and no others, alike."""

from itertools import product

import numpy as np
import pytest

from kerasgan3d import crops
from kerasgan3d.crops import Crops, NoRoomError, Places
from kerasgan3d.data import LabelledData, SliceSampler, Symmetry, VolumeSampler, excluding, exclusion

SHAPES = [((9, 11), (3, 4)), ((6, 7, 8), (2, 3, 4)), ((6, 7, 8), (1, 3, 3)), ((5, 5, 5), (5, 5, 5))]


def noise(*shape, share=0.03, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def free(mask, window, spacing=1):
    """All corners whose windows hold nothing of a mask, looked at one by one."""
    grid = [range(0, n - w + 1, spacing) for n, w in zip(mask.shape, window, strict=True)]
    places = {corner: tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True)) for corner in product(*grid)}
    return [corner for corner, place in places.items() if not mask[place].any()]


@pytest.mark.parametrize(("shape", "window"), SHAPES, ids=str)
@pytest.mark.parametrize("spacing", [1, 2, 3])
@pytest.mark.parametrize("slab", [1, 1 << 26])
def test_places_are_all_the_free_ones_in_order(monkeypatch, shape, window, spacing, slab):
    monkeypatch.setattr(crops, "_SLAB", slab)
    mask = noise(*shape)
    places = Places(shape, window, mask, spacing)
    expected = free(mask, window, spacing)
    assert places.count == len(expected)
    if expected:
        assert list(map(tuple, places.corners(range(places.count)).tolist())) == expected


def test_every_free_place_is_as_likely_as_another():
    mask = noise(8, 9, share=0.05, seed=3)
    places, rng = Places(mask.shape, (2, 3), mask), np.random.default_rng(0)
    drawn = [tuple(part.start for part in places.draw(rng)) for _ in range(200 * places.count)]
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert list(map(tuple, found.tolist())) == free(mask, (2, 3))
    assert abs(counts - 200).max() < 5 * np.sqrt(200)


def test_the_only_place_of_many_is_found_at_once():
    # A box that was tried for would have been found in one of 27,000 tries.
    labels = np.ones((40, 40, 40), "uint8")
    labels[5:15, 20:30, 7:17] = 0
    (volumes,) = VolumeSampler(labels, 10, 8, excluded=labels == 1).batch(0)
    assert volumes.shape == (8, 10, 10, 10)
    assert not volumes.any()


def test_what_no_window_can_touch_changes_nothing():
    labels = np.random.default_rng(0).integers(0, 3, (16, 16, 16)).astype("uint8")
    beside = exclusion(labels.shape, [((15, 16), None, None)])
    drawn = [VolumeSampler(labels, 8, 4, spacing=7, excluded=e).batch(2)[0] for e in (None, beside)]
    np.testing.assert_array_equal(*drawn)


def test_images_are_drawn_by_their_free_places():
    images = [np.zeros((8, 8), "uint8"), np.ones((20, 8), "uint8"), np.full((8, 8), 2, "uint8")]
    beside = [None, exclusion((20, 8), [((0, 10), None)]), np.ones((8, 8), bool)]
    drawn, rng = Crops(images, (8, 8), beside), np.random.default_rng(0)
    found = [drawn.draw(rng) for _ in range(2000)]
    assert all((crop == k).all() for k, crop in found)
    counts = np.bincount([k for k, _ in found], minlength=3)
    np.testing.assert_allclose(counts / 2000, [1 / 4, 3 / 4, 0], atol=0.05)


def test_a_direction_without_a_free_slice_is_left_out():
    # A wall normal to z of every second plane: only slices normal to z are free.
    labels = np.zeros((12, 12, 12), "uint8")
    labels[::2] = 1
    (part,) = SliceSampler(labels, 8, (50,), excluded=labels == 1).batch(0)
    assert not part.any()


def test_no_free_place_is_an_error():
    with pytest.raises(NoRoomError, match="beside what is excluded. Received: an exclusion that every crop of 3 x 3"):
        Crops([np.zeros((5, 5))], (3, 3), [np.ones((5, 5), bool)])
    with pytest.raises(ValueError, match="at least as large as a crop of 6 voxels per side. Received: 5 x 9"):
        Crops([np.zeros((5, 9))], (6, 6), [None])


@pytest.mark.parametrize("also", [None, noise(6, 7, 8, share=0.2)], ids=["boxes", "boxes and mask"])
def test_a_lazy_exclusion_is_that_of_the_whole(also):
    boxes = [(slice(1, 3), slice(0, 7), slice(2, 5)), (slice(5, 6), slice(2, 3), slice(0, 8))]
    expected = np.zeros((6, 7, 8), bool) if also is None else also.copy()
    for box in boxes:
        expected[box] = True
    lazy = excluding((6, 7, 8), boxes, also)
    np.testing.assert_array_equal(lazy, expected)
    for window in (np.s_[2:5, 1:3, 3:8], np.s_[2, :, 4], np.s_[0:0, :, :]):
        np.testing.assert_array_equal(lazy[window], expected[window])
    found = [Places((6, 7, 8), (2, 2, 2), mask) for mask in (lazy, expected)]
    assert found[0].count == found[1].count
    np.testing.assert_array_equal(*(places.corners(range(places.count)) for places in found))


# Data


def test_what_is_taken_for_labels_becomes_one_form():
    flat, solid = np.zeros((8, 9), "uint8"), np.zeros((8, 9, 10), "uint8")
    assert LabelledData.of(flat).images[0] is flat
    assert LabelledData.of([solid, solid]).dimensions == 3
    directed = LabelledData.of({2: [flat], 0: [flat, flat]}, Symmetry("axial"))
    assert directed.normals == (2, 0, 0)
    assert directed.normal_to((1, 2)).normals == (2,)
    assert LabelledData.of(directed, Symmetry()).symmetry == Symmetry()
    assert LabelledData.of(flat, excluded=flat > 0).excluded[0].shape == flat.shape
    assert LabelledData.of([flat, flat]).excluded == (None, None)
    assert LabelledData.of([flat, flat.T]).smallest == 8


@pytest.mark.parametrize(
    "labels", [[], [np.zeros((4, 4)), np.zeros((4, 4, 4))], np.zeros(4)], ids=["none", "mixed", "1D"]
)
def test_data_are_all_volumes_or_all_slices(labels):
    with pytest.raises(ValueError, match="all of them volumes .* or all of them slices"):
        LabelledData.of(labels)


@pytest.mark.parametrize("excluded", [np.zeros((4, 5), bool), [None, None]], ids=["shape", "number"])
def test_what_is_excluded_fits_its_image(excluded):
    labels = np.zeros((4, 4)) if isinstance(excluded, np.ndarray) else [np.zeros((4, 4))]
    with pytest.raises(ValueError, match="must be one mask per image, of its shape. Received: [12] of shapes"):
        LabelledData.of(labels, excluded=excluded)


def test_crops_of_several_volumes_come_from_all():
    volumes = [np.full((8 + k, 8, 8), k, "uint8") for k in range(3)]
    (drawn,) = VolumeSampler(volumes, 8, 600).batch(0)
    np.testing.assert_allclose(np.bincount(drawn[:, 0, 0, 0]) / 600, [1 / 6, 2 / 6, 3 / 6], atol=0.06)
    across, along = SliceSampler(volumes, 8, (600, 600), Symmetry("axial", 0)).batch(0)
    # Slices normal to z: as many as there are planes; normal to y and x: as many as there are places.
    np.testing.assert_allclose(np.bincount(across[:, 0, 0]) / 600, np.array([8, 9, 10]) / 27, atol=0.06)
    np.testing.assert_allclose(np.bincount(along[:, 0, 0]) / 600, [1 / 6, 2 / 6, 3 / 6], atol=0.06)


def test_counts_are_beside_what_is_excluded():
    labels = [np.array([[0, 1], [2, 2]], "uint8"), np.array([[2, 2]], "uint8")]
    data = LabelledData(tuple(labels), excluded=(labels[0] == 1, None), n_phases=4)
    assert data.counts().tolist() == [1, 0, 4, 0]
    assert data.side_by_side(1) == 5
