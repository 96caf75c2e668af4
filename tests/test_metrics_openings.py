import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import Volume
from kerasgan3d.metrics import granulometry, size_distribution
from kerasgan3d.metrics.openings import count_openings, granulometry_from

HALVES = np.arange(0, 12.5, 0.5)


def ball(radius, dimensions=3):
    """Return the discrete ball: an odd cube of bool around its centre."""
    along = np.arange(-int(radius), int(radius) + 1) ** 2
    squares = sum(np.ix_(*dimensions * [along]))
    return squares <= radius**2 + 1e-9


def grains(shape, n_phases=3, seed=0, sigma=1.5):
    """Return random labels in lumps of a few voxels."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma, mode="wrap")
    return np.digitize(field, np.quantile(field, np.arange(1, n_phases) / n_phases)).astype(np.uint8)


def lattice_of_balls(radius, period, offset, repeats=2):
    """Return balls (1) on a cubic lattice, their centres off a voxel's by an offset."""
    along = (np.arange(repeats * period) % period) - period // 2
    z, y, x = ((along - shift) ** 2 for shift in offset)
    return (z[:, None, None] + y[:, None] + x <= radius**2).astype(np.uint8)


# Bodies


@pytest.mark.parametrize("radius", [2, 3.5, 5, 8])
def test_a_discrete_ball_is_opened_by_itself_and_by_nothing_larger(radius):
    size = 2 * int(radius) + 9
    labels = np.zeros((size, size, size), np.uint8)
    centre = slice(4, size - 4)
    labels[centre, centre, centre] = ball(radius)
    shares = granulometry(labels, [radius, radius + 0.5], periodic=True)[1]
    np.testing.assert_array_equal(shares, [1, 0])


@pytest.mark.parametrize("radius", [5, 7.3, 10])
def test_balls_on_a_lattice_have_a_step_at_their_radius_within_half_a_voxel(radius):
    offsets = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 3))
    offsets[0] = 0
    radii = radius + np.arange(-12, 8) / 10
    steps = []
    for offset in offsets:
        shares = granulometry(lattice_of_balls(radius, 24, offset, 1), radii, periodic=True)[1]
        steps.append(size_distribution(shares[None], radii).p50[0])
        assert shares[0] > 0.6
        # Balls are centred on voxels: the one that fits is smaller by as much as its centre is off.
        assert radius - np.linalg.norm(offset) - 0.2 < steps[-1] < radius + 0.5
        assert np.all(shares[radii > radius + 0.5] == 0)
    assert steps[0] == pytest.approx(radius, abs=0.5)
    assert np.mean(steps) == pytest.approx(radius, abs=0.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("thickness", "fits"), [(1, 0.5), (4, 1.5), (5, 2.5), (8, 3.5), (9, 4.5)])
def test_a_slab_holds_balls_of_half_its_thickness(thickness, fits, axis):
    # The largest ball has its centre (thickness + 1) // 2 voxels from the nearest voxel outside: not that far.
    labels = np.zeros((24, 20, 22), np.uint8)
    labels[3 : 3 + thickness] = 1
    shares = granulometry(np.moveaxis(labels, 0, axis), HALVES, periodic=True)[1]
    np.testing.assert_array_equal(shares, fits >= HALVES)
    assert abs(size_distribution(shares[None], HALVES).p50[0] - thickness / 2) <= 0.5


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("periodic", [False, True])
def test_a_cylinder_holds_balls_of_its_radius(axis, periodic):
    labels = np.moveaxis(np.repeat(np.pad(ball(6, 2), 4)[None], 40, axis=0), 0, axis).astype(np.uint8)
    # Along other axes it touches nothing, and edges there do not matter.
    wraps = tuple(periodic or other != axis for other in range(3))
    shares = granulometry(labels, [0, 5, 6, 6.5], periodic=wraps)[1]
    np.testing.assert_array_equal(shares, [1, 1, 1, 0])


def test_voxels_of_a_checkerboard_hold_balls_of_one_voxel():
    labels = np.indices((16, 16, 16)).sum(axis=0) % 2
    np.testing.assert_array_equal(granulometry(labels, [0, 0.5, 1, 2], periodic=True), 2 * [[1, 1, 0, 0]])


@pytest.mark.parametrize("edges", ["inner", "open"])
@pytest.mark.parametrize("periodic", [False, True])
def test_a_phase_that_is_everything_holds_all_balls_and_an_absent_one_is_unknown(periodic, edges):
    shares = granulometry(np.ones((20, 21, 22), int), [0, 2, 4.5], edges, n_phases=3, periodic=periodic)
    np.testing.assert_array_equal(shares, [3 * [np.nan], 3 * [1], 3 * [np.nan]])


# What it is defined by


