import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from kerasgan3d import io
from kerasgan3d.phases import PhaseMap
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")
FILES = ["v.tif", "v.tiff", "v.ome.tif", "v.npy", "v.zarr", "v.vti", "V.TIF"]


def real_data(name):
    path = Path(__file__).parents[2] / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path


@pytest.fixture
def labels():
    array = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    array.flags.writeable = False
    return array


@pytest.fixture
def volume(labels):
    return Volume(labels, NAMES, 0.398, (True, False, True), {"seed": 7, "by": 'µ "<&>'})


def assert_same(read, written):
    np.testing.assert_array_equal(read.labels, written.labels)
    for fact in ("phases", "voxel_size", "periodic", "provenance"):
        assert getattr(read, fact) == getattr(written, fact), fact


def save_tiff(path, array, **options):
    options.setdefault("photometric", "minisblack")
    options.setdefault("metadata", None)
    tifffile.imwrite(path, array, **options)
    return path


# What is written comes back


@pytest.mark.parametrize("name", FILES)
def test_round_trip(tmp_path, volume, name):
    io.write(volume, tmp_path / name)
    assert_same(io.read(tmp_path / name), volume)
    assert_same(io.read(str(tmp_path / name)), volume)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "shape", [(1, 5, 6), (4, 1, 6), (4, 5, 1), (1, 1, 6), (4, 1, 1), (1, 1, 1), (2, 3, 3), (3, 4, 4)], ids=str
)
def test_thin_volumes_keep_their_shape(tmp_path, name, shape):
    volume = Volume(np.resize([0, 1, 2], shape), NAMES, 0.065, True)
    io.write(volume, tmp_path / name)
    assert_same(io.read(tmp_path / name), volume)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "volume",
    [
        pytest.param(Volume(np.zeros((2, 3, 4), int), ("pore",)), id="one phase, no voxel size"),
        pytest.param(Volume(np.zeros((2, 3, 4), int), ("α, β=γ", "/<&>'\"")), id="strange names"),
        pytest.param(Volume(np.arange(255).reshape(3, 5, 17), voxel_size=1), id="255 phases"),
        pytest.param(Volume(np.zeros((2, 3, 4), int), voxel_size=1e-7), id="tiny voxels"),
        pytest.param(Volume(np.zeros((2, 3, 4), int), voxel_size=1 / 3), id="odd voxels"),
        pytest.param(Volume(np.zeros((2, 3, 4), int), voxel_size=123456.789), id="huge voxels"),
        pytest.param(Volume(np.eye(60, dtype=int)[None].repeat(3, 0)[:, ::2, ::-1]), id="labels in another order"),
    ],
)
def test_unusual_volumes_come_back(tmp_path, name, volume):
    volume = Volume(volume.labels, volume.phases, volume.voxel_size, provenance={"seed": 1})
    io.write(volume, tmp_path / name)
    assert_same(io.read(tmp_path / name), volume)


def test_many_blocks_and_chunks_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan3d.io._vti._VTI_BLOCK", 7)
    monkeypatch.setattr("kerasgan3d.io._zarr.CHUNK", 4)
    for shape in [(5, 6, 7), (7, 1, 1), (1, 2, 3)]:
        volume = Volume(np.resize([0, 0, 2, 1], shape), NAMES)
        for name in ("v.vti", "v.zarr"):
            io.write(volume, tmp_path / name)
            np.testing.assert_array_equal(io.read(tmp_path / name).labels, volume.labels)


