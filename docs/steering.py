"""Make the figures of the page on steering: ``python docs/steering.py [blends | search | reach | tune | extend SCAN]``.

``blends`` draws a walk from one seed to another and a volume that one seed's structure becomes another's in, measures
how much changes from frame to frame, and compares volumes at t = 0.5 with ordinary ones. ``tune`` tunes a generator,
measures what came of it on windows of other seeds, and draws both sides, for each target alone; with ``--folder`` an
interrupted one goes on, and ``--target`` says what to instead.

``search`` says how far the best of many windows lies from their mean; with ``--folder`` an interrupted one goes on.

``reach`` takes gradients over many volumes, and says what mean of the noise the wishes of ``tune`` would need if
measures followed these. It takes a minute.

``extend``, with a real scan of at least 192^3 voxels, continues one half of a block by the other half, from as many
seeds as ``--count`` says, and closes a cut of 128^3 voxels to a periodic volume of 192^3; with ``--size N`` a block of
N^3, and a cut of two thirds. Fits are kept in the folder, so that the same command goes on. It says how long it takes.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
from tables import put, tested, write

from kerasgan3d import Volume, load_generator, search, tune
from kerasgan3d.metrics.ensemble import measure_samples
from kerasgan3d.metrics.registry import SAMPLED, places
from kerasgan3d.models.shift import Shifted
from kerasgan3d.report import render_slices
from kerasgan3d.steering import extension, interpolate
from kerasgan3d.steering.slopes import Slopes
from kerasgan3d.steering.targets import as_targets

DOCS = Path(__file__).resolve().parent
IMAGES, PAGE, TABLE = DOCS / "images", DOCS / "steering.md", DOCS / "steering-blends.csv"
TUNED_TABLE = DOCS / "steering-tuned.csv"
SOUGHT = ("D_rel.pore.z>+0%", "ssa.NMC>+0%")  # the window that exceeds means by most
WANTED, KEPT = ("D_rel.pore=+15%", "interface.NMC.pore=+10%"), "volume_fraction"
SHARES = (0.05, 0.1, 0.15)  # by which what is wanted is to change, where its cost is told from gradients
SEEDS = (1, 2)
FRAMES = 25
FIRST = 40_000  # seed of the first volume that is measured; each of the next ones counts up
BLOCK = 192  # voxels per side of a real block whose half is continued; a cut of two thirds is closed to such a one
STEPS = 100  # of each fit
HELD = [0, 0, 0, 0, 1, 1, 1, 1]


def main(what, real, name, count, size, folder, target):
    """Make the figures of blends, of a tuned generator, or of scans continued."""
    if what == "extend":
        extend(name, real, count or 10, size or BLOCK, folder or Path("extend-fits"))
    elif what == "tune":
        tuned(name, target or WANTED, count or 16, size or 96, folder)
    elif what == "search":
        put(PAGE, "docs/steering.py search", searched(name, count or 1000, size or 64, folder))
    elif what == "reach":
        put(PAGE, "docs/steering.py reach", reach_text(name, *gradients(name, count or 96, size or 48)))
    else:
        blends(name, count or 100, size or 64)


def tuned(name, wishes, count, size, folder):
    """Tune to each wish alone, draw, and write what was measured."""
    lines, texts = [("wish", "what", "unit", "before", "after", "change in %", "deviation of one window")], []
    with tempfile.TemporaryDirectory() as temporary:
        for wish in wishes:
            out = Path(folder or temporary) / f"tuned-{measure_of(wish)}"
            out.parent.mkdir(parents=True, exist_ok=True)
            found = tune(name, wish, out, keep=KEPT, size=size, count=count, overwrite=True, say=print)
            rows = tuned_rows(found)
            draw_tuned(name, found, wish)
            lines += [(wish, *row) for row in rows]
            texts.append(tuned_text(name, wish, found, rows))
    write(TUNED_TABLE, lines)
    put(PAGE, "docs/steering.py tune", "\n".join(texts))


def measure_of(wish):
    """The measure that a wish is of."""
    return wish.split("=")[0]


def picture_of(wish):
    """Path of the picture of what was tuned to a wish."""
    return IMAGES / f"tuned-{measure_of(wish)}.png"


def tuned_rows(found):
    """What was wanted and kept, and shapes, before and after, as texts."""
    measures = [(row.target, row.unit, row.before, row.after, f"{row.before_std:.4g}") for row in found.measures]
    shapes = [(shape, *values.values(), "") for shape, values in found.shapes.items() if None not in values.values()]
    return [
        (what, unit, f"{a:.4g}", f"{b:.4g}", f"{100 * (b / a - 1):+.1f}" if a else "", deviation)
        for what, unit, a, b, deviation in (*measures, *shapes)
    ]


def draw_tuned(name, found, wish):
    """Draw a slice of the same seed before and after."""
    sides = load_generator(name), load_generator(found)
    slices = [
        (title, generator.sample((1, 192, 192), seed=FIRST).labels[0])
        for title, generator in zip((name, f"tuned: {wish}"), sides, strict=True)
    ]
    render_slices(slices, sides[0].phases, sides[0].voxel_size, picture_of(wish))


def tuned_text(name, wish, found, rows):
    """What was wanted and what came of it, as a table, and what it cost."""
    score, error = (100 * found.classifier[key] for key in ("score", "standard_error"))
    lines = [
        f"`{name}` tuned to {wish} at unchanged fractions, judged by {found.count} windows of "
        f"{found.size[0]}³ voxels of other seeds: |m|²/2 is {found.cost:.3g} per lattice point, and a classifier tells "
        f"slices of both apart in {score:.0f} ± {error:.0f} % of the cases, 50 % by chance. "
        f"All that was measured: [{TUNED_TABLE.name}]({TUNED_TABLE.name}).\n",
        "| what | unit | before | after | change, % | deviation of one window |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows[: len(found.measures)]),
        f"\n![A slice of the source and of the tuned generator](images/{picture_of(wish).name})\n",
        "*The same seed, before and after.*",
    ]
    return "\n".join(lines) + "\n"


def searched(name, count, size, folder):
    """Search; how far out the windows are that have most of each and of all that was sought, as a table."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(folder or temporary)
        kept.mkdir(parents=True, exist_ok=True)
        found = search(name, SOUGHT, size, count, out=kept / "search.csv", progress=told_each(100))
    windows = {"both": found.best}
    for i, target in enumerate(found.targets):
        windows[target.name] = max(found.windows, key=lambda window, i=i: window.values[i])
    lines = [
        f"Of {count} windows of {size}³ voxels of `{name}`, those that have most of each and of both, with standard "
        "deviations above the mean of all:\n",
        f"| most of | {' | '.join(f'{target.name} | deviations' for target in found.targets)} |",
        f"|---{'|---|---' * len(found.targets)}|",
    ]
    for most, window in windows.items():
        both = zip(window.values, found.deviations(window), strict=True)
        lines.append(f"| {most} | {' | '.join(f'{value:.4g} | {above:.1f}' for value, above in both)} |")
    return "\n".join(lines) + "\n"


