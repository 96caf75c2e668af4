"""OME-Zarr images, and single Zarr arrays."""

import math
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.files import check_room, remove, replacing, sync
from kerasgan3d.io._common import KEY, UNITS, FileError, Opened, check_array, opened_axes, reading

CHUNK = 128
# No label has this value, so that a chunk that got lost shows up instead of turning into phase 0.
FILL = 255
_KIND = "a Zarr image"
_LEAST = 512  # bytes that a chunk takes on a disk at least, however well it is compressed


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
        path: Path of the folder, where it is written.
        place: Path where it will be; its name is that of the image.
        record: kerasgan3d's note, which tells shape and voxel size.
        chunk: Voxels per side of a chunk.
        exists: Whether to go on with what is there.
    """

    def __init__(self, path, place, record, chunk, *, exists=False):
        import zarr

        self._path, self._chunk = path, chunk
        if exists:
            # Metadata, which are not known to be whole, a pyramid that was begun, and chunks that were being written.
            for node in (*path.iterdir(), *(path / "0").glob("*"), *(path / "0").rglob("*.partial")):
                if node not in (path / "0", path / "0" / "c"):
                    remove(node)
        else:
            check_room(path.parent, _LEAST * math.prod(-(-n // chunk) for n in record["shape"]))
        attributes = {"ome": {"version": "0.5", "multiscales": [_multiscales(place.stem, record, 1)]}, KEY: record}
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
        """The labels of a window."""
        return self._array[window]

    def forget(self, start):
        """Take away the chunk that begins at a voxel."""
        remove(self._file(start))

    def _file(self, start):
        """The file of the chunk that begins at a voxel."""
        return self._path.joinpath("0", "c", *(str(a // self._chunk) for a in start))

    def finish(self):
        """Add what can only be made when all is written, and have it reach the disk."""
        add_pyramid(self._path, self._chunk)
        for folder, _, names in os.walk(self._path):
            for path in (*(os.path.join(folder, name) for name in names), folder):
                sync(Path(path))


def add_pyramid(path, chunk):
    """Add the coarser resolutions to an OME-Zarr image of labels: every second voxel of the one before, to one chunk.

    Voxels are picked, not averaged: labels have no mean, and a vote would take thin phases away; picked ones keep their
    shares. What viewers show of a huge volume from afar is this.
    """
    group = _opened(path, "r+")
    finer, level = group["0"], 0
    while max(finer.shape) > chunk:
        level += 1
        if str(level) in group:
            del group[str(level)]  # of a run that was interrupted here
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
    """Return a group or an array, whose types Zarr tells apart only at run time."""
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


def _multiscales(name, record, levels):
    """The metadata of a pyramid, OME-Zarr 0.5. Voxel 0 of each level lies where voxel 0 of the finest does."""
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
        node = _opened(path, "r")
        spacing = record = None
        names = ("z", "y", "x")
        if not hasattr(node, "shape"):  # a group
            attributes = node.attrs.asdict()
            record = attributes.get(KEY)
            multiscales = attributes.get("ome", attributes).get("multiscales")
            if not multiscales:
                raise FileError(
                    f"{path} must be an OME-Zarr image (with multiscales) or one array. Received: a group of "
                    f"{', '.join(sorted(node.keys())) or 'nothing'}. Give the path of one array in it."
                )
            names, spacing, dataset = _multiscale(multiscales[0])
            node = node[dataset]
        axes = list(range(node.ndim))
        if node.ndim == len(names):
            strange = [(n, length) for n, length in zip(names, node.shape, strict=True) if n not in "zyx"]
            if any(length > 1 for _, length in strange):
                name, length = next(part for part in strange if part[1] > 1)
                raise FileError(f"{path} must have the axes z, y, x. Received: {name} of {length} too.")
            axes = [axis for axis in axes if names[axis] in "zyx"]
        check_array(path, tuple(node.shape[axis] for axis in axes), np.dtype(node.dtype))
    missing = FILL if isinstance(record, dict) else None
    return Opened(opened_axes(path, _KIND, node, axes), spacing, record, missing)


def _multiscale(multiscale):
    """Return the axis names, the spacing in µm or None, and the path of the finest array of an OME-Zarr image."""
    axes = multiscale.get("axes", ["z", "y", "x"])
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    names = tuple(axis["name"].lower() for axis in axes)
    if names[-2:] != ("y", "x"):
        raise ValueError(f"axes {', '.join(names)} instead of z, y, x")
    finest = multiscale["datasets"][0]
    scale = np.ones(len(names))
    for transformation in (
        *finest.get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ):
        if transformation.get("type") == "scale":
            scale = scale * np.asarray(transformation["scale"], float)
    edges = {
        axis["name"].lower(): float(step) * UNITS[axis["unit"].lower()]
        for axis, step in zip(axes, scale, strict=True)
        if str(axis.get("unit", "")).lower() in UNITS and math.isfinite(step) and step > 0
    }
    known = "y" in edges and "x" in edges
    return names, (edges.get("z", edges["x"]), edges["y"], edges["x"]) if known else None, finest["path"]
