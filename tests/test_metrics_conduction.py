"""Conduction through several phases: laws, exact cases, bounds, and elimination voxel by voxel as the oracle."""

import doctest
from itertools import product

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from kerasgan3d import Volume
from kerasgan3d.metrics import (
    bruggeman_exponent,
    conduction,
    effective_conductivity,
    effective_conductivity_tensor,
    measure,
    relative_diffusivity,
    tortuosity_factor,
    volume_fractions,
)

NAMES = ("pore", "NMC", "CBD")
TIGHT = 1e-9


def noise(shape=(7, 6, 5), n=3, seed=0):
    return np.random.default_rng(seed).integers(0, n, shape)


def blobs(n=16, seed=0):
    smooth = np.random.default_rng(seed).standard_normal((2, n, n, n))
    smooth = ndimage.gaussian_filter(smooth, (0, 2, 2, 2), mode="wrap")
    return np.where(smooth[0] > 0, 1, np.where(smooth[1] > 0, 2, 0))


def eliminated(labels, table, axis, wraps):
    """The effective conductivity between two ends, face by face and by elimination; islands get a weak sink."""
    field = np.moveaxis(np.array(table, float)[labels], axis, 0)
    wraps = (False, *(wrap for along, wrap in enumerate(wraps) if along != axis))
    index = np.arange(field.size).reshape(field.shape)
    matrix = sparse.lil_array((field.size, field.size))
    source = np.zeros(field.size)
    for place in np.ndindex(field.shape):
        here, own = index[place], field[place]
        matrix[here, here] += 1e-14 if own else 1.0
        for along, side in product(range(3), (-1, 1)):
            beyond = list(place)
            beyond[along] += side
            if not along and beyond[0] in (-1, len(field)):
                matrix[here, here] += 2 * own
                source[here] += 2 * own * (side == -1)
                continue
            if not wraps[along] and not 0 <= beyond[along] < field.shape[along]:
                continue
            beyond[along] %= field.shape[along]
            other = field[tuple(beyond)]
            if own and other:
                matrix[here, here] += 2 * own * other / (own + other)
                matrix[here, index[tuple(beyond)]] -= 2 * own * other / (own + other)
    values = spsolve(matrix.tocsc(), source)
    return float(source @ (1 - values)) * len(field) ** 2 / field.size


