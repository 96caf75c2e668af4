"""Comparisons whose numbers are kept: run as ``python tests/golden/make_comparison.py FOLDER``.

The records in this folder were made by the version before comparisons were typed. Both sides are windows of volumes
that the shipped generators make, whose labels are those of exact arithmetic on every machine; one is of the statistics
that shipped with the cathode then, reference.json.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import kerasgan3d
from kerasgan3d import zoo

HERE = Path(__file__).resolve().parent
OPTIONS = {"count": 8, "size": 32, "seed": 3, "classifier": False, "workers": 1}


def make():
    """Return the comparisons by name."""
    cathode, anode = (kerasgan3d.load_generator(name) for name in ("nmc-cathode", "sofc-anode"))
    scan = cathode.sample(64, seed=11)
    micrograph = anode.sample((1, 160, 160), seed=12).labels[0]
    slices = {"phases": anode.phases, "voxel_size": anode.voxel_size}
    with tempfile.TemporaryDirectory() as folder:
        then = shutil.copytree(zoo.path("nmc-cathode"), Path(folder) / "nmc-cathode")
        shutil.copy(HERE / "reference.json", then)
        reference = kerasgan3d.compare(then, cathode, periodic_volumes=0, **{**OPTIONS, "size": None})
    return {
        "volumes": kerasgan3d.compare(scan, cathode, nearest=2, periodic_volumes=4, **OPTIONS),
        "slices": kerasgan3d.compare(micrograph, anode, nearest=2, periodic_volumes=0, **OPTIONS, **slices),
        "reference": reference,
    }


def main():
    """Write one JSON file per comparison."""
    for name, comparison in make().items():
        record = comparison.to_dict()
        record["seconds"] = {}
        text = json.dumps(record, indent=None, separators=(",", ":"))
        (Path(sys.argv[1]) / f"comparison-{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
