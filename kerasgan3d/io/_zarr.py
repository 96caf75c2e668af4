"""OME-Zarr images, and single Zarr arrays."""

import functools
import math
import os
import stat
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.files import check_room, remove, replacing, sync
from kerasgan3d.io._common import KEY, FileError, reading
from kerasgan3d.io._gridded import gridded, xarray_variables
from kerasgan3d.io._inflate import check_inflated, check_sizes
from kerasgan3d.io._layout import stored_bytes
from kerasgan3d.io._stated import arranged, judged, opened
from kerasgan3d.palette import phase_colors

CHUNK = 128
# No label has this value, so that a lost chunk is detected instead of becoming phase 0.
FILL = 255
_KIND = "a Zarr image"
_DENSEST = 2**15  # chunks of a single value are small, or not stored at all
_CODECS = {"bytes", "endian", "transpose", "sharding_indexed", "crc32c", "shuffle", "delta", "packbits"}
_COMPRESSORS = {"blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2"}
_LEAST = 512  # least bytes that a chunk occupies on a disk
# Zarr lists all chunks of a window: smaller chunks are allowed only in small numbers.
_SMALL, _MANY = 512, 2**18


def is_zarr(path):
    """Tell whether a folder holds Zarr metadata."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def write_zarr(path, labels, record):
    """Write labels as an OME-Zarr image, with its pyramid."""
    with replacing(path) as temporary:
        image = StreamedZarr(temporary, path, record, CHUNK)
        image.write((slice(None),) * 3, labels)
        image.finish()


class StreamedZarr:
    """An OME-Zarr image that is written piece by piece.

    Args:
        path: Path of the folder while it is written.
        place: Final path; its name is that of the image.
        record: kerasgan3d's note, with shape and voxel size.
        chunk: Voxels per side of a chunk.
        exists: Whether to continue an existing image.
    """

    def __init__(self, path, place, record, chunk, *, exists=False):
        import zarr

        self._path, self._chunk = path, chunk
        if exists:
            # Metadata, which may be incomplete, an unfinished pyramid, and unfinished chunks.
            for node in (*path.iterdir(), *(path / "0").glob("*"), *(path / "0").rglob("*.partial")):
                if node not in (path / "0", path / "0" / "c"):
                    remove(node)
        else:
            check_room(path.parent, _LEAST * math.prod(-(-n // chunk) for n in record["shape"]))
        multiscales, shown = [_multiscales(place.stem, record, 1)], _image_label(record)
        attributes = {"ome": {"version": "0.5", "multiscales": multiscales, "image-label": shown}, KEY: record}
        group = zarr.create_group(str(path), zarr_format=3, attributes=attributes)
        self._array = _create_array(group, "0", record["shape"], chunk)

    def write(self, window, labels):
        """Write the labels of a window; return when they are on the disk."""
        self._array[window] = labels
        ranges = (range(*part.indices(n)) for part, n in zip(window, self._array.shape, strict=True))
        chunks = [self._file(start) for start in product(*(part[:: self._chunk] for part in ranges))]
        for path in dict.fromkeys((*chunks, *(folder for chunk in chunks for folder in list(chunk.parents)[:3]))):
            sync(path)

    def read(self, window):
        """Return the labels of a window."""
        return self._array[window]

    def forget(self, start):
        """Remove the chunk that begins at a voxel."""
        remove(self._file(start))

    def _file(self, start):
        """Return the file of the chunk that begins at a voxel."""
        return self._path.joinpath("0", "c", *(str(a // self._chunk) for a in start))

    def finish(self):
        """Add the parts that need all voxels, and flush everything to the disk."""
        add_pyramid(self._path, self._chunk)
        for folder, _, names in os.walk(self._path):
            for path in (*(os.path.join(folder, name) for name in names), folder):
                sync(Path(path))


def add_pyramid(path, chunk):
    """Add coarser levels to an OME-Zarr image of labels: every second voxel of the previous one, down to one chunk.

    Voxels are picked, not averaged: labels have no mean, and a vote would remove thin phases, whereas picking preserves
    volume fractions. Viewers show these levels of a huge volume from afar.
    """
    group = _opened(path, "r+")
    finer, level = group["0"], 0
    while max(finer.shape) > chunk:
        level += 1
        if str(level) in group:
            del group[str(level)]  # of a run that was interrupted at this point
        array = _create_array(group, str(level), [-(-n // 2) for n in finer.shape], chunk)
        for start in product(*(range(0, n, chunk) for n in array.shape)):
            window = tuple(slice(a, min(a + chunk, n)) for a, n in zip(start, array.shape, strict=True))
            source = tuple(slice(2 * a, min(2 * (a + chunk), n)) for a, n in zip(start, finer.shape, strict=True))
            array[window] = np.asarray(finer[source])[::2, ::2, ::2]
        finer = array
    ome = group.attrs["ome"]
    record = group.attrs[KEY]
    group.attrs["ome"] = {**ome, "multiscales": [_multiscales(ome["multiscales"][0]["name"], record, level + 1)]}


def _opened(path, mode) -> Any:
    """Open a group or an array, whose type Zarr knows only at run time."""
    import zarr

    return zarr.open(str(path), mode=mode)


def _create_array(group, name, shape, chunk):
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype=np.uint8,
        chunks=tuple(min(chunk, length) for length in shape),
        dimension_names=("z", "y", "x"),
        fill_value=FILL,
    )


def _image_label(record):
    """Return the metadata of labels in OME-Zarr 0.5: their colours and names for viewers."""
    colours = phase_colors(record["phases"]).tolist()
    return {
        "version": "0.5",
        "colors": [{"label-value": label, "rgba": [*colour, 255]} for label, colour in enumerate(colours)],
        "properties": [{"label-value": label, "name": name} for label, name in enumerate(record["phases"])],
    }


def _multiscales(name, record, levels):
    """Return the metadata of a pyramid, OME-Zarr 0.5. Voxel 0 of each level lies at voxel 0 of the finest."""
    size = record["voxel_size"]
    unit = {} if size is None else {"unit": "micrometer"}
    edge = 1.0 if size is None else size
    datasets = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [edge * 2**level] * 3}]}
        for level in range(levels)
    ]
    axes = [{"name": axis, "type": "space", **unit} for axis in "zyx"]
    return {"name": name, "axes": axes, "datasets": datasets}


def open_zarr(path):
    """Open a Zarr image: an `Opened`."""
    if not is_zarr(path):
        raise FileError(f"{path} must be a Zarr folder. Received: a folder without Zarr metadata.")
    with reading(path, _KIND):
        import zarr

        store = _own_store()(path, read_only=True)
        node: Any = zarr.open(store, mode="r")
        record, names, edges = None, (), {}
        if not hasattr(node, "shape"):  # a group
            attributes = node.attrs.asdict()
            record = attributes.get(KEY)
            multiscales = attributes.get("ome", attributes).get("multiscales")
            if not multiscales and (variables := xarray_variables(node)):
                return gridded(path, _KIND, variables)
            if not multiscales:
                raise FileError(
                    f"{path} must be an OME-Zarr image (with multiscales) or one array. Received: a group of "
                    f"{', '.join(sorted(node.keys())) or 'nothing'}. Give the path of one array in it."
                )
            finest = list(dict.fromkeys(str(image["datasets"][0]["path"]) for image in multiscales))
            if len(finest) > 1:
                raise FileError(
                    f"{path} must hold one image. Received: {', '.join(finest[:5])}. Give the path of one array in it."
                )
            node = node[finest[0]]
            names, edges = _multiscale(path, multiscales[0], node.ndim)
        else:
            names = getattr(node.metadata, "dimension_names", None) or node.attrs.get("_ARRAY_DIMENSIONS") or ()
        store.codec, index = _encoding(path, node)
        piece = math.prod(node.shards or node.chunks) * np.dtype(node.dtype).itemsize
        claimed = node.size * np.dtype(node.dtype).itemsize
        stored = stored_bytes(path, [max(piece, claimed)], "u1", _DENSEST)
        layout = judged(path, node.shape, node.dtype, names, edges, stored=stored, densest=_DENSEST)
        inner = math.prod(node.chunks) * np.dtype(node.dtype).itemsize
        if piece > max(2**27, claimed) or (inner < _SMALL and max(piece, claimed) > _MANY * inner):
            raise FileError(f"{path} must hold chunks that fit its image. Received: chunks of {inner} bytes.")
        _check_written(path, node)
        store.largest, store.raw = 2 * piece + 2**16, inner
        if node.shards is not None:
            store.index = (piece // inner, *index)
    missing = FILL if isinstance(record, dict) else None
    return opened(arranged(path, _KIND, node, layout), layout, record, missing=missing)


@functools.cache
def _own_store():
    """Return a store that reads only regular files of its own folder that have plausible sizes."""
    from zarr.storage import LocalStore

    class OwnStore(LocalStore):
        largest = 2**26  # bytes: of metadata, until it is known how large a chunk is
        codec, raw = "", 0  # of a chunk
        index: Any = None  # of a shard: how many chunks it tells of, whether it comes first, and bytes behind it

        def __init__(self, *args, **given):
            super().__init__(*args, **given)
            self._checked_shards = set()

        def _check(self, key):
            try:
                path, found = os.path.join(os.path.realpath(self.root), key), os.lstat(self.root / key)
            except OSError:
                return  # a chunk that was not written
            if os.path.realpath(path) != path or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise FileError(f"{self.root} must hold its data itself. Received: {key}, a link or no regular file.")
            if found.st_size > self.largest:
                raise FileError(
                    f"{self.root} must hold what it claims. Received: {key} of {found.st_size} bytes, where at most "
                    f"{self.largest} could belong."
                )

        def _checked(self, key, found):
            if found is None or not self.raw:
                return found
            if self.index is None:
                check_inflated(self.root, memoryview(found.as_numpy_array()), self.codec, self.raw)
            elif key not in self._checked_shards:
                self._check_shard(np.memmap(self.root / key, np.uint8, "r"))
                self._checked_shards.add(key)
            return found

        def _check_shard(self, shard):
            """Refuse chunks that lie outside their shard or inflate to more, before one is read."""
            n, first, tail = self.index
            start = 0 if first else len(shard) - tail - 16 * n
            if len(shard) < 16 * n + tail:
                raise FileError(f"{self.root} must be complete. Received: a shard of {len(shard)} bytes.")
            pieces = np.frombuffer(shard[start : start + 16 * n].tobytes(), "<u8")
            pieces = pieces.reshape(n, 2)[pieces[::2] != 2**64 - 1].tolist()
            if any(offset + size > len(shard) for offset, size in pieces):
                raise FileError(f"{self.root} must hold what it claims. Received: a chunk that ends after its shard.")
            check_sizes(self.root, [size for _, size in pieces], self.raw)
            for offset, size in pieces:
                check_inflated(self.root, memoryview(shard)[offset : offset + size], self.codec, self.raw)

        async def get(self, key, prototype=None, byte_range=None):
            self._check(key)
            return self._checked(key, await super().get(key, prototype, byte_range))

        def get_sync(self, key, *, prototype=None, byte_range=None):
            self._check(key)
            return self._checked(key, super().get_sync(key, prototype=prototype, byte_range=byte_range))

    return OwnStore


def _encoding(path, node):
    """Return the compressor of chunks, or "", and the position of a shard's index: first, and bytes behind it.

    Unlisted codecs are refused by name, since codecs may run code, as are data that are compressed or sharded twice.
    """
    compressors, sharding = [], []
    metadata = node.metadata.to_dict()
    codecs = [*(metadata.get("codecs") or ()), metadata.get("compressor"), *(metadata.get("filters") or ())]
    while codecs:
        codec = codecs.pop()
        if codec is None:
            continue
        codec = codec.to_dict() if hasattr(codec, "to_dict") else codec.get_config() if hasattr(codec, "id") else codec
        name = str(codec.get("name", codec.get("id"))).removeprefix("numcodecs.")
        compressors += [name] if name in _COMPRESSORS else []
        if name not in _CODECS | _COMPRESSORS:
            known = ", ".join(sorted(_CODECS | _COMPRESSORS))
            raise FileError(f"{path} must be encoded by {known}. Received: the codec {name[:80]}.")
        configuration = codec.get("configuration") or {}
        codecs += [*configuration.get("codecs", ()), *configuration.get("index_codecs", ())]
        sharding += [configuration] if name == "sharding_indexed" else []
    if len(compressors) > 1:
        raise FileError(f"{path} must be compressed once. Received: {', '.join(compressors)}.")
    if len(sharding) != (node.shards is not None):
        raise FileError(f"{path} must have shards that nothing else encodes. Received: {len(sharding)} such codecs.")
    index = [dict(codec) for each in sharding for codec in each.get("index_codecs", ())]
    names = [str(codec.get("name")) for codec in index]
    big = any((codec.get("configuration") or {}).get("endian") == "big" for codec in index)
    if names not in ([], ["bytes"], ["bytes", "crc32c"]) or big:
        raise FileError(f"{path} must have shards with a plain index. Received: one of the codecs {', '.join(names)}.")
    first = any(each.get("index_location") == "start" for each in sharding)
    return "".join(compressors), (first, 4 * (names[1:] == ["crc32c"]))


def _check_written(path, node):
    """Refuse an array without chunks, or with missing ones and no fill value for them."""
    found = (name for _, folders, files in os.walk(path / node.path) for name in (*folders, *files))
    if all(name in (".zarray", ".zattrs", "zarr.json") for name in found):
        raise FileError(f"{path} must be complete. Received: a volume with missing chunks, all of them.")
    if node.metadata.fill_value is None and node.nchunks_initialized < node.nchunks:
        raise FileError(
            f"{path} must be complete. Received: {node.nchunks_initialized} of {node.nchunks} chunks, and nothing that "
            "stands for the others."
        )


def _multiscale(path, multiscale, dimensions):
    """Return the names of the axes of an OME-Zarr image, and the edges of a voxel of its finest array."""
    axes = multiscale.get("axes") or ("tczyx" if dimensions == 5 else "tczyx"[-dimensions:] if dimensions == 3 else ())
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    if axes and len(axes) != dimensions:
        raise ValueError(f"{len(axes)} axes for an array of {dimensions}")
    finest = multiscale["datasets"][0]
    transformations = [
        *finest.get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    others = {str(part.get("type")) for part in transformations} - {"scale", "translation", "identity"}
    if others:
        raise FileError(
            f"{path} must lie as it is stored. Received: the transformation {', '.join(sorted(others))}. Resample it."
        )
    scales = [np.asarray(part["scale"], float) for part in transformations if part.get("type") == "scale"]
    names = [str(axis["name"]) for axis in axes]
    if not scales:
        return names, {}
    scale = np.prod(np.stack(scales), axis=0)
    if (scale < 0).any():
        raise FileError(f"{path} must lie as it is stored. Received: a mirroring scale, {scale.tolist()}.")
    parts = zip(names, axes, scale, strict=True)
    return names, {name.lower(): (float(step), axis.get("unit")) for name, axis, step in parts}
