"""Time measuring a stored volume block by block, and at once in memory, and the most memory that each takes.

    python tests/benchmarks/blocks.py --sizes 256 512 --at-once 256 --json blocks.json

The volumes are what the generator that ships as nmc-cathode makes, three phases, periodic, written to Zarr. All without
mesh, radial correlation and transport, which are not measured block by block. Each way runs in a process of its own,
whose memory is all that it holds, imports included; that of workers is added up. The results must be equal.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from _apart import generated, run

BLOCK = 256


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], help="voxels along each axis")
    parser.add_argument("--at-once", type=int, default=256, help="the largest size that is measured in memory too")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes that work on blocks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "WORKERS"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("FILE", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        make(options.make[0], int(options.make[1]))
        return
    if options.one:
        print(json.dumps(at_once(options.one[0]) if options.one[1] == "0" else by_blocks(*options.one)))
        return
    rows = []
    print(f"{'volume':>8} {'way':>24} {'seconds':>9} {'memory':>10}")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "volume.zarr")
            run(__file__, "--make", file, str(size))
            results = {}
            for workers in ([0] if size <= options.at_once else []) + options.workers:
                way = f"blocks, {workers} worker{'s' * (workers > 1)}" if workers else "in memory"
                found = json.loads(run(__file__, "--one", file, str(workers)))
                results[way] = found.pop("record")
                rows.append({"size": size, "way": way, **found})
                print(f"{size:>6}^3 {way:>24} {found['seconds']:9.1f} {found['memory_MB']:7.0f} MB", flush=True)
            first = next(iter(results.values()))
            if any(record != first for record in results.values()):
                raise SystemExit("The results differ.")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def make(file, size):
    """Write a generated volume."""
    generated(size).save(file)


def by_blocks(file, workers):
    """Return seconds, memory and numbers of a volume that is measured block by block."""
    from kerasgan3d import io, measure

    start = time.perf_counter()
    record = measure(io.open_volume(file, in_memory=0), block=BLOCK, workers=int(workers))
    seconds = time.perf_counter() - start
    memory = peak(resource.RUSAGE_SELF) + (int(workers) * peak(resource.RUSAGE_CHILDREN) if int(workers) > 1 else 0)
    return {"seconds": seconds, "memory_MB": memory, "record": counted(record)}


def at_once(file):
    """Return seconds, memory and numbers of a volume that is read, and measured by the functions for that."""
    from kerasgan3d import Volume
    from kerasgan3d.metrics._check import check_volume
    from kerasgan3d.metrics._measure import Subject

    start = time.perf_counter()
    record = Subject(check_volume(Volume.load(file)), rows(), max_lag=32).measured()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory_MB": peak(resource.RUSAGE_SELF), "record": counted(record)}


def counted(record):
    """Return what both ways give, as JSON can hold it."""
    import numpy as np

    return {key: np.asarray(record[key]).tolist() for key in rows()}


def rows():
    """Return the measures that are measured block by block, by their keys."""
    from kerasgan3d.metrics.registry import MEASURES

    return {key: row for key, row in MEASURES.items() if row.on_blocks is not None}


def peak(who):
    """Return the most memory that was held, in MB."""
    return resource.getrusage(who).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
