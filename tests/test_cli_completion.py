"""Completion by the shell, as click drives it, and defaults in help that are those of the Python functions."""

import inspect
import os
import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete, ShellComplete

import kerasgan3d
from kerasgan3d import report
from kerasgan3d.cli.app import COMMANDS, main
from kerasgan3d.cli.options import DefaultOption
from kerasgan3d.training import list_recipes


def completed(*words):
    """What completes the last of the words of a command line: (kind, text)."""
    completion = ShellComplete(main, {}, "kerasgan3d", "_KERASGAN3D_COMPLETE")
    return [(item.type, item.value) for item in completion.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("name", ["info", "sample", "interpolate", "search", "finetune"])
def test_generators_are_completed(name):
    assert completed(name, "nm") == [("dir", "nm"), ("plain", "nmc-cathode")]
    assert {("plain", preset) for preset in kerasgan3d.list_presets()} <= set(completed(name, ""))


@pytest.mark.parametrize("words", [("measure",), ("rev",), ("compare",), ("compare", "scan.tif")])
def test_files_and_generators_are_completed(words):
    assert completed(*words, "sofc") == [("file", "sofc"), ("plain", "sofc-anode")]


@pytest.mark.parametrize("name", ["train", "finetune"])
def test_recipes_are_completed(name):
    assert completed(name, "--recipe", "") == [("file", ""), *(("plain", recipe) for recipe in list_recipes())]


def test_commands_and_options_are_completed():
    assert completed("do") == [("plain", "doctor")]
    assert ("plain", "--periodic-axes") in completed("sample", "--per")
    assert ("plain", "doctor") in completed("nothing", "")  # and no error


def test_the_program_completes_without_keras():
    environment = {"_KERASGAN3D_COMPLETE": "bash_complete", "COMP_WORDS": "kerasgan3d sample nmc", "COMP_CWORD": "2"}
    code = "import sys, kerasgan3d.cli as c\ntry: c.main()\nfinally: print('keras' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == ["dir,nmc", "plain,nmc-cathode", "False"]


def test_the_line_of_the_documentation_gives_a_script(monkeypatch):
    monkeypatch.setattr(BashComplete, "_check_version", staticmethod(lambda: None))
    completion = BashComplete(main, {}, "kerasgan3d", "_KERASGAN3D_COMPLETE")
    assert "_KERASGAN3D_COMPLETE=bash_complete" in completion.source()


FUNCTIONS = {"compare": (kerasgan3d.compare,), "render": (kerasgan3d.render, report.animate_volume)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_in_help_are_those_of_python(name):
    parameters = [p for function in FUNCTIONS[name] for p in inspect.signature(function).parameters.values()]
    defaults = {p.name: p.default for p in parameters}
    told = [p for p in main.get_command(click.Context(main), name).params if isinstance(p, DefaultOption)]
    assert told
    for option in told:
        if defaults[option.name] is not None:
            assert option.show_default == str(defaults[option.name]), option.name


@pytest.mark.parametrize("name", ["train", "finetune"])
def test_the_recipe_in_help_is_that_of_python(name):
    default = inspect.signature(getattr(kerasgan3d, name)).parameters["recipe"].default
    (option,) = [p for p in main.get_command(click.Context(main), name).params if p.name == "recipe"]
    assert option.show_default == default


@pytest.mark.parametrize("name", COMMANDS)
def test_numbers_say_their_range_or_default(name):
    """No help has a default in two places."""
    ctx = click.Context(main, info_name="kerasgan3d", **main.context_settings)
    for param in main.get_command(ctx, name).params:
        if isinstance(param, click.Option) and (record := param.get_help_record(click.Context(main, parent=ctx))):
            assert record[1].lower().count("[default") <= 1, param.name