def reference(labels, radius, periodic, edges):
    """Return the shares by SciPy's exact distance transforms."""
    margin = 2 * int(radius)
    wrapped = np.pad(labels, [(margin, margin) if wraps else (0, 0) for wraps in periodic], mode="wrap")
    own = [
        slice(margin, margin + size) if wraps else slice(0, size)
        for wraps, size in zip(periodic, labels.shape, strict=True)
    ]
    if edges == "inner":
        own = [
            part if wraps else slice(margin, max(size - margin, margin))
            for part, wraps, size in zip(own, periodic, labels.shape, strict=True)
        ]
    own, shares = tuple(own), []
    for phase in range(3):
        inside = wrapped == phase
        centres = ndimage.distance_transform_edt(inside) > radius
        balls = ndimage.distance_transform_edt(~centres) <= radius if centres.any() else np.zeros_like(inside)
        with np.errstate(invalid="ignore"):
            shares.append(np.count_nonzero(balls[own]) / np.float64(np.count_nonzero(inside[own])))
    return shares


@pytest.mark.parametrize("edges", ["inner", "open"])
@pytest.mark.parametrize("periodic", [(False, False, False), (True, True, True), (False, True, False)])
@pytest.mark.parametrize("shape", [(31, 24, 70), (17, 40, 64)])
def test_openings_are_those_of_the_exact_distance_transform(shape, periodic, edges):
    labels = grains(shape, sigma=2)
    radii = [0.5, 1, 1.5, 2, 2.5, 3, 4.5]
    shares = granulometry(labels, radii, edges, periodic=periodic)
    for radius, column in zip(radii, shares.T, strict=True):
        np.testing.assert_array_equal(column, reference(labels, radius, periodic, edges))
    assert np.any((shares > 0) & (shares < 1))


@pytest.mark.parametrize("radius", [1, 1.5, 2, np.sqrt(3), np.sqrt(6), 3.5])
def test_openings_are_those_by_the_discrete_ball(radius):
    labels = grains((24, 24, 24))
    inside = np.pad(labels == 1, 8, mode="wrap")
    opened = ndimage.binary_opening(inside, ball(radius))[8:-8, 8:-8, 8:-8]
    share = np.count_nonzero(opened) / np.count_nonzero(labels == 1)
    assert granulometry(labels, [radius], periodic=True)[1, 0] == share


def test_inner_voxels_do_not_see_what_lies_outside():
    labels = grains((60, 61, 62), sigma=2.5)
    radii = [1, 2.5, 4, 6]
    inner = granulometry(labels[8:48, 9:50, 7:51], radii)
    for index, radius in enumerate(radii):
        margin = 2 * int(radius)
        counted = tuple(slice(a + margin, b - margin) for a, b in ((8, 48), (9, 50), (7, 51)))
        mask = np.zeros(labels.shape, bool)
        mask[counted] = True
        for phase in range(3):
            inside = labels == phase
            centres = ndimage.distance_transform_edt(inside) > radius
            balls = ndimage.distance_transform_edt(~centres) <= radius
            assert inner[phase, index] == np.count_nonzero(balls & mask) / np.count_nonzero(inside & mask)


@pytest.mark.parametrize(("radius", "size"), [(2.5, 16), (4, 24)])
def test_inner_voxels_of_sub_volumes_have_the_share_of_the_whole_on_average(radius, size):
    # Windows whose inner 8 voxels along each axis lie side by side and fill a periodic volume.
    labels = grains((32, 32, 32), sigma=3)
    twice = np.tile(labels, (2, 2, 2))
    windows = [twice[tuple(slice(8 * s, 8 * s + size) for s in start)] for start in np.ndindex(4, 4, 4)]
    counts = {
        edges: sum(count_openings(part, 3 * (slice(0, size),), [radius], 3, edges) for part in windows)
        for edges in ("inner", "open")
    }
    whole = granulometry(labels, [radius], periodic=True)
    assert np.any((whole > 0.2) & (whole < 0.95))
    np.testing.assert_array_equal(granulometry_from(counts["inner"]), whole)
    assert np.any(np.abs(granulometry_from(counts["open"]) - whole) > 0.02)


@pytest.mark.parametrize("periodic", [False, True])
def test_turned_and_mirrored_volumes_have_the_same_shares(periodic):
    labels = grains((30, 30, 30), sigma=2)
    expected = granulometry(labels, [1, 2.5, 4], periodic=periodic)
    for other in (labels[::-1], labels[:, :, ::-1], labels.transpose(2, 0, 1), np.rot90(labels)):
        np.testing.assert_array_equal(granulometry(other, [1, 2.5, 4], periodic=periodic), expected)


def test_rolling_a_periodic_volume_changes_nothing():
    labels = grains((20, 22, 24))
    rolled = np.roll(labels, (3, 7, 11), axis=(0, 1, 2))
    np.testing.assert_array_equal(granulometry(labels, periodic=True), granulometry(rolled, periodic=True))


def test_a_period_may_be_smaller_than_the_ball():
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[:, :15] = 1
    shares = granulometry(labels, [7, 7.5, 8], periodic=True)[1]
    np.testing.assert_array_equal(shares, [1, 1, 0])


def test_default_radii_end_where_nothing_would_be_counted():
    assert granulometry(grains((33, 40, 40))).shape == (3, 9)
    assert granulometry(grains((33, 40, 40)), periodic=True).shape == (3, 17)
    assert granulometry(grains((70, 70, 70))).shape == (3, 17)
    assert not np.isnan(granulometry(grains((33, 34, 35)))).any()
    assert np.isnan(granulometry(grains((32, 32, 32)), [7, 8, 9])).tolist() == 3 * [[False, True, True]]


