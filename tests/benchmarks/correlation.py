"""Time the two-point correlations of three phases against PoreSpy's: ``python tests/benchmarks/correlation.py``.

PoreSpy takes one phase at a time and averages over directions; all its cores, ours one unless told otherwise. Ratios
are taken within each repeat, and their median is what counts.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.fft
from scipy import ndimage

from kerasgan3d.files import replacing
from kerasgan3d.metrics import radial_two_point_correlation, two_point_correlation

PHASES = 3
BAR = 10  # the axes of three phases are to be so many times faster


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="edge of the volume in voxels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of everything (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="threads of our transforms (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    given = parser.parse_args(arguments)
    if given.size < 16 or given.repeats < 1 or given.workers < 1:
        parser.error(f"--size must be at least 16, --repeats and --workers at least 1. Received: {given}.")
    result = benchmark(given.size, given.repeats, given.workers)
    print(table(result))
    if given.json is not None:
        with replacing(given.json) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["ratios"]["axes"] >= BAR else 1


def benchmark(size, repeats, workers=1):
    """Return sizes, the seconds of each repeat, and the medians of PoreSpy's time over ours, as plain data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import porespy

        check(porespy)  # and compile what it compiles at its first call
        labels = blobs(size)
        runs = {
            "PoreSpy": lambda: [porespy.metrics.two_point_correlation(labels == phase) for phase in range(PHASES)],
            "axes": lambda: two_point_correlation(labels),
            "axes, periodic": lambda: two_point_correlation(labels, periodic=True),
            "radial": lambda: radial_two_point_correlation(labels),
            "radial, periodic": lambda: radial_two_point_correlation(labels, periodic=True),
        }
        seconds = {name: [] for name in runs}
        with scipy.fft.set_workers(workers):
            for _ in range(repeats):
                for name, run in runs.items():
                    start = time.perf_counter()
                    run()
                    seconds[name].append(time.perf_counter() - start)
    ratios = {
        name: statistics.median(np.divide(seconds["PoreSpy"], ours).tolist())
        for name, ours in seconds.items()
        if name != "PoreSpy"
    }
    return {
        "size": size,
        "phases": PHASES,
        "repeats": repeats,
        "workers": workers,
        "porespy": porespy.__version__,
        "seconds": seconds,
        "ratios": ratios,
    }


def check(porespy):
    """Make sure that what is timed agrees, on a small volume and in the same bins."""
    labels, max_lag = blobs(32), 12
    ours = radial_two_point_correlation(labels, max_lag)
    edges = np.concatenate([[0], np.arange(max_lag + 1) + 0.5])
    for phase in range(PHASES):
        theirs = porespy.metrics.two_point_correlation(labels == phase, bins=edges)
        np.testing.assert_allclose(ours[phase], theirs.probability_scaled, rtol=1e-9)


def table(result):
    """Return the result as lines of text."""
    size, phases = result["size"], result["phases"]
    lines = [f"Two-point correlation of {phases} phases at {size}^3, median of {result['repeats']}"]
    lines.append(f"{'':20}{'seconds':>10}{'times faster':>15}")
    for name, seconds in result["seconds"].items():
        ratio = f"{result['ratios'][name]:.0f}" if name in result["ratios"] else ""
        title = f"PoreSpy {result['porespy']}" if name == "PoreSpy" else name
        lines.append(f"{title:20}{statistics.median(seconds):10.2f}{ratio:>15}")
    return "\n".join(lines)


def blobs(size):
    """Return random blobs of three phases."""
    noise = np.random.default_rng(0).standard_normal((size, size, size), np.float32)
    noise = ndimage.gaussian_filter(noise, size / 64, mode="wrap")
    return np.digitize(noise, np.quantile(noise, [0.4, 0.7])).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
