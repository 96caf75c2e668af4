import warnings
from itertools import product

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from kerasgan3d import Volume
from kerasgan3d.metrics import (
    DiffusionField,
    _diffusion,
    _multigrid,
    connected_fractions,
    macmullin_number,
    relative_diffusivity,
    tortuosity_factor,
    volume_fractions,
)

TIGHT = 1e-9
SIDES = [pytest.param(wraps, id="".join("mp"[w] for w in wraps)) for wraps in product((False, True), repeat=3)]


def random_labels(shape=(9, 8, 7), share=0.6, seed=0):
    labels = (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)
    labels.flags.writeable = False
    return labels


def direct(labels, phase, axis, wraps):
    """Solve voxel by voxel and by elimination: D_eff / D_0 from the inlet, and the concentration.

    Parts that touch no end get a weak source, which cannot reach any other part.
    """
    voxels = {tuple(place): n for n, place in enumerate(np.argwhere(labels == phase))}
    matrix = sparse.lil_array((len(voxels), len(voxels)))
    source = np.zeros(len(voxels))
    for place, n in voxels.items():
        matrix[n, n] += 1e-14
        for along, side in product(range(3), (-1, 1)):
            beyond = list(place)
            beyond[along] += side
            if along == axis and beyond[along] in (-1, labels.shape[axis]):
                matrix[n, n] += 2
                source[n] += 2 if side == -1 else 0
                continue
            if wraps[along]:
                beyond[along] %= labels.shape[along]
            other = voxels.get(tuple(beyond))
            if other is not None and other != n:
                matrix[n, n] += 1
                matrix[n, other] -= 1
    values = spsolve(matrix.tocsc(), source)
    field = np.full(labels.shape, np.nan)
    field[tuple(np.array(list(voxels)).T)] = values
    inlet = np.nansum(2 * (1 - field.take(0, axis)))
    return inlet * labels.shape[axis] ** 2 / labels.size, field


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("boundary", ["mirror", "periodic"])
def test_straight_channels_have_the_share_of_their_cross_section(axis, boundary):
    section = random_labels((6, 7, 1), share=0.4)[..., 0]
    labels = np.moveaxis(np.repeat(section[np.newaxis], 12, axis=0), 0, axis)
    value, field = relative_diffusivity(labels, 1, axis, boundary, return_field=True)
    assert value == pytest.approx(section.mean(), rel=1e-13)
    assert tortuosity_factor(labels, 1, axis, boundary) == pytest.approx(1, rel=1e-13)
    assert macmullin_number(labels, 1, axis, boundary) == pytest.approx(1 / section.mean(), rel=1e-13)
    profile = 1 - (np.arange(12) + 0.5) / 12
    expected = np.where(section, profile[:, np.newaxis, np.newaxis], np.nan)
    np.testing.assert_allclose(np.moveaxis(field.concentration, axis, 0), expected, rtol=1e-6)
    np.testing.assert_allclose(field.flux, labels, atol=1e-5)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_free_space(axis):
    assert relative_diffusivity(np.zeros((4, 5, 6), int), 0, axis) == pytest.approx(1, rel=1e-13)
    assert tortuosity_factor(np.zeros((4, 5, 6), int), 0, axis, "periodic") == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize(
    ("labels", "axis"),
    [
        pytest.param(np.repeat([0, 1], 4)[:, None, None] * np.ones((8, 5, 5), int), "z", id="two slabs in series"),
        pytest.param(np.eye(5, dtype=int)[:, :, None] * np.ones((5, 5, 5), int), "z", id="voxels that touch by edges"),
        pytest.param(np.repeat([1, 0, 1], 3)[None, None] * np.ones((4, 4, 9), int), "x", id="a wall in the middle"),
        pytest.param(np.zeros((4, 4, 4), int), "y", id="a phase that is absent"),
    ],
)
@pytest.mark.parametrize("boundary", ["mirror", "periodic", None])
def test_what_is_blocked(labels, axis, boundary):
    arguments = {"volume": labels, "phase": 1, "axis": axis, "boundary": boundary, "n_phases": 2, "periodic": True}
    value, field = relative_diffusivity(**arguments, return_field=True)
    assert value == 0
    assert tortuosity_factor(**arguments) == np.inf
    assert macmullin_number(**arguments) == np.inf
    assert np.isnan(field.concentration).all()
    assert not field.flux.any()


