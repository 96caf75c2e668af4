"""Ten jobs of the shipped generators and the checksums of what they give; `test_golden_jobs.py` compares them.

    python tests/golden/make_jobs.py [jobs.json]

writes the file anew. It uses the public interface alone, so that it runs on versions before and after a change.
"""

import json
import sys
import tempfile
from functools import cache
from pathlib import Path

JOBS = {
    "an open window": ("nmc-cathode", "sample", (70, 45, 83), {"seed": 1, "offset": (3, -5, 40)}),
    "periodic along all axes": ("nmc-cathode", "sample", 64, {"seed": 0, "periodic": True}),
    "tiles and batches": (
        "nmc-cathode",
        "sample",
        (64, 32, 50),
        {"seed": 7, "periodic": (True, True, False), "tile": 32, "batch": 3},
    ),
    "rolled": (
        "sofc-anode",
        "sample",
        (41, 64, 48),
        {"seed": 3, "periodic": (False, True, True), "offset": (-17, 5, 100)},
    ),
    "the largest seed": ("sofc-anode", "sample", 33, {"seed": 2**64 - 1, "tile": (32, 16, 48)}),
    "far away": ("sofc-anode", "sample", (20, 17, 1), {"seed": 5, "offset": (10**9, -(10**9), 1)}),
    "a file of pages": (
        "nmc-cathode",
        "stream.tif",
        (40, 130, 144),
        {"seed": 11, "periodic": (False, False, True), "tile": 128},
    ),
    "a file of chunks": ("sofc-anode", "stream.zarr", (130, 32, 45), {"seed": 12, "periodic": (False, True, False)}),
    "chunks of Dask": ("nmc-cathode", "to_dask", (64, 48, 70), {"seed": 13, "offset": (-1, 2, -3), "chunks": 40}),
    "periodic chunks of Dask": (
        "sofc-anode",
        "to_dask",
        32,
        {"seed": 14, "periodic": True, "chunks": (16, 32, 20)},
    ),
}


def run(name):
    """Do one job: a dict of its checksum, shape, phases, periodic axes, and the provenance but for versions."""
    from kerasgan3d import Volume, io

    source, way, size, options = JOBS[name]
    generator = _loaded(source)
    if way == "sample":
        volume = generator.sample(size, **options)
    elif way == "to_dask":
        volume = Volume(generator.to_dask(size, **options).compute(scheduler="synchronous"), generator.phases)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"volume{Path(way).suffix}"
            found = generator.stream(path, size, **options)
            volume = Volume.load(path)
        assert found.checksum == io.checksum(volume.labels)
    provenance = {key: value for key, value in volume.provenance.items() if key != "kerasgan3d"}
    return {
        "checksum": io.checksum(volume.labels),
        "shape": list(volume.shape),
        "phases": list(volume.phases),
        "periodic": list(volume.periodic),
        "provenance": provenance,
    }


@cache
def _loaded(name):
    from kerasgan3d import load_generator

    return load_generator(name)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("jobs.json")
    target.write_text(json.dumps({name: run(name) for name in JOBS}, indent=1, ensure_ascii=False) + "\n", "utf-8")
