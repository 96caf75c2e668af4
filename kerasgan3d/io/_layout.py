"""Checks of the image that a file's header declares, before memory is allocated for it."""

from __future__ import annotations

import functools
import math
import os
import stat
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.io._common import FileError, reading
from kerasgan3d.io.lazy import LazyArray

# Images of at most this size are read at any compression. Deflate's limit is a factor of 1032, which only a file of
# zeros made to fill memory reaches; segmented images are far below.
_HARMLESS_BYTES, PACKED = 1 << 28, 800
_MOST_BYTES = 1 << 48
_SHOWN = 8


def check_declared(path: Any, shape: Sequence[int], dtype: Any, stored: int | None, densest: int = PACKED) -> None:
    """Refuse an image that does not fit in its stored bytes, or that is compressed implausibly well.

    Args:
        path: Path of the file, for errors.
        shape, dtype: Declared shape and type.
        stored: Stored bytes, or None where they are unknown.
        densest: Largest plausible ratio of a large image's bytes to its stored bytes; 1 without compression.
    """
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    if densest > 1 and wanted <= _HARMLESS_BYTES:
        return
    if wanted > _MOST_BYTES or (stored is not None and wanted > densest * stored):
        raise FileError(
            f"{path} must be complete: it must hold what it claims. Received: {'some' if stored is None else stored} "
            f"bytes{' of packed data' if densest > 1 else ''}, which cannot hold what it declares, "
            f"{' x '.join(map(str, shape))} values of {np.dtype(dtype)}."
        )


def stored_bytes(path: Any, shape: Sequence[int], dtype: Any, densest: int = PACKED) -> int | None:
    """Return the bytes of a file or of a folder's files; None where they suffice, or where the image is small."""
    claimed, total = math.prod(shape) * np.dtype(dtype).itemsize, 0
    if claimed <= _HARMLESS_BYTES:
        return None
    for folder, _, names in os.walk(path) if os.path.isdir(path) else [("", (), (os.path.realpath(path),))]:
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
            if total > claimed // densest:
                return None
    return total


def inflated(data: Any, wanted: int, engine: Any = None) -> bytes:
    """Return the `wanted` bytes to which an engine, or else zlib or gzip, inflates data; never more."""
    values = (engine or zlib.decompressobj(47)).decompress(data, wanted + 1)
    if len(values) != wanted:
        raise ValueError(f"{'more' if len(values) > wanted else len(values)} bytes where there should be {wanted}")
    return values


def loaded(path: Any, kind: str, shape: Sequence[int], dtype: Any, load: Callable[[], np.ndarray]) -> LazyArray:
    """Return an array that can only be read as a whole, on first use."""

    @functools.cache
    def whole():
        with reading(path, kind):
            return load()

    return LazyArray(shape, dtype, lambda window: whole()[window], whole=whole)


def chosen(path: Any, names: Sequence[str], name: str | None, what: str = "image") -> str:
    """Return the name of the image to read: the one that is named, in full or by its last part, or the only one.

    Raises:
        FileError: if there is no such image, or several.
    """
    listing = f"the {what}s {', '.join(names[:_SHOWN])}{' and others' if len(names) > _SHOWN else ''}"
    listing = listing if names else f"no {what} of integers of two or three axes"
    if name is None:
        if len(names) != 1:
            raise FileError(
                f"{path} must hold one {what}, or be named with one, as in {Path(path).name}:name. Received: {listing}."
            )
        return names[0]
    fitting = [each for each in names if each == name] or [each for each in names if each.split("/")[-1] == name]
    if len(fitting) != 1:
        raise FileError(f"{path} must hold the {what} {name}. Received: {listing}.")
    return fitting[0]


def datasets(path: Any, group: Any) -> dict[str, Any]:
    """Return the datasets of an HDF5 file or a group of it by their names, without links that leave the file.

    Raises:
        FileError: if a dataset takes its values from other files.
    """
    import h5py

    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            found[name] = node
            if node.external or node.is_virtual:
                raise FileError(f"{path} must hold its voxels itself. Received: {name}, which lies in other files.")

    group.visititems(visit)
    return found


def plain_neighbour(path: Path, name: str) -> Path:
    """Return the path of the file that holds a header's voxels, if it is a plain file in the same folder.

    Raises:
        FileError: if it lies elsewhere, is a link or a device, or does not exist.
    """
    file = path.parent / name
    if name != Path(name).name or "\\" in name or not file.exists() or not stat.S_ISREG(file.lstat().st_mode):
        raise FileError(
            f"{path} must name the file of its voxels, a plain file in the same folder. Received: {name!r:.200}."
        )
    return file


def check_upright(path: Any, matrix: Any, n: int) -> None:
    """Refuse rotated axes: a matrix of n rows that are not along x, y, z, in this order and with any sign."""
    values = np.asarray(matrix, float)
    if values.size != n * n or np.count_nonzero(np.abs(values.reshape(n, n)) > 1e-4 * np.abs(values).max()) != n:
        raise FileError(
            f"{path} must have axes along x, y, z. Received: axes turned by {values.tolist()}. Resample it."
        )
    if not np.diag(values.reshape(n, n)).all():
        raise FileError(f"{path} must have its axes in the order x, y, z. Received: directions {values.tolist()}.")
