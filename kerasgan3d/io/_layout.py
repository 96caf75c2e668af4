"""What the header of a file declares: judged before memory is taken for it, and turned into z, y, x."""

from __future__ import annotations

import functools
import math
import stat
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.io._common import UNITS, FileError, reading
from kerasgan3d.io.lazy import LazyArray

# What takes no more bytes is read however well it is packed; what takes more is packed to no less than a 500th, as
# segmented images are. Deflate ends at a 1032nd, which is what a file of zeros comes to that is made to fill memory.
_HARMLESS_BYTES, _PACKED = 1 << 28, 500
_SHOWN = 8
_WORDS = {"depth": "z", "height": "y", "width": "x"}


def check_declared(path: Any, shape: Sequence[int], dtype: Any, stored: int | None = None, *, packed: bool) -> None:
    """Refuse an image that cannot lie in so many stored bytes, or that is packed as none is.

    Args:
        path: of the file, for errors.
        shape, dtype: what is declared.
        stored: bytes; None: those of the file, or of all files of the folder.
        packed: whether they are compressed.
    """
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    if packed and wanted <= _HARMLESS_BYTES:
        return
    if stored is None:
        files = Path(path).rglob("*") if Path(path).is_dir() else [Path(path)]
        stored = sum(file.stat().st_size for file in files)
    if wanted > (_PACKED * stored if packed else stored):
        raise FileError(
            f"{path} must be complete, and hold what it declares. Received: a shape of {tuple(shape)}, {wanted} bytes, "
            f"declared over {stored} bytes{' of packed data' if packed else ''}."
        )


def inflated(data: Any, wanted: int, engine: Any = None) -> bytes:
    """Return the `wanted` bytes that an engine, or else zlib and gzip, makes of data; never more."""
    values = (engine or zlib.decompressobj(47)).decompress(data, wanted + 1)
    if len(values) != wanted:
        raise ValueError(f"{'more' if len(values) > wanted else len(values)} bytes where there should be {wanted}")
    return values


def loaded(path: Any, kind: str, shape: Sequence[int], dtype: Any, load: Callable[[], np.ndarray]) -> LazyArray:
    """Return an array that can only be read whole, and is once something of it is asked for."""

    @functools.cache
    def whole():
        with reading(path, kind):
            return load()

    return LazyArray(shape, dtype, lambda window: whole()[window], whole=whole)


def transposed(array: LazyArray, order: Sequence[int]) -> LazyArray:
    """Return a lazy array with its axes in another order, as `np.transpose` does."""
    if list(order) == list(range(array.ndim)):
        return array

    def turn(window):
        asked = [slice(None)] * array.ndim
        for axis, part in zip(order, window, strict=True):
            asked[axis] = part
        return np.transpose(array[tuple(asked)], order)

    shape = [array.shape[axis] for axis in order]
    return LazyArray(shape, array.dtype, turn, whole=lambda: np.transpose(np.asarray(array), order))


def axes_in_order(path: Any, names: Sequence[str], shape: Sequence[int]) -> list[int]:
    """Return the axes z, y, x of an array, in this order, by their names.

    Without any of these names the axes are taken as they come. Axes of one element are left out.
    """
    letters = [_WORDS.get(name.lower(), name.lower()) for name in names]
    if not set(letters) & set("zyx"):
        axes = [axis for axis, length in enumerate(shape) if length > 1]
        return axes if len(shape) > 3 else list(range(len(shape)))
    strange = any(letter not in "zyx" and n > 1 for letter, n in zip(letters, shape, strict=True))
    if strange or len(set(letters)) < len(letters):
        raise FileError(
            f"{path} must have the axes z, y, x, each once. Received: "
            f"{', '.join(f'{name} of {n}' for name, n in zip(names, shape, strict=True))}."
        )
    return [letters.index(letter) for letter in "zyx" if letter in letters]


def edges_in_um(path: Any, edges: dict[str, tuple[float, str]]) -> tuple | None:
    """Return the edges of a voxel along z, y, x in µm, or None where no unit is stated.

    Args:
        path: of the file, for errors.
        edges: by the letters of the axes, an edge and its unit, "" where there is none.

    Raises:
        FileError: if edges differ and no unit says what they are, or only some have one.
    """
    known = {axis: float(edge) for axis, (edge, _) in edges.items() if math.isfinite(edge) and edge > 0}
    units = {axis: UNITS.get(unit.strip().lower()) for axis, (_, unit) in edges.items()}
    if not {"y", "x"} <= known.keys():
        return None
    if None in units.values():
        if max(known.values()) > 1.001 * min(known.values()) or set(units.values()) != {None}:
            listed = ", ".join(f"{axis} {edge:g} {edges[axis][1]}".strip() for axis, edge in known.items())
            raise FileError(
                f"{path} must have cubic voxels, or state the unit of their edges, such as µm. Received: {listed}. "
                "Resample it first, or give the edges a unit."
            )
        return None
    y, x = (known[axis] * units[axis] for axis in "yx")
    return known["z"] * units["z"] if "z" in known else x, y, x


def chosen(path: Any, names: Sequence[str], name: str | None, what: str = "image") -> str:
    """Return which of the images of a file is meant: the one that is named, in full or by its last part, or the only.

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
    """Return the datasets of an HDF5 file or a group of it by their names; behind links that leave the file are none.

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
    """Return the path of the file beside a header that holds its voxels, if it is a plain file in the same folder.

    Raises:
        FileError: if it lies elsewhere, is a link or a device, or is not there.
    """
    file = path.parent / name
    if name != Path(name).name or "\\" in name or not file.exists() or not stat.S_ISREG(file.lstat().st_mode):
        raise FileError(
            f"{path} must name the file of its voxels, a plain file in the same folder. Received: {name!r:.200}."
        )
    return file


def check_upright(path: Any, matrix: Sequence[float], n: int) -> None:
    """Refuse axes that are turned: a matrix of n rows whose rows are not x, y, z, in this order, of any sign."""
    values = np.asarray(matrix, float)
    if values.size != n * n or np.count_nonzero(np.abs(values.reshape(n, n)) > 1e-4 * np.abs(values).max()) != n:
        raise FileError(f"{path} must have axes along x, y, z. Received: axes turned by {list(matrix)}. Resample it.")
    if not np.diag(values.reshape(n, n)).all():
        raise FileError(f"{path} must have its axes in the order x, y, z. Received: directions {list(matrix)}.")
