import json

import numpy as np
import pytest

from kerasgan3d.report.sources import Generated, Images, Reference, agree, generated_source, real_source
from kerasgan3d.volume import Volume

PHASES = ("pore", "Ni", "YSZ")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(3, size=shape, dtype=np.uint8)


class Noise:
    """A generator of noise."""

    phases, voxel_size, stride = PHASES, 0.5, 4
    card = {"name": "noise"}

    def __init__(self):
        self.calls = []

    def sample(self, size, *, periodic=False, seed=None):
        self.calls.append((size, periodic, seed))
        return Volume(noise(size, size, size, seed=seed % 2**32), PHASES, 0.5, periodic)


STATISTICS = {
    "phases": list(PHASES),
    "voxel_size": 0.5,
    "sub_volumes": {"size": 32, "dimensions": 3, "count": 7},
    "mean": {"volume_fractions": [0.2, 0.3, 0.5], "two_point_correlation": np.ones((3, 3, 4)).tolist()},
}


def test_an_array_a_volume_and_its_file_are_the_same_image(tmp_path):
    labels = noise(5, 6, 7)
    volume = Volume(labels, PHASES, 0.5)
    volume.save(tmp_path / "scan.tif")
    sources = [
        real_source(labels, phases=PHASES, voxel_size=0.5),
        real_source(volume),
        real_source(tmp_path / "scan.tif"),
        real_source(str(tmp_path / "scan.tif")),
    ]
    for source in sources:
        np.testing.assert_array_equal(source.images[0], labels)
        assert (source.kind, source.phases, source.voxel_size) == ("volume", PHASES, 0.5)
        assert (source.dimensions, source.shape) == (3, [5, 6, 7])
    assert [source.name for source in sources] == ["image", "image", "scan.tif", "scan.tif"]


def test_a_slice_is_an_image_of_two_dimensions():
    source = real_source(noise(9, 8))
    assert (source.kind, source.dimensions, source.phases, source.voxel_size) == ("slice", 2, None, None)


def test_a_file_that_names_no_phases_does_not_pretend_to(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "labels.tif", noise(5, 6, 7))
    tifffile.imwrite(tmp_path / "grey.tif", noise(5, 6, 7) * 100)
    assert real_source(tmp_path / "labels.tif").phases is None
    named = real_source(tmp_path / "grey.tif", mapping={0: "pore", 100: "Ni", 200: "YSZ"}, voxel_size=0.1)
    assert (named.phases, named.voxel_size) == (PHASES, 0.1)


@pytest.mark.parametrize("kind", ["folder", "file", "dict"])
def test_statistics_stand_for_an_image(tmp_path, kind):
    (tmp_path / "reference.json").write_text(json.dumps(STATISTICS))
    given = {"folder": tmp_path, "file": str(tmp_path / "reference.json"), "dict": STATISTICS}[kind]
    source = real_source(given)
    assert isinstance(source, Reference)
    assert (source.size, source.dimensions, source.count, source.phases) == (32, 3, 7, PHASES)


def test_what_is_no_statistics_is_refused():
    with pytest.raises(ValueError, match=r"must hold reference statistics: .*Received: no mean"):
        real_source({key: value for key, value in STATISTICS.items() if key != "mean"})


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        ({"two_point_correlation": None}, r"axis and distance, \(3, 3\) and one more\. Received: \(3,\) and \(\)"),
        ({"two_point_correlation": np.ones((3, 2, 4)).tolist()}, r"Received: \(3,\) and \(3, 2, 4\)"),
        ({"volume_fractions": [0.5, 0.5]}, r"volume_fraction of each phase, \(3,\).* Received: \(2,\) and"),
    ],
    ids=["no-curves", "axes", "phases"],
)
def test_statistics_must_be_of_their_phases(mean, message):
    with pytest.raises(ValueError, match=message):
        real_source({**STATISTICS, "mean": {**STATISTICS["mean"], **mean}})


def test_statistics_without_curves_are_refused():
    mean = {"volume_fractions": [0.2, 0.3, 0.5]}
    with pytest.raises(ValueError, match="Received: no two_point_correlation"):
        real_source({**STATISTICS, "mean": mean})


