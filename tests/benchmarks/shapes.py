"""Time the measures of shape, and the most memory that they take.

    python tests/benchmarks/shapes.py --size 256 --repeats 3 --json docs/benchmarks/shapes.json

The volumes are what the generator that ships as nmc-cathode makes, three phases, periodic and not. Each run is a
process of its own, whose memory is all that it holds, imports and the volume included.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from _apart import generated, run

MEASURES = ("granulometry", "chord_lengths", "euler_characteristic", "specks")


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=128, help="voxels along each axis")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "PERIODIC"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("FILE", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        make(options.make[0], int(options.make[1]))
        return
    if options.one:
        print(json.dumps(measure_one(options.one[0], options.one[1] == "True")))
        return
    rows = []
    print(f"{'volume':>8} {'periodic':>9} " + " ".join(f"{name:>21}" for name in (*MEASURES, "all, seconds", "memory")))
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "labels.npy")
        run(__file__, "--make", file, str(options.size))
        for periodic in (False, True):
            runs = [json.loads(run(__file__, "--one", file, str(periodic))) for _ in range(options.repeats)]
            row = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            rows.append({"size": options.size, "periodic": periodic, **row, "runs": runs})
            times = " ".join(f"{row[name]:21.1f}" for name in (*MEASURES, "seconds"))
            print(f"{options.size:>6}^3 {periodic!s:>9} {times} {row['memory_MB']:18.0f} MB", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def make(file, size):
    """Write the labels of a generated volume."""
    import numpy as np

    np.save(file, generated(size).labels)


def measure_one(file, periodic):
    """Return the seconds that each measure of a volume takes, and the memory."""
    import numpy as np

    from kerasgan3d import metrics

    labels = np.load(file)
    seconds = {}
    for name in MEASURES:
        start = time.perf_counter()
        getattr(metrics, name)(labels, voxel_size=0.4, periodic=periodic, n_phases=3)
        seconds[name] = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {**seconds, "seconds": sum(seconds.values()), "memory_MB": memory}


if __name__ == "__main__":
    main()
