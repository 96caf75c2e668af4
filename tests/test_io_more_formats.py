"""The formats that are only read: each at once and lazily, with what it states, or refused in one line."""

import bz2
import gzip
import io as std
import os
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import zarr
from click.testing import CliRunner
from PIL import Image

from kerasgan3d import io
from kerasgan3d.cli import main

LABELS = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
GREYS = np.array([0, 127, 255], np.uint8)[LABELS]
META = "ObjectType = Image\nNDims = {n}\nDimSize = {size}\nElementType = {kind}\n{more}ElementDataFile = {file}\n"
MATLAB = b"MATLAB 5.0 MAT-file, Platform: PCWIN64, Created on: Mon Nov 30 00:00:00 2026"


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def meta(array, more="", kind="MET_UCHAR", data=None, file="LOCAL", name="v.mha", size=None):
    size = size or " ".join(map(str, array.shape[::-1]))
    head = META.format(n=array.ndim, size=size, kind=kind, more=more, file=file).encode()
    Path(name).write_bytes(head + (array.tobytes() if data is None else data) * (file == "LOCAL"))
    if file != "LOCAL" and not Path(file).exists():
        Path(file).write_bytes(array.tobytes() if data is None else data)
    return name


def nrrd(array, *lines, kind="uint8", data=None, encoding="raw", name="v.nrrd"):
    sizes = " ".join(map(str, array.shape[::-1]))
    head = ["NRRD0004", f"type: {kind}", f"dimension: {array.ndim}", f"sizes: {sizes}", f"encoding: {encoding}", *lines]
    attached = not any(line.startswith("data file") for line in lines)
    Path(name).write_bytes(
        "\n".join(head + [""] + [""] * attached).encode() + (array.tobytes() if data is None else data) * attached
    )
    return name


def raw(array, said):
    Path("v.raw").write_bytes(array.tobytes())
    return f"v.raw:{said}"


def npz(save=np.savez, name="", **arrays):
    save("v.npz", **arrays)
    return f"v.npz{name}"


def mat(by_matlab=False, name="", compressed=False, **arrays):
    scipy.io.savemat("v.mat", arrays, do_compression=compressed)
    content = Path("v.mat").read_bytes()
    if by_matlab:
        Path("v.mat").write_bytes(MATLAB.ljust(124) + content[124:])
    return f"v.mat{name}"


def mat73(array, **others):
    with h5py.File("v.mat", "w", userblock_size=512) as file:
        for key, values in {"labels": array, **others}.items():
            file.create_dataset(key, data=np.asarray(values).T).attrs["MATLAB_class"] = np.bytes_("uint8")
        file.create_group("#refs#").create_dataset("a", data=np.zeros((3, 3), np.uint8))
    return "v.mat"


def netcdf(array=GREYS, dims="zyx", step=0.4, units="um", name="", **attributes):
    with h5py.File("v.nc", "w") as file:
        node = file.create_dataset("labels", data=array)
        node.attrs.update(attributes)
        for axis, (letter, n) in enumerate(zip(dims, array.shape, strict=True)):
            scale = file.create_dataset(letter, data=np.arange(n) * step)
            scale.attrs["units"] = units
            scale.make_scale(letter)
            node.dims[axis].attach_scale(scale)
    return f"v.nc{name}"


def netcdf3(array, unsigned=None):
    with scipy.io.netcdf_file("v.nc", "w") as file:
        for letter, n in zip("zyx", array.shape, strict=True):
            file.createDimension(letter, n)
            scale = file.createVariable(letter, "f8", (letter,))
            scale[:], scale.units = np.arange(n) * 0.4, "um"
        variable = file.createVariable("labels", array.dtype, tuple("zyx"))
        variable[:] = array
        if unsigned:
            variable._Unsigned = unsigned
    return "v.nc"


