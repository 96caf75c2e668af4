"""Make the figures of the page on steering again: ``python docs/steering.py [blends | tune | extend SCAN]``.

``blends`` draws a walk from one seed to another and a volume that one seed's structure becomes another's in, measures
how much changes from frame to frame, and compares volumes at t = 0.5 with ordinary ones. ``tune`` tunes a generator,
measures what came of it on windows of other seeds, and draws both sides; with ``--folder`` an interrupted one goes on.

``extend``, with a real scan of at least 192^3 voxels, continues one half of a block by the other half, from as many
seeds as ``--count`` says, and closes a cut of 128^3 voxels to a periodic volume of 192^3. Fits are kept in the folder,
so that the same command goes on.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats
from tables import put, write

from kerasgan3d import Volume, load_generator, tune
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.registry import SAMPLED, places
from kerasgan3d.report import render_slices
from kerasgan3d.steering import extension, interpolate

DOCS = Path(__file__).resolve().parent
IMAGES, PAGE, TABLE = DOCS / "images", DOCS / "steering.md", DOCS / "steering-blends.csv"
TUNED, TUNED_TABLE = IMAGES / "tuned.png", DOCS / "steering-tuned.csv"
WANTED, KEPT = ("D_rel.pore=+15%", "interface.NMC.pore=+10%"), "volume_fraction"
SEEDS = (1, 2)
FRAMES = 25
FIRST = 40_000  # seed of the first volume that is measured; each of the next ones counts up
BLOCK, CUT = 192, 128  # voxels per side of a real block whose half is continued, and of what is closed to such a one
HELD = [0, 0, 0, 0, 1, 1, 1, 1]


def main(what, real, name, count, size, folder):
    """Make the figures of blends, of a tuned generator, or of scans continued."""
    if what == "extend":
        extend(name, real, count or 10, folder or Path("extend-fits"))
    elif what == "tune":
        tuned(name, count or 16, size or 96, folder)
    else:
        blends(name, count or 100, size or 64)


def tuned(name, count, size, folder):
    """Tune, draw, and write what was measured."""
    with tempfile.TemporaryDirectory() as temporary:
        out = folder or Path(temporary) / "tuned"
        found = tune(name, WANTED, out, keep=KEPT, size=size, count=count, overwrite=True, say=print)
        sides = load_generator(name), load_generator(found)
    slices = [
        (title, generator.sample((1, 192, 192), seed=FIRST).labels[0])
        for title, generator in zip((name, "tuned"), sides, strict=True)
    ]
    render_slices(slices, sides[0].phases, sides[0].voxel_size, TUNED)
    measures = [(row.target, row.unit, row.before, row.after, f"{row.before_std:.4g}") for row in found.measures]
    shapes = [(shape, *values.values(), "") for shape, values in found.shapes.items() if None not in values.values()]
    rows = [
        (what, unit, f"{a:.4g}", f"{b:.4g}", f"{100 * (b / a - 1):+.1f}" if a else "", deviation)
        for what, unit, a, b, deviation in (*measures, *shapes)
    ]
    write(TUNED_TABLE, [("what", "unit", "before", "after", "change in %", "deviation of one window"), *rows])
    put(PAGE, "docs/steering.py tune", tuned_text(name, found, rows))


def tuned_text(name, found, rows):
    """What was wanted and what came of it, as a table, and what it cost."""
    score, error = (100 * found.classifier[key] for key in ("score", "standard_error"))
    lines = [
        f"`{name}` tuned to {' and '.join(WANTED)} at unchanged fractions, judged by {found.count} windows of "
        f"{found.size[0]}³ voxels of other seeds: |m|²/2 is {found.cost:.3g} per lattice point, and a classifier tells "
        f"slices of both apart in {score:.0f} ± {error:.0f} % of the cases, 50 % by chance. "
        f"All that was measured: [{TUNED_TABLE.name}]({TUNED_TABLE.name}).\n",
        "| what | unit | before | after | change, % | deviation of one window |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows[: len(found.measures)]),
        f"\n![A slice of the source and of the tuned generator](images/{TUNED.name})\n",
        "*The same seed, before and after.*",
    ]
    return "\n".join(lines) + "\n"


def blends(name, count, size):
    """Draw and measure blends."""
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
        f"In {FRAMES} frames of {walk[0].shape[0]}³ voxels from seed {SEEDS[0]} to seed {SEEDS[1]}, "
        f"{100 * min(steps):.1f} to {100 * max(steps):.1f} % of the voxels change from one frame to the next; the "
        f"first and the last frame differ in {100 * apart:.0f} %.\n"
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
        f"{few} differ with p < 0.05 (Welch's t-test); one in twenty would by chance. "
        f"[{TABLE.name}]({TABLE.name}) lists all of them.\n",
        "| measure | of | ordinary | t = 0.5 | standard deviation | p |",
        "|---|---|---|---|---|---|",
    ]
    shown = ("volume_fraction", "specific_surface_area", "triple_phase_boundary_density")
    for key, *values in rows:
        if key in shown:
            unit = "" if SAMPLED[key].unit == "1" else f", {SAMPLED[key].unit}"
            lines.append(f"| {SAMPLED[key].name}{unit} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def extend(name, real, count, fits):
    """Continue half of a real block and close a cut of it; print and write what came of both."""
    generator, fits = load_generator(name), Path(fits)
    fits.mkdir(parents=True, exist_ok=True)
    scan = Volume.load(real, phases=generator.phases, voxel_size=generator.voxel_size)
    block = scan[:BLOCK, :BLOCK, :BLOCK]
    reports, halves = continued(generator, block, count, fits)
    text = joint_text(reports) + "\n" + halves_text(generator, block, halves) + "\n" + closed(generator, scan, fits)
    print(text)
    put(PAGE, "docs/steering.py extend", text)


def continued(generator, block, count, fits):
    """Continue half of a block from several seeds: reports, and the halves that were generated."""
    half, reports, halves = BLOCK // 2, [], []
    for seed in range(FIRST, FIRST + count):
        asked = {"at": (0, 0, 0), "seed": seed, "starts": 1, "state": fits / f"half-{seed}.npz"}
        found = extension(generator, block[:, :, :half], BLOCK, **asked)
        labels = generator.sample(found.job).labels
        assert np.array_equal(labels[:, :, :half], block.labels[:, :, :half])
        reports.append(found.report)
        halves.append(labels[:, :, half:].copy())
    slices = [("real, continued to the right", np.concatenate([block.labels[half, :, :half], halves[0][half]], axis=1))]
    slices.append(("real", block.labels[half]))
    render_slices(slices, generator.phases, generator.voxel_size, IMAGES / "extend-half.png")
    return reports, halves


def joint_text(reports):
    """What lies across the joint against what lies within the scan, as a table."""
    agreement = [report["starts"][0]["touching"] for report in reports]
    lines = [
        f"Half of a real block of {BLOCK}³ voxels, continued from {len(reports)} seeds. Of the scan's voxels at the "
        f"joint the generator alone makes {100 * min(agreement):.0f} to {100 * max(agreement):.0f} % as they are.\n",
        "| measure | within the scan | across the joint | deviation over seeds | beyond two standard errors |",
        "|---|---|---|---|---|",
    ]
    for rows in zip(*(report["joint"] for report in reports), strict=True):
        values = np.array([row["joint"] for row in rows])
        beyond = sum(abs(row["deviations"] or 0) > 2 for row in rows)
        lines.append(
            f"| {rows[0]['measure']} | {rows[0]['known']:.4f} | {values.mean():.4f} | {values.std():.4f} | "
            f"{beyond} of {len(rows)} |"
        )
    return "\n".join(lines) + "\n"


def halves_text(generator, block, halves):
    """Continued halves against the real other half and ordinary volumes, as a table."""
    half = BLOCK // 2
    ordinary = [generator.sample((BLOCK, BLOCK, half), seed=FIRST + i + len(halves)).labels for i in range(len(halves))]
    options = {"n_phases": len(generator.phases), "voxel_size": generator.voxel_size}
    options |= {"transport": False, "shapes": False, "workers": 1}
    real, one, other = (measure_samples(side, **options) for side in ([block.labels[:, :, half:]], halves, ordinary))
    lines = ["| measure | of | real other half | continued | ordinary |", "|---|---|---|---|---|"]
    for key, row in SAMPLED.items():
        for place in places(row, generator.phases) if key in one else ():
            sides = (side[key][(slice(None), *place.index)] for side in (real, one, other))
            means = [values.reshape(len(values), -1).mean(-1) for values in sides]
            told = (f"{v.mean():.4g}" + (f" ± {v.std(ddof=1):.2g}" if len(v) > 1 else "") for v in means)
            of = " ".join(filter(None, (place.phase, place.other, place.axis)))
            lines.append(f"| {row.name}{'' if row.unit == '1' else f', {row.unit}'} | {of} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def closed(generator, scan, fits):
    """Close a cut of a scan to a periodic volume, in words."""
    cut, began = scan[:CUT, :CUT, :CUT], time.perf_counter()
    found = extension(generator, cut, BLOCK, periodic=True, seed=FIRST, state=fits / "closed.npz")
    volume, seconds = generator.sample(found.job), time.perf_counter() - began
    first = (BLOCK - CUT) // 2
    assert np.array_equal(volume.labels[(slice(first, first + CUT),) * 3], cut.labels)
    across = generator.windows(found.job)((BLOCK - 8, 0, 0), (16, BLOCK, BLOCK))
    assert np.array_equal(across, np.concatenate([volume.labels[-8:], volume.labels[:8]]))
    twice = np.tile(volume.labels[BLOCK // 2], (1, 2))
    title = "a real cut, closed, twice side by side"
    render_slices([(title, twice)], generator.phases, generator.voxel_size, IMAGES / "extend-closed.png")
    best = found.report["starts"][found.report["chosen"]]
    return (
        f"A real cut of {CUT}³ voxels becomes a periodic volume of {BLOCK}³ in {seconds / 60:.1f} min where no fit is "
        f"kept; {100 * best['touching']:.0f} % of its outermost voxels agree with what the generator alone makes.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="blends", choices=("blends", "tune", "extend"))
    parser.add_argument("real", nargs="?", help="a real scan, for extend")
    parser.add_argument("--name", default="nmc-cathode")
    parser.add_argument("--count", type=int, help="volumes: 100 of blends, 16 to tune; 10 seeds to extend")
    parser.add_argument("--size", type=int, help="voxels: 64 of blends, 96 to tune")
    parser.add_argument("--folder", type=Path, help="where the tuned generator, or what was fitted, is kept")
    main(**vars(parser.parse_args()))