@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.zarr", "v.vti"])
def test_writing_again_replaces_everything(tmp_path, volume, name):
    io.write(volume, tmp_path / name)
    before = sorted(path.name for path in tmp_path.iterdir())
    other = Volume(np.ones((2, 2, 2), int), ("a", "b"))
    io.write(other, tmp_path / name)
    np.testing.assert_array_equal(io.read(tmp_path / name).labels, other.labels)
    assert io.read(tmp_path / name).phases == ("a", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# How other programs see the files


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 5, 6), (4, 1, 6), (4, 5, 1), (1, 1, 1)], ids=str)
def test_tifffile_reads_the_same_array(tmp_path, shape):
    labels = np.resize([0, 1, 2], shape).astype(np.uint8)
    io.write(Volume(labels, NAMES, 0.398), tmp_path / "v.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "v.tif"), labels)
    assert tifffile.imread(tmp_path / "v.tif").shape == shape


def test_imagej_finds_a_calibrated_stack(tmp_path, volume):
    io.write(volume, tmp_path / "v.tif")
    with tifffile.TiffFile(tmp_path / "v.tif") as tif:
        imagej = tif.imagej_metadata
        assert {key: imagej[key] for key in ("unit", "spacing", "min", "max", "slices")} == {
            "unit": "micron",
            "spacing": 0.398,
            "min": 0,
            "max": 2,
            "slices": 4,
        }
        assert json.loads(imagej["Info"])["kerasgan3d"]["phases"] == list(NAMES)
        pixels, units = tif.pages[0].tags["XResolution"].value
        assert pixels / units == pytest.approx(1 / 0.398, rel=1e-6)
        assert tif.pages[0].tags["ResolutionUnit"].value == 1
        assert tif.pages[0].compression == 1


def test_a_volume_too_large_for_classic_tiff_becomes_ome_bigtiff(tmp_path, monkeypatch, volume):
    monkeypatch.setattr("kerasgan3d.io._tiff._CLASSIC_TIFF_BYTES", 100)
    io.write(volume, tmp_path / "v.tif")
    with tifffile.TiffFile(tmp_path / "v.tif") as tif:
        assert (tif.is_bigtiff, tif.is_ome) == (True, True)
        assert 'PhysicalSizeZ="0.398"' in tif.ome_metadata
        assert tif.asarray().shape == (4, 5, 6)
    assert_same(io.read(tmp_path / "v.tif"), volume)
    flat = Volume(np.ones((1, 20, 20), int), voxel_size=2, provenance={"seed": 1})
    io.write(flat, tmp_path / "v.tif")
    assert tifffile.imread(tmp_path / "v.tif").shape == (1, 20, 20)
    assert_same(io.read(tmp_path / "v.tif"), flat)


def test_numpy_reads_the_array_and_json_the_rest(tmp_path, volume):
    io.write(volume, tmp_path / "v.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), volume.labels)
    record = json.loads((tmp_path / "v.npy.json").read_text())["kerasgan3d"]
    assert (record["phases"], record["voxel_size"], record["periodic"]) == (list(NAMES), 0.398, [True, False, True])


def test_zarr_is_an_ome_zarr_image(tmp_path, volume):
    io.write(volume, tmp_path / "v.zarr")
    group = zarr.open_group(tmp_path / "v.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert image["axes"] == [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    assert image["datasets"] == [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.398, 0.398, 0.398]}]}
    ]
    assert group["0"].metadata.dimension_names == ("z", "y", "x")
    np.testing.assert_array_equal(group["0"][...], volume.labels)


def test_vti_has_one_cell_per_voxel_x_first(tmp_path, volume):
    io.write(volume, tmp_path / "v.vti")
    head = (tmp_path / "v.vti").read_bytes().partition(b"<AppendedData")[0].decode()
    assert 'WholeExtent="0 6 0 5 0 4" Origin="0 0 0" Spacing="0.398 0.398 0.398"' in head
    assert '<CellData Scalars="phase"><DataArray type="UInt8" Name="phase"' in head
    codes = " ".join(str(ord(letter)) for letter in "pore\0NMC\0CBD\0")
    assert f'<DataArray type="String" Name="phases" NumberOfTuples="3" format="ascii">{codes}</DataArray>' in head
    assert 'Name="periodic_zyx" NumberOfTuples="3" format="ascii">1 0 1<' in head


# What other programs did to our files


def edited(path, array, **changes):
    """Save an array as Fiji would after working on our file at `path`: the note stays, calibration may change."""
    with tifffile.TiffFile(path) as tif:
        metadata = {key: tif.imagej_metadata[key] for key in ("Info", "unit", "spacing")} | {"axes": "ZYX"}
        pixels, units = tif.pages[0].tags["XResolution"].value
    edge = changes.pop("edge", units / pixels)
    metadata |= {"spacing": edge}
    save_tiff(path, array, imagej=True, metadata=metadata, resolution=(1 / edge, 1 / edge))


def test_a_volume_cropped_elsewhere_is_no_longer_periodic(tmp_path, volume):
    io.write(volume, tmp_path / "v.tif")
    edited(tmp_path / "v.tif", volume.labels[:, :4])
    crop = io.read(tmp_path / "v.tif")
    assert (crop.phases, crop.periodic, crop.voxel_size) == (NAMES, (False,) * 3, 0.398)


def test_a_calibration_corrected_elsewhere_holds(tmp_path, volume):
    io.write(volume, tmp_path / "v.tif")
    edited(tmp_path / "v.tif", volume.labels, edge=0.4)
    corrected = io.read(tmp_path / "v.tif")
    assert (corrected.voxel_size, corrected.periodic) == (0.4, volume.periodic)


def test_grey_values_changed_elsewhere_are_refused(tmp_path, volume):
    io.write(volume, tmp_path / "v.tif")
    edited(tmp_path / "v.tif", volume.labels * np.uint8(100))
    with pytest.raises(ValueError, match=r"v\.tif: Every grey value must belong to a phase \(0 = pore, 1 = NMC"):
        io.read(tmp_path / "v.tif")
    mapping = {0: "pore", 100: "NMC", 200: "CBD"}
    np.testing.assert_array_equal(io.read(tmp_path / "v.tif", mapping=mapping).labels, volume.labels)


@pytest.mark.parametrize(
    "change",
    [{"phases": 5}, {"phases": ["a"]}, {"periodic": "yes"}, {"voxel_size": "large"}, {"provenance": []}],
    ids=str,
)
def test_a_damaged_note_is_refused(tmp_path, volume, change):
    io.write(volume, tmp_path / "v.npy")
    note = json.loads((tmp_path / "v.npy.json").read_text())
    note["kerasgan3d"] |= change
    (tmp_path / "v.npy.json").write_text(json.dumps(note))
    with pytest.raises(ValueError, match=r"v\.npy: "):
        io.read(tmp_path / "v.npy")


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"kerasgan3d": 5}', "5"])
def test_a_note_of_somebody_else_is_ignored(tmp_path, labels, note):
    np.save(tmp_path / "v.npy", labels)
    (tmp_path / "v.npy.json").write_text(note)
    assert io.read(tmp_path / "v.npy").phases == ("phase 0", "phase 1", "phase 2")


# Arguments win


@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.zarr", "v.vti"])
def test_arguments_win_over_the_file(tmp_path, volume, name):
    io.write(volume, tmp_path / name)
    read = io.read(tmp_path / name, phases=("a", "b", "c"), voxel_size=2)
    assert (read.phases, read.voxel_size) == (("a", "b", "c"), 2.0)
    np.testing.assert_array_equal(read.labels, volume.labels)
    swapped = io.read(tmp_path / name, mapping={2: "CBD", 1: "NMC", 0: "pore"})
    assert swapped.phases == ("CBD", "NMC", "pore")
    np.testing.assert_array_equal(swapped.labels, 2 - volume.labels)


@pytest.mark.parametrize("voxel_size", [0, -1, float("nan"), "small"])
def test_a_bad_voxel_size_is_refused(tmp_path, voxel_size):
    with pytest.raises(ValueError, match="`voxel_size` must be one positive number"):
        io.read(tmp_path / "v.tif", voxel_size=voxel_size)


# Files of others


GREYS = np.array([0, 128, 255], np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.int32])
@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.zarr"])
def test_foreign_files_are_read_by_their_greys(tmp_path, labels, name, dtype):
    image = GREYS[labels].astype(dtype)
    if name == "v.tif":
        save_tiff(tmp_path / name, image.astype(np.int16) if dtype == np.int32 else image)
    elif name == "v.npy":
        np.save(tmp_path / name, np.asfortranarray(image))
    else:
        zarr.save_array(tmp_path / name, image.astype(image.dtype.newbyteorder("=")))
    read = io.read(tmp_path / name, phases=NAMES)
    np.testing.assert_array_equal(read.labels, labels)
    assert (read.phases, read.voxel_size, read.periodic) == (NAMES, None, (False,) * 3)
    assert read.provenance == {"file": name}
    raw, voxel_size, metadata = io.read_image(tmp_path / name)
    np.testing.assert_array_equal(raw, image)
    assert (voxel_size, metadata) == (None, {})
    assert io.read(tmp_path / name, mapping={255: "c", 128: "b", 0: "a"}).phases == ("c", "b", "a")
    assert io.read(tmp_path / name, phases=PhaseMap(NAMES, (0, 128, 255))).phases == NAMES


