"""What all formats share: errors that name the file, units of length, kerasgan3d's own note."""

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
Phases = Iterable[str] | PhaseMap | None  # names of phases, where they are said
KEY = "kerasgan3d"
FILLING = " With `fill_gaps=True`, the nearest plane replaces a missing one, if at most half of the planes are missing."
# Units of length in µm, as they are written and as they are spelt out; plurals are taken for what they are.
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
    """What is wrong with a file, said in full: not to be wrapped again."""


def micrometres(unit):
    """Return a unit of length in µm, or None where it is none: a pixel, nothing, or unknown."""
    text = str(unit or "").strip()
    if "\\u" in text:  # as ImageJ writes what is not ASCII
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    text = unicodedata.normalize("NFC", text)
    words = (text, text.lower(), text.lower().removesuffix("s") if len(text) > 4 else "")
    return next((UNITS[word] for word in words if word in UNITS), None)


@contextlib.contextmanager
def about(path, hint=None):
    """Put the file's name in front of what is wrong with its content or with what was said about it; a hint behind."""
    try:
        yield
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f"{path}: {error}{hint or ''}") from error


@contextlib.contextmanager
def reading(path, kind):
    """Turn whatever a library raises over a damaged or foreign file into one clear error."""
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
    """Return what an error says as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")


def check_array(path, shape, dtype):
    """Refuse what is no integer image of two or three axes."""
    if dtype.kind not in "iub":
        advice = "Convert it to 8-bit labels first" if dtype.kind == "f" else "Save it as 8-bit labels"
        raise FileError(f"{path} must hold integer labels. Received: {dtype}, shape {shape}. {advice}.")
    if len(shape) not in (2, 3) or 0 in shape:
        raise FileError(f"{path} must hold a 2D or 3D image that is not empty. Received: shape {shape}.")


def parsed(text, key=KEY):
    """Return kerasgan3d's record, or what else has a key, from a text that may hold it as JSON; or None."""
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return content.get(key) if isinstance(content, dict) else None


def nearest_planes(places: Sequence[int], length: int = 0) -> tuple[list[int], tuple[int, ...]]:
    """Return which of some planes stands at each place of a stack, and the places that had none.

    A place without one gets the nearest; of two as near, the one before.

    Args:
        places: of the planes, ascending.
        length: of the stack; at least to the last plane.
    """
    found, wanted = np.asarray(places), np.arange(max(length, places[-1] + 1))
    nearest = np.searchsorted((found[:-1] + found[1:]) / 2, wanted)
    return nearest.tolist(), tuple(np.setdiff1d(wanted, found).tolist())


class Opened(NamedTuple):
    """What a format finds in a file.

    Attributes:
        array: The image (y, x) or (z, y, x): a `LazyArray`, or an array where the format can only be read at once.
        spacing: Edges of a voxel along z, y and x in µm, or None where the file does not say.
        record: kerasgan3d's note, or None.
        missing: A value that stands for voxels that got lost, or None.
        lossy: What changed the grey values when the file was written, such as "JPEG"; None: nothing.
        ratio: Edges of a voxel along z, y and x without a unit, where the file states no more and they differ; or None.
        colours: What a palette shows the values in, as bytes, or None: slices of a stack have the same.
        filled: The planes along z that are missing and filled, each by the nearest.
        step: How far apart the slice says that slices are along z, in µm, or None.
        hint: What to know of its grey values where they are not those of phases, a sentence; or None.
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
