"""TIFF files of volumes and slices."""

import contextlib
import json
import logging
import math
import os
import struct
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kerasgan3d.files import check_room, replacing, sync
from kerasgan3d.io._common import FILLING, KEY, FileError, micrometres, nearest_planes, parsed, reading
from kerasgan3d.io._inflate import SMALL, check_inflated, check_sizes
from kerasgan3d.io._stated import arranged, judged, on_disk, opened
from kerasgan3d.palette import phase_colors

# Classic TIFF, and with it ImageJ's kind, ends at 4 GiB; the room left is for the directory of pages.
_CLASSIC_TIFF_BYTES = 2**32 - 2**25
# Voxel sizes that a pair of 32-bit integers holds to six digits, in µm.
_TIFF_VOXEL_SIZES = (1e-4, 1e4)
# 600 dots per inch: coarser resolutions are those of a screen or a printer, not of a microscope.
_COARSEST_VOXEL = 25400 / 600
_KIND = "a TIFF image"
_COUNTED = (
    " Its values are counted from white, by the tag PhotometricInterpretation = WhiteIsZero: the largest is read where "
    "0 is stored. Save labels that are meant as they are stored as BlackIsZero, or map what is read."
)
_LEAST_PAGE = 18  # bytes of a page with one tag
# Largest number of phases for which a colour table holds both the labels and ImageJ's stretched values.
_SPREAD = 16


def write_tiff(path, labels, record):
    """Write labels as uncompressed TIFF, which every program opens, also without loading it."""
    _write(path, labels, "ZYX", record, display=_display(record))


def write_probabilities_tiff(path, probabilities, record):
    """Write probabilities (z, y, x, n) as a TIFF stack (z, channel, y, x), a channel per phase."""
    _write(path, np.moveaxis(probabilities, 3, 1), "ZCYX", record, display=1, slice_names=record["phases"])


def _write(path, array, axes, record, display, slice_names=None):
    import tifffile

    options = _options(array.shape, array.nbytes, axes, record, display, slice_names, ome=_is_ome(path))
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, array, **options)


class StreamedTiff:
    """A TIFF file of labels that is written piece by piece; all its disk space is reserved on creation.

    Args:
        path: Path of the file while it is written.
        place: Final path; its name determines whether it is an OME-TIFF.
        record: kerasgan3d's note, with shape, phases and voxel size.
        chunk: Ignored, since TIFF stores all voxels contiguously.
        exists: Whether to continue an existing file: its voxels are kept, everything else is rewritten.

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
        # Holes are filled only when written: on a full disk, a mapped page without room would end the process.
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def _create(self, path, record, ome):
        """Create a file whose voxels are holes; return the offset of the first."""
        import tifffile

        display = _display(record)
        options = _options(self._shape, math.prod(self._shape), "ZYX", record, display, None, ome=ome)
        path.unlink(missing_ok=True)
        return int(tifffile.memmap(path, shape=self._shape, dtype=np.uint8, **options).offset)

    def write(self, window, labels):
        """Write the labels of a window; return when they are on the disk."""
        mapped = self._mapped("r+")
        mapped[window] = labels
        mapped.flush()

    def read(self, window):
        """Return the labels of a window."""
        return self._mapped("r")[window]

    def _mapped(self, mode):
        # Mapped anew for each part: pages of a permanent mapping would count as memory in use.
        return np.memmap(self._path, np.uint8, mode, self._offset, self._shape)

    def forget(self, start):
        """Do nothing: existing data are overwritten in place."""

    def finish(self):
        """Flush the file to the disk."""
        sync(self._path)


def _copy_frame(source, target, offset, n):
    """Copy everything in a file except its voxels, n bytes from `offset`, and extend the other file to its length."""
    with source.open("rb") as file, target.open("r+b") as other:
        other.truncate(source.stat().st_size)
        for start, length in ((0, offset), (offset + n, -1)):
            file.seek(start)
            other.seek(start)
            other.write(file.read(length))


def _display(record):
    """Return the label that is shown in the last colour of the table."""
    return max(1, len(record["phases"]) - 1) if len(record["phases"]) <= _SPREAD else 255


def _is_ome(path):
    return path.name.lower().endswith((".ome.tif", ".ome.tiff"))


def _options(shape, nbytes, axes, record, display, slice_names, *, ome):
    """Return tifffile's options for an array (z, [channel,] y, x) of ``nbytes`` bytes."""
    size = record["voxel_size"]
    note = json.dumps({KEY: record})
    big = nbytes > _CLASSIC_TIFF_BYTES
    # ImageJ's TIFF cannot express a volume of one slice or one column, and has no form above 4 GB.
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
        # Without a display range Fiji shows 0 to 255, where labels are nearly black.
        metadata = {"axes": axes, "mode": "grayscale", "min": 0, "max": display, "Info": note}
        if slice_names is not None:
            metadata["Labels"] = list(slice_names) * shape[0]
        options = {"imagej": True, "metadata": metadata}
        if size is not None and _TIFF_VOXEL_SIZES[0] <= size <= _TIFF_VOXEL_SIZES[1]:
            metadata |= {"spacing": size, "unit": "micron"}
            options |= {"resolution": (1 / size, 1 / size)}
    colours = {"photometric": "minisblack"} if slice_names else {"photometric": "palette", "colormap": _lut(record)}
    return {**colours, "bigtiff": big, **options}


