import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.cli.progress import Heartbeat
from kerasgan3d.folder import CARD, write_json
from kerasgan3d.training.monitor import Report


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Put a function that only notes its arguments in the place of training."""
    noted = []

    def train(data, output, *, dry_run, **options):
        if "hold_out" in options:
            facts = {"error": 0.25, "error_of_training_data": 0.125, "real_difference": 0.0625}
            (tmp_path / "generator").mkdir()
            write_json({"held_out": facts}, tmp_path / "generator" / CARD)
            noted.append({"data": data, "output": output, "dry_run": dry_run, **options})
            return tmp_path / "generator"
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
    assert all(callable(call.pop(hook)) for hook in ("progress", "say", "tick"))
    assert call == {"data": Path("scan.tif"), "output": Path("run"), "resume": True, "dry_run": False}
    generator = Path("run") / "generator"
    assert completed == [generator]
    assert f"wrote {generator}\n" in result.stdout
    assert f"kerasgan3d sample {generator}" in result.stdout


def test_what_is_given_reaches_train(calls):
    run(
        "scan.tif -o run --recipe compact-slices --architecture paper --phases pore,Ni --map 0=pore,9=Ni "
        "--voxel-size 0.065 --axial z --steps 10 --minutes 1.5 --batch 4 --size 32 --seed 5 --restart "
        "--monitor-every 2 --name anode --description fired --citation us --patience 3 --loss hinge --warmup 7 "
        "--precision mixed_bfloat16 --devices 2 --mask m.tif --hold-out 0:8,:,2:9 --resample-to 0.5 --tensorboard "
        "--tolerance 0 --fill-gaps"
    )
    (call,) = calls
    assert all(callable(call.pop(hook)) for hook in ("progress", "say", "tick"))
    assert call == {
        "data": Path("scan.tif"),
        "output": Path("run"),
        "recipe": "compact-slices",
        "architecture": "paper",
        "phases": ("pore", "Ni"),
        "mapping": {0: "pore", 9: "Ni"},
        "voxel_size": 0.065,
        "tolerance": 0,
        "fill_gaps": True,
        "symmetry": "axial-z",
        "steps": 10,
        "minutes": 1.5,
        "batch": 4,
        "size": 32,
        "seed": 5,
        "resume": False,
        "monitor_every": 2,
        "name": "anode",
        "about": {"description": "fired", "citation": "us"},
        "patience": 3,
        "loss": "hinge",
        "warmup": 7,
        "precision": "mixed_bfloat16",
        "devices": 2,
        "mask": Path("m.tif"),
        "hold_out": ((0, 8), None, (2, 9)),
        "resample_to": 0.5,
        "tensorboard": True,
        "dry_run": False,
    }


def test_what_was_held_out_is_told_at_the_end(calls):
    result = run("scan.tif -o run --hold-out 0:8,:,:")
    assert "error 0.250 against the held-out block, 0.125 against the training data; the two differ by 0.062" in (
        result.stdout
    )


def test_several_slices_and_slices_by_direction(calls):
    run("a.tif b.tif -o run")
    run("--normal-z top/*.tif --normal-x a.tif --normal-x b.tif --axial z -o run")
    run("scan.tif -o run --orthotropic")
    assert calls[0]["data"] == [Path("a.tif"), Path("b.tif")]
    assert calls[1]["data"] == {"z": ["top/*.tif"], "x": ["a.tif", "b.tif"]}
    assert [call.get("symmetry") for call in calls] == [None, "axial-z", "orthotropic"]


def test_an_interrupted_run_says_how_it_goes_on(monkeypatch):
    def train(data, output, **options):
        raise KeyboardInterrupt

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    result = run("scan.tif -o run")
    assert result.exit_code == 130
    assert result.stderr == "kerasgan3d: interrupted; the same command goes on from the last checkpoint in run\n"


def test_boxes_are_excluded(calls, completed):
    run("slice.tif -o run --exclude 640:756,1325:1655 --exclude 0:8,:")
    assert calls[0]["exclude"] == (((640, 756), (1325, 1655)), ((0, 8), None))


def test_each_measurement_is_a_line(monkeypatch):
    def train(data, output, *, progress, **options):
        progress(Report(100, 200, 90.0, {}, {"error": 0.5}, 0.25, 0.9))
        return Path(output) / "best"

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    assert (
        "step 100 of 200, 1.5 min: error 0.500, best 0.250, spread 0.90 of the data's\n"
        in run("scan.tif -o run").stdout
    )


def test_a_dry_run_prints_the_plan(calls, completed):
    assert run("scan.tif -o run --isotropic --dry-run").stdout == "the plan\n"
    assert calls[0]["dry_run"] is True
    assert "symmetry" not in calls[0]
    assert completed == []


def test_a_plan_has_options_beside_arguments(monkeypatch):
    plan = "scale    another scale to learn, or set `resample_to` to 0.75"
    monkeypatch.setitem(vars(kerasgan3d), "train", lambda *args, **options: plan)
    assert run("scan.tif -o run --dry-run").stdout.endswith(" or set `resample_to` (--resample-to) to 0.75\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan.tif", "Missing option '-o'"),
        ("scan.tif -o run --isotropic --axial z", "not two of them"),
        ("scan.tif -o run --orthotropic --axial z", "not two of them"),
        ("-o run", "Either DATA, or slices by direction"),
        ("scan.tif -o run --normal-z top.tif", "Either DATA, or slices by direction"),
        ("scan.tif -o run --patience 0", "Invalid value for '--patience'"),
        ("scan.tif -o run --hold-out 5", "Invalid value for '--hold-out'"),
        ("scan.tif -o run --resample-to 0", "Invalid value for '--resample-to'"),
        ("scan.tif -o run --steps 0", "Invalid value for '--steps'"),
        ("scan.tif -o run --minutes 0", "Invalid value for '--minutes'"),
        ("scan.tif -o run --architecture huge", "Invalid value for '--architecture'"),
        ("scan.tif -o run --architecture wide", "Invalid value for '--architecture'"),
        ("scan.tif -o run --loss huber", "Invalid value for '--loss'"),
        ("scan.tif -o run --warmup -1", "Invalid value for '--warmup'"),
        ("scan.tif -o run --critic volumes", "--critic is of an earlier version: a recipe's views say what critics"),
        ("scan.tif -o run --crop 64", "--crop is of an earlier version: --size is the edge of the volume"),
        ("scan.tif -o run --critic-warmup 9", "--critic-warmup is of an earlier version: --warmup lets the generator"),
        ("scan.tif -o run --crop", "--crop"),
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
        raise ValueError(f"`size` must fit into {data}. Received: 64")

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    result = run("scan.tif -o run")
    assert (result.exit_code, result.stderr) == (
        2,
        "kerasgan3d: `size` (--size) must fit into scan.tif. Received: 64\n",
    )


@pytest.mark.parametrize("name", ["r1-slices", "equivariant-slices", "wgan-gp", "settle"])
def test_recipes_of_earlier_versions_name_what_replaces_them(tmp_path, name):
    result = run(f"{tmp_path}/scan.tif -o {tmp_path}/run --recipe {name}")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert re.search(rf"recipe {name!r} is of an earlier version. Set `(recipe|loss)` \(--\1\) to '", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_an_earlier_version_is_one_line_before_anything_else(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.npz").write_bytes(b"of another version")
    write_json({"recipe": {"name": "r1-slices", "crop": 64}}, tmp_path / "run" / "run.json")
    for command in ("train", "finetune nowhere"):
        text = f"{command} {tmp_path}/nothing.tif -o {tmp_path}/run --recipe r1-slices"
        result = CliRunner().invoke(main, text.split(), catch_exceptions=False)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "holds a run of kerasgan3d 0.1, which that version resumes" in result.stderr


def test_parts_of_the_work_are_said_and_silence_is_broken(monkeypatch):
    def train(data, output, *, say, tick, progress, **options):
        say("data     scan.tif\nphases   pore 1.000")
        say("measuring the data")
        time.sleep(0.3)
        tick(1, 40)
        time.sleep(0.3)
        return Path(output) / "best"

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    monkeypatch.setattr(Heartbeat.__init__, "__defaults__", (0.1,))
    result = run("scan.tif -o run")
    assert result.stdout.startswith("data     scan.tif\nphases   pore 1.000\nmeasuring the data\nwrote run")
    said = result.stderr.splitlines()
    assert "training: measuring the data, 0.0 min so far" in said
    assert "training: 1 of 40 done, 0.0 min so far" in said


def test_a_dry_run_has_no_parts_to_say(calls):
    run("scan.tif -o run --dry-run")
    assert calls[0]["say"] is None


def test_json_is_alone_on_stdout(calls, monkeypatch, tmp_path):
    card = {"name": "anode", "phases": ["pore", "Ni"], "training": {"step": 10}, "fidelity": {}, "weights": {}}

    def train(data, output, *, progress, **options):
        progress("step 10")
        write_json(card, tmp_path / CARD)
        return tmp_path

    monkeypatch.setitem(vars(kerasgan3d), "train", train)
    result = run("scan.tif -o run --json")
    assert result.exit_code == 0
    assert "step 10" in result.stderr
    found = json.loads(result.stdout)
    assert (found["folder"], found["run"], found["name"]) == (str(tmp_path), "run", "anode")
    assert (found["training"], found["held_out"]) == ({"step": 10}, None)


def test_a_plan_as_json(calls, monkeypatch):
    plan = "data     scan.tif: 9 x 9 x 9\nnote     a\nnote     b  c\nsteps    10 of 1"
    monkeypatch.setitem(vars(kerasgan3d), "train", lambda *args, **options: plan)
    result = run("scan.tif -o run --dry-run --json")
    assert json.loads(result.stdout) == {"data": "scan.tif: 9 x 9 x 9", "steps": "10 of 1", "notes": ["a", "b c"]}
