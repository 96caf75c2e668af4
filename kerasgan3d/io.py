"""Files of volumes: the only place that reads and writes them.

TIFF (also folders of slices), NumPy, OME-Zarr and VTK image data; `docs/formats.md` says what each one stores. A file
is read strictly: nothing is guessed that two readers could guess differently. A file is written beside its final place
and moved there when it is complete, so that a path holds either the whole volume or what it held before.
"""

import contextlib
import glob
import json
import logging
import math
import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.phases import PhaseMap
from kerasgan3d.volume import Volume, checked_voxel_size

SUFFIXES = (".tif", ".tiff", ".npy", ".zarr", ".vti")
PROBABILITY_SUFFIXES = (".tif", ".tiff", ".npy")

_KEY = "kerasgan3d"
# Classic TIFF, and with it ImageJ's kind, ends at 4 GiB; the room left is for the directory of pages.
_CLASSIC_TIFF_BYTES = 2**32 - 2**25
# Voxel sizes that a pair of 32-bit integers holds to six digits, in µm.
_TIFF_VOXEL_SIZES = (1e-4, 1e4)
# 600 dots per inch: what is coarser is the resolution of a screen or a printer, not of a microscope.
_COARSEST_VOXEL = 25400 / 600
_ZARR_CHUNK = 128
# No label has this value, so that a chunk that got lost shows up instead of turning into phase 0.
_ZARR_FILL = 255
_VTI_BLOCK = 1 << 20
_UNITS = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", '"'), 25400.0),
}


class LabelImage(NamedTuple):
    """A segmented image to learn from.

    Attributes:
        labels: uint8 (y, x) or (z, y, x), values 0 to n - 1.
        phase_map: the PhaseMap from the file's grey values to the labels.
        voxel_size: edge of a voxel in µm, or None where it is unknown.
    """

    labels: np.ndarray
    phase_map: PhaseMap
    voxel_size: float | None


def read(path, *, phases=None, mapping=None, voxel_size=None):
    """Read a volume.

    Files that kerasgan3d wrote say themselves which phases they hold, how large a voxel is, and what is periodic. For
    all others the phases are found from the grey values by `PhaseMap.infer`. Arguments win over what the file says.

    Args:
        path: a .tif, .tiff, .npy or .vti file, a .zarr folder, or a folder or pattern ("scan/*.tif") of 2D TIFF
            slices, which are stacked along z in the natural order of their names.
        phases: names of the phases, or a PhaseMap.
        mapping: dict of grey value to name, used strictly.
        voxel_size: edge of a voxel in µm.

    Returns:
        The Volume.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        OSError: if it may not be read.
        ValueError: if it is no undamaged 3D image of phases, its voxels are no cubes, or an argument does not fit it.
    """
    image, metadata = _read_segmented(path, phases, mapping, voxel_size)
    if image.labels.ndim != 3:
        raise _FileError(
            f"{path} must hold a 3D volume (z, y, x). Received: a 2D image {image.labels.shape}. A slice can be "
            "trained on, but it is no volume; several slices are read from their folder."
        )
    provenance = metadata.get("provenance", {"file": Path(path).name})
    with _about(path):
        return Volume(*image, metadata.get("periodic", False), provenance)


def write(volume, path, *, overwrite=True):
    """Write a volume, complete or not at all.

    Args:
        volume: a Volume.
        path: where to; the suffix says how: .tif or .tiff (opens in Fiji with its voxel size), .npy (with a .npy.json
            beside it), .zarr (OME-Zarr 0.5), .vti (ParaView).
        overwrite: whether a file that exists may be replaced.

    Raises:
        ValueError, OSError: as `check_writable`, or if the disk is full.
    """
    if not isinstance(volume, Volume):
        raise ValueError(
            f"Only a Volume can be written. Received: {type(volume).__name__}. Make one with Volume(labels, phases, "
            "voxel_size)."
        )
    path = check_writable(path, overwrite=overwrite)
    record = {
        "version": 1,
        "shape": list(volume.shape),
        "phases": list(volume.phases),
        "voxel_size": volume.voxel_size,
        "periodic": list(volume.periodic),
        "provenance": volume.provenance,
    }
    match path.suffix.lower():
        case ".npy":
            _write_npy(path, volume.labels, record)
        case ".zarr":
            _write_zarr(path, volume.labels, record)
        case ".vti":
            _write_vti(path, volume.labels, record)
        case _:
            _write_tiff(path, volume.labels, "ZYX", record, display=max(1, len(volume.phases) - 1))


