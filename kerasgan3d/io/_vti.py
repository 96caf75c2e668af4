"""VTK image data, as ParaView opens it."""

import json
import math
import zlib
from xml.etree import ElementTree

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.io._common import KEY, Opened, reading

_VTI_BLOCK = 1 << 20


def write_vti(path, labels, record):
    """Write VTK's XML image data: one cell per voxel, zlib blocks appended raw, so that memory does not grow."""
    z, y, x = labels.shape
    extent = f"0 {x} 0 {y} 0 {z}"
    edge = repr(1.0 if record["voxel_size"] is None else record["voxel_size"])
    periodic = " ".join(str(int(axis)) for axis in record["periodic"])
    head = f"""<?xml version="1.0" encoding="UTF-8"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64" \
compressor="vtkZLibDataCompressor">
<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{edge} {edge} {edge}">
<FieldData>
{_vtk_strings("phases", record["phases"])}
<DataArray type="UInt8" Name="periodic_zyx" NumberOfTuples="3" format="ascii">{periodic}</DataArray>
{_vtk_strings(KEY, [json.dumps(record)])}
</FieldData>
<Piece Extent="{extent}">
<PointData/>
<CellData Scalars="phase"><DataArray type="UInt8" Name="phase" format="appended" offset="0"/></CellData>
</Piece>
</ImageData>
<AppendedData encoding="raw">
_"""
    values = np.ascontiguousarray(labels).reshape(-1).data
    blocks = range(0, len(values), _VTI_BLOCK)
    sizes = np.zeros(3 + len(blocks), "<u8")
    sizes[:3] = len(blocks), _VTI_BLOCK, len(values) % _VTI_BLOCK
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(head.encode())
        start = stream.tell()
        stream.write(sizes.tobytes())
        for k, first in enumerate(blocks):
            sizes[3 + k] = stream.write(zlib.compress(values[first : first + _VTI_BLOCK], 6))
        stream.write(b"\n</AppendedData>\n</VTKFile>\n")
        stream.seek(start)
        stream.write(sizes.tobytes())


def _vtk_strings(name, strings):
    """Return a string array as VTK stores it: character codes, a 0 after every string."""
    codes = " ".join(str(code) for text in strings for code in (*text.encode(), 0))
    count = len(strings)
    return f'<DataArray type="String" Name="{name}" NumberOfTuples="{count}" format="ascii">{codes}</DataArray>'


def open_vti(path):
    """Read a file that `write_vti` wrote, all of it: an `Opened`."""
    with reading(path, "a VTI file as kerasgan3d writes it"):
        content = path.read_bytes()
        head, mark, tail = content.partition(b"<AppendedData")
        root = ElementTree.fromstring(head + b"</VTKFile>" if mark else head)
        image = root.find("ImageData")
        array = root.find("ImageData/Piece/CellData/DataArray[@Name='phase']")
        if (
            image is None
            or array is None
            or (root.get("header_type"), root.get("compressor"), array.get("format"))
            != (
                "UInt64",
                "vtkZLibDataCompressor",
                "appended",
            )
        ):
            raise ValueError("no cell data named phase in appended zlib blocks")
        low_x, x, low_y, y, low_z, z = (int(bound) for bound in image.attrib["WholeExtent"].split())
        spacing = tuple(float(edge) for edge in reversed(image.attrib["Spacing"].split()))
        noted = root.findtext(f"ImageData/FieldData/DataArray[@Name='{KEY}']", "")
        record = json.loads(bytes(int(code) for code in noted.split()).rstrip(b"\0"))
        shape = (z - low_z, y - low_y, x - low_x)
        start = content.index(b"_", len(head)) + 1
        labels = _vtk_blocks(content, start, math.prod(shape)).reshape(shape)
    return Opened(labels, None if record.get("voxel_size") is None else spacing, record)


def _vtk_blocks(content, start, count):
    """Decompress the blocks that begin at byte `start` into `count` uint8 values."""
    blocks, block_size, last_size = np.frombuffer(content, "<u8", 3, start).tolist()
    lengths = np.frombuffer(content, "<u8", blocks, start + 24).tolist()
    values = np.empty(count, np.uint8)
    position, filled = start + 24 + 8 * blocks, 0
    for k, length in enumerate(lengths):
        wanted = last_size if k == blocks - 1 and last_size else block_size
        part = zlib.decompress(content[position : position + length], bufsize=wanted)
        values[filled : filled + wanted] = np.frombuffer(part, np.uint8)
        position, filled = position + length, filled + wanted
    if filled != count:
        raise ValueError(f"{filled} voxels where there should be {count}")
    return values
