"""Time and error of relative diffusivity, next to TauFactor on the CPU.

    python tests/benchmarks/transport.py --sizes 64 128 --repeats 3 --json transport.json

The volumes are what the generator that ships as nmc-cathode makes, not periodic, so that nothing is needed but the
package and TauFactor. The error is that of D_eff / D_0, relative to a solution with a tolerance of 1e-9. Both decide
when to stop by how far the fluxes through the layers lie apart, their spread. TauFactor runs with its defaults; we run
with the default tolerance, and with 1e-2, which is its criterion too. Both are timed from the mask to the number, in
turns, and the ratios are medians over the turns.
"""

import argparse
import json
import statistics
import sys
import time
import tracemalloc

import numpy as np

from kerasgan3d import load_generator
from kerasgan3d.metrics import relative_diffusivity

OURS = {"default": 1e-3, "1e-2": 1e-2}


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="voxels along each axis")
    parser.add_argument("--phases", default=["pore"], nargs="+", help="names of the phases that conduct")
    parser.add_argument("--axes", default="z", help="axes of transport, such as zyx")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="without TauFactor")
    parser.add_argument("--json", help="file for the rows")
    options = parser.parse_args(arguments)

    generator = load_generator("nmc-cathode")
    rows = []
    for size in options.sizes:
        volume = generator.sample(size, periodic=False, seed=0)
        for phase in options.phases:
            for axis in options.axes:
                row = {"size": size, "phase": phase, "axis": axis}
                rows.append(row | compare(volume, phase, axis, options.repeats, alone=options.alone))
                print_row(rows[-1], header=len(rows) == 1)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    total = sum(row["ours"]["default"]["seconds"] for row in rows)
    print(f"{len(rows)} solutions with the default tolerance: {total:.2f} s")


def compare(volume, phase, axis, repeats, *, alone):
    """Return times, errors and ratios for one volume."""
    measure_once(volume, phase, axis, 0.1)
    reference = relative_diffusivity(volume, phase, axis, tolerance=1e-9)
    times = {name: [] for name in OURS} | {"taufactor": []}
    values = {}
    for _ in range(repeats):
        for name, tolerance in OURS.items():
            start = time.perf_counter()
            values[name] = measure_once(volume, phase, axis, tolerance)
            times[name].append(time.perf_counter() - start)
        if not alone:
            start = time.perf_counter()
            values["taufactor"], spread = peer(volume, phase, axis)
            times["taufactor"].append(time.perf_counter() - start)

    def summary(name):
        error = abs(values[name] / reference - 1) if reference else abs(values[name])
        return {"seconds": statistics.median(times[name]), "error": error}

    row = {"relative_diffusivity": reference, "ours": {name: summary(name) for name in OURS}}
    row["memory_MB"] = memory(volume, phase, axis)
    if not alone:
        row["taufactor"] = summary("taufactor") | {"spread": spread}
        for name in OURS:
            row["ours"][name]["times_faster"] = statistics.median(
                theirs / ours for theirs, ours in zip(times["taufactor"], times[name], strict=True)
            )
    return row


def measure_once(volume, phase, axis, tolerance):
    """Return our relative diffusivity, walls on the sides."""
    return relative_diffusivity(volume, phase, axis, "mirror", tolerance=tolerance)


def peer(volume, phase, axis):
    """Return TauFactor's relative diffusivity and the relative spread of its fluxes."""
    import taufactor

    mask = np.moveaxis(volume.labels == volume.phases.index(phase), "zyx".index(axis), 0).astype(np.uint8)
    solver = taufactor.Solver(np.ascontiguousarray(mask), device="cpu")
    solver.solve(verbose=False)
    fluxes = solver.flux_1d[0]
    return float(solver.D_rel[0]), float(np.ptp(fluxes) / fluxes.max()) if fluxes.max() else 0.0


def memory(volume, phase, axis):
    """Return the most memory that arrays took beyond the volume, in MB."""
    tracemalloc.start()
    relative_diffusivity(volume, phase, axis)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1e6)


def print_row(row, *, header):
    """Print one row of the table."""
    if header:
        print(f"{'volume':>16} {'D_rel':>9} {'':>10} {'seconds':>9} {'error':>9} {'faster':>8} {'memory':>9}")
    what = f"{row['size']}^3 {row['phase']} {row['axis']}"
    for name, ours in row["ours"].items():
        ratio = f"{ours['times_faster']:7.1f}x" if "times_faster" in ours else ""
        used = f"{row['memory_MB']} MB" if name == "default" else ""
        value = row["relative_diffusivity"]
        print(f"{what:>16} {value:9.6f} {name:>10} {ours['seconds']:9.3f} {ours['error']:9.1e} {ratio:>8} {used:>9}")
        what = ""
    if "taufactor" in row:
        theirs = row["taufactor"]
        what = f"{theirs['seconds']:9.3f} {theirs['error']:9.1e}   (spread {theirs['spread']:.1e})"
        print(f"{'TauFactor':>37} {what}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
