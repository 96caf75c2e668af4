"""Saving of figures: what can be drawn, formats, prior checks, and atomic writing."""

import os
from pathlib import Path
from types import UnionType
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kerasgan3d.files import WriteError, replacing

SUFFIXES = (".png", ".pdf", ".svg")


def check_drawable(volume: Any, kinds: type | UnionType) -> None:
    """Check that a volume is of the kinds that a picture or a page is made of.

    Raises:
        TypeError: if it is something else, such as an array.
    """
    if not isinstance(volume, kinds):
        raise TypeError(
            "`volume` must be a kerasgan3d.Volume; make one with Volume(labels, phases=..., voxel_size=...). "
            f"Received: {type(volume).__name__}"
        )


def check_picture(path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Check that a figure can be saved as `path`, without writing it.

    Args:
        path: The file, with suffix .png, .pdf or .svg.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The path as a `pathlib.Path`.

    Raises:
        ValueError: if the suffix is unknown.
        FileNotFoundError: if the folder does not exist.
        FileExistsError: if the file exists and `overwrite` is false.
        IsADirectoryError: if the path is a folder.
        PermissionError: if the folder cannot be written to.
    """
    path = Path(path)
    folder = path.parent
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"the name of a picture must end in {', '.join(SUFFIXES)}. Received: {path}")
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of the picture must exist; make it first. Received: {folder}")
    if path.is_dir():
        raise IsADirectoryError(f"the picture must be a file, not a folder. Received: {path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"the picture exists already; choose another name or allow overwriting. Received: {path}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder of the picture must be writable. Received: {folder}")
    return path


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: float) -> Path:
    """Save a figure, completely or not at all.

    The same figure gives the same bytes, since no dates are stored.

    Raises:
        ValueError, OSError: as for `check_picture`.
    """
    path = check_picture(path)
    suffix = path.suffix.lower()
    metadata = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}[suffix]
    try:
        with (
            replacing(path) as temporary,
            temporary.open("wb") as stream,
            matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "kerasgan3d"}),
        ):
            figure.savefig(stream, format=suffix[1:], dpi=dpi, metadata=metadata)
    except WriteError:
        raise
    except OSError as error:
        raise OSError(f"{path} could not be written. Received: {error.strerror or error}") from error
    return path
