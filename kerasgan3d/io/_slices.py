"""Folders and patterns of 2D TIFF slices."""

import glob
import re

import numpy as np

from kerasgan3d.io._common import FileError, Opened
from kerasgan3d.io._tiff import open_tiff
from kerasgan3d.io.lazy import LazyArray


def open_slices(paths, source):
    """Stack 2D TIFF slices along z in the natural order of their names, with the spacing of the first: an `Opened`.

    That they have one size and type is checked here; they are read when they are asked for.
    """
    paths = [p for p in paths if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".") and p.is_file()]
    paths.sort(key=lambda p: [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", p.name))])
    if not paths:
        raise FileError(f"There must be TIFF slices (.tif, .tiff) to read. Received: {source}, where there are none.")
    if len(paths) == 1 and glob.has_magic(source):
        return open_tiff(paths[0])
    first = open_tiff(paths[0])
    shape, dtype = first.array.shape, first.array.dtype
    for path in paths:
        image = open_tiff(path).array
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
        image = open_tiff(path).array
        if image.shape != shape:
            raise FileError(f"{path} must stay as it was. Received: a slice of shape {image.shape} by now.")
        return image

    def read(window):
        return np.stack([plane(path)[window[1:]] for path in paths[window[0]]])

    def whole():
        return np.stack([np.asarray(plane(path)) for path in paths])

    return Opened(LazyArray((len(paths), *shape), dtype, read, whole=whole), first.spacing)
