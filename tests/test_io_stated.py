"""What a file states is what is read: each situation read at once, window by window, and by the command line.

A row is a writer of a file, and what must be read: labels, edges of a voxel; or a refusal in one line.
"""

import contextlib
import functools
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import uuid
from pathlib import Path

import h5py
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from click.testing import CliRunner
from PIL import Image
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ShardingCodec, ZstdCodec

import kerasgan3d
from kerasgan3d import io
from kerasgan3d.cli import main
from kerasgan3d.io._common import micrometres
from kerasgan3d.volume import Volume

LABELS = (np.random.default_rng(0).random((6, 5, 7)) < 0.2).astype(np.uint8)
PLANE = LABELS[2]
CUBES = (0.4, 0.4, 0.4)
NO_CUBES = "must have cubic voxels. Received: "
TIME = "must hold a 2D or 3D image of one moment.*is time"
GREY_RAMP = np.stack([np.linspace(0, 65535, 256)] * 3).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 65536, (3, 256)).astype(np.uint16)


def tiff(array, name="v.tif", **options):
    """A row's writer: a TIFF file by tifffile."""

    def write(folder):
        options.setdefault("photometric", "minisblack")
        tifffile.imwrite(folder / name, array, **options)
        return folder / name

    return write


def imagej(array=LABELS, version=None, resolution=(2.5, 2.5), **metadata):
    """As ImageJ writes it; with a version, as that version signs it."""

    def write(folder):
        path = folder / "v.tif"
        axes = metadata.pop("axes", "ZYX"[-array.ndim :])
        tifffile.imwrite(path, array, imagej=True, resolution=resolution, metadata={"axes": axes, **metadata})
        if version:
            path.write_bytes(path.read_bytes().replace(b"ImageJ=1.11a", f"ImageJ={version}".encode()))
        return path

    return write


def ome(array=LABELS, axes="ZYX", unit="µm", unit_z=None, **sizes):
    metadata = {"axes": axes} | {f"PhysicalSize{axis.upper()}": size for axis, size in sizes.items()}
    metadata |= {f"PhysicalSize{axis.upper()}Unit": (unit_z if axis == "z" else None) or unit for axis in sizes}
    return tiff(array, "v.ome.tif", ome=True, metadata=metadata)


def changed(write, *changes):
    """A file whose bytes somebody changed, to texts of the same length."""

    def again(folder):
        path = write(folder)
        content = path.read_bytes()
        for old, new in changes:
            assert old in content
            assert len(old) == len(new)
            content = content.replace(old, new)
        path.write_bytes(content)
        return path

    return again


def ome_set(missing=(), elsewhere=""):
    """An OME-TIFF image of one file per plane."""

    def write(folder):
        ids = [f"urn:uuid:{uuid.uuid4()}" for _ in LABELS]
        planes = "".join(
            f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{elsewhere if z else ""}z{z}.ome.tif">'
            f"{ids[z]}</UUID></TiffData>"
            for z in range(6)
        )
        for z in set(range(6)) - set(missing):
            text = (
                '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
                f'UUID="{ids[z]}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
                f'SizeX="7" SizeY="5" SizeC="1" SizeZ="6" SizeT="1">{planes}</Pixels></Image></OME>'
            )
            tiff(LABELS[z], f"z{z}.ome.tif", description=text, metadata=None)(folder)
        return folder / "z0.ome.tif"

    return write


def mixed(folder):
    with tifffile.TiffWriter(folder / "v.tif") as file:
        for k, plane in enumerate(np.concatenate([LABELS] * 5) * np.uint8(255)):
            kind = "miniswhite" if k == 13 else "minisblack"
            file.write(plane, photometric=kind, metadata=None, contiguous=False)
    return folder / "v.tif"


def slices(names, images=LABELS, **options):
    """A folder of TIFF slices, in the order of names; `also` are files more."""

    def write(folder):
        (folder / "scan").mkdir()
        for k, (name, image) in enumerate(zip(names, images, strict=False)):
            given = {key: value[k] if isinstance(value, list) else value for key, value in options.items()}
            tiff(image, f"scan/{name}.tif", **given)(folder)
        return folder / "scan"

    return write


def npy(array):
    def write(folder):
        np.save(folder / "v.npy", array)
        return folder / "v.npy"

    return write


def hdf5(array, labels=(), scales=(), tags=None, size=None, **options):
    def write(folder):
        with h5py.File(folder / "v.h5", "w") as file:
            data = file.create_dataset("scan", data=array, **options)
            for axis, label in enumerate(labels):
                data.dims[axis].label = label
            for axis, name in enumerate(scales):
                file[name] = np.arange(array.shape[axis])
                file[name].make_scale(name)
                data.dims[axis].attach_scale(file[name])
            if tags is not None:
                data.attrs["axistags"] = json.dumps({"axes": [{"key": key} for key in tags]})
            if size is not None:
                data.attrs["element_size_um"] = size
        return folder / "v.h5"

    return write


def ome_zarr(array, axes="zyx", scale=None, units=(), version="0.5", more=None, **options):
    def write(folder):
        units_of = [*units, *[None] * len(axes)]
        named = [{"name": name} | ({"unit": unit} if unit else {}) for name, unit in zip(axes, units_of, strict=False)]
        image = {"axes": named, "datasets": [{"path": "s0"}]}
        if scale:
            image["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": scale}]
        if more:
            image["coordinateTransformations"] = [{"type": "scale", "scale": more}]
        told = {"multiscales": [image]}
        attributes = {"ome": {"version": "0.5", **told}} if version == "0.5" else told
        group = zarr.create_group(folder / "v.zarr", zarr_format=3 if version == "0.5" else 2, attributes=attributes)
        group.create_array("s0", data=array, **options)
        return folder / "v.zarr"

    return write


def zarray(array, **options):
    def write(folder):
        zarr.create_array(folder / "v.zarr", data=array, **options)
        return folder / "v.zarr"

    return write


def xarray_names(folder):
    array = zarr.create_array(folder / "v.zarr", data=LABELS.T, zarr_format=2)
    array.attrs["_ARRAY_DIMENSIONS"] = ["x", "y", "z"]
    return folder / "v.zarr"


def without_chunks(folder, missing):
    path = folder / "v.zarr"
    zarr.create_array(path, data=LABELS, chunks=(1, 5, 7), zarr_format=2)
    (path / ".zarray").write_text(json.dumps(json.loads((path / ".zarray").read_text()) | {"fill_value": None}))
    for z in missing:
        (path / f"{z}.0.0").unlink()
    return path


def picture(suffix, image=PLANE, palette=None, **options):
    """A slice by Pillow, with a palette of greys or none."""

    def write(folder):
        shown = Image.fromarray(image)
        if palette:
            shown = Image.frombytes("P", image.shape[::-1], image.tobytes())
            shown.putpalette([grey for grey in palette for _ in range(3)])
        shown.save(folder / f"v.{suffix}", **options)
        return folder / f"v.{suffix}"

    return write


def ome_reversed(folder):
    """An OME-TIFF whose first page is the last plane."""
    planes = "".join(f'<TiffData IFD="{5 - z}" FirstZ="{z}" PlaneCount="1"/>' for z in range(6))
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="7" SizeY="5" SizeC="1" SizeZ="6" SizeT="1">'
        f"{planes}</Pixels></Image></OME>"
    )
    return tiff(LABELS[::-1], "v.ome.tif", description=text, metadata=None)(folder)


