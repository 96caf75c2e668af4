"""The same correlation functions by PoreSpy."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import radial_two_point_correlation, volume_fractions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its imports warn of is not ours to mend
    peer = pytest.importorskip("porespy", reason="PoreSpy is not installed")
pytestmark = pytest.mark.peer


def blobs(shape, seed=0):
    """Return random blobs of three phases."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    return np.digitize(noise, np.quantile(noise, [0.35, 0.6]))


@pytest.mark.parametrize("shape", [(24, 24, 24), (20, 25, 31)])
def test_radial_correlations_are_equal_in_the_same_bins(shape):
    # PoreSpy: not periodic, pairs over places at each displacement, and the plain mean over the displacements in each
    # bin [start, stop). Its own bins start at whole voxels; given ours, around them, the definitions are the same.
    labels = blobs(shape)
    max_lag = 10
    edges = np.concatenate([[0], np.arange(max_lag + 1) + 0.5])
    ours = radial_two_point_correlation(labels, max_lag)
    for phase in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = peer.metrics.two_point_correlation(labels == phase, bins=edges)
        np.testing.assert_allclose(ours[phase], theirs.probability_scaled, rtol=1e-9)
        # What is normalised is scaled by S2(0).
        np.testing.assert_allclose(ours[phase] / ours[phase, 0], theirs.probability, rtol=1e-9)


def test_volume_fraction_is_the_porosity():
    labels = blobs((20, 25, 31))
    np.testing.assert_allclose(
        volume_fractions(labels), [peer.metrics.porosity(labels == phase) for phase in range(3)], rtol=1e-12
    )