def test_statistics_in_voxels_take_the_voxel_size_that_is_given():
    in_voxels = {**STATISTICS, "voxel_size": None}
    assert real_source(in_voxels).voxel_size is None
    assert real_source(in_voxels, voxel_size=0.2).voxel_size == 0.2
    assert real_source(STATISTICS, voxel_size=0.2).voxel_size == 0.5


def test_nothing_can_be_left_out_of_statistics():
    with pytest.raises(ValueError, match=r"`exclude` must be None unless there is a real image.* statistics of"):
        real_source(STATISTICS, exclude=[((0, 3), (0, 3), (0, 3))])


def test_a_generator_draws_independent_volumes_from_one_seed():
    generator = Noise()
    source = generated_source(generator)
    assert isinstance(source, Generated)
    first, again = source.draw(5, 8, 3), source.draw(5, 8, 3)
    np.testing.assert_array_equal(first, again)
    assert len({sample.tobytes() for sample in first}) == 5
    closed = source.periodic(2, 16, 3)
    assert [call[:2] for call in generator.calls[-2:]] == [(16, True)] * 2
    assert closed[0].shape == (16, 16, 16)
    # Volumes for one purpose are not those for another, and other seeds give others.
    assert len({call[2] for call in generator.calls}) == 7
    source.draw(5, 8, 4)
    assert len({call[2] for call in generator.calls}) == 12


def test_a_list_and_a_folder_of_volumes_are_drawn_from_evenly(tmp_path):
    volumes = [Volume(np.full((6, 6, 6), k, np.uint8), PHASES, 0.5) for k in range(3)]
    for k, volume in enumerate(volumes):
        volume.save(tmp_path / f"{k}.tif")
    for given in (volumes, tmp_path):
        source = generated_source(given)
        assert (source.kind, source.phases, source.voxel_size, source.shape) == ("volumes", PHASES, 0.5, None)
        drawn = [int(sample[0, 0, 0]) for sample in source.draw(7, 4, 0)]
        assert [drawn.count(k) for k in range(3)] == [3, 2, 2]


def test_a_list_may_hold_paths_and_volumes(tmp_path):
    volumes = [Volume(noise(6, 6, 6, seed=seed), PHASES, 0.5) for seed in range(2)]
    volumes[0].save(tmp_path / "a.tif")
    source = generated_source([str(tmp_path / "a.tif"), volumes[1]])
    assert (source.name, source.phases, source.voxel_size) == ("2 volumes", PHASES, 0.5)
    np.testing.assert_array_equal(source.images, [volume.labels for volume in volumes])


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match=r"The list of generated volumes must hold one or more\. Received: \[\]"):
        generated_source([])


def test_volumes_of_the_size_are_taken_once_each():
    volumes = [noise(4, 4, 4, seed=seed) for seed in range(5)]
    drawn = generated_source(volumes).draw(100, 4, 0)
    np.testing.assert_array_equal(drawn, volumes)
    np.testing.assert_array_equal(generated_source(volumes).draw(3, 4, 0), volumes[:3])


def test_a_folder_of_slices_is_one_volume(tmp_path):
    import tifffile

    labels = noise(3, 5, 6)
    for k, image in enumerate(labels):
        tifffile.imwrite(tmp_path / f"{k}.tif", image)
    np.testing.assert_array_equal(generated_source(tmp_path).images[0], labels)


def test_corners_are_those_of_the_sub_volumes():
    image = noise(20, 20, 20)
    source = real_source(image)
    for (k, corner), sample in zip(source.corners(6, 5, 1), source.draw(6, 5, 1), strict=True):
        assert k == 0
        np.testing.assert_array_equal(image[tuple(slice(c, c + 5) for c in corner)], sample)


@pytest.mark.parametrize(
    ("exclude", "free"),
    [
        ([((0, 6), None, (2, 9))], lambda z, y, x: not (z < 6 and x < 9 and x + 3 > 2)),
        ([((4, 12), (0, 12))], lambda z, y, x: y + 3 <= 4),
    ],
    ids=["three-axes", "two-axes"],
)
def test_what_is_excluded_is_never_drawn(exclude, free):
    source = real_source(noise(12, 12, 12), exclude=exclude)
    corners = [corner for _, corner in source.corners(200, 3, 0)]
    assert len(corners) > 30
    assert all(free(*corner) for corner in corners)