def pyramid(folder):
    """A TIFF file with a coarser level in a sub-directory."""
    fine = LABELS.repeat(8, 1).repeat(8, 2)
    with tifffile.TiffWriter(folder / "v.tif") as file:
        file.write(fine, subifds=1, photometric="minisblack", tile=(16, 16))
        file.write(fine[:, ::2, ::2], subfiletype=1, photometric="minisblack", tile=(16, 16))
    return folder / "v.tif"


def ome_zarr_of(*images, **transformation):
    """An OME-Zarr group of several images, or of one with a transformation more."""

    def write(folder):
        scale = {"type": "scale", "scale": CUBES}
        told = [
            {
                "axes": [{"name": axis, "unit": "micrometer"} for axis in "zyx"],
                "datasets": [{"path": name, "coordinateTransformations": [scale, *filter(None, [transformation])]}],
            }
            for name in images
        ]
        group = zarr.create_group(folder / "v.zarr", attributes={"ome": {"version": "0.5", "multiscales": told}})
        for name in set(images):
            group.create_array(name, data=LABELS)
        return folder / "v.zarr"

    return write


UM = ["micrometer"] * 3
PAGES = {"compression": "zlib"}
XYZ, YXZ, ZXY = LABELS.T, LABELS.transpose(1, 2, 0), LABELS.transpose(0, 2, 1)
WHITE = {"photometric": "miniswhite"}