def _lut(record):
    """Return the colours of the phases as a table (3, 256) of 16 bits.

    Most programs look up a label directly, ImageJ after stretching the display range over the 256 entries. Both find
    the phase's colour for up to 16 phases; for more, no display range is given to ImageJ.
    """
    colours = phase_colors(record["phases"]).astype(np.uint16) * 257
    last = len(colours) - 1
    places = np.arange(256)
    table = colours[np.minimum(np.rint(places * last / 255).astype(int) if last < _SPREAD else places, last)]
    table[: last + 1] = colours
    return table.T.copy()


def open_tiff(path, fill_gaps=False):
    """Open a TIFF file: an `Opened`.

    It is memory-mapped where it is contiguous and uncompressed; otherwise pages are read on demand. With `fill_gaps`,
    the nearest plane of an OME-TIFF replaces a missing one.
    """
    with reading(path, _KIND), _tifffile_messages() as messages, _file(path) as tif:
        if tif.is_ome:
            _check_ome(path, tif, fill_gaps)
        if len(tif.series) != 1:
            raise FileError(
                f"{path} must hold one image. Received: {len(tif.series)}, of shapes "
                f"{', '.join(str(series.shape) for series in tif.series[:5])}."
            )
        series: Any = tif.series[0]
        fill_gaps = fill_gaps and series.kind == "ome"
        _check_whole(path, tif, series, messages, fill_gaps)
        channels = [n for letter, n in zip(series.axes, series.shape, strict=True) if letter in "SC" and n > 1]
        if channels:
            raise FileError(
                f"{path} must hold one grey value per voxel. Received: {channels[0]} channels, shape {series.shape}. "
                "Convert colours to 8-bit labels first; slices that were saved as channels are re-ordered in Fiji "
                "with Image > Hyperstacks > Re-order Hyperstack."
            )
        page, record = series.keyframe, _tiff_record(tif)
        stored = on_disk(path) if page.compression == 1 else sum(sum(part.databytecounts) for part in series if part)
        layout = judged(
            path, series.shape, series.dtype, tuple(series.axes), _tiff_edges(tif), record=record, stored=stored
        )
        places, filled = None, ()
        if fill_gaps:
            there = [k for k, part in enumerate(series) if part is not None]
            nearest, filled = nearest_planes(there, len(series))
            places = [there[k] for k in nearest] if filled else None
        image = _arranged(path, tif, series, layout, _meaning(path, tif, page), places)
        colours = None if page.colormap is None else page.colormap.tobytes()
        missing = page.nodata if 42113 in page.tags else None
        hint = _COUNTED if page.photometric == 0 and page.bitspersample > 1 else None
        return opened(image, layout, record, missing=missing, colours=colours, filled=filled, hint=hint)