def read_labels(path, phases=None, mapping=None, voxel_size=None):
    """Read a segmented image to learn from: a volume, or one 2D slice.

    Args and errors as those of `read`, except that 2D images are welcome.

    Returns:
        A LabelImage: labels, phase map and voxel size.
    """
    return _read_segmented(path, phases, mapping, voxel_size)[0]


def read_image(path):
    """Read an integer image as it is, grey values and all.

    Args:
        path: as for `read`.

    Returns:
        The array (y, x) or (z, y, x), integer or boolean; the voxel size in µm, or None where the file does not state
        it or its voxels are no cubes; and a dict of what else the file says: "spacing", the voxel's edges along z, y
        and x in µm, and, where kerasgan3d wrote the file, "phases", "voxel_size", "periodic" and "provenance".

    Raises:
        FileNotFoundError, OSError: if there is nothing at `path`, or it may not be read.
        ValueError: if it is no undamaged 2D or 3D integer image.
    """
    array, spacing, record = _reader(path)
    metadata = _trusted(record, array.shape, spacing)
    if "voxel_size" not in metadata and spacing is not None:
        metadata["voxel_size"] = spacing[2] if max(spacing) <= min(spacing) * 1.001 else None
    if spacing is not None:
        metadata["spacing"] = spacing
    with _about(path):
        return array, checked_voxel_size(metadata.get("voxel_size")), metadata


def write_probabilities(probabilities, path, phases, voxel_size=None, *, overwrite=True):
    """Write the probability of every phase in every voxel, complete or not at all.

    Args:
        probabilities: floating-point array (z, y, x, n), values 0 to 1; it is stored as float32.
        path: .tif or .tiff (a stack (z, channel, y, x) for ImageJ, one channel per phase), or .npy (z, y, x, n).
        phases: the n phase names, or a PhaseMap.
        voxel_size: edge of a voxel in µm, or None where it is unknown.
        overwrite: whether a file that exists may be replaced.

    Raises:
        ValueError: if the array is not as above, or the suffix is unknown.
        OSError: as `check_writable`.
    """
    probabilities = np.asarray(probabilities)
    names = PhaseMap(phases).names
    voxel_size = checked_voxel_size(voxel_size)
    if probabilities.ndim != 4 or probabilities.dtype.kind != "f" or 0 in probabilities.shape:
        raise ValueError(
            f"Probabilities must be a floating-point array (z, y, x, n). Received: {probabilities.dtype} "
            f"{probabilities.shape}."
        )
    if probabilities.shape[-1] != len(names):
        raise ValueError(
            f"There must be one name per channel. Received: {probabilities.shape[-1]} channels and {len(names)} names "
            f"({', '.join(names)})."
        )
    lowest, highest = float(probabilities.min()), float(probabilities.max())
    if not (lowest >= -1e-3 and highest <= 1 + 1e-3):
        raise ValueError(f"Probabilities must lie in 0 to 1. Received: {lowest:g} to {highest:g}.")
    path = check_writable(path, overwrite=overwrite, suffixes=PROBABILITY_SUFFIXES)
    record = {
        "version": 1,
        "kind": "probabilities",
        "shape": list(probabilities.shape),
        "phases": list(names),
        "voxel_size": voxel_size,
    }
    probabilities = probabilities.astype(np.float32, copy=False)
    if path.suffix.lower() == ".npy":
        _write_npy(path, probabilities, record)
    else:
        _write_tiff(path, np.moveaxis(probabilities, 3, 1), "ZCYX", record, display=1, slice_names=names)


