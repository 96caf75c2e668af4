import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number

from kerasgan3d import Volume
from kerasgan3d.metrics import euler_characteristic

PERIODIC = [(False, False, False), (True, True, True), (False, True, False)]


def noise(shape, n_phases=3, seed=0):
    return np.random.default_rng(seed).integers(0, n_phases, shape).astype(np.uint8)


def number(labels, connectivity=None, periodic=True):
    """Return χ itself of phase 1, and of what is left."""
    wraps = np.broadcast_to(periodic, labels.ndim)
    corners = np.prod([size - (not wrapped) for size, wrapped in zip(labels.shape, wraps, strict=True)])
    density = euler_characteristic(labels, connectivity, voxel_size=1, periodic=periodic, n_phases=2)
    np.testing.assert_allclose(density * corners, np.rint(density * corners), atol=1e-6)
    return np.rint(density * corners).astype(int)[::-1].tolist()


def grid(*size):
    return np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij"))


def ball(size=15, radius=5):
    return np.linalg.norm(grid(size, size, size), axis=0) <= radius


def hollow_ball():
    return ball() & ~ball(radius=3)


def torus():
    z, y, x = grid(11, 23, 23)
    return z**2 + (np.hypot(y, x) - 7) ** 2 <= 3**2


def double_torus():
    return np.concatenate([torus()[:, :, :-4], torus()[:, :, 4:]], axis=2)


BODIES = {
    "ball": (ball(), 1),
    "torus": (torus(), 0),
    "hollow ball": (hollow_ball(), 2),
    "double torus": (double_torus(), -1),
    "ball within a hollow ball": (hollow_ball() | ball(radius=1), 3),
}


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_bodies(name, periodic, connectivity):
    labels, expected = BODIES[name]
    assert number(labels.astype(np.uint8), connectivity, periodic)[0] == expected


@pytest.mark.parametrize("periodic", PERIODIC)
@pytest.mark.parametrize("name", BODIES)
def test_many_bodies_have_the_sum(name, periodic):
    labels, expected = BODIES[name]
    assert number(np.tile(labels, (2, 3, 2)).astype(np.uint8), 6, periodic)[0] == 12 * expected


@pytest.mark.parametrize(
    ("voxels", "by_6", "by_26"),
    [
        pytest.param([(0, 0, 0)], 1, 1, id="voxel"),
        pytest.param([(0, 0, 0), (0, 0, 1)], 1, 1, id="face"),
        pytest.param([(0, 0, 0), (0, 1, 1)], 2, 1, id="edge"),
        pytest.param([(0, 0, 0), (1, 1, 1)], 2, 1, id="corner"),
        pytest.param([(0, 0, 1), (0, 1, 0), (0, 1, 2), (0, 2, 1)], 4, 0, id="ring over edges"),
    ],
)
def test_voxels_are_joined_as_the_connectivity_says(voxels, by_6, by_26):
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[tuple(np.array(voxels).T + 1)] = 1
    assert number(labels, 6)[0] == by_6
    assert number(labels, 26)[0] == by_26
    assert number(labels)[0] == by_6


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_goes_through_a_periodic_volume_has_none(axis):
    slab, rod = np.zeros((9, 9, 9), np.uint8), np.zeros((9, 9, 9), np.uint8)
    slab[2:5] = 1
    rod[:, 2:5, 3:7] = 1
    for body in (slab, rod):
        assert number(np.moveaxis(body, 0, axis)) == [0, 0]
    cross = rod | np.moveaxis(rod, 0, 1) | np.moveaxis(rod, 0, 2)
    assert number(cross) == [-2, -2]


def test_checkerboard():
    labels = np.indices((6, 6, 6)).sum(axis=0) % 2
    assert number(labels, 6) == [108, 108]  # all voxels alone
    # 216 corners and 648 edges, of which every one touches it, 648 faces, 108 voxels.
    assert number(labels, 26) == 2 * [216 - 648 + 648 - 108]


@pytest.mark.parametrize("shape", [(6, 7, 8), (12, 9)])
def test_the_two_connectivities_are_a_pair(shape):
    labels = noise(shape, 2)
    low, high = (6, 26) if len(shape) == 3 else (4, 8)
    sign = 1 if len(shape) == 3 else -1
    assert number(labels, low) == [sign * value for value in number(labels, high)[::-1]]