def test_errors_about_greys_name_the_file(tmp_path, labels):
    save_tiff(tmp_path / "v.tif", labels * np.uint8(100))
    with pytest.raises(ValueError, match=r"v\.tif: The grey values must be known phases. Received: values 0 "):
        io.read(tmp_path / "v.tif")


def test_one_slice_can_be_trained_on_but_is_no_volume(tmp_path, labels):
    save_tiff(tmp_path / "slice.tif", GREYS[labels[0]], resolution=(1e4 / 0.065, 1e4 / 0.065), resolutionunit=3)
    image = io.read_labels(tmp_path / "slice.tif", NAMES)
    np.testing.assert_array_equal(image.labels, labels[0])
    assert image.phase_map == PhaseMap(NAMES, (0, 128, 255))
    assert image.voxel_size == 0.065
    with pytest.raises(ValueError, match=r"must hold a 3D volume .* Received: a 2D image \(5, 6\)"):
        io.read(tmp_path / "slice.tif")


def test_read_labels_of_a_volume(tmp_path, volume):
    io.write(volume, tmp_path / "v.tif")
    image = io.read_labels(tmp_path / "v.tif")
    np.testing.assert_array_equal(image.labels, volume.labels)
    assert (image.phase_map, image.voxel_size) == (PhaseMap(NAMES), 0.398)


