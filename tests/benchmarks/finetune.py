"""Fine-tuning against training from scratch, on one material, for the same wall time each.

    python tests/benchmarks/finetune.py slice.tif -o curves --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 --minutes 30

One run after the other, both from the same seed and judged by the same measurements. Writes curves.csv and curves.json
(minutes, step, error and its parts), and curves.png. The same command goes on where an earlier one was interrupted.
"""

import argparse
import csv
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sampling import processor  # the script beside this one

import kerasgan3d
from kerasgan3d.cli.options import Box, Mapping, Phases
from kerasgan3d.folder import REFERENCE, read_json, write_json
from kerasgan3d.material.statistics import fidelity, summarise
from kerasgan3d.models.preset import load_preset

PARTS = {
    "error": "error",
    "volume_fraction": "volume fractions",
    "specific_surface_area": "surface areas",
    "triple_phase_boundary_density": "triple-phase boundaries",
    "two_point_correlation": "two-point correlation",
}
VOLUMES, SEED = 100, 30_000  # by which results are measured
RUNS = {"finetune": "fine-tuned", "scratch": "from scratch"}


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a segmented image")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs and the curves")
    parser.add_argument("--preset", default="nmc-cathode", help="what is fine-tuned (default: %(default)s)")
    parser.add_argument("--phases", type=lambda text: Phases().convert(text, None, None), metavar="a,b,c")
    parser.add_argument("--map", type=lambda text: Mapping().convert(text, None, None), metavar="grey=name,...")
    parser.add_argument("--voxel-size", type=float, metavar="µm")
    parser.add_argument("--resample-to", type=float, metavar="µm")
    parser.add_argument("--symmetry", default="isotropic", help="as for kerasgan3d.train (default: %(default)s)")
    parser.add_argument("--exclude", type=lambda text: Box().convert(text, None, None), action="append")
    parser.add_argument("--minutes", type=float, default=30, help="of either run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", default="finetune", help="of fine-tuning (default: %(default)s)")
    parser.add_argument("--scratch-recipe", default="default", help="of the other (default: %(default)s)")
    for name in ("steps", "batch", "size", "monitor-every"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help="of both, instead of the recipes'")
    given = parser.parse_args(arguments)
    try:
        result = benchmark(given)
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    print(summary(result))


def benchmark(given):
    """Both runs, as far as they are not done, and what came of them, as plain data."""
    options = {
        "phases": given.phases,
        "mapping": given.map,
        "voxel_size": given.voxel_size,
        "resample_to": given.resample_to,
        "symmetry": given.symmetry,
        "exclude": given.exclude,
        "seed": given.seed,
        "steps": given.steps,
        "batch": given.batch,
        "size": given.size,
        "monitor_every": given.monitor_every,
    }
    given.output.mkdir(parents=True, exist_ok=True)
    train(given, "finetune", lambda **more: kerasgan3d.finetune(given.preset, recipe=given.recipe, **more), options)
    train(given, "scratch", lambda **more: kerasgan3d.train(recipe=given.scratch_recipe, **more), options)
    result = {
        "data": Path(given.data).name,
        "preset": given.preset,
        "minutes": given.minutes,
        "steps": given.steps,
        "monitor_every": given.monitor_every,
        "seed": given.seed,
        "recipes": {"finetune": given.recipe, "scratch": given.scratch_recipe},
        "cores": os.cpu_count(),
        "processor": processor(),
        "curves": {name: curve(given.output / name) for name in RUNS},
    }
    result["results"] = {name: measured(given.output / name / "best") for name in RUNS}
    result["first_minute_as_good"] = as_good(result["curves"])
    write_json(result, given.output / "curves.json")
    write_table(result["curves"], given.output / "curves.csv")
    draw(result, given.output / "curves.png")
    return result


def train(given, name, function, options):
    """One run, for what is left of its minutes; nothing where it is done."""
    folder = given.output / name
    done = folder / "done.json"
    if done.is_file() and read_json(done)["minutes"] == given.minutes:
        return
    rows = read_log(folder)
    left = given.minutes - (float(rows[-1]["seconds"]) / 60 if rows else 0.0)
    start = time.monotonic()
    function(
        data=given.data,
        output=folder,
        minutes=max(left, 1e-9),
        progress=lambda report: print(f"{name}: {report}", flush=True),
        **{key: value for key, value in options.items() if value is not None},
    )
    write_json({"minutes": given.minutes, "wall_seconds_of_last_call": round(time.monotonic() - start, 1)}, done)


