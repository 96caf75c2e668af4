"""TIFF files of volumes and slices."""

import contextlib
import json
import logging
import math
import os
from xml.etree import ElementTree

import numpy as np

from kerasgan3d.files import check_room, replacing, sync
from kerasgan3d.io._common import KEY, UNITS, FileError, Opened, check_array, parsed, reading
from kerasgan3d.io.lazy import LazyArray

# Classic TIFF, and with it ImageJ's kind, ends at 4 GiB; the room left is for the directory of pages.
_CLASSIC_TIFF_BYTES = 2**32 - 2**25
# Voxel sizes that a pair of 32-bit integers holds to six digits, in µm.
_TIFF_VOXEL_SIZES = (1e-4, 1e4)
# 600 dots per inch: what is coarser is the resolution of a screen or a printer, not of a microscope.
_COARSEST_VOXEL = 25400 / 600
_KIND = "a TIFF image"


def write_tiff(path, labels, record):
    """Write labels as TIFF, uncompressed: every program opens that, also without loading it."""
    _write(path, labels, "ZYX", record, display=max(1, len(record["phases"]) - 1))


def write_probabilities_tiff(path, probabilities, record):
    """Write probabilities (z, y, x, n) as a TIFF stack (z, channel, y, x), a channel per phase."""
    _write(path, np.moveaxis(probabilities, 3, 1), "ZCYX", record, display=1, slice_names=record["phases"])


def _write(path, array, axes, record, display, slice_names=None):
    import tifffile

    options = _options(array.shape, array.nbytes, axes, record, display, slice_names, ome=_is_ome(path))
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, array, **options)


class StreamedTiff:
    """A TIFF file of labels that is written piece by piece; all its room is reserved when it is made.

    Args:
        path: Path of the file, where it is written.
        place: Path where it will be; its name says whether it is an OME-TIFF.
        record: kerasgan3d's note, which tells shape, phases and voxel size.
        chunk: Nothing to TIFF: all voxels follow in one piece.
        exists: Whether to go on with what is there: with its voxels, what stands around them is written anew.

    Raises:
        OSError: if there is no room.
    """

    def __init__(self, path, place, record, chunk, *, exists=False):
        self._path, self._shape = path, tuple(record["shape"])
        n, frame = math.prod(self._shape), path.with_name("frame.tif")
        if not exists:
            check_room(path.parent, n)  # before anything enumerates its pages
        self._offset = self._create(frame, record, _is_ome(place))
        if exists:
            _copy_frame(frame, path, self._offset, n)
            frame.unlink()
        else:
            os.replace(frame, path)
        # Holes would be filled as they are written: on a full disk, a mapped page without room ends the process.
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def _create(self, path, record, ome):
        """Make a file whose voxels are holes; return where the first lies."""
        import tifffile

        display = max(1, len(record["phases"]) - 1)
        options = _options(self._shape, math.prod(self._shape), "ZYX", record, display, None, ome=ome)
        path.unlink(missing_ok=True)
        return int(tifffile.memmap(path, shape=self._shape, dtype=np.uint8, **options).offset)

    def write(self, window, labels):
        """Write the labels of a window; return when they are on the disk."""
        mapped = self._mapped("r+")
        mapped[window] = labels
        mapped.flush()

    def read(self, window):
        """The labels of a window."""
        return self._mapped("r")[window]

    def _mapped(self, mode):
        # Mapped for each part anew: pages of a mapping that lasts would count as memory in use.
        return np.memmap(self._path, np.uint8, mode, self._offset, self._shape)

    def forget(self, start):
        """Nothing is in the way of what will be written."""

    def finish(self):
        """Have all of it reach the disk."""
        sync(self._path)


def _copy_frame(source, target, offset, n):
    """Copy what a file holds around its voxels, n bytes from `offset`, and make the other file as long."""
    with source.open("rb") as file, target.open("r+b") as other:
        other.truncate(source.stat().st_size)
        for start, length in ((0, offset), (offset + n, -1)):
            file.seek(start)
            other.seek(start)
            other.write(file.read(length))


def _is_ome(path):
    return path.name.lower().endswith((".ome.tif", ".ome.tiff"))


