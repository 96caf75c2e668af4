"""Particles, profiles and lineal paths: balls and ellipsoids of known size, and counting by hand."""

import csv
import json

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure, morphology, segmentation

from kerasgan3d import Volume
from kerasgan3d.metrics import (
    fraction_profiles,
    interfacial_areas,
    lineal_path,
    particles,
    saltykov,
    two_point_correlation,
    volume_fractions,
)

NAMES = ("pore", "grain")


def balls(shape, centres, radii, periodic=False):
    """Balls, or ellipsoids where a radius is one per axis; across faces where the image is periodic."""
    labels = np.zeros(shape, np.uint8)
    for centre, radius in zip(centres, radii, strict=True):
        offsets = np.moveaxis(np.indices(shape), 0, -1) - np.array(centre)
        if periodic:
            offsets = (offsets + np.array(shape) / 2) % shape - np.array(shape) / 2
        labels[((offsets / radius) ** 2).sum(axis=-1) < 1] = 1
    return labels


def test_a_ball_is_what_it_is():
    found = particles(Volume(balls((24, 24, 24), [(11.5, 12, 11)], [8]), NAMES, 0.5), "grain")
    assert len(found) == 1
    np.testing.assert_allclose(found.diameter, 8, rtol=0.01)  # staircases add up to nothing on average
    np.testing.assert_allclose(found.surface_area, 4 * np.pi * 4**2, rtol=0.03)  # 13 directions for all
    np.testing.assert_allclose(found.sphericity, 1, atol=0.03)
    np.testing.assert_allclose(found.half_axes, 4, rtol=0.02)
    np.testing.assert_allclose(found.centre, [[6.0, 6.25, 5.75]], atol=0.02)
    assert found.whole.all()
    areas = interfacial_areas(balls((24, 24, 24), [(11.5, 12, 11)], [8]), voxel_size=0.5)[0, 1] * 12**3
    np.testing.assert_allclose(found.contact, [[areas, 0]])


@pytest.mark.parametrize("shift", [(0, 0, 0), (9, 3, 11), (0, 10, 0)])
def test_particles_across_periodic_faces_are_one(shift):
    places = np.array([(5.3, 5.2, 5.4), (14.2, 15.4, 16.3), (5.4, 16.3, 17.2)])
    labels = balls((20, 22, 24), places, [4, 5, 3], periodic=True)
    sizes = np.bincount(ndimage.label(labels)[0].flat, minlength=4)[1:]
    labels = np.roll(labels, shift, (0, 1, 2))
    found = particles(labels, 1, voxel_size=1.0, periodic=True)
    assert len(found) == 3
    if not any(shift):
        assert sorted(found.volume) == sorted(sizes)
    np.testing.assert_allclose(np.sort(found.diameter), [6, 8, 10], rtol=0.04)
    np.testing.assert_allclose(found.sphericity, 1, atol=0.08)
    centres = (places + 0.5 + shift) % labels.shape
    order = np.argsort(found.diameter)
    np.testing.assert_allclose(found.centre[order], centres[[2, 0, 1]], atol=0.2)
    assert found.whole.all()
    if shift[1]:
        cut = particles(labels, 1, voxel_size=1.0)
        assert len(cut) > 3
        assert not cut.whole.all()


