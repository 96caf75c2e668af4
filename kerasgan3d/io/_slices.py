"""Folders and patterns of 2D slices."""

import glob
import re

import numpy as np

from kerasgan3d.io._common import FileError, Opened
from kerasgan3d.io._pictures import PICTURES, open_picture
from kerasgan3d.io._tiff import open_tiff
from kerasgan3d.io.lazy import LazyArray

_OPEN = {".tif": open_tiff, ".tiff": open_tiff, **dict.fromkeys(PICTURES, open_picture)}


def open_slices(paths, source):
    """Stack 2D slices along z in the natural order of their names, with the spacing of the first: an `Opened`.

    Where there are TIFF slices, pictures beside them are none. That slices have one size and type is checked here; they
    are read when they are asked for.
    """
    paths = [p for p in paths if p.suffix.lower() in _OPEN and not p.name.startswith(".") and p.is_file()]
    tiffs = [path for path in paths if _OPEN[path.suffix.lower()] is open_tiff]
    paths = tiffs or paths
    paths.sort(key=lambda p: [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", p.name))])
    if not paths:
        raise FileError(
            f"There must be TIFF slices or pictures ({', '.join(_OPEN)}) to read. Received: {source}, where there are "
            "none."
        )
    if len(paths) == 1 and glob.has_magic(source):
        return _opened(paths[0])
    first = _opened(paths[0])
    shape, dtype = first.array.shape, first.array.dtype
    for path in paths:
        image = _opened(path).array
        if image.ndim != 2:
            raise FileError(
                f"Slices must be 2D images. Received: {path}, shape {image.shape}. To read a volume from one file, "
                "give the file itself."
            )
        if (image.shape, image.dtype) != (shape, dtype):
            raise FileError(
                f"Slices must have one size and type. Received: {paths[0].name}, {shape} {dtype}, but "
                f"{path.name}, {image.shape} {image.dtype}, in {path.parent}. Images that are no stack are given one "
                "by one."
            )

    def plane(path):
        # Opened for each plane anew: a stack has more slices than a process may have files open.
        image = _opened(path).array
        if image.shape != shape:
            raise FileError(f"{path} must stay as it was. Received: a slice of shape {image.shape} by now.")
        return image

    def read(window):
        return np.stack([plane(path)[window[1:]] for path in paths[window[0]]])

    def whole():
        return np.stack([np.asarray(plane(path)) for path in paths])

    return Opened(LazyArray((len(paths), *shape), dtype, read, whole=whole), first.spacing, lossy=first.lossy)


def _opened(path):
    return _OPEN[path.suffix.lower()](path)
