"""Bodies whose measures follow from geometry. Those of one measure alone are with that measure's tests."""

import numpy as np
import pytest

from kerasgan3d.metrics import (
    connected_fractions,
    interfacial_areas,
    percolating_voxels,
    radial_two_point_correlation,
    specific_surface_area,
    triple_phase_boundary_density,
    two_point_correlation,
    volume_fractions,
)


def displacements(max_lag):
    """Return the lengths (in voxels, rounded) and components of all displacements up to max_lag along each axis."""
    steps = np.stack(np.meshgrid(*3 * [np.arange(-max_lag, max_lag + 1)], indexing="ij"), axis=-1).reshape(-1, 3)
    return np.rint(np.linalg.norm(steps, axis=1)).astype(int), steps


def mean_by_distance(values, lengths, max_lag):
    """Average over the displacements of each rounded length 0..max_lag."""
    return np.bincount(lengths, values)[: max_lag + 1] / np.bincount(lengths)[: max_lag + 1]


def edges_of(labels, **given):
    """Return the number of voxel edges in triple-phase boundaries."""
    return triple_phase_boundary_density(labels, voxel_size=1, **given) * labels.size


# Boxes


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((1, 1, 1), id="voxel"),
        pytest.param((3, 3, 3), id="cube"),
        pytest.param((5, 2, 4), id="block"),
        pytest.param((4, 14, 15), id="slab"),
        pytest.param((13, 3, 15), id="sheet along two axes"),
    ],
)
def test_correlation_of_a_box_is_a_product_of_overlaps(box):
    shape, max_lag = (13, 14, 15), 6
    labels = np.zeros(shape, np.uint8)
    labels[: box[0], : box[1], : box[2]] = 1
    lags = np.arange(max_lag + 1)

    def along(axis, lag):
        spans = box[axis] == shape[axis]
        return np.ones(len(lag)) if spans else np.maximum(box[axis] - np.abs(lag), 0) / shape[axis]

    own = np.prod(box) / labels.size
    expected = [own * along(axis, lags) / along(axis, lags)[0] for axis in range(3)]
    np.testing.assert_allclose(two_point_correlation(labels, max_lag, periodic=True)[1], expected, atol=1e-15)

    lengths, steps = displacements(max_lag)
    every = np.prod([along(axis, steps[:, axis]) for axis in range(3)], axis=0)
    expected = mean_by_distance(every, lengths, max_lag)
    np.testing.assert_allclose(radial_two_point_correlation(labels, max_lag, periodic=True)[1], expected, atol=1e-15)


@pytest.mark.parametrize("periodic", [False, True])
def test_radial_correlation_of_a_checkerboard_is_the_share_of_even_steps(periodic):
    labels = np.indices((8, 8, 8)).sum(axis=0) % 2
    lengths, steps = displacements(4)
    expected = mean_by_distance(steps.sum(axis=1) % 2 == 0, lengths, 4) / 2
    assert expected[1] == pytest.approx(12 / 18 / 2)  # of the steps of 1 and sqrt(2), the 12 long ones are even
    radial = radial_two_point_correlation(labels, 4, periodic=periodic)
    np.testing.assert_allclose(radial.mean(axis=0), expected, rtol=0.01 if not periodic else 1e-14)


def test_everything_is_correlated_with_itself_at_all_distances():
    labels = np.zeros((5, 6, 7), np.uint8)
    for periodic in (False, True):
        np.testing.assert_allclose(radial_two_point_correlation(labels, 4, periodic=periodic), np.ones((1, 5)))


# Spheres


def sphere(radius, offset=(0.0, 0.0, 0.0)):
    """Return a sphere in the middle of a cube (off it by a fraction of a voxel), as labels 0 and 1."""
    along = np.arange(2 * radius + 5) - radius - 2.0
    z, y, x = ((along - shift) ** 2 for shift in offset)
    return (z[:, None, None] + y[:, None] + x <= radius**2).astype(np.uint8)


