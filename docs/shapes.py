"""Make the tables of shapes in the documentation again: ``python docs/shapes.py FOLDER``.

FOLDER holds the cathode scan and the samples that Gayon-Lombardo et al. published; what is missing is left out by name.
"""

import argparse
import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import tables  # the module beside this script
import tifffile

import kerasgan3d
from kerasgan3d import metrics
from kerasgan3d.metrics.openings import count_openings, granulometry_from, reach_of
from kerasgan3d.phases import PhaseMap

TABLE = Path(__file__).resolve().with_suffix(".csv")
PAGE = TABLE.with_suffix(".md")
SCAN, PUBLISHED = "nrel-nmc-1-cal-cbd-bridge.tif", "pores4thought-published-samples-64.zip"
RADII = (2, 4, 6, 8, 10, 12, 14, 16)
MILLION = 1e6
_HEADER = ("material", "phase", *(f"r{radius}" for radius in RADII), "chord_z", "chord_y", "chord_x", "euler")
_HEADER += ("specks", "holes")


def main(arguments=None):
    """Measure what there is, write the table, and put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("folder", type=Path)
    rows = [_HEADER]
    for name, volumes, phases, periodic in _materials(parser.parse_args(arguments).folder):
        rows += _measured(name, volumes, phases, periodic)
    tables.write(TABLE, rows)
    tables.put(PAGE, "docs/shapes.py FOLDER", markdown())


def markdown():
    """Return the table as the page has it."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    head = ["", "phase", *(f"r = {radius}" for radius in RADII), "chords z / y / x", "Euler", "specks", "holes"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows[1:]:
        at = len(RADII) + 2
        cells = [*row[:at], " / ".join(row[at : at + 3]), *row[at + 3 :]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _materials(folder):
    """Yield names, volumes of one shape, phases, and whether they are periodic."""
    if (folder / SCAN).is_file():
        labels = tifffile.imread(folder / SCAN)
        half = len(labels) // 2
        for name, part in (("scan, first half", labels[:half]), ("scan, second half", labels[-half:])):
            yield name, [part], ("pore", "NMC", "CBD"), False
    else:
        print(f"left out: {SCAN}, which is not in {folder}")
    for name in ("nmc-cathode", "sofc-anode"):
        generator = kerasgan3d.load_generator(name)
        yield name, [generator.sample(192, periodic=True, seed=seed).labels for seed in (0, 1)], generator.phases, True
    if (folder / PUBLISHED).is_file():
        for name, start in (("nmc-cathode", "NMC"), ("sofc-anode", "SOFC")):
            samples = list(_published(folder / PUBLISHED, start))
            yield f"samples of [1], {name.split('-')[1]}", samples, kerasgan3d.load_generator(name).phases, False
    else:
        print(f"left out: {PUBLISHED}, which is not in {folder}")


def _published(path, start):
    """Yield the samples whose names begin so."""
    with zipfile.ZipFile(path) as archive:
        for entry in sorted(archive.namelist()):
            if entry.startswith(start):
                image = tifffile.imread(io.BytesIO(archive.read(entry)))
                # Every one holds all three phases.
                yield PhaseMap.infer(image, ("first", "second", "third")).encode(image)


def _measured(name, volumes, phases, periodic):
    """Return a row per phase: counts are added up over the volumes, numbers are means."""
    options = {"voxel_size": 1, "periodic": periodic, "n_phases": len(phases)}
    openings = sum(_openings(labels, len(phases), periodic) for labels in volumes)
    shares = granulometry_from(openings)
    chords = np.mean([metrics.chord_lengths(labels, 1, **options).mean for labels in volumes], axis=0)
    euler = np.mean([metrics.euler_characteristic(labels, **options) for labels in volumes], axis=0)
    pieces = [metrics.specks(labels, **options) for labels in volumes]
    specks, holes = (np.mean([getattr(found, key) for found in pieces], axis=0) for key in ("number", "holes"))
    return [
        (
            name,
            phase,
            *("" if np.isnan(share) else f"{share:.3f}" for share in shares[i]),
            *(f"{length:.2f}" for length in chords[i]),
            *(f"{MILLION * number[i]:.0f}" for number in (euler, specks, holes)),
        )
        for i, phase in enumerate(phases)
    ]


def _openings(labels, n_phases, periodic):
    """Count what lies in balls; of periodic volumes with what lies around them."""
    reach = reach_of(RADII) if periodic else 0
    own = tuple(slice(reach, reach + size) for size in labels.shape)
    return count_openings(np.pad(labels, reach, mode="wrap"), own, RADII, n_phases)


if __name__ == "__main__":
    main()
