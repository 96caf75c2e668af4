"""VTK image data, as ParaView, PyVista and PoreSpy write and open it."""

import json
import math
import zlib

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.io._common import KEY, FileError, check_array, reading
from kerasgan3d.io._layout import PACKED, check_declared, check_upright, chosen, loaded
from kerasgan3d.io._stated import arranged, judged, opened
from kerasgan3d.io._vtk_xml import XmlFile

_VTI_BLOCK = 1 << 20
_KIND = "a VTI file as VTK or as kerasgan3d writes it"
_OURS = "CellData/phase"
_BLANKED = "vtkGhostType"
_TYPES = {f"{sign}Int{bits}": f"{sign or 'i'}{bits // 8}".lower() for sign in ("", "U") for bits in (8, 16, 32, 64)}


def write_vti(path, labels, record):
    """Write VTK's XML image data: one cell per voxel, as appended raw zlib blocks, in constant memory."""
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
    """Return a string array as VTK stores it: character codes, with a 0 after every string."""
    codes = " ".join(str(code) for text in strings for code in (*text.encode(), 0))
    count = len(strings)
    return f'<DataArray type="String" Name="{name}" NumberOfTuples="{count}" format="ascii">{codes}</DataArray>'


def open_vti(path, name=None):
    """Open cell or point data of an image, the named ones or the only integers: an `Opened`."""
    with reading(path, _KIND):
        file = XmlFile(path)
        image = file.root.find("ImageData")
        arrays = {} if image is None else _arrays(image.find("Piece"))
        integers = [key for key, node in arrays.items() if node.get("type") in _TYPES]
        if image is None or not integers:
            raise ValueError("no cell data named phase, nor other integers, one per cell or point")
        record = _record(file, image)
        key = chosen(path, integers, _OURS if name is None and record and _OURS in integers else name, "array")
        node, by_point = arrays[key], key.startswith("PointData")
        dtype = np.dtype(file.order + _TYPES[node.attrib["type"]])
        bounds = _bounds(image.attrib["WholeExtent"], by_point)
        shape = tuple(map(len, bounds))
        check_array(f"{path}:{key}", shape, dtype)
        text = node.get("format") == "ascii"
        densest = PACKED if file.packed and not text else 1
        check_declared(path, shape, np.uint8 if text else dtype, file.size, densest)
        spacing = [float(edge) for edge in image.get("Spacing", "1 1 1").split()][::-1]
        if "Direction" in image.attrib:
            check_upright(path, [float(part) for part in image.attrib["Direction"].split()], 3)
        unit = "" if record is None else "µm"
        sized = record is None or record.get("voxel_size") is not None
        edges = {axis: (edge, unit) for axis, edge in zip("zyx", spacing, strict=True)} if sized else {}
        layout = judged(path, shape, dtype, "zyx", edges)

    def load():
        values, cells = np.empty(shape, dtype), -_cells(image.attrib["WholeExtent"])
        for piece in image.findall("Piece"):
            parts, found = _bounds(piece.attrib["Extent"], by_point), _arrays(piece, _BLANKED)
            place = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(parts, bounds, strict=True))
            lengths = tuple(map(len, parts))
            values[place] = file.values(found[key], dtype, math.prod(lengths)).reshape(lengths)
            cells += _cells(piece.attrib["Extent"])
            blanked = found.get(key.split("/")[0] + f"/{_BLANKED}")
            if blanked is not None and file.values(blanked, np.dtype("u1"), math.prod(lengths)).any():
                raise FileError(f"{path} must show all of its voxels. Received: some that are blanked ({_BLANKED}).")
        if cells:
            raise ValueError(f"pieces of {abs(cells)} cells too {'many' if cells > 0 else 'few'}")
        return values

    return opened(arranged(path, _KIND, loaded(path, _KIND, shape, dtype, load), layout), layout, record)


def _arrays(piece, *also):
    """Return the arrays of a piece with one value per cell or point, as "CellData/name" and "PointData/name"."""
    return {
        f"{section.tag}/{node.get('Name')}": node
        for section in (piece if piece is not None else ())
        for node in section.iter("DataArray")
        if int(node.get("NumberOfComponents", 1)) == 1 and (node.get("Name") != _BLANKED or also)
    }


def _bounds(extent, by_point):
    """Return the ranges of cells, or points, that an extent holds along z, y, x."""
    x, last_x, y, last_y, z, last_z = (int(bound) for bound in extent.split())
    return tuple(range(a, b + by_point) for a, b in ((z, last_z), (y, last_y), (x, last_x)))


def _cells(extent):
    """Return the number of cells in an extent; a plane counts as one layer of them."""
    return math.prod(max(1, len(bounds)) for bounds in _bounds(extent, by_point=False))


def _record(file, image):
    """Return kerasgan3d's note, or None."""
    node = image.find(f"FieldData/*[@Name='{KEY}']")
    record = None if node is None else json.loads(bytes(file.values(node, np.dtype("u1"))).rstrip(b"\0"))
    return record if isinstance(record, dict) else None
