"""Voxel meshes of volumes: one hexahedron per voxel, with shared nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from kerasgan3d.checks import AXES, check_memory
from kerasgan3d.export._chosen import chosen_phases, edge_length, solver_names
from kerasgan3d.export.mesh import Mesh
from kerasgan3d.volume import Volume

MAX_NODES = 2**31 - 1  # they are numbered by int32
# Corners of a voxel, (z, y, x), in the order of the nodes of a hexahedron.
_CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))
_SIDE = {"z0": 4, "z1": 5, "y0": 0, "y1": 2, "x0": 3, "x1": 1}  # of a hexahedron in a face of the box
# Bytes that meshing takes per node of the grid and per voxel, most of it for the numbers of the corners.
_BYTES = (50, 140)


def voxel_mesh(volume: Volume, phases: Iterable[int | str] | int | str | None = None, unit: str = "um") -> Mesh:
    """Return a volume, or some of its phases, as hexahedra.

    Nodes and cells are in the order of the image, x fastest. No two nodes coincide.

    Args:
        volume: The volume.
        phases: Names or labels of the phases to mesh; default: all.
        unit: Unit of the coordinates: "um" or "m".

    Returns:
        The Mesh.

    Raises:
        ValueError: If there is no such phase or unit, the voxel size is unknown, or there are too many nodes.
        MemoryError: If the machine has too little memory.

    Example:
        >>> mesh = voxel_mesh(Volume(np.zeros((1, 1, 2), int), ["rock"], 0.5))
        >>> mesh.points[:3, 0].tolist(), mesh.cells[1].tolist()
        ([0.0, 0.5, 1.0], [1, 2, 5, 4, 7, 8, 11, 10])
    """
    wanted = chosen_phases(volume, phases)
    edge = edge_length(volume, unit)
    grid = tuple(length + 1 for length in volume.shape)
    count = math.prod(grid)
    if count > MAX_NODES:
        raise ValueError(f"A mesh must have at most {MAX_NODES} nodes. Received: {count}; crop or resample the volume.")
    check_memory(_BYTES[0] * count + _BYTES[1] * volume.labels.size, "Crop or resample the volume.")
    places = np.nonzero(np.isin(volume.labels, wanted))
    corners = np.stack(
        [np.ravel_multi_index([p + c for p, c in zip(places, corner, strict=True)], grid) for corner in _CORNERS], 1
    )
    used = np.zeros(count, bool)
    used[corners] = True
    kept = np.flatnonzero(used)
    numbers = np.full(count, -1, np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    names = solver_names(volume.phases)
    return Mesh(
        points=np.stack(np.unravel_index(kept, grid)[::-1], axis=1) * edge,
        cells=numbers[corners],
        labels=volume.labels[places],
        phases={label: names[label] for label in wanted},
        sides={face: _at(face, places, volume.shape) for face in _SIDE},
        pairs={
            axis: _pairs(np.moveaxis(numbers.reshape(grid), AXES.index(axis), 0))
            for axis, periodic in zip(AXES, volume.periodic, strict=True)
            if periodic
        },
        unit=unit,
    )


def _at(face, places, shape):
    """Return the cells at a face, and the index of the side in it."""
    axis = AXES.index(face[0])
    cells = np.flatnonzero(places[axis] == (shape[axis] - 1) * int(face[1]))
    return cells, np.full(len(cells), _SIDE[face])


def _pairs(numbers):
    """Return the nodes on the first and the last layer of a grid of numbers that exist on both."""
    both = (numbers[0] >= 0) & (numbers[-1] >= 0)
    return numbers[0][both], numbers[-1][both]
