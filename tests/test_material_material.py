"""What a run learns from: which files, and what of them."""

import json

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from kerasgan3d.data import Symmetry, exclusion
from kerasgan3d.io import write
from kerasgan3d.io.resampling import resampled, resampled_range
from kerasgan3d.material.material import Material
from kerasgan3d.training.views import View, real_views
from kerasgan3d.volume import Volume

NAMES = ("pore", "Ni", "YSZ")
AXIAL = Symmetry("axial", 0)
SLICES = (View("slices", 16, count=2),)


def drawn(material, seed=0, step=0, views=SLICES):
    """What critics see of the data in a step, as labels: one array for each critic."""
    return [part.argmax(-1) for part in real_views(material.data, views, 0.0, 1, seed).batch(step)]


def noise(*shape, n=3, seed=0):
    return np.random.default_rng(seed).integers(0, n, shape).astype("uint8")


def saved(path, labels):
    tifffile.imwrite(path, labels, photometric="minisblack")
    return path


@pytest.fixture
def scan(tmp_path):
    write(Volume(noise(20, 24, 28), NAMES, 0.5), tmp_path / "scan.tif")
    return tmp_path / "scan.tif"


# One image


def test_one_image(scan):
    material = Material(scan, AXIAL)
    np.testing.assert_array_equal(material.images[0], noise(20, 24, 28))
    assert (material.phases, material.voxel_size, material.dimensions) == (NAMES, 0.5, 3)
    assert set(material.facts) == {"file", "shape", "sha256"}
    np.testing.assert_array_equal(material.counts, np.bincount(noise(20, 24, 28).ravel()))
    assert material.fractions.sum() == pytest.approx(1)
    assert material.excluded is material.held_out is None


@pytest.mark.parametrize("suffix", ["tif", "npy", "zarr"])
@pytest.mark.parametrize("kind", ["slices", "volumes"])
def test_an_image_that_stays_in_its_file_trains_alike(tmp_path, suffix, kind):
    path = tmp_path / f"scan.{suffix}"
    write(Volume(noise(20, 24, 28), NAMES, 0.5), path)
    views = (View(kind, 16, count=2),)
    options = {"exclude": [((0, 2), None, (3, 9))], "hold_out": (None, None, (12, 28))}
    read, stays = (Material(path, AXIAL, in_memory=size, **options) for size in (2**31, 0))
    assert not isinstance(stays.images[0], np.ndarray)
    assert stays.facts == read.facts
    np.testing.assert_array_equal(stays.counts, read.counts)
    with pytest.raises(ValueError, match="Exclude less"):
        drawn(read, views=views)
    read, stays = (Material(path, AXIAL, in_memory=size, exclude=[((18, 20), None, (3, 9))]) for size in (2**31, 0))
    for a, b in zip(drawn(read, 3, 5, views), drawn(stays, 3, 5, views), strict=True):
        np.testing.assert_array_equal(a, b)
    assert stays.reference(8) == read.reference(8)


def test_phases_that_do_not_occur_are_refused(scan, tmp_path):
    saved(tmp_path / "two.tif", noise(20, 20, n=2))
    with pytest.raises(ValueError, match="every phase must occur .* no voxel of YSZ in two.tif. Leave it out"):
        Material(tmp_path / "two.tif", Symmetry(), phases=NAMES)
    with pytest.raises(ValueError, match="no voxel of CBD in scan.tif"):
        Material(scan, AXIAL, mapping={0: "a", 1: "b", 2: "c", 3: "CBD"})
    with pytest.raises(ValueError, match="at least two phases. Received: 1"):
        Material(saved(tmp_path / "one.tif", np.zeros((20, 20), "uint8")), Symmetry(), phases=["pore"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.arange(400, dtype="uint16").reshape(20, 20), "must be segmented"),
        (np.zeros((20, 20), "float32"), "must hold integer labels"),
    ],
    ids=["grey", "floats"],
)
def test_what_is_not_segmented_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        Material(saved(tmp_path / "a.tif", content), Symmetry())


