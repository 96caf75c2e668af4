"""Time the permeability of a pore phase, and the most memory that it takes.

    python tests/benchmarks/flow.py --sizes 64 96 --json flow.json

The pores are where a Gaussian random field, 3 voxels wide, is above its median; at the sides there are walls. Each size
is a process of its own, whose memory is all that it holds, imports included. Seconds are by the clock, and of the
processor, which tell more where others work.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64], help="voxels along each axis")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(flow_through(options.one)))
        return
    rows = []
    for size in options.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print("  ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def flow_through(size):
    """Return the permeability in voxel², and what it took."""
    import numpy as np
    from scipy import ndimage

    from kerasgan3d.metrics import permeability

    field = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((size,) * 3), 3, mode="wrap")
    labels = (field > 0).astype(np.uint8)
    permeability(labels[:8, :8, :8], 1, "z")
    before = time.perf_counter(), time.process_time()
    value = permeability(labels, 1, "z")
    seconds, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"size": size, "permeability": value, "seconds": seconds, "cpu_seconds": cpu, "memory_MB": memory}


if __name__ == "__main__":
    main()
