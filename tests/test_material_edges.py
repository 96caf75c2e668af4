"""Soft edges of real data."""

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.data import LabelledData
from kerasgan3d.material.edges import FULL, SHARES, SoftImage, largest_share, softened


def blobs(shape=(14, 12, 10), phases=3, width=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=(phases, *shape))
    return ndimage.gaussian_filter(noise, (0, *(width,) * len(shape))).argmax(0).astype("uint8")


def whole(shape):
    return tuple(slice(0, n) for n in shape)


@pytest.mark.parametrize("shape", [(14, 12, 10), (20, 16)], ids=["volume", "slice"])
@pytest.mark.parametrize("phases", [2, 4])
@pytest.mark.parametrize("share", SHARES)
def test_a_voxel_gives_a_share_to_each_neighbour(shape, phases, share):
    labels = blobs(shape, phases)
    found = SoftImage(labels, phases, share)[whole(shape)]
    assert found.shape == (*shape, phases)
    assert found.dtype == "uint8"
    # At a face, what would leave stays, as if the voxel there were its own neighbour.
    expected = np.eye(phases)[labels]
    for axis in range(len(shape)):
        expected = ndimage.convolve1d(expected, [share, 1 - 2 * share, share], axis, mode="nearest")
    np.testing.assert_allclose(found / FULL, expected, atol=0.51 / FULL)


def test_without_a_share_labels_stay_as_they_are():
    labels = blobs()
    found = SoftImage(labels, 3, 0.0)[whole(labels.shape)]
    np.testing.assert_array_equal(found, FULL * np.eye(3)[labels])


def test_an_edge_is_soft_on_both_sides_and_nowhere_else():
    labels = np.zeros((9, 9, 9), "uint8")
    labels[4:] = 1
    found = SoftImage(labels, 2, 0.1)[whole(labels.shape)][..., 1] / FULL
    np.testing.assert_allclose(found[:, 4, 4], [0, 0, 0, 0.1, 0.9, 1, 1, 1, 1], atol=0.003)


WINDOWS = [
    (slice(0, 14), slice(0, 12), slice(0, 10)),
    (slice(3, 9), slice(2, 12), slice(0, 5)),
    (slice(5, 6), slice(0, 12), slice(4, 5)),
    (slice(13, 14), slice(11, 12), slice(9, 10)),
]


@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_is_cut_from_the_soft_image(window, excluding, monkeypatch):
    labels = blobs()
    excluded = np.random.default_rng(1).random(labels.shape) < 0.2 if excluding else None
    kept = SoftImage(labels, 3, 0.07, excluded)
    monkeypatch.setattr("kerasgan3d.material.edges._IN_MEMORY", 0)
    drawn = SoftImage(labels, 3, 0.07, excluded)
    monkeypatch.undo()
    monkeypatch.setattr("kerasgan3d.material.edges._BLOCK", 200)  # some rows at a time
    np.testing.assert_array_equal(kept[window], kept[whole(labels.shape)][window])
    monkeypatch.setattr("kerasgan3d.material.edges._IN_MEMORY", 0)
    np.testing.assert_array_equal(drawn[window], kept[window])
    assert kept._whole is not None
    assert drawn._whole is None


def test_nothing_comes_from_what_is_excluded():
    labels = np.zeros((8, 8, 8), "uint8")
    labels[4:] = 1
    excluded = np.zeros(labels.shape, bool)
    excluded[4:6] = True
    found = SoftImage(labels, 2, 0.1, excluded)[whole(labels.shape)] / FULL
    np.testing.assert_allclose(found[:4, ..., 0], 1)  # but for what is excluded, phase 1 is its neighbour
    np.testing.assert_allclose(found[6:, ..., 1], 1)


def test_what_is_excluded_may_hold_anything():
    labels, excluded = blobs(), np.zeros((14, 12, 10), bool)
    excluded[5:8, 3:] = True
    other = np.where(excluded, 2, labels)
    a, b = (SoftImage(x, 3, 0.1, excluded)[whole(labels.shape)][~excluded] for x in (labels, other))
    np.testing.assert_array_equal(a, b)


def test_labels_that_stay_in_their_file_are_read_where_they_are_needed():
    class Stored:
        def __init__(self, labels):
            self.labels, self.shape, self.ndim, self.size, self.read = labels, labels.shape, 3, labels.size, []

        def __getitem__(self, window):
            self.read.append(window)
            return self.labels[window]

    labels = blobs()
    stored = Stored(labels)
    window = (slice(3, 6), slice(0, 4), slice(5, 10))
    np.testing.assert_array_equal(SoftImage(stored, 3, 0.1)[window], SoftImage(labels, 3, 0.1)[window])
    assert stored.read == [(slice(2, 7), slice(0, 5), slice(4, 10))]


def test_the_data_stay_what_they_are_otherwise():
    labels, excluded = blobs(), np.zeros((14, 12, 10), bool)
    excluded[0, 0, 0] = True
    data = LabelledData.of(labels, excluded=excluded, n_phases=3)
    soft = softened(data, 0.05)
    assert (soft.symmetry, soft.n_phases, soft.dimensions, soft.smallest) == (data.symmetry, 3, 3, 10)
    assert soft.excluded is data.excluded
    assert soft.random_crops(4, 2)[0].shape == (4, 4, 4, 3)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_largest_share_leaves_wide_structures_alone(dimensions):
    labels = blobs((24,) * dimensions, 2, width=4)
    share, changed = largest_share(LabelledData.of(labels, n_phases=2), 24)
    assert share == SHARES[0]
    assert max(changed) <= 1e-3


@pytest.mark.parametrize(("thin", "expected"), [(1, 0.2), (2, 0.14), (3, 0.1)], ids=["plates", "rods", "voxels"])
def test_the_largest_share_leaves_thin_structures_their_label(thin, expected, monkeypatch):
    # What is one voxel thin along k axes keeps (1 - 2 s)^k of its label, which must be more than half.
    monkeypatch.setattr("kerasgan3d.material.edges.SHARES", (0.3, 0.2, 0.14, 0.1, 0.0))
    labels = np.zeros((16, 16, 16), "uint8")
    labels[tuple(slice(None, None, 4) if axis < thin else slice(None) for axis in range(3))] = 1
    data = LabelledData.of(labels, n_phases=2)
    share, changed = largest_share(data, 16)
    assert share == expected == max(s for s in (0.3, 0.2, 0.14, 0.1) if (1 - 2 * s) ** thin > 0.5)
    assert changed == [0.0, 0.0]
    monkeypatch.setattr("kerasgan3d.material.edges._CHANGED", 1.0)  # whatever it does to the thin phase
    share, changed = largest_share(data, 16)
    assert share == 0.3
    assert changed[0] == 0
    assert changed[1] >= 0.75


def test_no_share_is_left_where_each_changes_labels(monkeypatch):
    monkeypatch.setattr("kerasgan3d.material.edges.SHARES", (0.3, 0.25))
    labels = np.random.default_rng(0).integers(0, 3, (16, 16, 16)).astype("uint8")
    assert largest_share(LabelledData.of(labels, n_phases=3), 16) == (0.0, [0.0] * 3)
