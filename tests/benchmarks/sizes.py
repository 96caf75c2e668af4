"""Time particles, chords and conduction through two phases, and the most memory that each takes.

    python tests/benchmarks/sizes.py --size 256 --repeats 3 --json sizes.json

The volume is what a generator makes, periodic: nmc-cathode, whose NMC is separated into particles, and whose CBD
conducts 1e4 times as well as NMC, along z; or, where that is not to be waited for, three phases of a random field. Each
run is a process of its own, whose memory is all that it holds, imports and the volume included. Seconds are by the
clock, and of the processor, which tell more where others work.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from _apart import generated, run

WHAT = ("particles", "chord_lengths", "effective_conductivity")


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=128, help="voxels along each axis")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--field", action="store_true", help="of a random field in place of a generator")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--make", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        make(options.make, options.size, options.field)
        return
    if options.one:
        print(json.dumps(measure_one(*options.one)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "labels.npy")
        run(__file__, "--make", file, "--size", str(options.size), *(["--field"] if options.field else []))
        for what in WHAT:
            runs = [json.loads(run(__file__, "--one", what, file)) for _ in range(options.repeats)]
            medians = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            rows.append({"what": what, "size": options.size, **medians, "runs": runs})
            told = "  ".join(f"{key} {value:.4g}" for key, value in medians.items())
            print(f"{what:>24} {options.size:>6}^3  {told}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def make(file, size, field):
    """Write labels of three phases, pore, NMC and CBD."""
    import numpy as np

    if not field:
        np.save(file, generated(size).labels)
        return
    from scipy import ndimage

    values = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((size,) * 3), 4, mode="wrap")
    # The one that conducts best lies between the two others.
    order = np.array([0, 2, 1], np.uint8)
    np.save(file, order[np.digitize(values, np.quantile(values, [0.45, 0.55]))])


def measure_one(what, file):
    """Return the seconds that a measure of a volume takes, and the memory."""
    import numpy as np

    from kerasgan3d import metrics

    labels = np.load(file)
    given = {"voxel_size": 0.4, "periodic": True, "n_phases": 3}
    work = {
        "particles": lambda: metrics.particles(labels, 1, **given),
        "chord_lengths": lambda: metrics.chord_lengths(labels, **given),
        "effective_conductivity": lambda: metrics.effective_conductivity(labels, {1: 1.0, 2: 1e4}, "z", **given),
    }[what]
    before = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


if __name__ == "__main__":
    main()
