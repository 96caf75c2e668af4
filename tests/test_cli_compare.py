import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.cli.app import COMMANDS
from kerasgan3d.folder import CARD
from kerasgan3d.report.compare import compare
from kerasgan3d.volume import Volume

PHASES = ("pore", "NMC", "CBD")
QUICK = "-n 4 --size 8 --nearest 0 --no-classifier --no-transport --workers 1"


class Generator:
    """Noise, the same for the same seed."""

    phases, voxel_size, stride = PHASES, 0.5, 4

    def sample(self, size, *, periodic=False, seed=None):
        labels = np.random.default_rng(seed).integers(3, size=(size,) * 3, dtype=np.uint8)
        return Volume(labels, PHASES, 0.5, periodic)


class Zoo:
    @staticmethod
    def list_presets():
        return ["nmc-cathode"]

    @staticmethod
    def on_hub(name):
        return None

    @staticmethod
    def path(name):
        from pathlib import Path

        return Path("preset" if name == "nmc-cathode" else name)

    @staticmethod
    def is_generator(name):
        return (Zoo.path(name) / CARD).is_file()


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """Work in a folder with a scan, a preset and volumes; count how often a generator is loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(COMMANDS, "compare", ("kerasgan3d.cli.compare", "Compare."))
    labels = np.random.default_rng(0).integers(3, size=(20, 20, 20), dtype=np.uint8)
    Volume(labels, PHASES, 0.5).save("scan.tif")
    np.save("grey.npy", np.array([0, 100, 255], np.uint8)[labels])
    (tmp_path / "volumes").mkdir()
    Volume(labels[:8, :8, :8], PHASES, 0.5).save("volumes/a.tif")
    Volume(labels[8:16, 8:16, 8:16], PHASES, 0.5).save("volumes/b.tif")
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / CARD).write_text("{}")
    statistics = {
        "phases": PHASES,
        "voxel_size": 0.5,
        "sub_volumes": {"size": 8, "dimensions": 3, "count": 9},
        "mean": {"volume_fractions": [1 / 3] * 3, "two_point_correlation": np.ones((3, 3, 5)).tolist()},
    }
    (tmp_path / "preset" / "reference.json").write_text(json.dumps(statistics))
    loaded = []
    monkeypatch.setitem(vars(kerasgan3d), "zoo", Zoo)
    monkeypatch.setitem(vars(kerasgan3d), "compare", compare)
    monkeypatch.setitem(vars(kerasgan3d), "load_generator", lambda name: loaded.append(name) or Generator())
    return loaded


def run(text):
    return CliRunner().invoke(main, ["compare", *text.split()], catch_exceptions=False)


def test_a_scan_is_compared_with_a_generator_and_written(tmp_path, place):
    result = run(f"scan.tif nmc-cathode {QUICK} --seed 5 -o a.json -o a.html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert place == ["nmc-cathode"]
    assert result.stdout.startswith("scan.tif (real, 4 sub-volumes) and generator (generated, 4)")
    assert result.stdout.endswith("wrote a.json\nwrote a.html\n")
    record = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert record["samples"] == {"real": 4, "generated": 4, "size": 8, "dimensions": 3, "seed": 5}
    assert (tmp_path / "a.html").stat().st_size > 1000


def test_json_is_the_record():
    result = run(f"scan.tif volumes {QUICK} --json")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = compare(
        "scan.tif", "volumes", count=4, size=8, nearest=0, classifier=False, transport=False, workers=1
    ).to_dict()
    found = json.loads(result.stdout)
    assert {**found, "seconds": None} == {**expected, "seconds": None}


@pytest.mark.parametrize("name", ["nmc-cathode", "preset", "preset/reference.json"])
def test_a_generators_statistics_stand_for_the_image(name):
    result = run(f"{name} scan.tif {QUICK} --json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert (record["real"]["kind"], record["generated"]["kind"]) == ("reference", "volumes")


@pytest.mark.parametrize("name", ["nmc-cathode", "preset"])
def test_a_generator_is_found_by_name_and_by_folder(place, name):
    result = run(f"scan.tif {name} {QUICK} --json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["generated"]["kind"] == "generator"
    assert place == [name]


def test_options_reach_the_comparison(monkeypatch):
    given = {}

    def record(*_, progress, **options):
        given.update(options)
        raise ValueError("that is all")

    monkeypatch.setitem(vars(kerasgan3d), "compare", record)
    text = "grey.npy preset -n 7 --size 9 --seed 3 --map 0=pore,100=NMC,255=CBD --voxel-size 0.5 --nearest 2"
    text += " --periodic-volumes 4"
    assert run(f"{text} --exclude 0:3,0:4 --workers 2 --no-transport").exit_code == 2
    assert given == {
        "count": 7,
        "size": 9,
        "seed": 3,
        "mapping": {0: "pore", 100: "NMC", 255: "CBD"},
        "voxel_size": 0.5,
        "nearest": 2,
        "periodic_volumes": 4,
        "exclude": [((0, 3), (0, 4))],
        "workers": 2,
        "transport": False,
        "classifier": True,
    }
    given.clear()
    run("scan.tif preset")
    assert given == {"mapping": None, "exclude": None, "transport": True, "classifier": True}


def test_progress_reaches_the_bar(monkeypatch):
    import importlib

    shares = []

    class Bar:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return lambda done, total: shares.append(done / total)

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(importlib.import_module("kerasgan3d.cli.compare"), "progress_bar", Bar)
    run(f"scan.tif volumes {QUICK}")
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Missing argument 'REAL'"),
        ("scan.tif", "Missing argument 'GENERATED'"),
        ("scan.tif nothing", "a generator, a volume or a folder of that name. Received: nothing. .*nmc-cathode"),
        ("missing.tif nmc-cathode", "missing.tif"),
        ("scan.tif nmc-cathode -o report.pdf", r"must end in one of \.html, \.json"),
        ("scan.tif nmc-cathode -o nowhere/report.html", "nowhere"),
        ("scan.tif nmc-cathode -o old.html", "old.html exists already.*--overwrite"),
        ("scan.tif nmc-cathode -n 1", "Invalid value for '-n'"),
        ("scan.tif nmc-cathode --size 30", r"`size` \(--size\) must be at most .*30 voxels"),
        ("scan.tif nmc-cathode --exclude 0:3", "Invalid value for '--exclude'"),
        ("scan.tif nmc-cathode --exclude 0:90,0:3", "90"),
        ("scan.tif nmc-cathode --phases a,b,c", "phases of both sides must be the same"),
        ("scan.tif nmc-cathode --voxel-size 0.6", "voxel sizes of both sides must be the same"),
        ("grey.npy nmc-cathode", "grey.npy.*--map"),
    ],
)
def test_mistakes_are_one_line_before_any_work(tmp_path, monkeypatch, text, message):
    def refuse(*_, **__):
        raise AssertionError("a volume was made")

    (tmp_path / "old.html").write_text("old")
    monkeypatch.setattr(Generator, "sample", refuse)
    before = sorted(tmp_path.iterdir())
    result = run(text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr), result.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.html").read_text() == "old"


def test_an_old_report_is_replaced_when_told(tmp_path):
    (tmp_path / "a.json").write_text("old")
    assert run(f"scan.tif volumes {QUICK} -o a.json --overwrite").exit_code == 0
    assert json.loads((tmp_path / "a.json").read_text())["format"] == 2


def test_an_output_that_is_named_twice_is_written_once():
    result = run(f"scan.tif nmc-cathode {QUICK} -o a.json -o a.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("wrote a.json") == 1


@pytest.mark.parametrize(("seconds", "said"), [(300, "kerasgan3d: this takes about 5 min on two cores\n"), (3, "")])
def test_long_work_says_how_long_it_takes(monkeypatch, seconds, said):
    def work(*_, progress, **options):
        progress(0, seconds, "sampling")
        progress(1, seconds, "sampling")
        raise ValueError("that is all")

    monkeypatch.setitem(vars(kerasgan3d), "compare", work)
    assert run("scan.tif preset").stderr == f"{said}kerasgan3d: that is all\n"


def test_the_estimate_grows_with_the_voxels():
    totals = {}
    for size in (8, 16):
        real = np.random.default_rng(0).integers(3, size=(20, 20, 20), dtype=np.uint8)
        options = {"count": 2, "voxel_size": 1, "classifier": False, "transport": False, "nearest": 0, "workers": 1}
        noted = []
        compare(real, real, size=size, progress=lambda *call, noted=noted: noted.append(call), **options)
        totals[size] = noted[0][1]
    assert totals[16] == pytest.approx(8 * totals[8])