@pytest.mark.parametrize("data", [3, [], [3], {}, {"a": "b.tif"}], ids=str)
def test_data_are_paths(data):
    with pytest.raises(ValueError, match="`data`"):
        Material(data, Symmetry())


# What is left out


def test_a_mask_says_what_is_used(scan, tmp_path):
    inside = np.zeros((20, 24, 28), "uint8")
    inside[2:18, 4:20, 5:21] = 9
    for name, image in (("solid.tif", inside), ("flat.tif", inside[10])):
        material = Material(scan, AXIAL, mask=saved(tmp_path / name, image))
        used = np.broadcast_to(image, inside.shape) != 0
        np.testing.assert_array_equal(material.excluded, ~used)
        np.testing.assert_array_equal(material.counts, np.bincount(noise(20, 24, 28)[used]))
        assert material.facts["mask"]["file"] == name
    with pytest.raises(ValueError, match="`mask` must have the shape of the data, 20 x 24 x 28. Received: 5 x 5"):
        Material(scan, AXIAL, mask=saved(tmp_path / "other.tif", np.ones((5, 5), "uint8")))


def test_boxes_and_what_is_held_out_are_excluded(scan):
    material = Material(scan, AXIAL, exclude=[(None, (0, 2), (3, 9))], hold_out=((4, 20), (8, 24), (12, 28)))
    expected = exclusion((20, 24, 28), [(None, (0, 2), (3, 9)), ((4, 20), (8, 24), (12, 28))])
    np.testing.assert_array_equal(material.excluded, expected)
    assert material.facts["excluded"] == [[None, [0, 2], [3, 9]]]
    assert material.facts["held_out"] == [[4, 20], [8, 24], [12, 28]]
    held = material.held_out_reference(16)
    block = noise(20, 24, 28)[4:, 8:, 12:]
    np.testing.assert_allclose(held["bulk"]["volume_fraction"], np.bincount(block.ravel()) / block.size)
    assert json.dumps(material.facts)


@pytest.mark.parametrize("where", ["exclude", "mask", "hold_out"])
def test_boxes_are_of_one_image(tmp_path, where):
    paths = [saved(tmp_path / f"{k}.tif", noise(20, 20)) for k in range(2)]
    value = {"exclude": [((0, 2), (0, 2))], "mask": paths[0], "hold_out": ((0, 2), (0, 2))}[where]
    with pytest.raises(ValueError, match="are of one image. Received: several"):
        Material(paths, Symmetry(), **{where: value})


def test_a_held_out_block_must_hold_a_crop(scan):
    with pytest.raises(ValueError, match="`hold_out` must be at least as large as .* of 16 .* Received: 8 x 24 x 28"):
        Material(scan, AXIAL, hold_out=((0, 8), None, None)).check_held_out(16)
    with pytest.raises(ValueError, match=r"one \(start, stop\) per axis"):
        Material(scan, AXIAL, hold_out=((0, 99), None, None))


# Several images


def test_slices_of_different_sizes(tmp_path):
    shapes = [(20, 30), (40, 16), (16, 16)]
    paths = [saved(tmp_path / f"{k}.tif", noise(*shape, seed=k)) for k, shape in enumerate(shapes)]
    material = Material(paths, Symmetry(), phases=NAMES, voxel_size=0.1)
    assert [image.shape for image in material.images] == shapes
    assert (material.dimensions, material.name, material.voxel_size) == (2, "3 images", 0.1)
    assert [part["shape"] for part in material.facts["images"]] == [list(shape) for shape in shapes]
    (batch,) = drawn(material)
    assert batch.shape == (6, 16, 16)
    assert material.crops(16) == 1 + 2 + 1
    assert len(material.slices(16)) == 6
    reference = material.reference(16)
    assert reference["sub_volumes"] == {"count": 100, "size": 16, "dimensions": 2, "seed": 0}
    np.testing.assert_allclose(reference["bulk"]["volume_fraction"], material.fractions)


# Several volumes

VOLUMES = {"a.tif": noise(20, 24, 28, seed=1), "b.tif": noise(18, 20, 30, seed=2), "c.tif": noise(24, 24, 24, seed=3)}


