from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.folder import CARD, write_json


@pytest.fixture
def calls(monkeypatch):
    """Put a function that only notes its arguments in the place of training."""
    noted = []

    def finetune(source, data, output, *, dry_run, **options):
        noted.append({"source": source, "data": data, "output": output, "dry_run": dry_run, **options})
        return "the plan" if dry_run else Path(output) / "best"

    monkeypatch.setitem(vars(kerasgan3d), "finetune", finetune)
    return noted


def run(text):
    return CliRunner().invoke(main, ["finetune", *text.split()], catch_exceptions=False)


def options_of(name):
    command = main.get_command(click.Context(main), name)
    return {option for param in command.params if isinstance(param, click.Option) for option in param.opts}


def test_options_are_those_of_train_but_the_architecture():
    assert options_of("train") - options_of("finetune") == {"--architecture"}
    assert options_of("finetune") <= options_of("train")


def test_what_is_not_given_is_left_to_the_defaults_of_finetune(calls):
    result = run("nmc-cathode scan.tif -o run")
    assert (result.exit_code, result.stderr) == (0, "")
    (call,) = calls
    assert all(callable(call.pop(hook)) for hook in ("progress", "say", "tick"))
    assert call == {
        "source": "nmc-cathode",
        "data": Path("scan.tif"),
        "output": Path("run"),
        "resume": True,
        "dry_run": False,
    }
    best = Path("run") / "best"
    assert f"wrote {best}\ntry   kerasgan3d sample {best} --size 128 -o sample.tif\n" in result.stdout


def test_what_is_given_reaches_finetune(calls):
    run("./mine a.tif b.tif -o run --phases pore,Ni --warmup 0 --minutes 2 --axial y --name other --seed 0")
    (call,) = calls
    assert (call["source"], call["data"]) == ("./mine", [Path("a.tif"), Path("b.tif")])
    expected = {"phases": ("pore", "Ni"), "warmup": 0, "minutes": 2, "symmetry": "axial-y", "name": "other"}
    assert expected.items() <= call.items()


def test_slices_by_direction(calls):
    run("nmc-cathode --normal-z top.tif --normal-x side.tif --axial z -o run")
    assert calls[0]["data"] == {"z": ["top.tif"], "x": ["side.tif"]}


def test_a_dry_run_prints_the_plan(calls):
    assert run("nmc-cathode scan.tif -o run --dry-run").stdout == "the plan\n"


def test_what_was_held_out_is_told_at_the_end(monkeypatch, tmp_path):
    def finetune(source, data, output, **options):
        write_json({"held_out": {"error": 0.25, "error_of_training_data": 0.5, "real_difference": 1}}, tmp_path / CARD)
        return tmp_path

    monkeypatch.setitem(vars(kerasgan3d), "finetune", finetune)
    assert "error 0.250 against the held-out block, 0.500 against" in run("a scan.tif -o run --hold-out 0:8,:,:").stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Missing argument 'NAME'"),
        ("nmc-cathode scan.tif", "Missing option '-o'"),
        ("nmc-cathode -o run", "Either DATA, or slices by direction"),
        ("nmc-cathode scan.tif -o run --architecture paper", "No such option '--architecture'"),
        ("nmc-cathode scan.tif -o run --warmup -1", "Invalid value for '--warmup'"),
        ("nmc-cathode scan.tif -o run --critic-warmup 0", "--critic-warmup is of an earlier version: --warmup lets"),
        ("nmc-cathode scan.tif -o run --critic slices", "--critic is of an earlier version: a recipe's views say"),
        ("nmc-cathode scan.tif -o run --crop 64", "--crop is of an earlier version: --size is the edge of the volume"),
        ("nmc-cathode scan.tif -o run --isotropic --axial z", "not two of them"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_trained(calls, text, message):
    result = run(text)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert calls == []


def test_a_generator_that_is_not_there_is_one_line(tmp_path):
    result = run(f"nowhere {tmp_path}/scan.tif -o {tmp_path}/run")
    assert result.exit_code == 2
    assert result.stderr.startswith("kerasgan3d: there is no generator 'nowhere'")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_says_how_it_goes_on(monkeypatch):
    def finetune(source, data, output, **options):
        raise KeyboardInterrupt

    monkeypatch.setitem(vars(kerasgan3d), "finetune", finetune)
    result = run("nmc-cathode scan.tif -o run")
    assert result.exit_code == 130
    assert result.stderr == "kerasgan3d: interrupted; the same command goes on from the last checkpoint in run\n"
