"""Datasets of HDF5 files."""

import math

import numpy as np

from kerasgan3d.io._common import FileError, Opened, check_array, opened_axes, reading

_KIND = "an HDF5 file"
_SHOWN = 8


def open_hdf5(path, dataset=None):
    """Open a dataset of an HDF5 file: an `Opened`.

    Without a name, it is the only dataset of two or more axes. The spacing is the attribute `element_size_um` that
    Fiji and ilastik write.
    """
    import h5py

    with reading(path, _KIND):
        file = h5py.File(path, "r")
    try:
        with reading(path, _KIND):
            node = _named(path, file, dataset) if dataset is not None else _only(path, file)
            axes = list(range(len(node.shape)))
            while len(axes) > 3 and node.shape[axes[0]] == 1:
                axes.pop(0)
            check_array(f"{path}:{node.name}", tuple(node.shape[axis] for axis in axes), node.dtype)
            spacing = _spacing(node.attrs.get("element_size_um"), len(axes))
            # The file is open for as long as the array is there.
            return Opened(opened_axes(path, _KIND, node, axes), spacing)
    except BaseException:
        file.close()
        raise


def _named(path, file, dataset):
    import h5py

    node = file.get(dataset)
    if not isinstance(node, h5py.Dataset):
        raise FileError(
            f"{path} must hold the dataset {dataset}. Received: "
            f"{'a group of that name' if node is not None else 'none of that name'}; {_listing(_datasets(file))}."
        )
    return node


def _only(path, file):
    found = _datasets(file)
    if len(found) != 1:
        raise FileError(
            f"{path} must hold one dataset, or be named with one, as in {path.name}:/group/dataset. Received: "
            f"{_listing(found)}."
        )
    return file[found[0]]


def _datasets(file):
    """The names of all datasets of two or more axes."""
    import h5py

    names = []
    file.visititems(lambda name, node: names.append(f"/{name}") if isinstance(node, h5py.Dataset) else None)
    return [name for name in names if len(file[name].shape or ()) >= 2]


def _listing(names):
    if not names:
        return "no dataset of two or three axes"
    return f"the datasets {', '.join(names[:_SHOWN])}" + (" and others" if len(names) > _SHOWN else "")


def _spacing(edges, axes):
    edges = np.ravel([] if edges is None else edges)
    if edges.dtype.kind not in "iuf" or len(edges) != axes or not all(math.isfinite(e) and e > 0 for e in edges):
        return None
    y, x = (float(edge) for edge in edges[-2:])
    return (float(edges[0]) if axes == 3 else x, y, x)