def test_a_volume_brings_its_axes_and_stays_as_it_is():
    labels = grains((24, 25, 26))
    labels.flags.writeable = False
    volume = Volume(labels, ("a", "b", "c"), voxel_size=0.4, periodic="yx")
    expected = granulometry(labels, [1, 2], periodic=(False, True, True))
    np.testing.assert_array_equal(granulometry(volume, [1, 2]), expected)


# Slices


@pytest.mark.parametrize("radius", [2, 5, 6.5])
def test_discs_in_a_slice(radius):
    labels = np.pad(ball(radius, 2), 8).astype(np.uint8)
    shares = granulometry(labels, [radius, radius + 0.5], periodic=True)[1]
    np.testing.assert_array_equal(shares, [1, 0])


def test_a_slice_is_a_volume_that_does_not_change_along_one_axis():
    labels = grains((40, 50))
    expected = granulometry(labels, [1, 1.5, 3])
    column = np.repeat(labels[None], 5, axis=0)
    found = granulometry(column, [1, 1.5, 3], periodic=(True, False, False))
    np.testing.assert_array_equal(found, expected)


def test_sections_of_balls_are_not_balls_of_that_size():
    radius = 16
    labels = lattice_of_balls(radius, 38, (0.1, 0.27, 0.41), repeats=1)
    radii = np.arange(17.0)
    shares, areas = [], []
    for plane in labels:
        areas.append(np.count_nonzero(plane))
        shares.append(granulometry(plane, radii, periodic=True, n_phases=2)[1] if areas[-1] else 0 * radii)
    found = np.average(shares, axis=0, weights=areas)
    # Of the area of all sections, what is in those wider than r: those less than h = sqrt(R^2 - r^2) off the centre.
    h = np.sqrt(1 - (radii / radius) ** 2)
    expected = (h - h**3 / 3) / (2 / 3)
    np.testing.assert_allclose(found[:-2], expected[:-2], atol=0.12)
    np.testing.assert_allclose(np.mean(found), np.mean(expected), atol=0.05)
    assert found[14] < 0.7 < 0.9 < granulometry(labels, [14], periodic=True)[1, 0]


# Sizes


def test_sizes_of_a_curve():
    shares = [[1, 1, 0.5, 0.5, 0], [1, 0.8, 0.6, 0.4, 0.2]]
    sizes = size_distribution(shares, voxel_size=0.5)
    np.testing.assert_allclose(sizes.mean, [0.5 * (1 + 0.75 + 0.5 + 0.25), 0.5 * 2.4])
    np.testing.assert_allclose(sizes.p10, [0.5 * 1.2, 0.5 * 0.5])
    np.testing.assert_allclose(sizes.p50[1], 0.5 * 2.5)
    np.testing.assert_allclose(sizes.p90, [0.5 * 3.8, np.nan])
    np.testing.assert_allclose(sizes.beyond, [0, 0.2])


def test_sizes_start_at_zero_and_leave_out_what_is_unknown():
    sizes = size_distribution([[0.8, 0.2, np.nan], [np.nan, np.nan, np.nan]], [2, 4, 6])
    np.testing.assert_allclose(sizes.mean, [1.8 + 1, np.nan])
    np.testing.assert_allclose(sizes.p50, [3, np.nan])
    np.testing.assert_allclose(sizes.beyond, [0.2, np.nan])
    assert all(getattr(sizes, field.name).shape == (2,) for field in dataclasses.fields(sizes))


def test_sizes_of_balls_are_their_radius():
    labels = lattice_of_balls(9, 22, (0.1, 0.27, 0.41))
    sizes = size_distribution(granulometry(labels, HALVES, periodic=True), HALVES, voxel_size=2)
    assert sizes.p50[1] == pytest.approx(18, abs=1)
    assert sizes.mean[1] == pytest.approx(18, abs=2)  # of smaller discrete balls, the caps of a ball are none
    assert sizes.beyond[1] == 0


# Guards


@pytest.mark.parametrize(
    "radii", [[], [-1], [1, 1], [2, 1], [129], [np.nan], "large", [[1, 2]], 3], ids=lambda value: str(value)
)
def test_radii_must_be_increasing_numbers(radii):
    with pytest.raises(ValueError, match="`radii` must be increasing numbers from 0 to 128, in voxels. Received"):
        granulometry(np.zeros((5, 5, 5), int), radii)


def test_edges_must_be_known():
    with pytest.raises(ValueError, match="`edges` must be one of 'inner', 'open'. Received: 'wall'."):
        granulometry(np.zeros((5, 5, 5), int), [1], "wall")


@pytest.mark.parametrize(("shares", "radii"), [([[1, 1]], [1, 2, 3]), ([1, 1], None), (1.0, None)])
def test_shares_must_be_a_curve_per_phase(shares, radii):
    with pytest.raises(ValueError, match=r"`shares` must be \(phases, radii\).*Received an array of shape"):
        size_distribution(shares, radii)