def check_writable(path, *, overwrite=True, suffixes=SUFFIXES):
    """Check that a file could be written, without writing it, so that long work need not be lost.

    Args:
        path: the file or .zarr folder to be.
        overwrite: whether something that exists may be replaced.
        suffixes: those that are allowed; `PROBABILITY_SUFFIXES` for `write_probabilities`.

    Returns:
        The path as a pathlib.Path.

    Raises:
        ValueError: if the suffix is unknown.
        FileNotFoundError: if the folder does not exist.
        FileExistsError: if the path exists and may not be replaced.
        OSError: if there is something else in the way: a folder where a file is to be, no permission ...
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"The file to write must end in one of {', '.join(suffixes)}. Received: {path}")
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"The folder to write to must exist; make it first. Received: {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"The place to write to must be a folder. Received: {folder}, a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already. Choose another name, or allow it to be overwritten.")
    if path.suffix.lower() == ".zarr":
        if path.exists() and not _is_zarr(path):
            raise FileExistsError(f"{path} must be a Zarr folder to be replaced. It is something else: move it away.")
    elif path.is_dir():
        raise IsADirectoryError(f"The file to write must not be a folder. Received: {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"There must be permission to replace the file. Received: {path}, which is read-only")
    try:
        # The permission bits do not tell everything (read-only disks, quotas, network folders): try it.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(f"It must be possible to write to the folder {folder}. Received: {error.strerror}") from error
    return path


class _FileError(ValueError):
    """What is wrong with a file, said in full: not to be wrapped again."""


@contextlib.contextmanager
def _about(path):
    """Put the file's name in front of what is wrong with its content or with what was said about it."""
    try:
        yield
    except _FileError:
        raise
    except ValueError as error:
        raise _FileError(f"{path}: {error}") from error


@contextlib.contextmanager
def _reading(path, kind):
    """Turn whatever a library raises over a damaged or foreign file into one clear error."""
    try:
        yield
    except _FileError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise _FileError(f"{path} must be {kind} that can be read. Received: {_in_one_line(error)}") from error
    except Exception as error:
        if "imagecodecs" in str(error):
            raise _FileError(
                f"{path} is compressed in a way that needs one more package: pip install imagecodecs. Or save it "
                f"without compression, for example with Fiji. Received: {_in_one_line(error)}"
            ) from error
        raise _FileError(f"{path} must be {kind}, complete and undamaged. Received: {_in_one_line(error)}") from error


def _in_one_line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")


def _read_segmented(path, phases, mapping, voxel_size):
    """Read an image and find out about its phases and voxels: a LabelImage, and what else the file says."""
    voxel_size = checked_voxel_size(voxel_size)
    image, stated_size, metadata = read_image(path)
    if voxel_size is None:
        voxel_size = stated_size
        if voxel_size is None and "spacing" in metadata:
            edges = ", ".join(f"{axis} {edge:g}" for axis, edge in zip("zyx", metadata["spacing"], strict=True))
            raise _FileError(
                f"{path} must have cubic voxels. Received: {edges} µm. Resample it first, or pass voxel_size= "
                "(--voxel-size on the command line) if what the file says is wrong."
            )
    with _about(path):
        if isinstance(phases, PhaseMap) and mapping is None:
            phase_map = phases
        elif mapping is None and "phases" in metadata:
            phase_map = PhaseMap(metadata["phases"] if phases is None else phases)
        else:
            phase_map = PhaseMap.infer(image, phases, mapping)
        return LabelImage(phase_map.encode(image), phase_map, voxel_size), metadata


def _trusted(record, shape, spacing):
    """Return what still holds of what kerasgan3d noted in a file that other programs may have changed since.

    Cropping and scaling in Fiji keep the note as it was: with another shape, only phases and provenance are still
    true. Where the shape is the same but the calibration is another, somebody corrected it.
    """
    if not isinstance(record, dict):
        return {}
    unchanged = record.get("shape") == list(shape)
    keys = ("phases", "provenance", "periodic", "voxel_size") if unchanged else ("phases", "provenance")
    trusted = {key: record[key] for key in keys if key in record}
    noted = trusted.get("voxel_size")
    if spacing is not None and not (isinstance(noted, float) and math.isclose(noted, spacing[2], rel_tol=1e-3)):
        trusted.pop("voxel_size", None)
    return trusted


def _reader(path):
    """Read what is at a path: array, spacing (z, y, x) in µm or None, and kerasgan3d's own record or None."""
    text = os.fspath(path)
    path = Path(text)
    if not path.exists():
        if glob.has_magic(text):
            return _read_slices([Path(name) for name in glob.glob(text)], text)
        raise FileNotFoundError(f"There must be a file or folder to read. Received: {path}, which does not exist")
    if path.is_dir():
        if _is_zarr(path) or path.suffix.lower() == ".zarr":
            return _read_zarr(path)
        return _read_slices(list(path.iterdir()), text)
    match path.suffix.lower():
        case ".tif" | ".tiff":
            return _read_tiff(path)
        case ".npy":
            return _read_npy(path)
        case ".vti":
            return _read_vti(path)
    raise _FileError(
        f"The file to read must end in one of {', '.join(SUFFIXES)}, or be a folder of TIFF slices. Received: {path}"
    )


