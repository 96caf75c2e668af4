"""What all formats share: errors that name the file, units of length, kerasgan3d's own note."""

import contextlib
import json

import numpy as np

KEY = "kerasgan3d"
UNITS = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", '"'), 25400.0),
}


class FileError(ValueError):
    """What is wrong with a file, said in full: not to be wrapped again."""


@contextlib.contextmanager
def about(path):
    """Put the file's name in front of what is wrong with its content or with what was said about it."""
    try:
        yield
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f"{path}: {error}") from error


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
                f"{path} is compressed in a way that needs one more package: pip install imagecodecs. Or save it "
                f"without compression, for example with Fiji. Received: {in_one_line(error)}"
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


def parsed(text):
    """Return kerasgan3d's record from a text that may hold it as JSON, or None."""
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return content.get(KEY) if isinstance(content, dict) else None


class Squeezed:
    """A stored array without its leading axes of one element, indexed by one slice or integer per axis.

    Args:
        stored: What has a shape, a dtype and basic indexing: a Zarr array, a dataset of an HDF5 file.
        axes: How many axes are left.
    """

    def __init__(self, stored, axes):
        self._stored, self._lead = stored, (0,) * (len(stored.shape) - axes)
        self.shape, self.dtype = tuple(stored.shape[len(self._lead) :]), np.dtype(stored.dtype)
        # The edge of a chunk along the first axis: reading less reads as much.
        self.depth = (stored.chunks or stored.shape)[len(self._lead)]

    def __getitem__(self, window):
        return np.asarray(self._stored[(*self._lead, *window)])
