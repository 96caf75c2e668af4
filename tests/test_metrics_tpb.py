from itertools import product

import numpy as np
import pytest

from kerasgan3d.metrics import triple_phase_boundary_density
from kerasgan3d.volume import Volume

BOUNDARIES = list(product((False, True), repeat=3))


def three_blocks(length=6, height=7, width=8):
    """Return three blocks that meet in one straight line along z, at y = 4, x = 3."""
    labels = np.zeros((length, height, width), np.uint8)
    labels[:, 4:, :3] = 1
    labels[:, 4:, 3:] = 2
    labels.flags.writeable = False
    return labels


def length_of(labels, **given):
    """Return the length of triple-phase boundary in voxels."""
    return triple_phase_boundary_density(labels, voxel_size=1, **given) * labels.size


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_straight_line_of_known_length(axis):
    labels = np.moveaxis(three_blocks(), 0, axis)
    density = triple_phase_boundary_density(labels, voxel_size=0.065)
    assert isinstance(density, float)
    assert density == pytest.approx(6 * 0.065 / (labels.size * 0.065**3), rel=1e-14)


@pytest.mark.parametrize(
    ("periodic", "lines"),
    [
        pytest.param((False, False, False), 1, id="none"),
        pytest.param((True, False, False), 1, id="along the line"),
        pytest.param((False, True, False), 2, id="y"),
        pytest.param((False, False, True), 2, id="x"),
        pytest.param((True, True, True), 4, id="all"),
    ],
)
def test_lines_across_periodic_faces_count_once(periodic, lines):
    assert length_of(three_blocks(), periodic=periodic) == pytest.approx(6 * lines)


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_edges_against_a_count_one_by_one(periodic):
    labels = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    edges = 0
    for axis in range(3):
        u, v = (side for side in range(3) if side != axis)
        for place in np.ndindex(labels.shape):
            if (place[u] == labels.shape[u] - 1 and not periodic[u]) or (
                place[v] == labels.shape[v] - 1 and not periodic[v]
            ):
                continue
            around = set()
            for i, j in product((0, 1), repeat=2):
                voxel = list(place)
                voxel[u] = (voxel[u] + i) % labels.shape[u]
                voxel[v] = (voxel[v] + j) % labels.shape[v]
                around.add(int(labels[tuple(voxel)]))
            edges += len(around) >= 3
    assert edges > 0
    assert length_of(labels, periodic=periodic) == pytest.approx(edges)


def test_two_phases_have_none():
    assert length_of(np.random.default_rng(0).integers(0, 2, (5, 5, 5)), n_phases=3) == 0


def test_an_edge_of_four_phases_counts_once_and_for_each_triple():
    labels = three_blocks().copy()
    labels[:, :4, 3:] = 3
    assert length_of(labels) == pytest.approx(6)
    assert length_of(labels, phases_triple=(0, 1, 2)) == pytest.approx(6)
    assert length_of(labels, phases_triple=[3, 1, 0]) == pytest.approx(6)


def test_only_the_chosen_triple_counts():
    labels = np.concatenate([three_blocks(), 3 * (three_blocks() > 0) + (three_blocks() == 2)])  # 0 1 2, then 0 3 4
    line = pytest.approx(6)
    assert length_of(labels, phases_triple=(0, 1, 2)) == line
    assert length_of(labels, phases_triple=(0, 3, 4)) == line
    assert length_of(labels, phases_triple=(0, 2, 3)) == pytest.approx(0)
    assert length_of(labels) >= 12


@pytest.mark.parametrize(
    ("triple", "message"),
    [
        ((0, 1), "three different phases"),
        ((0, 1, 1), "three different phases"),
        ((0, 1, 2, 2), "three different phases"),
        ("012", "three different phases"),
        (([0], 1, 2), "`phases_triple` must be an integer"),
        ((0, 1, 3), "`phases_triple` must be an integer from 0 to 2. Received: 3"),
        ((0, 1, -1), "`phases_triple` must be an integer from 0 to 2. Received: -1"),
        ((0, 1, 2.0), "`phases_triple` must be an integer"),
        (("a", 1, 2), "`phases_triple` must be an index, as an array has no names. Received: 'a'"),
    ],
)
def test_a_triple_names_three_phases(triple, message):
    with pytest.raises(ValueError, match=message):
        triple_phase_boundary_density(three_blocks(), voxel_size=1, phases_triple=triple)