@pytest.mark.parametrize("wraps", [(False, False, False), (True, False, True), (True, True, True)], ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("table", [(0.5, 1, 2), (0, 1, 100), (1, 0, 1e-4)], ids=str)
def test_it_is_what_elimination_gives(table, axis, wraps):
    labels = noise()
    given = {phase: value for phase, value in enumerate(table) if value}
    found = effective_conductivity(labels, given, axis, periodic=wraps, n_phases=3, tolerance=TIGHT)
    # The islands' sinks of 1e-14 beside conductances of 1e-4.
    assert found == pytest.approx(eliminated(labels, table, axis, wraps), rel=1e-8)


@pytest.mark.parametrize("ratio", [1, 3, 1e3, 1e6, 1e-6])
@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_layers_in_series_and_side_by_side(axis, ratio):
    labels = np.moveaxis(np.repeat([0, 1, 1, 0, 1], 2)[:, None, None] + np.zeros((10, 4, 3), int), 0, "zyx".index(axis))
    given = {0: 2.0, 1: 2.0 * ratio}
    for along in "zyx":
        exact = 2 / (0.4 + 0.6 / ratio) if along == axis else 2 * (0.4 + 0.6 * ratio)
        assert effective_conductivity(labels, given, along) == pytest.approx(exact, rel=1e-9)
    tensor = effective_conductivity_tensor(labels, given, periodic=True)
    exact = [2 / (0.4 + 0.6 / ratio) if along == axis else 2 * (0.4 + 0.6 * ratio) for along in "zyx"]
    np.testing.assert_allclose(tensor, np.diag(exact), rtol=1e-9, atol=1e-9 * max(exact))


@pytest.mark.parametrize("periodic", [False, "yx"])
@pytest.mark.parametrize("phase", [0, "CBD"])
def test_of_one_phase_it_is_the_relative_diffusivity(phase, periodic):
    volume = Volume(blobs(12).astype(np.uint8), NAMES, 0.4, periodic)
    for axis in "zyx":
        single = relative_diffusivity(volume, phase, axis)
        assert effective_conductivity(volume, {phase: 1.0}, axis) == pytest.approx(single, rel=1e-6)
        assert effective_conductivity(volume, {phase: 25.0}, axis, "mirror") == pytest.approx(
            25 * relative_diffusivity(volume, phase, axis, "mirror"), rel=1e-6
        )


@pytest.mark.parametrize("ratio", [10, 1e4, 1e6])
def test_between_the_bounds_and_settled_by_the_default_tolerance(ratio):
    labels = blobs()
    given = {0: 1.0, 1: ratio**0.5, 2: ratio}
    shares, values = volume_fractions(labels), np.array(list(given.values()))
    tensor = effective_conductivity_tensor(labels, given, periodic=True)
    tight = effective_conductivity_tensor(labels, given, periodic=True, tolerance=1e-8)
    np.testing.assert_allclose(tensor, tight, atol=2e-6 * tight.max())
    assert np.array_equal(tensor, tensor.T)
    # Hashin and Shtrikman, J. Appl. Phys. 33, 1962: of an isotropic material, here for the mean of the axes.
    low, high = (1 / (shares @ (1 / (values + 2 * end))) - 2 * end for end in (1.0, ratio))
    assert low < np.trace(tensor) / 3 < high
    found = effective_conductivity(labels, given, "y", periodic=True)
    assert found == pytest.approx(effective_conductivity(labels, given, "y", periodic=True, tolerance=1e-8), rel=1e-5)
    assert 1 / (shares @ (1 / values)) < found < shares @ values


def test_a_lattice_of_spheres_is_maxwells():
    """Maxwell's formula; what a staircase adds to a sphere is about half a voxel over its radius, 8."""
    labels = (((np.indices((32, 32, 32)) - 15.5) ** 2).sum(axis=0) < 8**2).astype(int)
    share = labels.mean()
    for inside in (1e-4, 1e3):
        beta = (inside - 1) / (inside + 2)
        exact = (1 + 2 * share * beta) / (1 - share * beta)
        tensor = effective_conductivity_tensor(labels, {0: 1.0, 1: inside}, periodic=True)
        np.testing.assert_allclose(np.diag(tensor) - 1, exact - 1, rtol=0.1)


def test_long_volumes_conduct_as_the_tensor_says():
    labels, given = blobs(12), {0: 0.1, 1: 1.0, 2: 5.0}
    cell = effective_conductivity_tensor(labels, given, periodic=True)[0, 0]
    ends = [effective_conductivity(np.tile(labels, (n, 1, 1)), given, 0, periodic=True, tolerance=1e-6) for n in (2, 4)]
    # What the two ends add to the resistance is as much in both.
    assert 1 / (2 / ends[1] - 1 / ends[0]) == pytest.approx(cell, rel=2e-3)


def test_axes_and_shifts():
    labels, given = blobs(10, seed=3), {0: 1.0, 2: 30.0}
    tensor = effective_conductivity_tensor(labels, given, periodic=True, tolerance=1e-7)
    turned = effective_conductivity_tensor(labels.transpose(2, 0, 1), given, periodic=True, tolerance=1e-7)
    np.testing.assert_allclose(turned, tensor[np.ix_((2, 0, 1), (2, 0, 1))], atol=1e-9)
    rolled = effective_conductivity_tensor(np.roll(labels, (3, 4, 5), (0, 1, 2)), given, periodic=True, tolerance=1e-7)
    np.testing.assert_allclose(rolled, tensor, atol=1e-9)


def test_what_does_not_conduct():
    labels = np.zeros((6, 6, 6), int)
    labels[2] = 1
    assert effective_conductivity(labels, {0: 3.0}, "z") == 0.0
    assert effective_conductivity(labels, {0: 3.0, 1: 0.0}, "y") == pytest.approx(2.5)
    assert effective_conductivity(labels, {2: 1.0}, "y", n_phases=3) == 0.0
    np.testing.assert_allclose(effective_conductivity_tensor(labels, {1: 4.0}, periodic=True), np.diag([0, 4, 4]) / 6)
    assert not effective_conductivity_tensor(labels, {0: 0.0}, periodic=True).any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "must be a dict from phases to numbers"),
        (1.0, "must be a dict from phases to numbers"),
        ({"gold": 1.0}, "`conductivities` must be one of 'pore', 'NMC', 'CBD'. Received: 'gold'"),
        ({3: 1.0}, "`conductivities` must be an integer from 0 to 2"),
        ({"NMC": -1.0}, r"`conductivities\['NMC'\]` must be a number of at least 0. Received: -1.0"),
        ({"NMC": np.inf}, "must be a number of at least 0"),
        ({"NMC": True}, "must be a number of at least 0"),
        ({"NMC": 1.0, 1: 2.0}, "must name each phase once. Received: 1 twice"),
        ({"NMC": 1.0, "CBD": 1.1e6}, r"must lie within a factor of 1e\+06"),
    ],
    ids=str,
)
def test_conductivities_that_are_none(given, message):
    volume = Volume(noise().astype(np.uint8), NAMES, 0.4, True)
    with pytest.raises(ValueError, match=message):
        effective_conductivity(volume, given, "z")
    with pytest.raises(ValueError, match=message):
        effective_conductivity_tensor(volume, given)


