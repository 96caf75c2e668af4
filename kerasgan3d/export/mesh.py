"""Meshes of cells, hexahedra or tetrahedra, each of one phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# By number of a cell's nodes, the nodes of each of its sides, outward, in the order of Exodus's numbers from 1.
SIDES = {
    8: np.array([(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (0, 4, 7, 3), (0, 3, 2, 1), (4, 5, 6, 7)]),
    4: np.array([(0, 1, 3), (1, 2, 3), (0, 3, 2), (0, 2, 1)]),
}


@dataclass(frozen=True, eq=False)
class Mesh:
    """Mesh of cells with shared nodes, each cell of one phase.

    Attributes:
        points: Coordinates x, y, z of the nodes in the unit: float64 (nodes, 3), the image's first corner at 0. Every
            node belongs to a cell.
        cells: Nodes of each cell: int32 (cells, 8) of hexahedra or (cells, 4) of tetrahedra, in the order of VTK,
            Abaqus, Exodus and gmsh.
        labels: Phase of each cell: uint8 (cells,).
        phases: Label -> name of each phase, of letters, digits and underscores.
        sides: Face of the box, "z0" to "x1" -> the cells at it, and the indices of their sides (0, 1 ...) in it.
        pairs: Periodic axis -> (nodes on the first face, nodes on the last face), the k-th of one opposite the k-th of
            the other; nodes without a partner, since the phase there is not meshed, are left out.
        unit: Unit of the coordinates, "um" or "m".
    """

    points: np.ndarray
    cells: np.ndarray
    labels: np.ndarray
    phases: dict[int, str]
    sides: dict[str, tuple[np.ndarray, np.ndarray]]
    pairs: dict[str, tuple[np.ndarray, np.ndarray]]
    unit: str

    def facets(self, face: str) -> np.ndarray:
        """Return the nodes of the sides at a face of the box, outward: int32 (sides, 4) or (sides, 3)."""
        cells, sides = self.sides[face]
        return np.take_along_axis(self.cells[cells], SIDES[self.cells.shape[1]][sides], axis=1)

    def nodes(self, face: str) -> np.ndarray:
        """Return the nodes on a face of the box, increasing."""
        return np.unique(self.facets(face))

    def cells_of(self, label: int) -> np.ndarray:
        """Return the numbers of the cells of a phase, increasing."""
        return np.flatnonzero(self.labels == label)
