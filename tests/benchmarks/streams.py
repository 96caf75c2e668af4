"""Time what makes a stream safe, against what computes it: reading blocks back, and waiting for the disk.

    python tests/benchmarks/streams.py --json docs/benchmarks/streams.json

A tile of 256^3 voxels of the generator that ships as nmc-cathode is computed once, and written as every part of a
volume of 256 x 256 x 512: as streams are written, and without waiting for the disk and reading back what was written.
What it costs more is a share of the time to compute and write the parts, though it takes place while the next is
computed.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

from kerasgan3d import io, load_generator

EDGE, PARTS = 256, 2


def main(arguments=None):
    """Print a table, and write the rows as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    options = parser.parse_args(arguments)
    generator = load_generator("nmc-cathode")
    generator.sample(EDGE, seed=0)  # compiles
    began = time.perf_counter()
    labels = generator.sample(EDGE, seed=0).labels
    computing = PARTS * (time.perf_counter() - began)
    rows = []
    for name in ("a.tif", "a.zarr"):
        safe, bare = [], []
        for _ in range(options.repeats):
            safe.append(written(labels, name))
            with (
                mock.patch("kerasgan3d.io.streaming.sync"),
                mock.patch("kerasgan3d.io._tiff.sync"),
                mock.patch("kerasgan3d.io._zarr.sync"),
                mock.patch("os.fsync"),
                mock.patch.object(io.VolumeWriter, "_damaged", return_value=[]),
            ):
                bare.append(written(labels, name))
        safe, bare = statistics.median(safe), statistics.median(bare)
        rows.append({"file": name, "computing": computing, "safe": safe, "bare": bare})
        rows[-1]["share"] = (safe - bare) / (computing + bare)
        print(
            f"{name:>8}: computed in {computing:.2f} s, written in {safe:.2f} s, {bare:.2f} s without: "
            f"{rows[-1]['share']:.1%} more",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def written(labels, name):
    """Seconds that a volume takes to be written, whose parts are all these labels."""
    shape = (EDGE, EDGE, PARTS * EDGE)
    record = io.VolumeRecord(shape, ("pore", "NMC", "CBD"), 0.398, (False,) * 3, {"seed": 0})
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        writer = io.VolumeWriter(Path(folder) / name, record)
        for part in range(PARTS):
            writer.write((0, 0, part * EDGE), labels)
        writer.finish()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