@pytest.mark.parametrize("radius", [8, 16, 24])
@pytest.mark.parametrize("offset", [(0, 0, 0), (0.5, 0.5, 0.5), (0.1, 0.27, 0.41)])
def test_volume_of_a_sphere(radius, offset):
    labels = sphere(radius, offset)
    volume = volume_fractions(labels)[1] * labels.size
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.25 / radius)


def test_correlation_of_a_sphere_is_the_overlap_of_two():
    radius = 16
    labels = np.pad(sphere(radius, (0.1, 0.27, 0.41)), radius)
    distances = np.arange(2 * radius + 5)
    overlap = np.where(distances < 2 * radius, 1 - 3 * distances / (4 * radius) + distances**3 / (16 * radius**3), 0)
    radial = radial_two_point_correlation(labels, distances[-1], periodic=True)[1]
    np.testing.assert_allclose(radial / radial[0], overlap, atol=0.015)
    assert (radial[2 * radius + 1 :] == 0).all()


# Overlapping spheres: centres anywhere, independent of each other (Torquato, Random Heterogeneous Materials, 2002,
# chapter 5: fully penetrable spheres). Phase 0 is what no sphere covers.


def overlapping_spheres(size, radius, count, seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size, size), np.uint8)
    reach = np.arange(-radius - 1, radius + 2)
    for centre in rng.uniform(0, size, (count, 3)):
        voxels = [int(c) + reach for c in centre]
        z, y, x = ((v - c) ** 2 for v, c in zip(voxels, centre, strict=True))
        ball = z[:, None, None] + y[:, None] + x <= radius**2
        labels[np.ix_(*(v % size for v in voxels))] |= ball
    return labels


SIZE, RADIUS, COUNT = 96, 6, 700
DENSITY = COUNT / SIZE**3
VOLUME = 4 / 3 * np.pi * RADIUS**3


@pytest.fixture(scope="module")
def packs():
    return [overlapping_spheres(SIZE, RADIUS, COUNT, seed) for seed in range(3)]


def test_volume_fraction_of_overlapping_spheres(packs):
    outside = np.mean([volume_fractions(labels)[0] for labels in packs])
    assert outside == pytest.approx(np.exp(-DENSITY * VOLUME), abs=0.01)


def test_correlation_outside_overlapping_spheres(packs):
    distances = np.arange(2 * RADIUS + 9)
    grown = np.minimum(distances / RADIUS, 2)
    union = VOLUME * (1 + 3 / 4 * grown - grown**3 / 16)  # the volume of two spheres a distance apart
    expected = np.exp(-DENSITY * union)
    assert expected[0] > 1.5 * expected[-1]
    measures = {
        "radial": [radial_two_point_correlation(labels, distances[-1], periodic=True)[0] for labels in packs],
        "axes": [two_point_correlation(labels, distances[-1], periodic=True)[0].mean(axis=0) for labels in packs],
        "bounded": [radial_two_point_correlation(labels, distances[-1])[0] for labels in packs],
    }
    for name, values in measures.items():
        np.testing.assert_allclose(np.mean(values, axis=0), expected, atol=0.012, err_msg=name)


def test_surface_of_overlapping_spheres(packs):
    # Voxels a step apart are unlike with probability 2 (S2(0) - S2(1)): the faces, free of the limit of fine voxels.
    union = VOLUME * (1 + 3 / 4 / RADIUS - 1 / 16 / RADIUS**3)
    expected = 3 * 2 * (np.exp(-DENSITY * VOLUME) - np.exp(-DENSITY * union))
    faces = [specific_surface_area(labels, voxel_size=1, periodic=True)[0] for labels in packs]
    assert np.mean(faces) == pytest.approx(expected, rel=0.015)
    mesh = specific_surface_area(packs[0], "marching_cubes", voxel_size=1, periodic=True)[0]
    assert mesh / faces[0] == pytest.approx(1.088 / 1.5, rel=0.01)  # the biases of a sphere