@pytest.mark.parametrize(
    ("options", "voxel_size"),
    [
        pytest.param({"imagej": ("micron", 2.5)}, 0.4, id="ImageJ micron"),
        pytest.param({"imagej": ("\\u00B5m", 2.5)}, 0.4, id="ImageJ escaped µm"),
        pytest.param({"imagej": ("um", 2.512563)}, 0.398, id="ImageJ um, rounded by ImageJ"),
        pytest.param({"imagej": ("nm", 0.01)}, 0.1, id="ImageJ nm"),
        pytest.param({"imagej": ("mm", 100)}, 10, id="ImageJ mm"),
        pytest.param({"imagej": ("pixel", 1)}, None, id="ImageJ pixel"),
        pytest.param({"imagej": ("inch", 72)}, None, id="ImageJ at 72 dpi"),
        pytest.param({"resolution": (25000, 25000), "resolutionunit": 3}, 0.4, id="per centimetre"),
        pytest.param({"resolution": (63500, 63500), "resolutionunit": 2}, 0.4, id="per inch"),
        pytest.param({"resolution": (72, 72), "resolutionunit": 2}, None, id="72 dpi"),
        pytest.param({"resolution": (600, 600), "resolutionunit": 2}, None, id="600 dpi"),
        pytest.param({"resolution": (118, 118), "resolutionunit": 3}, None, id="300 dpi per centimetre"),
        pytest.param({"resolution": (2.5, 2.5), "resolutionunit": 1}, None, id="no unit"),
        pytest.param({"resolution": (1, 1), "resolutionunit": 3}, None, id="left at 1/1"),
        pytest.param({"ome": (0.4, "µm")}, 0.4, id="OME µm"),
        pytest.param({"ome": (400, "nm")}, 0.4, id="OME nm"),
        pytest.param({"ome": (0.4, "pixel")}, None, id="OME pixel"),
        pytest.param({"ome": (0, "µm")}, None, id="OME zero"),
    ],
)
def test_voxel_sizes_of_others(tmp_path, labels, options, voxel_size):
    path = tmp_path / "v.tif"
    if "imagej" in options:
        unit, resolution = options["imagej"]
        metadata = {"axes": "ZYX", "unit": unit, "spacing": 1 / resolution}
        save_tiff(path, labels, imagej=True, resolution=(resolution, resolution), metadata=metadata)
    elif "ome" in options:
        edge, unit = options["ome"]
        metadata = {"axes": "ZYX"} | {f"PhysicalSize{axis}": edge for axis in "XYZ"}
        metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"}
        save_tiff(path, labels, ome=True, metadata=metadata)
    else:
        save_tiff(path, labels, **options)
    assert io.read(path).voxel_size == voxel_size
    assert io.read(path, voxel_size=3).voxel_size == 3


@pytest.mark.parametrize(
    ("spacing", "resolution", "edges"), [(1.0, (2.5, 2.5), "z 1, y 0.4, x 0.4"), (0.4, (2.5, 5), "z 0.4, y 0.2, x 0.4")]
)
def test_voxels_that_are_no_cubes_are_refused(tmp_path, labels, spacing, resolution, edges):
    metadata = {"axes": "ZYX", "unit": "micron", "spacing": spacing}
    path = save_tiff(tmp_path / "v.tif", labels, imagej=True, resolution=resolution, metadata=metadata)
    with pytest.raises(ValueError, match=f"must have cubic voxels. Received: {edges} µm"):
        io.read(path)
    assert io.read(path, voxel_size=0.4).voxel_size == 0.4
    _, voxel_size, metadata = io.read_image(path)
    assert voxel_size is None
    assert metadata["spacing"] == (spacing, 1 / resolution[1], 1 / resolution[0])


