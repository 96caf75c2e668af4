"""Differentiable counts are those of the measures where probabilities are 0 or 1, and have gradients everywhere."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from kerasgan3d import differentiable, metrics

EDGE = 12
SHAPES = pytest.mark.parametrize("shape", [(8, 8, 8), (6, 8, 10)], ids=str)
PHASES = pytest.mark.parametrize("phases", [2, 3, 4, 5])


def structure(shape=(EDGE,) * 3, phases=3, seed=0):
    """Labels, each phase in blobs."""
    noise = np.random.default_rng(seed).normal(size=(phases, *shape))
    return ndimage.gaussian_filter(noise, (0, 1, 1, 1), mode="wrap").argmax(0).astype("uint8")


def hot(labels, phases):
    """Probabilities of 0 and 1: (1, z, y, x, phases)."""
    return ops.convert_to_tensor(np.eye(phases, dtype="float32")[labels][None])


def numbers(x):
    return ops.convert_to_numpy(x)


@SHAPES
@PHASES
def test_volume_fractions(shape, phases):
    labels = structure(shape, phases)
    found = numbers(differentiable.volume_fractions(hot(labels, phases)))
    np.testing.assert_allclose(found, metrics.volume_fractions(labels, n_phases=phases), atol=1e-6)


@PHASES
@pytest.mark.parametrize("periodic", [False, True])
def test_surface_areas_add_up_to_those_of_the_measure(phases, periodic):
    labels = structure(phases=phases)
    found = numbers(differentiable.surface_areas(hot(labels, phases), periodic))
    assert found.shape == (phases, 3)
    faces = 1.0 if periodic else (EDGE - 1) / EDGE  # per voxel and axis
    wanted = metrics.specific_surface_area(labels, voxel_size=1.0, n_phases=phases, periodic=periodic)
    np.testing.assert_allclose(found.sum(1) * faces, wanted, rtol=1e-5)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("axis", range(3))
def test_surface_areas_are_by_axis(axis, periodic):
    layers = np.moveaxis((np.arange(EDGE) // 2 % 2).astype("uint8")[:, None, None].repeat(6, 1).repeat(6, 2), 0, axis)
    found = numbers(differentiable.surface_areas(hot(layers, 2), periodic))
    wanted = np.zeros((2, 3))
    wanted[:, axis] = 6 / 12 if periodic else 5 / 11
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@PHASES
@pytest.mark.parametrize("periodic", [False, True])
def test_triple_phase_boundaries_are_those_of_the_measure(phases, periodic):
    labels = structure(phases=phases)
    found = numbers(differentiable.triple_phase_boundaries(hot(labels, phases), periodic))
    assert found.shape == (1, 3)
    edges = []
    for axis in range(3):
        turned = np.moveaxis(labels, axis, 0)
        around = np.pad(turned, ((0, 0), (0, 1), (0, 1)), "wrap") if periodic else turned
        four = np.sort([around[:, :-1, :-1], around[:, 1:, :-1], around[:, :-1, 1:], around[:, 1:, 1:]], axis=0)
        edges.append(np.mean(1 + sum(a != b for a, b in pairwise(four)) >= 3))
    np.testing.assert_allclose(found[0], edges, atol=1e-5)
    if periodic:  # there is an edge along each axis for every voxel
        density = metrics.triple_phase_boundary_density(labels, voxel_size=1.0, n_phases=phases, periodic=True)
        assert found.sum() == pytest.approx(density, rel=1e-4, abs=1e-5)


def test_triple_points_of_soft_probabilities_are_those_expected():
    p = np.random.default_rng(0).dirichlet(np.ones(4), (2, 2))
    expected = 0.0
    for labels in np.ndindex(4, 4, 4, 4):
        if len(set(labels)) >= 3:
            expected += np.prod([p[i // 2, i % 2, label] for i, label in enumerate(labels)])
    volume = ops.convert_to_tensor(np.tile(p, (2, 1, 1, 1))[None].astype("float32"))
    assert float(differentiable.triple_phase_boundaries(volume)[0, 0]) == pytest.approx(expected, abs=1e-5)


@SHAPES
@pytest.mark.parametrize("periodic", [False, True])
def test_the_two_point_correlation_is_that_of_the_measure(shape, periodic):
    labels, lags = structure(shape), (1, 2, 5)
    found = numbers(differentiable.two_point_correlation(hot(labels, 3), lags, periodic))
    wanted = metrics.two_point_correlation(labels, max(lags), periodic=periodic, n_phases=3)[..., list(lags)]
    np.testing.assert_allclose(found.reshape(3, 3, 3), wanted, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("box", [2, 4])
def test_local_fractions_are_those_of_boxes_around_lattice_points(stride, box):
    labels = structure((16, 24, 16))
    found = numbers(differentiable.local_fractions(hot(labels, 3), stride, box))[0]
    assert found.shape == (16 // stride, 24 // stride, 16 // stride, 3)
    blocks = np.eye(3)[labels].reshape(16 // stride, stride, 24 // stride, stride, 16 // stride, stride, 3)
    cells = blocks.mean((1, 3, 5))
    reach = box // 2
    weights = np.array([0.5, *(1,) * (box - 1), 0.5]) / box  # half of the cells at the ends
    for place in ((0, 0, 0), (1, 3, 2)):
        around = cells
        for axis, k in enumerate(place):
            around = around.take(np.arange(k - reach, k + reach + 1) % cells.shape[axis], axis)
        wanted = np.einsum("zyxp,z,y,x->p", around, weights, weights, weights)
        np.testing.assert_allclose(found[place], wanted, atol=1e-5)
    assert found.mean((0, 1, 2)) == pytest.approx(np.bincount(labels.ravel()) / labels.size, abs=1e-5)


WIDTHS = ((4, 4, 4), (4, 4, 8), (4, 8, 12))


@pytest.mark.parametrize("periodic", [False, True])
def test_ball_moments_are_of_fractions_in_windows_of_three_filters(periodic):
    labels = structure((24, 28, 32), 2)
    labels[:18, :22, :18] = 1
    found = numbers(differentiable.ball_moments(hot(labels, 2), WIDTHS, periodic))
    # Where the filters begin in a periodic volume.
    planes = [(labels.take(0, axis) == 0).sum() % 4 for axis in range(3)]
    p, wanted = np.roll(np.eye(2)[labels], planes if periodic else 0, range(3)), []
    for phase in range(2):
        for widths in WIDTHS:
            window = np.ones(1)
            for width in (4, *(width for width in widths if width > 4)):
                # Filters of cells: one voxel of each cell, and then every fourth.
                each = np.ones(4) if width == 4 else np.repeat(np.eye(4)[0][None], width // 4, 0).ravel()
                window = np.convolve(window, each / each.sum())
            window = np.trim_zeros(window)
            ends = labels.shape if periodic else [n - len(window) + 1 for n in labels.shape]
            x = p[..., phase]
            for axis, end in enumerate(ends):
                starts = np.arange(0, end, 4)
                places = (starts[:, None] + np.arange(len(window))) % labels.shape[axis]
                x = np.moveaxis(np.moveaxis(x, axis, -1)[..., places] @ window, -1, axis)
            wanted.append(np.mean(x**128))
    assert found.shape == (6, 3)
    np.testing.assert_allclose(found, np.array(wanted)[:, None].repeat(3, 1), rtol=1e-3, atol=1e-7)
    assert found[5, 0] > 100 * found[2, 0]  # only the second phase has a large body


@pytest.mark.parametrize("axis", range(3))
def test_the_lattice_is_what_depends_on_the_place_within_a_step(axis):
    # One plane in four is of the second phase, the last of each step: the faces before it and behind it are changes.
    labels = np.moveaxis(np.tile(np.arange(EDGE) % 4 == 3, (8, 8, 1)), 2, axis).astype("uint8")
    found = numbers(differentiable.lattice(hot(labels, 2), 4))
    wanted = np.zeros((4, 4, 3))
    wanted[:, :, axis] = [[1 / 3, 1 / 3, 1 / 3, -1], [-1, -1, -1, 3], [1, -1, -1, 1], [1, -1, -1, 1]]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_lattice_of_two_volumes_is_that_of_their_mean_and_of_no_shift():
    labels = np.stack([structure(seed=0), structure(seed=1)])
    p = np.eye(3, dtype="float32")[labels]
    found = numbers(differentiable.lattice(ops.convert_to_tensor(p), 4))
    fractions = p.mean((0, 2, 3)).reshape(3, 4, 3).mean(0)
    np.testing.assert_allclose(found[:3, :, 0].T, fractions / fractions.mean(0) - 1, atol=1e-5)
    shifted = numbers(differentiable.lattice(ops.convert_to_tensor(np.roll(p, 5, 1)), 4))
    np.testing.assert_allclose(shifted[:, :, 0], np.roll(found[:, :, 0], 1, axis=1), atol=1e-5)


@pytest.mark.parametrize("measure", ["volume_fractions", "surface_areas", "triple_phase_boundaries"])
def test_a_batch_has_the_mean_of_its_volumes(measure):
    parts = [hot(structure(seed=seed), 3) for seed in range(2)]
    found = numbers(getattr(differentiable, measure)(ops.concatenate(parts)))
    each = [numbers(getattr(differentiable, measure)(part)) for part in parts]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)


def test_a_blurred_boundary_has_the_area_of_a_sharp_one():
    sharp, blurred = np.zeros((1, 8, 3, 3, 2), "float32"), np.zeros((1, 8, 3, 3, 2), "float32")
    sharp[:, 4:, ..., 0] = 1
    blurred[..., 0] = np.clip((np.arange(8) - 1) / 5, 0, 1)[:, None, None]
    for p in (sharp, blurred):
        p[..., 1] = 1 - p[..., 0]
    found, wanted = (numbers(differentiable.surface_areas(ops.convert_to_tensor(p))) for p in (blurred, sharp))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_labels_are_those_of_the_likeliest_phase():
    p = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3, 4, 5)).astype("float32")
    found = numbers(differentiable.likeliest(ops.convert_to_tensor(p)))
    np.testing.assert_allclose(found, np.eye(4)[p.argmax(-1)], atol=1e-6)


def slope(function, p):
    """The gradient of a sum of values by probabilities."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(p)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum(function(x))
        return tape.gradient(total, x).numpy()
    x = ops.convert_to_tensor(p).requires_grad_(True)
    ops.sum(function(x)).backward()
    return x.grad.cpu().numpy()