def _check_array(path, shape, dtype):
    """Refuse what is no integer image of two or three axes."""
    if dtype.kind not in "iub":
        advice = "Convert it to 8-bit labels first" if dtype.kind == "f" else "Save it as 8-bit labels"
        raise _FileError(f"{path} must hold integer labels. Received: {dtype}, shape {shape}. {advice}.")
    if len(shape) not in (2, 3) or 0 in shape:
        raise _FileError(f"{path} must hold a 2D or 3D image that is not empty. Received: shape {shape}.")


def _parsed(text):
    """Return kerasgan3d's record from a text that may hold it as JSON, or None."""
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return content.get(_KEY) if isinstance(content, dict) else None


# TIFF


def _write_tiff(path, array, axes, record, display, slice_names=None):
    """Write an array (z, [channel,] y, x) as TIFF, uncompressed: every program opens that, also without loading it."""
    import tifffile

    size = record["voxel_size"]
    note = json.dumps({_KEY: record})
    big = array.nbytes > _CLASSIC_TIFF_BYTES
    # ImageJ's kind of TIFF does not tell one slice from none, nor one column, and has no big form.
    if path.name.lower().endswith((".ome.tif", ".ome.tiff")) or (big and 1 not in (array.shape[0], array.shape[-1])):
        metadata = {"axes": axes, "Description": note}
        if size is not None:
            for axis in "XYZ":
                metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
        options = {"ome": True, "metadata": metadata}
    elif big or 1 in (array.shape[0], array.shape[-1]):
        options = {"metadata": {"axes": axes, _KEY: record}}
        if size is not None and _TIFF_VOXEL_SIZES[0] <= size <= _TIFF_VOXEL_SIZES[1]:
            options |= {"resolution": (1e4 / size, 1e4 / size), "resolutionunit": "CENTIMETER"}
    else:
        # Without a display range Fiji spreads 0 to 255, and labels are as good as black.
        metadata = {"axes": axes, "mode": "grayscale", "min": 0, "max": display, "Info": note}
        if slice_names is not None:
            metadata["Labels"] = list(slice_names) * array.shape[0]
        options = {"imagej": True, "metadata": metadata}
        if size is not None and _TIFF_VOXEL_SIZES[0] <= size <= _TIFF_VOXEL_SIZES[1]:
            metadata |= {"spacing": size, "unit": "micron"}
            options |= {"resolution": (1 / size, 1 / size)}
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, array, photometric="minisblack", bigtiff=big, **options)


def _read_tiff(path):
    import tifffile

    with _reading(path, "a TIFF image"), _tifffile_messages() as messages, tifffile.TiffFile(path) as tif:
        if len(tif.series) != 1:
            raise _FileError(
                f"{path} must hold one image. Received: {len(tif.series)}, of shapes "
                f"{', '.join(str(series.shape) for series in tif.series[:5])}."
            )
        series = tif.series[0]
        if any("invalid page offset" in message for message in messages):
            raise _FileError(
                f"{path} must be complete. Received: a TIFF file that ends before its last page. Copy or save it again."
            )
        axes = [axis for axis in zip(series.axes, series.shape, strict=True) if axis[0] not in "SC" or axis[1] > 1]
        channels = [length for letter, length in axes if letter in "SC"]
        if channels:
            raise _FileError(
                f"{path} must hold one grey value per voxel. Received: {channels[0]} channels, shape {series.shape}. "
                "Convert colours to 8-bit labels first; slices that were saved as channels are re-ordered in Fiji "
                "with Image > Hyperstacks > Re-order Hyperstack."
            )
        shape = tuple(length for _, length in axes)
        while len(shape) > 3 and shape[0] == 1:
            shape = shape[1:]
        _check_array(path, shape, series.dtype)
        spacing, record = _tiff_spacing(tif), _tiff_record(tif)
        array = series.asarray().reshape(shape)
    noted = record.get("shape") if isinstance(record, dict) else None
    # Readers of ImageJ and OME files drop axes of one voxel; the record knows them.
    if (
        isinstance(noted, list)
        and noted != list(shape)
        and [n for n in noted if n != 1] == [n for n in shape if n != 1]
    ):
        array = array.reshape(noted)
    return array, spacing, record


