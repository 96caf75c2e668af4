"""Checks of the inflated size of compressed data, before a library allocates memory for it."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from kerasgan3d.io._common import FileError

SMALL = 2**16  # bytes that zlib, at most 1032 to one, inflates to a harmless size
_STREAMS = {
    "zlib": zlib.decompressobj,
    "gzip": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "lzma": lzma.LZMADecompressor,
}


def check_sizes(path: Any, sizes: Sequence[int], raw: int) -> None:
    """Refuse stored pieces that are larger than their content should be.

    Args:
        path: Path of the file.
        sizes: Stored bytes of each piece.
        raw: Bytes of content that a piece should hold.
    """
    largest = max(sizes, default=0)
    if largest > 2 * raw + SMALL:
        raise FileError(f"{path} must store pieces of {raw} bytes. Received: a compressed piece of {largest} bytes.")


def check_inflated(path: Any, data: bytes | memoryview, codec: str, raw: int) -> None:
    """Refuse a compressed piece that would inflate to more than it should hold.

    Args:
        path: Path of the file.
        data: The stored piece.
        codec: "zlib", "gzip", "bz2", "lzma", "zstd", "lz4" or "blosc"; others are not checked.
        raw: Bytes that it should hold.
    """
    limit = raw + SMALL
    if codec in ("zlib", "gzip") and len(data) <= SMALL:
        return
    if codec in _STREAMS:
        stream = _STREAMS[codec]()
        try:
            more = len(stream.decompress(data, limit + 1)) > limit or bool(stream.unused_data)
        except (zlib.error, lzma.LZMAError, OSError):
            return  # damaged: its library has the better message
    else:
        more = _claimed(data, codec) > limit
    if more:
        raise FileError(f"{path} must hold what it claims. Received: a piece that inflates to more than {raw} bytes.")


def _claimed(data, codec):
    """Return the inflated size of a piece, as its library determines it, or 0 where the piece does not state it."""
    try:
        if codec == "lz4":
            return struct.unpack_from("<I", data)[0]
        if codec == "blosc":
            return struct.unpack_from("<I", data, 4)[0]
        return _zstd_blocks(data) if codec == "zstd" else 0
    except (struct.error, IndexError):
        return 0


def _zstd_blocks(data):
    """Return the bytes that Zstandard allocates: the size that a frame states, or that of its blocks of 128 KiB."""
    flags = data[4]
    single, digits = flags >> 5 & 1, (1, 2, 4, 8)[flags >> 6]
    position = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    if single or flags >> 6:
        return int.from_bytes(data[position : position + digits], "little")
    total, last = 0, False
    while not last and position < len(data):
        head = int.from_bytes(data[position : position + 3], "little")
        last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        total += size if kind == 1 else 0 if last else 2**17
        position += 3 + (1 if kind == 1 else size)
    return total
