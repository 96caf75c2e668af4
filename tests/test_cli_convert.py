"""`kerasgan3d convert`, and the same in Python."""

import re

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d import io
from kerasgan3d.cli import main
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")


def labels():
    return np.random.default_rng(0).integers(0, 3, (6, 8, 10)).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Volume(labels(), NAMES, 0.5, (False, True, True), {"seed": 3}).save("volume.tif")
    np.save("grey.npy", np.array([0, 128, 255], np.uint8)[labels()])
    np.save("odd.npy", np.array([0, 9, 40], np.uint8)[labels()])
    labels().tofile("scan.raw")
    metadata = {"spacing": 1.0, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite("flat.tif", labels(), imagej=True, metadata=metadata, resolution=(2, 2))


def run(text):
    return CliRunner().invoke(main, ["convert", *text.split()], catch_exceptions=False)


@pytest.mark.parametrize("suffix", ["tif", "ome.tif", "npy", "zarr", "vti"])
def test_every_format_that_is_written_gives_the_volume_back(suffix):
    result = run(f"volume.tif out.{suffix}")
    assert result.exit_code == 0
    assert result.output == f"wrote out.{suffix}: 6 x 8 x 10 voxels of 0.5 µm, pore, NMC, CBD\n"
    found = io.read(f"out.{suffix}")
    np.testing.assert_array_equal(found.labels, labels())
    assert (found.phases, found.voxel_size, found.periodic) == (NAMES, 0.5, (False, True, True))
    assert found.provenance == {"seed": 3}


@pytest.mark.parametrize("in_memory", [0, 2**29], ids=["streamed", "at once"])
@pytest.mark.parametrize("target", ["out.tif", "out.zarr"])
def test_parts_are_cut_and_resampled(monkeypatch, in_memory, target):
    monkeypatch.setattr("kerasgan3d.io.converting._IN_MEMORY", in_memory)
    assert run(f"volume.tif {target} --crop 1:5,:,2:8 --resample-to 1").exit_code == 0
    found = io.read(target)
    expected = io.read("volume.tif").crop([(1, 5), None, (2, 8)]).resample(1)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.shape == (2, 4, 3)
    assert (found.voxel_size, found.periodic) == (1.0, (False, True, False))
    assert found.provenance == expected.provenance
    assert found.provenance["history"] == [{"crop": [[1, 5], [0, 8], [2, 8]]}, {"resample": 1.0}]


def test_values_are_named_and_sizes_given():
    assert run("grey.npy out.tif --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065").exit_code == 0
    found = io.read("out.tif")
    assert (found.phases, found.voxel_size) == (("pore", "Ni", "YSZ"), 0.065)
    assert run("grey.npy out.tif --overwrite --phases a,b,c").exit_code == 0
    assert io.read("out.tif").phases == ("a", "b", "c")


def test_a_raw_file_is_told_shape_and_type():
    assert run("scan.raw out.tif --shape 6 8 10 --dtype uint8").exit_code == 0
    np.testing.assert_array_equal(io.read("out.tif").labels, labels())
    assert kerasgan3d.convert("scan.raw", "again.tif", shape=(6, 8, 10), dtype="uint8").shape == (6, 8, 10)
    np.testing.assert_array_equal(io.read("scan.raw", shape=(6, 8, 10), dtype=np.uint8).labels, labels())


def test_voxels_that_are_no_cubes_become_cubes():
    assert run("flat.tif out.npy --resample-to 0.5").exit_code == 0
    found = io.read("out.npy")
    assert (found.shape, found.voxel_size) == ((12, 8, 10), 0.5)
    np.testing.assert_array_equal(found.labels, labels().repeat(2, axis=0))


def test_a_slice_that_is_resampled_stays_periodic_where_voxels_fill_it():
    volume = Volume(labels(), NAMES, 0.5, True)
    assert volume.resample(0.25).periodic == (True, True, True)
    assert volume.resample(0.75).periodic == (True, False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("missing.tif out.tif", "missing.tif"),
        ("nmc-cathode out.tif", "nmc-cathode is a generator, and a file of a volume is needed. Make one first: "),
        ("volume.tif out.png", "must end in one of .tif, .tiff, .npy, .zarr, .vti"),
        ("volume.tif volume.tif", "exists already"),
        ("volume.tif missing/out.tif", "must exist; make it first"),
        ("volume.tif out.tif --crop 0:9,:,:", "a box must be one .* 6 x 8 x 10 voxels"),
        ("volume.tif out.tif --crop 0:9", "Invalid value for '--crop'"),
        ("grey.npy out.tif --resample-to 1", "grey.npy: resampling needs the voxel size .*--voxel-size"),
        ("flat.tif out.tif", r"flat.tif must have cubic voxels.*`voxel_size` \(--voxel-size\)"),
        (
            "scan.raw out.tif",
            r"has no header: say type and shape.*`shape` \(--shape\) and `dtype` \(--dtype\)",
        ),
        ("scan.raw out.tif --shape 6 8 11 --dtype uint8", r"must hold the 528 bytes of \(6, 8, 11\) voxels"),
        ("scan.raw out.tif --shape 6 8 10", "must be given with its shape .* and its type"),
        ("grey.npy out.tif --map 0=pore,128=Ni", r"other voxels, .*255.*`mapping` \(--map\) too"),
        ("odd.npy out.tif", r"mapping=\{0: 'name0', 9: 'name1', 40: 'name2'\}` \(--map 0=name0,9=name1,40=name2\)"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(text, message):
    result = run(text)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)
    assert not [path for path in io.writing.Path().iterdir() if path.name.startswith("out")]