@contextlib.contextmanager
def _tifffile_messages():
    """Collect what tifffile logs: it reads what is left of a truncated file and only logs that pages are missing."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda entry: messages.append(entry.getMessage())
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _tiff_record(tif):
    if tif.is_imagej:
        return _parsed((tif.imagej_metadata or {}).get("Info"))
    if tif.is_ome:
        description = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Image/{*}Description")
        return None if description is None else _parsed(description.text)
    return _parsed(tif.pages[0].description)


def _tiff_spacing(tif):
    """Return the edges of a voxel along z, y, x in µm, or None where the file does not say.

    Along z, only ImageJ and OME state it; otherwise voxels are taken for cubes.
    """
    if tif.is_ome:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Image/{*}Pixels")
        edges = [_ome_edge(pixels, axis) for axis in "ZYX"] if pixels is not None else [None]
        return None if None in edges[1:] or len(edges) == 1 else (edges[0] or edges[2], edges[1], edges[2])
    tags = tif.pages[0].tags
    x, y = (_pixels_per_unit(tags.get(name)) for name in ("XResolution", "YResolution"))
    if x is None or y is None:
        return None
    imagej = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    unit = str(imagej.get("unit", "")).strip().lower()
    if not unit:
        unit = {2: "inch", 3: "cm"}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2)
    if unit not in _UNITS:
        return None
    x, y = (_rounded(_UNITS[unit] / resolution) for resolution in (x, y))
    if _UNITS[unit] >= 1e4 and max(x, y) > 0.999 * _COARSEST_VOXEL:
        return None
    depth = imagej.get("spacing")
    depth = _rounded(_UNITS[unit] * abs(depth)) if isinstance(depth, (int, float)) and depth else x
    return (depth, y, x)


def _ome_edge(pixels, axis):
    try:
        edge = float(pixels.get(f"PhysicalSize{axis}")) * _UNITS[pixels.get(f"PhysicalSize{axis}Unit", "µm").lower()]
    except (TypeError, ValueError, KeyError):
        return None
    return edge if math.isfinite(edge) and edge > 0 else None


def _pixels_per_unit(tag):
    """Return a resolution tag as a number, or None where it says nothing (1 per unit is what programs default to)."""
    try:
        numerator, denominator = tag.value
        return None if 0 in (numerator, denominator) or numerator == denominator == 1 else numerator / denominator
    except (AttributeError, TypeError, ValueError):
        return None


def _rounded(edge):
    """Undo the rounding of a resolution to a ratio of integers: 0.39800003 is 0.398."""
    return float(f"{edge:.5g}")


def _read_slices(paths, source):
    """Stack 2D TIFF slices along z in the natural order of their names."""
    paths = [p for p in paths if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".") and p.is_file()]
    paths.sort(key=lambda p: [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", p.name))])
    if not paths:
        raise _FileError(f"There must be TIFF slices (.tif, .tiff) to read. Received: {source}, where there are none.")
    if len(paths) == 1 and glob.has_magic(source):
        return _read_tiff(paths[0])
    stack = None
    for z, path in enumerate(paths):
        image, spacing, _ = _read_tiff(path)
        if image.ndim != 2:
            raise _FileError(
                f"Slices must be 2D images. Received: {path}, shape {image.shape}. To read a volume from one file, "
                "give the file itself."
            )
        if stack is None:
            stack, first_spacing = np.empty((len(paths), *image.shape), image.dtype), spacing
        if (image.shape, image.dtype) != (stack.shape[1:], stack.dtype):
            raise _FileError(
                f"Slices must have one size and type. Received: {paths[0].name}, {stack.shape[1:]} {stack.dtype}, but "
                f"{path.name}, {image.shape} {image.dtype}, in {path.parent}."
            )
        stack[z] = image
    return stack, first_spacing, None


# NumPy


def _write_npy(path, array, record):
    # The note comes into place last: beside an older note, the new array is known by its shape.
    with replacing(_sidecar(path)) as note, replacing(path) as temporary:
        note.write_text(json.dumps({_KEY: record}, indent=1) + "\n", encoding="utf-8")
        with temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)


def _read_npy(path):
    with _reading(path, "a NumPy array file"):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise ValueError("an archive of arrays (.npz)")
        _check_array(path, mapped.shape, mapped.dtype)
        array = np.array(mapped, order="C")
    sidecar = _sidecar(path)
    try:
        return array, None, _parsed(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else None
    except UnicodeDecodeError as error:
        raise _FileError(f"{sidecar} must be a JSON text. Received: {_in_one_line(error)}") from error


def _sidecar(path):
    return path.with_name(path.name + ".json")


# OME-Zarr


def _is_zarr(path):
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def _write_zarr(path, labels, record):
    import zarr

    size = record["voxel_size"]
    unit = {} if size is None else {"unit": "micrometer"}
    multiscale = {
        "name": path.stem,
        "axes": [{"name": axis, "type": "space", **unit} for axis in "zyx"],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": [1.0 if size is None else size] * 3}],
            }
        ],
    }
    attributes = {"ome": {"version": "0.5", "multiscales": [multiscale]}, _KEY: record}
    with replacing(path) as temporary:
        group = zarr.create_group(str(temporary), zarr_format=3, attributes=attributes)
        array = group.create_array(
            "0",
            shape=labels.shape,
            dtype=labels.dtype,
            chunks=tuple(min(_ZARR_CHUNK, length) for length in labels.shape),
            dimension_names=("z", "y", "x"),
            fill_value=_ZARR_FILL,
        )
        array[...] = labels


def _read_zarr(path):
    import zarr

    if not _is_zarr(path):
        raise _FileError(f"{path} must be a Zarr folder. Received: a folder without Zarr metadata.")
    with _reading(path, "a Zarr image"):
        node = zarr.open(str(path), mode="r")
        spacing = record = None
        names = ("z", "y", "x")
        if isinstance(node, zarr.Group):
            attributes = node.attrs.asdict()
            record = attributes.get(_KEY)
            multiscales = attributes.get("ome", attributes).get("multiscales")
            if not multiscales:
                raise _FileError(
                    f"{path} must be an OME-Zarr image (with multiscales) or one array. Received: a group of "
                    f"{', '.join(sorted(node.keys())) or 'nothing'}. Give the path of one array in it."
                )
            names, spacing, dataset = _multiscale(multiscales[0])
            node = node[dataset]
        if node.ndim == len(names):
            strange = [
                (n, length) for n, length in zip(names, node.shape, strict=True) if n not in "zyx" and length > 1
            ]
            if strange:
                raise _FileError(
                    f"{path} must have the axes z, y, x. Received: {strange[0][0]} of {strange[0][1]} too."
                )
            shape = tuple(length for n, length in zip(names, node.shape, strict=True) if n in "zyx")
        else:
            shape = node.shape
        _check_array(path, shape, np.dtype(node.dtype))
        array = np.asarray(node[...]).reshape(shape)
    if isinstance(record, dict) and bool((array == _ZARR_FILL).any()):
        raise _FileError(f"{path} must be complete. Received: a volume with missing chunks. Copy or write it again.")
    return array, spacing, record


def _multiscale(multiscale):
    """Return the axis names, the spacing in µm or None, and the path of the finest array of an OME-Zarr image."""
    axes = multiscale.get("axes", ["z", "y", "x"])
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    names = tuple(axis["name"].lower() for axis in axes)
    if names[-2:] != ("y", "x"):
        raise ValueError(f"axes {', '.join(names)} instead of z, y, x")
    finest = multiscale["datasets"][0]
    scale = np.ones(len(names))
    for transformation in (
        *finest.get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ):
        if transformation.get("type") == "scale":
            scale = scale * np.asarray(transformation["scale"], float)
    edges = {
        axis["name"].lower(): float(step) * _UNITS[axis["unit"].lower()]
        for axis, step in zip(axes, scale, strict=True)
        if str(axis.get("unit", "")).lower() in _UNITS and math.isfinite(step) and step > 0
    }
    known = "y" in edges and "x" in edges
    return names, (edges.get("z", edges["x"]), edges["y"], edges["x"]) if known else None, finest["path"]


# VTK image data


def _write_vti(path, labels, record):
    """Write VTK's XML image data: one cell per voxel, zlib blocks appended raw, so that memory does not grow."""
    z, y, x = labels.shape
    extent = f"0 {x} 0 {y} 0 {z}"
    edge = repr(1.0 if record["voxel_size"] is None else record["voxel_size"])
    periodic = " ".join(str(int(axis)) for axis in record["periodic"])
    head = f"""<?xml version="1.0" encoding="UTF-8"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64" \
compressor="vtkZLibDataCompressor">
<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{edge} {edge} {edge}">
<FieldData>
{_vtk_strings("phases", record["phases"])}
<DataArray type="UInt8" Name="periodic_zyx" NumberOfTuples="3" format="ascii">{periodic}</DataArray>
{_vtk_strings(_KEY, [json.dumps(record)])}
</FieldData>
<Piece Extent="{extent}">
<PointData/>
<CellData Scalars="phase"><DataArray type="UInt8" Name="phase" format="appended" offset="0"/></CellData>
</Piece>
</ImageData>
<AppendedData encoding="raw">
_"""
    values = memoryview(np.ascontiguousarray(labels).reshape(-1))
    blocks = range(0, len(values), _VTI_BLOCK)
    sizes = np.zeros(3 + len(blocks), "<u8")
    sizes[:3] = len(blocks), _VTI_BLOCK, len(values) % _VTI_BLOCK
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(head.encode())
        start = stream.tell()
        stream.write(sizes.tobytes())
        for k, first in enumerate(blocks):
            sizes[3 + k] = stream.write(zlib.compress(values[first : first + _VTI_BLOCK], 6))
        stream.write(b"\n</AppendedData>\n</VTKFile>\n")
        stream.seek(start)
        stream.write(sizes.tobytes())