# name: (writer, the labels that are read or the refusal, edges of a voxel or None)
PIXELS = {
    "1-bit, white is zero": (tiff(LABELS == 0, **WHITE), LABELS),
    "1-bit pages, white is zero": (tiff(LABELS == 0, **WHITE, metadata=None), LABELS),
    "1-bit, black is zero": (tiff(LABELS == 1), LABELS),
    "1-bit bits from the right": (tiff(LABELS == 1, extratags=[(266, 3, 1, 2, True)]), LABELS),
    "8-bit, white is zero": (tiff(255 - LABELS * np.uint8(255), **WHITE), LABELS),
    "8-bit pages, white is zero": (tiff(255 - LABELS * np.uint8(255), **WHITE, **PAGES), LABELS),
    "slices, white is zero": (slices(range(6), LABELS == 0, photometric="miniswhite"), LABELS),
    "slices of both kinds": (
        slices(range(6), [p == z % 2 for z, p in enumerate(LABELS)], photometric=["miniswhite", "minisblack"] * 3),
        LABELS,
    ),
    "8-bit labels, white is zero": (
        tiff(LABELS, **WHITE),
        "values 254 .*, 255 .*counted from white, by the tag PhotometricInterpretation = WhiteIsZero",
    ),
    "slices of both kinds, 8 bits": (
        slices(
            range(6),
            [plane * np.uint8(255) if z % 2 else 255 - plane * np.uint8(255) for z, plane in enumerate(LABELS)],
            photometric=["miniswhite", "minisblack"] * 3,
        ),
        LABELS,
    ),
    "PNG": (picture("png"), PLANE),
    "PNG of 16 bits": (picture("png", PLANE.astype("u2")), PLANE),
    "PNG with a clear grey": (picture("png", transparency=1), "Received: colours or transparency"),
    "PNG with a clear grey that it lacks": (picture("png", transparency=9), PLANE),
    "PNG palette of inverted greys": (picture("png", palette=(255, 0)), 1 - PLANE),
    "BMP of 1 bit": (picture("bmp", PLANE == 1), PLANE),
    "BMP of 2 colours of 8 bits": (picture("bmp", palette=(0, 255)), "1 bit per pixel, or more than 2 colours"),
    "BMP of greys": (picture("bmp", PLANE * np.uint8(255)), PLANE),
    "TIFF pages, reversed": (ome_reversed, LABELS),
    "TIFF pyramid": (pyramid, LABELS.repeat(8, 1).repeat(8, 2)),
    "ImageJ's inverting table": (tiff(LABELS, imagej=True, metadata={"axes": "ZYX"}, **WHITE), "inverting lookup"),
    "pages of both kinds": (mixed, "must hold pages of one kind"),
    "signed, white is zero": (tiff(LABELS.astype("i2"), **WHITE), "signed values.*PhotometricInterpretation"),
    "transparency": (tiff(LABELS == 1, photometric="mask"), "PhotometricInterpretation = MASK"),
    "palette of colours": (tiff(LABELS, photometric="palette", colormap=COLOURS), LABELS),
    "palette of greys": (tiff(LABELS, photometric="palette", colormap=GREY_RAMP), LABELS),
    "palette of inverted greys": (tiff(LABELS, photometric="palette", colormap=GREY_RAMP[:, ::-1]), "another order of"),
    "slices of two palettes": (
        slices(range(6), photometric="palette", colormap=[COLOURS] * 3 + [COLOURS[:, ::-1]] * 3),
        "one voxel size and palette. Received: another in 3.tif",
    ),
    "upright": (tiff(LABELS, metadata=None, extratags=[(274, 3, 1, 1, False)]), LABELS),
    "upright on one page": (tiff(LABELS, metadata=None, extratags=[(274, 3, 1, 1, True)]), LABELS),
    "mirrored": (tiff(LABELS, metadata=None, extratags=[(274, 3, 1, 2, False)]), "Orientation = 2"),
    "turned": (tiff(PLANE, extratags=[(274, 3, 1, 6, False)]), "Orientation = 6"),
    "signed in ImageJ": (
        imagej(LABELS.astype("u2") + np.uint16(32768), cf=0, c0=-32768.0, c1=1.0, vunit="gray value"),
        LABELS,
    ),
    "calibrated in ImageJ": (imagej(cf=0, c0=0.0, c1=2.0, vunit="HU"), "calibration of grey values"),
    "no data where 0": (
        tiff(LABELS, metadata=None, extratags=[(42113, 2, 2, "0", True)]),
        "must be complete. Received: voxels of 0, which is said to be none",
    ),
    "8-bit signed": (tiff(LABELS.astype("i1")), LABELS),
    "16-bit big-endian": (tiff(LABELS.astype("u2"), byteorder=">"), LABELS),
    "16-bit big-endian pages": (tiff(LABELS.astype("u2"), byteorder=">", **PAGES), LABELS),
    "16-bit little-endian, predicted": (tiff(LABELS.astype("u2"), compression="zlib", predictor=False), LABELS),
    "32-bit": (tiff(LABELS.astype("i4")), LABELS),
    "tiles": (tiff(LABELS, tile=(16, 16), **PAGES), LABELS),
    "tiles without compression": (tiff(LABELS, tile=(16, 16)), LABELS),
    "BigTIFF": (tiff(LABELS, bigtiff=True, **PAGES), LABELS),
    "big-endian HDF5": (hdf5(LABELS.astype(">u2")), LABELS),
    "bool HDF5": (hdf5(LABELS == 1), LABELS),
    "HDF5 gzip": (hdf5(LABELS, chunks=(2, 3, 4), compression="gzip", shuffle=True), LABELS),
    "HDF5 lzf": (hdf5(LABELS, chunks=(2, 3, 4), compression="lzf"), LABELS),
    "big-endian NumPy": (npy(LABELS.astype(">i4")), LABELS),
    "64-bit NumPy": (npy(LABELS.astype("u8")), LABELS),
    "Fortran NumPy": (npy(np.asfortranarray(LABELS)), LABELS),
    "64-bit NumPy, values no phase has": (npy(LABELS.astype("u8") * np.uint64(2**63 + 5)), "must be known phases"),
    "big-endian Zarr": (zarray(LABELS.astype(">u2"), zarr_format=2), LABELS),
    "Fortran Zarr": (zarray(LABELS, zarr_format=2, order="F"), LABELS),
    "Zarr in shards": (zarray(LABELS, chunks=(3, 5, 7), shards=(6, 5, 7)), LABELS),
    **{
        f"Zarr {codec.codec_id}": (zarray(LABELS, zarr_format=2, compressors=codec), LABELS)
        for codec in (numcodecs.GZip(), numcodecs.Zlib(), numcodecs.LZ4(), numcodecs.Zstd(), numcodecs.Blosc())
    },
}
WHOLE = {
    "OME set": (ome_set(), LABELS),
    "OME set, a file missing": (ome_set(missing=(3,)), "5 other files, of which z3.ome.tif is missing"),
    "OME set, files missing": (ome_set(missing=(1, 2, 3, 4, 5)), "z1.ome.tif, z2.ome.tif, .* are missing|z5.ome.tif"),
    "OME set, elsewhere": (ome_set(elsewhere="../"), r"of which \.\./z1.ome.tif"),
    "OME with fewer planes": (changed(ome(), (b'SizeZ="6"', b'SizeZ="9"')), "6 planes, where it tells of 9"),
    "OME with more planes": (changed(ome(), (b'SizeZ="6"', b'SizeZ="3"')), "must hold what it says.*expected 3"),
    "ImageJ with fewer images": (changed(imagej(), (b"images=6", b"images=9")), "6 planes, where it tells of 9"),
    "ImageJ with fewer slices": (changed(imagej(), (b"slices=6", b"slices=9")), "6 planes, where it tells of 9"),
    "ImageJ with more slices": (changed(imagej(), (b"slices=6", b"slices=3")), "6 planes, where it tells of 3"),
    "tifffile with fewer planes": (changed(tiff(LABELS), (b'"shape": [6', b'"shape": [9')), "must be complete"),
    "tifffile with fewer pages": (changed(tiff(LABELS, **PAGES), (b'"shape": [6', b'"shape": [9')), "must be complete"),
    "slices of one plane each": (slices(range(6), LABELS[:, None]), LABELS),
    "OME-Zarr of two images": (ome_zarr_of("a", "b"), "must hold one image. Received: a, b"),
    "OME-Zarr, one image told twice": (ome_zarr_of("a", "a"), LABELS),
    "Zarr without chunks": (lambda folder: without_chunks(folder, range(6)), "missing chunks, all of them"),
    "Zarr without a chunk, and what it would be": (
        lambda folder: without_chunks(folder, [1]),
        "must be complete. Received: 5 of 6 chunks",
    ),
    "slices, one missing": (slices([1, 2, 3, 5, 6, 7]), "no slice 4, in"),
    "slices, several missing": (slices([1, 2, 4, 5, 7, 8]), "no slice 3, 6, in"),
    "slices, every second": (slices([0, 2, 4, 6, 8, 10]), "no slice 1, 3, 5, 7, 9, in"),
    "slices with decimals, one missing": (slices(["z0.0", "z0.5", "z1.5", "z2.0"]), "no slice 1, in"),
    "slices and a mask": (slices([*range(5), "mask"]), "Received: mask.tif among 6 slices such as"),
    "slices of two series": (slices(["a1", "a2", "a3", "b1"]), "Received: b1.tif among 4 slices"),
    "slices of two voxel sizes": (
        slices(range(6), resolution=[(25000, 25000)] * 5 + [(20000, 20000)], resolutionunit=3),
        "one voxel size and palette. Received: another in 5.tif",
    ),
}
ORDER = {
    "numbers": (slices([f"s{k}" for k in range(8, 14)]), LABELS),
    "padded numbers": (slices([f"s{k:03}" for k in range(8, 14)]), LABELS),
    "decimals": (slices([f"z{k / 4}" for k in range(6)]), LABELS),
    "decimals and whole numbers": (slices(["z0", "z0.25", "z0.5", "z0.75", "z1", "z1.25"]), LABELS),
    "decimal commas": (slices(["z0,0", "z0,5", "z1,0", "z1,5", "z2,0", "z2,5"]), LABELS),
    "signs": (slices([f"z{k}" for k in range(-3, 3)]), LABELS),
    "signs and decimals": (slices([f"z{k / 2}" for k in range(-3, 3)]), LABELS),
    "plus signs": (slices(["z-2", "z-1", "z+0", "z+1", "z+2", "z+3"]), LABELS),
    "hyphens": (slices([f"scan-{k}" for k in range(6, 12)]), LABELS),
    "hyphens, signs or decimals": (slices([f"z-{k / 2}" for k in range(1, 7)]), "names of two orders"),
    "versions": (slices([f"v1.{k}" for k in range(6, 12)]), LABELS),
    "dates": (slices([f"2024-01-05_{k}" for k in range(6, 12)]), LABELS),
    "mixed case": (slices(["S1", "s2", "S3", "s4", "s5", "S6"]), LABELS),
    "times beside numbers": (slices([f"s{k}_t{t}" for k, t in enumerate((0.1, 0.3, 0.4, 9.5, 10.1, 11))]), LABELS),
    "two numbers": (slices([f"b{b}_z{z}" for b in (0, 1) for z in (0, 1, 2)]), "do not say which comes first"),
    "the same number twice": (slices(["s1", "s01"]), "s01.tif and s1.tif, which have the same number|same number"),
    "powers of ten": (slices(["z5e-4", "z1e-3", "z1.5e-3", "z2e-3", "z2.5e-3", "z3e-3"]), LABELS),
    "powers of ten, capital": (slices(["z1E3", "z2E3", "z3E3", "z4E3", "z5E3", "z6E3"]), LABELS),
    "powers of ten, as Python prints": (slices(["z0", "z5e-05", "z0.0001", "z0.00015", "z0.0002", "z0.00025"]), LABELS),
    "powers of ten, signs": (slices(["z-1e-3", "z-5e-4", "z0", "z5e-4", "z1e-3", "z1.5e-3"]), LABELS),
    "powers of ten alone": (slices(["s1e-5", "s1e-4", "s1e-3"]), "names of two orders"),
    "letters between numbers": (slices([f"s1e{k}" for k in range(5, 11)]), LABELS),
    "letters": (slices(["a", "b", "c"]), "must be numbered one after the other"),
}
AXES = {
    **{
        f"tifffile {axes} {kind}": (tiff(array, metadata={"axes": axes}, **options), LABELS)
        for kind, options in (("contiguous", {}), ("pages", PAGES))
        for axes, array in (
            *(("YXZ", YXZ), ("XYZ", XYZ), ("ZXY", ZXY), ("QYX", LABELS), ("IYX", LABELS)),
            *(
                ("TZYX", LABELS[None]),
                ("ZCYX", LABELS[:, None]),
                ("ZYXC", LABELS[..., None]),
                ("ZTYX", LABELS[:, None]),
            ),
        )
    },
    "tifffile XY": (tiff(PLANE.T, metadata={"axes": "XY"}), PLANE),
    "tifffile TYX": (tiff(LABELS, metadata={"axes": "TYX"}), TIME),
    "tifffile CYX": (tiff(LABELS, metadata={"axes": "CYX"}), "one grey value per voxel. Received: 6 channels"),
    "tifffile AYX": (tiff(LABELS, metadata={"axes": "AYX"}), "must have the axes z, y, x. Received: A of 6 too"),
    "ImageJ TYX": (imagej(axes="TYX"), TIME),
    "ImageJ TZYX of one time": (imagej(LABELS[None], axes="TZYX"), LABELS),
    "OME TYX": (ome(axes="TYX"), TIME),
    "OME ZCYX of one channel": (ome(LABELS[:, None], axes="ZCYX"), LABELS),
    "OME CYX": (ome(axes="CYX"), "one grey value per voxel"),
    "HDF5 axistags xyz": (hdf5(XYZ, tags="xyz"), LABELS),
    "HDF5 axistags yxz, chunks": (hdf5(YXZ, tags="yxz", chunks=(2, 3, 4)), LABELS),
    "HDF5 axistags tzyxc": (hdf5(LABELS[None, ..., None], tags="tzyxc"), LABELS),
    "HDF5 axistags yxc": (hdf5(PLANE[..., None], tags="yxc"), PLANE),
    "HDF5 axistags tyx": (hdf5(LABELS, tags="tyx"), TIME),
    "HDF5 axistags cyx": (hdf5(LABELS, tags="cyx"), "must have the axes z, y, x. Received: c of 6 too"),
    "HDF5 labels xyz": (hdf5(XYZ, labels="xyz"), LABELS),
    "HDF5 labels in words": (hdf5(XYZ, labels=["Width", "Height", "Depth"]), LABELS),
    "HDF5 labels, one axis without": (hdf5(ZXY, labels=["", "x", "y"]), LABELS),
    "HDF5 labels of time": (hdf5(LABELS, labels=["time", "y", "x"]), TIME),
    "HDF5 labels twice": (hdf5(LABELS, labels="yyx"), "each of the axes z, y, x once"),
    "HDF5 labels of nothing known": (hdf5(LABELS, labels="pqr"), LABELS),
    "HDF5 scales": (lambda folder: f"{hdf5(XYZ, scales='xyz')(folder)}:/scan", LABELS),
    **{
        f"OME-Zarr {version} {axes}": (ome_zarr(array, axes, version=version), LABELS)
        for version in ("0.4", "0.5")
        for axes, array in (
            *(("xyz", XYZ), ("yxz", YXZ), ("ZYX", LABELS), ("zcyx", LABELS[:, None]), ("zyxc", LABELS[..., None])),
            ("tczyx", LABELS[None, None]),
        )
    },
    "OME-Zarr in chunks zcyx": (ome_zarr(LABELS[:, None], "zcyx", chunks=(2, 1, 3, 4)), LABELS),
    "OME-Zarr yx": (ome_zarr(PLANE, "yx"), PLANE),
    "OME-Zarr tyx": (ome_zarr(LABELS, "tyx"), TIME),
    "OME-Zarr czyx": (ome_zarr(np.stack([LABELS] * 2), "czyx"), "Received: c of 2 too"),
    "Zarr names xyz": (zarray(XYZ, dimension_names=("x", "y", "z")), LABELS),
    "Zarr names of nobody": (zarray(LABELS, dimension_names=("dim_0", "dim_1", "dim_2")), LABELS),
    "Zarr names, one without": (zarray(LABELS, dimension_names=(None, "y", "x")), LABELS),
    "Zarr names of time": (zarray(LABELS, dimension_names=("t", "y", "x")), TIME),
    "Zarr names of energy": (zarray(LABELS, dimension_names=("energy", "y", "x")), "Received: energy of 6 too"),
    "Zarr names of xarray": (xarray_names, LABELS),
    **{
        f"{kind} {array.shape}": (write(array), expected)
        for kind, write in (("NumPy", npy), ("HDF5", hdf5), ("Zarr", zarray), ("TIFF", tiff))
        for array, expected in (
            *((PLANE[..., None], PLANE), (LABELS[..., None], LABELS), (LABELS[:, None], LABELS)),
            *((LABELS[None], LABELS), (PLANE[None], PLANE[None]), (LABELS[None, ..., None], LABELS)),
        )
    },
}
EDGES = {
    "ImageJ": (imagej(unit="um", spacing=0.4), CUBES),
    "ImageJ zunit": (imagej(unit="um", spacing=400, zunit="nm"), CUBES),
    "ImageJ zunit, no cubes": (imagej(unit="um", spacing=0.4, zunit="nm"), f"{NO_CUBES}z 0.0004, y 0.4, x 0.4 µm"),
    "ImageJ yunit": (imagej(unit="um", spacing=0.4, yunit="nm"), f"{NO_CUBES}z 0.4, y 0.0004, x 0.4 µm"),
    "ImageJ yunit, cubes": (imagej(resolution=(2.5, 0.0025), unit="um", spacing=0.4, yunit="nm"), CUBES),
    "ImageJ 1/1 of a unit": (imagej(resolution=(1, 1), unit="um", spacing=1.0), (1, 1, 1)),
    "ImageJ 1/1 of a unit, no cubes": (
        imagej(resolution=(1, 1), unit="um", spacing=2.0),
        f"{NO_CUBES}z 2, y 1, x 1 µm",
    ),
    "ImageJ without spacing, which is 1": (imagej(version="1.53t", unit="um"), f"{NO_CUBES}z 1, y 0.4, x 0.4 µm"),
    "ImageJ all 1": (imagej(version="1.53t", resolution=(1, 1), unit="um"), (1, 1, 1)),
    "tifffile without spacing": (imagej(unit="um"), CUBES),
    "ImageJ without a unit": (imagej(spacing=0.4), None),
    "ImageJ in pixels, no cubes": (imagej(resolution=(1, 1), spacing=3.0), f"{NO_CUBES}z 3, y 1, x 1 without a unit"),
    "ImageJ, a slice has no z": (imagej(PLANE, unit="um", spacing=5.0), CUBES),
    "slices that say how far apart they are": (
        slices(range(6), imagej=True, resolution=(2.5, 2.5), metadata={"axes": "YX", "unit": "um", "spacing": 2.0}),
        f"{NO_CUBES}z 2, y 0.4, x 0.4 µm",
    ),
    "slices as far apart as pixels": (
        slices(range(6), imagej=True, resolution=(2.5, 2.5), metadata={"axes": "YX", "unit": "um", "spacing": 0.4}),
        CUBES,
    ),
    "slices that do not": (
        slices(range(6), imagej=True, resolution=(2.5, 2.5), metadata={"axes": "YX", "unit": "um"}),
        CUBES,
    ),
    "OME-Zarr, moved": (ome_zarr_of("a", type="translation", translation=[1, 2, 3]), CUBES),
    "OME-Zarr, turned": (ome_zarr_of("a", type="rotation", rotation=[[1]]), "the transformation rotation"),
    "OME-Zarr, sheared": (ome_zarr_of("a", type="affine", affine=[[1]]), "the transformation affine"),
    "OME-Zarr, mirrored": (ome_zarr_of("a", type="scale", scale=[-1, 1, 1]), "a mirroring scale"),
    "OME": (ome(z=0.4, y=0.4, x=0.4), CUBES),
    "OME z in nm": (ome(z=400, y=0.4, x=0.4, unit_z="nm"), CUBES),
    "OME without z": (ome(y=0.4, x=0.4), CUBES),
    "OME no cubes": (ome(z=5, y=0.4, x=0.4), f"{NO_CUBES}z 5, y 0.4, x 0.4 µm"),
    "OME, a slice has no z": (ome(PLANE, "YX", z=5, y=0.4, x=0.4), CUBES),
    "OME z in pixels": (ome(z=2, y=0.4, x=0.4, unit_z="pixel"), f"{NO_CUBES}z 2, y 0.4, x 0.4"),
    "OME in pixels, no cubes": (ome(z=2, y=1, x=1, unit="pixel"), f"{NO_CUBES}z 2, y 1, x 1 without a unit"),
    "OME without y": (ome(z=2, x=0.4), f"{NO_CUBES}z 2, y 0.4, x 0.4"),
    "TIFF per cm, no cubes": (
        tiff(LABELS, resolution=(25000, 12500), resolutionunit=3),
        f"{NO_CUBES}z 0.4, y 0.8, x 0.4",
    ),
    "TIFF without a unit, no cubes": (
        tiff(LABELS, resolution=(2, 1), resolutionunit=1),
        f"{NO_CUBES}z 0.5, y 1, x 0.5",
    ),
    "TIFF of a fax": (tiff(PLANE, resolution=(204, 98), resolutionunit=2), NO_CUBES),
    "HDF5": (hdf5(LABELS, size=CUBES), CUBES),
    "HDF5 with a time": (hdf5(LABELS[None], size=CUBES), CUBES),
    "HDF5 no cubes": (hdf5(LABELS, size=[2, 0.4, 0.4]), f"{NO_CUBES}z 2, y 0.4, x 0.4 µm"),
    "HDF5, a slice has no z": (hdf5(PLANE, size=[2, 0.4, 0.4]), CUBES),
    **{
        f"OME-Zarr {version} {name}": (ome_zarr(array, axes, scale, units, version, more=more), expected)
        for version in ("0.4", "0.5")
        for name, array, axes, scale, units, more, expected in (
            ("cubes", LABELS, "zyx", CUBES, UM, None, CUBES),
            ("scaled twice", LABELS, "zyx", [1, 1, 1], UM, CUBES, CUBES),
            ("of two units", LABELS, "zyx", [400, 0.4, 0.4], ["nanometer", *UM[1:]], None, CUBES),
            ("xyz", XYZ, "xyz", [0.4, 0.4, 2], UM, None, f"{NO_CUBES}z 2, y 0.4, x 0.4 µm"),
            ("a channel between", LABELS[:, None], "zcyx", [0.4, 1, 0.4, 0.4], [UM[0], None, *UM[1:]], None, CUBES),
            ("scaled unlike", LABELS, "zyx", [1, 1, 1], UM, [2, 0.4, 0.4], f"{NO_CUBES}z 2, y 0.4, x 0.4 µm"),
            ("z without a unit", LABELS, "zyx", [5, 0.4, 0.4], [None, *UM[1:]], None, f"{NO_CUBES}z 5, y 0.4, x 0.4"),
            ("without a unit", LABELS, "zyx", [2, 1, 1], (), None, f"{NO_CUBES}z 2, y 1, x 1 without a unit"),
            ("one plane has no z", LABELS[:1], "zyx", [5, 0.4, 0.4], UM, None, CUBES),
        )
    },
}
ROWS = [
    pytest.param(write, expected, edges, id=f"{group} - {name}")
    for group, table in {"pixels": PIXELS, "whole": WHOLE, "order": ORDER, "axes": AXES, "edges": EDGES}.items()
    for name, (write, outcome) in table.items()
    for expected, edges in [(outcome, None) if group != "edges" or isinstance(outcome, str) else (..., outcome)]
]


