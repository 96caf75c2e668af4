"""Writing of volumes larger than memory, block by block, and resuming of interrupted writes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.files import WriteError, remove, sync
from kerasgan3d.io.formats import STREAM_SUFFIXES, ability, open_file
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.io.writing import check_writable
from kerasgan3d.lock import LOCK, FolderLock

BLOCK = 128  # voxels per side of a block, the unit of writing and of the journal; the chunk of a Zarr array
_JOURNAL = "journal.jsonl"
_HEADER = "header.sha256"  # the digest of the journal's first line
_NEW = "journal.new"
_REPLACED = "replaced"  # the folder that the volume replaces, during the exchange
# "frame.tif" holds a TIFF file without its voxels while it is made; "offset" is from an earlier version.
_OURS = (_JOURNAL, _HEADER, _NEW, _REPLACED, LOCK, "frame.tif", "offset")

Window = tuple[tuple[int, ...], tuple[int, ...]]  # start and shape, voxels (z, y, x)


def blocks(shape: Sequence[int], edge: int | Sequence[int] = BLOCK) -> Iterator[Window]:
    """Yield (start, shape) of the blocks of a volume, both (z, y, x), in the order of the volume.

    Args:
        shape: Voxels (z, y, x) of the volume.
        edge: Voxels per side of a block, an int or (z, y, x).
    """
    edges = (edge,) * 3 if isinstance(edge, int | np.integer) else tuple(edge)
    zs, ys, xs = map(range, (0,) * 3, shape, edges)
    # Not itertools.product, which would list each whole range first.
    for start in ((z, y, x) for z in zs for y in ys for x in xs):
        yield start, tuple(min(n, length - a) for n, length, a in zip(edges, shape, start, strict=True))


def checksum(labels: Any) -> str:
    """Return the sha256 of a volume's content, independent of its storage and of the order in which it was written.

    It is the sha256 of the shape and of the sha256 of each block of 128^3 voxels (smaller at the far faces), in the
    order of the volume.

    Args:
        labels: uint8 array (z, y, x), or an object that is indexed like one: read block by block.

    Returns:
        The checksum, 64 hexadecimal digits.
    """
    windows = (tuple(slice(a, a + n) for a, n in zip(*block, strict=True)) for block in blocks(labels.shape))
    return _combined(labels.shape, (_digest(np.asarray(labels[window])) for window in windows))


class VolumeWriter:
    """Writer of a volume block by block, into a folder next to its path, from where the complete file is moved.

    Interrupted writes can be resumed, whatever interrupted them: a journal records each block with its sha256 once it
    is on the disk. On resuming, every block is read again, and blocks that differ from the journal count as missing.
    The folder has the name of the file with the suffix ``.partial``; one process at a time writes there.

    Args:
        path: Path of the output file: .zarr, .tif or .tiff.
        record: The VolumeRecord, which identifies the volume.
        identity: A text that identifies everything else that the content depends on.
        resume: Whether to resume an interrupted write of the same volume.
        overwrite: Whether an existing file may be replaced when this one is complete.

    Attributes:
        done: The starts (z, y, x) of the written blocks.

    Raises:
        ValueError: if `resume` is true and the unfinished data belong to another volume, or are damaged beyond use.
        OSError: as for `check_writable`, or if there is no room, something else lies at the path, or another process is
            writing there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        record: VolumeRecord,
        *,
        identity: str = "",
        resume: bool = True,
        overwrite: bool = False,
    ):
        self.path = check_writable(path, suffixes=STREAM_SUFFIXES)
        self.shape, self._n_phases = record.shape, len(record.phases)
        self._partial = partial_path(self.path)
        self._data = self._partial / f"volume{self.path.suffix.lower()}"
        self._header = json.loads(json.dumps({"record": record.to_json(), "identity": identity}))
        self._digests, self._counts = {}, {}
        self._file: Any = None  # None where the volume is already in its place
        _check_ours(self._partial)
        self._lock = FolderLock(self._partial, self.path)
        try:
            self._begin(resume, overwrite)
        except BaseException:
            self.close()
            raise

    def _begin(self, resume, overwrite):
        """Find the finished blocks, and open the file."""
        if (self._partial / _REPLACED).exists() and not self.path.exists():
            os.replace(self._partial / _REPLACED, self.path)
        old, entries = _journal(self._partial) if resume else (None, {})
        if old is not None and old != self._header:
            raise ValueError(
                f"{self._partial} holds the beginning of another volume ({_difference(old, self._header)}). Delete it, "
                "give another path, or start afresh with `resume=False`."
            )
        self._digests = {place: digest for place, digest in entries.items() if self._is_block(place)}
        if old is not None and self._in_place():
            return
        check_writable(self.path, overwrite=overwrite)
        if old is None:
            _clear(self._partial)
        with self._keeping():
            stream, exists = ability(self.path, "stream"), old is not None and self._data.exists()
            self._file = stream(self._data, self.path, self._header["record"], BLOCK, exists=exists)
            for start in self._damaged(self._file.read):
                del self._digests[start]
                self._file.forget(start)
            self._note_all()

    def close(self) -> None:
        """Release the folder, keeping finished blocks; `finish` does so too."""
        self._lock.release()

    def _is_block(self, place):
        return len(place) == 3 and all(a % BLOCK == 0 and 0 <= a < n for a, n in zip(place, self.shape, strict=True))

    def _in_place(self):
        """Tell whether the volume was already moved into its place, with only the folder left behind."""
        if self._data.exists() or not self.path.exists() or self._missing() is not None:
            return False
        try:
            found = open_file(self.path)
        except (OSError, ValueError):
            return False  # it is something else
        return found.record == self._header["record"] and not self._damaged(found.array.__getitem__)

    def _damaged(self, read):
        """Return the starts of blocks that differ from the journal; count the voxels of the others."""
        damaged = []
        for start, digest in self._digests.items():
            window = tuple(slice(a, min(a + BLOCK, n)) for a, n in zip(start, self.shape, strict=True))
            try:
                block = np.asarray(read(window))
                intact = _digest(block) == digest
            except Exception:  # any error of a library about a damaged file
                intact = False
            if intact:
                self._counts[start] = self._count(block)
            else:
                damaged.append(start)
                self._counts.pop(start, None)
        return damaged

    def _missing(self):
        """Return the start of the first missing block; None if there is none."""
        return next((start for start, _ in blocks(self.shape) if start not in self._digests), None)

    @property
    def done(self) -> set[tuple[int, ...]]:
        """The starts of the written blocks."""
        return set(self._digests)

    @property
    def voxels(self) -> int:
        """Number of written voxels."""
        return sum(map(sum, self._counts.values()))

    def missing(self, start: tuple[int, ...], shape: tuple[int, ...]) -> list[Window]:
        """List the missing windows of a part (start, shape) of the volume: the part, some blocks of it, or none."""
        inside = [(tuple(a + b for a, b in zip(start, first, strict=True)), n) for first, n in blocks(shape)]
        left = [block for block in inside if block[0] not in self._digests]
        return [(start, shape)] if len(left) == len(inside) else left

    def write(self, start: Sequence[int], labels: np.ndarray) -> None:
        """Write a part of the volume: uint8 (z, y, x) from `start`, a multiple of 128, by whole blocks.

        Raises:
            WriteError: if there is no room on the disk; blocks written before are kept.
        """
        end = [a + n for a, n in zip(start, labels.shape, strict=True)]
        if any(a % BLOCK or (b % BLOCK and b != n) for a, b, n in zip(start, end, self.shape, strict=True)):
            raise ValueError(
                f"parts must be whole blocks of {BLOCK}. Received: {start} to {tuple(end)} of {self.shape}."
            )
        window = tuple(slice(a, b) for a, b in zip(start, end, strict=True))
        with self._keeping():
            self._file.write(window, labels)
            places = []
            for first, shape in blocks(labels.shape):
                inside = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
                places.append(tuple(a + b for a, b in zip(start, first, strict=True)))
                block = labels[inside]
                self._digests[places[-1]], self._counts[places[-1]] = _digest(block), self._count(block)
            with (self._partial / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(self._entries(places))
                journal.flush()
                os.fsync(journal.fileno())

    def finish(self) -> str:
        """Complete the file and move it into its place.

        Returns:
            The content's `checksum`.

        Raises:
            ValueError: if blocks are missing.
            OSError: if it cannot be written.
        """
        missing = self._missing()
        if missing is not None:
            count = math.prod(-(-n // BLOCK) for n in self.shape) - len(self._digests)
            raise ValueError(f"{self.path} cannot be finished: {count} blocks are missing, the first {missing}.")
        if self._file is not None:
            self._move()
        for name in (*_OURS[1:], _JOURNAL):
            if name != LOCK:
                remove(self._partial / name)
        self.close()
        return _combined(self.shape, (self._digests[start] for start, _ in blocks(self.shape)))

    def _move(self):
        """Complete the file after verifying all blocks, and move it into its place."""
        damaged = self._damaged(self._file.read)
        if damaged:
            raise WriteError(
                f"{len(damaged)} blocks of {self._data} are not what was written there, the first {damaged[0]}: the "
                "disk, or another program, changed them. The same command computes them again."
            )
        with self._keeping():
            self._file.finish()
            if self.path.is_dir():
                os.replace(self.path, self._partial / _REPLACED)
            os.replace(self._data, self.path)
            sync(self.path.resolve().parent)

    def _entries(self, places):
        """Return the journal's lines for blocks."""
        entries = (
            {"block": place, "sha256": self._digests[place].hex(), "counts": self._counts[place]} for place in places
        )
        return "".join(json.dumps(entry) + "\n" for entry in entries)

    def _note_all(self):
        """Rewrite the journal atomically if it is not as it should be."""
        first = json.dumps(self._header) + "\n"
        content = (first + self._entries(self._digests)).encode()
        journal, new = self._partial / _JOURNAL, self._partial / _NEW
        if not journal.is_file() or journal.read_bytes() != content:
            # Last, since nothing in a folder without a journal can be relied on.
            for path, text in (
                (self._partial / _HEADER, hashlib.sha256(first.encode()).hexdigest().encode()),
                (new, content),
            ):
                path.write_bytes(text)
                sync(path)
            os.replace(new, journal)
            sync(self._partial)

    @property
    def fractions(self) -> np.ndarray:
        """Volume fractions of the written blocks: (n,) float64."""
        counts = np.sum(list(self._counts.values()), axis=0)
        return counts / counts.sum()

    def _count(self, block):
        return [int(np.count_nonzero(block == phase)) for phase in range(self._n_phases)]

    def _keeping(self):
        return _Keeping(self.path, self._partial)


class _Keeping:
    """Context that reports a full disk and how to resume; it removes a folder without finished blocks."""

    def __init__(self, path, partial):
        self._path, self._partial = path, partial

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError) and not isinstance(error, WriteError):
            begun = (self._partial / _JOURNAL).is_file()
            if not begun:
                _clear(self._partial)
            if error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                kept = f"What was written is kept in {self._partial}: the same command goes on from there. "
                raise WriteError(
                    f"{self._path} could not be completed. {kept if begun else ''}Is there room on the disk? "
                    f"Received: {error.strerror or error}"
                ) from error


def partial_path(path: str | os.PathLike[str]) -> Path:
    """Return the folder that holds a volume while it is written."""
    path = Path(path)
    return path.with_name(f"{path.name}.partial")


def partial_record(path: str | os.PathLike[str]) -> VolumeRecord | None:
    """Return the record of the volume of an interrupted write to a path; None without one.

    Raises:
        ValueError: if the unfinished data are damaged beyond use.
    """
    header = _journal(partial_path(path))[0]
    return None if header is None else VolumeRecord.from_json(header["record"])


def _check_ours(folder):
    """Check that a folder, if it exists, holds only the data of an interrupted write.

    Raises:
        FileExistsError: if the folder holds something else, or is not a folder.
    """
    try:  # in one step, since another process may create or remove the folder at any time
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        names = [folder.name]
    strange = [name for name in names if name not in _OURS and Path(name).stem != "volume"]
    if strange:
        raise FileExistsError(
            f"{folder} must hold nothing but a volume that was begun. Received: {strange[0]}. Move it away."
        )


def _clear(folder):
    """Remove the data of an interrupted write, except the lock."""
    for path in folder.iterdir():
        if path.name != LOCK:
            remove(path)


def _journal(folder):
    """Return the first line of a folder's journal, None without one, and the digests by place that it lists.

    Truncated or garbled lines are ignored: their blocks count as missing.

    Raises:
        ValueError: if the first line, which identifies the volume, is damaged.
    """
    try:
        first, *lines = (folder / _JOURNAL).read_bytes().splitlines(keepends=True) or [b""]
    except (FileNotFoundError, NotADirectoryError):
        return None, {}
    noted = folder / _HEADER
    try:
        header = json.loads(first)
        VolumeRecord.from_json(header["record"])
        intact = not noted.is_file() or noted.read_bytes() == hashlib.sha256(first).hexdigest().encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise ValueError(
            f"{folder / _JOURNAL} is damaged in its first line, which says what volume was begun. Start afresh with "
            "`resume=False`."
        )
    return header, dict(filter(None, map(_entry, lines)))


def _entry(line):
    """Return the place and the digest in a line of a journal, or None for a garbled line."""
    try:
        entry = json.loads(line)
        place, digest = tuple(entry["block"]), bytes.fromhex(entry["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (place, digest) if line.endswith(b"\n") and all(type(a) is int for a in place) else None


def _difference(old, new):
    """Describe the entries that differ between the headers of two journals."""
    a, b = ({**header["record"], **header["record"].get("provenance", {})} for header in (old, new))
    keys = [key for key in b if key != "provenance" and a.get(key) != b[key]]
    return "; ".join(f"{key} {a.get(key)!r:.60}, now {b[key]!r:.60}" for key in keys) or "other weights"


def _digest(block):
    return hashlib.sha256(np.ascontiguousarray(block, np.uint8).data).digest()


def _combined(shape, digests):
    total = hashlib.sha256(json.dumps([int(n) for n in shape]).encode())
    for digest in digests:
        total.update(digest)
    return total.hexdigest()
