from pathlib import Path

import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main


@pytest.fixture
def calls(monkeypatch):
    """Put a function that only notes its arguments in the place of training."""
    noted = []

    def train(data, output, *, dry_run, **options):
        noted.append({"data": data, "output": output, "dry_run": dry_run, **options})
        return "the plan" if dry_run else Path(output) / "generator"

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    return noted


def run(text):
    return CliRunner().invoke(main, ["train", *text.split()], catch_exceptions=False)


def test_what_is_not_given_is_left_to_the_defaults_of_train(calls):
    result = run("scan.tif -o run")
    assert (result.exit_code, result.stderr) == (0, "")
    (call,) = calls
    assert call == {
        "data": Path("scan.tif"),
        "output": Path("run"),
        "resume": True,
        "dry_run": False,
        "progress": None,
    }
    generator = Path("run") / "generator"
    assert f"wrote {generator}\n" in result.stdout
    assert f"kerasgan3d sample {generator}" in result.stdout


def test_what_is_given_reaches_train(calls):
    run(
        "scan.tif -o run --recipe compact-slices --architecture paper --phases pore,Ni --map 0=pore,9=Ni "
        "--voxel-size 0.065 --axial z --steps 10 --minutes 1.5 --batch 4 --crop 32 --seed 5 --restart "
        "--monitor-every 2 --name anode"
    )
    (call,) = calls
    assert call == {
        "data": Path("scan.tif"),
        "output": Path("run"),
        "recipe": "compact-slices",
        "architecture": "paper",
        "phases": ("pore", "Ni"),
        "mapping": {0: "pore", 9: "Ni"},
        "voxel_size": 0.065,
        "through_plane": "z",
        "steps": 10,
        "minutes": 1.5,
        "batch": 4,
        "crop": 32,
        "seed": 5,
        "resume": False,
        "monitor_every": 2,
        "name": "anode",
        "dry_run": False,
        "progress": None,
    }


def test_a_dry_run_prints_the_plan(calls):
    assert run("scan.tif -o run --isotropic --dry-run").stdout == "the plan\n"
    assert calls[0]["dry_run"] is True
    assert "through_plane" not in calls[0]


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
