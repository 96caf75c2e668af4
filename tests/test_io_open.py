"""Images to learn from: several at once, HDF5 datasets, and what stays in its file."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from kerasgan3d import io
from kerasgan3d.phases import PhaseMap
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")
GREYS = np.array([0, 127, 255], np.uint8)


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, (6, 5, 7)).astype(np.uint8)


def saved(folder, kind, labels):
    """Write labels in one of the ways that files come; return the path."""
    path = folder / {"slices": "slices", "pattern": "slices"}.get(kind, f"scan.{kind.split()[-1]}")
    if kind in ("slices", "pattern"):
        path.mkdir()
        for z, plane in enumerate(GREYS[labels]):
            tifffile.imwrite(path / f"s{z}.tif", plane)
        return path if kind == "slices" else str(path / "*.tif")
    if kind == "compressed tif":
        tifffile.imwrite(path, GREYS[labels], compression="zlib", photometric="minisblack")
    elif kind == "big-endian tif":
        tifffile.imwrite(path, GREYS[labels].astype(np.uint16), byteorder=">", photometric="minisblack")
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("a/b", data=GREYS[labels][None], chunks=(1, 2, 3, 3)).attrs["element_size_um"] = [
                0.5
            ] * 3
        return f"{path}:/a/b"
    else:
        io.write(Volume(labels, NAMES, 0.5), path)
    return path


KINDS = ["tif", "compressed tif", "big-endian tif", "npy", "zarr", "vti", "h5", "slices", "pattern"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_memory", [0, 2**31], ids=["stored", "read"])
def test_every_kind_of_file_gives_the_same_crops(tmp_path, labels, kind, in_memory):
    found = io.open_labels(saved(tmp_path, kind, labels), phases=NAMES, in_memory=in_memory)
    (image,) = found.images
    assert found.phase_map.names == NAMES
    assert isinstance(image, io.StoredLabels) == (in_memory == 0)
    assert (image.shape, image.ndim, image.size, image.dtype) == (labels.shape, 3, labels.size, np.uint8)
    for window in (np.s_[:, :, :], np.s_[1:4, 2:5, 0:7], np.s_[2, 0:3, 1:4], np.s_[0:2, 4, :], np.s_[5:6, 1:2, 3]):
        np.testing.assert_array_equal(image[window], labels[window])
        assert image[window].dtype == np.uint8
    assert found.spacings[0] in (None, (0.5, 0.5, 0.5))


@pytest.mark.parametrize("in_memory", [0, 2**31], ids=["stored", "read"])
def test_images_of_one_material_share_their_phases(tmp_path, in_memory):
    # The second lacks a phase, and the third has another size.
    images = [np.array([[0, 128], [255, 0]]), np.array([[0, 255], [255, 0]]), np.array([[128, 255, 0]] * 4)]
    paths = [tmp_path / f"{k}.tif" for k in range(3)]
    for path, image in zip(paths, images, strict=True):
        tifffile.imwrite(path, image.astype(np.uint8), photometric="minisblack")
    found = io.open_labels(paths, phases=NAMES, in_memory=in_memory)
    assert found.phase_map == PhaseMap(NAMES, (0, 128, 255))
    assert [image[:, :].tolist() for image in found.images] == [[[0, 1], [2, 0]], [[0, 2], [2, 0]], [[1, 2, 0]] * 4]
    assert found.spacings == (None,) * 3
    assert io.open_labels(paths, voxel_size=0.1).spacings == ((0.1, 0.1, 0.1),) * 3


@pytest.mark.parametrize("in_memory", [0, 2**31], ids=["stored", "read"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"values 0 .*, 100 .*, which are neither labels"),
        ({"mapping": {0: "pore"}}, r"\(0 = pore\). Received: 3 other voxels"),
        ({"phases": ("a", "b", "c")}, "one name per grey value. Received: 3 names"),
        ({"phases": PhaseMap(("a", "b"))}, r"\(0 = a, 1 = b\). Received: 3 other voxels"),
        ({"mapping": {}}, "`mapping` must be a dict"),
    ],
)
def test_values_are_checked_before_anything_is_taken(tmp_path, in_memory, options, message):
    np.save(tmp_path / "a.npy", np.array([[0, 100], [100, 100]]))
    with pytest.raises(ValueError, match=message):
        io.open_labels(tmp_path / "a.npy", in_memory=in_memory, **options)


def test_the_image_that_holds_an_unknown_value_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, 1]]))
    np.save(tmp_path / "b.npy", np.array([[0, 7]]))
    with pytest.raises(ValueError, match=r"b.npy: Every grey value .* Received: 1 other voxels, of the values 7\."):
        io.open_labels([tmp_path / "a.npy", tmp_path / "b.npy"], mapping={0: "pore", 1: "solid"})


def test_a_grey_scale_scan_that_stays_in_its_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(256, dtype=np.uint8).reshape(16, 16))
    with pytest.raises(ValueError, match="a.npy: The image must be segmented.*256 different"):
        io.open_labels(tmp_path / "a.npy", in_memory=0)


@pytest.mark.parametrize("kind", ["tif", "npy", "h5"])
@pytest.mark.parametrize("in_memory", [0, 2**31], ids=["stored", "read"])
def test_a_file_cut_short_is_refused(tmp_path, kind, in_memory):
    path = str(saved(tmp_path, kind, np.zeros((20, 30, 40), np.uint8)))
    file = Path(path.removesuffix(":/a/b"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"scan\.\w+ must be"):
        io.open_labels(path, phases=NAMES, in_memory=in_memory)


def test_values_that_change_in_the_file_are_noticed(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, 1]], np.uint8))
    (image,) = io.open_labels(tmp_path / "a.npy", in_memory=0).images
    with open(tmp_path / "a.npy", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x09")
    with pytest.raises(ValueError, match="a.npy: Every grey value"):
        image[0:1, 0:2]


def test_a_lost_chunk_of_a_stored_zarr_folder_is_noticed(tmp_path, labels, monkeypatch):
    monkeypatch.setattr("kerasgan3d.io._zarr.CHUNK", 4)
    io.write(Volume(labels, NAMES), tmp_path / "v.zarr")
    next(path for path in (tmp_path / "v.zarr" / "0" / "c").rglob("*") if path.is_file()).unlink()
    with pytest.raises(ValueError, match="must be complete"):
        io.open_labels(tmp_path / "v.zarr", in_memory=0)


def test_a_slice_that_changes_is_noticed(tmp_path, labels):
    (image,) = io.open_labels(saved(tmp_path, "slices", labels), in_memory=0).images
    tifffile.imwrite(tmp_path / "slices" / "s3.tif", np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"s3.tif must stay as it was. Received: a slice of shape \(2, 2\)"):
        image[3, 0:2, 0:2]


def test_no_image(tmp_path):
    with pytest.raises(ValueError, match="There must be an image to read"):
        io.open_labels([])


def test_voxels_that_are_no_cubes_are_told_to_who_asks(tmp_path, labels):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("scan", data=labels).attrs["element_size_um"] = [0.5, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"cubic voxels. Received: z 0.5, y 0.25, x 0.25 µm"):
        io.open_labels(tmp_path / "a.h5")
    assert io.open_labels(tmp_path / "a.h5", cubic=False).spacings == ((0.5, 0.25, 0.25),)
    assert io.open_labels(tmp_path / "a.h5", voxel_size=0.5).spacings == ((0.5, 0.5, 0.5),)


def test_a_channel_axis_of_one_may_lie_anywhere(tmp_path, labels):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("0", data=GREYS[labels][:, None])
    axes = [{"name": name} for name in "zcyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    for in_memory in (0, 2**31):
        (image,) = io.open_labels(tmp_path / "a.zarr", phases=NAMES, in_memory=in_memory).images
        np.testing.assert_array_equal(image[1:4, 2, :], labels[1:4, 2])


# HDF5


def test_the_only_dataset_needs_no_name(tmp_path, labels):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/scan"] = labels
        file["group/times"] = np.arange(3)
    np.testing.assert_array_equal(io.read(tmp_path / "a.h5", phases=NAMES).labels, labels)
    assert io.read(f"{tmp_path / 'a.h5'}:/group/scan", phases=NAMES).phases == NAMES


def test_one_of_several_datasets_must_be_named(tmp_path, labels):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["grey"] = labels
        file["labels"] = labels
    with pytest.raises(ValueError, match=r"must hold one dataset.*a.h5:/group/dataset. Received: .*/grey, /labels"):
        io.read(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"must hold the dataset /no. Received: none of that name; .*/grey, /labels"):
        io.read(f"{tmp_path / 'a.h5'}:/no")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no dataset of two or three axes"),
        ({"a": np.zeros((2, 2, 2), "float32")}, "must hold integer labels. Received: float32"),
        ({"a": np.zeros((2, 2, 2, 2), "uint8")}, "2D or 3D image"),
    ],
    ids=["empty", "floats", "four axes"],
)
def test_other_datasets_are_refused(tmp_path, content, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in content.items():
            file[name] = array
    with pytest.raises(ValueError, match=message):
        io.open_labels(tmp_path / "a.h5")


def test_what_is_no_hdf5_file_is_refused(tmp_path):
    (tmp_path / "a.h5").write_text("nothing of the kind")
    with pytest.raises(ValueError, match="a.h5 must be an HDF5 file"):
        io.open_labels(tmp_path / "a.h5")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        io.open_labels(f"{tmp_path / 'b.h5'}:/scan")


# Passes over large arrays


@pytest.mark.parametrize(("depth", "expected"), [(1, [3, 3, 1]), (2, [2, 2, 2, 1])])
def test_windows_cover_an_array_in_whole_chunks(monkeypatch, depth, expected):
    monkeypatch.setattr("kerasgan3d.io.lazy._BLOCK_BYTES", 60)
    array = np.arange(7 * 20).reshape(7, 4, 5).astype(np.uint8)

    class Chunked:
        shape, dtype = array.shape, array.dtype

    Chunked.depth = depth
    found = [array[window] for window in io.windows(Chunked)]
    assert [len(part) for part in found] == expected
    np.testing.assert_array_equal(np.concatenate(found), array)
