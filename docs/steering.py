"""Make the figures of the page on steering again: ``python docs/steering.py [--count N] [--size N]``.

It draws a walk from one seed to another and a volume that one seed's structure becomes another's in, measures how much
changes from frame to frame, and compares volumes at t = 0.5 with ordinary ones.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats
from tables import put, write

from kerasgan3d import load_generator
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.registry import SAMPLED, places
from kerasgan3d.report import render_slices
from kerasgan3d.steering import interpolate

DOCS = Path(__file__).resolve().parent
IMAGES, PAGE, TABLE = DOCS / "images", DOCS / "steering.md", DOCS / "steering-blends.csv"
SEEDS = (1, 2)
FRAMES = 25
FIRST = 40_000  # seed of the first volume that is measured; each of the next ones counts up
HELD = [0, 0, 0, 0, 1, 1, 1, 1]


def main(name, count, size):
    """Draw, measure and write it all."""
    generator = load_generator(name)
    walk = [volume.labels for volume in interpolate(generator, SEEDS, FRAMES, size)]
    draw(generator, walk, size)
    put(PAGE, "docs/steering.py walk", walk_text(walk))
    rows = list(compare(generator, count, size))
    write(TABLE, [("measure", "phase", "ordinary", "blended", "deviation", "p"), *rows])
    put(PAGE, "docs/steering.py blends", blends_text(rows, count, size))


def draw(generator, walk, size):
    """Draw five frames of a walk, and a slice along which one structure becomes another."""
    shown = np.linspace(0, FRAMES - 1, 5).astype(int)
    slices = [(f"t = {frame / (FRAMES - 1):g}", walk[frame][size // 2]) for frame in shown]
    render_slices(slices, generator.phases, generator.voxel_size, IMAGES / "blend-frames.png")
    one, other = SEEDS
    joined = generator.sample((1, 96, 384), seed=one, blend=(other, {"x": HELD})).labels[0]
    title = f"seed {one} on the left becomes seed {other} on the right"
    render_slices([(title, joined)], generator.phases, generator.voxel_size, IMAGES / "blend-profile.png")


def walk_text(walk):
    """How much changes from frame to frame, in words."""
    steps = [float((one != other).mean()) for one, other in zip(walk, walk[1:], strict=False)]
    apart = float((walk[0] != walk[-1]).mean())
    return (
        f"Of {FRAMES} frames of {walk[0].shape[0]}³ voxels from seed {SEEDS[0]} to seed {SEEDS[1]}, "
        f"{100 * min(steps):.1f} to {100 * max(steps):.1f} % of the voxels change from one to the next; between "
        f"the two ends {100 * apart:.0f} % differ.\n"
    )


def compare(generator, count, size):
    """Yield what was measured of ordinary volumes and of volumes at t = 0.5, and p of Welch's test, row by row."""
    seeds = range(FIRST, FIRST + count)
    ordinary = [generator.sample(size, seed=seed).labels for seed in seeds]
    blended = [generator.sample(size, seed=s + count, blend=(s + 2 * count, 0.5)).labels for s in seeds]
    options = {
        "n_phases": len(generator.phases),
        "voxel_size": generator.voxel_size,
        "transport": False,
        "shapes": False,
    }
    one, other = (measure_samples(side, **options, workers=1) for side in (ordinary, blended))
    for key, row in SAMPLED.items():
        if key not in one:
            continue
        for place in places(row, generator.phases):
            a, b = (side[key][(slice(None), *place.index)] for side in (one, other))
            a, b = (values.reshape(count, -1).mean(-1) for values in (a, b))
            of = " ".join(filter(None, (place.phase, place.other, place.axis)))
            p = stats.ttest_ind(a, b, equal_var=False).pvalue if a.std() + b.std() else 1.0
            yield key, of, *(f"{value:.4g}" for value in (a.mean(), b.mean(), a.std(ddof=1))), f"{p:.3f}"


def blends_text(rows, count, size):
    """How many of the measures differ, and the fractions and areas, as a table."""
    few = sum(float(row[-1]) < 0.05 for row in rows)
    lines = [
        f"Of {len(rows)} values measured of {count} volumes of {size}³ voxels at t = 0.5 and of {count} ordinary ones, "
        f"{few} differ with p < 0.05 (Welch), where one in twenty does by chance. All of them: "
        f"[{TABLE.name}]({TABLE.name}).\n",
        "| measure | of | ordinary | t = 0.5 | deviation of one volume | p |",
        "|---|---|---|---|---|---|",
    ]
    shown = ("volume_fraction", "specific_surface_area", "triple_phase_boundary_density")
    for key, *values in rows:
        if key in shown:
            unit = "" if SAMPLED[key].unit == "1" else f", {SAMPLED[key].unit}"
            lines.append(f"| {SAMPLED[key].name}{unit} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="nmc-cathode")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    main(**vars(parser.parse_args()))
