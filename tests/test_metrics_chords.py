import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import Volume
from kerasgan3d.metrics import chord_lengths, two_point_correlation


def noise(shape, n_phases=3, seed=0):
    return np.random.default_rng(seed).integers(0, n_phases, shape).astype(np.uint8)


def grains(shape, n_phases=3, seed=0, sigma=1.5):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma, mode="wrap")
    return np.digitize(field, np.quantile(field, np.arange(1, n_phases) / n_phases)).astype(np.uint8)


def runs(line):
    """Return (phase, length) of the runs of a line whose two ends lie in it."""
    found, start = [], None
    for place in range(1, len(line)):
        if line[place] != line[place - 1]:
            if start is not None:
                found.append((line[place - 1], place - start))
            start = place
    return found


def by_hand(labels, periodic, max_length):
    counts = np.zeros((3, labels.ndim, max_length + 1), int)
    for axis in range(labels.ndim):
        for line in np.moveaxis(labels, axis, -1).reshape(-1, labels.shape[axis]):
            changes = np.flatnonzero(line != np.roll(line, 1))
            if periodic[axis]:
                # From one change on, once around, and on to that change.
                line = np.append(np.roll(line, -changes[0]), line[changes[0]]) if changes.size else line
                line = np.append(line[-2], line) if changes.size else line
            for phase, length in runs(line):
                if length <= max_length:
                    counts[phase, axis, length] += 1
    return counts


@pytest.mark.parametrize("periodic", [(False, False, False), (True, True, True), (True, False, True)])
@pytest.mark.parametrize("max_length", [2, 5, 30])
@pytest.mark.parametrize(
    "labels", [noise((5, 6, 7)), grains((9, 8, 12)), noise((2, 1, 9))], ids=["noise", "grains", "thin"]
)
def test_counts_are_those_of_a_loop_over_lines(labels, periodic, max_length):
    periodic = periodic[: labels.ndim]
    chords = chord_lengths(labels, max_length, voxel_size=1, periodic=periodic, n_phases=3)
    np.testing.assert_array_equal(chords.counts, by_hand(labels, periodic, max_length))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("periodic", [False, True])
def test_slabs(axis, periodic):
    labels = np.zeros((40, 5, 6), np.uint8)
    for start in (3, 13, 23, 33):
        labels[start : start + 4] = 1
    chords = chord_lengths(np.moveaxis(labels, 0, axis), 12, voxel_size=0.5, periodic=periodic)
    assert chords.counts[1, axis, 4] == 4 * 30
    assert chords.counts[0, axis, 6] == (4 if periodic else 3) * 30
    assert chords.counts[:, axis].sum() == chords.counts[1, axis, 4] + chords.counts[0, axis, 6]
    if periodic:
        np.testing.assert_allclose(chords.mean[:, axis], [3, 2])
        np.testing.assert_allclose(chords.distribution[[0, 1], axis, [6, 4]], 1)
    others = [other for other in range(3) if other != axis]
    assert np.all(np.isinf(chords.mean[:, others]))
    np.testing.assert_array_equal(chords.lengths, 0.5 * np.arange(13))


def test_a_checkerboard_has_chords_of_one_voxel():
    labels = np.indices((8, 8, 8)).sum(axis=0) % 2
    for periodic in (False, True):
        chords = chord_lengths(labels, voxel_size=0.2, periodic=periodic)
        np.testing.assert_allclose(chords.mean, 0.2)
        np.testing.assert_allclose(chords.distribution[..., 1], 1)


def balls(size, radius, count, seed=0):
    """Return separate balls at random places in a periodic volume."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size, size), np.uint8)
    along, centres = np.arange(size), []
    while len(centres) < count:
        centre = rng.uniform(0, size, 3)
        apart = [np.abs(centre - other) for other in centres]
        if all(np.linalg.norm(np.minimum(d, size - d)) > 2 * radius + 2 for d in apart):
            centres.append(centre)
            z, y, x = (np.minimum(np.abs(along - c), size - np.abs(along - c)) ** 2 for c in centre)
            labels[z[:, None, None] + y[:, None] + x <= radius**2] = 1
    return labels


@pytest.mark.parametrize("periodic", [False, True])
def test_chords_of_random_balls_have_a_mean_of_four_volumes_per_surface(periodic):
    radius = 9
    labels = balls(96, radius, 30)
    chords = chord_lengths(labels, voxel_size=0.1, periodic=periodic)
    expected = 4 / 3 * radius  # 4 V / S
    np.testing.assert_allclose(chords.mean[1], 0.1 * expected, rtol=0.02 if periodic else 0.04)
    # Chords of a ball are 2 r at most, and as frequent as they are long: a share of (l / 2 r)^2 is shorter than l.
    lengths = np.arange(2 * radius - 1)
    shorter = np.cumsum(chords.distribution[1].mean(axis=0))[: len(lengths)]
    np.testing.assert_allclose(shorter, ((lengths + 0.5) / (2 * radius)) ** 2, atol=0.03 if periodic else 0.05)
    assert np.all(chords.counts[1, :, 2 * radius + 2 :] == 0)


def telegraph(lines, size, mean, seed=0):
    """Return lines cut from two phases that follow each other in runs of random length: geometric, of that mean."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.geometric(1 / mean, (lines, 3 * size)), axis=1)
    return (ends[:, :, None] <= size + np.arange(size)).sum(axis=1).astype(np.uint8) % 2