def run(path, *more):
    options = ["--json", "--no-transport", "--no-shapes"]
    return CliRunner().invoke(main, ["measure", str(path), *options, *more], catch_exceptions=False)


def one_line(result):
    """What the command line said of an error, in one line with exit code 2."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize(("write", "expected", "edges"), ROWS)
def test_what_a_file_states_is_read_or_refused(tmp_path, write, expected, edges):
    path = write(tmp_path)
    ways = [
        lambda: io.read_labels(path).labels,
        lambda: np.asarray(io.open_labels(path).images[0]),
        lambda: np.asarray(io.open_labels(path, in_memory=0).images[0]),
    ]
    if isinstance(expected, str):
        for way in ways:
            with pytest.raises(ValueError, match=expected) as caught:
                way()
            assert "\n" not in str(caught.value)
        assert re.search(expected, one_line(run(path)))
        return
    found = [way() for way in ways]
    expected = found[0] if expected is ... else expected
    for labels in found:
        assert (labels.dtype, labels.shape) == (np.uint8, expected.shape)
        np.testing.assert_array_equal(labels, expected)
    lazy = io.open_labels(path, in_memory=0)
    assert edges is None or lazy.spacings[0] == pytest.approx(edges)
    planes = [lazy.images[0][k] for k in range(len(expected))]
    np.testing.assert_array_equal(np.stack(planes), expected)
    np.testing.assert_array_equal(lazy.images[0][:, 2:4], expected[:, 2:4])
    spoken(path, expected, lazy.spacings[0], str(tmp_path / "out.npy"))


def spoken(path, labels, edges, out):
    """What the command line says of a file, and makes of it."""
    told = {"shape": list(labels.shape), "voxel_size": edges and pytest.approx(edges[2])}
    told["volume_fraction"] = (np.bincount(labels.ravel(), minlength=2) / labels.size).tolist()
    for more in ((), ("--block", "3", "--workers", "1")) if labels.ndim == 3 else ((),):
        record = json.loads(run(path, *more).stdout)
        assert {key: record[key] for key in told} == told
    result = CliRunner().invoke(main, ["convert", str(path), out], catch_exceptions=False)
    if labels.ndim == 2:
        assert "must hold a 3D volume" in one_line(result)
        return
    assert result.exit_code == 0
    np.testing.assert_array_equal(np.load(out), labels)
    assert io.read(out).voxel_size == told["voxel_size"]


# Gaps that may be filled

# name: (writer, which plane of LABELS stands where, those that are filled), or (writer, the refusal, None)
GAPS = {
    "slices": (slices([1, 2, 4, 5, 7, 8]), [0, 1, 1, 2, 3, 3, 4, 5], [2, 5]),
    "slices, two missing side by side": (slices([1, 2, 5, 6]), [0, 1, 1, 2, 2, 3], [2, 3]),
    "slices, every second": (slices([0, 2, 4]), [0, 0, 1, 1, 2], [1, 3]),
    "slices with decimals": (slices(["z0.0", "z0.5", "z1.5", "z2.0"]), [0, 1, 1, 2, 3], [2]),
    "slices with signs": (slices(["z-2", "z-1", "z+1"]), [0, 1, 1, 2], [2]),
    "slices with powers of ten": (slices(["z5e-4", "z1e-3", "z2e-3"]), [0, 1, 1, 2], [2]),
    "slices after hyphens": (slices(["s-1", "s-2", "s-4"]), [0, 1, 1, 2], [2]),
    "nothing is missing": (slices(range(6)), [0, 1, 2, 3, 4, 5], []),
    "OME set": (ome_set(missing=(1, 5)), [0, 0, 2, 3, 4, 4], [1, 5]),
    "OME with fewer planes": (changed(ome(), (b'SizeZ="6"', b'SizeZ="8"')), [0, 1, 2, 3, 4, 5, 5, 5], [6, 7]),
    "slices, more missing than there": (slices([1, 2, 9]), "no slice 3, 4, 5, 6, 7 and others", None),
    "slices off the steps": (slices(["0.5", "1.0", "2.25"]), "no slice 1.5", None),
    "slices of two orders": (slices(["z-0.5", "z-1.0", "z-2.0"]), "names of two orders", None),
    "a mask": (slices([0, 1, 3, "mask"]), "Received: mask.tif among", None),
    "OME set, more missing than there": (ome_set(missing=(1, 2, 3, 4)), "2 planes, where it tells of 6", None),
    "OME set, elsewhere": (ome_set(elsewhere="../"), r"of which \.\./z1.ome.tif", None),
    "OME set of 10^10 planes": (
        changed(ome_set(missing=(3,)), (b'SizeZ="6" SizeT="1"', b'SizeZ="9999999999" ')),
        "where it tells of 9999999999",
        None,
    ),
    "ImageJ with fewer images": (changed(imagej(), (b"images=6", b"images=9")), "6 planes, where it tells of 9", None),
}


@pytest.mark.parametrize(("write", "planes", "filled"), GAPS.values(), ids=GAPS)
def test_gaps_are_filled_where_that_is_asked_for(tmp_path, write, planes, filled):
    path, out = write(tmp_path), tmp_path / "out.npy"
    result = CliRunner().invoke(main, ["convert", str(path), str(out), "--fill-gaps"], catch_exceptions=False)
    if filled is None:
        assert re.search(planes, one_line(result))
        return
    numbers = ", ".join(map(str, filled))
    said = f"{path}: planes {numbers} of {len(planes)}, counted from 0, are missing, and filled with the nearest"
    assert (said in result.stderr) == bool(filled)
    np.testing.assert_array_equal(np.load(out), LABELS[planes])
    assert io.read(out).provenance.get("filled_planes", []) == filled
    with pytest.warns(io.GapWarning) if filled else contextlib.nullcontext():
        found = io.open_labels(path, in_memory=0, fill_gaps=True)
    assert found.filled == (tuple(filled),)
    for image in (found.images[0], pickle.loads(pickle.dumps(found.images[0]))):
        np.testing.assert_array_equal(np.stack([image[z] for z in range(len(planes))]), LABELS[planes])
    record = json.loads(run(path, "--fill-gaps", "--block", "3", "--workers", "1").stdout)
    assert (record["shape"][0], record.get("filled_planes", [])) == (len(planes), filled)


# Units


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        *[
            (word, 1.0)
            for word in ("µm", "μm", "um", "\\u00B5m", "micron", "Microns", "micrometers", "micrometre", " µm ")
        ],
        *[(word, 1e-3) for word in ("nm", "NM", "nanometer", "nanometres", "Nanometers")],
        *[(word, 1e-4) for word in ("Å", "å", "A\u030a", "Angstrom", "angstroms", "ångström")],
        *[(word, 1e3) for word in ("mm", "MM", "millimeters", "millimetre")],
        *[(word, 25400.0) for word in ("inch", "inches", "in", '"')],
        *[("pm", 1e-6), ("centimetres", 1e4), ("metres", 1e6), ("Mm", 1e12), ("kilometers", 1e9)],
        *[(word, None) for word in ("pixel", "pixels", "voxels", "", None, "ms", "second", "reference frame", 3)],
    ],
)
def test_units_are_read_as_they_are_written(unit, length):
    assert micrometres(unit) == length


# What is given wins, and it is said


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (imagej(unit="um", spacing=0.4), "0.4 µm"),
        (imagej(unit="um", spacing=1.0), "z 1, y 0.4, x 0.4 µm, which are no cubes"),
        (imagej(resolution=(1, 1), spacing=3.0), "z 3, y 1, x 1 without a unit, which are no cubes"),
        (hdf5(LABELS, size=[2, 0.4, 0.4]), "z 2, y 0.4, x 0.4 µm, which are no cubes"),
        (ome_zarr(LABELS, "zyx", [2, 1, 1]), "z 2, y 1, x 1 without a unit, which are no cubes"),
    ],
)
def test_a_voxel_size_that_is_given_wins_and_says_so(tmp_path, write, said):
    path = write(tmp_path)
    text = f"the voxel size that is given, 0.398 µm, wins over what {path} states: {said}"
    for way in (io.read, io.open_volume, io.open_labels):
        with pytest.warns(UserWarning, match=re.escape(text)):
            way(path, voxel_size=0.398)
    result = CliRunner().invoke(main, ["measure", str(path), "--no-transport", "--voxel-size", "0.398"])
    assert result.exit_code == 0
    assert result.stderr == f"kerasgan3d: warning: {text}\n"


def test_what_agrees_is_not_said(tmp_path, recwarn):
    assert io.read(imagej(unit="um", spacing=0.4)(tmp_path), voxel_size=0.4001).voxel_size == 0.4001
    assert io.read(npy(LABELS)(tmp_path), voxel_size=0.4).voxel_size == 0.4
    assert len(recwarn) == 0


def test_a_spacing_that_somebody_corrected_along_z_holds(tmp_path):
    Volume(LABELS, voxel_size=0.4).save(tmp_path / "v.tif")
    with tifffile.TiffFile(tmp_path / "v.tif") as file:
        told = {key: file.imagej_metadata[key] for key in ("Info", "unit")}
    tiff(LABELS, imagej=True, resolution=(2.5, 2.5), metadata={"axes": "ZYX", "spacing": 2.0, **told})(tmp_path)
    with pytest.raises(ValueError, match=f"{NO_CUBES}z 2, y 0.4, x 0.4 µm"):
        io.read(tmp_path / "v.tif")


# Meaning that is lost on the way in


def test_a_note_is_of_one_array(tmp_path):
    volume = Volume(LABELS, ("pore", "solid"), 0.4)
    volume.save(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", LABELS)
    assert io.read(tmp_path / "v.npy").phases == ("pore", "solid")
    np.save(tmp_path / "v.npy", 1 - LABELS)
    with pytest.raises(ValueError, match=r"must be the array that its note v.npy.json is of"):
        io.read(tmp_path / "v.npy")
    (tmp_path / "v.npy.json").unlink()
    assert io.read(tmp_path / "v.npy").voxel_size is None


def test_a_note_of_earlier_versions_is_believed(tmp_path):
    Volume(LABELS, ("pore", "solid"), 0.4).save(tmp_path / "v.npy")
    note = json.loads((tmp_path / "v.npy.json").read_text())
    (tmp_path / "v.npy.json").write_text(json.dumps({"kerasgan3d": note["kerasgan3d"]}))
    assert io.read(tmp_path / "v.npy").phases == ("pore", "solid")


TAKERS = {
    "Volume": Volume,
    "measure": lambda array: kerasgan3d.measure(array, voxel_size=1, transport=False, shapes=False),
    "blocks": lambda array: kerasgan3d.measure(array, voxel_size=1, block=3, workers=1),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_what_is_masked_has_no_label(take):
    with pytest.raises(ValueError, match="masked array"):
        take(np.ma.masked_array(LABELS, LABELS == 1))
    take(np.ma.masked_array(LABELS, np.zeros(LABELS.shape, bool)))


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("greys", [(0, 127, 254), (0, 100, 200), (0, 128, 254), (0, 64)], ids=str)
def test_grey_values_are_no_labels(take, greys):
    with pytest.raises(ValueError, match=f"Received: the values {', '.join(map(str, greys))}, .* likely grey values"):
        take(np.resize(np.array(greys, np.uint8), (3, 4, 5)))


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_labels_may_lack_some(take):
    take(np.resize(np.array((0, 2, 5), np.uint8), (3, 4, 5)))
    take(np.resize(np.arange(40, dtype=np.uint8), (4, 5, 6)))


# What a stranger's file may ask for


def chunked(folder, **changes):
    """A Zarr array of one chunk, of format 2, with changes of its metadata."""
    path = folder / "v.zarr"
    zarr.create_array(path, data=LABELS, zarr_format=2, compressors=None, filters=None)
    (path / ".zarray").write_text(json.dumps(json.loads((path / ".zarray").read_text()) | changes))
    return path


def with_chunk(make, **changes):
    def write(folder):
        path = chunked(folder, **changes)
        (path / "0.0.0").unlink()
        make(path / "0.0.0", folder)
        return path

    return write


def linked(folder):
    (folder / "out" / "0").mkdir(parents=True)
    (folder / "out" / "0" / "0").write_bytes(LABELS.tobytes())
    path = chunked(folder, dimension_separator="/")
    (path / "0.0.0").unlink()
    (path / "0").symlink_to(folder / "out")
    return path


def link_to(content):
    def make(chunk, folder):
        (folder / "secret").write_bytes(content)
        chunk.symlink_to(folder / "secret")

    return make


ZEROS = bytes(2**24)
PICKLE = b"cos\nsystem\n(S'touch ran'\ntR."


def bomb(codec):
    return with_chunk(lambda chunk, _: chunk.write_bytes(bytes(codec.encode(ZEROS))), compressor=codec.get_config())


@functools.cache
def many_zeros():
    return bytes(numcodecs.Zlib(9).encode(bytes(2**27)))


def deflated(width, height, strip=None, compression=8):
    """A TIFF image of one strip, of zeros by default, as tifffile would not write it."""

    def write(folder):
        data = many_zeros() if strip is None else strip
        tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        head, count = struct.pack("<4sI", b"II*\0", 8 + len(data)), struct.pack("<H", len(tags))
        (folder / "v.tif").write_bytes(head + data + count + entries + bytes(4))
        return folder / "v.tif"

    return write


def h5(make, name=""):
    def write(folder):
        with h5py.File(folder / "other.h5", "w") as other:
            other["x"] = LABELS
        with h5py.File(folder / "v.h5", "w") as file:
            make(file)
        return f"{folder / 'v.h5'}{name}"

    return write


def virtual(file):
    layout = h5py.VirtualLayout(LABELS.shape, "u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", LABELS.shape)
    file.create_virtual_dataset("scan", layout)


def half_written(file):
    data = file.create_dataset("scan", LABELS.shape, "u1", chunks=(2, 5, 7))
    data[:2], data[4:] = LABELS[:2], LABELS[4:]


def inflating(file):
    data = file.create_dataset("scan", (2, 1024, 1024), "u1", chunks=(2, 1024, 1024), compression="gzip")
    data.id.write_direct_chunk((0, 0, 0), many_zeros())


def large_note(folder):
    path = npy(LABELS)(folder)
    with open(folder / "v.npy.json", "wb") as note:
        note.truncate(10 * 2**30)
    return path


def full_of_holes(folder):
    path = npy(np.zeros((1, 1, 4096), np.uint8))(folder)
    content = path.read_bytes().replace(b"(1, 1, 4096), }" + b" " * 12, b"(65536, 65536, 256), }".ljust(27))
    path.write_bytes(content)
    with open(path, "r+b") as file:
        file.truncate(2**41)
    return path


def pipe(folder):
    os.mkfifo(folder / "v.tif")
    return folder / "v.tif"


def device(folder):
    (folder / "v.npy").symlink_to("/dev/zero")
    return folder / "v.npy"


def shard(data, first=False, told=None, codec=None):
    """A Zarr array of one shard of one chunk, which holds data."""

    def write(folder):
        codecs, index = [BytesCodec(), *([codec] if codec else [])], [BytesCodec()]
        place = "start" if first else "end"
        sharding = ShardingCodec(chunk_shape=LABELS.shape, codecs=codecs, index_codecs=index, index_location=place)
        given = {"filters": None, "compressors": None, "serializer": sharding}
        zarr.create_array(folder / "v.zarr", data=LABELS, chunks=LABELS.shape, **given)
        pieces = struct.pack("<QQ", 16 if first else 0, len(data) if told is None else told)
        (folder / "v.zarr/c/0/0/0").write_bytes(pieces + data if first else data + pieces)
        return folder / "v.zarr"

    return write


def shard_in_shard(folder):
    inner = ShardingCodec(chunk_shape=(1, 5, 7))
    sharding = ShardingCodec(chunk_shape=(3, 5, 7), codecs=[inner])
    zarr.create_array(
        folder / "v.zarr", data=LABELS, chunks=LABELS.shape, filters=None, compressors=None, serializer=sharding
    )
    return folder / "v.zarr"


def with_short_shard(folder):
    path = shard(b"")(folder)
    (path / "c/0/0/0").write_bytes(b"abc")
    return path


def tiny_chunks(folder):
    array = zarr.create_array(folder / "v.zarr", shape=(512, 512, 512), chunks=(1, 1, 1), dtype="u1")
    array[0, 0, 0] = 1
    return folder / "v.zarr"


CLAIMS, ITSELF = "must hold what it claims", "must hold its data itself"
HOSTILE = {
    "pickle, compressor": (with_chunk(lambda c, _: c.write_bytes(PICKLE), compressor={"id": "pickle"}), "pickle"),
    "pickle, filter": (with_chunk(lambda c, _: c.write_bytes(PICKLE), filters=[{"id": "pickle"}]), "pickle"),
    "pickle, objects": (
        with_chunk(
            lambda c, _: c.write_bytes(PICKLE),
            dtype="|O",
            fill_value=None,
            filters=[{"id": "vlen-utf8"}, {"id": "pickle"}],
        ),
        "must be encoded by .* Received: the codec pickle",
    ),
    "a codec that is not on the list": (
        with_chunk(lambda c, _: c.write_bytes(b"[]"), filters=[{"id": "bitround", "keepbits": 3}]),
        "must be encoded by .* Received: the codec bitround",
    ),
    "compressed twice": (
        with_chunk(lambda c, _: c.write_bytes(b""), filters=[{"id": "gzip", "level": 1}], compressor={"id": "zlib"}),
        "must be compressed once",
    ),
    "chunk, a link": (with_chunk(link_to(LABELS.tobytes())), ITSELF),
    "chunk, a pipe": (with_chunk(lambda chunk, _: os.mkfifo(chunk)), ITSELF),
    "chunk, a device": (with_chunk(lambda chunk, _: chunk.symlink_to("/dev/zero")), ITSELF),
    "chunk, in a linked folder": (linked, ITSELF),
    "chunk, too long": (with_chunk(lambda chunk, _: chunk.write_bytes(bytes(2**20))), CLAIMS),
    "2^62 voxels per axis": (lambda folder: chunked(folder, shape=[2**62] * 3), CLAIMS),
    "2^20 voxels per axis": (lambda folder: chunked(folder, shape=[2**20] * 3), CLAIMS),
    "2^62 voxels along one axis": (lambda folder: chunked(folder, shape=[2**62, 1, 1]), CLAIMS),
    "chunks of 2^20 per axis": (lambda folder: chunked(folder, chunks=[2**20] * 3), f"{CLAIMS}|chunks that fit"),
    **{
        f"Zarr inflates, {codec.codec_id}": (bomb(codec), f"{CLAIMS}|complete and undamaged")
        for codec in (numcodecs.GZip(9), numcodecs.Zlib(9), numcodecs.Zstd(), numcodecs.BZ2(), numcodecs.LZMA())
    },
    "Zarr inflates, blosc": (bomb(numcodecs.Blosc("zstd")), CLAIMS),
    "shard inflates": (shard(numcodecs.Zstd().encode(ZEROS), codec=ZstdCodec()), "inflates to more"),
    "shard inflates, index first": (
        shard(numcodecs.Blosc("zstd").encode(ZEROS), first=True, codec=BloscCodec()),
        "inflates to more",
    ),
    "shard of zlib inflates": (lambda folder: shard(many_zeros(), codec=GzipCodec())(folder), CLAIMS),
    "shard tells of more than it holds": (shard(LABELS.tobytes(), told=2**40), "ends after its shard"),
    "shard without its index": (with_short_shard, "must be complete. Received: a shard of 3 bytes"),
    "shards in shards": (shard_in_shard, "shards that nothing else encodes"),
    "chunks of one voxel": (tiny_chunks, "chunks that fit its image"),
    "TIFF inflates to 4 GB": (deflated(2**16, 2**16), CLAIMS),
    "TIFF strip inflates": (
        deflated(50, 50),
        "a compressed piece of",
    ),
    "TIFF strip inflates to more": (
        deflated(1000, 1000),
        "inflates to more",
    ),
    "TIFF strip inflates, LZMA": (deflated(50, 50, bytes(numcodecs.LZMA().encode(ZEROS)), 34925), "inflates to more"),
    "HDF5 chunk inflates": (h5(inflating), "inflates to more"),
    "HDF5 external storage": (
        h5(lambda file: file.create_dataset("scan", (1, 10, 10), "u1", external=[("/etc/passwd", 0, 100)])),
        ITSELF,
    ),
    "HDF5 external link": (h5(lambda f: f.__setitem__("a", h5py.ExternalLink("other.h5", "/x")), ":/a"), ITSELF),
    "HDF5 link to a link": (
        h5(lambda f: f.update(e=h5py.ExternalLink("other.h5", "/"), a=h5py.SoftLink("/e/x")), ":/a"),
        ITSELF,
    ),
    "HDF5 link to itself": (h5(lambda f: f.__setitem__("a", h5py.SoftLink("/a")), ":/a"), "none of that name"),
    "HDF5 virtual": (h5(virtual), ITSELF),
    "HDF5 2^62": (h5(lambda f: f.create_dataset("a", (2**62,) * 3, "u1", chunks=(64,) * 3)), CLAIMS),
    "HDF5 never written": (h5(lambda f: f.create_dataset("a", (6, 5, 7), "u1")), "was never written"),
    "HDF5 half written": (h5(half_written), "2 of 3 chunks"),
    "NumPy, full of holes": (full_of_holes, CLAIMS),
    "a note of 10 GB": (large_note, "must be a note of at most"),
    "a pipe": (pipe, "must be a regular file"),
    "a device": (device, "must be a regular file"),
    "OME of 10^10 planes": (
        changed(ome(Name="n" * 8), (b'SizeZ="6" SizeT="1"', b'SizeZ="9999999999" ')),
        "6 planes, where it tells of",
    ),
}


@pytest.mark.parametrize(("write", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_strangers_file_is_refused_in_one_line(tmp_path, monkeypatch, write, message):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    for in_memory in (0, 2**31):
        with pytest.raises(ValueError, match=message):
            io.open_labels(path, phases=("a", "b"), in_memory=in_memory)
    assert re.search(message, one_line(run(path)))
    assert not Path("ran").exists()


LIMITED = """
import resource, sys
from click.testing import CliRunner
from kerasgan3d.cli import main
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
for path in sys.argv[1:]:
    result = CliRunner().invoke(main, ["measure", path])
    print(result.exit_code, repr(result.stdout), result.stderr, end="")