def told_each(number):
    """A function (done, total) that prints how far it is each so many, and how long the rest takes."""
    began, first = time.perf_counter(), []

    def tell(done, total):
        first.append(done)
        if done % number == 0 and done > first[0]:
            rest = (time.perf_counter() - began) / (done - first[0]) * (total - done) / 60
            print(f"{done} of {total}, {rest:.1f} min more", flush=True)

    return tell


def gradients(name, count, size):
    """By what share each wish, and each fraction but the last, changes with the mean of the noise: two arrays
    (measures, channels), each over half of so many volumes; and count and size.
    """
    generator = load_generator(name)
    moved, names = Shifted(generator), [*map(measure_of, WANTED)]
    names += [f"fraction.{phase}" for phase in generator.phases[:-1]]
    slopes = Slopes(moved, as_targets([f"{each}=1" for each in names], generator.phases, generator.voxel_size))
    jobs = [generator.job(size, periodic=True, seed=FIRST + i) for i in range(count)]
    return *(slopes(jobs[i::2], np.ones(len(names))) for i in range(2)), count, size


def reach_text(name, one, other, count, size):
    """What wishes would cost at unchanged fractions, as a table."""
    rows, n = (one + other) / 2, len(WANTED)
    lines = [
        f"By gradients over {count} periodic volumes of {size}³ voxels of `{name}`, each wish alone at unchanged "
        "fractions: the cosine of its gradient and that of the pores' fraction; the cosine of what is across the "
        "gradients of all fractions in either half of the volumes; by what share a mean of length 1 along that changes "
        "it; and |m|²/2 of some changes.\n",
        "| wish | cosine with fraction | cosine of halves | share per length | "
        + " | ".join(f"+{100 * share:g} %" for share in SHARES)
        + " |",
        "|" + "---|" * (4 + len(SHARES)),
    ]
    for i, wish in enumerate(WANTED):
        across = across_of(rows[i], rows[n:])
        length = np.linalg.norm(across)
        alike = cosine(across_of(one[i], one[n:]), across_of(other[i], other[n:]))
        costs = " | ".join(f"{(share / length) ** 2 / 2:.2g}" for share in SHARES)
        told = f"{cosine(rows[i], rows[n]):.3f} | {alike:.2f} | {length:.3f}"
        lines.append(f"| {measure_of(wish)} | {told} | {costs} |")
    return "\n".join(lines) + "\n"


