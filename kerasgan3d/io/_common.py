"""Helpers of all formats: errors that name the file, units of length, kerasgan3d's own note."""

import contextlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from kerasgan3d.io.lazy import LazyArray
from kerasgan3d.phases import PhaseMap

StrPath = str | os.PathLike[str]
Phases = Iterable[str] | PhaseMap | None  # names of phases, where given
KEY = "kerasgan3d"
FILLING = " With `fill_gaps=True`, the nearest plane replaces a missing one, if at most half of the planes are missing."
# Units of length in µm, by symbol and by name; plurals are accepted too.
UNITS = {
    **dict.fromkeys(("µm", "μm", "um", "µ", "μ", "micron", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("å", "angstrom", "ångström", "ångstrom"), 1e-4),
    **dict.fromkeys(("in", "inch", "inche", '"'), 25400.0),
    **dict.fromkeys(("ft", "foot", "feet"), 304800.0),
}
for _prefix, _letter, _factor in (
    *(("pico", "p", 1e-6), ("nano", "n", 1e-3), ("milli", "m", 1e3), ("centi", "c", 1e4), ("deci", "d", 1e5)),
    *(("", "", 1e6), ("kilo", "k", 1e9), ("mega", "M", 1e12)),
):
    UNITS |= dict.fromkeys((f"{_letter}m", f"{_prefix}meter", f"{_prefix}metre"), _factor)


class FileError(ValueError):
    """Error in a file whose message already names it, and is not wrapped again."""


def micrometres(unit):
    """Return a unit of length in µm, or None for a pixel, an empty text or an unknown unit."""
    text = str(unit or "").strip()
    if "\\u" in text:  # as ImageJ writes what is not ASCII
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    text = unicodedata.normalize("NFC", text)
    words = (text, text.lower(), text.lower().removesuffix("s") if len(text) > 4 else "")
    return next((UNITS[word] for word in words if word in UNITS), None)


@contextlib.contextmanager
def about(path, hint=None):
    """Add the file's name, and a hint, to errors in its content or in the arguments about it."""
    try:
        yield
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f"{path}: {error}{hint or ''}") from error


@contextlib.contextmanager
def reading(path, kind):
    """Turn any error of a library about a damaged or foreign file into one clear error."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise FileError(f"{path} must be {kind} that can be read. Received: {in_one_line(error)}") from error
    except Exception as error:
        if "imagecodecs" in str(error):
            raise FileError(
                f"{path} is compressed in a way that needs one more package: pip install imagecodecs, which is also "
                f"kerasgan3d[codecs]. Or save it without compression, for example with Fiji. Received: "
                f"{in_one_line(error)}"
            ) from error
        raise FileError(f"{path} must be {kind}, complete and undamaged. Received: {in_one_line(error)}") from error


def in_one_line(error):
    """Return an error's type and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")


def check_array(path, shape, dtype):
    """Raise a FileError unless an array is an integer image with two or three axes."""
    if dtype.kind not in "iub":
        advice = "Convert it to 8-bit labels first" if dtype.kind == "f" else "Save it as 8-bit labels"
        raise FileError(f"{path} must hold integer labels. Received: {dtype}, shape {shape}. {advice}.")
    if len(shape) not in (2, 3) or 0 in shape:
        raise FileError(f"{path} must hold a 2D or 3D image that is not empty. Received: shape {shape}.")


def parsed(text, key=KEY):
    """Return kerasgan3d's record, or the value of another key, from a text that may be JSON; else None."""
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return content.get(key) if isinstance(content, dict) else None


def nearest_planes(places: Sequence[int], length: int = 0) -> tuple[list[int], tuple[int, ...]]:
    """Return the index of the plane for each place of a stack, and the places without a plane of their own.

    Such a place gets the nearest plane, of two equally near ones the one before.

    Args:
        places: Places of the planes, ascending.
        length: Length of the stack; at least up to the last plane.
    """
    found, wanted = np.asarray(places), np.arange(max(length, places[-1] + 1))
    nearest = np.searchsorted((found[:-1] + found[1:]) / 2, wanted)
    return nearest.tolist(), tuple(np.setdiff1d(wanted, found).tolist())


class Opened(NamedTuple):
    """An opened image file.

    Attributes:
        array: The image (y, x) or (z, y, x): a `LazyArray`, or an array where the format can only be read at once.
        spacing: Edges of a voxel along z, y and x in µm, or None where the file does not state them.
        record: kerasgan3d's note, or None.
        missing: A value that marks lost voxels, or None.
        lossy: Lossy encoding that changed the grey values, such as "JPEG", or None.
        ratio: Edges of a voxel along z, y and x without a unit, where the file states no more and they differ; or None.
        colours: Palette as bytes, the same for all slices of a stack; or None.
        filled: The missing planes along z that were filled, each by the nearest.
        step: Distance of slices along z that the slice states, in µm, or None.
        hint: A sentence for errors about grey values that belong to no phase; or None.
    """

    array: LazyArray | np.ndarray
    spacing: tuple | None = None
    record: dict | None = None
    missing: int | None = None
    lossy: str | None = None
    ratio: tuple | None = None
    colours: bytes | None = None
    filled: tuple[int, ...] = ()
    hint: str | None = None
    step: float | None = None
