"""The result of a comparison: a record, its table, its files."""

import json
from pathlib import Path

import numpy as np

from kerasgan3d import io
from kerasgan3d.folder import write_json
from kerasgan3d.report.page import write_page
from kerasgan3d.report.verdict import (
    fixed,
    headline,
    largest_differences,
    means_and_deviations,
    number,
    percent,
    summary,
)

SUFFIXES = (".html", ".json")


class Comparison:
    """What `compare` found.

    `comparison["measures"]` and so on are the parts of the record; `to_dict` returns all of it.

    Attributes:
        pictures: dict of arrays for the page: "real" and "generated", lists of slices of labels, and "flux", dict of
            "real" and "generated", each from phase to the magnitude of the flux along the rows of a slice, NaN outside
            the phase.
    """

    def __init__(self, record, pictures=None):
        self._record = record
        self.pictures = pictures or {}

    def __getitem__(self, key):
        return self._record[key]

    def measure(self, key, phase=None, *, other=None, axis=None):
        """Return one entry of the measures, such as `comparison.measure("relative_diffusivity", "pore", axis="mean")`.

        Raises:
            ValueError: If there is no such entry.
        """
        for row in self._record["measures"]:
            if (row["key"], row["phase"], row["other"], row["axis"]) == (key, phase, other, axis):
                return row
        keys = ", ".join(dict.fromkeys(row["key"] for row in self._record["measures"]))
        raise ValueError(
            f"There must be a measure of that key, phase and axis. Received: {key!r}, {phase!r}, {other!r}, {axis!r}; "
            f"keys are {keys}."
        )

    def to_dict(self):
        """Return the record: a dict that JSON can hold, None for what has no value or was not computed."""
        return json.loads(json.dumps(self._record))

    def save(self, path, *, overwrite=True):
        """Write the record (.json), or a page that shows it and holds it (.html), whole or not at all.

        Raises:
            ValueError: If the suffix is neither.
            OSError: If it cannot be written.
        """
        path = check_output(path, overwrite=overwrite)
        if path.suffix.lower() == ".json":
            write_json(self._record, path)
        else:
            write_page(self.to_dict(), self.pictures, path)

    def __str__(self):
        return "\n".join(_text(self._record))

    def __repr__(self):
        return f"Comparison({self['real']['name']} and {self['generated']['name']}, {len(self['measures'])} measures)"


def check_output(path, *, overwrite=True):
    """Check that a comparison could be saved as `path`, without writing it.

    Returns:
        The path as a `pathlib.Path`.

    Raises:
        ValueError: If the suffix is neither .html nor .json.
        OSError: If it could not be written.
    """
    return io.check_writable(Path(path), overwrite=overwrite, suffixes=SUFFIXES)


def _text(record):
    """Yield the lines of a short table."""
    real, generated, samples = record["real"], record["generated"], record["samples"]
    kind = "sub-volumes" if samples["dimensions"] == 3 else "slices"
    edge = f"{samples['size']}^{samples['dimensions']}"
    yield (
        f"{real['name']} (real, {samples['real']} {kind}) and {generated['name']} (generated, {samples['generated']}), "
        f"{edge} voxels of {real['voxel_size']:g} µm"
    )
    yield ""
    header = ("measure", "phase", "real", "generated", "difference", "std ratio", "KS")
    lines = [header]
    for row in headline(record["measures"]):
        unit = "" if row["unit"] == "1" else f" ({row['unit']})"
        lines.append(
            (
                row["key"].replace("_", " ") + unit + (" *" if row["estimated"] else ""),
                row["phase"] or "",
                *means_and_deviations(row),
                percent(row["relative_difference"]),
                fixed(row["deviation_ratio"]),
                fixed(row["ks_distance"]),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
    if any(row["estimated"] for row in record["measures"]):
        yield "* estimated from slices by stereology"
    yield ""
    yield summary(record["measures"])
    yield from _tests(record)
    yield from (f"Note: {note}." for note in record["notes"])


def _tests(record):
    """Yield a line for each test that was made."""
    phases = record["real"]["phases"]
    yield "S2(r)/S2(0), largest difference: " + _per_phase(phases, largest_differences(record["two_point_correlation"]))
    sides = [side for side in ("generated", "real") if record["leaning"][side]]
    shown = [f"{side} {_per_phase(phases, record['leaning'][side]['largest'])}" for side in sides]
    yield "S2(r)/S2(0) along the two diagonals of a plane, largest difference: " + "; ".join(shown)
    if record["volumes"]:
        found = record["volumes"]
        worst = largest_differences(found["two_point_correlation"])
        yield ""
        yield (
            f"{found['count']} generated volumes of {found['size']}^3, against estimates from {found['windows']} "
            "windows:"
        )
        for row in headline(found["measures"]):
            unit = "" if row["unit"] == "1" else f" {row['unit']}"
            name = " ".join(part for part in (row["key"].replace("_", " "), row["phase"]) if part)
            real = "" if row["real_mean"] is None else f", estimate {number(row['real_mean'])}{unit}"
            difference = "" if row["relative_difference"] is None else f" ({percent(row['relative_difference'])})"
            yield f"  {name}: {number(row['generated_mean'])}{unit}{real}{difference}"
        yield "  S2(r)/S2(0) along z, y, x, largest difference: " + _per_phase(phases, worst)
        yield "  S2(r)/S2(0) between axes, largest difference: " + _per_phase(phases, found["anisotropy"])
        yield ""
    if record["classifier"]:
        found = record["classifier"]
        yield (
            f"Classifier: {found['score']:.3f} ± {found['standard_error']:.3f} of held-out slices told rightly "
            "(0.5 is chance)"
        )
    if record["nearest"]:
        found = record["nearest"]
        sides = [
            f"{side} {np.mean(found[side]):.3f} (least {min(found[side]):.3f})"
            for side in ("generated", "real")
            if found[side]
        ]
        yield f"Nearest window of the real image, share of voxels that differ: {', '.join(sides)}"
    if record["seam"]:
        p = [row["p"] for row in record["seam"]["measures"]]
        yield f"Seam against interior: smallest p {min(1.0, min(p) * len(p)):.2g}, corrected for {len(p)} tests"
    if record["lattice"]:
        found = record["lattice"]
        yield f"Lattice of {found['period']} voxels: smallest p {found['smallest_p']:.2g}, corrected"


def _per_phase(phases, values):
    return ", ".join(f"{phase} {fixed(value, 3)}" for phase, value in zip(phases, values, strict=True))
