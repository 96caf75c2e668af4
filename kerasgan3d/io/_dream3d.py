"""DREAM.3D files: cell arrays (z, y, x, 1) in HDF5, with the geometry of their image."""

import numpy as np

from kerasgan3d.io._common import reading
from kerasgan3d.io._layout import chosen, datasets, stored_bytes
from kerasgan3d.io._stated import arranged, judged, opened

_KIND = "a DREAM.3D file"


def open_dream3d(path, name=None):
    """Open a cell array of a DREAM.3D file, the named one or the only one of integers: an `Opened`."""
    import h5py

    with reading(path, _KIND):
        file = h5py.File(path, "r")
    try:
        with reading(path, _KIND):
            cells = {
                f"/{place}/{key}": (node, edges, unit)
                for place, shape, edges, unit in _geometries(file)
                for key, node in datasets(path, file[place]).items()
                if node.shape == (*shape, 1)
            }
            integers = [key for key, (node, *_) in cells.items() if node.dtype.kind in "iub"]
            key = chosen(path, integers if name is None else list(cells), name, "cell array")
            node, edges, unit = cells[key]
            stated = {axis: (edge, unit) for axis, edge in zip("zyx", edges, strict=True)}
            stored = stored_bytes(path, node.shape, node.dtype)
            layout = judged(f"{path}:{key}", node.shape, node.dtype, ("z", "y", "x", "c"), stated, stored=stored)
            return opened(arranged(path, _KIND, node, layout), layout)
    except BaseException:
        file.close()
        raise


def _geometries(file):
    """Yield the images of a file: the group that holds one, its shape, its edges along z, y, x, and their unit."""
    for where in ("DataContainers", "DataStructure"):
        for name, group in file.get(where, {}).items():
            grid = group.get("_SIMPL_GEOMETRY")
            facts = dict(group.attrs) if grid is None else {f"_{key}": node[()] for key, node in grid.items()}
            if {"_DIMENSIONS", "_SPACING"} <= facts.keys():
                unit = next((facts[key] for key in facts if "unit" in key.lower()), "")
                unit = unit.decode() if isinstance(unit, bytes) else unit if isinstance(unit, str) else ""
                dimensions, spacing = (np.ravel(facts[key])[::-1].tolist() for key in ("_DIMENSIONS", "_SPACING"))
                yield f"{where}/{name}", tuple(map(int, dimensions)), spacing, unit