# Of this program alone: what `getrusage` tells goes on from the process that began it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")) + "000")
"""
HUNGRY = (
    *("TIFF inflates to 4 GB", "TIFF strip inflates to more", "HDF5 chunk inflates", "HDF5 2^62", "a device"),
    *("shard of zlib inflates", "Zarr inflates, lzma", "chunks of one voxel", "2^62 voxels per axis"),
    *("a note of 10 GB", "NumPy, full of holes", "OME of 10^10 planes"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_strangers_file_takes_little_memory(tmp_path):
    paths = []
    for name in HUNGRY:
        (tmp_path / name).mkdir()
        paths.append(str(HOSTILE[name][0](tmp_path / name)))
    done = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, check=True)
    *lines, peak = done.stdout.splitlines()
    for name, line in zip(HUNGRY, lines, strict=True):
        assert line.startswith("2 '' kerasgan3d: ")
        assert re.search(HOSTILE[name][1], line)
    assert int(peak) < 2**30


def test_a_mask_that_is_counted_from_white(tmp_path):
    volume = npy(LABELS)(tmp_path)
    mask = tiff(LABELS, "mask.tif", **WHITE)(tmp_path)
    assert re.search("must hold some 0. Received: none. .* WhiteIsZero", one_line(run(volume, "--mask", str(mask))))
    mask = tiff(255 - LABELS * np.uint8(255), "mask.tif", **WHITE)(tmp_path)
    assert json.loads(run(volume, "--mask", str(mask)).stdout)["volume_fraction"] == [0, 1]


def test_links_within_an_hdf5_file_are_followed(tmp_path):
    def linked(file):
        file["group/x"] = LABELS
        file["a"] = h5py.SoftLink("/group/x")

    np.testing.assert_array_equal(io.read(h5(linked, ":/a")(tmp_path)).labels, LABELS)
