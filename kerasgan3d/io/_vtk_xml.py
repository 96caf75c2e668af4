"""VTK's XML files: arrays stored as text, as base64 or as bytes, plain or compressed."""

import base64
import lzma
import mmap
from xml.etree import ElementTree

import numpy as np

from kerasgan3d.io._layout import inflated

_MOST_TEXT = 1 << 24


class XmlFile:
    """A file whose header is read at once, and its arrays on demand.

    Attributes:
        root: The root element of the file.
        size: Size of the file in bytes.
        order: Byte order, "<" or ">".
        packed: Whether arrays are compressed.
    """

    def __init__(self, path):
        with path.open("rb") as stream:
            self._content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        start = self._content.find(b"<AppendedData")
        self.root = ElementTree.fromstring(self._content[:] if start < 0 else self._content[:start] + b"</VTKFile>")
        self.size, self._appended, self._coded = len(self._content), 0, False
        if start >= 0:
            self._appended = self._content.find(b"_", start) + 1
            self._coded = b"base64" in self._content[start : self._appended]
        self.order = {"LittleEndian": "<", "BigEndian": ">"}[self.root.get("byte_order", "LittleEndian")]
        self._number = np.dtype(self.order + {"UInt32": "u4", "UInt64": "u8"}[self.root.get("header_type", "UInt32")])
        compressor = self.root.get("compressor")
        self.packed, self._unpack = compressor is not None, _UNPACK.get(compressor or "")
        if self.packed and self._unpack is None:
            raise ValueError(f"the compressor {compressor}")

    def values(self, node, dtype, count=None):
        """Return `count` values of an array; without a count, all values of a short one."""
        if node.get("format") == "ascii":
            values = np.array((node.text or "").split(), np.int64).astype(dtype)
        else:
            values = np.frombuffer(self._bytes(node, None if count is None else count * dtype.itemsize), dtype)
        if count is not None and len(values) != count:
            raise ValueError(f"{len(values)} voxels where there should be {count}")
        return values

    def _bytes(self, node, wanted):
        read, width = self._reader(node), self._number.itemsize
        if self._unpack is None:
            (size,) = np.frombuffer(read(width, stay=True), self._number).tolist()
            blocks = [(size, size)]
            read(0)
        else:
            count, whole, last = np.frombuffer(read(3 * width, stay=True), self._number).tolist()
            lengths = np.frombuffer(read((3 + count) * width), self._number)[3:].tolist()
            blocks = [(length, whole) for length in lengths]
            if blocks and last:
                blocks[-1] = (lengths[-1], last)
        total = sum(size for _, size in blocks)
        if total > (_MOST_TEXT if wanted is None else wanted):
            raise ValueError(f"{total} bytes where there should be {'a text' if wanted is None else wanted}")
        if self._unpack is None:
            return read(width + total)[width:]
        packed, values, place, filled = read(sum(length for length, _ in blocks)), np.empty(total, np.uint8), 0, 0
        for length, size in blocks:
            part = self._unpack(packed[place : place + length], size)
            values[filled : filled + size] = np.frombuffer(part, np.uint8)
            place, filled = place + length, filled + size
        return values

    def _reader(self, node):
        """Return a function that reads, or with `stay` only peeks at, the next bytes of an array."""
        if node.get("format") == "appended":
            text, place, coded = self._content, self._appended + int(node.attrib["offset"]), self._coded
        else:
            text, place, coded = (node.text or "").strip().encode(), 0, True

        def read(count, stay=False):
            nonlocal place
            length = -(-count // 3) * 4 if coded else count
            part = text[place : place + length]
            if len(part) < length:
                raise ValueError("an array that ends early")
            place += 0 if stay else length
            return base64.b64decode(part, validate=True)[:count] if coded else part

        return read


def _lz4(data, size):
    import imagecodecs  # pyright: ignore[reportMissingImports]

    return imagecodecs.lz4_decode(bytes(data), header=False, out=size)


_UNPACK = {
    "vtkZLibDataCompressor": inflated,
    "vtkLZMADataCompressor": lambda data, size: inflated(data, size, lzma.LZMADecompressor()),
    "vtkLZ4DataCompressor": _lz4,
}