def xarray_group(names, axis_names):
    group = zarr.create_group("v.zarr", zarr_format=2)
    shape = [GREYS.shape["zyx".index(name)] for name in names]
    array = group.create_array("labels", shape=shape, dtype="uint8", chunks=(2, 2, 2))
    array[:] = GREYS.transpose(["zyx".index(name) for name in names])
    array.attrs["_ARRAY_DIMENSIONS"] = axis_names
    for name, n in zip(axis_names, shape, strict=True):
        scale = group.create_array(name, shape=(n,), dtype="f8")
        scale[:] = np.arange(n) * 0.0004
        scale.attrs.update({"_ARRAY_DIMENSIONS": [name], "units": "mm"})
    return "v.zarr"


def dream3d(unit=None, spacing=(0.5,) * 3, more=(), name=""):
    with h5py.File("v.dream3d", "w") as file:
        cells = file.create_group("DataContainers/Image")
        facts = {"DIMENSIONS": LABELS.shape[::-1], "SPACING": spacing, **({"UNITS": np.bytes_(unit)} if unit else {})}
        for key, value in facts.items():
            cells[f"_SIMPL_GEOMETRY/{key}"] = value
        for key in ("Phases", *more):
            cells[f"CellData/{key}"] = GREYS[..., None].astype("i4")
        cells["CellData/EulerAngles"] = np.zeros((*LABELS.shape, 3), np.float32)
    return f"v.dream3d{name}"


def dream3d_nx():
    with h5py.File("v.dream3d", "w") as file:
        cells = file.create_group("DataStructure/Image")
        cells.attrs.update({"_DIMENSIONS": LABELS.shape[::-1], "_SPACING": (500.0,) * 3, "Length Unit": "Nanometer"})
        cells["Cell Data/Phases"] = GREYS[..., None]
    return "v.dream3d"


def pictures(suffix, make, **options):
    Path("slices").mkdir()
    for z, plane in enumerate(GREYS):
        make(plane).save(f"slices/s{z}.{suffix}", **options)
    return "slices"


def paletted(plane):
    """A picture whose palette turns the greys round; its values too."""
    image = Image.fromarray(255 - plane).convert("P")
    image.putdata((255 - plane).ravel().tolist())
    image.putpalette([255 - grey for grey in range(256) for _ in range(3)])
    return image


