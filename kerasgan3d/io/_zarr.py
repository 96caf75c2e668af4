"""OME-Zarr images, and single Zarr arrays."""

import math

import numpy as np

from kerasgan3d.files import replacing
from kerasgan3d.io._common import KEY, UNITS, FileError, Squeezed, check_array, reading

CHUNK = 128
# No label has this value, so that a chunk that got lost shows up instead of turning into phase 0.
FILL = 255


def is_zarr(path):
    """Tell whether a folder holds Zarr metadata."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def write_zarr(path, labels, record):
    """Write labels as an OME-Zarr image of one resolution."""
    import zarr

    size = record["voxel_size"]
    unit = {} if size is None else {"unit": "micrometer"}
    multiscale = {
        "name": path.stem,
        "axes": [{"name": axis, "type": "space", **unit} for axis in "zyx"],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": [1.0 if size is None else size] * 3}],
            }
        ],
    }
    attributes = {"ome": {"version": "0.5", "multiscales": [multiscale]}, KEY: record}
    with replacing(path) as temporary:
        group = zarr.create_group(str(temporary), zarr_format=3, attributes=attributes)
        array = group.create_array(
            "0",
            shape=labels.shape,
            dtype=labels.dtype,
            chunks=tuple(min(CHUNK, length) for length in labels.shape),
            dimension_names=("z", "y", "x"),
            fill_value=FILL,
        )
        array[...] = labels


def open_zarr(path, *, lazily=False):
    """Read a Zarr image, or with `lazily` open it: array, spacing (z, y, x) in µm or None, and kerasgan3d's note."""
    import zarr

    if not is_zarr(path):
        raise FileError(f"{path} must be a Zarr folder. Received: a folder without Zarr metadata.")
    with reading(path, "a Zarr image"):
        node = zarr.open(str(path), mode="r")
        spacing = record = None
        names = ("z", "y", "x")
        if isinstance(node, zarr.Group):
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
        if node.ndim == len(names):
            strange = [
                (n, length) for n, length in zip(names, node.shape, strict=True) if n not in "zyx" and length > 1
            ]
            if strange:
                raise FileError(f"{path} must have the axes z, y, x. Received: {strange[0][0]} of {strange[0][1]} too.")
            shape = tuple(length for n, length in zip(names, node.shape, strict=True) if n in "zyx")
        else:
            shape = node.shape
        check_array(path, shape, np.dtype(node.dtype))
        if lazily:
            return Squeezed(node, len(shape)), spacing, record
        array = np.asarray(node[...]).reshape(shape)
    check_chunks(path, record, bool((array == FILL).any()))
    return array, spacing, record


def check_chunks(path, record, missing):
    """Refuse a volume of kerasgan3d's in which the fill value was met: a chunk of it is not there any more."""
    if isinstance(record, dict) and missing:
        raise FileError(f"{path} must be complete. Received: a volume with missing chunks. Copy or write it again.")


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
