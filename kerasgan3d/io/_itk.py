"""MetaImage (.mha, .mhd), NRRD (.nrrd, .nhdr) and raw voxels: a header of a few lines, or none, before plain numbers.

They are read here and not by SimpleITK or pynrrd, which open any file that a header names and unpack it without a
bound, and read all of it for one slice; SimpleITK does not return units.
"""

import bz2
import math
import re
import shlex

import numpy as np

from kerasgan3d.checks import AXES
from kerasgan3d.io._common import FileError, check_array, reading
from kerasgan3d.io._layout import PACKED, check_declared, check_upright, inflated, loaded, plain_neighbour
from kerasgan3d.io._stated import arranged, judged, opened
from kerasgan3d.io.lazy import LazyArray

_META, _NRRD, _RAW = "a MetaImage file", "an NRRD file", "a file of raw voxels"
_META_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4"},
    **{"MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8"},
    **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}
# Bytes of C's types as NRRD names them, without signed, unsigned, int and _t.
_NRRD_TYPES = {"char": 1, "int8": 1, "short": 2, "int16": 2, "": 4, "int32": 4, "longlong": 8, "int64": 8}
_MOST_HEADER = 1 << 16


def open_metaimage(path):
    """Open a MetaImage: an `Opened`."""
    with reading(path, _META), path.open("rb") as stream:
        facts = {}
        while "ElementDataFile" not in facts:
            key, equals, value = stream.readline(_MOST_HEADER).decode("latin-1").partition("=")
            if not equals or len(facts) > 99:
                raise ValueError("no header that ends with ElementDataFile")
            facts[key.strip()] = value.strip()
        start = stream.tell()
        n = int(facts["NDims"])
        # x comes first.
        shape = tuple(int(length) for length in facts["DimSize"].split())[::-1]
        if len(shape) != n or facts.get("BinaryData", "True") != "True":
            raise ValueError("NDims that are not those of DimSize" if len(shape) != n else "voxels written as text")
        if int(facts.get("ElementNumberOfChannels", 1)) != 1:
            raise FileError(f"{path} must hold one value per voxel. Received: {facts['ElementNumberOfChannels']}.")
        if facts["ElementType"] not in _META_TYPES:
            raise FileError(f"{path} must hold integer labels. Received: {facts['ElementType']}.")
        big = facts.get("BinaryDataByteOrderMSB", facts.get("ElementByteOrderMSB", "False")) == "True"
        dtype = np.dtype(">" * big + _META_TYPES[facts["ElementType"]])
        if "TransformMatrix" in facts:
            check_upright(path, [float(part) for part in facts["TransformMatrix"].split()], n)
        unit = facts.get("DistanceUnits", "")
        edges = facts.get("ElementSpacing", facts.get("ElementSize", "")).split()[::-1]
        file, skip = path, start
        if facts["ElementDataFile"] not in ("LOCAL", "Local", "local"):
            file, skip = plain_neighbour(path, facts["ElementDataFile"]), int(facts.get("HeaderSize", 0))
    packed = "zlib" if facts.get("CompressedData", "False") == "True" else "raw"
    array = _voxels(path, _META, file, skip, packed, dtype, shape)
    return _upright(path, _META, array, ["t"] * (n - 3) + list(AXES[-n:]), [(edge, unit) for edge in edges])


def open_nrrd(path):
    """Open an NRRD image with its voxels in the same file or in one next to it: an `Opened`."""
    with reading(path, _NRRD), path.open("rb") as stream:
        if not stream.readline(_MOST_HEADER).startswith(b"NRRD000"):
            raise ValueError("no NRRD header")
        facts = {}
        for _ in range(999):
            line = stream.readline(_MOST_HEADER).decode("utf-8").strip()
            if not line:
                break
            if not line.startswith("#") and ": " in line:
                key, _, value = line.partition(": ")
                facts[key.lower().replace(" ", "")] = value.strip()
        start, n = stream.tell(), int(facts["dimension"])
        shape = tuple(int(length) for length in facts["sizes"].split())[::-1]
        kind = re.sub(r"^unsigned|^signed|^u|_t$|int$|\s", "", facts["type"].lower())
        if len(shape) != n:
            raise ValueError(f"{len(shape)} sizes of {n} axes")
        if kind not in _NRRD_TYPES:
            raise FileError(f"{path} must hold integer labels. Received: {facts['type']}.")
        if _NRRD_TYPES[kind] > 1 and facts.get("endian") not in ("big", "little"):
            raise ValueError("no endian")
        order, sign = "<>"[facts.get("endian") == "big"], "iu"[facts["type"].lower().startswith("u")]
        dtype = np.dtype(f"{order}{sign}{_NRRD_TYPES[kind]}")
        edges = _nrrd_edges(path, facts, n)
        names = shlex.split(facts.get("labels", ""))[::-1] or [""] * n
        kinds = facts.get("kinds", "").split()[::-1]
        if not set("".join(names).lower()) & set("zyx") and len(kinds) == n:
            # Axes other than those of space are named by their kind; those of space are x, y, z.
            space = iter(AXES[-sum(word in ("domain", "space") for word in kinds) :])
            names = [next(space) if word in ("domain", "space") else word for word in kinds]
        elif not any(names) and n <= 3:
            names = list(AXES[-n:])
        detached = facts.get("datafile", facts.get("data file"))
        file = path if detached is None else plain_neighbour(path, detached)
        if int(facts.get("lineskip", 0)):
            raise ValueError("lines to skip before the voxels")
        skip = int(facts.get("byteskip", 0))
        skip = skip if skip < 0 else skip + (start if detached is None else 0)
    array = _voxels(path, _NRRD, file, skip, facts["encoding"].lower(), dtype, shape)
    return _upright(path, _NRRD, array, names, edges)


