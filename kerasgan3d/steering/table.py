"""The table of a search: a CSV file that grows row by row, from which an interrupted search resumes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kerasgan3d.files import replacing
from kerasgan3d.lock import FolderLock

_FIRST = ("rank", "score", "window", "seed", "z", "y", "x")
_WINDOW = _FIRST.index("window")
_LAST = "asked"


class Table:
    """Measured values of windows by their numbers, in a file.

    Every row holds a digest of what was asked, so that a file of another search is told; one that was not written to
    its end is measured again. Ranks and scores are there once the search is done.

    Args:
        path: The file, .csv.
        names: What is measured.
        asked: The digest of what was asked.
        overwrite: Whether a file of another search, or anything else, is replaced.

    Attributes:
        rows: What the file has: number of a window to its values.

    Raises:
        ValueError: if the path is no .csv file, or the file there is of another search.
        OSError: if another process writes it, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str], asked: str, *, overwrite: bool = False):
        self.path, self._asked = Path(path), asked
        if self.path.suffix.lower() != ".csv":
            raise ValueError(f"a table must be a .csv file. Received: {path}.")
        self._columns = [*_FIRST, *names, _LAST]
        self._lock = FolderLock(self.path.with_name(f"{self.path.name}.lock"), self.path)
        self.rows = {} if overwrite or not self.path.exists() else self._read()
        if not self.rows:
            self._write(())

    def append(self, number: int, seed: int, offset: Sequence[int], values: Sequence[float]) -> None:
        """Add a window; its row is on the disk when this returns."""
        line = self._line("", "", number, seed, offset, values)
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.rows[number] = list(values)

    def finish(self, ranked: Iterable[tuple[float, int, int, Sequence[int], Sequence[float]]]) -> None:
        """Rewrite all windows in ranked order: score, number, seed, offset and values of each."""
        self._write(self._line(rank, score, *row) for rank, (score, *row) in enumerate(ranked, start=1))

    def close(self) -> None:
        """Release the file for other writers."""
        self._lock.release()

    def _write(self, lines: Iterable[str]) -> None:
        with replacing(self.path) as temporary:
            temporary.write_text(_text(self._columns) + "".join(lines), "utf-8", newline="")

    def _line(self, rank, score, number, seed, offset, values):
        return _text([rank, score, number, seed, *offset, *map(repr, map(float, values)), self._asked])

    def _read(self) -> dict[int, list[float]]:
        """Read the existing rows; an incomplete last row is dropped."""
        try:
            text = self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        whole = text[: text.rfind("\n") + 1]
        header, *rows = list(csv.reader(io.StringIO(whole))) or [[]]
        try:
            if header != self._columns or any(row[-1:] != [self._asked] for row in rows):
                raise ValueError
            values = {int(row[_WINDOW]): list(map(float, row[len(_FIRST) : -1])) for row in rows}
        except ValueError:
            raise ValueError(
                f"{self.path} holds something else than this search: another generator, seed, size or measures. "
                "Choose another name, or pass `overwrite=True`."
            ) from None
        if whole != text:
            os.truncate(self.path, len(whole.encode("utf-8")))
        return values


def _text(row: Iterable[object]) -> str:
    """Return a row as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue()
