import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import gaussian_filter

from kerasgan3d.differentiable import diffusivity, relative_diffusivities
from kerasgan3d.differentiable.diffusivity import LEAK, coarse, soft_diffusivity
from kerasgan3d.metrics import relative_diffusivity


def conduct(shares):
    return ops.convert_to_numpy(soft_diffusivity(ops.convert_to_tensor(np.asarray(shares, "float32"))))


def blobs(seed, edge, share=0.5, width=2.0):
    """A phase of round structures: 0 and 1, (edge, edge, edge)."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(edge,) * 3), width)
    return (field < np.quantile(field, share)).astype("uint8")


def test_what_conducts_everywhere_has_a_diffusivity_of_one():
    np.testing.assert_allclose(conduct(np.ones((2, 8, 6, 5))), 1.0, rtol=1e-5)


def test_layers_conduct_along_but_not_across():
    along = np.zeros((1, 16, 8, 8))
    along[:, :, :2] = 1
    across = np.zeros((1, 16, 8, 8))
    across[:, :4] = 1
    assert conduct(along)[0] == pytest.approx(0.25, abs=0.005)
    assert conduct(across)[0] < 2 * LEAK**2


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_it_follows_the_measured_diffusivity(share, monkeypatch):
    volumes = [blobs(seed, 24, share) for seed in range(8)]
    measured = np.array([relative_diffusivity(1 - volume, 0, 0) for volume in volumes])
    assert measured.std() > 0.05 * measured.mean()
    found = conduct(volumes)
    assert np.corrcoef(found, measured)[0, 1] > 0.97
    assert (found > measured).all()  # the least dissipation is approached from above
    monkeypatch.setattr(diffusivity, "STEPS", 200)
    np.testing.assert_allclose(conduct(volumes), measured, atol=0.01)


def test_its_gradient_is_its_slope(monkeypatch):
    monkeypatch.setattr(diffusivity, "STEPS", 200)
    p = np.clip(blobs(3, 12) + np.random.default_rng(0).uniform(-0.3, 0.3, (12,) * 3), 0.05, 0.95)[None]
    there = np.zeros_like(p)
    there[:, 4:8, 3:6, 5:8] = 1
    step = 0.02
    slope = (conduct(p + step * there) - conduct(p - step * there)) / (2 * step)
    assert np.sum(gradient(p) * there) == pytest.approx(slope[0], rel=0.02)


def gradient(p):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(p, "float32")
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum(soft_diffusivity(x))
        return tape.gradient(total, x).numpy()
    x = ops.convert_to_tensor(p, "float32").requires_grad_(True)
    ops.sum(soft_diffusivity(x)).backward()
    return x.grad.cpu().numpy()


def test_it_stays_finite_where_nothing_or_everything_conducts_for_long(monkeypatch):
    monkeypatch.setattr(diffusivity, "STEPS", 300)
    found = conduct(np.stack([np.zeros((8, 8, 8)), np.ones((8, 8, 8)), blobs(0, 8)]))
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(LEAK**2, rel=1e-3)


@pytest.mark.parametrize(("edge", "cells"), [(16, 16), (32, 32), (48, 24), (64, 32)])
def test_volumes_are_made_coarse(edge, cells):
    volume = np.random.default_rng(0).random((1, edge, edge, edge, 2)).astype("float32")
    found = ops.convert_to_numpy(coarse(ops.convert_to_tensor(volume)))
    assert found.shape == (1, cells, cells, cells, 2)
    n = edge // cells
    wanted = volume.reshape(1, cells, n, cells, n, cells, n, 2).mean((2, 4, 6))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_volumes_are_averaged_in_each_direction(count):
    volumes = np.stack([np.eye(2, dtype="float32")[blobs(seed, 12)] for seed in range(count)])
    found = ops.convert_to_numpy(relative_diffusivities(ops.convert_to_tensor(volumes)))
    assert found.shape == (2, 3)
    for axis in range(3):
        wanted = [conduct(np.moveaxis(volumes[..., phase], axis + 1, 1)).mean() for phase in range(2)]
        np.testing.assert_allclose(found[:, axis], wanted, rtol=1e-3)


def test_layers_have_diffusivities_in_all_directions():
    labels = np.zeros((12, 12, 12), "uint8")
    labels[:, :6] = 1  # layers normal to y
    hot = np.eye(2, dtype="float32")[labels][None]
    found = ops.convert_to_numpy(relative_diffusivities(ops.convert_to_tensor(hot)))
    np.testing.assert_allclose(found[:, [0, 2]], 0.5, atol=0.01)
    assert found[:, 1].max() < 2 * LEAK