def test_halves_of_an_image_share_no_voxel():
    # Labels that name the half: the longest axis is the second.
    image = np.zeros((6, 20, 7), np.uint8)
    image[:, 10:] = 1
    source = real_source(image)
    train, test, independent = source.halves([None] * 9, 5, 0)
    assert (len(train), len(test), independent) == (5, 4, 2)
    assert all((sample == 0).all() for sample in train)
    assert all((sample == 1).all() for sample in test)


def test_halves_keep_clear_of_what_is_excluded():
    image = np.zeros((20, 6), np.uint8)
    image[3:12] = 1
    source = real_source(image, exclude=[((3, 12), (0, 6))])
    train, test, _ = source.halves([None] * 10, 3, 0)
    assert all((sample == 0).all() for sample in train + test)


def test_halves_of_volumes_share_no_volume():
    source = generated_source([np.full((5, 5, 5), k, np.uint8) for k in range(5)])
    train, test, independent = source.halves([None] * 5, 5, 0)
    assert {int(sample[0, 0, 0]) for sample in train} == {0, 2, 4}
    assert {int(sample[0, 0, 0]) for sample in test} == {1, 3}
    assert independent == 2


def test_an_image_that_is_too_small_has_no_halves():
    assert real_source(noise(7, 7, 7)).halves([None] * 4, 4, 0) is None


def source(phases, voxel_size, highest=2, name="scan"):
    return Images(name, "volume", [np.full((2, 2, 2), highest, np.uint8)], phases, voxel_size)


def test_what_one_side_leaves_open_the_other_says_and_it_is_noted():
    phases, size, notes = agree(source(None, 0.5), source(PHASES, None, name="samples"))
    assert (phases, size) == (PHASES, 0.5)
    assert notes == [
        "scan does not name its phases: taken for pore, Ni, YSZ, in this order",
        "samples does not state its voxel size: taken for 0.5 µm",
    ]
    assert agree(source(PHASES, 0.5), source(PHASES, 0.5000001)) == (PHASES, 0.5, [])
    assert agree(source(None, 0.5), source(None, 0.5))[0] == ("phase 0", "phase 1", "phase 2")


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (source(PHASES, 0.5), source(("pore", "YSZ", "Ni"), 0.5), r"phases of both .* pore, Ni, YSZ of scan, and pore"),
        (source(PHASES, 0.5), source(PHASES, 0.6), r"voxel sizes of both sides .*0.5 µm of scan, and 0.6 µm"),
        (source(PHASES, None), source(PHASES, None), r"unknown on both sides: pass `voxel_size` in µm"),
        (source(PHASES, 0.5, 4), source(PHASES, 0.5), r"a name for every phase\. Received: 3 names, .*labels up to 4"),
    ],
    ids=["phases", "sizes", "unknown", "labels"],
)
def test_sides_that_do_not_agree_are_refused(real, generated, message):
    with pytest.raises(ValueError, match=message):
        agree(real, generated)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("missing.tif", FileNotFoundError, r"missing.tif"),
        ([noise(4, 4, 4), noise(4, 4)], ValueError, r"must agree in dimensions, phases and voxel size"),
        (np.zeros((3, 3, 3)), ValueError, r"Labels must be integers"),
        ("empty", ValueError, r"The folder must hold volumes .*empty"),
    ],
    ids=["missing", "dimensions", "floats", "empty"],
)
def test_what_cannot_be_compared_is_refused(tmp_path, monkeypatch, given, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=message):
        generated_source(given)


def test_grey_values_are_those_of_files():
    with pytest.raises(ValueError, match=r"`mapping` must be None unless the real image is a file"):
        real_source(noise(4, 4), mapping={0: "pore"})


@pytest.mark.parametrize("exclude", [5, ((0, 3), (0, 3), (0, 3)), [((0, 3), (0, 3), (0, 1.5))], "0:3"])
def test_boxes_are_pairs_of_integers(exclude):
    with pytest.raises(ValueError, match=r"`exclude` must be a list of boxes.* Received"):
        real_source(noise(4, 4, 4), exclude=exclude)


def test_boxes_belong_to_one_image():
    with pytest.raises(ValueError, match=r"`exclude` must be boxes of one image\. Received: 2 images"):
        Images("a", "volumes", [noise(4, 4), noise(4, 4)], None, None, [((0, 1), (0, 1))])
