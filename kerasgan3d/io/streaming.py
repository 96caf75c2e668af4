"""Volumes larger than memory, written block by block, and what is left of a write that was interrupted."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.files import WriteError
from kerasgan3d.io.formats import STREAM_SUFFIXES, ability
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.io.writing import check_writable

BLOCK = 128  # voxels per side of what is written, and known to be written, as one; the chunk of a Zarr array
_JOURNAL = "journal.jsonl"

Window = tuple[tuple[int, ...], tuple[int, ...]]  # start and shape, voxels (z, y, x)


def blocks(shape: Sequence[int], edge: int | Sequence[int] = BLOCK) -> Iterator[Window]:
    """Yield (start, shape) of the blocks of a volume, both (z, y, x), in the order of the volume.

    Args:
        shape: Voxels (z, y, x) of the volume.
        edge: Voxels per side of a block, an int or (z, y, x).
    """
    edges = (edge,) * 3 if isinstance(edge, int | np.integer) else tuple(edge)
    for start in product(*map(range, (0,) * 3, shape, edges)):
        yield start, tuple(min(n, length - a) for n, length, a in zip(edges, shape, start, strict=True))


def checksum(labels: Any) -> str:
    """The sha256 of a volume's content, however it is stored and in whatever order it was made.

    It is that of the shape and of the sha256 of each block of 128^3 voxels (smaller at the far faces), in the order of
    the volume.

    Args:
        labels: uint8 array (z, y, x), or what is indexed like one: read block by block.

    Returns:
        The checksum, 64 hexadecimal digits.
    """
    windows = (tuple(slice(a, a + n) for a, n in zip(*block, strict=True)) for block in blocks(labels.shape))
    return _combined(labels.shape, (_digest(np.asarray(labels[window])) for window in windows))


class VolumeWriter:
    """Writes a volume block by block, into a folder beside its place; moves it there when it is complete.

    What was written before an interruption counts, however it came: each block is noted in a journal once it is in the
    file. The folder has the name of the file and ``.partial``.

    Args:
        path: Path of the file to be: .zarr, .tif or .tiff.
        record: The VolumeRecord, which identifies the volume.
        identity: str, of what else the content depends on.
        resume: Whether to go on with what an interrupted write of the same volume left.
        overwrite: Whether a file that exists may be replaced when this one is complete.

    Attributes:
        done: The starts (z, y, x) of the blocks that are written.

    Raises:
        ValueError: if something is left of another volume, and `resume` is true.
        OSError: as `check_writable`, or if there is no room, or something else lies where it would be written.
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
        self.path = check_writable(path, overwrite=overwrite, suffixes=STREAM_SUFFIXES)
        self.shape, self._n_phases = record.shape, len(record.phases)
        self._partial = partial_path(self.path)
        header = {"record": record.to_json(), "identity": identity}
        if not resume:
            _clear(self._partial)
        old, self._digests, self._counts = _journal(self._partial)
        if old is not None and old != json.loads(json.dumps(header)):
            raise ValueError(
                f"{self._partial} holds the beginning of another volume ({_difference(old, header)}). Delete it, give "
                "another path, or start afresh with resume=False (--restart on the command line)."
            )
        if old is None:
            _clear(self._partial)
            self._partial.mkdir()
        self._data = self._partial / f"volume{self.path.suffix.lower()}"
        with self._keeping():
            stream = ability(self.path, "stream")
            self._file = stream(self._data, self.path, header["record"], BLOCK, exists=old is not None)
            if old is None:
                # Last: a folder without a journal is one in which nothing can be relied on.
                (self._partial / _JOURNAL).write_text(json.dumps(header) + "\n", "utf-8")

    @property
    def done(self) -> set[tuple[int, ...]]:
        """The starts of the blocks that are written."""
        return set(self._digests)

    def missing(self, start: tuple[int, ...], shape: tuple[int, ...]) -> list[Window]:
        """What is not written of a part (start, shape) of the volume: the part, some blocks of it, or nothing."""
        inside = [(tuple(a + b for a, b in zip(start, first, strict=True)), n) for first, n in blocks(shape)]
        left = [block for block in inside if block[0] not in self._digests]
        return [(start, shape)] if len(left) == len(inside) else left

    def write(self, start: Sequence[int], labels: np.ndarray) -> None:
        """Write a part of the volume: uint8 (z, y, x) from `start`, a multiple of 128, by whole blocks.

        Raises:
            WriteError: if there is no room on the disk; what was written before is kept.
        """
        end = [a + n for a, n in zip(start, labels.shape, strict=True)]
        if any(a % BLOCK or (b % BLOCK and b != n) for a, b, n in zip(start, end, self.shape, strict=True)):
            raise ValueError(
                f"parts must be whole blocks of {BLOCK}. Received: {start} to {tuple(end)} of {self.shape}."
            )
        window = tuple(slice(a, b) for a, b in zip(start, end, strict=True))
        with self._keeping():
            self._file.write(window, labels)
            lines = []
            for first, shape in blocks(labels.shape):
                inside = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
                place = tuple(a + b for a, b in zip(start, first, strict=True))
                block = labels[inside]
                self._digests[place], self._counts[place] = _digest(block), self._count(block)
                entry = {"block": place, "sha256": self._digests[place].hex(), "counts": self._counts[place]}
                lines.append(json.dumps(entry) + "\n")
            with (self._partial / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write("".join(lines))
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
        missing = [start for start, _ in blocks(self.shape) if start not in self._digests]
        if missing:
            raise ValueError(
                f"{self.path} cannot be finished: {len(missing)} blocks are missing, the first {missing[0]}."
            )
        with self._keeping():
            self._file.finish()
        if self.path.is_dir():
            shutil.rmtree(self.path)
        os.replace(self._data, self.path)
        shutil.rmtree(self._partial)
        return _combined(self.shape, (self._digests[start] for start, _ in blocks(self.shape)))

    @property
    def fractions(self) -> np.ndarray:
        """The volume fractions of what is written: (n,) float64."""
        counts = np.sum(list(self._counts.values()), axis=0)
        return counts / counts.sum()

    def _count(self, block):
        return [int(np.count_nonzero(block == phase)) for phase in range(self._n_phases)]

    def _keeping(self):
        return _Keeping(self.path, self._partial)


class _Keeping:
    """Says of a full disk what is left and how to go on; a folder in which nothing was noted yet is taken away."""

    def __init__(self, path, partial):
        self._path, self._partial = path, partial

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError) and not isinstance(error, WriteError):
            begun = (self._partial / _JOURNAL).is_file()
            if not begun:
                shutil.rmtree(self._partial, ignore_errors=True)
            if error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                kept = f"What was written is kept in {self._partial}: the same command goes on from there. "
                raise WriteError(
                    f"{self._path} could not be completed. {kept if begun else ''}Is there room on the disk? "
                    f"Received: {error.strerror or error}"
                ) from error


