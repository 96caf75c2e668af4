"""Conversion of volumes to in-memory objects of other libraries: xarray and PyVista, both optional."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan3d.checks import AXES, axis_letters
from kerasgan3d.extras import library
from kerasgan3d.io._common import KEY

if TYPE_CHECKING:
    import pyvista  # pyright: ignore[reportMissingImports]
    import xarray  # pyright: ignore[reportMissingImports]


def xarray_of(labels: np.ndarray, record: Any) -> xarray.DataArray:
    """Convert labels (z, y, x) and their VolumeRecord as described for `Volume.to_xarray`."""
    size = record.voxel_size
    attributes = {
        "long_name": "phase",
        "flag_values": np.arange(len(record.phases), dtype=np.uint8),
        "flag_meanings": " ".join("_".join(name.split()) for name in record.phases),
        "periodic": axis_letters(record.periodic),
        **({} if size is None else {"voxel_size": size}),
        KEY: json.dumps(record.to_json(), ensure_ascii=False),
    }
    places = {} if size is None else dict(zip(AXES, labels.shape, strict=True))
    coordinates = {
        axis: (axis, (np.arange(length) + 0.5) * size, {"units": "um", "long_name": f"{axis}, centre of the voxel"})
        for axis, length in places.items()
    }
    return library("xarray", "memory", "Volume.to_xarray").DataArray(
        labels, coordinates, tuple(AXES), "labels", attributes
    )


def pyvista_of(labels: np.ndarray, record: Any) -> pyvista.ImageData:
    """Convert labels (z, y, x) and their VolumeRecord as described for `Volume.to_pyvista`."""
    spacing = (1.0 if record.voxel_size is None else record.voxel_size,) * 3
    grid = library("pyvista", "memory", "Volume.to_pyvista").ImageData(
        dimensions=[n + 1 for n in reversed(labels.shape)], spacing=spacing
    )
    grid.cell_data["phase"] = labels.reshape(-1)  # x runs fastest in both
    grid.field_data["phases"] = list(record.phases)
    grid.field_data["periodic_zyx"] = np.array(record.periodic, np.uint8)
    return grid
