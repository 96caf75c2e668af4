"""Time `kerasgan3d.measure`, everything of a volume, and the most memory that it takes.

    python tests/benchmarks/measure.py --sizes 64 128 256 --repeats 3 --json measure.json

The volumes are what the generator that ships as nmc-cathode makes, three phases, not periodic. Each runs in a process
of its own, whose memory beyond that of the imports and the volume itself is what is reported.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="voxels along each axis")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", type=int, metavar="SIZE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure_one(options.one)))
        return
    rows = []
    print(f"{'volume':>8} {'seconds':>9} {'of it transport':>16} {'memory':>10}")
    for size in options.sizes:
        runs = []
        for _ in range(options.repeats):
            command = [sys.executable, __file__, "--one", str(size)]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        rows.append({"size": size, "runs": runs})
        rows[-1] |= {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        row = rows[-1]
        print(
            f"{size:>6}^3 {row['seconds']:9.1f} {row['transport_seconds']:16.1f} {row['memory_MB']:7.0f} MB", flush=True
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def measure_one(size):
    """Return seconds and memory of one volume."""
    import kerasgan3d

    volume = kerasgan3d.load_generator("nmc-cathode").sample(size, periodic=False, seed=0)
    kerasgan3d.measure(kerasgan3d.Volume(volume.labels[:8, :8, :8], volume.phases, volume.voxel_size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    kerasgan3d.measure(volume)
    whole = time.perf_counter() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    start = time.perf_counter()
    kerasgan3d.measure(volume, transport=False)
    return {"seconds": whole, "transport_seconds": whole - (time.perf_counter() - start), "memory_MB": memory}


if __name__ == "__main__":
    main()
