"""The same openings and chords by PoreSpy."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import chord_lengths, granulometry, lineal_path, particles

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its imports warn of is not ours to mend
    peer = pytest.importorskip("porespy", reason="PoreSpy is not installed")
pytestmark = pytest.mark.peer


def blobs(shape, seed=0):
    """Return random blobs of three phases."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 3)
    return np.digitize(noise, np.quantile(noise, [0.35, 0.6]))


def local_thickness(mask, sizes):
    """Return for each voxel the largest of some radii whose ball fits around it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peer.filters.local_thickness(mask, method="dt", smooth=True, sizes=np.array(sizes))


@pytest.mark.parametrize("shape", [(48, 48, 48), (40, 45, 53)])
@pytest.mark.parametrize("radius", [1, 2, 3, 4, 6])
def test_openings_by_one_ball_are_equal(shape, radius):
    # PoreSpy's ball of radius r has the voxels that are less than r away, ours those that are no farther. As squares
    # of distances are whole, |o|^2 < r^2 is |o|^2 <= r^2 - 1. At the edges it lets balls reach out, as "open" does.
    labels = blobs(shape)
    ours = granulometry(labels, [np.sqrt(radius**2 - 1)], "open")[:, 0]
    theirs = [
        np.count_nonzero(local_thickness(labels == p, [radius])) / np.count_nonzero(labels == p) for p in range(3)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_curves_differ_by_what_only_larger_balls_reach():
    # Over several radii PoreSpy takes a voxel as in a ball of radius r if it lies in any of the larger ones.
    labels = blobs((48, 48, 48))
    radii = np.arange(1, 8)
    ours = granulometry(labels, np.sqrt(radii**2 - 1), "open")
    for phase in range(3):
        thickness = local_thickness(labels == phase, radii[::-1])
        theirs = [np.count_nonzero(thickness >= radius) / np.count_nonzero(labels == phase) for radius in radii]
        more = theirs - ours[phase]
        assert np.all(more >= 0)
        assert 0 < more.max() < 0.01


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_chords_are_equal(axis):
    # PoreSpy draws chords on every second line, and leaves out those that touch a face: lines within side faces too.
    labels = blobs((40, 45, 53))
    inner = tuple(
        slice(None) if other == axis else slice(2, (size - 1) // 2 * 2, 2) for other, size in enumerate(labels.shape)
    )
    ours = chord_lengths(np.ascontiguousarray(labels[inner]), 60, voxel_size=1).counts[:, axis]
    for phase in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chords = peer.filters.apply_chords(labels == phase, spacing=1, axis=axis, trim_edges=True)
            lengths = peer.metrics.chord_counts(chords)
        np.testing.assert_array_equal(ours[phase], np.bincount(lengths, minlength=61))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lineal_paths_are_equal(axis):
    # PoreSpy's distance along a line is how many voxels of the phase follow, the voxel itself included: a segment of
    # r + 1 voxels begins where that is r + 1 or more. Exact counts, so that nothing but rounding is left.
    labels = blobs((20, 25, 31))
    ours = lineal_path(labels, 8)
    for phase in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ahead = peer.filters.distance_transform_lin(labels == phase, axis=axis, mode="backward")
        starts = labels.size // labels.shape[axis] * (labels.shape[axis] - np.arange(9))
        theirs = [np.count_nonzero(ahead >= length) for length in range(1, 10)] / starts
        np.testing.assert_allclose(ours[phase, axis], theirs, rtol=1e-12)


def test_particles_are_the_regions_of_snow():
    # Balls that overlap a little have one maximum each, whatever finds it. The regions are then those of one watershed
    # of one distance, but that voxels in the plane of a neck, as near to either of two maxima, fall by chance.
    centres = [(10, 10, 10), (10, 10, 24), (10, 24, 10), (24, 10, 10), (24, 24, 24), (24, 24, 10)]
    places = np.indices((36, 36, 36))
    mask = np.any([((places - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) < 61 for centre in centres], axis=0)
    found = particles(mask.astype(int), 1, voxel_size=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer.filters.snow_partitioning(mask, sigma=0).regions
    assert len(found) == len(np.unique(theirs)) - 1 == len(centres)
    numbers = np.array([np.bincount(theirs[found.labels == number]).argmax() for number in range(1, len(found) + 1)])
    same = np.append(0, numbers)[found.labels] == theirs
    assert 1 - same.sum() / same.size < 0.01
    volumes = np.bincount(theirs.reshape(-1))[numbers]
    np.testing.assert_allclose(found.volume, volumes, rtol=0.05)
