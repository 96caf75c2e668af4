"""Printing results, and the checks of output files."""

import json
from pathlib import Path

import click


def print_json(value):
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_facts(facts, indent="", err=False):
    """Print (name, text) pairs in two columns, without those whose text is empty or None; to stderr if asked to."""
    facts = [(name, printable(str(text))) for name, text in facts if text not in (None, "")]
    width = max((len(name) for name, _ in facts), default=0)
    for name, text in facts:
        first, *rest = text.splitlines()
        click.echo(f"{indent}{name:<{width}}  {first}", err=err)
        for line in rest:
            click.echo(f"{indent}{'':<{width}}  {line}", err=err)


def print_table(header, rows, indent=""):
    """Print rows of texts in columns as wide as their longest."""
    rows = [[printable(text) for text in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        click.echo(indent + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def printable(text):
    """Return text without what a terminal would obey: strangers write the facts of what is pulled."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def by(numbers):
    """Return sizes as text: (1, 2, 3) -> "1 x 2 x 3"."""
    return " x ".join(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers)


def in_bytes(count):
    """Return a number of bytes as text in kB, MB or GB, powers of ten."""
    if count < 5e4:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def refuse_existing(path, overwrite):
    """Check that a file may be written.

    Raises:
        FileExistsError: it exists, and `overwrite` is false.
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"{path} exists already; choose another name, or replace it with --overwrite")


def _plain(value):
    """Turn NumPy numbers, arrays and paths into what JSON knows."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
