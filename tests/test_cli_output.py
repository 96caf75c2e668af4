"""What commands print: the same plain text for every pipe and file, and tables that fit on a terminal."""

import io
import sys

import pytest

from kerasgan3d.cli.output import in_bytes, print_facts, print_table

ROWS = [("nmc", "pore, NMC", "[bold]calendered[/]"), ("b", "", "word " * 30)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_without_a_terminal_is_plain_and_never_broken(capsys, monkeypatch):
    # What rich takes for wishes of a terminal changes nothing.
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(("NAME", "PHASES", "DESCRIPTION"), ROWS, indent="  ")
    assert capsys.readouterr().out.split("\n") == [
        "  NAME  PHASES     DESCRIPTION",
        "  nmc   pore, NMC  [bold]calendered[/]",
        "  b                " + ("word " * 30).rstrip(),
        "",
    ]


def test_a_column_may_be_empty(capsys):
    print_table(("NAME", "UPDATED", ""), [("a", "2026-01-02", "")])
    assert capsys.readouterr().out == "NAME  UPDATED\na     2026-01-02\n"


def test_facts_stand_in_two_columns_without_those_that_are_not_known(capsys):
    print_facts([("wrote", "a.tif"), ("nothing", None), ("empty", ""), ("files", "one\ntwo"), ("seed", 0)], err=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "wrote  a.tif\nfiles  one\n       two\nseed   0\n"
    print_facts([])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("printed", [print_facts, lambda rows: print_table(("A", "B"), rows)], ids=["facts", "table"])
def test_nothing_that_a_terminal_would_obey_is_printed(printed, capsys):
    printed([("name", "a\x1b[31mred\x07")])
    assert "name  a\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}\n" in capsys.readouterr().out


def test_a_table_keeps_within_a_terminal_and_facts_stay_whole_to_be_copied(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", Terminal())
    print_table(("NAME", "PHASES", "DESCRIPTION"), ROWS)
    assert all(len(line.split("\x1b")[0].rstrip()) <= 40 for line in sys.stdout.getvalue().splitlines())
    assert "[bold]" in sys.stdout.getvalue()
    monkeypatch.setattr(sys, "stdout", Terminal())
    print_facts([("folder", "/" + "long/" * 20)])
    assert sys.stdout.getvalue() == f"folder  /{'long/' * 20}\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (12_345, "12.3 kB"),
        (4_200_000, "4.2 MB"),
        (1.6e9, "1.6 GB"),
        (3 * 10**12, "3.0 TB"),
    ],
)
def test_sizes_in_words(count, text):
    assert in_bytes(count) == text
