"""`Comparison`: the result of a comparison, with its record, its files and its table in a terminal."""

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
    """Result of `compare`.

    ``comparison["measures"]`` and so on are the parts of the record in their JSON form; `to_dict` returns all of it.

    Attributes:
        record: ComparisonRecord with all results.
        pictures: dict of arrays for the report: "real" and "generated", lists of slices of labels, and "flux", dict of
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
            FileNotFoundError, ValueError: If the file is missing, or is not a comparison.
        """
        return cls(ComparisonRecord.from_dict(read_json(Path(path))))

    @property
    def verdicts(self) -> list[Verdict]:
        """All tests with their verdicts, worst first."""
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
        """Return the record as a JSON-serialisable dict, with None for missing and uncomputed values."""
        return self.record.to_dict()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write the record (.json), or a report that shows and contains it (.html), completely or not at all.

        Raises:
            ValueError: If the suffix is neither.
            OSError: If the file cannot be written.
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
    """Check that a comparison can be saved as `path`, without writing it.

    Returns:
        The path as a `pathlib.Path`.

    Raises:
        ValueError: If the suffix is neither .html nor .json.
        OSError: If the file could not be written.
    """
    return io.check_writable(Path(path), overwrite=overwrite, suffixes=SUFFIXES)
