"""Table of file formats: their suffixes, and the functions that open and write them.

A format is one module and one row here; docs/contributing.md walks through adding one.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kerasgan3d.io._common import FileError, Opened
from kerasgan3d.io._dream3d import open_dream3d
from kerasgan3d.io._gridded import open_netcdf
from kerasgan3d.io._hdf5 import open_hdf5
from kerasgan3d.io._itk import open_metaimage, open_nrrd, open_raw
from kerasgan3d.io._mat import open_mat
from kerasgan3d.io._npz import open_npz
from kerasgan3d.io._numpy import open_npy, write_npy
from kerasgan3d.io._pictures import PICTURES, open_picture
from kerasgan3d.io._slices import open_slices
from kerasgan3d.io._tiff import StreamedTiff, open_tiff, write_probabilities_tiff, write_tiff
from kerasgan3d.io._vti import open_vti, write_vti
from kerasgan3d.io._zarr import StreamedZarr, is_zarr, open_zarr, write_zarr


class Format(NamedTuple):
    """A format of files of volumes.

    Attributes:
        suffixes: Suffixes of its files, in lower case.
        open: (path) -> `Opened`; where a file holds `datasets`, (path, name of the dataset or None).
        write: (path, labels, record), atomic; None where the format is only read.
        write_probabilities: (path, probabilities (z, y, x, n), record), or None.
        stream: (path, place, record, chunk, exists=) -> an object with `write(window, labels)`, `read(window)`,
            `forget(start)` for a damaged chunk, and `finish()`, for volumes larger than memory; or None.
        is_folder: Where its files are folders, a function that tells whether a folder is one of them.
        datasets: Whether a path may continue within the file, as in "scan.h5:/group/dataset".
    """

    suffixes: tuple[str, ...]
    open: Callable[..., Opened]
    write: Callable | None = None
    write_probabilities: Callable | None = None
    stream: Any = None
    is_folder: Callable[[Path], bool] | None = None
    datasets: bool = False


FORMATS = (
    Format((".tif", ".tiff"), open_tiff, write_tiff, write_probabilities_tiff, StreamedTiff),
    Format((".npy",), open_npy, write_npy, write_npy),
    Format((".zarr",), open_zarr, write_zarr, stream=StreamedZarr, is_folder=is_zarr),
    Format((".vti",), open_vti, write_vti, datasets=True),
    Format((".h5", ".hdf5", ".hdf", ".nxs"), open_hdf5, datasets=True),
    Format((".npz",), open_npz, datasets=True),
    Format((".mat",), open_mat, datasets=True),
    Format((".nc", ".nc4", ".cdf"), open_netcdf, datasets=True),
    Format((".dream3d",), open_dream3d, datasets=True),
    Format((".mha", ".mhd"), open_metaimage),
    Format((".nrrd", ".nhdr"), open_nrrd),
    Format((".raw",), open_raw, datasets=True),
    Format(PICTURES, open_picture),
)


def suffixes(**wanted: bool) -> tuple[str, ...]:
    """Return the suffixes of the formats with some abilities, as in ``suffixes(write=True)``; without, of all."""
    return tuple(suffix for row in FORMATS if all(getattr(row, name) for name in wanted) for suffix in row.suffixes)


SUFFIXES = suffixes(write=True)
PROBABILITY_SUFFIXES = suffixes(write_probabilities=True)
STREAM_SUFFIXES = suffixes(stream=True)

_INNER = "|".join(re.escape(suffix) for suffix in suffixes(datasets=True))
_INNER_PATH = re.compile(rf"(?P<file>.*(?:{_INNER})):(?P<dataset>[^:\\]+)", re.I)


def format_of(path: Path) -> Format | None:
    """Return the format of a path by its suffix, or None."""
    suffix = path.suffix.lower()
    return next((row for row in FORMATS if suffix in row.suffixes), None)


def ability(path: Path, name: str) -> Any:
    """Return a function of a path's format by its name, such as ``write``."""
    return getattr(format_of(path), name)


def split_dataset(text: str) -> tuple[str, str] | None:
    """Split "scan.h5:/group/dataset" into file and dataset; return None for any other path."""
    match = _INNER_PATH.fullmatch(text)
    return None if match is None else (match["file"], match["dataset"])


def is_there(path: str | os.PathLike) -> bool:
    """Tell whether a path is that of a file or a folder, or of a dataset in a file, or a pattern of slices."""
    text = os.fspath(path)
    dataset = split_dataset(text)
    return Path(text).exists() or glob.has_magic(text) or (dataset is not None and Path(dataset[0]).is_file())


def open_file(path: str | os.PathLike, *, fill_gaps: bool = False) -> Opened:
    """Open the image at a path: a file, a dataset in one, a folder, or a pattern of slices.

    A stack with missing planes is refused, or, with `fill_gaps`, each is replaced by the nearest.
    """
    text = os.fspath(path)
    path = Path(text)
    if not path.exists():
        dataset = split_dataset(text)
        if dataset is not None and Path(dataset[0]).is_file():
            file = Path(dataset[0])
            return ability(file, "open")(file, dataset[1])
        if glob.has_magic(text):
            return open_slices([Path(name) for name in glob.glob(text)], text, fill_gaps)
        raise FileNotFoundError(f"There must be a file or folder to read. Received: {path}, which does not exist")
    row = format_of(path)
    if path.is_dir():
        folders = [each for each in FORMATS if each.is_folder and (each is row or each.is_folder(path))]
        return folders[0].open(path) if folders else open_slices(list(path.iterdir()), text, fill_gaps)
    if row is None:
        raise FileError(
            f"The file to read must end in one of {', '.join(suffixes())}, or be a folder of slices. Received: {path}"
        )
    if not path.is_file():
        raise FileError(f"{path} must be a regular file. Received: a device, a pipe or a socket.")
    return row.open(path, fill_gaps=fill_gaps) if row.open is open_tiff else row.open(path)