def test_slabs_in_parallel():
    labels = np.repeat([0, 1], [3, 5])[:, np.newaxis, np.newaxis] * np.ones((8, 6, 7), int)
    assert [relative_diffusivity(labels, 1, axis) for axis in "zyx"] == pytest.approx([0, 5 / 8, 5 / 8])


def test_islands_and_dead_ends_count_in_the_volume_fraction_only():
    labels = np.zeros((6, 7, 7), np.uint8)
    labels[:, 1, 1] = 1
    channel = relative_diffusivity(labels, 1, "z", tolerance=TIGHT)
    labels[2, 4, 4] = labels[:3, 6, 6] = labels[3, 1, 2] = 1
    value, field = relative_diffusivity(labels, 1, "z", return_field=True, tolerance=TIGHT)
    assert value == pytest.approx(channel, rel=1e-12)
    assert tortuosity_factor(labels, 1, "z") == pytest.approx((labels.mean()) / channel)
    assert np.isnan(field.concentration[2, 4, 4])
    assert field.concentration[3, 1, 2] == pytest.approx(field.concentration[3, 1, 1], rel=1e-6)
    assert field.flux[3, 1, 2] == pytest.approx(0, abs=1e-5)


def test_a_channel_that_widens():
    labels = np.zeros((10, 6, 6), np.uint8)
    labels[:5, 2:4, 2:4] = 1
    labels[5:] = 1
    value = relative_diffusivity(labels, 1, "z", tolerance=TIGHT)
    assert value == pytest.approx(direct(labels, 1, 0, (False,) * 3)[0], rel=1e-10)
    # The resistance is more than that of the two halves in series, as the flux must spread out.
    assert value < 2 / (36 / 4 + 1)


@pytest.mark.parametrize("wraps", SIDES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_random_volumes_against_elimination(axis, wraps):
    labels = random_labels(seed=axis)
    expected, concentration = direct(labels, 1, axis, wraps)
    value, field = relative_diffusivity(labels, 1, axis, periodic=wraps, return_field=True, tolerance=TIGHT)
    assert value > 0
    assert value == pytest.approx(expected, rel=1e-8)
    inside = ~np.isnan(field.concentration)
    share = connected_fractions(labels, periodic=wraps)[1, axis]
    assert inside.sum() == round(share * labels.sum())
    np.testing.assert_allclose(field.concentration[inside], concentration[inside], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 1, 2), (17, 2, 1), (2, 13, 11), (5, 3, 33)])
def test_odd_and_thin_shapes_against_elimination(shape):
    for seed, periodic in product(range(3), (False, True)):
        labels = random_labels(shape, 0.8, seed)
        labels = np.where(np.arange(shape[1])[:, np.newaxis] == 0, 1, labels)
        value = relative_diffusivity(labels, 1, 0, periodic=periodic, tolerance=TIGHT)
        assert value == pytest.approx(direct(labels, 1, 0, (periodic,) * 3)[0], rel=1e-8)


@pytest.mark.parametrize("boundary", ["mirror", "periodic"])
def test_several_levels_of_multigrid_against_elimination(boundary, monkeypatch):
    monkeypatch.setattr(_multigrid, "_SMALL", 10)
    labels = random_labels((26, 23, 25), 0.5)
    expected = direct(labels, 1, 1, (boundary == "periodic",) * 3)[0]
    assert relative_diffusivity(labels, 1, "y", boundary, tolerance=TIGHT) == pytest.approx(expected, rel=1e-8)


