"""The same counts by TauFactor: fractions, faces, edges and what percolates."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d.metrics import (
    connected_fractions,
    interfacial_areas,
    slice_statistics,
    specific_surface_area,
    triple_phase_boundary_density,
    volume_fractions,
)

peer = pytest.importorskip("taufactor.metrics", reason="TauFactor is not installed")
pytestmark = pytest.mark.peer

BOUNDARIES = list(product((False, True), repeat=3))


def blobs(seed=0, shape=(20, 24, 28), shares=(0.3, 0.65)):
    """Return random blobs of three phases."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.5, mode="wrap")
    labels = np.digitize(noise, np.quantile(noise, shares))
    turned = np.roll(labels, 7, axis=0)
    return np.where(turned == 1, labels, 2 - labels)  # else 0 and 2 would hardly touch


@pytest.mark.parametrize("seed", [0, 1])
def test_volume_fractions_are_equal(seed):
    labels = blobs(seed)
    theirs = peer.volume_fraction(labels)
    assert theirs == {
        str(phase): pytest.approx(share, rel=1e-7) for phase, share in enumerate(volume_fractions(labels))
    }


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_specific_surface_areas_are_equal(periodic):
    # Both: faces between unlike voxels, per voxel edge and volume, over the whole volume, the outer boundary left out.
    labels = blobs()
    spacing = (0.25, 0.25, 0.25)
    theirs = peer.specific_surface_area(
        labels, spacing=spacing, method="face_counting", periodic=periodic, device="cpu"
    )
    ours = specific_surface_area(labels, voxel_size=0.25, periodic=periodic)
    np.testing.assert_allclose([theirs[str(phase)] for phase in range(3)], ours, rtol=1e-12)


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_interfacial_areas_are_equal(periodic):
    # TauFactor divides the number of faces, not their area, by the volume: the same at a voxel size of 1 alone.
    labels = blobs()
    theirs = peer.interfacial_areas(labels, periodic=periodic, device="cpu")
    assert sorted(theirs) == [(0, 1), (0, 2), (1, 2)]
    ours = interfacial_areas(labels, voxel_size=1, periodic=periodic)
    np.testing.assert_allclose(list(theirs.values()), [ours[pair] for pair in theirs], rtol=1e-12)


def test_marching_cubes_without_smoothing_are_equal_away_from_the_outer_boundary():
    # At the boundary TauFactor's mesh ends at the centres of the outer voxels; ours goes on for half a voxel.
    labels = np.pad((blobs() == 1).astype(int), 3)
    theirs = peer.specific_surface_area(labels, method="marching_cubes", smoothing=False, device="cpu", phases={"1": 1})
    ours = specific_surface_area(labels, "marching_cubes", voxel_size=1)
    assert ours[1] == pytest.approx(theirs["1"], rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_triple_phase_boundaries_are_equal(seed, capsys):
    # TauFactor: the share of the voxel edges inside the volume that touch three phases. Ours: their length per volume.
    labels = blobs(seed)
    z, y, x = labels.shape
    edges_inside = z * (y - 1) * (x - 1) + (z - 1) * y * (x - 1) + (z - 1) * (y - 1) * x
    theirs = float(peer.triple_phase_boundary(labels)) * edges_inside
    capsys.readouterr()  # it prints the number of edges
    voxel_size = 0.25
    ours = triple_phase_boundary_density(labels, voxel_size=voxel_size) * labels.size * voxel_size**2
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert theirs > 1000


def test_triple_points_of_a_slice_are_equal():
    labels = blobs()[5]
    y, x = labels.shape
    theirs = float(peer.triple_phase_boundary(labels)) * (y - 1) * (x - 1)
    assert slice_statistics(labels, voxel_size=1).triple_point_density * labels.size == pytest.approx(theirs, rel=1e-6)
    assert theirs > 10


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("wraps", [False, True])
def test_percolating_fractions_are_equal(connectivity, wraps):
    # Shares at which phases span some axes and not others. Along the axis itself both leave the two ends apart.
    share = {6: 0.37, 18: 0.17, 26: 0.12}[connectivity]
    some = set()
    for seed, axis in product(range(3), range(3)):
        labels = (np.random.default_rng(seed).random((9, 8, 10)) < share).astype(int)
        sides = tuple(wraps and side != axis for side in range(3))
        _, theirs = peer.extract_through_feature(
            labels, 1, "xyz"[axis], periodic=sides, connectivity={6: 1, 18: 2, 26: 3}[connectivity]
        )
        ours = connected_fractions(labels, connectivity=connectivity, periodic=sides)[1, axis]
        assert ours == pytest.approx(theirs[0], rel=1e-6)
        some.add(ours > 0)
    assert True in some