@pytest.fixture
def volumes(tmp_path):
    for name, labels in VOLUMES.items():
        write(Volume(labels, NAMES, 0.5), tmp_path / name)
    return [tmp_path / name for name in VOLUMES]


@pytest.mark.parametrize("in_memory", [0, 2**31], ids=["stored", "read"])
def test_several_volumes_of_one_material(volumes, in_memory):
    material = Material(volumes, AXIAL, in_memory=in_memory)
    assert (material.dimensions, material.name, len(material.images)) == (3, "3 images", 3)
    counts = [np.bincount(labels.ravel()) for labels in VOLUMES.values()]
    np.testing.assert_array_equal(material.counts, np.sum(counts, 0))
    np.testing.assert_allclose(material.fractions, np.sum(counts, 0) / sum(v.size for v in VOLUMES.values()))
    assert [part["file"] for part in material.facts["images"]] == list(VOLUMES)
    assert len({part["sha256"] for part in material.facts["images"]}) == 3
    assert material.crops(8) == 2 * 3 * 3 + 2 * 2 * 3 + 27
    assert [part.shape for part in material.slices(16)] == [(16, 16)] * 6
    reference = material.reference(16)
    assert reference["sub_volumes"] == {"count": 100, "size": 16, "dimensions": 3, "seed": 0}
    assert material.held_out_reference(16) is None
    assert material.structuring_length(8) > 0
    across, along, solid = drawn(material, views=(*SLICES, View("volumes", 16, count=3)))
    assert (across.shape, along.shape, solid.shape) == ((2, 16, 16), (4, 16, 16), (3, 16, 16, 16))


def test_several_volumes_that_stay_in_their_files_are_drawn_alike(volumes):
    read, stays = (Material(volumes, AXIAL, in_memory=size) for size in (2**31, 0))
    assert stays.reference(8) == read.reference(8)
    for a, b in zip(drawn(read, 3, 5), drawn(stays, 3, 5), strict=True):
        np.testing.assert_array_equal(a, b)


def test_volumes_and_slices_are_not_one_material(scan, tmp_path):
    flat = saved(tmp_path / "flat.tif", noise(20, 20))
    with pytest.raises(ValueError, match=r"all of them volumes .* or all of them slices .* \(20, 24, 28\), \(20, 20\)"):
        Material([scan, flat], AXIAL, phases=NAMES, voxel_size=0.5)


def test_images_of_several_voxel_sizes_must_be_resampled(tmp_path):
    for k, size in enumerate((0.5, 1.0)):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            file.create_dataset("a", data=noise(40, 40)).attrs["element_size_um"] = [size, size]
    paths = [tmp_path / "0.h5", tmp_path / "1.h5"]
    with pytest.raises(ValueError, match="one voxel size. Received: 0.5 µm in .*0.h5 and 1 µm in .*1.h5"):
        Material(paths, Symmetry())
    material = Material(paths, Symmetry(), resample_to=1.0)
    assert [image.shape for image in material.images] == [(20, 20), (40, 40)]
    assert material.voxel_size == 1.0


# Slices by direction


