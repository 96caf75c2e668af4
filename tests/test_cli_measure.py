import json
import re
import sys
import warnings

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.cli import measure as module
from kerasgan3d.metrics.record import Measurement
from kerasgan3d.volume import Volume

NAMES = ("pore", "NMC", "CBD")


def labels():
    return np.random.default_rng(0).integers(0, 3, (6, 8, 10)).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder of volumes in every format, a volume and a slice of grey values, and a file that is no image."""
    monkeypatch.chdir(tmp_path)
    volume = Volume(labels(), NAMES, voxel_size=0.5, periodic=(False, True, True))
    for suffix in ("tif", "npy", "zarr", "vti"):
        volume.save(f"volume.{suffix}")
    grey = np.array([0, 128, 255], np.uint8)[labels()]
    np.save("grey.npy", grey)
    tifffile.imwrite("slice.tif", np.tile(grey[0], (2, 2)))
    (tmp_path / "stack").mkdir()
    for number, plane in enumerate(grey):
        tifffile.imwrite(f"stack/{number}.tif", plane)
    (tmp_path / "broken.tif").write_bytes(b"no image at all")
    return tmp_path


def run(text):
    return CliRunner().invoke(main, ["measure", *text.split()], catch_exceptions=False)


@pytest.mark.parametrize("suffix", ["tif", "npy", "zarr", "vti"])
def test_json_is_the_record_of_the_file(suffix):
    result = run(f"volume.{suffix} --json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert record.pop("file") == f"volume.{suffix}"
    assert record == kerasgan3d.measure(Volume(labels(), NAMES, 0.5, (False, True, True))).to_dict()
    assert str(Measurement.from_dict(record)).startswith("volume of 6 x 8 x 10 voxels (z, y, x)")


def test_a_table_is_printed():
    result = run("volume.tif --no-transport")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = kerasgan3d.measure(Volume(labels(), NAMES, 0.5, (False, True, True)), transport=False)
    assert result.stdout == f"volume.tif\n{expected}\n"


def test_several_files_are_several_tables_or_a_list():
    result = run("volume.tif slice.tif --no-transport --voxel-size 0.5")
    assert result.exit_code == 0
    assert re.findall(r"^\S+\.tif$", result.stdout, re.M) == ["volume.tif", "slice.tif"]
    assert "\n\nslice.tif\nslice of 16 x 20 pixels" in result.stdout
    records = json.loads(run("volume.tif slice.tif --no-transport --voxel-size 0.5 --json").stdout)
    assert [record["file"] for record in records] == ["volume.tif", "slice.tif"]
    assert [len(record["shape"]) for record in records] == [3, 2]


@pytest.mark.parametrize("file", ["grey.npy", "stack", "slice.tif"])
def test_grey_values_are_named(file):
    record = json.loads(run(f"{file} --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --no-transport --json").stdout)
    assert record["phases"] == ["pore", "Ni", "YSZ"]
    assert record["voxel_size"] == 0.065
    image = labels() if file != "slice.tif" else np.tile(labels()[0], (2, 2))
    assert record["volume_fraction"] == [float(np.mean(image == phase)) for phase in range(3)]
    assert bool(record["stereology"]) == (file == "slice.tif")
    assert run(f"{file} --phases a,b,c --voxel-size 1 --no-transport").stdout.split().count("a") >= 1


@pytest.mark.parametrize(
    ("options", "periodic"),
    [
        ("volume.tif", [False, True, True]),
        ("volume.tif --periodic", [True] * 3),
        ("volume.tif --not-periodic", [False] * 3),
        ("volume.tif --periodic-axes x", [False, False, True]),
        ("slice.tif --voxel-size 1", [False, False]),
        ("slice.tif --voxel-size 1 --periodic", [True, True]),
        ("slice.tif --voxel-size 1 --periodic-axes y", [True, False]),
    ],
)
def test_periodic_as_the_file_says_unless_told_otherwise(options, periodic):
    assert json.loads(run(f"{options} --no-transport --json").stdout)["periodic"] == periodic


@pytest.mark.parametrize(
    ("options", "transport"),
    [
        ("", None),
        ("--no-transport", False),
        ("--transport NMC", ["NMC"]),
        ("--transport 2 --transport pore", [2, "pore"]),
    ],
)
def test_options_reach_the_function(monkeypatch, options, transport):
    called = {}

    def measure(volume, **arguments):
        called.update(arguments, volume=volume)
        return "measured"

    monkeypatch.setitem(vars(kerasgan3d), "measure", measure)
    assert run(f"volume.tif {options} --max-lag 3").stdout == "volume.tif\nmeasured\n"
    assert called.get("transport") == transport
    assert called["max_lag"] == 3
    assert isinstance(called["volume"], Volume)


@pytest.mark.parametrize("file", ["grey.npy", "slice.tif"])
def test_without_a_voxel_size_what_has_a_unit_is_left_out(file):
    result = run(f"{file} --no-transport --json")
    assert result.exit_code == 0
    assert f"note: {file} does not say how large a voxel is" in result.stderr
    found = json.loads(result.stdout)
    known = json.loads(run(f"{file} --voxel-size 1 --no-transport --json").stdout)
    assert found["volume_fraction"] == known["volume_fraction"]
    assert found["two_point_correlation"] == known["two_point_correlation"]
    assert [found[key] for key in ("voxel_size", "specific_surface_area", "mean_chord_length")] == [None] * 3


def test_a_voxel_size_that_is_not_the_files_is_said():
    result = run("volume.tif --voxel-size 0.4 --no-transport --json")
    assert json.loads(result.stdout)["voxel_size"] == 0.4
    assert result.stderr.count("\n") == 1
    assert "the voxel size that is given, 0.4 µm, wins over what volume.tif states: 0.5 µm" in result.stderr
    assert run("volume.tif --voxel-size 0.5 --no-transport").stderr == ""


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ("--mask mask.tif", np.s_[1:, :, 2:]),
        ("--mask flat.tif", np.s_[:, :, 2:]),
        ("--exclude 0:1,:,: --exclude :,:,0:2", np.s_[1:, :, 2:]),
        ("--mask mask.tif --block 4 --workers 1", np.s_[1:, :, 2:]),
    ],
)
def test_a_part_is_measured(options, inside):
    mask = np.zeros((6, 8, 10), np.uint8)
    mask[inside] = 255
    tifffile.imwrite("mask.tif", mask)
    tifffile.imwrite("flat.tif", mask[-1])
    found = json.loads(run(f"volume.tif {options} --not-periodic --no-transport --json").stdout)
    shares = np.bincount(labels()[inside].ravel()) / labels()[inside].size
    np.testing.assert_allclose(found["volume_fraction"], shares)
    assert found["excluded"] == pytest.approx(1 - labels()[inside].size / labels().size)


def test_a_phase_is_left_out():
    found = json.loads(run("volume.tif --exclude NMC --no-transport --json").stdout)
    counts = np.bincount(labels().ravel())[[0, 2]]
    assert found["phases"] == ["pore", "CBD"]
    np.testing.assert_allclose(found["volume_fraction"], counts / counts.sum())


@pytest.mark.parametrize("suffix", ["tif", "npy", "zarr", "vti"])
def test_block_by_block_gives_the_same_numbers(suffix):
    result = run(f"volume.{suffix} --block 4 --workers 1 --json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    expected = kerasgan3d.measure(Volume(labels(), NAMES, 0.5, (False, True, True))).to_dict()
    assert {name for name, value in expected.items() if found[name] != value} == {
        "specific_surface_area_marching_cubes",
        "radial_two_point_correlation",
        "relative_diffusivity",
        "tortuosity_factor",
        "macmullin_number",
        "bruggeman_exponent",
    }
    assert "connected fraction" in run(f"volume.{suffix} --block 4 --workers 1").stdout


@pytest.mark.parametrize("options", ["volume.tif", "volume.zarr --block 4 --workers 1", "slice.tif --voxel-size 1"])
def test_shapes_may_be_left_out(options):
    left_out = ("granulometry", "speck_density", "hole_density")
    expected, found = (json.loads(run(f"{options} {flag} --json").stdout) for flag in ("--shapes", "--no-shapes"))
    assert all(expected[name] is not None for name in left_out)
    assert found == {**expected, **dict.fromkeys(left_out)}
    assert json.loads(run(f"{options} --json").stdout) == expected
    assert "specks" in run(options).stdout
    assert "specks" not in run(f"{options} --no-shapes").stdout


@pytest.mark.parametrize("file", ["volume.zarr", "volume.tif", "volume.vti", "stack --voxel-size 1 --phases a,b,c"])
def test_a_large_volume_is_measured_block_by_block(monkeypatch, file):
    monkeypatch.setattr("kerasgan3d.metrics.record.IN_MEMORY", labels().size - 1)
    record = json.loads(run(f"{file} --json").stdout)
    assert record["relative_diffusivity"] is None
    assert record["volume_fraction"] == [float(np.mean(labels() == phase)) for phase in range(3)]
    monkeypatch.setattr("kerasgan3d.metrics.record.IN_MEMORY", labels().size)
    assert json.loads(run(f"{file} --json").stdout)["relative_diffusivity"] is not None


def test_a_slice_has_no_blocks():
    assert run("slice.tif --voxel-size 1 --block 8").stdout == run("slice.tif --voxel-size 1").stdout


def test_warnings_are_lines_on_stderr(monkeypatch):
    def measure(volume, **arguments):
        warnings.warn("not converged", RuntimeWarning, stacklevel=1)
        return "measured"

    monkeypatch.setitem(vars(kerasgan3d), "measure", measure)
    result = run("volume.tif")
    assert (result.exit_code, result.stdout) == (0, "volume.tif\nmeasured\n")
    assert result.stderr == "kerasgan3d: warning: volume.tif: not converged\n"


def test_progress_reaches_the_bar(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, what, stream):
            assert stream is sys.stderr
            bars.append((what, []))

        def __enter__(self):
            return lambda done, total: bars[-1][1].append(done / total)

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(module, "progress_bar", Bar)
    run("volume.tif volume.npy --no-transport")
    assert [what for what, _ in bars] == ["measuring 1 of 2", "measuring 2 of 2"]
    assert all(shares == sorted(shares) and shares[-1] == 1 for _, shares in bars)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Missing argument 'FILE...'"),
        ("missing.tif", "missing.tif"),
        ("broken.tif", "broken.tif must be"),
        ("volume.png", "must end in one of|does not exist"),
        ("volume.tif missing.tif", "missing.tif"),
        ("volume.tif --exclude YSZ", "`--exclude` must be a phase, pore, NMC, CBD, or 0 to 2. Received: YSZ"),
        ("volume.tif --exclude 0:9,:,:z", "Invalid value for '--exclude'"),
        ("volume.tif --mask slice.tif", "slice.tif must have the shape of volume.tif, 6 x 8 x 10 voxels"),
        ("volume.tif --mask missing.tif", "missing.tif"),
        ("volume.raw", "must be a file or folder to read"),
        ("grey.npy --map 0=pore,100=Ni,255=YSZ --voxel-size 1", "grey.npy.*128"),
        ("grey.npy --voxel-size -1", "Invalid value for '--voxel-size'"),
        ("volume.tif --phases pore", "volume.tif"),
        ("volume.tif --transport YSZ", "must be a phase, pore, NMC, CBD, or 0 to 2. Received: YSZ"),
        ("volume.tif --transport 3", "must be a phase, .*Received: 3"),
        ("volume.tif --transport pore --no-transport", "Either --transport or --no-transport"),
        ("slice.tif --voxel-size 1 --transport 0", "slice.tif is a slice, which does not tell transport"),
        ("volume.tif --periodic --periodic-axes x", "Either --periodic-axes or"),
        ("slice.tif --voxel-size 1 --periodic-axes zy", "of y and x. Received: z"),
        ("volume.tif --block 0", "Invalid value for '--block'"),
        ("volume.tif --workers 0", "Invalid value for '--workers'"),
        ("volume.zarr --block 4 --transport pore", "is measured block by block, which does not tell transport"),
        ("grey.npy --block 4 --map 0=pore,100=Ni,255=YSZ --voxel-size 1", "grey.npy.*128"),
        ("broken.tif --block 4", "broken.tif must be"),
        ("volume.tif --block 4 --max-lag 6", "`--max-lag` must be less than the smallest dimension, 6. Received: 6"),
        ("volume.tif --max-lag 6", "`--max-lag` must be less than the smallest dimension, 6. Received: 6"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_measured(monkeypatch, text, message):
    monkeypatch.setitem(vars(kerasgan3d), "measure", None)
    result = run(text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)