BIG, SMALL = GREYS.astype(">u2"), GREYS.astype("<i4")
CASES = {
    "mha": (lambda: meta(GREYS), None),
    "mha, no unit": (lambda: meta(GREYS, "ElementSpacing = 0.5 0.5 0.5\n"), None),
    "mha, unit": (lambda: meta(GREYS, "ElementSpacing = 0.5 0.5 0.5\nDistanceUnits = um\n"), 0.5),
    "mha, mm": (lambda: meta(GREYS, "ElementSize = 4e-4 4e-4 4e-4\nDistanceUnits = mm\n"), 0.4),
    "mha, big end": (lambda: meta(BIG, "BinaryDataByteOrderMSB = True\n", "MET_USHORT"), None),
    "mha, little end": (lambda: meta(SMALL, kind="MET_INT"), None),
    "mha, zlib": (lambda: meta(GREYS, "CompressedData = True\n", data=zlib.compress(GREYS.tobytes())), None),
    "mha, of one time": (lambda: meta(GREYS[None]), None),
    "mhd": (lambda: meta(GREYS, file="v.zraw", name="v.mhd"), None),
    "mhd, header": (
        lambda: meta(GREYS, "HeaderSize = 7\n", data=b"7 bytes" + GREYS.tobytes(), file="v.img", name="v.mhd"),
        None,
    ),
    "mhd, at the end": (
        lambda: meta(GREYS, "HeaderSize = -1\n", data=b"x" * 9 + GREYS.tobytes(), file="v.img", name="v.mhd"),
        None,
    ),
    "nrrd": (lambda: nrrd(GREYS), None),
    "nrrd, units": (lambda: nrrd(GREYS, "spacings: 0.5 0.5 0.5", 'units: "um" "um" "um"'), 0.5),
    "nrrd, directions": (
        lambda: nrrd(
            GREYS,
            "space dimension: 3",
            "space directions: (400,0,0) (0,-400,0) (0,0,400)",
            'space units: "nm" "nm" "nm"',
        ),
        0.4,
    ),
    "nrrd, big end": (lambda: nrrd(BIG, "endian: big", kind="unsigned short"), None),
    "nrrd, little end": (lambda: nrrd(SMALL, "endian: little", kind="signed int"), None),
    "nrrd, gzip": (lambda: nrrd(GREYS, data=gzip.compress(GREYS.tobytes()), encoding="gzip"), None),
    "nrrd, bzip2": (lambda: nrrd(GREYS, data=bz2.compress(GREYS.tobytes()), encoding="bz2"), None),
    "nrrd, text": (lambda: nrrd(GREYS, data=" ".join(map(str, GREYS.ravel())).encode(), encoding="text"), None),
    "nrrd, labels": (lambda: nrrd(np.ascontiguousarray(GREYS.transpose(2, 0, 1)), 'labels: "y" "z" "x"'), None),
    "nrrd, one channel": (lambda: nrrd(GREYS[..., None], "kinds: vector domain domain domain"), None),
    "nhdr": (
        lambda: Path("v.img").write_bytes(GREYS.tobytes()) and nrrd(GREYS, "data file: v.img", name="v.nhdr"),
        None,
    ),
    "raw": (lambda: raw(GREYS, "uint8,4x5x6"), None),
    "raw, big end": (lambda: raw(BIG, ">u2,4x5x6"), None),
    "raw, little end": (lambda: raw(GREYS.astype("<u2"), "uint16,4x5x6"), None),
    "raw, axes": (lambda: raw(np.ascontiguousarray(GREYS.T), "uint8,6x5x4,xyz"), None),
    "npz": (lambda: npz(labels=GREYS, x=np.arange(6), f=np.zeros((4, 5, 6))), None),
    "npz, packed": (lambda: npz(np.savez_compressed, labels=np.asfortranarray(GREYS)), None),
    "npz, named": (lambda: npz(name=":b", a=1 - GREYS, b=GREYS), None),
    "mat of SciPy": (lambda: mat(labels=GREYS, voxel=0.4), None),
    "mat of SciPy, axes": (lambda: mat(name=":labels,yxz", labels=GREYS.transpose(1, 2, 0)), None),
    "mat": (lambda: mat(True, labels=GREYS.transpose(1, 2, 0), voxel=0.4), None),
    "mat, packed": (lambda: mat(True, compressed=True, labels=GREYS.transpose(1, 2, 0)), None),
    "mat, axes": (lambda: mat(True, ":labels,zyx", labels=GREYS), None),
    "mat 7.3": (lambda: mat73(GREYS.transpose(1, 2, 0), voxel=[[1]]), None),
    "netcdf": (netcdf, 0.4),
    "netcdf, order": (lambda: netcdf(GREYS.transpose(2, 0, 1), "xzy", 400.0, "nm"), 0.4),
    "netcdf, no unit": (lambda: netcdf(units=""), None),
    "netcdf, other names": (lambda: netcdf(dims=["dim_0", "dim_1", "dim_2"]), None),
    "netcdf, named": (lambda: netcdf(name=":/labels"), 0.4),
    "netcdf 3": (lambda: netcdf3(GREYS.astype(">i2")), 0.4),
    "netcdf 3, unsigned": (lambda: netcdf3(GREYS.view(np.int8), "true"), 0.4),
    "xarray": (lambda: xarray_group("zyx", ["z", "y", "x"]), 0.4),
    "xarray, order": (lambda: xarray_group("xzy", ["width", "depth", "height"]), 0.4),
    "dream3d": (dream3d, None),
    "dream3d, unit": (lambda: dream3d("Micrometer"), 0.5),
    "dream3d, named": (lambda: dream3d(more=["FeatureIds"], name=":FeatureIds"), None),
    "dream3d nx": (dream3d_nx, 0.5),
    "png": (lambda: pictures("png", Image.fromarray), None),
    "png, dots": (lambda: pictures("png", Image.fromarray, dpi=(25400 / 0.4,) * 2), 0.4),
    "png, screen": (lambda: pictures("png", Image.fromarray, dpi=(300, 300)), None),
    "png, 16 bits": (lambda: pictures("png", lambda plane: Image.fromarray(plane.astype(np.uint16))), None),
    "png, colours of grey": (lambda: pictures("png", lambda plane: Image.fromarray(plane).convert("RGBA")), None),
    "png, palette": (lambda: pictures("png", paletted), None),
    "bmp": (lambda: pictures("bmp", Image.fromarray), None),
    "bmp, 24 bits": (lambda: pictures("bmp", lambda plane: Image.fromarray(plane).convert("RGB")), None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_read(case):
    make, size = CASES[case]
    path = make()
    volume = io.read(path)
    np.testing.assert_array_equal(volume.labels, LABELS)
    assert volume.voxel_size == size
    (stored,) = io.open_labels(path, in_memory=0).images
    for window in (np.s_[:, :, :], np.s_[1:3, 2:4, :], np.s_[:, 4, 1:5], np.s_[3:4, 0:1, 5]):
        np.testing.assert_array_equal(stored[window], LABELS[window])
    run = CliRunner().invoke(main, ["convert", path, "out.npy"], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    np.testing.assert_array_equal(np.load("out.npy"), LABELS)


def linked_mhd():
    os.symlink("/etc/passwd", "link.raw")
    return meta(GREYS, file="link.raw", name="v.mhd")


def short(make, share):
    path = make()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(share * len(content))])
    return path


def npz_bomb():
    buffer = std.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (1024, 1024, 512)})
    with zipfile.ZipFile("v.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as stream:
        stream.write(buffer.getvalue())
        for _ in range(32):
            stream.write(bytes(1 << 24))
    return "v.npz"


def huge_hdf5(name, key, **attributes):
    with h5py.File(name, "w") as file:
        file.create_dataset(key, shape=(2**40, 2**10, 2**10), dtype="u1", chunks=(1, 64, 64)).attrs.update(attributes)
    return name


def coloured():
    Image.fromarray(GREYS[0]).convert("RGB").point(lambda v: v).save("v.png")
    image = Image.open("v.png").copy()
    image.putpixel((0, 0), (255, 0, 0))
    image.save("v.png")
    return "v.png"


def external():
    Path("secret").write_bytes(bytes(120))
    with h5py.File("v.nc", "w") as file:
        file.create_dataset("labels", shape=(4, 5, 6), dtype="u1", external=[("secret", 0, 120)])
    return "v.nc"


PACKED = "CompressedData = True\n"
REFUSED = {
    "mha, edges that differ": (
        lambda: meta(GREYS, "ElementSpacing = 0.5 0.5 1\n"),
        "cubic voxels. Received: z 1, y 0.5, x 0.5 without a unit",
    ),
    "mha, turned": (lambda: meta(GREYS, "TransformMatrix = 0 1 0 1 0 0 0 0 1\n"), "axes in the order x, y, z"),
    "mha, oblique": (lambda: meta(GREYS, "TransformMatrix = 0.7 0.7 0 -0.7 0.7 0 0 0 1\n"), "axes along x, y, z"),
    "mha, channels": (lambda: meta(GREYS, "ElementNumberOfChannels = 3\n"), "one value per voxel. Received: 3"),
    "mha, float": (lambda: meta(GREYS.astype("f4"), kind="MET_FLOAT"), "integer labels. Received: float32"),
    "mha, time": (lambda: meta(np.stack([GREYS] * 2)), "of one moment"),
    "mha, short": (lambda: short(lambda: meta(GREYS), 0.8), "must be complete"),
    "mha, short zlib": (
        lambda: meta(GREYS, PACKED, data=zlib.compress(GREYS.tobytes())[:-20]),
        "where there should be 120",
    ),
    "mha, more": (
        lambda: meta(GREYS, PACKED, data=zlib.compress(bytes(1 << 20))),
        "more bytes where there should be 120",
    ),
    "mha, huge": (lambda: meta(GREYS, size=f"{2**62} {2**62} {2**62}"), "hold what it declares"),
    "mha, huge zlib": (lambda: meta(GREYS, PACKED, size=f"{2**20} {2**20} {2**20}"), "of packed data"),
    "mha, text": (lambda: meta(GREYS, "BinaryData = False\n"), "voxels written as text"),
    "mha, no header": (lambda: Path("v.mha").write_bytes(b"\0" * 99) and "v.mha", "a MetaImage file"),
    "mhd, elsewhere": (lambda: meta(GREYS, file="/etc/passwd", name="v.mhd"), "a plain file in the same folder"),
    "mhd, above": (lambda: meta(GREYS, file="../x.raw", name="v.mhd"), "a plain file in the same folder"),
    "mhd, link": (linked_mhd, "a plain file in the same folder. Received: 'link.raw'"),
    "mhd, list": (
        lambda: meta(GREYS, file="LIST", name="v.mhd") and os.remove("LIST") or "v.mhd",
        "a plain file in the same",
    ),
    "nrrd, channels": (
        lambda: nrrd(np.stack([GREYS] * 3, -1), "kinds: vector domain domain domain"),
        "axes z, y, x. Received: vector of 3 too",
    ),
    "nrrd, edges that differ": (lambda: nrrd(GREYS, "spacings: 1 1 2"), "cubic voxels. Received: .* without a unit"),
    "nrrd, no end": (lambda: nrrd(BIG, kind="uint16"), "no endian"),
    "nrrd, hex": (lambda: nrrd(GREYS, encoding="hex"), "the encoding hex"),
    "nrrd, bomb": (
        lambda: nrrd(np.zeros((1, 1, 1), "u1"), data=gzip.compress(bytes(1 << 24)), encoding="gzip"),
        "more bytes where",
    ),
    "raw": (lambda: raw(GREYS, "uint8,4x5x7"), "must hold the 140 bytes .* Received: 120 bytes"),
    "raw, float": (lambda: raw(GREYS.astype("f4"), "float32,4x5x6"), "integer labels"),
    "raw, unsaid": (lambda: raw(GREYS, "").rstrip(":"), "say type and shape"),
    "raw, said badly": (lambda: raw(GREYS, "uint8,4x5,xyz"), "say type and shape"),
    "npz, several": (lambda: npz(a=GREYS, b=GREYS), "one array, .* Received: the arrays a, b"),
    "npz, none": (lambda: npz(a=np.zeros((4, 5, 6))), "no array of integers"),
    "npz, pickle": (lambda: npz(a=np.array([[{}]], object)), "no array of integers"),
    "npz, bomb": (npz_bomb, "hold what it declares"),
    "npz, foreign": (lambda: Path("v.npz").write_bytes(b"nothing") and "v.npz", "an archive of NumPy arrays"),
    "mat, several": (lambda: mat(a=GREYS, b=GREYS), "one array, .* Received: the arrays a, b"),
    "mat, double": (lambda: mat(name=":a", a=GREYS.astype(float)), "integer labels. Received: "),
    "mat, bomb": (lambda: mat(compressed=True, a=np.zeros((1024, 1024, 320), np.uint8)), "hold what it declares"),
    "mat, foreign": (lambda: Path("v.mat").write_bytes(b"nothing" * 40) and "v.mat", "a MATLAB file"),
    "mat, axes": (lambda: mat(name=":a,yy", a=GREYS), "axes such as yxz"),
    "netcdf, time": (
        lambda: netcdf(np.stack([GREYS] * 2), "tzyx"),
        "of one moment. .* t is time",
    ),
    "netcdf, uneven": (lambda: netcdf(step=np.array([1.0])) and uneven("v.nc"), "voxels at even distances"),
    "netcdf, scaled": (lambda: netcdf(scale_factor=0.1), "plain integers. Received: the attribute scale_factor"),
    "netcdf, missing": (lambda: netcdf(_FillValue=np.uint8(127)), "must be complete"),
    "netcdf, huge": (lambda: huge_hdf5("v.nc", "labels"), "hold what it claims"),
    "netcdf, elsewhere": (external, "must hold its voxels itself"),
    "netcdf, foreign": (lambda: Path("v.nc").write_bytes(b"CDF\x01") and "v.nc", "a NetCDF file"),
    "dream3d, several": (lambda: dream3d(more=["FeatureIds"]), "one cell array, .*/FeatureIds, "),
    "dream3d, edges that differ": (lambda: dream3d(spacing=(1, 1, 2)), "cubic voxels. Received: .* without a unit"),
    "dream3d, foreign": (lambda: Path("v.dream3d").write_bytes(b"x") and "v.dream3d", "a DREAM.3D file"),
    "png, colours": (coloured, "one grey value per pixel. Received: colours"),
    "png, deep colours": (lambda: deep_colours(), "Received: colours of 16 bits"),
    "png, transparent": (lambda: pictures("png", transparent), "transparency"),
    "png, short": (
        lambda: short(lambda: Image.fromarray(np.kron(GREYS[0], np.ones((9, 9), "u1"))).save("v.png") or "v.png", 0.7),
        "a picture",
    ),
    "png, turned": (lambda: turned(), "must lie as it is stored"),
    "jpeg": (lambda: pictures("jpg", Image.fromarray), "JPEG changed are read only by `mapping`.* and `tolerance`"),
}


def uneven(path):
    with h5py.File(path, "r+") as file:
        file["z"][...] = [0, 1, 2, 5]
    return path


def deep_colours():
    """A PNG of three channels of 16 bits, which Pillow would read as 8."""
    import struct

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + np.repeat(row.astype(">u2"), 3).tobytes() for row in LABELS[0])
    header = struct.pack(">IIBBBBB", 6, 5, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    Path("v.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return "v.png"


def transparent(plane):
    image = Image.fromarray(plane).convert("LA")
    image.putpixel((0, 0), (0, 0))
    return image


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREYS[0]).save("v.png", exif=exif)
    return "v.png"


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_in_one_line(case):
    make, message = REFUSED[case]
    path = make()
    with pytest.raises((ValueError, OSError), match=message) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)
    run = CliRunner().invoke(main, ["measure", path, "--no-transport", "--no-shapes"], catch_exceptions=False)
    assert run.exit_code == 2
    assert run.stderr.count("\n") == 1