def _options(shape, nbytes, axes, record, display, slice_names, *, ome):
    """What tifffile is told of an array (z, [channel,] y, x) of so many bytes."""
    size = record["voxel_size"]
    note = json.dumps({KEY: record})
    big = nbytes > _CLASSIC_TIFF_BYTES
    # ImageJ's kind of TIFF does not tell one slice from none, nor one column, and has no big form.
    if ome or (big and 1 not in (shape[0], shape[-1])):
        metadata = {"axes": axes, "Description": note}
        if size is not None:
            for axis in "XYZ":
                metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
        options = {"ome": True, "metadata": metadata}
    elif big or 1 in (shape[0], shape[-1]):
        options = {"metadata": {"axes": axes, KEY: record}}
        if size is not None and _TIFF_VOXEL_SIZES[0] <= size <= _TIFF_VOXEL_SIZES[1]:
            options |= {"resolution": (1e4 / size, 1e4 / size), "resolutionunit": "CENTIMETER"}
    else:
        # Without a display range Fiji spreads 0 to 255, and labels are as good as black.
        metadata = {"axes": axes, "mode": "grayscale", "min": 0, "max": display, "Info": note}
        if slice_names is not None:
            metadata["Labels"] = list(slice_names) * shape[0]
        options = {"imagej": True, "metadata": metadata}
        if size is not None and _TIFF_VOXEL_SIZES[0] <= size <= _TIFF_VOXEL_SIZES[1]:
            metadata |= {"spacing": size, "unit": "micron"}
            options |= {"resolution": (1 / size, 1 / size)}
    return {"photometric": "minisblack", "bigtiff": big, **options}


def open_tiff(path):
    """Open a TIFF file: an `Opened`.

    It is mapped into memory where it lies in one piece, uncompressed; otherwise pages are read as they are asked for.
    What is compressed in one piece is read here.
    """
    with reading(path, _KIND), _tifffile_messages() as messages, _file(path) as tif:
        if len(tif.series) != 1:
            raise FileError(
                f"{path} must hold one image. Received: {len(tif.series)}, of shapes "
                f"{', '.join(str(series.shape) for series in tif.series[:5])}."
            )
        series = tif.series[0]
        if any("invalid page offset" in message for message in messages):
            raise FileError(
                f"{path} must be complete. Received: a TIFF file that ends before its last page. Copy or save it again."
            )
        axes = [axis for axis in zip(series.axes, series.shape, strict=True) if axis[0] not in "SC" or axis[1] > 1]
        channels = [length for letter, length in axes if letter in "SC"]
        if channels:
            raise FileError(
                f"{path} must hold one grey value per voxel. Received: {channels[0]} channels, shape {series.shape}. "
                "Convert colours to 8-bit labels first; slices that were saved as channels are re-ordered in Fiji "
                "with Image > Hyperstacks > Re-order Hyperstack."
            )
        shape = tuple(length for _, length in axes)
        while len(shape) > 3 and shape[0] == 1:
            shape = shape[1:]
        check_array(path, shape, series.dtype)
        spacing, record = _tiff_spacing(tif), _tiff_record(tif)
        noted = record.get("shape") if isinstance(record, dict) else None
        # Readers of ImageJ and OME files drop axes of one voxel; the record knows them.
        if isinstance(noted, list) and [n for n in noted if n != 1] == [n for n in shape if n != 1]:
            shape = tuple(noted)
        return Opened(_opened(path, tif, series, shape), spacing, record)


def _opened(path, tif, series, shape):
    def whole():
        with reading(path, _KIND), _file(path) as again:
            return again.series[0].asarray().reshape(shape)

    def pages(window):
        with reading(path, _KIND), _file(path) as again:
            stored = again.series[0].pages
            return np.stack([stored[z].asarray()[window[1:]] for z in range(shape[0])[window[0]]])

    if series.dataoffset is not None:
        mapped = np.memmap(path, series.dtype.newbyteorder(tif.byteorder), "r", series.dataoffset, shape)
        return LazyArray(shape, series.dtype, mapped.__getitem__, whole=whole)
    if len(shape) == 3 and len(series.pages) == shape[0]:
        return LazyArray(shape, series.dtype, pages, whole=whole)
    return series.asarray().reshape(shape)


def _file(path):
    import tifffile

    return tifffile.TiffFile(path)


@contextlib.contextmanager
def _tifffile_messages():
    """Collect what tifffile logs: it reads what is left of a truncated file and only logs that pages are missing."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
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
        return parsed((tif.imagej_metadata or {}).get("Info"))
    if tif.is_ome:
        description = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Image/{*}Description")
        return None if description is None else parsed(description.text)
    return parsed(tif.pages[0].description)


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
    if unit not in UNITS:
        return None
    x, y = (_rounded(UNITS[unit] / resolution) for resolution in (x, y))
    if UNITS[unit] >= 1e4 and max(x, y) > 0.999 * _COARSEST_VOXEL:
        return None
    depth = imagej.get("spacing")
    depth = _rounded(UNITS[unit] * abs(depth)) if isinstance(depth, (int, float)) and depth else x
    return (depth, y, x)


def _ome_edge(pixels, axis):
    try:
        edge = float(pixels.get(f"PhysicalSize{axis}")) * UNITS[pixels.get(f"PhysicalSize{axis}Unit", "µm").lower()]
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
