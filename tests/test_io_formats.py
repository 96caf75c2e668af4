"""The table of formats, and the walk through adding one."""

from pathlib import Path

import pytest

from kerasgan3d import io
from kerasgan3d.io.formats import FORMATS, format_of, split_dataset

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
    assert format_of(Path("a.xyz")) is None
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


def test_a_format_is_one_module_and_one_row(walk):
    imported = "from kerasgan3d.io._npz import open_npz, write_npz"
    walk("Add a file format", "io/_npz.py", "io/formats.py", "FORMATS", imported, TRY)