def test_jpeg_is_read_by_a_map_and_a_tolerance():
    path = pictures("jpg", lambda plane: Image.fromarray(np.kron(plane, np.ones((16, 16), np.uint8))), quality=90)
    mapping, expected = {0: "pore", 127: "NMC", 255: "CBD"}, np.kron(LABELS, np.ones((1, 16, 16), np.uint8))
    np.testing.assert_array_equal(io.read(path, mapping=mapping, tolerance=40).labels, expected)
    (stored,) = io.open_labels(path, mapping=mapping, tolerance=40, in_memory=0).images
    np.testing.assert_array_equal(stored[1:3, :, 4], expected[1:3, :, 4])
    again = stored.__reduce__()
    np.testing.assert_array_equal(again[0](*again[1])[2], expected[2])
    run = CliRunner().invoke(
        main,
        ["convert", path, "out.tif", "--map", "0=pore,127=NMC,255=CBD", "--tolerance", "40"],
        catch_exceptions=False,
    )
    assert run.exit_code == 0
    np.testing.assert_array_equal(io.read("out.tif").labels, expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "read only by `mapping`.*Received: no tolerance"),
        ({"mapping": {0: "pore", 255: "solid"}}, "Received: no tolerance"),
        ({"tolerance": 9}, "Received: a tolerance without a mapping"),
        (
            {"mapping": {0: "pore", 255: "solid"}, "tolerance": 5},
            r"Every grey value must belong .* other voxels, .*127",
        ),
        ({"mapping": {0: "a", 127: "b", 255: "c"}, "tolerance": 64}, "less than half of .*, 127. Received: 64"),
        ({"mapping": {0: "a", 127: "b", 255: "c"}, "tolerance": -1}, "`tolerance` must be an integer of at least 0"),
    ],
)
def test_jpeg_is_refused_otherwise(given, message):
    path = pictures("jpg", lambda plane: Image.fromarray(np.kron(plane, np.ones((16, 16), np.uint8))))
    with pytest.raises(ValueError, match=message):
        io.read(path, **given)


def test_pictures_beside_tiff_slices_are_no_slices():
    import tifffile

    path = pictures("png", Image.fromarray)
    for z, plane in enumerate(GREYS[::-1]):
        tifffile.imwrite(f"slices/s{z}.tif", plane)
    np.testing.assert_array_equal(io.read(path).labels, LABELS[::-1])
    np.testing.assert_array_equal(io.read("slices/*.png").labels, LABELS)