def _arranged(path, tif, series, layout, meaning, places):
    """Return the image of a series: memory-mapped, read page by page, or where neither is possible as a whole."""

    def whole():
        with reading(path, _KIND), _file(path) as again:
            _check_pieces(path, again.series[0])
            return again.series[0].asarray()

    page = series.keyframe
    if series.dataoffset is not None and page.fillorder == 1:
        stored = np.memmap(path, series.dtype.newbyteorder(tif.byteorder), "r", series.dataoffset, series.shape)
    elif math.prod(series.shape) == len(series) * page.size:
        stored = _Pages(path, series, places)
    else:
        stored = series.asarray()
    return arranged(path, _KIND, stored, layout, whole=whole if places is None else None, meaning=meaning)


class _Pages:
    """A series of pages, of which only those within a window are read; `pages` replace missing ones."""

    def __init__(self, path, series, pages=None):
        self.shape, self.dtype, self._path, self._pages = series.shape, series.dtype, path, pages
        # Number of axes before those within a page.
        self._inner = next(k for k in range(len(self.shape) + 1) if math.prod(self.shape[:k]) == len(series))

    def __getitem__(self, window):
        outer, inner = self.shape[: self._inner], self.shape[self._inner :]
        places = np.arange(math.prod(outer)).reshape(outer)[window[: self._inner]]
        with _tifffile_messages() if self._pages else contextlib.nullcontext(), _file(self._path) as tif:
            series: Any = tif.series[0]
            read = [series[int(k) if self._pages is None else self._pages[k]] for k in places.flat]
            for page in read:
                if page.parent.filehandle.closed:  # a page of another file of the set
                    page.parent.filehandle.open()
            _check_pieces(self._path, read)
            pages = [page.asarray().reshape(inner)[window[self._inner :]] for page in read]
        return np.stack(pages).reshape(places.shape + pages[0].shape)


def _check_ome(path, tif, fill_gaps):
    """Check that the files and planes that an OME-TIFF declares exist, before memory is allocated for them."""
    root = ElementTree.fromstring(tif.ome_metadata)
    part = root.find("{*}BinaryOnly")
    if part is not None:
        raise FileError(
            f"{path} must say what it holds. Received: a part of an OME-TIFF set that leaves it to "
            f"{part.get('MetadataFile')}. Save the image as one file."
        )
    uuids = [uuid for uuid in root.iterfind(".//{*}UUID") if (uuid.text or "").strip() != root.get("UUID")]
    names = dict.fromkeys(uuid.get("FileName") or "" for uuid in uuids)
    others = [name for name in names if name.lower() != path.name.lower()]
    missing = [name for name in others if os.path.basename(name) != name]
    there = [path.parent / name for name in others if name not in missing and (path.parent / name).is_file()]
    if missing or (len(there) < len(others) and not fill_gaps):
        missing = missing or [name for name in others if path.parent / name not in there]
        raise FileError(
            f"{path} must be complete. Received: an OME-TIFF that goes on in {len(others)} other files, of which "
            f"{', '.join(missing[:5])}{' and others are' if len(missing) > 5 else ' is'} missing beside it.{FILLING}"
        )
    planes = 0
    for pixels in root.iterfind(".//{*}Image/{*}Pixels"):
        channel = pixels.find("{*}Channel")
        samples = 1 if channel is None else int(channel.get("SamplesPerPixel", 1))
        planes += math.prod(int(pixels.get(f"Size{axis}", 1)) for axis in "ZCT") // samples
    found = len(tif.pages)
    elsewhere = sum(file.stat().st_size for file in there) // _LEAST_PAGE
    if planes > (found + elsewhere) * (1 + fill_gaps):
        raise FileError(_incomplete(path, planes, found))


def _incomplete(path, planes, found):
    return f"{path} must be complete. Received: {found} planes, where it tells of {planes}. Copy or save it again."


# Words that tifffile logs, before it continues, where a file does not hold what it declares.
_DOUBTS = ("missing", "corrupt", "not match", "out of range", "expected", "failed", "invalid")