def ome_zarr(path, array, axes, scale, version="0.5"):
    """Write an OME-Zarr image as other programs do: also with axes of length one, also in the format of before."""
    multiscales = [
        {
            "axes": [{"name": name, "type": "space", "unit": unit} for name, unit in axes],
            "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
        }
    ]
    if version == "0.5":
        group = zarr.create_group(path, zarr_format=3, attributes={"ome": {"multiscales": multiscales}})
    else:
        group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": multiscales})
    group.create_array("s0", shape=array.shape, dtype=array.dtype)[...] = array


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_of_others(tmp_path, labels, version):
    axes = [("t", "second"), ("c", ""), ("z", "nanometer"), ("y", "nanometer"), ("x", "nanometer")]
    ome_zarr(tmp_path / "v.zarr", GREYS[labels][None, None], axes, [1, 1, 65, 65, 65], version)
    read = io.read(tmp_path / "v.zarr")
    np.testing.assert_array_equal(read.labels, labels)
    assert read.voxel_size == pytest.approx(0.065)


def test_zarr_channels_are_refused(tmp_path, labels):
    axes = [("c", ""), ("z", "micrometer"), ("y", "micrometer"), ("x", "micrometer")]
    ome_zarr(tmp_path / "v.zarr", np.stack([labels, labels]), axes, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="must have the axes z, y, x. Received: c of 2 too"):
        io.read(tmp_path / "v.zarr")


# Folders of slices


def slices(folder, images, names):
    folder.mkdir()
    for image, name in zip(images, names, strict=True):
        save_tiff(folder / name, image)


@pytest.mark.parametrize("names", [["s8.tif", "s9.TIF", "s10.tiff", "s11.tif"], ["8.tif", "9.tif", "10.tif", "11.tif"]])
def test_slices_are_stacked_in_natural_order(tmp_path, labels, names):
    slices(tmp_path / "scan", GREYS[labels], names)
    (tmp_path / "scan" / "notes.txt").write_text("not a slice")
    (tmp_path / "scan" / "._s1.tif").write_bytes(b"what some systems leave beside a file")
    np.testing.assert_array_equal(io.read(tmp_path / "scan").labels, labels)
    np.testing.assert_array_equal(io.read(tmp_path / "scan" / "*[0-9].[tT]*").labels, labels)


def test_slices_of_different_sizes_are_refused_by_name(tmp_path, labels):
    slices(tmp_path / "scan", [*labels, labels[0, :4]], [f"{k}.tif" for k in range(5)])
    with pytest.raises(ValueError, match=r"one size and type. Received: 0.tif, \(5, 6\) uint8, but 4.tif, \(4, 6\)"):
        io.read(tmp_path / "scan")


def test_volumes_are_no_slices(tmp_path, labels):
    slices(tmp_path / "scan", [labels], ["v.tif"])
    with pytest.raises(ValueError, match=r"Slices must be 2D images. Received: .*v.tif, shape \(4, 5, 6\)"):
        io.read(tmp_path / "scan")


@pytest.mark.parametrize("path", ["empty", "empty/*.tif"])
def test_nothing_to_stack(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="There must be TIFF slices .* where there are none"):
        io.read(tmp_path / path)


# Files that cannot be read


@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.zarr", "v.vti", "v.png", "folder"])
def test_missing_files(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"must be a file or folder to read. Received: .*{name}"):
        io.read(tmp_path / name)


def test_unknown_kinds_of_files(tmp_path):
    (tmp_path / "v.xyz").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"must end in one of .tif, .*, .vti, .h5, .*, or be a folder"):
        io.read(tmp_path / "v.xyz")