def test_touching_balls_are_cut_at_their_neck():
    labels = balls((16, 16, 32), [(7.5, 7.5, 8), (7.5, 7.5, 19)], [7, 7])
    found = particles(labels, 1, voxel_size=1.0)
    assert len(found) == 2
    # Each ball less the cap beyond the plane half-way, 5.5 from its centre.
    cap = np.pi * 1.5**2 * (3 * 7 - 1.5) / 3
    np.testing.assert_allclose(found.volume, 4 / 3 * np.pi * 7**3 - cap, rtol=0.03)
    assert found.contact[:, 1].tolist() == [np.count_nonzero(labels[:, :, 13] & labels[:, :, 14])] * 2
    assert len(particles(labels, 1, depth=6.0, voxel_size=1.0)) == 1
    assert found.labels.max() == 2
    assert ((found.labels > 0) == (labels == 1)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ellipsoids_lie_where_they_lie(axis):
    radii = np.roll([9.0, 5.0, 4.0], axis)
    found = particles(balls((22, 22, 22), [(10.5, 10.5, 10.5)], [radii]), 1, voxel_size=1.0)
    assert len(found) == 1
    np.testing.assert_allclose(found.half_axes, [[9, 5, 4]], rtol=0.03)
    np.testing.assert_allclose(np.abs(found.direction), [np.eye(3)[axis]], atol=0.02)
    # The surface of an ellipsoid by Thomsen's formula, right to 1 %.
    power = 1.6075
    a, b, c = (radius**power for radius in (9, 5, 4))
    surface = 4 * np.pi * ((a * b + a * c + b * c) / 3) ** (1 / power)
    np.testing.assert_allclose(found.surface_area, surface, rtol=0.04)


@pytest.mark.parametrize("periodic", [False, True])
def test_every_voxel_is_of_one_particle_and_no_particle_has_two_parts(periodic):
    labels = np.random.default_rng(0).integers(0, 2, (9, 10, 11))
    found = particles(labels, 1, voxel_size=1.0, periodic=periodic)
    assert ((found.labels > 0) == (labels == 1)).all()
    assert found.volume.sum() == labels.sum()
    np.testing.assert_array_equal(found.volume, np.bincount(found.labels.flat)[1:])
    firsts = [np.flatnonzero(found.labels == number)[0] for number in range(1, len(found) + 1)]
    assert firsts == sorted(firsts)
    if not periodic:
        assert all(ndimage.label(found.labels == number)[1] == 1 for number in range(1, len(found) + 1))
    faces = interfacial_areas(labels, voxel_size=1.0, periodic=periodic)[0, 1] * labels.size
    assert found.contact[:, 0].sum() == pytest.approx(faces)


@pytest.mark.parametrize("depth", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("shape", [(40, 44), (20, 22, 24)])
def test_particles_are_those_of_maxima_by_reconstruction(shape, depth):
    """Markers as SNOW finds them (Gostick, 2017): regional maxima of the distance that stand out by a depth."""
    values = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(shape), 1.5)
    mask = values > np.quantile(values, 0.4)
    distance = np.where(mask, ndimage.distance_transform_edt(mask), -2 * depth)
    cross = ndimage.generate_binary_structure(mask.ndim, 1)
    levelled = morphology.reconstruction(distance - depth, distance, footprint=cross)
    markers, count = ndimage.label(morphology.local_maxima(levelled, connectivity=1) & mask)
    expected = segmentation.watershed(-distance, markers, mask=mask)
    found = particles(mask.astype(int), 1, depth, voxel_size=1.0)
    assert len(found) == count > 1
    numbers = np.append(0, found.labels.ravel()[np.unique(expected, return_index=True)[1][1:]])
    np.testing.assert_array_equal(found.labels, numbers[expected])


@pytest.mark.parametrize(
    ("shape", "periodic"), [((40, 44), True), ((20, 22, 24), True), ((20, 22, 24), (False, True, True))]
)
def test_beyond_periodic_faces_only_what_decides_is_flooded(monkeypatch, shape, periodic):
    """Particles are those in the middle of the image repeated, but for voxels as near to one as to another."""
    values = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(shape), 2, mode="wrap")
    mask = values > np.quantile(values, 0.4)
    flood, flooded = segmentation.watershed, []

    def watched(image, markers, mask):
        flooded.append(np.count_nonzero(mask))
        return flood(image, markers, mask=mask)

    monkeypatch.setattr(segmentation, "watershed", watched)
    found = particles(mask.astype(int), 1, voxel_size=1.0, periodic=periodic).labels
    assert flooded[0] < 1.8 * np.count_nonzero(mask)
    wraps = np.broadcast_to(periodic, len(shape))
    middle = tuple(slice(n, 2 * n) if wrap else slice(None) for n, wrap in zip(shape, wraps, strict=True))
    tiled = particles(np.tile(mask, np.where(wraps, 3, 1)).astype(int), 1, voxel_size=1.0).labels[middle]
    pieces = np.unique(tiled)
    numbers = np.zeros(tiled.max() + 1, int)
    numbers[pieces] = [np.bincount(found[tiled == piece]).argmax() for piece in pieces]
    assert set(numbers[pieces]) == set(range(found.max() + 1))
    assert np.mean(numbers[tiled] != found) < 0.002


