"""NumPy files, with a note beside each."""

import json

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.io._common import KEY, FileError, Opened, check_array, in_one_line, parsed, reading
from kerasgan3d.io.lazy import LazyArray


def write_npy(path, array, record):
    """Write an array, and the note beside it."""
    # The note comes into place last: beside an older note, the new array is known by its shape.
    with replacing(_sidecar(path)) as note, replacing(path) as temporary:
        note.write_text(json.dumps({KEY: record}, indent=1) + "\n", encoding="utf-8")
        with temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)


def open_npy(path):
    """Map a NumPy file into memory: an `Opened`."""
    with reading(path, "a NumPy array file"):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise ValueError("an archive of arrays (.npz)")
        check_array(path, mapped.shape, mapped.dtype)
    array = LazyArray(mapped.shape, mapped.dtype, mapped.__getitem__, whole=lambda: np.array(mapped, order="C"))
    sidecar = _sidecar(path)
    try:
        return Opened(array, None, parsed(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else None)
    except UnicodeDecodeError as error:
        raise FileError(f"{sidecar} must be a JSON text. Received: {in_one_line(error)}") from error


def _sidecar(path):
    return path.with_name(path.name + ".json")
