"""The same openings and chords by PoreSpy."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import chord_lengths, granulometry

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
