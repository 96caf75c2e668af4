"""Folders and patterns of 2D TIFF slices."""

import glob
import re

import numpy as np

from kerasgan3d.io._common import FileError
from kerasgan3d.io._tiff import open_tiff


def open_slices(paths, source, *, lazily=False):
    """Stack 2D TIFF slices along z in the natural order of their names: array, spacing of the first, and None.

    With `lazily`, slices are read when they are asked for; that they have one size and type is checked first.
    """
    paths = [p for p in paths if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".") and p.is_file()]
    paths.sort(key=lambda p: [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", p.name))])
    if not paths:
        raise FileError(f"There must be TIFF slices (.tif, .tiff) to read. Received: {source}, where there are none.")
    if len(paths) == 1 and glob.has_magic(source):
        return open_tiff(paths[0], lazily=lazily)
    stack = None
    for z, path in enumerate(paths):
        image, spacing, _ = open_tiff(path, lazily=lazily)
        if image.ndim != 2:
            raise FileError(
                f"Slices must be 2D images. Received: {path}, shape {image.shape}. To read a volume from one file, "
                "give the file itself."
            )
        if stack is None:
            shape, first_spacing = (len(paths), *image.shape), spacing
            stack = _Stack(paths, shape, image.dtype) if lazily else np.empty(shape, image.dtype)
        if (image.shape, image.dtype) != (stack.shape[1:], stack.dtype):
            raise FileError(
                f"Slices must have one size and type. Received: {paths[0].name}, {stack.shape[1:]} {stack.dtype}, but "
                f"{path.name}, {image.shape} {image.dtype}, in {path.parent}. Images that are no stack are given one "
                "by one."
            )
        if not lazily:
            stack[z] = image
    return stack, first_spacing, None


class _Stack:
    """Slices that are read when they are asked for: (z, y, x)."""

    def __init__(self, paths, shape, dtype):
        self._paths, self.shape, self.dtype = paths, shape, dtype

    def __getitem__(self, window):
        z, *rest = window
        paths = self._paths[z]
        if not isinstance(paths, list):
            return self._plane(paths)[tuple(rest)]
        return np.stack([self._plane(path)[tuple(rest)] for path in paths])

    def _plane(self, path):
        image = open_tiff(path, lazily=True)[0]
        if image.shape != self.shape[1:]:
            raise FileError(f"{path} must stay as it was. Received: a slice of shape {image.shape} by now.")
        return image