def curve(folder):
    """The measurements of a run: a list of dicts, the error's parts as the largest of each kind."""
    real = np.array(read_json(folder / "best" / REFERENCE)["mean"]["volume_fraction"])
    rows = []
    for row in read_log(folder):
        shares = np.array([float(row[f"fraction_{i}"]) for i in range(len(real))])
        surfaces = [abs(float(row[f"surface_area_error_{i}"])) for i in range(len(real))]
        rows.append(
            {
                "minutes": round(float(row["seconds"]) / 60, 3),
                "step": int(row["step"]),
                "error": float(row["error"]),
                "volume_fraction": float(np.abs(shares / real - 1).max()),
                "specific_surface_area": max(surfaces),
                "triple_phase_boundary_density": abs(float(row["tpb_error"])),
                "two_point_correlation": float(row["s2_error"]),
            }
        )
    return rows


def measured(folder):
    """What came of a run, measured on more volumes than while it ran, and others: the error and its parts."""
    generator, reference = load_preset(folder), read_json(folder / REFERENCE)
    size = reference["sub_volumes"]["size"]
    samples = [generator.sample(size, seed=SEED + i).labels for i in range(VOLUMES)]
    found = fidelity(reference, summarise(samples, len(generator.phases), generator.voxel_size))
    largest = {key: float(np.abs(found[key]).max()) for key in PARTS if key in found}
    return {"volumes": VOLUMES, "seed": SEED, **largest}


def read_log(folder):
    """The lines of a run's log; none where there is none."""
    if not (folder / "log.csv").is_file():
        return []
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def best_so_far(rows):
    """The smallest error up to each measurement."""
    return np.minimum.accumulate([row["error"] for row in rows])


def as_good(curves):
    """When either run was first as good as the other ever became, in minutes; None where it never was."""
    goals = {"finetune": best_so_far(curves["scratch"])[-1], "scratch": best_so_far(curves["finetune"])[-1]}
    return {
        name: next((row["minutes"] for row in curves[name] if row["error"] <= goal), None)
        for name, goal in goals.items()
    }


def write_table(curves, path):
    """Both curves, one line per measurement."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["run", "minutes", "step", *PARTS], lineterminator="\n")
        writer.writeheader()
        for name, rows in curves.items():
            writer.writerows({"run": name, **row} for row in rows)


def draw(result, path):
    """Error and parts against minutes; thin lines are measurements, thick ones the smallest error so far."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PARTS), figsize=(3.2 * len(PARTS), 3.2), layout="constrained")
    for axis, (key, title) in zip(axes, PARTS.items(), strict=True):
        for color, (name, rows) in zip(("C1", "C0"), result["curves"].items(), strict=True):
            minutes = [row["minutes"] for row in rows]
            axis.plot(minutes, [row[key] for row in rows], color=color, lw=0.8, label=RUNS[name])
            if key == "error":
                axis.step(minutes, best_so_far(rows), color=color, lw=2, where="post")
        axis.set(title=title, xlabel="minutes", ylim=(0, None), xlim=(0, None))
    axes[0].legend(frameon=False)
    figure.suptitle(f"{result['data']}: {result['preset']} fine-tuned, and from scratch")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def summary(result):
    """The smallest errors, and when either was as good as the other."""
    lines = []
    for name, title in RUNS.items():
        rows, when = result["curves"][name], result["first_minute_as_good"][name]
        other = RUNS["scratch" if name == "finetune" else "finetune"]
        as_good_text = "never" if when is None else f"after {when:.1f} min"
        lines.append(
            f"{title}: error {best_so_far(rows)[-1]:.3f} within {rows[-1]['minutes']:.1f} min, "
            f"as good as the best {other} {as_good_text}"
        )
        lines[-1] += f"; the result, on {VOLUMES} other volumes: {result['results'][name]['error']:.3f}"
    return "\n".join(lines)


if __name__ == "__main__":
    main()
