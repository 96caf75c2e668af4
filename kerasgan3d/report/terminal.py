"""A comparison in a terminal: verdicts, a table, a sentence per test."""

from kerasgan3d.report.names import measure_name
from kerasgan3d.report.tellings import sentences
from kerasgan3d.report.verdict import (
    LIMIT_NOTE,
    conclusion,
    fixed,
    headline,
    means_and_deviations,
    percent,
    verdict_lines,
)

_HEADER = ("measure", "phase", "real", "generated", "difference", "std ratio", "KS")


def comparison_lines(record):
    """Yield the lines that show a ComparisonRecord."""
    samples = record.samples
    kind = "sub-volumes" if samples.dimensions == 3 else "slices"
    edge = f"{samples.size}^{samples.dimensions}"
    yield (
        f"{record.real.name} (real, {samples.real} {kind}) and {record.generated.name} (generated, "
        f"{samples.generated}), {edge} voxels of {record.real.voxel_size:g} µm"
    )
    yield ""
    yield conclusion(record.verdicts, record.unit_of_samples)
    for test, outcome, text in verdict_lines(record.verdicts):
        yield f"  {outcome:<14}  {test}: {text}"
    if any(verdict.limit > verdict.bar for verdict in record.verdicts):
        yield f"  {LIMIT_NOTE}"
    yield ""
    lines = [_HEADER, *map(_row, headline(record.measures))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    for line in lines:
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
    if any(row.estimated for row in record.measures):
        yield "* estimated from slices by stereology"
    yield ""
    yield from sentences(record)
    yield from (f"Note: {note}." for note in record.notes)


def _row(row):
    unit = "" if row.unit == "1" else f" ({row.unit})"
    return (
        measure_name(row.key) + unit + (" *" if row.estimated else ""),
        row.phase or "",
        *means_and_deviations(row),
        percent(row.relative_difference),
        fixed(row.deviation_ratio),
        fixed(row.ks_distance),
    )