def test_other_arguments_that_are_wrong():
    with pytest.raises(ValueError, match="periodic along z, y and x: .* Received: periodic along yx"):
        effective_conductivity_tensor(noise(), {0: 1}, periodic="yx")
    with pytest.raises(ValueError, match="at least two voxels long"):
        effective_conductivity(noise((1, 5, 5)), {0: 1}, "z")
    with pytest.raises(ValueError, match="`tolerance` must be"):
        effective_conductivity(noise(), {0: 1}, "z", tolerance=0)
    with pytest.raises(ValueError, match="`boundary` must be"):
        effective_conductivity(noise(), {0: 1}, "z", "walls")


def test_bruggeman_exponents_are_one_number_by_either_definition():
    volume = Volume(blobs(12).astype(np.uint8), NAMES, 0.4, True)
    record = measure(volume, shapes=False)
    for phase, axis in product(range(3), range(3)):
        share = record.volume_fraction[phase]
        rel, tau = (f(volume, phase, axis) for f in (relative_diffusivity, tortuosity_factor))
        found = bruggeman_exponent(volume, phase, axis)
        assert record.bruggeman_exponent[phase, axis] == pytest.approx(found, rel=1e-12)
        assert found == (np.inf if rel == 0 else pytest.approx(np.log(rel) / np.log(share), rel=1e-12))
        assert found == (np.inf if rel == 0 else pytest.approx(1 - np.log(tau) / np.log(share), rel=1e-12))
    assert "Bruggeman exponent" in str(record)


def test_bruggeman_exponents_of_channels_and_of_nothing():
    labels = np.zeros((6, 6, 6), int)
    labels[:, :3] = 1
    assert bruggeman_exponent(labels, 1, "z") == pytest.approx(1)
    assert bruggeman_exponent(labels, 1, "y") == np.inf
    assert np.isnan(bruggeman_exponent(labels, 2, "y", n_phases=3))
    assert np.isnan(bruggeman_exponent(np.zeros((4, 4, 4), int), 0, "y"))
    mask = np.ones((6, 6), bool)
    mask[:, 5] = False
    part = measure(np.where(mask[:, :, None], labels, 0), voxel_size=1, mask=mask[None].repeat(6, 0)[..., :6])
    np.testing.assert_allclose(part.bruggeman_exponent[1, 0], 1)


def test_the_example_runs():
    assert doctest.testmod(conduction).failed == 0