def test_the_first_step_of_the_correlation_gives_the_surface(packs):
    labels, voxel_size = packs[0], 0.5
    correlation = two_point_correlation(labels, 1, periodic=True)
    expected = 2 * (correlation[:, :, 0] - correlation[:, :, 1]).sum(axis=1) / voxel_size
    np.testing.assert_allclose(
        specific_surface_area(labels, voxel_size=voxel_size, periodic=True), expected, rtol=1e-12
    )


# Triple lines


def wedges(length, side, axis):
    """Return three wedges around one straight line along an axis."""
    across = np.arange(side) - (side - 1) / 2 - 0.1
    angle = np.arctan2(across[:, None], across) % (2 * np.pi)
    labels = np.repeat((angle // (2 * np.pi / 3)).astype(np.uint8)[None], length, axis=0)
    return np.moveaxis(labels, 0, axis)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [6, 7, 16])
def test_three_wedges_meet_in_one_straight_line(axis, side):
    labels = wedges(9, side, axis)
    density = triple_phase_boundary_density(labels, voxel_size=0.2)
    assert density == pytest.approx(9 * 0.2 / (labels.size * 0.2**3), rel=1e-14)
    assert triple_phase_boundary_density(labels, True, voxel_size=0.2) == density


def test_a_line_along_the_diagonal_of_a_face_is_longer_by_the_square_root_of_two():
    n = 12
    labels = np.repeat(np.triu(np.ones((n, n), np.uint8))[None], 6, axis=0)
    labels[3:] = 2  # a plane on two prisms that meet in its diagonal
    true = np.sqrt(2) * (n - 1)  # without the two half voxels at the ends, which the outer boundary cuts off
    assert edges_of(labels) == pytest.approx(np.sqrt(2) * true)


def test_a_line_along_the_diagonal_of_space_is_longer_by_the_square_root_of_three():
    short, long = (np.indices((n, n, n)).argmax(axis=0) for n in (8, 12))  # wedges: the largest of z, y and x
    true = np.sqrt(3) * (12 - 8)  # a difference, so that the ends do not matter
    assert edges_of(long) - edges_of(short) == pytest.approx(np.sqrt(3) * true)


# Ways through


def helix(size, pitch):
    """Return a channel along z that moves on by a voxel in y every `pitch` layers, and half-way leaves through a face.

    On a torus it is one straight staircase.
    """
    labels = np.zeros((size, size, 3), np.uint8)
    steps = (size - 1) // pitch
    start = size - (steps + 1) // 2
    for step in range(steps + 1):
        layers = slice(max(step * pitch - 1, 0), (step + 1) * pitch)  # one layer shared with the step before
        labels[layers, (start + step) % size, 1] = 1
    return labels


@pytest.mark.parametrize("pitch", [1, 2, 3])
def test_a_helix_percolates_through_the_periodic_faces_alone(pitch):
    labels = helix(9, pitch)
    np.testing.assert_array_equal(labels[:, [0, -1], 1].any(axis=0), True)
    for periodic in (False, (True, False, True)):
        np.testing.assert_array_equal(connected_fractions(labels, periodic=periodic)[1], [0, 0, 0])
    for periodic in (True, (False, True, False)):
        assert connected_fractions(labels, periodic=periodic)[1, 0] == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("periodic", [False, True])
def test_a_wall_blocks_one_axis_and_a_hole_in_it_opens_it(axis, periodic):
    labels = np.zeros((7, 8, 9), np.uint8)
    wall = np.moveaxis(labels, axis, 0)
    wall[3] = 1
    blocked = connected_fractions(labels, periodic=periodic)
    np.testing.assert_array_equal(blocked[0], np.arange(3) != axis)
    np.testing.assert_array_equal(blocked[1], np.arange(3) != axis)
    assert not percolating_voxels(labels, axis, periodic=periodic).any()
    wall[3, 2, 2] = 0
    np.testing.assert_array_equal(connected_fractions(labels, periodic=periodic)[0], [1, 1, 1])
    area = interfacial_areas(labels, voxel_size=1, periodic=periodic)[0, 1] * labels.size
    assert area == pytest.approx(2 * (labels.size / labels.shape[axis] - 1) + 4)
