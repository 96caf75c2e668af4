"""Reading of training images: from paths to labelled data, excluded regions and identifying facts."""

import glob
import hashlib
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasgan3d import io
from kerasgan3d.checks import check_voxel_size
from kerasgan3d.data import LabelledData, box_window, excluding
from kerasgan3d.io._slices import slices_among
from kerasgan3d.io.lazy import LazyArray, lazy
from kerasgan3d.io.resampling import resampled, resampled_range


class Images(NamedTuple):
    """Images that were read, or that stay in their files.

    Attributes:
        data: The LabelledData: images, symmetry, and the regions that training may not use.
        phases: Names of the phases.
        voxel_size: Edge of a voxel in µm, or None.
        name: Name of the file, or the number of images.
        facts: dict of facts that identify the data, for JSON.
        held_out: The window that is held out, a tuple of slices; or None.
        beside: Mask of the voxels of one image that are excluded besides that window: bool, of its shape; or None.
    """

    data: LabelledData
    phases: tuple
    voxel_size: float | None
    name: str
    facts: dict
    held_out: tuple | None
    beside: np.ndarray | LazyArray | None


def read_images(
    data, symmetry, *, phases, mapping, voxel_size, exclude, mask, hold_out, resample_to, in_memory, **reading
):
    """Read the labelled images of one material; arguments and errors as for ``Material``.

    Returns:
        Images.
    """
    resample_to = _checked_resampling(resample_to)
    paths, normals = _paths(data)
    reading |= {"in_memory": in_memory, "cubic": resample_to is None}
    opened = io.open_labels(paths, phases, mapping, voxel_size, **reading)
    names, images = opened.phase_map.names, list(opened.images)
    name = io.source_name(paths[0]) if len(paths) == 1 else f"{len(paths)} images"
    if len(names) < 2:
        raise ValueError(f"training needs at least two phases. Received: {len(names)} in {name}.")
    if (len(images) > 1 or normals is not None) and (exclude or mask is not None or hold_out is not None):
        raise ValueError(
            "`exclude`, `mask` and `hold_out` are of one image. Received: several. Crop the images, or leave one "
            "out of the list."
        )
    facts = _facts(paths, opened, normals)
    beside = _excluded(images[0], exclude, mask, facts)
    held_out = None if hold_out is None else box_window(_pairs(hold_out), images[0].shape)
    if held_out is not None:
        facts["held_out"] = [[part.start, part.stop] for part in held_out]
    size = _common_voxel_size(paths, opened.spacings, resample_to)
    if resample_to is not None:
        facts["resampled_to"] = resample_to
        edges = [(spacing or ())[-image.ndim :] for image, spacing in zip(images, opened.spacings, strict=True)]
        if held_out is not None:
            parts = zip(held_out, images[0].shape, edges[0], strict=True)
            ranges = (resampled_range(part.start, part.stop, n, edge, resample_to) for part, n, edge in parts)
            held_out = tuple(slice(*found) for found in ranges)
        beside = None if beside is None else resampled(beside, edges[0], resample_to)
        images = [resampled(image, part, resample_to) for image, part in zip(images, edges, strict=True)]
    excluded = beside if held_out is None else excluding(images[0].shape, [held_out], beside)
    if excluded is not None and isinstance(images[0], np.ndarray):
        excluded = np.asarray(excluded)
    if normals is not None:
        planes = [(plane, normal) for image, normal in zip(images, normals, strict=True) for plane in _planes(image)]
        images, normals = zip(*planes, strict=True)
    labelled = LabelledData(tuple(images), symmetry, normals, (excluded,) * len(images), len(names))
    return Images(labelled, names, size, name, facts, held_out, beside)


def _paths(data):
    """Return all paths, and for each the axis that its slices are normal to, or None where it is not given."""
    if isinstance(data, str | os.PathLike):
        return [data], None
    if isinstance(data, dict):
        unknown = [key for key in data if key not in ("z", "y", "x")]
        if unknown or not data:
            raise ValueError(f"`data` by direction must have the keys 'z', 'y' or 'x'. Received: {list(data)!r}.")
        expanded = [(path, "zyx".index(key)) for key in data for path in _expanded(data[key])]
        return [path for path, _ in expanded], [normal for _, normal in expanded]
    try:
        paths = list(data)
    except TypeError:
        paths = []
    if not paths or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ValueError(
            f"`data` must be a path, a list of paths, or a dict from 'z', 'y', 'x' to paths. Received: {data!r}."
        )
    return paths, None


