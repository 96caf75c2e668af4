"""Log of a run: one line of a CSV file per measurement."""

import csv
import math

from kerasgan3d.files import replacing

_LONGEST = 2**16  # characters in a line


def log_row(step, seconds, losses, measured, found, spread):
    """Return the log line of a measurement: dict from column to text.

    Args:
        step: Steps done.
        seconds: Time of training and measurements.
        losses: dict, as reported by ``GAN3D.fit``.
        measured: Result of ``summarise`` for generated volumes.
        found: Result of ``fidelity`` for ``measured``.
        spread: Result of ``kerasgan3d.material.statistics.spread``.
    """
    mean, std = (measured[key]["volume_fraction"] for key in ("mean", "std"))
    values = dict(losses)
    values |= {f"fraction_{i}": value for i, value in enumerate(mean)}
    values |= {f"fraction_std_{i}": value for i, value in enumerate(std or [])}
    values |= {f"surface_area_error_{i}": value for i, value in enumerate(found["specific_surface_area"])}
    values |= {
        "tpb_error": found.get("triple_phase_boundary_density", 0.0),
        "s2_error": found["two_point_correlation"],
        **({"granulometry_error": found["granulometry"]} if "granulometry" in found else {}),
        "error": found["error"],
    }
    row = {"step": str(step), "seconds": f"{seconds:.1f}", **{key: f"{value:.5g}" for key, value in values.items()}}
    return row if spread is None else {**row, "spread": f"{spread:.5g}"}


def read_log(path):
    """Return the readable lines of a log: a list of dicts from column to text; empty if there is no log."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = (line for line in file.read().replace("\0", "").splitlines() if len(line) < _LONGEST)
        return [row for row in csv.DictReader(lines) if _is_row(row)]


def _is_row(row):
    """Tell whether a line holds a step and its error."""
    try:
        return (row.get("step") or "").isdecimal() and math.isfinite(float(row.get("error") or "nan"))
    except ValueError:
        return False


def write_log(rows, path):
    """Write a log completely or not at all; columns that a line lacks are empty in it."""
    columns = dict.fromkeys(key for row in rows for key in row if key is not None)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
