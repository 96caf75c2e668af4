"""Comparisons whose numbers are kept: run as ``python tests/golden/make_comparison.py FOLDER``.

The record of slices was made by the version before comparisons were typed; those of the cathode when its generator
changed, with code whose numbers were still those of that version. Both sides are windows of volumes that the shipped
generators make, whose labels are those of exact arithmetic on every machine; one is of the statistics that shipped with
the cathode then, reference.json.
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
    """Write one JSON file per comparison: the values that the file in this folder has, in its format."""
    for name, comparison in make().items():
        before = json.loads((HERE / f"comparison-{name}.json").read_text("utf-8"))
        record = comparison.to_dict()
        for row in record["measures"]:
            # Where it is of the whole image now, the version before had the mean of the sub-volumes.
            if row["real_mean_of"] == "image" and row["real"] is not None:
                row["real_mean"] = sum(row["real"]) / len(row["real"])
        record = {**_like(record, before), "format": before["format"], "seconds": {}}
        text = json.dumps(record, indent=None, separators=(",", ":"))
        (Path(sys.argv[1]) / f"comparison-{name}.json").write_text(text + "\n", "utf-8")


def _like(new, before):
    """Return what both have of a record: keys of dicts, and rows of measures."""
    if isinstance(new, dict) and isinstance(before, dict):
        return {key: _like(new[key], value) for key, value in before.items() if key in new}
    if isinstance(new, list) and before and isinstance(before[0], dict) and "other" in before[0]:
        rows = {_place(row): row for row in new}
        return [_like(rows[_place(row)], row) for row in before]
    return new


def _place(row):
    return row["key"], row["phase"], row["other"], row["axis"]


if __name__ == "__main__":
    main()
