"""The table of formats, and the walk through adding one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kerasgan3d
from kerasgan3d import io
from kerasgan3d.io.formats import FORMATS, format_of, split_dataset

GUIDE = Path(__file__).parent.parent / "docs" / "contributing.md"
TRY = """
import numpy as np
from kerasgan3d import Volume, io
labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype("uint8")
volume = Volume(labels, ("pore", "Ni", "YSZ"), 0.5, "yx", {"seed": 3})
volume.save("v.npz")
again = Volume.load("v.npz")
assert (again.labels == labels).all() and again.phases == volume.phases
assert (again.voxel_size, again.periodic, again.provenance) == (0.5, (False, True, True), {"seed": 3})
(stored,) = io.open_labels("v.npz", in_memory=0).images
assert (stored[1:3, 2, :] == labels[1:3, 2, :]).all()
assert ".npz" in io.SUFFIXES and ".npz" not in io.STREAM_SUFFIXES
open("w.npz", "wb").write(open("v.npz", "rb").read()[:100])
try:
    Volume.load("w.npz")
except ValueError as error:
    assert "w.npz must be an archive of NumPy arrays" in str(error)
"""


def test_suffixes_belong_to_one_format_each():
    suffixes = [suffix for row in FORMATS for suffix in row.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(format_of(Path(f"a{suffix.upper()}")) is row for row in FORMATS for suffix in row.suffixes)
    assert format_of(Path("a.png")) is None
    assert set(io.STREAM_SUFFIXES) | set(io.PROBABILITY_SUFFIXES) <= set(io.SUFFIXES) < set(suffixes)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("scan.h5:/group/a", ("scan.h5", "/group/a")),
        ("C:/scan.HDF5:a", ("C:/scan.HDF5", "a")),
        ("scan.h5", None),
        ("scan.tif:/a", None),
    ],
)
def test_datasets_of_files(text, parts):
    assert split_dataset(text) == parts


@pytest.mark.skipif(not GUIDE.is_file(), reason="the tests were taken out of the repository")
def test_a_format_is_one_module_and_one_row(tmp_path):
    section = GUIDE.read_text("utf-8").split("## Add a file format")[1].split("\n## ")[0]
    (module,), (row,) = (re.findall(rf"```{kind}\n(.*?)```", section, re.S) for kind in ("python", "text"))
    copy = tmp_path / "kerasgan3d"
    shutil.copytree(Path(kerasgan3d.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "io" / "_npz.py").write_text(module, "utf-8")
    table = (copy / "io" / "formats.py").read_text("utf-8")
    table = table.replace("FORMATS = (\n", f"from kerasgan3d.io._npz import open_npz, write_npz\nFORMATS = (\n{row}")
    (copy / "io" / "formats.py").write_text(table, "utf-8")
    subprocess.run([sys.executable, "-c", TRY], cwd=tmp_path, check=True)