def _expanded(source):
    """Return the files of a path, a folder or pattern of slices, or a list of these."""
    if not isinstance(source, str | os.PathLike):
        return [path for part in source for path in _expanded(part)]
    path = Path(source)
    names = []
    if path.is_dir() and path.suffix.lower() != ".zarr":
        names = slices_among(path.iterdir())
    elif not path.exists() and glob.has_magic(os.fspath(source)):
        names = glob.glob(os.fspath(source))
    else:
        return [source]
    if not names:
        raise ValueError(f"there must be slices to learn from. Received: {source}, where there are none.")
    return sorted(names, key=str)


def _pairs(box):
    """Return a box as JSON-serialisable lists."""
    return [None if pair is None else [int(end) for end in pair] for pair in box]


def _excluded(image, exclude, mask, facts):
    """Return the exclusion mask of an image, a LazyArray or None, and record it in the facts."""
    boxes = [_pairs(box) for box in exclude or ()]
    if boxes:
        facts["excluded"] = boxes
    windows = [box_window(box, image.shape) for box in boxes]
    if mask is None:
        return excluding(image.shape, windows) if windows else None
    used = lazy(io.open_image(mask))
    if used.shape not in (image.shape, image.shape[1:]):
        raise ValueError(
            f"`mask` must have the shape of the data, {' x '.join(map(str, image.shape))}. Received: "
            f"{' x '.join(map(str, used.shape))} in {mask}."
        )
    facts["mask"] = {"file": io.source_name(mask), "sha256": _digest(used)}
    unused = used.map(lambda block: block == 0, bool)
    if used.ndim < image.ndim:  # one slice for all z
        flat = unused
        unused = LazyArray(image.shape, bool, lambda w: np.broadcast_to(flat[w[1:]], [p.stop - p.start for p in w]))
    return excluding(image.shape, windows, unused)


def _digest(image):
    """Return the sha256 of an image's values in order."""
    digest = hashlib.sha256()
    for window in io.windows(image):
        digest.update(np.ascontiguousarray(image[window]).data)
    return digest.hexdigest()


def _planes(image):
    """Return the slices of a stack, or a single slice as a list."""
    if image.ndim == 2:
        return [image]
    return [image[k] if isinstance(image, np.ndarray) else image.plane(k) for k in range(image.shape[0])]


def _facts(paths, opened, normals):
    images = opened.images
    parts = [
        {"file": io.source_name(path), "shape": list(image.shape), "sha256": _digest(image)}
        | ({"filled_planes": list(filled)} if filled else {})
        for path, image, filled in zip(paths, images, opened.filled, strict=True)
    ]
    if normals is not None:
        parts = [{**part, "normal": "zyx"[normal]} for part, normal in zip(parts, normals, strict=True)]
    elif len(parts) == 1:
        return parts[0]
    return {"file": f"{len(parts)} images", "shape": [sum(image.size for image in images)], "images": parts}


def _common_voxel_size(paths, spacings, resample_to):
    if resample_to is not None:
        unknown = [path for path, spacing in zip(paths, spacings, strict=True) if spacing is None]
        if unknown:
            raise ValueError(
                f"`resample_to` needs the voxel size of the data. Received: none in {unknown[0]}. Pass `voxel_size`."
            )
        return resample_to
    sizes = [None if spacing is None else spacing[-1] for spacing in spacings]
    for path, size in zip(paths, sizes, strict=True):
        if not math.isclose(size or 0.0, sizes[0] or 0.0, rel_tol=1e-3):
            raise ValueError(
                f"images must have one voxel size. Received: {_stated(sizes[0])} in {paths[0]} and {_stated(size)} in "
                f"{path}. Pass `resample_to`, or `voxel_size` if the files state a wrong one."
            )
    return sizes[0]


def _stated(size):
    return "none" if size is None else f"{size:g} µm"


def _checked_resampling(size):
    try:
        return check_voxel_size(size)
    except ValueError:
        raise ValueError(f"`resample_to` must be a positive number, in µm. Received: {size!r}.") from None