def partial_path(path: str | os.PathLike[str]) -> Path:
    """The folder that holds a volume while it is written."""
    path = Path(path)
    return path.with_name(f"{path.name}.partial")


def partial_record(path: str | os.PathLike[str]) -> VolumeRecord | None:
    """What an interrupted write to a path was of; None where there is none."""
    header = _journal(partial_path(path))[0]
    return None if header is None else VolumeRecord.from_json(header["record"])


def _clear(folder):
    """Take away what an interrupted write left; nothing else.

    Raises:
        FileExistsError: if the folder holds something else, or is none.
    """
    if not folder.exists():
        return
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    strange = [name for name in names if name not in (_JOURNAL, "offset") and Path(name).stem != "volume"]
    if strange:
        raise FileExistsError(
            f"{folder} must hold nothing but a volume that was begun. Received: {strange[0]}. Move it away."
        )
    shutil.rmtree(folder)


def _journal(folder):
    """The first line of a folder's journal, or None, and by place the digests and counts of what is done."""
    try:
        lines = (folder / _JOURNAL).read_text("utf-8").splitlines(keepends=True)
        header = json.loads(lines[0])
    except (OSError, ValueError, IndexError):
        return None, {}, {}
    digests, counts = {}, {}
    for line in lines[1:]:
        # The last line may have been cut off.
        if line.endswith("\n"):
            entry = json.loads(line)
            place = tuple(entry["block"])
            digests[place], counts[place] = bytes.fromhex(entry["sha256"]), entry["counts"]
    if lines and not lines[-1].endswith("\n"):
        (folder / _JOURNAL).write_text("".join(line for line in lines if line.endswith("\n")), "utf-8")
    return header, digests, counts


def _difference(old, new):
    """Which entries of two journals' headers differ, in words."""
    a, b = ({**header["record"], **header["record"].get("provenance", {})} for header in (old, new))
    keys = [key for key in b if key != "provenance" and a.get(key) != json.loads(json.dumps(b[key]))]
    return "; ".join(f"{key} {a.get(key)!r:.60}, now {b[key]!r:.60}" for key in keys) or "other weights"


def _digest(block):
    return hashlib.sha256(np.ascontiguousarray(block, np.uint8).data).digest()


def _combined(shape, digests):
    total = hashlib.sha256(json.dumps([int(n) for n in shape]).encode())
    for digest in digests:
        total.update(digest)
    return total.hexdigest()
