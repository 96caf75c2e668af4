"""Say how far two draws of one scan's sub-volumes are apart: ``python docs/chance.py SCAN``.

``SCAN`` is the segmented cathode that ``nmc-cathode`` was trained on. What a hundred real sub-volumes and another
hundred differ by, no generator can be asked to beat. It takes two minutes on two cores.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import tables  # the module beside this script

from kerasgan3d import io, load_generator
from kerasgan3d.metrics.ensemble import measure_samples, random_windows

TABLE = Path(__file__).resolve().parent / "nmc-cathode-chance.csv"
PAGE = TABLE.with_name("nmc-cathode.md")
COLUMNS = ("measure", "bar", "median", "95 %", "within the bar")
SIZE, WINDOWS, DRAWN, DRAWS = 64, 400, 100, 1000
# What the generator is to reach: the largest relative difference of the means (of S2(r)/S2(0) the largest difference),
# and between what the ratios of standard deviations are to lie.
BARS = {
    "volume fractions": 0.03,
    "specific surface areas": 0.04,
    "triple-phase boundary density": 0.05,
    "relative diffusivity, {0}": 0.06,
    "relative diffusivity, {1}": 0.06,
    "S2(r)/S2(0), {0}": 0.02,
    "S2(r)/S2(0), {1}": 0.02,
    "S2(r)/S2(0), {2}": 0.02,
}
SPREAD = (0.75, 1.3)


def main(scan):
    """Measure sub-volumes, compare draws of them, write the table and put it into the page."""
    generator = load_generator("nmc-cathode")
    phases, voxel_size = generator.phases, generator.voxel_size
    labels = io.read_labels(scan, phases=phases, voxel_size=voxel_size).labels
    corners = random_windows(labels.shape, SIZE, WINDOWS, seed=12345)
    samples = [labels[tuple(slice(n, n + SIZE) for n in corner)] for corner in corners]
    measured = measure_samples(samples, n_phases=len(phases), voxel_size=voxel_size, max_lag=SIZE // 2)
    tables.write(TABLE, [COLUMNS, *rows(measured, phases)])
    tables.put(PAGE, "docs/chance.py SCAN", markdown())


def rows(measured, phases, drawn=DRAWN, draws=DRAWS):
    """Rows of the table: what two draws without common sub-volumes differ by.

    Args:
        measured: What ``measure_samples`` gives of three phases, the first two of which conduct.
        phases: Their names.
        drawn: Sub-volumes in a draw, at most half of those measured.
        draws: How many pairs of draws are compared.

    Returns:
        list of tuples of strings, one for each of ``COLUMNS``.
    """
    rng = np.random.default_rng(0)
    count = len(measured["volume_fraction"])
    pairs = [np.split(rng.permutation(count)[: 2 * drawn], 2) for _ in range(draws)]
    means, ratios = map(np.array, zip(*(_differences(measured, a, b) for a, b in pairs), strict=True))
    within = means <= np.array(list(BARS.values()))
    lines = []
    for (name, bar), values, inside in zip(BARS.items(), means.T, within.T, strict=True):
        percent = not name.startswith("S2")
        shown = [_percent(x) if percent else f"{x:.3f}" for x in (bar, np.median(values), np.quantile(values, 0.95))]
        lines.append((name.format(*phases), *shown, _percent(inside.mean(), 0)))
    alike = ((ratios >= SPREAD[0]) & (ratios <= SPREAD[1])).all(axis=1)
    farthest = np.exp(np.abs(np.log(ratios)).max(axis=1))
    shown = [f"{x:.2f}" for x in (np.median(farthest), np.quantile(farthest, 0.95))]
    name = "standard deviations of fractions and surfaces, the larger over the smaller"
    lines.append((name, f"{SPREAD[0]} to {SPREAD[1]}", *shown, _percent(alike.mean(), 0)))
    return [*lines, ("all of them at once", "", "", "", _percent((within.all(axis=1) & alike).mean(), 0))]


def markdown():
    """Return the table as the page has it."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines)) + "\n"


def _differences(measured, a, b):
    """Of two draws: what ``BARS`` are of, in that order, and the ratios of standard deviations."""

    def off(values):
        return np.abs(values[a].mean(axis=0) / values[b].mean(axis=0) - 1)

    fractions, surfaces = measured["volume_fraction"], measured["specific_surface_area"]
    curves = [measured["two_point_correlation"][draw].mean(axis=0) for draw in (a, b)]
    first, second = (curve / curve[..., :1] for curve in curves)
    means = [
        off(fractions).max(),
        off(surfaces).max(),
        off(measured["triple_phase_boundary_density"]),
        *off(measured["relative_diffusivity"].mean(axis=2))[:2],
        *np.abs(first - second).max(axis=(1, 2)),
    ]
    return means, np.concatenate([values[a].std(axis=0) / values[b].std(axis=0) for values in (fractions, surfaces)])


def _percent(share, digits=1):
    return f"{100 * share:.{digits}f} %"


if __name__ == "__main__":
    main(*sys.argv[1:])
