"""NumPy files, each with a note in a second file."""

import hashlib
import json

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.io._common import KEY, FileError, in_one_line, parsed, reading
from kerasgan3d.io._stated import arranged, judged, on_disk, opened

_KIND = "a NumPy array file"
_MAX_NOTE = 2**20  # bytes
# Number of pieces that, with its length, identify a file.
_PIECES, _PIECE = 256, 2**16


def write_npy(path, array, record):
    """Write an array, and a note next to it that identifies the array."""
    # The note is moved into place last: next to an older note, the new array is recognised by its content.
    with replacing(_sidecar(path)) as note, replacing(path) as temporary:
        with temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
        content = {KEY: record, "array": _fingerprint(temporary)}
        note.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def open_npy(path):
    """Memory-map a NumPy file: an `Opened`."""
    with reading(path, _KIND):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise ValueError("an archive of arrays (.npz)")
        record = _note(path)
        layout = judged(path, mapped.shape, mapped.dtype, record=record, stored=on_disk(path))
        return opened(arranged(path, _KIND, mapped, layout, whole=lambda: np.array(mapped, order="C")), layout, record)


def _note(path):
    """Return kerasgan3d's record from the note next to a file, or None without one."""
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return None
    if sidecar.stat().st_size > _MAX_NOTE:
        raise FileError(f"{sidecar} must be a note of at most {_MAX_NOTE} bytes. Received: {sidecar.stat().st_size}.")
    try:
        text = sidecar.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{sidecar} must be a JSON text. Received: {in_one_line(error)}") from error
    record = parsed(text)
    known = parsed(text, "array")
    if record is not None and known not in (None, _fingerprint(path)):
        raise FileError(
            f"{path} must be the array that its note {sidecar.name} is of. Received: another array, saved over it. "
            "Delete the note and pass phases and voxel size, or write both again."
        )
    return record


def _fingerprint(path):
    """Return the sha256 that identifies a file: of all its bytes, or of pieces in equal steps."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    starts = range(0, size, max(_PIECE, size // _PIECES))
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            digest.update(file.read(_PIECE))
    return {"bytes": size, "sha256": digest.hexdigest()}


def _sidecar(path):
    return path.with_name(path.name + ".json")
