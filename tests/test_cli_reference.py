from pathlib import Path

import click
import pytest

from kerasgan3d.cli.app import COMMANDS, main
from kerasgan3d.cli.reference import reference

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"


def test_the_page_is_what_the_program_says():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m kerasgan3d.cli.reference > docs/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_its_place(name):
    section = reference().split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert f"kerasgan3d {name} [OPTIONS]" in section
    for param in main.get_command(click.Context(main), name).params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.opts[-1] in section
        elif isinstance(param, click.Option):  # of an earlier version
            assert f"`{param.opts[-1]} " not in section


def test_the_page_does_not_depend_on_the_terminal(monkeypatch):
    before = reference()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference() == before