@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.vti"])
@pytest.mark.parametrize("content", [b"", b"II", b"no image at all", b"\x93NUMPY\x01\x00\x10\x00{}", b"<VTKFile/>"])
def test_other_bytes_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} must be a.* Received: ") as caught:
        io.read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "v.tif",
            np.zeros((5, 6), np.float32),
            "must hold integer labels. Received: float32.*Convert it to 8-bit labels",
        ),
        ("v.tif", np.zeros((5, 6), np.complex64), "Received: complex64"),
        ("v.npy", np.zeros((4, 5, 6)), "must hold integer labels. Received: float64"),
        ("v.npy", np.zeros(7, np.uint8), r"2D or 3D image that is not empty. Received: shape \(7,\)"),
        ("v.npy", np.zeros((2, 3, 4, 5), np.uint8), r"Received: shape \(2, 3, 4, 5\)"),
        ("v.npy", np.zeros((2, 0, 4), np.uint8), r"Received: shape \(2, 0, 4\)|cannot mmap|must be a NumPy array"),
        ("v.npy", np.array([{}], object), "must be a NumPy array file"),
        ("v.npy", np.array(["a"]), "must hold integer labels. Received: <U1"),
    ],
    ids=["float", "complex", "float npy", "1D", "4D", "empty", "pickle", "text"],
)
def test_other_arrays_are_refused(tmp_path, name, array, message):
    if name == "v.tif":
        save_tiff(tmp_path / name, array)
    else:
        np.save(tmp_path / name, array)
    with pytest.raises(ValueError, match=message):
        io.read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 6, 3), {"photometric": "rgb"}, "one grey value per voxel. Received: 3 channels"),
        ((4, 5, 6, 3), {"photometric": "rgb"}, "Received: 3 channels"),
        ((4, 2, 5, 6), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "Received: 2 channels"),
        ((3, 4, 5, 6), {"imagej": True, "metadata": {"axes": "TZYX"}}, r"2D or 3D .* Received: shape \(3, 4, 5, 6\)"),
    ],
    ids=["colour", "colour stack", "channels", "time series"],
)
def test_other_axes_are_refused(tmp_path, shape, options, message):
    save_tiff(tmp_path / "v.tif", np.zeros(shape, np.uint8), **options)
    with pytest.raises(ValueError, match=message):
        io.read_image(tmp_path / "v.tif")


def test_several_images_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "v.tif") as tif:
        tif.write(np.zeros((5, 6), np.uint8), metadata=None)
        tif.write(np.zeros((7, 8), np.uint8), metadata=None)
    with pytest.raises(ValueError, match=r"must hold one image. Received: 2, of shapes \(5, 6\), \(7, 8\)"):
        io.read_image(tmp_path / "v.tif")


def test_a_numpy_archive_is_no_array(tmp_path, labels):
    np.savez(tmp_path / "v.npz", labels)
    (tmp_path / "v.npz").rename(tmp_path / "v.npy")
    with pytest.raises(ValueError, match="must be a NumPy array file.* Received: .*an archive of arrays"):
        io.read(tmp_path / "v.npy")


