"""The result of a comparison: its record, its files, and its table in a terminal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kerasgan3d import io
from kerasgan3d.folder import read_json, write_json
from kerasgan3d.report.displays import comparison_html
from kerasgan3d.report.page import write_page
from kerasgan3d.report.record import ComparisonRecord, MeasureRow, Verdict
from kerasgan3d.report.terminal import comparison_lines
from kerasgan3d.texts import printable

SUFFIXES = (".html", ".json")


class Comparison:
    """What `compare` found.

    ``comparison["measures"]`` and so on are the parts of the record as JSON has them; `to_dict` returns all of it.

    Attributes:
        record: ComparisonRecord, all that was found.
        pictures: dict of arrays for the page: "real" and "generated", lists of slices of labels, and "flux", dict of
            "real" and "generated", each from phase to the magnitude of the flux along the rows of a slice, NaN outside
            the phase; "volumes", of either side that has any the first (z, y, x), whose slices the page browses.
    """

    def __init__(self, record: ComparisonRecord, pictures: dict[str, Any] | None = None):
        self.record = record
        self.pictures = pictures or {}
        self._content: dict[str, Any] | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Comparison:
        """Read a comparison that was saved as .json, by this version or an earlier one.

        Raises:
            FileNotFoundError, ValueError: If it is missing, or no such file.
        """
        return cls(ComparisonRecord.from_dict(read_json(Path(path))))

    @property
    def verdicts(self) -> list[Verdict]:
        """Every test with its verdict, the worst first."""
        return self.record.verdicts

    def measure(
        self, key: str, phase: str | None = None, *, other: str | None = None, axis: str | None = None
    ) -> MeasureRow:
        """Return one row of the measures, such as ``comparison.measure("relative_diffusivity", "pore", axis="mean")``.

        Raises:
            ValueError: If there is no such row.
        """
        return self.record.measure(key, phase, other=other, axis=axis)

    def __getitem__(self, key: str) -> Any:
        if self._content is None:
            self._content = self.to_dict()
        return self._content[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the record: a dict that JSON can hold, None for what has no value or was not computed."""
        return self.record.to_dict()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write the record (.json), or a page that shows it and holds it (.html), whole or not at all.

        Raises:
            ValueError: If the suffix is neither.
            OSError: If it cannot be written.
        """
        path = check_output(path, overwrite=overwrite)
        if path.suffix.lower() == ".json":
            write_json(self.to_dict(), path)
        else:
            write_page(self.record, self.pictures, path)

    def _repr_html_(self) -> str:
        return comparison_html(self)

    def __str__(self) -> str:
        return printable("\n".join(comparison_lines(self.record)))

    def __repr__(self) -> str:
        record = self.record
        return f"Comparison({record.real.name} and {record.generated.name}, {len(record.measures)} measures)"


def check_output(path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Check that a comparison could be saved as `path`, without writing it.

    Returns:
        The path as a `pathlib.Path`.

    Raises:
        ValueError: If the suffix is neither .html nor .json.
        OSError: If it could not be written.
    """
    return io.check_writable(Path(path), overwrite=overwrite, suffixes=SUFFIXES)
