from pathlib import Path

import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.training.run import Report


@pytest.fixture
def calls(monkeypatch):
    """Put a function that only notes its arguments in the place of training."""
    noted = []

    def train(data, output, *, dry_run, **options):
        noted.append({"data": data, "output": output, "dry_run": dry_run, **options})
        return "the plan" if dry_run else Path(output) / "generator"

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    return noted


@pytest.fixture(autouse=True)
def completed(monkeypatch):
    """Put a list of the completed folders in the place of drawing cards and pictures."""
    folders = []
    monkeypatch.setattr(kerasgan3d.zoo, "complete", folders.append)
    return folders


def run(text):
    return CliRunner().invoke(main, ["train", *text.split()], catch_exceptions=False)


def test_what_is_not_given_is_left_to_the_defaults_of_train(calls, completed):
    result = run("scan.tif -o run")
    assert (result.exit_code, result.stderr) == (0, "")
    (call,) = calls
    assert callable(call.pop("progress"))
    assert call == {"data": Path("scan.tif"), "output": Path("run"), "resume": True, "dry_run": False}
    generator = Path("run") / "generator"
    assert completed == [generator]
    assert f"wrote {generator}\n" in result.stdout
    assert f"kerasgan3d sample {generator}" in result.stdout


def test_what_is_given_reaches_train(calls):
    run(
        "scan.tif -o run --recipe compact-slices --architecture paper --phases pore,Ni --map 0=pore,9=Ni "
        "--voxel-size 0.065 --axial z --steps 10 --minutes 1.5 --batch 4 --crop 32 --seed 5 --restart "
        "--monitor-every 2 --name anode --description fired --citation us"
    )
    (call,) = calls
    assert callable(call.pop("progress"))
    assert call == {
        "data": Path("scan.tif"),
        "output": Path("run"),
        "recipe": "compact-slices",
        "architecture": "paper",
        "phases": ("pore", "Ni"),
        "mapping": {0: "pore", 9: "Ni"},
        "voxel_size": 0.065,
        "symmetry": "axial-z",
        "steps": 10,
        "minutes": 1.5,
        "batch": 4,
        "crop": 32,
        "seed": 5,
        "resume": False,
        "monitor_every": 2,
        "name": "anode",
        "about": {"description": "fired", "citation": "us"},
        "dry_run": False,
    }


def test_boxes_are_excluded(calls, completed):
    run("slice.tif -o run --exclude 640:756,1325:1655 --exclude 0:8,:")
    assert calls[0]["exclude"] == (((640, 756), (1325, 1655)), ((0, 8), None))


def test_each_measurement_is_a_line(monkeypatch):
    def train(data, output, *, progress, **options):
        progress(Report(100, 200, 90.0, {}, {"error": 0.5}, 0.25))
        return Path(output) / "best"

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    assert "step 100 of 200, 1.5 min: error 0.500, best 0.250\n" in run("scan.tif -o run").stdout


def test_a_dry_run_prints_the_plan(calls, completed):
    assert run("scan.tif -o run --isotropic --dry-run").stdout == "the plan\n"
    assert calls[0]["dry_run"] is True
    assert "symmetry" not in calls[0]
    assert completed == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan.tif", "Missing option '-o'"),
        ("scan.tif -o run --isotropic --axial z", "not both"),
        ("scan.tif -o run --steps 0", "Invalid value for '--steps'"),
        ("scan.tif -o run --minutes 0", "Invalid value for '--minutes'"),
        ("scan.tif -o run --architecture huge", "Invalid value for '--architecture'"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_trained(calls, text, message):
    result = run(text)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert calls == []


def test_what_train_refuses_is_one_line(monkeypatch):
    def train(data, output, **options):
        raise ValueError(f"`crop` must fit into {data}. Received: 64")

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    result = run("scan.tif -o run")
    assert (result.exit_code, result.stderr) == (2, "kerasgan3d: `crop` must fit into scan.tif. Received: 64\n")
