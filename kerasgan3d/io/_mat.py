"""MATLAB files: up to version 7 by SciPy, from 7.3 on as HDF5. MATLAB's rows, columns and pages are y, x, z."""

import functools
import zlib
from typing import Any

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.io._common import FileError, reading
from kerasgan3d.io._hdf5 import open_hdf5
from kerasgan3d.io._layout import check_declared, chosen, loaded
from kerasgan3d.io._stated import arranged, judged, opened

_KIND = "a MATLAB file"
_TYPES = {
    **{f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{"logical": "u1", "single": "f4", "double": "f8"},
}
_COMPRESSED = 15


def open_mat(path, name=None):
    """Open an array of a MATLAB file, the named one or the only one with two or three axes: an `Opened`.

    Arrays written by MATLAB have the axes y, x, z; those written by SciPy have NumPy's, z, y, x. A name may give other
    axes: "labels,zyx".
    """
    name, _, axes = (name or "").partition(",")
    if axes and (set(axes) - set(AXES) or len(set(axes)) < len(axes)):
        raise FileError(f"{path} must be given with axes such as yxz or zyx. Received: {axes}.")
    with reading(path, _KIND):
        import h5py

        array, by_matlab = (_open_73 if h5py.is_hdf5(path) else _open_5)(path, name or None)
        axes = axes or ("yxz"[: array.ndim] if by_matlab else AXES[-array.ndim :])
        if len(axes) != array.ndim:
            raise FileError(f"{path} must be given with {array.ndim} axes. Received: {axes}.")
        layout = judged(path, array.shape, array.dtype, axes)
        return opened(arranged(path, _KIND, array, layout), layout)


def _open_73(path, name):
    import h5py

    with h5py.File(path, "r") as file:
        plain = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
        arrays = {key: file[key] for key in plain if isinstance(file[key], h5py.Dataset)}
        fitting = [
            key
            for key, array in arrays.items()
            if sum(n > 1 for n in array.shape or ()) in (2, 3) and array.dtype.kind in "iub"
        ]
        key = chosen(path, fitting if name is None else list(arrays), name, "array")
        by_matlab = "MATLAB_class" in arrays[key].attrs
    array = open_hdf5(path, key).array
    # HDF5 has MATLAB's axes in reverse order.
    return (_Reversed(array) if by_matlab else array), by_matlab


class _Reversed:
    """An array with its axes in reverse order."""

    def __init__(self, array):
        self._array, self.shape, self.dtype, self.ndim = array, array.shape[::-1], array.dtype, array.ndim

    def __getitem__(self, window):
        return self._array[window[::-1]].T


def _open_5(path, name):
    from scipy.io import loadmat, whosmat

    by_matlab = _check_unpacked(path)
    arrays = {key: (shape, kind) for key, shape, kind in whosmat(path)}
    fitting = [
        key
        for key, (shape, kind) in arrays.items()
        if sum(n > 1 for n in shape) in (2, 3) and ("int" in kind or kind == "logical")
    ]
    key = chosen(path, fitting if name is None else list(arrays), name, "array")
    shape, kind = arrays[key]
    if kind not in _TYPES:
        raise FileError(f"{path}:{key} must hold integer labels. Received: {kind}.")
    dtype = np.dtype(_TYPES[kind])
    check_declared(path, shape, dtype, path.stat().st_size)

    def load():
        array = loadmat(path, variable_names=[key])[key]
        if array.shape != tuple(shape):
            raise ValueError(f"an array of {array.shape} where there should be {shape}")
        return array.astype(dtype, copy=False)

    return loaded(path, _KIND, shape, dtype, load), by_matlab


def _check_unpacked(path):
    """Refuse a file that unpacks to more than files of images do; tell whether MATLAB wrote it.

    SciPy would read whatever size its parts declare.
    """
    with path.open("rb") as stream:
        head = stream.read(128)
        order: Any = {b"IM": "little", b"MI": "big"}.get(head[126:])
        while order is not None and len(tag := stream.read(8)) == 8:
            kind, count = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind != _COMPRESSED:
                stream.seek(count, 1)
                continue
            engine, unpacked, end = zlib.decompressobj(), 0, stream.tell() + count
            for piece in iter(functools.partial(stream.read, min(1 << 16, count)), b""):
                unpacked += len(engine.decompress(piece))
                check_declared(path, (unpacked,), np.uint8, count)
                if engine.eof or stream.tell() >= end:
                    break
            stream.seek(end)
    # "MATLAB 5.0 MAT-file, Platform: PCWIN64 ..."; SciPy has no comma, and files of version 4 no such line.
    return not head.startswith(b"MATLAB 5.0 MAT-file Platform")
