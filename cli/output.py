"""Printing of results, and checks of output files."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from kerasgan3d.texts import json_text, printable

_UNBROKEN = 10**5  # characters: a width at which no line is broken


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json_text(value, indent=2, default=_plain))


def echo(text: Any = "", *, err: bool = False, bold: bool = False) -> None:
    """Print a text without control characters; to stderr if ``err``."""
    text = printable(str(text))
    click.echo(click.style(text, bold=True) if bold else text, err=err)


def print_facts(facts: Iterable[tuple[str, Any]], indent: str = "", err: bool = False) -> None:
    """Print (name, text) pairs in two columns, except those whose text is empty or None; to stderr if ``err``."""
    _print_columns([(name, str(text)) for name, text in facts if text not in (None, "")], None, indent, err)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Print rows of texts in aligned columns below a header."""
    _print_columns(rows, header, indent, err=False)


def _print_columns(rows, header, indent, err):
    """Print rows in columns, tables within the width of the terminal; facts stay unwrapped, to be copied."""
    from rich.console import Console  # imported here: most commands print no table, and help must appear at once
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=header is not None)
    for title in header or ():
        table.add_column(Text(printable(title)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(text), overflow="fold") for text in row))
    stream = sys.stderr if err else sys.stdout
    if header is not None and stream.isatty():
        Console(file=stream).print(Padding(table, (0, 0, 0, len(indent))))
        return
    console = Console(file=stream, width=_UNBROKEN, color_system=None)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines() if table.columns else ():
        click.echo(f"{indent}{line}".rstrip(), err=err)


def by(numbers: Iterable[float]) -> str:
    """Return sizes as text: (1, 2, 3) -> "1 x 2 x 3"."""
    return " x ".join(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers)


def in_bytes(count: float) -> str:
    """Return a number of bytes as text in decimal units: bytes, kB, MB, ..."""
    from rich.filesize import decimal

    return decimal(int(count))


def in_words(seconds: float) -> str:
    """Return a duration as text, to two digits."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 100 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Check that a file may be written.

    Raises:
        FileExistsError: if it exists and `overwrite` is false.
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"{path} exists already; choose another name, or replace it with --overwrite")


def _plain(value):
    """Convert NumPy numbers, arrays and paths to JSON types."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