def test_a_triple_may_be_of_names():
    volume = Volume(np.random.default_rng(0).integers(4, size=(5, 5, 5)), ("a", "b", "c", "d"), 0.5)
    by_name, by_number = (
        triple_phase_boundary_density(volume, phases_triple=triple) for triple in (("b", "d", 0), (1, 3, 0))
    )
    assert by_name == by_number > 0
    assert by_name < triple_phase_boundary_density(volume)
    with pytest.raises(ValueError, match=r"`phases_triple` must be one of 'a', .* Received: 'e'"):
        triple_phase_boundary_density(volume, phases_triple=("a", "b", "e"))


def test_staircase_correction_divides_by_three_halves():
    labels = three_blocks()
    assert length_of(labels, staircase_correction=True) == pytest.approx(length_of(labels) / 1.5, rel=1e-14)


@pytest.mark.parametrize("direction", [(1, 0, 0), (1, 0.3, 0.2), (1, 1, 0.1), (1, 0.8, 0.9)])
def test_voxel_edges_are_longer_than_the_line_by_the_sum_of_its_direction_cosines(direction):
    size = 48
    direction = np.array(direction) / np.linalg.norm(direction)
    across = np.linalg.svd(direction[None])[2][1:]  # two unit vectors normal to the line
    places = np.stack(np.meshgrid(*3 * [np.arange(size) - (size - 1) / 2 - 0.21], indexing="ij"), axis=-1)
    u, v = np.moveaxis(places @ across.T, -1, 0)
    labels = ((np.arctan2(u, v) + np.pi + 0.4) // (2 * np.pi / 3)).astype(int) % 3  # three wedges around the line
    chord = size / direction.max()
    assert length_of(labels) == pytest.approx(chord * np.abs(direction).sum(), rel=0.06)


def test_rolling_a_periodic_volume_changes_nothing():
    labels = np.random.default_rng(1).integers(0, 3, (5, 6, 7))
    rolled = np.roll(labels, (2, 3, 4), axis=(0, 1, 2))
    assert length_of(labels, periodic=True) == length_of(rolled, periodic=True) > 0


def test_all_is_active_where_all_phases_go_through():
    labels = three_blocks()
    assert length_of(labels, active=True) == length_of(labels) > 0


def test_the_boundary_of_an_island_is_not_active():
    labels = np.zeros((8, 9, 9), np.uint8)
    labels[:, 5:] = 1
    labels[3, 4, 4] = 2  # one voxel between two layers: four edges in the layers' interface
    assert length_of(labels) == pytest.approx(4)
    assert length_of(labels, active=True) == 0


def test_only_the_part_that_percolates_is_active():
    labels = three_blocks(width=9).copy()
    labels[2, 3, 7] = 1  # an island of a phase that percolates elsewhere, on the interface of the two others
    assert length_of(labels) == pytest.approx(6 + 4)
    assert length_of(labels, active=True) == pytest.approx(6)


def test_a_phase_that_percolates_along_any_axis_is_active():
    labels = np.zeros((6, 8, 7), np.uint8)
    labels[:3] = 1
    labels[3, 4, :] = 2  # a rod along x that lies on the interface of two layers
    assert length_of(labels, active=True) == length_of(labels) > 0
    labels[3, 4, 3] = 0
    assert length_of(labels, active=True) == 0


def test_periodic_sides_make_a_phase_active():
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[:, :4] = 1
    labels[:3, 4, 0] = 2  # two halves of a rod along z, that meet across the faces normal to x
    labels[2:, 4, -1] = 2
    sides = (False, False, True)
    assert length_of(labels, active=True) == 0
    assert length_of(labels, active=True, periodic=sides) == length_of(labels, periodic=sides) > 0
