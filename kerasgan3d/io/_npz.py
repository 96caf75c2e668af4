"""Archives of NumPy arrays."""

import math

import numpy as np

from kerasgan3d.io._common import Opened, check_array, reading
from kerasgan3d.io._layout import PACKED, check_declared, chosen, loaded

_KIND = "an archive of NumPy arrays"


def open_npz(path, name=None):
    """Open an array of an archive, the named one or the only one with two or three axes: an `Opened`."""
    with reading(path, _KIND), np.load(path, allow_pickle=False) as archive:
        headers = {each.removesuffix(".npy"): _header(archive.zip, each) for each in archive.zip.namelist()}
        fitting = [each for each, (shape, dtype) in headers.items() if len(shape) in (2, 3) and dtype.kind in "iub"]
        key = chosen(path, fitting if name is None else list(headers), name, "array")
        shape, dtype = headers[key]
        check_array(f"{path}:{key}", shape, dtype)
        entry = archive.zip.getinfo(f"{key}.npy")
        check_declared(path, shape, dtype, entry.file_size, 1)
        densest = PACKED if entry.compress_type else 1
        check_declared(path, (entry.file_size,), np.uint8, entry.compress_size, densest)

    def load():
        with np.load(path, allow_pickle=False) as again:
            return again[key]

    return Opened(loaded(path, _KIND, shape, dtype, load))


def _header(archive, name):
    """Return shape and type of an array in an archive without reading it."""
    with archive.open(name) as stream:
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
        if math.prod(shape) < 0:
            raise ValueError(f"the shape {shape}")
        return shape, dtype
