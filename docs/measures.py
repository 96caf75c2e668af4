"""Make the table of spheres in the documentation of the measures again: ``python docs/measures.py``."""

import csv
from pathlib import Path

import numpy as np
import tables  # the module beside this script

from kerasgan3d.metrics import specific_surface_area

TABLE = Path(__file__).resolve().with_suffix(".csv")
PAGE = TABLE.with_suffix(".md")
METHODS = ("faces", "marching_cubes")
OFFSETS = ((0, 0, 0), (0.5, 0.5, 0.5), (0.1, 0.27, 0.41))  # of the centre from that of a voxel, in voxels


def main(radii=(5, 10, 20, 40)):
    """Measure spheres of some radii (in voxels); write the ratios of measured to true volume and area."""
    rows = [("radius", "offset", "volume", *METHODS)]
    for radius in radii:
        for offset in OFFSETS:
            labels = sphere(radius, offset)
            area = 4 * np.pi * radius**2
            ratios = [labels.sum() / (area * radius / 3)]
            for method in METHODS:
                ratios.append(specific_surface_area(labels, method, voxel_size=1)[1] * labels.size / area)
            rows.append((radius, " ".join(map(str, offset)), *(f"{ratio:.3f}" for ratio in ratios)))
    tables.write(TABLE, rows)
    tables.put(PAGE, "docs/measures.py", markdown())


def markdown():
    """Return the table as the page has it."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| radius, voxels | centre off a voxel's | volume | area by faces | area by marching cubes |"]
    lines += ["|---|---|---|---|---|", *(f"| {' | '.join(row.values())} |" for row in rows)]
    return "\n".join(lines) + "\n"


def sphere(radius, offset):
    """Return a sphere in the middle of a cube, off the centre of the middle voxel by a fraction of a voxel."""
    along = np.arange(2 * radius + 5) - radius - 2.0
    z, y, x = ((along - shift) ** 2 for shift in offset)
    return (z[:, None, None] + y[:, None] + x <= radius**2).astype(np.uint8)


if __name__ == "__main__":
    main()
