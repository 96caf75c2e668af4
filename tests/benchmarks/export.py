"""Time meshes and surfaces of a volume, and the most memory that they take.

    python tests/benchmarks/export.py --size 256 --repeats 3 --json docs/benchmarks/export.json

The volume is what the generator that ships as nmc-cathode makes, three phases, periodic. Tetrahedra, of which there are
many, are those of an eighth of it. Each run is a process of its own, whose memory is all that it holds, imports and the
volume included.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from _apart import generated, run

WAYS = ("voxels as .vtu", "surfaces", "surfaces, a tenth", "tetrahedra")


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=64, help="voxels along each axis")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="which to time; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("FILE", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        make(options.make[0], int(options.make[1]))
        return
    if options.one:
        print(json.dumps(measure_one(*options.one)))
        return
    rows = []
    print(f"{'volume':>8} {'what':>18} {'seconds':>8} {'memory':>9} {'cells':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for way in options.ways:
            size = options.size // 2 if way == "tetrahedra" else options.size
            file = str(Path(folder) / f"{size}.tif")
            if not Path(file).is_file():
                run(__file__, "--make", file, str(size))
            runs = [json.loads(run(__file__, "--one", file, way)) for _ in range(options.repeats)]
            row = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            rows.append({"size": size, "way": way, **row, "runs": runs})
            print(
                f"{size:>6}^3 {way:>18} {row['seconds']:8.1f} {row['memory_MB']:6.0f} MB {row['cells']:10}", flush=True
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def make(file, size):
    """Write a generated volume."""
    generated(size).save(file)


def measure_one(file, way):
    """Return the seconds that something takes, the memory, and how many cells or triangles it has."""
    from kerasgan3d import Volume
    from kerasgan3d.export import export, surface_mesh, tetrahedral_mesh

    volume = Volume.load(file)
    start = time.perf_counter()
    if way == "voxels as .vtu":
        export(volume, Path(file).with_suffix(".vtu"))
        cells = volume.labels.size
    elif way == "tetrahedra":
        cells = len(tetrahedral_mesh(volume).cells)
    else:
        cells = len(surface_mesh(volume).triangles)
        if way == "surfaces, a tenth":
            start = time.perf_counter()
            cells = len(surface_mesh(volume, triangles=cells // 10).triangles)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, "cells": cells}


if __name__ == "__main__":
    main()