@pytest.mark.parametrize(("depth", "count"), [(0.5, 5), (1.0, 3)])
def test_a_ring_of_particles_is_the_same_wherever_the_image_begins(depth, count):
    labels = balls((12, 12, 40), [(5.5, 5.5, x) for x in (3, 11.2, 20.1, 29.3, 36)], [5] * 5, periodic=True)
    found = [
        np.sort(particles(np.roll(labels, shift, 2), 1, depth, voxel_size=1.0, periodic=True).volume)
        for shift in (0, 5, 17)
    ]
    assert len(found[0]) == count
    # Voxels as near to one as to another particle are of either.
    np.testing.assert_allclose(found[1:], [found[0]] * 2, atol=24)


def test_sections_of_a_slice():
    labels = balls((30, 40), [(10.3, 10.2), (20.4, 27.3)], [6, 8])
    found = particles(labels, 1, voxel_size=0.5)
    np.testing.assert_allclose(found.diameter, [6, 8], rtol=0.02)
    np.testing.assert_allclose(found.surface_area, np.pi * np.array([6, 8]), rtol=0.06)  # four directions for all
    np.testing.assert_allclose(found.sphericity, 1, atol=0.12)
    assert found.contact.shape == (2, 2)


@pytest.mark.parametrize("suffix", ["csv", "json", pytest.param("parquet", marks=pytest.mark.peer)])
def test_particles_are_saved_as_a_table(tmp_path, suffix):
    found = particles(Volume(balls((24, 24, 24), [(5, 6, 7), (16, 15, 14)], [4, 6]), NAMES, 0.5), "grain")
    path = tmp_path / f"particles.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    found.save(path)
    if suffix == "json":
        read = json.loads(path.read_text("utf-8"))
    elif suffix == "csv":
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        read = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        read = __import__("pyarrow.parquet").parquet.read_table(path).to_pydict()
    assert list(read) == list(found.table())
    np.testing.assert_allclose(np.array(read["volume_um3"], float), found.volume)
    np.testing.assert_allclose(np.array(read["contact_pore_um2"], float), found.contact[:, 0])
    np.testing.assert_allclose(np.array(read["centre_x_um"], float), found.centre[:, 2])
    assert repr(found) == "Particles(2 in an image of 24 x 24 x 24 voxels)"


def test_the_table_of_sections():
    found = particles(balls((30, 40), [(10.3, 10.2), (20.4, 27.3)], [6, 8]), 1, voxel_size=0.5)
    names = ["particle", "area_um2", "diameter_um", "perimeter_um", "sphericity", "centre_y_um", "centre_x_um"]
    names += ["half_axis_1_um", "half_axis_2_um", "direction_y", "direction_x", "contact_0_um", "contact_1_um", "whole"]
    assert list(found.table()) == names
    with pytest.raises(ValueError, match="must end in .csv, .json, .parquet"):
        found.save("particles.xlsx")


@pytest.mark.parametrize("shape", [(30, 34), (18, 20, 22)])
def test_moments_are_those_of_scikit_image(shape):
    """Of voxels as points; as cubes they have a twelfth more along each axis."""
    values = ndimage.gaussian_filter(np.random.default_rng(2).standard_normal(shape), 1.5)
    found = particles((values > 0.03).astype(int), 1, voxel_size=0.5)
    for number, region in enumerate(measure.regionprops(found.labels)):
        assert found.volume[number] == region.area * 0.5 ** len(shape)
        np.testing.assert_allclose(found.diameter[number], region.equivalent_diameter_area * 0.5)
        np.testing.assert_allclose(found.centre[number], (np.array(region.centroid) + 0.5) * 0.5)
        second = np.cov(region.coords.T, bias=True) + np.eye(len(shape)) / 12
        half_axes = np.sqrt((len(shape) + 2) * np.linalg.eigvalsh(second)[::-1]) * 0.5
        np.testing.assert_allclose(found.half_axes[number], half_axes)


