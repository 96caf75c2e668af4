import json
import os
import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d.cli import main
from kerasgan3d.cli.app import COMMANDS

commands = pytest.mark.parametrize("name", COMMANDS)


def command(name):
    return main.get_command(click.Context(main), name)


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def failing(monkeypatch, error):
    """Let ``kerasgan3d list`` fail."""

    def fail():
        raise error

    monkeypatch.setitem(vars(kerasgan3d), "zoo", type("Zoo", (), {"list_presets": staticmethod(fail)}))


def test_the_version_is_the_packages():
    assert run("--version").stdout == f"kerasgan3d {kerasgan3d.__version__}\n"


@pytest.mark.parametrize("args", [("--help",), *((name, "--help") for name in COMMANDS)], ids=" ".join)
def test_help_loads_no_heavy_library(args):
    code = (
        "import sys\nfrom kerasgan3d.cli import main\n"
        f"try: main({list(args)})\n"
        "finally: print('loaded', *({'keras', 'tensorflow', 'numpy', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: kerasgan3d" in result.stdout
    assert result.stdout.splitlines()[-1].split() == ["loaded"]


def test_help_of_the_program_imports_no_command():
    code = "import sys\nfrom kerasgan3d.cli import main\ntry: main(['-h'])\nfinally: print(*sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {module for module, _ in COMMANDS.values()} & set(result.stdout.split())
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@commands
def test_the_table_says_what_the_command_says(name):
    _, text = COMMANDS[name]
    assert command(name).name == name
    assert command(name).help.startswith(text)


@commands
def test_every_command_and_option_has_help(name):
    text = run(name, "--help").stdout
    assert "Examples:" in text
    for param in command(name).params:
        if isinstance(param, click.Option):
            assert param.help
            assert param.hidden or param.opts[-1] in text


@commands
def test_the_examples_can_be_given(name):
    lines = [line.strip() for line in command(name).epilog.splitlines() if line.startswith("  ")]
    assert lines
    for line in lines:
        program, called, *args = shlex.split(line)
        assert (program, called) == ("kerasgan3d", name)
        command(name).make_context(name, args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("smaple",), "No such command 'smaple'. Commands: list, info, sample"),
        (
            ("render", "--tittle", "a"),
            r"No such option '--tittle'\. Did you mean '--title'\? See: kerasgan3d render --help",
        ),
        (("list", "--colour"), "No such option '--colour'.* See: kerasgan3d list --help"),
        (("info",), "Missing argument 'NAME'. See: kerasgan3d info --help"),
        (("render", "a.tif", "-o", "a.png", "--dpi", "1"), "Invalid value for '--dpi'"),
        (("render", "a.tif", "-o", "a.png", "--map", "0:pore"), "each grey value once.* Received: 0:pore"),
        (("render", "a.tif", "-o", "a.png", "--map", "0=a,0=b"), "each grey value once.* Received: 0=a,0=b"),
        (("render", "a.tif", "-o", "a.png", "--phases", "a,,b"), "names with commas between them.* Received: a,,b"),
        (("render", "a.tif", "-o", "a.png", "--voxel-size", "0"), "Invalid value for '--voxel-size'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args, message):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("kerasgan3d: ")
    assert re.search(message, result.stderr)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`size` must be\n  positive."), "kerasgan3d: `size` must be positive."),
        (FileNotFoundError("no file a.tif"), "kerasgan3d: no file a.tif"),
        (PermissionError(13, "Permission denied", "a.tif"), "kerasgan3d: Permission denied: a.tif"),
        (
            FileNotFoundError(2, "No such file or directory", "a.tif"),
            "kerasgan3d: There must be a file or folder of that name. Received: a.tif, which does not exist",
        ),
        (MemoryError(), "kerasgan3d: not enough memory."),
    ],
    ids=["value", "message", "errno", "missing", "memory"],
)
def test_errors_about_what_was_given_are_one_line_and_exit_code_2(monkeypatch, error, line):
    failing(monkeypatch, error)
    result = run("list")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{line}\n")


def test_an_interrupt_is_one_line_and_exit_code_130(monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    result = run("list")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "kerasgan3d: interrupted\n")


@pytest.mark.parametrize("error", [ValueError("wrong"), OSError("wrong")], ids=["value", "os"])
def test_debug_shows_where_an_error_arose(monkeypatch, error):
    failing(monkeypatch, error)
    assert run("--debug", "list").exception is error


@pytest.mark.parametrize("error", [KeyError("defect"), TypeError("defect")], ids=["key", "type"])
def test_defects_keep_their_traceback(monkeypatch, error):
    failing(monkeypatch, error)
    assert run("list").exception is error


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise on Windows")
def test_a_broken_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "kerasgan3d.cli", "sample", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 1


def test_signs_that_the_terminal_lacks_are_replaced():
    env = {**os.environ, "PYTHONIOENCODING": "koi8-r"}
    result = subprocess.run(
        [sys.executable, "-m", "kerasgan3d.cli", "--help"], capture_output=True, text=True, env=env, check=True
    )
    assert "lengths are in ?m." in result.stdout


def test_the_installed_script_is_this_program():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="kerasgan3d")
    assert script.load() is main


def test_without_arguments_the_help_is_shown():
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_json_is_one_document(monkeypatch):
    zoo = type("Zoo", (), {"list_presets": staticmethod(lambda: [])})
    monkeypatch.setitem(vars(kerasgan3d), "zoo", zoo)
    assert json.loads(run("list", "--json").stdout) == []


def test_an_error_line_is_never_long(monkeypatch):
    failing(monkeypatch, ValueError(f"first {'x' * 10**7} last"))
    result = run("list")
    assert result.exit_code == 2
    assert len(result.stderr) < 5000
    assert result.stderr.startswith("kerasgan3d: first x")
    assert result.stderr.endswith("x last\n")


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_ends_a_program_leaves_nothing_half_written(number, code, tmp_path):
    script = (
        "import os, pathlib, signal, sys, time\n"
        "import kerasgan3d\n"
        "from kerasgan3d.cli import main\n"
        "from kerasgan3d.files import replacing\n"
        "class Zoo:\n"
        "    def list_presets():\n"
        "        with replacing(pathlib.Path('a.json')) as temporary:\n"
        "            temporary.write_text('half')\n"
        f"            os.kill(os.getpid(), signal.{number})\n"
        "            time.sleep(60)\n"
        "vars(kerasgan3d)['zoo'] = Zoo\n"
        "main(['list'])"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (code, "kerasgan3d: interrupted\n")
    assert list(tmp_path.iterdir()) == []
