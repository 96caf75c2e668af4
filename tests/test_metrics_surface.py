from itertools import product

import numpy as np
import pytest

from kerasgan3d.metrics import interfacial_areas, specific_surface_area

METHODS = ("faces", "marching_cubes")
BOUNDARIES = list(product((False, True), repeat=3))


def ball(radius, size, shift=0.0):
    """Return a ball around the middle of a cube, as labels 0 and 1."""
    along = np.arange(size) - (size - 1) / 2 - shift
    return (along[:, None, None] ** 2 + along[:, None] ** 2 + along**2 <= radius**2).astype(np.uint8)


def random_labels(shape, phases=3, seed=0):
    labels = np.random.default_rng(seed).integers(0, phases, shape, dtype=np.uint8)
    labels.flags.writeable = False
    return labels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("periodic", "surfaces"), [(False, 1), (True, 2)])
def test_slab(method, axis, periodic, surfaces):
    labels = np.zeros((10, 5, 6), np.uint8)
    labels[:4] = 1
    labels = np.moveaxis(labels, 0, axis)
    area = specific_surface_area(labels, method, voxel_size=0.5, periodic=periodic)
    np.testing.assert_allclose(area, 2 * [surfaces / (10 * 0.5)], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("periodic", [False, True])
def test_only_the_periodic_axis_wraps(method, axis, periodic):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[:3] = 1
    flags = tuple(periodic and other == axis for other in range(3))
    area = specific_surface_area(np.moveaxis(labels, 0, axis), method, voxel_size=1, periodic=flags)
    np.testing.assert_allclose(area, 2 * [(1 + periodic) / 8], rtol=1e-6)


def test_cube():
    labels = np.zeros((9, 8, 10), np.uint8)
    labels[2:5, 3:6, 1:4] = 1
    expected = 6 * 3**2 * 0.2**2 / (9 * 8 * 10 * 0.2**3)
    np.testing.assert_allclose(specific_surface_area(labels, voxel_size=0.2), [expected, expected])


def test_checkerboard_has_all_faces():
    labels = np.indices((4, 6, 8)).sum(axis=0) % 2
    np.testing.assert_allclose(specific_surface_area(labels, voxel_size=0.1, periodic=True), [30, 30])
    faces = 3 * 6 * 8 + 4 * 5 * 8 + 4 * 6 * 7
    np.testing.assert_allclose(specific_surface_area(labels, voxel_size=1), 2 * [faces / (4 * 6 * 8)])


@pytest.mark.parametrize("shift", [0.0, 0.37])
@pytest.mark.parametrize("radius", [10, 20])
def test_sphere_has_the_known_bias_of_each_method(radius, shift):
    size = 2 * radius + 5
    labels = ball(radius, size, shift)
    sphere = 4 * np.pi * radius**2 / size**3
    faces = specific_surface_area(labels, "faces", voxel_size=1) / sphere
    mesh = specific_surface_area(labels, "marching_cubes", voxel_size=1) / sphere
    np.testing.assert_allclose(faces, 1.5, rtol=0.015)
    assert np.all((mesh > 1.079) & (mesh < 1.095))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_straight_channel_has_the_same_area_whether_its_axis_is_periodic_or_not(method, axis, length):
    channel = np.moveaxis(np.repeat(ball(5, 14)[7:8], length, axis=0), 0, axis)
    closed = specific_surface_area(channel, method, voxel_size=1, periodic=False)
    wrapped = specific_surface_area(channel, method, voxel_size=1, periodic=tuple(a == axis for a in range(3)))
    assert closed[1] > 0
    np.testing.assert_allclose(closed, wrapped, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_straight_channel_along_an_edge_of_the_volume_is_open_to_both_outer_faces(method):
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[:, :3, :3] = 1
    area = specific_surface_area(labels, method, voxel_size=1)
    bevel = 0 if method == "faces" else 1 - 0.5**0.5  # marching cubes cuts half a voxel off the inner edge
    np.testing.assert_allclose(area * labels.size, 2 * [6 * (6 - bevel)], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("periodic", [False, True])
def test_a_phase_that_is_absent_or_everything_has_no_surface(method, periodic):
    labels = np.ones((3, 4, 5), np.uint8)
    area = specific_surface_area(labels, method, voxel_size=1, periodic=periodic, n_phases=3)
    np.testing.assert_array_equal(area, [0, 0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_masks_are_two_phases(method):
    mask = ball(3, 9).astype(bool)
    area = specific_surface_area(mask, method, voxel_size=1)
    np.testing.assert_array_equal(area, specific_surface_area(mask.astype(int), method, voxel_size=1))


@pytest.mark.parametrize("method", METHODS)
def test_area_per_volume_is_an_inverse_length(method):
    labels = random_labels((6, 7, 8))
    fine = specific_surface_area(labels, method, voxel_size=0.1)
    np.testing.assert_allclose(fine, 10 * specific_surface_area(labels, method, voxel_size=1))


@pytest.mark.parametrize("method", METHODS)
def test_rolling_a_periodic_volume_changes_nothing(method):
    labels = random_labels((6, 7, 8))
    rolled = np.roll(labels, (1, 3, 5), axis=(0, 1, 2))
    first, second = (specific_surface_area(a, method, voxel_size=1, periodic=True) for a in (labels, rolled))
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"`method` must be one of 'faces', 'marching_cubes'. Received: 'voxels'"):
        specific_surface_area(random_labels((3, 3, 3)), "voxels", voxel_size=1)


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_interfaces_against_a_count_one_by_one(periodic):
    labels = random_labels((3, 4, 5), phases=4, seed=3)
    expected = np.zeros((4, 4))
    for place in np.ndindex(labels.shape):
        for axis in range(3):
            ahead = list(place)
            ahead[axis] += 1
            if ahead[axis] == labels.shape[axis]:
                if not periodic[axis]:
                    continue
                ahead[axis] = 0
            i, j = labels[place], labels[tuple(ahead)]
            if i != j:
                expected[i, j] += 1
                expected[j, i] += 1
    areas = interfacial_areas(labels, voxel_size=0.5, periodic=periodic)
    np.testing.assert_allclose(areas, expected * 0.5**2 / (labels.size * 0.5**3))


@pytest.mark.parametrize("periodic", [False, True])
def test_interfaces_add_up_to_surfaces(periodic):
    labels = random_labels((5, 6, 7), phases=4)
    areas = interfacial_areas(labels, voxel_size=0.3, periodic=periodic, n_phases=5)
    assert areas.shape == (5, 5)
    np.testing.assert_array_equal(areas, areas.T)
    np.testing.assert_array_equal(np.diag(areas), 0)
    np.testing.assert_array_equal(areas[4], 0)
    surfaces = specific_surface_area(labels, "faces", voxel_size=0.3, periodic=periodic, n_phases=5)
    np.testing.assert_allclose(areas.sum(axis=1), surfaces, rtol=1e-14)


def test_layers_touch_only_their_neighbours():
    labels = np.repeat(np.arange(3), 2)[:, None, None] * np.ones((6, 4, 5), int)
    areas = interfacial_areas(labels, voxel_size=1)
    np.testing.assert_allclose(areas, np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 6)
    areas = interfacial_areas(labels, voxel_size=1, periodic=True)
    np.testing.assert_allclose(areas, (1 - np.eye(3)) / 6)


def test_a_periodic_axis_of_one_voxel_has_no_interface_with_itself():
    labels = np.array([[[0, 1, 1, 1]]])
    np.testing.assert_allclose(specific_surface_area(labels, voxel_size=1, periodic=(True, True, False)), [0.25, 0.25])