def test_the_number_of_iterations_does_not_grow_with_the_volume(monkeypatch):
    monkeypatch.setattr(_diffusion, "_ITERATIONS", 8)  # a warning, here an error, says that more are needed
    for size in (12, 24, 48):
        assert relative_diffusivity(random_labels((size,) * 3, 0.6), 1, "z") > 0


@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 7, 1)])
def test_parts_of_blocks_are_what_is_connected_inside_them(shape):
    mask = random_labels(shape, 0.5).astype(bool)
    numbers, places = _multigrid.join_voxels(mask)
    assert (numbers >= 0).tolist() == mask.tolist()
    found = 0
    for place in np.ndindex(*(-(-size // 2) for size in shape)):
        window = tuple(slice(2 * n, 2 * n + 2) for n in place)
        parts, count = ndimage.label(mask[window])
        pairs = set(zip(parts[mask[window]].tolist(), numbers[window][mask[window]].tolist(), strict=True))
        assert len(pairs) == len({number for _, number in pairs}) == count
        assert all(tuple(places[:, number]) == place for _, number in pairs)
        found += count
    assert places.shape == (3, found)


def test_a_phase_that_percolates_only_through_a_side():
    labels = np.zeros((6, 7, 5), np.uint8)
    labels[:3, 0, 2] = 1
    labels[2:, -1, 2] = 1
    assert relative_diffusivity(labels, 1, "z", "mirror") == 0
    assert relative_diffusivity(labels, 1, "z", periodic=(True, False, True)) == 0
    expected = 6 / (7 * 35)  # seven voxels one after the other, over a length of six
    for arguments in ({"boundary": "periodic"}, {"periodic": (False, True, False)}):
        assert relative_diffusivity(labels, 1, "z", **arguments, tolerance=TIGHT) == pytest.approx(expected)


@pytest.mark.parametrize("boundary", ["mirror", "periodic"])
def test_it_does_not_matter_from_where_one_looks(boundary):
    labels = random_labels((12, 11, 10))
    value = relative_diffusivity(labels, 1, "z", boundary, tolerance=TIGHT)
    for flipped in range(3):
        turned = relative_diffusivity(np.flip(labels, flipped), 1, "z", boundary, tolerance=TIGHT)
        assert turned == pytest.approx(value, rel=1e-10)
    for order, axis in [((1, 0, 2), "y"), ((2, 1, 0), "x"), ((1, 2, 0), "x"), ((0, 2, 1), "z")]:
        turned = relative_diffusivity(labels.transpose(order), 1, axis, boundary, tolerance=TIGHT)
        assert turned == pytest.approx(value, rel=1e-10)


def test_rolling_along_a_periodic_side_changes_nothing():
    labels = random_labels((12, 11, 10))
    wraps = (False, True, False)
    value = relative_diffusivity(labels, 1, "z", periodic=wraps, tolerance=TIGHT)
    rolled = relative_diffusivity(np.roll(labels, 4, 1), 1, "z", periodic=wraps, tolerance=TIGHT)
    assert rolled == pytest.approx(value, rel=1e-10)
    # Elsewhere it does change something: there are walls.
    assert relative_diffusivity(np.roll(labels, 4, 2), 1, "z", periodic=wraps) != pytest.approx(value, rel=1e-3)


def test_the_sides_are_those_of_the_volume_unless_told_otherwise():
    volume = Volume(random_labels(), ("solid", "pore"), periodic=(True, True, False))
    value = relative_diffusivity(volume, "pore", "z")
    assert value == relative_diffusivity(volume.labels, 1, 0, periodic=(False, True, False))
    walls = relative_diffusivity(volume, "pore", "z", "mirror")
    around = relative_diffusivity(volume, "pore", "z", "periodic")
    assert walls == relative_diffusivity(volume.labels, 1, 0)
    assert around == relative_diffusivity(volume.labels, 1, 0, periodic=True)
    assert walls < value < around  # every opening adds conductance


def test_names_indices_and_fractions():
    volume = Volume(random_labels(), ("solid", "pore"), voxel_size=0.5)
    value = relative_diffusivity(volume, "pore", "x")
    assert value == relative_diffusivity(volume, 1, 2) == relative_diffusivity(volume, np.int64(1), 2, voxel_size=3)
    assert tortuosity_factor(volume, "pore", "x") == volume_fractions(volume)[1] / value
    assert macmullin_number(volume, "pore", "x") == 1 / value


def test_inputs_stay_as_they_are():
    labels = np.array(random_labels())
    before = labels.copy()
    relative_diffusivity(labels, 1, "y", "periodic", return_field=True)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("measure", [relative_diffusivity, tortuosity_factor, macmullin_number])
def test_the_field_comes_with_each_of_them(measure):
    labels = random_labels()
    value, field = measure(labels, 1, "y", return_field=True)
    assert value == measure(labels, 1, "y")
    assert isinstance(field, DiffusionField)
    for part in field:
        assert part.shape == labels.shape
        assert part.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(field.concentration[labels == 0]), True)
    assert not field.flux[np.isnan(field.concentration)].any()
    means = np.nanmean(field.concentration, axis=(0, 2))
    assert means[0] > 0.8 > 0.2 > means[-1]
    assert 0 <= np.nanmin(field.concentration) < np.nanmax(field.concentration) <= 1


def test_flux_along_a_channel_with_a_corner():
    labels = np.zeros((3, 3, 1), np.uint8)
    labels[:2, 0] = labels[1:, 1] = 1  # down, across, down: 4 voxels and 4 resistances of 1
    value, field = relative_diffusivity(labels, 1, "z", return_field=True, tolerance=TIGHT)
    assert value == pytest.approx(3 / (4 * 3))
    one = 3 / 4  # the flux through each face, where a straight channel has 1
    corner = np.hypot(one / 2, one / 2)  # in by one axis, out by the other: half of each belongs to the voxel
    expected = np.array([[one, 0, 0], [corner, corner, 0], [0, one, 0]])[..., np.newaxis]
    np.testing.assert_allclose(field.flux, expected, rtol=1e-5)


@pytest.mark.parametrize("wraps", [(False, False, False), (False, True, True)])
def test_energy_and_flux_agree_and_every_layer_carries_the_same(wraps):
    mask = np.ones((20, 18, 16), bool)
    mask[random_labels(mask.shape, 0.3) == 1] = False
    mask[:, 0, 0] = True
    labels = mask.astype(np.uint8)
    _, field = relative_diffusivity(labels, 1, 0, periodic=wraps, return_field=True)
    mask = ~np.isnan(field.concentration)
    exact = _diffusion.solve_diffusion(mask, wraps, TIGHT)
    np.testing.assert_allclose(exact.fluxes, exact.flux, rtol=2 * TIGHT)
    concentration = np.zeros(mask.shape)
    concentration[mask] = exact.values
    linked = mask[:-1] & mask[1:]
    through = np.where(linked, concentration[:-1] - concentration[1:], 0).sum(axis=(1, 2))
    inlet, outlet = 2 * (1 - concentration[0])[mask[0]].sum(), 2 * concentration[-1].sum()
    np.testing.assert_allclose([inlet, *through, outlet], exact.flux, rtol=2 * TIGHT)
    for tolerance in (1e-1, 1e-2, 1e-3, 1e-4):
        rough = _diffusion.solve_diffusion(mask, wraps, tolerance)
        assert np.ptp(rough.fluxes) <= tolerance * rough.flux
        # The energy is never too small, and its error is of second order.
        assert -1e-12 < rough.flux / exact.flux - 1 < tolerance / 10


def test_what_does_not_settle_is_told(monkeypatch):
    monkeypatch.setattr(_diffusion, "_ITERATIONS", 2)
    labels = random_labels((24, 24, 24))
    with pytest.warns(RuntimeWarning, match=r"has not settled in 2 iterations: .* apart, where the tolerance is 1e-08"):
        relative_diffusivity(labels, 1, "z", tolerance=1e-8)


@pytest.mark.parametrize("tolerance", [1e-10, 0.1])
def test_the_strictest_and_the_loosest_tolerance_are_reached(tolerance):
    labels = np.ones((40, 12, 12), np.uint8)
    labels[::2, :, 1:] = labels[1::4, 1:] = labels[3::4, :, :-1] = 0
    labels[:, 0, 0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 0 < relative_diffusivity(labels, 1, "z", tolerance=tolerance) < labels.mean()


LABELS = np.zeros((4, 4, 4), np.uint8)
VOLUME = Volume(LABELS, ("pore", "solid"))


@pytest.mark.parametrize(
    ("volume", "phase", "axis", "options", "message"),
    [
        pytest.param(LABELS, 1, 0, {}, "`phase` must be an integer from 0 to 0. Received: 1", id="no such phase"),
        pytest.param(LABELS, -1, 0, {}, "`phase` must be an integer from 0 to 0. Received: -1", id="negative phase"),
        pytest.param(LABELS, True, 0, {}, "`phase` must be an integer", id="a bool is no phase"),
        pytest.param(LABELS, 0.0, 0, {}, "`phase` must be an integer", id="phase no integer"),
        pytest.param(LABELS, "pore", 0, {}, "`phase` must be an index, as an array has no names", id="name of array"),
        pytest.param(
            VOLUME, "gas", 0, {}, "`phase` must be one of 'pore', 'solid'. Received: 'gas'", id="no such name"
        ),
        pytest.param(LABELS, 0, 3, {}, "`axis` must be an integer from 0 to 2. Received: 3", id="no such axis"),
        pytest.param(LABELS, 0, "w", {}, "`axis` must be 0, 1 or 2, or 'z', 'y' or 'x'. Received: 'w'", id="axis name"),
        pytest.param(LABELS, 0, "zy", {}, "`axis` must be", id="two axes"),
        pytest.param(LABELS, 0, None, {}, "`axis` must be", id="axis None"),
        pytest.param(
            LABELS, 0, 0, {"boundary": "open"}, "`boundary` must be 'mirror', 'periodic', or None", id="sides"
        ),
        pytest.param(LABELS, 0, 0, {"boundary": True}, "`boundary` must be .* Received: True", id="boundary bool"),
        pytest.param(LABELS, 0, 0, {"tolerance": 0}, "`tolerance` must be a number from 1e-10 to 0.1", id="exact"),
        pytest.param(LABELS, 0, 0, {"tolerance": np.nan}, "`tolerance` must be a number", id="tolerance nan"),
        pytest.param(LABELS, 0, 0, {"tolerance": "low"}, "`tolerance` must be .* Received: 'low'", id="tolerance text"),
        pytest.param(LABELS[:1], 0, 0, {}, r"two voxels long .* shape \(1, 4, 4\), axis z: choose another", id="thin"),
        pytest.param(LABELS[0], 0, 0, {}, r"Labels must be a volume \(z, y, x\)", id="a slice"),
        pytest.param(LABELS[0, 0], 0, 0, {}, r"Labels must be a volume \(z, y, x\)", id="a line"),
        pytest.param(LABELS * 0.5, 0, 0, {}, "Labels must be integers", id="floats"),
        pytest.param(LABELS + np.nan, 0, 0, {}, "Labels must be integers", id="nan"),
        pytest.param(LABELS[:0], 0, 0, {}, "Labels must hold at least one voxel", id="empty"),
    ],
)
@pytest.mark.parametrize("measure", [relative_diffusivity, tortuosity_factor, macmullin_number])
def test_errors(measure, volume, phase, axis, options, message):
    with pytest.raises(ValueError, match=message):
        measure(volume, phase, axis, **options)