def _check_whole(path, tif, series, messages, fill_gaps):
    """Refuse a series with missing pages or parts of pages, pages of several kinds, or pages that inflate to more.

    With `fill_gaps`, at most half of the pages may be missing.
    """
    if any("invalid page offset" in message for message in messages):
        raise FileError(
            f"{path} must be complete. Received: a TIFF file that ends before its last page. Copy or save it again."
        )
    page = series.keyframe
    # Contiguous files of these kinds are described by their first page alone.
    pages = [page] if series.dataoffset is not None and series.kind in ("imagej", "shaped") else list(series)
    several, pages = len(pages) > 1, [part for part in pages if part is not None]
    told = {math.prod(series.shape) // max(1, page.size)}
    told |= {_promised(tif) // page.samplesperpixel} if tif.is_imagej else set()
    own = series.kind in ("imagej", "shaped") and not series.is_pyramidal
    found = len(tif.pages) if own else len(pages)
    wrong = [planes for planes in told if (planes != found if own else planes > found * (1 + fill_gaps))]
    if wrong and (found > 1 or several):
        raise FileError(_incomplete(path, wrong[0], found))
    doubts = [message for message in messages if any(doubt in message.lower() for doubt in _DOUBTS)]
    doubts = [message for message in doubts if not (fill_gaps and "OME series" in message)]
    if doubts:
        raise FileError(f"{path} must hold what it says. Received: {' '.join(doubts[0].split())[:200]}.")
    if any(0 in part.databytecounts or 0 in part.dataoffsets for part in pages):
        raise FileError(f"{path} must be complete. Received: a page of which parts were never written.")
    if len({_directory(part) for part in pages}) > 1:
        raise FileError(f"{path} must hold pages of one kind. Received: some whose tags give values another meaning.")
    if page.compression != 1:
        check_sizes(path, [size for part in pages for size in part.databytecounts], _piece(page))


def _piece(page):
    """Return the bytes that a strip or tile of a page holds."""
    return math.prod(page.chunks) * page.dtype.itemsize


def _check_pieces(path, pages):
    """Refuse pages whose strips or tiles would inflate to more than they hold, when they are read."""
    codec = {8: "zlib", 32946: "zlib", 34925: "lzma"}.get(int(pages[0].compression), "")
    for page in pages if codec else ():
        file = page.parent.filehandle
        for start, size in zip(page.dataoffsets, page.databytecounts, strict=True):
            if size > SMALL or codec == "lzma":
                file.seek(start)
                check_inflated(path, file.read(size), codec, _piece(page.keyframe))


def _promised(tif):
    """Return the number of planes that ImageJ's description declares."""
    told = tif.imagej_metadata or {}
    axes = [int(told.get(axis, 1)) for axis in ("channels", "slices", "frames")]
    return max(int(told.get("images", 1)), math.prod(axes))


# Photometric interpretation, bit order, orientation, samples per pixel, with their defaults.
_TELLING = {262: None, 266: 1, 274: 1, 277: 1}


def _directory(page):
    """Return the tags of a page that determine the meaning of its values, where they differ from the usual ones."""
    tiff, file = page.parent.tiff, page.parent.filehandle
    closed = file.closed
    if closed:
        file.open()
    file.seek(page.offset)
    (count,) = struct.unpack(tiff.tagnoformat, file.read(tiff.tagnosize))
    tags = file.read(count * tiff.tagsize)
    if closed:
        file.close()
    entry = f"{tiff.byteorder}H{(tiff.tagsize - 4) // 2 + 2}xH{(tiff.tagsize - 4) // 2 - 2}x"  # code and first value
    return frozenset(
        (code, value) for code, value in struct.iter_unpack(entry, tags) if value != _TELLING.get(code, value)
    )


def _meaning(path, tif, page):
    """Return the function from stored values to those that the tags define, or None where these are the same.

    Raises:
        FileError: if a tag has an unsupported value; the message names the tag.
    """

    def refuse(what, advice):
        raise FileError(f"{path} must hold labels as they are. Received: {what}. {advice}")

    orientation = page.tags.valueof(274, 1)
    if orientation != 1:
        refuse(f"an image that is turned or mirrored, by the tag Orientation = {int(orientation)}", "Save it upright.")
    photometric = page.photometric.name if "PhotometricInterpretation" in page.tags else "MINISBLACK"
    if photometric not in ("MINISWHITE", "MINISBLACK", "PALETTE"):
        refuse(f"the tag PhotometricInterpretation = {photometric}", "Save it as 8-bit labels.")
    if photometric == "PALETTE" and page.colormap is not None:
        used = page.colormap[:, : 1 << page.bitspersample].astype(np.int64)
        if (used == used[0]).all() and (np.diff(used[0]) < 0).any():
            refuse("a palette that shows its values in another order of greys", "Save what it shows as 8-bit labels.")
    if photometric == "MINISWHITE":
        if tif.is_imagej and page.bitspersample > 1:
            refuse(
                "an inverting lookup table, the tag PhotometricInterpretation = MINISWHITE",
                "In Fiji, Image > Lookup Tables > Invert LUT, so that values are what is shown, and save it again.",
            )
        if page.dtype.kind not in "ub":
            refuse("signed values that count from white, the tag PhotometricInterpretation", "Save it as 8-bit labels.")
        return partial(_from_white, (1 << page.bitspersample) - 1)
    told = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    scale = [told.get(name, default) for name, default in (("cf", 0), ("c0", 0), ("c1", 1))]
    if scale == [0, -32768, 1] and page.dtype == np.uint16:  # how ImageJ stores signed values
        return _signed
    if scale != [0, 0, 1]:
        refuse(f"a calibration of grey values, cf = {scale[0]}, c0 = {scale[1]}, c1 = {scale[2]}", "Clear it in Fiji.")
    return None


def _from_white(white, stored):
    return ~stored if stored.dtype == bool else (white - stored).astype(stored.dtype, copy=False)


def _signed(stored):
    return (stored.astype(np.int32) - 32768).astype(np.int16)


def _file(path):
    import tifffile

    return tifffile.TiffFile(path)


@contextlib.contextmanager
def _tifffile_messages():
    """Collect the messages of tifffile, which reads truncated files and only logs that pages are missing."""
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


def _tiff_edges(tif):
    """Return the edge of a voxel and its unit for each axis for which the file states them.

    Along z, only ImageJ and OME state it.
    """
    if tif.is_ome:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Image/{*}Pixels")
        pixels = {} if pixels is None else pixels.attrib
        return {
            axis.lower(): (_number(pixels[f"PhysicalSize{axis}"]), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "ZYX"
            if f"PhysicalSize{axis}" in pixels
        }
    tags = tif.pages[0].tags
    told = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    unit = str(told.get("unit", "")).strip()
    known = micrometres(unit) is not None
    if not unit:
        unit = {2: "inch", 3: "cm"}.get(int(tags.valueof(296, 2)), "")
    # 1 per unit is the default of programs, unless ImageJ gives the unit.
    ratios = [tags.valueof(code) for code in (282, 283)]
    x, y = (_edge_of(ratio, known or set(ratios) - {(1, 1), None}) for ratio in ratios)
    if (length := micrometres(unit) or 0) >= 1e4 and max(x or 0, y or 0) * length > 0.999 * _COARSEST_VOXEL:
        unit = ""
    units = dict.fromkeys("zyx", unit) | {axis: told[f"{axis}unit"] for axis in "zy" if f"{axis}unit" in told}
    z = abs(_number(told.get("spacing")))
    if not z > 0:
        # ImageJ omits a spacing of 1. tifffile, which signs as version 1.11a, omits whatever it was not given.
        z = 1.0 if known and told.get("ImageJ") != "1.11a" and _promised(tif) > 1 else None
    pixel = None if known or z is None else 1.0  # without a unit, an axis without resolution is one pixel
    stated = {axis: edge for axis, edge in (("z", z), ("y", y or pixel), ("x", x or pixel)) if edge is not None}
    factors = {axis: micrometres(units[axis]) for axis in stated}
    return {axis: (_rounded(edge * (factors[axis] or 1)), factors[axis] and "µm") for axis, edge in stated.items()}


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _edge_of(value, one_too):
    """Return the edge that a resolution tag states, or None without one."""
    try:
        numerator, denominator = value
        says = 0 not in (numerator, denominator) and (one_too or numerator != 1 or denominator != 1)
        return denominator / numerator if says else None
    except (TypeError, ValueError):
        return None


def _rounded(edge):
    """Undo the rounding of a resolution to a ratio of integers: 0.39800003 is 0.398."""
    return float(f"{edge:.5g}")