def across_of(row, others):
    """What of a row is no sum of others."""
    return row - np.linalg.lstsq(others.T, row, rcond=None)[0] @ others


def cosine(a, b):
    """Of the angle between two rows."""
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


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
    yield from tested(*(measure_samples(side, **options, workers=1) for side in (ordinary, blended)), generator.phases)


def blends_text(rows, count, size):
    """How many of the measures differ, and the fractions and areas, as a table."""
    few = sum(float(row[-1]) < 0.05 for row in rows)
    lines = [
        f"Of {len(rows)} values measured of {count} volumes of {size}³ voxels at t = 0.5 and of {count} ordinary ones, "
        f"{few or 'none'} of these {'differs' if few < 2 else 'differ'} with p < 0.05 (Welch's t-test); one in twenty "
        "would by chance. "
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


def extend(name, real, count, size, fits):
    """Continue half of a real block and close a cut of it; print and write what came of both."""
    generator, fits = load_generator(name), Path(fits)
    fits.mkdir(parents=True, exist_ok=True)
    scan = Volume.load(real, phases=generator.phases, voxel_size=generator.voxel_size)
    block = scan[:size, :size, :size]
    reports, halves = continued(generator, block, count, fits)
    text = joint_text(reports, size) + "\n" + layers_text(generator, scan, size)
    text += "\n" + halves_text(generator, block, halves)
    text += "\n" + closed(generator, block, fits)
    print(text)
    put(PAGE, "docs/steering.py extend", text)


def continued(generator, block, count, fits):
    """Continue half of a block from several seeds: reports, and the halves that were generated."""
    size, reports, halves, began = block.shape[0], [], [], time.perf_counter()
    half = size // 2
    for seed in range(FIRST, FIRST + count):
        asked = {"at": (0, 0, 0), "seed": seed, "starts": 1, "steps": STEPS, "state": fits / f"half-{seed}.npz"}
        found = extension(generator, block[:, :, :half], size, **asked)
        labels = generator.sample(found.job).labels
        assert np.array_equal(labels[:, :, :half], block.labels[:, :, :half])
        reports.append(found.report)
        halves.append(labels[:, :, half:].copy())
        minutes = (time.perf_counter() - began) / 60
        print(
            f"{len(halves)} of {count} halves in {minutes:.1f} min, {minutes * count / len(halves):.0f} in all",
            flush=True,
        )
    slices = [("real, continued to the right", np.concatenate([block.labels[half, :, :half], halves[0][half]], axis=1))]
    slices.append(("real", block.labels[half]))
    render_slices(slices, generator.phases, generator.voxel_size, IMAGES / "extend-half.png")
    return reports, halves


def joint_text(reports, size):
    """What lies across the joint against what lies within the scan, as a table."""
    agreement = [report["starts"][0]["touching"] for report in reports]
    lines = [
        f"Half of a real block of {size}³ voxels, continued from {len(reports)} seeds by fits of {STEPS} steps. Of the "
        f"scan's voxels at the joint the fitted generator alone makes {100 * min(agreement):.0f} to "
        f"{100 * max(agreement):.0f} % as they are.\n",
        "| measure | within the scan | across the joint | deviation over seeds | beyond two standard errors |",
        "|---|---|---|---|---|",
    ]
    for rows in zip(*(report["joint"] for report in reports), strict=True):
        if None in (rows[0]["joint"], rows[0]["known"]):
            continue  # the part is too thin for this distance
        values = np.array([row["joint"] for row in rows])
        beyond = sum(abs(row["deviations"] or 0) > 2 for row in rows)
        lines.append(
            f"| {rows[0]['measure']} | {rows[0]['known']:.4f} | {values.mean():.4f} | {values.std():.4f} | "
            f"{beyond} of {len(rows)} |"
        )
    return "\n".join(lines) + "\n"


def layers_text(generator, scan, size):
    """How much volume fractions of the scan's own layers scatter, in words."""
    thick = generator.stride
    places = [range(0, n - edge + 1, edge) for n, edge in zip(scan.shape, (size, size, thick), strict=True)]
    shares = np.array(
        [scan[z : z + size, y : y + size, x : x + thick].fractions for z, y, x in itertools.product(*places)]
    )
    told = ", ".join(f"{phase} {d:.3f}" for phase, d in zip(generator.phases, shares.std(0, ddof=1), strict=True))
    return (
        f"Volume fractions at the joint are those of {thick} voxels. In {len(shares)} layers of the scan of "
        f"{size} × {size} × {thick} voxels, they have standard deviations of {told}.\n"
    )


def halves_text(generator, block, halves):
    """Continued halves against the real other half and ordinary volumes, as a table."""
    size, half = block.shape[0], block.shape[0] // 2
    ordinary = [generator.sample((size, size, half), seed=FIRST + i + len(halves)).labels for i in range(len(halves))]
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


def closed(generator, block, fits):
    """Close a cut of two thirds of a block to a periodic volume as large as the block, in words."""
    size, state, began = block.shape[0], fits / "closed.npz", time.perf_counter()
    begun = state.exists()
    edge, first = size * 2 // 3, (size - size * 2 // 3) // 2
    cut = block[:edge, :edge, :edge]
    found = extension(generator, cut, size, periodic=True, seed=FIRST, steps=STEPS, state=state)
    volume, minutes = generator.sample(found.job), (time.perf_counter() - began) / 60
    took = "" if begun else f" in {minutes:.1f} min"
    assert np.array_equal(volume.labels[(slice(first, first + edge),) * 3], cut.labels)
    across = generator.windows(found.job)((size - 8, 0, 0), (16, size, size))
    assert np.array_equal(across, np.concatenate([volume.labels[-8:], volume.labels[:8]]))
    twice = np.tile(volume.labels[size // 2], (1, 2))
    title = "a real cut, closed, twice side by side"
    render_slices([(title, twice)], generator.phases, generator.voxel_size, IMAGES / "extend-closed.png")
    best = found.report["starts"][found.report["chosen"]]
    rows = {row["measure"]: row for row in found.report["joint"]}
    shares = [
        f"{side} " + ", ".join(f"{phase} {rows[f'fraction {phase}'][key]:.2f}" for phase in generator.phases)
        for side, key in (("within the cut", "known"), ("in the gap", "generated"))
    ]
    return (
        f"A real cut of {edge}³ voxels becomes a periodic volume of {size}³{took}; {100 * best['touching']:.0f} % of "
        "its outermost voxels agree with what the fitted generator alone makes. "
        f"Volume fractions are {' and '.join(shares)}; label changes {rows['label changes']['known']:.3f} within the "
        f"cut and {rows['label changes']['joint']:.3f} across the joint.\n\n"
        "![Half of a real block continued to the right, and the block](images/extend-half.png)\n\n"
        "![A real cut, closed, twice side by side](images/extend-closed.png)\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="blends", choices=("blends", "search", "reach", "tune", "extend"))
    parser.add_argument("real", nargs="?", help="a real scan, for extend")
    parser.add_argument("--name", default="nmc-cathode")
    parser.add_argument("--count", type=int, help="volumes: 100 of blends, 1000 to search, 96 of gradients, 16 to tune")
    parser.add_argument("--size", type=int, help="voxels: 64 of blends and to search, 48 of gradients, 96 to tune")
    parser.add_argument("--folder", type=Path, help="where what was searched, tuned or fitted is kept")
    parser.add_argument("--target", action="append", help="to tune to, each alone; else those of the page")
    main(**vars(parser.parse_args()))