@pytest.mark.parametrize("name", ["v.tif", "v.ome.tif", "v.npy", "v.vti", "foreign.tif", "packed.tif"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.9])
def test_truncated_files_are_refused(tmp_path, name, share):
    labels = np.random.default_rng(0).integers(0, 3, (8, 40, 50)).astype(np.uint8)
    if name in ("foreign.tif", "packed.tif"):
        save_tiff(tmp_path / name, labels, compression="zlib" if name == "packed.tif" else None)
    else:
        io.write(Volume(labels, NAMES), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{name} must be "):
        io.read(tmp_path / name)


def test_damaged_vti_data_are_refused(tmp_path, volume):
    io.write(volume, tmp_path / "v.vti")
    content = bytearray((tmp_path / "v.vti").read_bytes())
    content[content.index(b"_", content.index(b"<AppendedData")) + 1 + 32 + 20] ^= 0xFF
    (tmp_path / "v.vti").write_bytes(content)
    with pytest.raises(ValueError, match="complete and undamaged"):
        io.read(tmp_path / "v.vti")


def test_vti_files_of_others_are_refused(tmp_path):
    (tmp_path / "v.vti").write_text('<VTKFile type="ImageData"><ImageData WholeExtent="0 1 0 1 0 1"/></VTKFile>')
    with pytest.raises(ValueError, match="as kerasgan3d writes it.*no cell data named phase"):
        io.read(tmp_path / "v.vti")


def test_a_lost_zarr_chunk_is_not_phase_0(tmp_path, volume):
    io.write(volume, tmp_path / "v.zarr")
    (tmp_path / "v.zarr" / "0" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(ValueError, match="must be complete. Received: a volume with missing chunks"):
        io.read(tmp_path / "v.zarr")


@pytest.mark.parametrize("lost", ["zarr.json", "0"])
def test_incomplete_zarr_folders_are_refused(tmp_path, volume, lost):
    io.write(volume, tmp_path / "v.zarr")
    (shutil.rmtree if lost == "0" else Path.unlink)(tmp_path / "v.zarr" / lost)
    with pytest.raises(ValueError, match=r"v.zarr must be a Zarr"):
        io.read(tmp_path / "v.zarr")


def test_a_zarr_group_without_an_image_is_refused(tmp_path):
    zarr.create_group(tmp_path / "v.zarr").create_array("mask", shape=(2, 2, 2), dtype="uint8")
    with pytest.raises(ValueError, match="must be an OME-Zarr image .* Received: a group of mask"):
        io.read(tmp_path / "v.zarr")


def test_missing_codecs_are_named(tmp_path, labels, monkeypatch):
    def refuse(series):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    save_tiff(tmp_path / "v.tif", labels)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(ValueError, match="needs one more package: pip install imagecodecs.*LZW"):
        io.read(tmp_path / "v.tif")


# Places that cannot be written to


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("v.png", ValueError, "must end in one of .tif, .tiff, .npy, .zarr, .vti. Received: .*v.png"),
        ("v", ValueError, "must end in one of"),
        ("missing/v.tif", FileNotFoundError, "must exist; make it first. Received: .*missing"),
        ("file/v.tif", NotADirectoryError, "must be a folder. Received: .*file, a file"),
        ("folder.tif", IsADirectoryError, "must not be a folder. Received: .*folder.tif"),
        ("folder.zarr", FileExistsError, "must be a Zarr folder to be replaced"),
        ("file.zarr", FileExistsError, "must be a Zarr folder to be replaced"),
    ],
)
@pytest.mark.parametrize("call", ["check", "write"])
def test_impossible_places_are_refused(tmp_path, volume, path, error, message, call):
    for name in ("file", "file.zarr"):
        (tmp_path / name).write_text("precious")
    for name in ("folder.tif", "folder.zarr"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder.zarr" / "precious").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        io.check_writable(tmp_path / path) if call == "check" else io.write(volume, tmp_path / path)
    assert sorted(tmp_path.rglob("*")) == before


def test_folders_that_refuse_files(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OSError, match="must be possible to write to the folder .*Read-only file system"):
        io.check_writable(tmp_path / "v.tif")


@pytest.mark.parametrize("name", ["v.tif", "v.npy", "v.zarr", "v.vti"])
def test_existing_files_are_kept_on_request(tmp_path, volume, name):
    assert io.check_writable(tmp_path / name, overwrite=False) == tmp_path / name
    assert list(tmp_path.iterdir()) == []
    io.write(volume, tmp_path / name, overwrite=False)
    for call in (
        lambda: io.check_writable(tmp_path / name, overwrite=False),
        lambda: io.write(Volume(np.zeros((1, 1, 1), int)), tmp_path / name, overwrite=False),
    ):
        with pytest.raises(FileExistsError, match=f"{name} exists already"):
            call()
    assert_same(io.read(tmp_path / name), volume)


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("v.tif", "tifffile.imwrite"),
        ("v.npy", "numpy.save"),
        ("v.zarr", "zarr.Array.__setitem__"),
        ("v.vti", "zlib.compress"),
    ],
)
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, volume, name, broken, existing):
    def fill_the_disk(target, *_, **__):
        if name == "v.tif":
            Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    if existing:
        io.write(volume, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(broken, fill_the_disk)
        with pytest.raises(OSError, match=f"{name} could not be written whole.*No space left"):
            io.write(Volume(np.ones((2, 2, 2), int)), tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    if existing:
        assert_same(io.read(tmp_path / name), volume)


def test_a_short_write_asks_about_the_disk(tmp_path, monkeypatch, volume):
    def stop_short(*_, **__):
        raise OSError("262144 requested and 98176 written")

    monkeypatch.setattr("numpy.save", stop_short)
    with pytest.raises(OSError, match="v.npy could not be written whole.*room on the disk.*98176 written") as error:
        io.write(volume, tmp_path / "v.npy")
    assert str(error.value).count("could not be written") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_stay_what_they_are(tmp_path, monkeypatch, volume):
    def refuse(target, *_, **__):
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr("tifffile.imwrite", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        io.write(volume, tmp_path / "v.tif")


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path, monkeypatch, volume):
    io.write(volume, tmp_path / "v.zarr")
    replace = os.replace

    def fail_once(source, target):
        if Path(target).name == "v.zarr" and (Path(source) / "0" / "zarr.json").read_text().count('"shape": [\n    2,'):
            raise OSError("moved in between")
        replace(source, target)

    monkeypatch.setattr("os.replace", fail_once)
    with pytest.raises(OSError, match="moved in between"):
        io.write(Volume(np.ones((2, 2, 2), int)), tmp_path / "v.zarr")
    assert_same(io.read(tmp_path / "v.zarr"), volume)
    assert [path.name for path in tmp_path.iterdir()] == ["v.zarr"]


def test_a_link_stays_a_link(tmp_path, volume):
    (tmp_path / "disk").mkdir()
    (tmp_path / "v.tif").symlink_to(tmp_path / "disk" / "v.tif")
    io.write(volume, tmp_path / "v.tif")
    assert (tmp_path / "v.tif").is_symlink()
    assert_same(io.read(tmp_path / "disk" / "v.tif"), volume)


def test_only_volumes_are_written(tmp_path, labels):
    with pytest.raises(ValueError, match="Only a Volume can be written. Received: ndarray"):
        io.write(labels, tmp_path / "v.tif")


# Probabilities


@pytest.fixture
def probabilities():
    return np.random.default_rng(0).dirichlet(np.ones(3), (4, 5, 6)).astype(np.float32)


def test_probabilities_become_channels(tmp_path, probabilities):
    io.write_probabilities(probabilities, tmp_path / "p.tif", NAMES, 0.398)
    with tifffile.TiffFile(tmp_path / "p.tif") as tif:
        assert tif.series[0].axes == "ZCYX"
        np.testing.assert_array_equal(tif.asarray(), np.moveaxis(probabilities, -1, 1))
        imagej = tif.imagej_metadata
        assert (imagej["channels"], imagej["spacing"], imagej["unit"]) == (3, 0.398, "micron")
        assert imagej["Labels"][:4] == ["pore", "NMC", "CBD", "pore"]
    with pytest.raises(ValueError, match="channels"):
        io.read(tmp_path / "p.tif")


def test_probabilities_as_numpy(tmp_path, probabilities):
    io.write_probabilities(probabilities.astype(np.float64), tmp_path / "p.npy", PhaseMap(NAMES))
    stored = np.load(tmp_path / "p.npy")
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, probabilities)
    assert json.loads((tmp_path / "p.npy.json").read_text())["kerasgan3d"]["phases"] == list(NAMES)


@pytest.mark.parametrize("shape", [(1, 5, 6, 2), (4, 5, 1, 2), (4, 5, 6, 1), (1, 1, 1, 1)], ids=str)
def test_thin_probabilities(tmp_path, shape):
    probabilities = np.full(shape, 1 / shape[-1], np.float32)
    io.write_probabilities(probabilities, tmp_path / "p.tif", NAMES[: shape[-1]], 0.398)
    assert tifffile.imread(tmp_path / "p.tif").size == probabilities.size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: (p[0], NAMES), r"floating-point array \(z, y, x, n\). Received: float32 \(5, 6, 3\)"),
        (lambda p: (p.argmax(-1)[..., None], ("a",)), "Received: int64"),
        (lambda p: (p, NAMES[:2]), r"one name per channel. Received: 3 channels and 2 names \(pore, NMC\)"),
        (lambda p: (p * 255, NAMES), "must lie in 0 to 1. Received: "),
        (lambda p: (p * np.nan, NAMES), "Received: nan to nan"),
    ],
    ids=["3D", "labels", "names", "range", "NaN"],
)
def test_bad_probabilities_are_refused(tmp_path, probabilities, change, message):
    array, names = change(probabilities)
    with pytest.raises(ValueError, match=message):
        io.write_probabilities(array, tmp_path / "p.tif", names)
    assert list(tmp_path.iterdir()) == []


def test_probabilities_have_fewer_formats(tmp_path, probabilities):
    with pytest.raises(ValueError, match=r"must end in one of .tif, .tiff, .npy. Received: .*p.vti"):
        io.write_probabilities(probabilities, tmp_path / "p.vti", NAMES)
    with pytest.raises(ValueError, match="must end in one of"):
        io.check_writable(tmp_path / "p.zarr", suffixes=io.PROBABILITY_SUFFIXES)


# Real data


def test_the_cathode_is_read():
    volume = io.read(real_data("nrel-nmc-1-cal-cbd-bridge.tif"), phases=NAMES, voxel_size=0.398)
    assert volume.shape == (251, 301, 301)
    assert volume.fractions == pytest.approx([0.401, 0.499, 0.100], abs=6e-4)


def test_the_anode_slice_is_read():
    image = io.read_labels(real_data("netl-sofc-anode-z050.tif"), ("pore", "Ni", "YSZ"))
    assert image.labels.shape == (1697, 1900)
    assert image.phase_map.greys == (0, 128, 255)
    assert image.voxel_size is None