MEASURES = {
    "likeliest": lambda x: differentiable.likeliest(x)[..., 0],
    "volume_fractions": lambda x: differentiable.volume_fractions(x)[0],
    "local_fractions": lambda x: differentiable.local_fractions(x, 4, 2)[..., 0],
    "soft_edges": lambda x: differentiable.soft_edges(x, 0.1)[..., :4, 0],
    "ball_moments": lambda x: differentiable.ball_moments(x, ((4, 4, 4),), True),
    "lattice": lambda x: differentiable.lattice(x, 4)[:, 1],
    "surface_areas": lambda x: differentiable.surface_areas(x, True),
    "triple_phase_boundaries": lambda x: differentiable.triple_phase_boundaries(x, True),
    "two_point_correlation": lambda x: differentiable.two_point_correlation(x, (1, 3), True),
    "relative_diffusivities": differentiable.relative_diffusivities,
    "relative_diffusivity": lambda x: differentiable.relative_diffusivity(x, 1, 2),
}


def test_every_measure_is_looked_at():
    assert set(MEASURES) == set(differentiable.__all__)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_a_gradient_on_this_backend(name):
    p = np.random.default_rng(0).dirichlet((19, 0.5, 0.5), (2, 8, 8, 8)).astype("float32")
    found = slope(MEASURES[name], p)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


