"""Variables whose axes have names and coordinates: NetCDF, and the groups that xarray writes to Zarr."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgan3d.io._common import FileError, Opened, reading
from kerasgan3d.io._layout import chosen, datasets, stored_bytes
from kerasgan3d.io._stated import arranged, judged, opened

_KIND = "a NetCDF file"


def open_netcdf(path, name=None):
    """Open a variable of a NetCDF file (version 3 or 4), the named one or the only one with two axes: an `Opened`."""
    with reading(path, _KIND):
        import h5py

        if h5py.is_hdf5(path):
            return _open_4(path, name)
        from scipy.io import netcdf_file

        # Memory-mapped, and closed when nothing refers to it any more.
        file = netcdf_file(path, "r", mmap=True)
        return gridded(path, _KIND, {key: _Classic(file, key) for key in file.variables}, name)


class _Classic:
    """A variable of a NetCDF file of version 3, with the interface of an HDF5 dataset."""

    chunks = None

    def __init__(self, file, key):
        self._file, self._key, variable = file, key, file.variables[key]
        self.shape, self.names = tuple(variable.shape), variable.dimensions
        self.dtype = np.dtype(variable.data.dtype)
        self.attrs = {key: _text(value) for key, value in variable._attributes.items()}
        if self.attrs.get("_Unsigned") == "true":
            self.dtype = np.dtype(f"{self.dtype.byteorder}u{self.dtype.itemsize}")

    def __getitem__(self, window):
        # A copy, since a reference to the map would keep it open.
        return np.array(self._file.variables[self._key].data[window]).view(self.dtype)


def _open_4(path, name):
    import h5py

    file = h5py.File(path, "r")
    try:
        variables = {}
        for key, node in datasets(path, file).items():
            scales = [axis[0].name.split("/")[-1] if len(axis) else axis.label for axis in node.dims]
            attrs = {each: _text(node.attrs[each]) for each in node.attrs if not each.endswith("_LIST")}
            # Axes without coordinates have an empty dataset of their name.
            if not str(attrs.get("NAME", "")).startswith("This is a netCDF dimension but not a netCDF variable"):
                variables[key] = _Named(node, scales, attrs)
        return gridded(path, _KIND, variables, name)
    except BaseException:
        file.close()
        raise


class _Named:
    """A dataset of HDF5 or an array of Zarr, with the names of its axes and its attributes."""

    def __init__(self, node, names, attrs):
        self._node, self.names, self.attrs = node, names, attrs
        self.shape, self.dtype, self.chunks = tuple(node.shape), np.dtype(node.dtype), node.chunks

    def __getitem__(self, window):
        return self._node[window]


def xarray_variables(group: Any) -> dict[str, _Named]:
    """Return the arrays with named axes of a Zarr group, as written by xarray; {} without any."""
    variables = {}
    for key, node in group.arrays():
        attrs = node.attrs.asdict()
        names = getattr(node.metadata, "dimension_names", None) or attrs.get("_ARRAY_DIMENSIONS")
        if names and len(names) == node.ndim and all(isinstance(each, str) for each in names):
            variables[key] = _Named(node, names, attrs)
    return variables


def gridded(path: Any, kind: str, variables: dict[str, Any], name: str | None = None) -> Opened:
    """Open one of several variables with named axes, whose coordinates are variables of the axes' names: an `Opened`.

    Args:
        path, kind: Path and kind of the file, for errors, as for `reading`.
        variables: Variables by name: shape, dtype, chunks, indexing, `names` of the axes, `attrs`.
        name: Name of the variable; None for the only one of two or more axes that holds integers.
    """
    images = [key for key, each in variables.items() if len(each.shape) >= 2 and each.dtype.kind in "iub"]
    key = chosen(path, images if name is None else list(variables), name and name.lstrip("/"), "variable")
    variable = variables[key]
    packed = [each for each in ("scale_factor", "add_offset") if each in variable.attrs]
    if packed:
        raise FileError(f"{path}:{key} must hold plain integers. Received: the attribute {packed[0]}.")
    edges = {}
    for axis, axis_name in enumerate(variable.names):
        scale = variables.get("/".join([*key.split("/")[:-1], axis_name]))
        if scale is not None and scale is not variable and scale.shape == variable.shape[axis : axis + 1] != (1,):
            edges[axis_name] = (_step(path, axis_name, scale), str(scale.attrs.get("units", "")))
    stored = stored_bytes(path, variable.shape, variable.dtype)
    layout = judged(f"{path}:{key}", variable.shape, variable.dtype, variable.names, edges, stored=stored)
    missing = next((variable.attrs[each] for each in ("_FillValue", "missing_value") if each in variable.attrs), None)
    missing = None if missing is None else int(np.ravel(missing)[0])
    return opened(arranged(path, kind, variable, layout), layout, missing=missing)


def _step(path, name, scale):
    """Return the distance of the coordinates along an axis."""
    steps = np.diff(np.asarray(scale[(slice(None),)], float))
    step = float(np.mean(steps))
    # Coordinates of single precision differ by rounding errors.
    if not (np.isfinite(step) and step and np.allclose(steps, step, rtol=1e-2, atol=0)):
        raise FileError(
            f"{path} must have voxels at even distances. Received: {name} from {steps.min():g} to {steps.max():g}."
        )
    return abs(float(f"{step:.6g}"))


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