def test_neither_mean_nor_distribution_depends_on_the_length_of_lines():
    mean = 10
    lengths = np.arange(1, 15)
    expected = (1 - 1 / mean) ** (lengths - 1) / mean
    for size in (24, 48):
        labels = telegraph(6000, size, mean).reshape(60, 100, size)
        chords = chord_lengths(labels, size - 2, voxel_size=1)
        np.testing.assert_allclose(chords.mean[:, 2], mean, rtol=0.04)
        np.testing.assert_allclose(chords.distribution[:, 2, lengths], [expected, expected], rtol=0.2)
        counts = chords.counts[:, 2]
        plain = counts @ np.arange(size - 1) / counts.sum(axis=1)
        assert np.all(plain < (7 if size == 24 else 9.3)), "what the boundary cuts is long"


def test_means_follow_from_fraction_and_faces():
    labels = grains((20, 22, 24))
    chords = chord_lengths(labels, voxel_size=0.3, periodic=True)
    correlation = two_point_correlation(labels, 1, periodic=True)
    # 1 / S2'(0), as in Torquato's section 2.5.
    expected = 0.3 * correlation[..., 0] / (correlation[..., 0] - correlation[..., 1])
    np.testing.assert_allclose(chords.mean, expected, rtol=1e-12)


def test_all_chords_of_a_periodic_volume_are_known():
    labels = noise((8, 9, 10))
    chords = chord_lengths(labels, 10, voxel_size=0.3, periodic=True)
    np.testing.assert_allclose(chords.mean, chords.counts @ chords.lengths / chords.counts.sum(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(chords.distribution.sum(axis=-1), 1)
    np.testing.assert_array_equal(
        chord_lengths(labels, 3, voxel_size=0.3, periodic=True).distribution, chords.distribution[..., :4]
    )


@pytest.mark.parametrize("periodic", [False, True])
def test_all_slices_together_have_the_chords_of_the_volume(periodic):
    labels = grains((10, 20, 24))
    volume = chord_lengths(labels, 15, voxel_size=0.3, periodic=periodic)
    slices = [chord_lengths(plane, 15, voxel_size=0.3, periodic=2 * [periodic], n_phases=3) for plane in labels]
    np.testing.assert_array_equal(sum(s.counts for s in slices), volume.counts[:, 1:])
    ends = np.array([[np.mean(plane == phase) for phase in range(3)] for plane in labels])[..., None]
    per_length = np.mean([share / s.mean for share, s in zip(ends, slices, strict=True)], axis=0)
    np.testing.assert_allclose(ends.mean(axis=0) / per_length, volume.mean[:, 1:])


@pytest.mark.parametrize("periodic", [False, True])
def test_mirror_images_and_turned_volumes_have_the_same_chords(periodic):
    labels = grains((12, 14, 16))
    expected = chord_lengths(labels, 12, voxel_size=1, periodic=periodic)
    mirrored = chord_lengths(labels[:, ::-1, ::-1], 12, voxel_size=1, periodic=periodic)
    np.testing.assert_array_equal(mirrored.counts, expected.counts)
    np.testing.assert_array_equal(mirrored.mean, expected.mean)
    turned = chord_lengths(labels.transpose(2, 0, 1), 12, voxel_size=1, periodic=periodic)
    np.testing.assert_array_equal(turned.counts, expected.counts[:, [2, 0, 1]])


def test_what_has_no_chords():
    chords = chord_lengths(np.ones((4, 5, 6), int), voxel_size=1, n_phases=3)
    np.testing.assert_array_equal(chords.mean, [3 * [np.nan], 3 * [np.inf], 3 * [np.nan]])
    assert not chords.counts.any()
    assert not chords.distribution.any()


def test_a_volume_brings_its_voxel_size_and_axes():
    labels = noise((6, 7, 8))
    labels.flags.writeable = False
    volume = chord_lengths(Volume(labels, ("a", "b", "c"), 0.4, "zx"))
    expected = chord_lengths(labels, voxel_size=0.4, periodic=(True, False, True))
    np.testing.assert_array_equal(volume.counts, expected.counts)
    np.testing.assert_array_equal(volume.mean, expected.mean)


def test_lengths_need_a_voxel_size():
    with pytest.raises(ValueError, match="The voxel size is unknown"):
        chord_lengths(noise((4, 4, 4)))


@pytest.mark.parametrize("max_length", [0, -1, 2.5, True])
def test_max_length_must_be_a_positive_integer(max_length):
    with pytest.raises(ValueError, match="`max_length` must be a positive integer. Received"):
        chord_lengths(noise((4, 4, 4)), max_length, voxel_size=1)
