import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kerasgan3d.report.leaning import leaning_statistics


def materials(count, shape=(24, 24, 24), sheared=False, seed=0):
    """Blobs of two phases; sheared, a voxel further along x for each along y."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        blobs = (gaussian_filter(rng.standard_normal(shape), 2, mode="wrap") > 0).astype("uint8")
        if sheared:
            blobs = np.stack([np.roll(blobs[..., i, :], i, -1) for i in range(shape[-2])], axis=-2)
        found.append(blobs)
    return found


def test_what_leans_is_found_in_its_plane():
    found = leaning_statistics(materials(8, sheared=True), 2)
    assert (found["planes"], found["lags"]) == (["yx", "zx", "zy"], [2, 4, 8])
    assert found["smallest_p"] < 1e-4
    assert found["difference"].shape == (2, 3, 3)
    assert (found["difference"][:, 0, :2] > 0.1).all()  # further along x, further along y
    assert np.abs(found["difference"][:, 1:]).max() < 0.1
    mirrored = leaning_statistics([sample[..., ::-1] for sample in materials(8, sheared=True)], 2)
    np.testing.assert_allclose(mirrored["difference"][:, 0], -found["difference"][:, 0])


def test_what_does_not_lean_has_a_p_that_is_what_it_says():
    p = [leaning_statistics(materials(8, seed=seed), 2)["smallest_p"] for seed in range(20)]
    assert sum(value < 0.05 for value in p) <= 3
    found = leaning_statistics(materials(8), 2)
    assert np.abs(found["difference"]).max() < 5 * found["standard_error"].max()


def test_a_difference_is_counted():
    image = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
    found = leaning_statistics([image], 2)
    # Two rows and columns further, of four places: 0-0, 1-1, 1-0, 0-0; the other diagonal: 0-0, 0-1, 1-1, 0-1.
    shares = np.array([[2 / 4], [1 / 4]]) - np.array([[1 / 4], [1 / 4]])
    fractions = np.array([9 / 16, 7 / 16])
    assert (found["planes"], found["lags"]) == (["yx"], [2])
    np.testing.assert_allclose(found["difference"][:, 0], shares / fractions[:, None])
    np.testing.assert_allclose(found["largest"], [4 / 9, 0])
    assert found["smallest_p"] is None


@pytest.mark.parametrize("shape", [(24, 24), (3, 5, 4)])
def test_slices_small_volumes_and_phases_that_are_nowhere(shape):
    found = leaning_statistics(materials(4, shape), 3)
    assert np.isfinite(found["difference"]).all()
    assert found["largest"][2] == 0
    assert 0 <= found["smallest_p"] <= 1
