import ast

import click
import pytest
from click.testing import CliRunner

from kerasgan3d.cli.options import Axes, Box, Mapping, NumbersCommand, Phases, RealNumber, Size, WholeNumber


@click.command(cls=NumbersCommand)
@click.argument("name")
@click.option("--size", type=Size())
@click.option("--axes", type=Axes())
@click.option("--offset", type=int, nargs=3)
@click.option("-o", "--output")
def show(**values):
    """Print what was given."""
    click.echo(repr({key: value for key, value in values.items() if value is not None}))


def parsed(*args):
    result = CliRunner().invoke(show, args)
    assert result.exit_code == 0, result.output
    return ast.literal_eval(result.stdout)


@pytest.mark.parametrize(
    "args",
    [
        ("a", "--size", "64", "256", "128", "-o", "b"),
        ("--size", "64", "256", "128", "a", "-o", "b"),
        ("-o", "b", "a", "--size", "64", "256", "128"),
        ("a", "-o", "b", "--size", "64 256 128"),
        ("a", "-o", "b", "--size=64,256,128"),
        ("a", "-o", "b", "--size", "64x256x128"),
        ("-o", "b", "--size", "64", "256", "128", "--", "a"),
    ],
    ids=" ".join,
)
def test_three_sizes_can_stand_anywhere(args):
    assert parsed(*args) == {"name": "a", "size": (64, 256, 128), "output": "b"}


def test_one_size_is_a_cube():
    assert parsed("--size", "128", "a") == {"name": "a", "size": (128, 128, 128)}


def test_negative_offsets_are_numbers_and_not_options():
    assert parsed("a", "--offset", "-16", "0", "8", "--size", "5") == {
        "name": "a",
        "offset": (-16, 0, 8),
        "size": (5, 5, 5),
    }


@pytest.mark.parametrize(
    "numbers",
    ["0", "-1", "64 0 64", "64 64", "1 2 3 4", "64 -1 64", "2.5", "1e3", "many", "9999999999"],
)
def test_wrong_sizes_are_refused_with_what_came(numbers):
    result = CliRunner().invoke(show, ["a", "--size", *numbers.split()])
    assert result.exit_code == 2
    assert "must be one or three whole numbers of voxels (z y x), each at least 1." in result.output
    assert f"Received: {numbers}" in result.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zyx", (True, True, True)),
        ("yx", (False, True, True)),
        ("X,y", (False, True, True)),
        ("z", (True, False, False)),
    ],
)
def test_axes(text, expected):
    assert Axes().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "zz", "w", "0"])
def test_wrong_axes_are_refused(text):
    with pytest.raises(click.BadParameter, match="letters z, y and x, each once"):
        Axes().convert(text, None, None)


def test_phases():
    assert Phases().convert("pore, NMC,CBD", None, None) == ("pore", "NMC", "CBD")


def test_mapping():
    assert Mapping().convert("0=pore, 127 = NMC,-1=a=b", None, None) == {0: "pore", 127: "NMC", -1: "a=b"}


@pytest.mark.parametrize("text", ["", "pore", "0=", "=pore", "x=pore", "0=pore,0=NMC", "0.5=pore", "0=pore,"])
def test_wrong_mappings_are_refused(text):
    with pytest.raises(click.BadParameter, match="each grey value once"):
        Mapping().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("640:756,1325:1655", ((640, 756), (1325, 1655))),
        (":,0:10,5:6", (None, (0, 10), (5, 6))),
        (" 1:2 , : ", ((1, 2), None)),
    ],
)
def test_boxes(text, expected):
    assert Box().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "1:2", "1,2", "1:2,3:4,5:6,7:8", "-1:2,0:4", "a:b,0:1"])
def test_wrong_boxes_are_refused(text):
    with pytest.raises(click.BadParameter, match="one start:stop in voxels per axis"):
        Box().convert(text, None, None)


@pytest.mark.parametrize(
    ("kind", "text", "rule"),
    [
        (WholeNumber(1), "0", "a whole number of at least 1"),
        (WholeNumber(1), "many", "a whole number of at least 1"),
        (WholeNumber(1), "2.5", "a whole number of at least 1"),
        (WholeNumber(0, 9), "-1", "a whole number from 0 to 9"),
        (RealNumber(min=0, min_open=True), "0", "a number above 0"),
        (RealNumber(0, 1, min_open=True, max_open=True), "95", "a number above 0 and below 1"),
        (RealNumber(0.1, 50), "x", "a number from 0.1 to 50"),
        (RealNumber(max=5), "6", "a number of at most 5"),
    ],
)
def test_numbers_out_of_bounds_are_refused_with_the_rule(kind, text, rule):
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert refused.value.message == f"must be {rule}. Received: {text}"


def test_numbers_within_bounds_are_taken():
    assert WholeNumber(0, 9).convert("9", None, None) == 9
    assert RealNumber(0, 1, min_open=True).convert("1", None, None) == 1.0
