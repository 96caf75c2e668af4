"""Tables of numbers as .csv, .json and .parquet."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasgan3d.extras import library
from kerasgan3d.files import replacing

SUFFIXES = (".csv", ".json", ".parquet")


def check_table(path: str | os.PathLike[str]) -> Path:
    """Return the path of a table, or say which suffixes there are, or what is missing to write it."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"the name of a table must end in {', '.join(SUFFIXES)}. Received: {path}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder of the table must exist; make it first. Received: {path.parent}")
    if path.suffix.lower() == ".parquet":
        library("pyarrow", "tables", "a table as .parquet")
    return path


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of one length, by their names, as .csv or .parquet."""
    with replacing(path) as temporary:
        if path.suffix.lower() == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerows([columns, *zip(*columns.values(), strict=True)])
            return
        pyarrow, parquet = (library(name, "tables", "a table as .parquet") for name in ("pyarrow", "pyarrow.parquet"))
        parquet.write_table(pyarrow.table(dict(columns)), temporary)