def _vtk_strings(name, strings):
    """Return a string array as VTK stores it: character codes, a 0 after every string."""
    codes = " ".join(str(code) for text in strings for code in (*text.encode(), 0))
    count = len(strings)
    return f'<DataArray type="String" Name="{name}" NumberOfTuples="{count}" format="ascii">{codes}</DataArray>'


def _read_vti(path):
    with _reading(path, "a VTI file as kerasgan3d writes it"):
        content = path.read_bytes()
        head, mark, tail = content.partition(b"<AppendedData")
        root = ElementTree.fromstring(head + b"</VTKFile>" if mark else head)
        image = root.find("ImageData")
        array = root.find("ImageData/Piece/CellData/DataArray[@Name='phase']")
        if (
            image is None
            or array is None
            or (root.get("header_type"), root.get("compressor"), array.get("format"))
            != (
                "UInt64",
                "vtkZLibDataCompressor",
                "appended",
            )
        ):
            raise ValueError("no cell data named phase in appended zlib blocks")
        low_x, x, low_y, y, low_z, z = (int(bound) for bound in image.get("WholeExtent").split())
        spacing = tuple(float(edge) for edge in reversed(image.get("Spacing").split()))
        noted = root.find(f"ImageData/FieldData/DataArray[@Name='{_KEY}']")
        record = json.loads(bytes(int(code) for code in noted.text.split()).rstrip(b"\0"))
        shape = (z - low_z, y - low_y, x - low_x)
        start = content.index(b"_", len(head)) + 1
        labels = _vtk_blocks(content, start, math.prod(shape)).reshape(shape)
    return labels, None if record.get("voxel_size") is None else spacing, record


def _vtk_blocks(content, start, count):
    """Decompress the blocks that begin at byte `start` into `count` uint8 values."""
    blocks, block_size, last_size = np.frombuffer(content, "<u8", 3, start).tolist()
    lengths = np.frombuffer(content, "<u8", blocks, start + 24).tolist()
    values = np.empty(count, np.uint8)
    position, filled = start + 24 + 8 * blocks, 0
    for k, length in enumerate(lengths):
        wanted = last_size if k == blocks - 1 and last_size else block_size
        part = zlib.decompress(content[position : position + length], bufsize=wanted)
        values[filled : filled + wanted] = np.frombuffer(part, np.uint8)
        position, filled = position + length, filled + wanted
    if filled != count:
        raise ValueError(f"{filled} voxels where there should be {count}")
    return values
