"""Datasets of HDF5 files."""

import json
import math
from itertools import product
from typing import Any

import numpy as np

from kerasgan3d.io._common import FileError, reading
from kerasgan3d.io._inflate import SMALL, check_inflated, check_sizes
from kerasgan3d.io._stated import arranged, judged, on_disk, opened

_KIND = "an HDF5 file"
_SHOWN = 8
# Most objects of a file without a named dataset, and most bytes of an attribute.
_MAX_OBJECTS, _MAX_ATTRIBUTE = 10_000, 2**16


def open_hdf5(path, dataset=None):
    """Open a dataset of an HDF5 file: an `Opened`.

    Without a name, the only dataset with two or more axes is opened. The spacing is the attribute `element_size_um`,
    which Fiji and ilastik write; axes are named by `axistags`, dimension labels, or scales.
    """
    import h5py

    with reading(path, _KIND):
        file = h5py.File(path, "r")
    try:
        with reading(path, _KIND):
            node: Any = _named(path, file, dataset) if dataset is not None else _only(path, file)
            name = f"{path}:{node.name}"
            _check_own(name, node)
            axes, edges = _axes(node)
            layout = judged(
                name,
                node.shape,
                node.dtype,
                axes,
                edges,
                stored=min(node.id.get_storage_size(), on_disk(path) or 2**63),
            )
            _check_written(name, node)
            # The file stays open as long as the array exists.
            return opened(
                arranged(path, _KIND, _Deflated(name, node) if node.compression == "gzip" else node, layout), layout
            )
    except BaseException:
        file.close()
        raise


def _named(path, file, dataset):
    import h5py

    node = _followed(path, file, dataset)
    if not isinstance(node, h5py.Dataset):
        raise FileError(
            f"{path} must hold the dataset {dataset}. Received: "
            f"{'a group of that name' if node is not None else 'none of that name'}; {_listing(_datasets(path, file))}."
        )
    return node


def _followed(path, file, name, depth=0):
    """Return the object of a name, following only links within the file, or None."""
    import h5py

    node: Any = file
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for k, part in enumerate(parts):
        link: Any = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise FileError(
                f"{path} must hold its data itself. Received: a link to another file, {'/'.join(parts[: k + 1])}. Give "
                "that file."
            )
        if isinstance(link, h5py.SoftLink) and depth < _SHOWN:
            target = link.path if link.path.startswith("/") else f"{node.name}/{link.path}"
            return _followed(path, file, "/".join([target, *parts[k + 1 :]]), depth + 1)
        if not isinstance(link, h5py.HardLink):
            return None
        node = node[part]
    return node


def _only(path, file):
    found = _datasets(path, file)
    if len(found) != 1:
        raise FileError(
            f"{path} must hold one dataset, or be named with one, as in {path.name}:/group/dataset. Received: "
            f"{_listing(found)}."
        )
    return file[found[0]]


def _datasets(path, file):
    """List the names of all datasets with two or more axes."""
    import h5py

    names, seen = [], []

    def visit(name, node):
        seen.append(name)
        if len(seen) > _MAX_OBJECTS:
            raise FileError(f"{path} must be named with its dataset. Received: more than {_MAX_OBJECTS} of them.")
        if isinstance(node, h5py.Dataset) and len(node.shape or ()) >= 2:
            names.append(f"/{name}")

    file.visititems(visit)
    return names


def _listing(names):
    if not names:
        return "no dataset of two or three axes"
    return f"the datasets {', '.join(names[:_SHOWN])}" + (" and others" if len(names) > _SHOWN else "")


def _check_own(name, node):
    """Refuse a dataset whose data lie in other files, which may be any file of the machine."""
    import h5py

    settings = node.id.get_create_plist()
    if settings.get_layout() == h5py.h5d.VIRTUAL:
        raise FileError(f"{name} must hold its data itself. Received: a virtual dataset, put together of other files.")
    if settings.get_external_count():
        raise FileError(f"{name} must hold its data itself. Received: a dataset that lies in another file.")


def _check_written(name, node):
    """Refuse a dataset with parts that were never written, which HDF5 reads as zeros."""
    if node.chunks:
        wanted = math.prod(-(-n // chunk) for n, chunk in zip(node.shape, node.chunks, strict=True))
        written = node.id.get_num_chunks()
        if written < wanted:
            raise FileError(
                f"{name} must be complete. Received: {written} of {wanted} chunks; others were never written."
            )
    elif node.id.get_storage_size() == 0:
        raise FileError(f"{name} must be complete. Received: a dataset that was never written.")


class _Deflated:
    """A zlib-compressed dataset whose chunks are checked before HDF5 allocates memory for their content."""

    def __init__(self, name, node):
        self.shape, self.dtype, self.chunks, self._name, self._node = node.shape, node.dtype, node.chunks, name, node

    def __getitem__(self, window):
        places = [range(part.start // n * n, part.stop, n) for part, n in zip(window, self.chunks, strict=True)]
        raw = math.prod(self.chunks) * self.dtype.itemsize
        for start in product(*places):
            size = self._node.id.get_chunk_info_by_coord(start).size
            check_sizes(self._name, [size], raw)
            if size > SMALL:
                check_inflated(self._name, self._node.id.read_direct_chunk(start)[1], "zlib", raw)
        return self._node[window]


def _axes(node):
    """Return the names of a dataset's axes, and the edges of a voxel."""
    tags = _attribute(node, "axistags")
    try:
        tags = json.loads(tags)["axes"] if isinstance(tags, str | bytes) else []
        names = [str(tag["key"]) for tag in tags]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{node.name} must name its axes. Received: axistags that are not understood.") from error
    edges = {key: (tag.get("resolution") or None, tag.get("description")) for key, tag in zip(names, tags, strict=True)}
    if not names:
        names = [axis.label or next(iter(axis.keys()), "") for axis in node.dims]
    sizes = np.ravel([] if (sizes := _attribute(node, "element_size_um")) is None else sizes)
    if sizes.dtype.kind in "iuf" and len(sizes) in (2, 3):
        edges = {axis: (float(size), "µm") for axis, size in zip("zyx"[-len(sizes) :], sizes, strict=True)}
    return names, edges


def _attribute(node, name):
    import h5py

    if name not in node.attrs or h5py.h5a.open(node.id, name.encode()).get_storage_size() > _MAX_ATTRIBUTE:
        return None
    return node.attrs[name]