@pytest.mark.parametrize("name", MEASURES)
def test_gradients_stay_finite_where_probabilities_are_0_or_1(name):
    p = numbers(hot(structure((8, 8, 8)), 3))
    assert np.isfinite(slope(MEASURES[name], p)).all()


@pytest.mark.parametrize("name", ["local_fractions", "two_point_correlation", "triple_phase_boundaries"])
def test_gradients_are_slopes(name):
    p = np.random.default_rng(1).dirichlet(np.ones(3), (1, 8, 8, 8)).astype("float32")
    way = np.random.default_rng(2).normal(size=p.shape).astype("float32")

    def total(x):
        return float(ops.sum(ops.cast(MEASURES[name](ops.convert_to_tensor(x)), "float64")))

    step = 1e-2
    wanted = (total(p + step * way) - total(p - step * way)) / (2 * step)
    assert np.sum(slope(MEASURES[name], p) * way) == pytest.approx(wanted, rel=0.02, abs=1e-4)


def test_a_phase_that_is_nowhere_likely_has_a_slope_towards_its_fraction():
    p = np.tile(np.array([0.99, 0.01], "float32"), (1, 4, 4, 4, 1))
    shares = numbers(differentiable.volume_fractions(differentiable.likeliest(ops.convert_to_tensor(p))))
    np.testing.assert_allclose(shares, [1, 0], atol=1e-6)
    found = slope(lambda x: differentiable.volume_fractions(differentiable.likeliest(x))[1], p)
    assert found[..., 1].min() > 0.05 / 4**3