@pytest.mark.parametrize(("connectivity", "theirs"), [(6, 1), (26, 3)])
def test_a_volume_within_nothing_has_the_number_of_scikit_image(connectivity, theirs):
    labels = noise((9, 10, 11), 2)
    padded = np.pad(labels, 1)
    assert number(padded, connectivity, False)[0] == euler_number(labels, theirs)
    assert number(padded, connectivity, True)[0] == euler_number(labels, theirs)


@pytest.mark.parametrize(("connectivity", "theirs"), [(4, 1), (8, 2)])
def test_a_slice_within_nothing_has_the_number_of_scikit_image(connectivity, theirs):
    labels = noise((19, 20), 2)
    assert number(np.pad(labels, 1), connectivity, False)[0] == euler_number(labels, theirs)


def test_slices_count_pieces_less_holes():
    disc = np.linalg.norm(grid(11, 11), axis=0) <= 4
    ring = disc & ~(np.linalg.norm(grid(11, 11), axis=0) <= 2)
    for periodic in (False, True):
        for connectivity in (4, 8, None):
            assert number(np.tile(disc, (2, 3)).astype(np.uint8), connectivity, periodic)[0] == 6
            assert number(np.tile(ring, (2, 3)).astype(np.uint8), connectivity, periodic)[0] == 0


def test_sub_volumes_have_that_of_the_whole_on_average():
    # All places at which a window may lie in a periodic volume: each corner is counted as often as any other.
    field = ndimage.gaussian_filter(np.random.default_rng(0).random((8, 9, 10)), 0.7, mode="wrap")
    labels = (field > np.median(field)).astype(np.uint8)
    whole = euler_characteristic(labels, voxel_size=0.5, periodic=True)
    twice = np.tile(labels, (2, 2, 2))
    windows = [twice[z : z + 5, y : y + 4, x : x + 6] for z, y, x in np.ndindex(labels.shape)]
    means = np.mean([euler_characteristic(window, voxel_size=0.5, n_phases=2) for window in windows], axis=0)
    np.testing.assert_allclose(means, whole, rtol=1e-12)
    # Not so of what the faces cut out.
    pieces = np.mean([euler_number(window, 1) / (window.size * 0.5**3) for window in windows])
    assert abs(pieces / whole[1] - 1) > 0.5


@pytest.mark.parametrize("connectivity", [6, 26])
def test_turned_and_mirrored_volumes_have_the_same(connectivity):
    labels = noise((7, 8, 9))
    expected = euler_characteristic(labels, connectivity, voxel_size=1)
    for other in (labels[::-1], labels[:, ::-1], labels[:, :, ::-1], labels.transpose(2, 0, 1)):
        np.testing.assert_allclose(euler_characteristic(other, connectivity, voxel_size=1), expected, rtol=1e-12)


def test_a_volume_brings_its_voxel_size_and_axes():
    labels = noise((6, 7, 8))
    labels.flags.writeable = False
    volume = euler_characteristic(Volume(labels, ("a", "b", "c", "d"), 0.4, "zx"))
    expected = euler_characteristic(labels, voxel_size=0.4, periodic=(True, False, True), n_phases=4)
    np.testing.assert_array_equal(volume, expected)
    assert volume[3] == 0
    np.testing.assert_allclose(volume, euler_characteristic(labels, voxel_size=1, periodic="zx", n_phases=4) / 0.4**3)


def test_one_layer_that_is_not_periodic_tells_nothing():
    assert np.isnan(euler_characteristic(noise((1, 6, 7)), voxel_size=1)).all()
    assert not np.isnan(euler_characteristic(noise((1, 6, 7)), voxel_size=1, periodic="z")).any()


@pytest.mark.parametrize(
    ("shape", "connectivity"), [((3, 3, 3), 18), ((3, 3, 3), 4), ((3, 3), 6), ((3, 3, 3), "faces")]
)
def test_connectivity_must_be_one_of_the_pair(shape, connectivity):
    with pytest.raises(ValueError, match="`connectivity` must be (6 or 26|4 or 8) neighbours. Received"):
        euler_characteristic(np.zeros(shape, int), connectivity, voxel_size=1)


def test_a_density_needs_a_voxel_size():
    with pytest.raises(ValueError, match="The voxel size is unknown"):
        euler_characteristic(noise((4, 4, 4)))
