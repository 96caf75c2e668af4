import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage

import kerasgan3d
from kerasgan3d import Volume
from kerasgan3d.cli import main
from kerasgan3d.metrics import size_curve, volume_fraction_interval

NAMES = ("pore", "grain")


@pytest.fixture(autouse=True)
def volume(monkeypatch, tmp_path):
    """Work in a folder of three volumes of blobs; the first of them."""
    monkeypatch.chdir(tmp_path)
    volumes = []
    for seed in range(3):
        field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((20, 20, 20)), 1, mode="wrap")
        volumes.append(Volume((field > 0).astype(np.uint8), NAMES, 0.5, True))
        volumes[-1].save(f"{seed}.tif")
    return volumes[0]


def run(*words):
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


def test_rev_as_json_is_the_curve_by_names(volume):
    words = ["rev", "0.tif", "--measure", "volume_fraction", "--measure", "specific_surface_area"]
    result = run(*words, "--json", "--within", "0.1")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    curve = size_curve([volume], ["volume_fraction", "specific_surface_area"])
    assert (found["sizes"], found["counts"]) == ([8, 10], [8, 8])
    assert [part["volume_fraction"]["grain"] for part in found["mean"]] == curve.mean["volume_fraction"][:, 1].tolist()
    assert found["std"][1]["specific_surface_area"]["pore"] == curve.std["specific_surface_area"][1, 0]
    assert found["edge_voxels"]["volume_fraction"]["pore"] == curve.edges("volume_fraction", within=0.1)[0]
    assert found["edge_voxels_two_point"]["pore"] == volume_fraction_interval(volume, within=0.1).edge[0]


def test_rev_prints_tables_and_draws(tmp_path):
    result = run("rev", "0.tif", "--sizes", "5,10", "--measure", "mean_chord_length", "-o", "sizes.png")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mean chord length in µm\nvoxels  n   pore z")
    assert re.search(r"^5 +64 +[\d.]+ ± ", result.stdout, re.M)
    assert result.stdout.endswith("wrote sizes.png\n")
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    again = run("rev", "0.tif", "-o", "sizes.png")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "sizes.png exists already" in again.stderr


def test_a_summary_of_files(tmp_path):
    words = ["measure", "0.tif", "1.tif", "2.tif", "--no-transport", "--no-shapes"]
    result = run(*words, "--summary", "--json", "-o", "table.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["count"] == 3
    assert list(found["volumes"]) == ["0.tif", "1.tif", "2.tif"]
    assert (tmp_path / "table.csv").read_text("utf-8").splitlines()[0].endswith("mean,std,0.tif,1.tif,2.tif")
    printed = run(*words, "--summary").stdout
    assert printed.startswith("3 volumes\nmeasure ")
    assert "specific_surface_area                 pore                " in printed


@pytest.mark.parametrize(
    ("words", "level"),
    [(["--confidence", "0.tif"], 0.95), (["0.tif", "--confidence", "0.9"], 0.9)],
    ids=["bare", "0.9"],
)
def test_confidence_with_and_without_a_level(words, level):
    result = run("measure", *words, "--no-transport", "--no-shapes", "--json", "--within", "0.2")
    assert (result.exit_code, result.stderr) == (0, "")
    sure = json.loads(result.stdout)["confidence"]
    assert (sure["level"], sure["within"]) == (level, 0.2)
    assert set(sure["intervals"]) == {"volume_fraction", "specific_surface_area", "interfacial_area"}


def test_volumes_of_a_generator_are_measured_and_cut_up(small_preset):
    words = [
        "measure",
        str(small_preset),
        "--size",
        "16",
        "--count",
        "2",
        "--seed",
        "5",
        "--no-transport",
        "--no-shapes",
    ]
    found = json.loads(run(*words, "--json").stdout)
    assert list(found["volumes"]) == [f"{small_preset} seed 5", f"{small_preset} seed 6"]
    assert found["phases"] == ["pore", "grain"]
    single = json.loads(run(*words[:4], *words[6:], "--json").stdout)
    assert single["volume_fraction"][0] == found["volumes"][f"{small_preset} seed 5"]["volume_fraction"]["pore"]
    assert json.loads(run("rev", *words[1:6], "--json").stdout)["counts"] == [16, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("measure 0.tif --count 3", "--count is for what --size generates; give it, too. See: kerasgan3d measure"),
        ("measure nmc-cathode", "nmc-cathode is a generator, and a file of a volume is needed. Add --size"),
        ("rev nmc-cathode", "nmc-cathode is a generator, and a file of a volume is needed. Add --size"),
        ("measure a b --size 16", "--size takes one NAME."),
        ("measure a --size 16 --voxel-size 1", "--voxel-size is for files, and --size generates"),
        ("measure 0.tif --within 0.1", "--within goes with --confidence"),
        ("measure 0.tif --confidence 1", "must be a number above 0 and below 1. Received: 1"),
        ("measure 0.tif -o table.xlsx", "the name of a table must end in .csv, .json, .parquet. Received: table.xlsx"),
        ("rev 0.tif --sizes 5,a", "`--sizes` must be whole numbers of voxels with commas between them. Received: 5,a"),
        ("rev 0.tif --sizes 40", "`sizes` must be from 2 to 20 voxels, the smallest dimension. Received: [40]"),
        ("rev 0.tif --measure roundness", "`keys` must be of volume_fraction, "),
        ("rev 0.tif --seed 3", "--seed is for what --size generates"),
        ("rev nothing.tif", "nothing.tif"),
    ],
)
def test_mistakes_are_one_line(words, message):
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_files_that_are_not_alike_are_refused_before_they_are_measured(monkeypatch, volume):
    Volume(volume.labels, ("pore", "solid"), 0.5).save("other.tif")
    monkeypatch.setattr(kerasgan3d, "measure", None)  # is not reached
    result = run("measure", "0.tif", "other.tif", "--summary")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Received: pore, grain in 3 dimensions; pore, solid in 3 dimensions." in result.stderr


def test_on_request_a_summary_has_particles_and_permeability():
    words = ["measure", "0.tif", "1.tif", "--transport", "pore", "--particles", "--permeability", "--no-shapes"]
    found = json.loads(run(*words, "--summary", "--json", "-o", "table.json").stdout)
    assert set(found["mean"]["permeability"]["pore"]) == {"z", "y", "x"}
    assert found["mean"]["permeability"]["pore"]["z"] > 0
    assert found["mean"]["permeability"]["grain"]["z"] is None
    assert found["units"]["permeability"] == "µm²"
    assert found["std"]["particle_diameter"]["grain"] > 0
    assert json.loads(Path("table.json").read_text("utf-8")) == found