def stripes(rows, columns, along):
    """Layers of two voxels along rows (0) or columns (1)."""
    return (np.indices((rows, columns))[along] // 2 % 2).astype("uint8")


def test_slices_by_direction_lie_as_they_should(tmp_path):
    # Layers along z: slices normal to z are uniform, all others have their stripes along the rows.
    saved(tmp_path / "top0.tif", np.zeros((20, 24), "uint8"))
    saved(tmp_path / "top1.tif", np.ones((24, 20), "uint8"))
    side = saved(tmp_path / "side.tif", stripes(20, 30, 0))
    material = Material({"z": str(tmp_path / "top*.tif"), "x": side}, AXIAL, phases=NAMES[:2])
    assert material.data.normals == (0, 0, 2)
    assert [part["normal"] for part in material.facts["images"]] == ["z", "z", "x"]
    across, along = drawn(material)
    assert all(len(np.unique(image)) == 1 for image in across)
    assert all((image == image[:, :1]).all() and len(np.unique(image)) == 2 for image in along)
    s2 = np.array(material.reference(16)["mean"]["two_point_correlation"])
    assert s2.shape == (2, 3, 16)
    np.testing.assert_allclose(s2[:, 1:], 1)
    assert s2[:, 0].min() < 0.1


@pytest.mark.parametrize("axis", [1, 2])
def test_one_section_stands_for_those_that_are_alike(tmp_path, axis):
    # Layers along `axis`, seen in the slice normal to the first of the others, must be found along it.
    normal = 0
    along = [a for a in range(3) if a != normal].index(axis)
    paths = {
        "zyx"[normal]: saved(tmp_path / "side.tif", stripes(24, 24, along)),
        "zyx"[axis]: saved(tmp_path / "top.tif", np.zeros((24, 24), "uint8")),
    }
    symmetry = Symmetry("axial", axis)
    material = Material(paths, symmetry, phases=NAMES[:2])
    s2 = np.array(material.reference(16)["mean"]["two_point_correlation"])
    others = [a for a in range(3) if a != axis]
    np.testing.assert_allclose(s2[0, others], 1)
    assert s2[0, axis].min() < 0.2
    for image in drawn(material)[1]:
        assert (image == image[:, :1]).all()


def test_missing_directions_are_named(tmp_path):
    top = saved(tmp_path / "top.tif", noise(20, 20))
    with pytest.raises(ValueError, match="slices normal to y or x in a material of axial along z symmetry"):
        drawn(Material({"z": top}, AXIAL, phases=NAMES))
    with pytest.raises(ValueError, match="there must be slices to learn from"):
        Material({"z": str(tmp_path / "no*.tif")}, AXIAL)


def test_a_stack_by_direction_is_its_slices(tmp_path):
    stack = saved(tmp_path / "stack.tif", noise(5, 20, 20))
    for size in (0, 2**31):
        material = Material({"z": [stack]}, Symmetry(), phases=NAMES, in_memory=size)
        assert len(material.images) == 5
        np.testing.assert_array_equal(material.images[3][:, 2:9], noise(5, 20, 20)[3][:, 2:9])
        assert material.crops(16) == 5


# Resampling


@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg", "tif"])
def test_slices_by_direction_may_be_pictures(tmp_path, suffix):
    planes = (np.indices((3, 32, 40)).sum(0) // 8 % 2 * np.uint8(255)).astype(np.uint8)
    for k, plane in enumerate(planes):
        Image.fromarray(plane).save(tmp_path / f"s{k}.{suffix}", **({"quality": 90} if suffix == "jpg" else {}))
    (tmp_path / ".hidden.tif").write_bytes(b"")
    given = {"mapping": {0: "pore", 255: "solid"}, "tolerance": 60} if suffix == "jpg" else {}
    data = Material({"z": str(tmp_path)}, Symmetry(), **given).data
    np.testing.assert_array_equal(np.stack(data.images), planes // 255)
    assert data.normals == (0, 0, 0)


def test_gaps_are_filled_and_noted(tmp_path):
    scan = (np.indices((5, 16, 16)).sum(0) // 4 % 2).astype(np.uint8)
    for k in (0, 1, 2, 4):
        tifffile.imwrite(tmp_path / f"{k}.tif", scan[k], photometric="minisblack")
    with pytest.raises(ValueError, match="no slice 3.*fill_gaps=True"):
        Material(tmp_path, Symmetry())
    with pytest.warns(UserWarning, match="planes 3 of 5, counted from 0, are missing, and filled"):
        material = Material(tmp_path, Symmetry(), fill_gaps=True)
    np.testing.assert_array_equal(material.images[0], scan[[0, 1, 2, 2, 4]])
    assert material.facts["filled_planes"] == [3]


def test_resampling_takes_the_nearest_label():
    labels = noise(12, 10, 8)
    np.testing.assert_array_equal(resampled(labels, (1, 1, 1), 1.0), labels)
    np.testing.assert_array_equal(resampled(labels, (1, 1, 1), 0.5), labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    np.testing.assert_array_equal(resampled(labels, (0.5, 1, 1), 1.0), labels[1::2])
    assert resampled(labels, (1, 1, 1), 0.7).shape == (17, 14, 11)


@pytest.mark.parametrize("voxel_size", [0.3, 0.5, 1.0, 1.7, 3.0])
def test_stored_images_resample_alike(tmp_path, voxel_size):
    np.save(tmp_path / "a.npy", noise(12, 10, 8))
    options = {"phases": NAMES, "voxel_size": 1.0, "resample_to": voxel_size}
    read, stays = (Material(tmp_path / "a.npy", Symmetry(), in_memory=size, **options) for size in (2**31, 0))
    assert stays.images[0].shape == read.images[0].shape
    for window in (np.s_[:, :, :], np.s_[1:3, 0:2, 0:1], np.s_[1, :, 0:2]):
        np.testing.assert_array_equal(stays.images[0][window], read.images[0][window])


@pytest.mark.parametrize("voxel_size", [0.4, 1.0, 2.5])
def test_boxes_are_in_voxels_of_the_file(tmp_path, voxel_size):
    labels = noise(20, 20, n=2)
    labels[6:11, :] = 2
    np.save(tmp_path / "a.npy", labels)
    material = Material(
        tmp_path / "a.npy",
        Symmetry(),
        mapping={0: "a", 1: "b", 2: "crack"},
        voxel_size=1.0,
        resample_to=voxel_size,
        hold_out=((0, 5), None),
    )
    inside = material.images[0] == 2
    start, stop = resampled_range(6, 11, 20, 1.0, voxel_size)
    assert inside[start:stop].all()
    assert inside.sum() == (stop - start) * material.images[0].shape[1]
    assert material.held_out[0] == slice(*resampled_range(0, 5, 20, 1.0, voxel_size))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resample_to": 0}, "`resample_to` must be a positive number, in µm. Received: 0"),
        ({"resample_to": "x"}, "`resample_to` must be a positive number"),
        ({"resample_to": 1.0}, "`resample_to` needs the voxel size of the data"),
    ],
)
def test_resampling_needs_sizes(tmp_path, options, message):
    np.save(tmp_path / "a.npy", noise(12, 10, 8))
    with pytest.raises(ValueError, match=message):
        Material(tmp_path / "a.npy", Symmetry(), phases=NAMES, **options)


def test_voxels_that_are_no_cubes_can_be_resampled(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=noise(12, 10, 8)).attrs["element_size_um"] = [1.0, 0.5, 0.5]
    material = Material(tmp_path / "a.h5", Symmetry(), phases=NAMES, resample_to=0.5)
    np.testing.assert_array_equal(material.images[0], noise(12, 10, 8).repeat(2, 0))


# How large structures are


@pytest.mark.parametrize("thickness", [4, 8])
def test_the_structuring_length_grows_with_the_structure(tmp_path, thickness):
    blocks = noise(16, 16, 16, n=2)
    for axis in range(3):
        blocks = blocks.repeat(thickness, axis)
    np.save(tmp_path / "a.npy", blocks[:64, :64, :64])
    # Random cubes of edge a have the autocovariance 1 - r/a: it falls below 1/e at 0.632 a.
    found = Material(tmp_path / "a.npy", Symmetry(), phases=NAMES[:2]).structuring_length(32)
    assert found == pytest.approx(2 * 0.632 * thickness, rel=0.25)


def test_structures_larger_than_the_data_are_infinite(tmp_path):
    labels = np.zeros((24, 24, 24), "uint8")
    labels[12:] = 1
    np.save(tmp_path / "a.npy", labels)
    assert Material(tmp_path / "a.npy", AXIAL, phases=NAMES[:2]).structuring_length(16) == np.inf


def test_crops_are_counted_beside_what_is_excluded(scan):
    assert Material(scan, AXIAL).crops(8) == 2 * 3 * 3
    assert Material(scan, AXIAL, exclude=[((0, 1), (0, 1), (0, 1))]).crops(8) == 2 * 3 * 3 - 1