def _nrrd_edges(path, facts, n):
    """Return the edge of a voxel and its unit along each axis, the last axis first, as in arrays."""
    units = shlex.split(facts.get("units", ""))
    if "spacedirections" in facts:
        vectors = re.findall(r"none|\([^)]*\)", facts["spacedirections"])
        rows = [[float(part) for part in vector[1:-1].split(",")] for vector in vectors if vector != "none"]
        check_upright(path, np.ravel(rows), len(rows))
        lengths = iter([math.hypot(*row) for row in rows])
        edges = [math.nan if vector == "none" else next(lengths) for vector in vectors]
        of_space = iter(shlex.split(facts.get("spaceunits", "")))
        units = ["" if vector == "none" else next(of_space, "") for vector in vectors]
    else:
        edges = [float(part) for part in facts.get("spacings", "nan " * n).split()]
    units += [""] * (n - len(units))
    return list(zip(edges, units, strict=True))[::-1]


def open_raw(path, said=None):
    """Open voxels without a header, given their type and shape: an `Opened`.

    Args:
        path: Path of the file.
        said: Type and shape, "uint8,100x200x300"; ">u2,100x200x300,xyz" where the axes are not z, y, x.
    """
    match = re.fullmatch(r"(?P<type>[<>]?\w+),(?P<shape>\d+(x\d+){1,2})(,(?P<axes>[xyz]+))?", said or "")
    if match is None or len(match["axes"] or AXES) != len(match["axes"] and match["shape"].split("x") or AXES):
        raise FileError(
            f"{path} has no header: say type and shape (z, y, x), as in {path.name}:uint8,100x200x300, or with `shape` "
            f"and `dtype`. Received: {said or 'neither'}."
        )
    shape = tuple(int(length) for length in match["shape"].split("x"))
    with reading(path, _RAW):
        dtype = np.dtype(match["type"])
        dtype = dtype.newbyteorder("<") if match["type"][0] not in "<>" else dtype
        check_array(path, shape, dtype)
        wanted, stored = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if wanted != stored:
            raise FileError(
                f"{path} must hold the {wanted} bytes of {shape} voxels of {dtype}. Received: {stored} bytes. Is the "
                "shape right, and is there no header before the voxels?"
            )
    array = _voxels(path, _RAW, path, 0, "raw", dtype, shape)
    return _upright(path, _RAW, array, match["axes"] or AXES[-len(shape) :], [])


def raw_path(path, shape, dtype):
    """Return a path with shape and type of a raw file, "scan.raw:uint8,100x200x300"; unchanged without either."""
    if shape is None and dtype is None:
        return path
    try:
        if shape is None or dtype is None:
            raise TypeError
        lengths = "x".join(str(int(length)) for length in shape)
        return f"{path}:{np.dtype(dtype).str.strip('|=')},{lengths}"
    except TypeError as error:
        raise ValueError(
            f"{path} must be given with its shape (z, y, x) and its type, such as uint8 or >u2. Received: {shape!r}, "
            f"{dtype!r}."
        ) from error


def _voxels(path, kind, file, skip, packed, dtype, shape):
    """Return the voxels of a file that begin at a byte, or its last ones if that is negative: a LazyArray."""
    with reading(path, kind):
        stored = file.stat().st_size
        skip = stored - math.prod(shape) * dtype.itemsize if skip < 0 else skip
        if packed == "raw":
            check_declared(path, shape, dtype, stored - max(skip, 0), 1)
            mapped = np.memmap(file, dtype, "r", skip, shape)
            return LazyArray(shape, dtype, mapped.__getitem__, whole=lambda: np.array(mapped))
        unpack = {
            **dict.fromkeys(("zlib", "gzip", "gz"), inflated),
            **dict.fromkeys(("bzip2", "bz2"), lambda data, wanted: inflated(data, wanted, bz2.BZ2Decompressor())),
        }.get(packed)
        text = packed in ("ascii", "text", "txt")
        if unpack is None and not text:
            raise ValueError(f"the encoding {packed}")
        check_declared(path, shape, "u1" if text else dtype, stored - skip, 1 if text else PACKED)

    def load():
        data = np.memmap(file, np.uint8, "r", skip)
        if unpack is None:
            return np.array(bytes(data).split(), np.int64).astype(dtype).reshape(shape)
        return np.frombuffer(unpack(data, math.prod(shape) * dtype.itemsize), dtype).reshape(shape)

    return loaded(path, kind, shape, dtype, load)


def _upright(path, kind, array, names, edges):
    """Return an `Opened` of an array with named axes, and edges with or without units."""
    stated = {name: (float(edge), unit) for name, (edge, unit) in zip(names, edges, strict=False) if name}
    layout = judged(path, array.shape, array.dtype, names, stated)
    return opened(arranged(path, kind, array, layout, whole=lambda: np.asarray(array)), layout)
