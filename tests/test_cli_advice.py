"""Messages of the library that advise an argument, and the option that a command has for it."""

import click
import pytest

from kerasgan3d.cli.advice import with_options


@click.command()
@click.option("--map", "mapping")
@click.option("--resume/--restart")
def command(mapping, resume):
    pass


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("name it in `mapping` too", "name it in `mapping` (--map) too"),
        ("`mapping={0: 'pore', 9: 'a b'}`.", "`mapping={0: 'pore', 9: 'a b'}` (--map 0=pore,9=a b)."),
        ("`mapping={-1: 'a', 0: \"b's\", ...}`", "`mapping={-1: 'a', 0: \"b's\", ...}` (--map -1=a,0=b's,...)"),
        ("start afresh with `resume=False`", "start afresh with `resume=False` (--restart)"),
        ("`resume=False` (--restart)", "`resume=False` (--restart)"),
        ("pass `phases`, or `something`", "pass `phases`, or `something`"),  # which this command has not
    ],
)
def test_options_stand_beside_arguments(message, expected):
    assert with_options(message, command) == expected
    assert with_options(message, None) == message