def test_no_particles_and_nothing_but_one():
    assert len(particles(np.zeros((6, 6, 6), int), 1, voxel_size=1.0, n_phases=2)) == 0
    with pytest.raises(ValueError, match="A phase that fills the image has no particles"):
        particles(np.ones((6, 6, 6), int), 1, voxel_size=1.0)
    with pytest.raises(ValueError, match="`depth` must be a number of at least 0.01. Received: 0"):
        particles(np.zeros((6, 6, 6), int), 0, 0, voxel_size=1.0)
    with pytest.raises(ValueError, match="The voxel size is unknown"):
        particles(np.zeros((6, 6, 6), int), 0)


def test_saltykov_finds_the_balls_that_sections_came_from():
    """Balls of two sizes, cut by planes at random heights: all sections of a ball of diameter D are seen."""
    rng = np.random.default_rng(0)
    diameters, numbers, area = np.array([5.0, 10.0]), np.array([3e-3, 1e-3]), 4e6
    sections = []
    for diameter, number in zip(diameters, numbers, strict=True):
        heights = rng.uniform(-diameter / 2, diameter / 2, rng.poisson(number * diameter * area))
        sections.append(2 * np.sqrt(diameter**2 / 4 - heights**2))
    ends, found = saltykov(np.concatenate(sections), area, 10, largest=10.0)
    np.testing.assert_allclose(ends, np.arange(1, 11))
    np.testing.assert_allclose(found[[4, 9]], numbers, rtol=0.03)
    np.testing.assert_allclose(np.delete(found, [4, 9]), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 1.0), "`diameters` must be positive numbers"),
        (([1.0, -1.0], 1.0), "`diameters` must be positive numbers"),
        (([1.0], -1.0), "`area` must be a number"),
        (([1.0], 1.0, 0), "`n_classes` must be a positive integer"),
        (([1.0, 2.0], 1.0, 3, 1.5), "`largest` must be a number of at least 2"),
    ],
    ids=str,
)
def test_saltykov_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        saltykov(*arguments)


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 6)])
def test_profiles_are_shares_of_slices(shape):
    labels = np.random.default_rng(0).integers(0, 3, shape)
    found = fraction_profiles(labels)
    assert [profile.shape for profile in found] == [(3, length) for length in shape]
    for axis, profile in enumerate(found):
        np.testing.assert_allclose(profile.sum(axis=0), 1)
        for place in range(shape[axis]):
            here = labels.take(place, axis)
            np.testing.assert_allclose(profile[:, place], [(here == phase).mean() for phase in range(3)])


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(6, 7, 8), (6, 7)])
def test_lineal_paths_are_counted(shape, periodic):
    labels = np.random.default_rng(1).integers(0, 2, shape)
    found = lineal_path(labels, 4, periodic=periodic)
    for axis in range(len(shape)):
        lines = np.moveaxis(labels, axis, -1).reshape(-1, shape[axis])
        for length in range(5):
            starts = range(shape[axis] if periodic else shape[axis] - length)
            runs = [line.take(range(at, at + length + 1), mode="wrap").all() for line in lines for at in starts]
            assert found[1, axis, length] == pytest.approx(np.mean(runs))
    np.testing.assert_allclose(found[..., 0], np.bincount(labels.flat)[:, None].repeat(len(shape), 1) / labels.size)


def test_lineal_paths_of_layers_and_of_noise():
    labels = np.repeat([0, 1], 5)[:, None, None] + np.zeros((10, 6, 6), int)
    found = lineal_path(labels, 5, periodic=True)
    np.testing.assert_allclose(found[1, 0], np.array([5, 4, 3, 2, 1, 0]) / 10)
    np.testing.assert_allclose(found[1, 1:], 0.5)
    noise = (np.random.default_rng(0).random((30, 30, 30)) < 0.6).astype(int)
    shares = volume_fractions(noise)
    np.testing.assert_allclose(lineal_path(noise, 3)[1], shares[1] ** np.arange(1, 5)[None].repeat(3, 0), atol=0.01)
    assert (lineal_path(noise, 3) <= two_point_correlation(noise, 3) + 1e-12).all()
    with pytest.raises(ValueError, match="`max_length` must be an integer from 0 to 29"):
        lineal_path(noise, 30)
