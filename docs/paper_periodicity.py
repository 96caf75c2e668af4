"""How much periodicity saves: the error of the relative diffusivity against the size of a volume.

Three ways to take the relative diffusivity from a volume of n^3 voxels: a periodic volume whose sides are joined, the
same volume between mirrors, and a volume cut from a larger one between mirrors. Each is compared with the value of very
large volumes.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from matplotlib.figure import Figure
from paper_rows import FIRST, begun, table
from scipy import stats

from kerasgan3d.metrics import relative_diffusivity
from kerasgan3d.palette import phase_colors

# Way: whether its volumes are periodic, the boundary at their sides, and how it is drawn.
WAYS = {
    "periodic": (True, "periodic", "periodic volume, periodic sides", "-"),
    "mirror": (True, "mirror", "the same volume, mirrors", ":"),
    "cut": (False, "mirror", "cut volume, mirrors", "--"),
}
LARGE, LONGER = 256, 3  # the very large volumes: their width, and how many times as long they are along the axis
MANY = 4  # of them
TOLERANCE = 1e-2  # of the fluxes: the error of the relative diffusivity is about its square
CONDUCTS = 0.01  # relative diffusivity above which a phase is taken to conduct
ERRORS = (0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02)
DRAWS = 1000
TITLE = "What periodicity saves"
TEXT = """\
The paper tiles periodic volumes and says that periodic boundaries could reduce the volume that is representative, and
so the cost of simulations. Here the relative diffusivity of periodic volumes with periodic sides, of the same volumes
between mirrors, and of cut volumes between mirrors is compared with that of very large volumes. Bands are 95 %, by
drawing seeds again; the value of the very large volumes is drawn within its standard error."""


def measure(name, options):
    """Measure a generator seed by seed, so that an interrupted measurement has all sizes, and draw what was found."""
    generator, rows = begun("periodicity", name, options, axis=options.axis, large=options.large)
    sizes = sorted(n for n in options.sizes if n % generator.stride == 0)
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        solve_large(rows, generator, pool)
        for seed in range(options.count):
            solve_missing(rows, generator, pool, sizes, seed)
            print(f"{rows.setup['generator']}: seed {seed + 1} of {options.count}", flush=True)
    found = summary(rows, {f"{size} {seed}" for size in sizes for seed in range(options.count)})
    rows.write(found=found, complete=True)
    draw(found, generator.phases, rows.path.with_suffix(".png"))


def solve_large(rows, generator, pool):
    """Solve the very large volumes, periodic at the sides, and long, so that their ends count for little.

    Phases that do not conduct in the first are left out of the others.
    """
    along, size = "zyx".index(rows.setup["axis"]), [rows.setup["large"]] * 3
    size[along] *= LONGER
    for i in range(MANY):
        phases = conducting(rows) if i else range(len(generator.phases))
        missing = [phase for phase in phases if f"large {i} {phase}" not in rows.rows]
        labels = generator.sample(size, periodic=True, seed=FIRST + i, progress=False).labels if missing else None
        jobs = {phase: pool.submit(timed, labels, phase, along, "periodic") for phase in missing}
        for phase, job in jobs.items():
            rows.row(f"large {i} {phase}", job.result)
            print(f"{rows.setup['generator']}: very large volume {i}, {generator.phases[phase]}", flush=True)


def conducting(rows):
    """Return the numbers of the phases that conduct, by the first of the very large volumes."""
    return [p for p in range(len(rows.setup["phases"])) if rows.rows[f"large 0 {p}"][0] > CONDUCTS]


def solve_missing(rows, generator, pool, sizes, seed):
    """Solve the volumes of a seed of which there are no rows: a row per size.

    A row holds the value and the seconds of each way and each phase that conducts. All volumes are sampled before the
    first is solved, and the largest are solved first, so that the seconds are those of as many solvers as there are
    workers, and none waits long for the last.
    """
    along, jobs = "zyx".index(rows.setup["axis"]), {}
    sizes = [size for size in reversed(sizes) if f"{size} {seed}" not in rows.rows]
    volumes = {}
    for size in sizes:
        first = FIRST + 1000 * size + 2 * seed  # volumes of different sizes share no latents
        for periodic in (True, False):
            volume = generator.sample(size, periodic=periodic, seed=first + (not periodic), progress=False)
            volumes[size, periodic] = volume.labels
    for size in sizes:
        jobs[size] = {
            (way, phase): pool.submit(timed, volumes[size, periodic], phase, along, boundary)
            for way, (periodic, boundary, *_) in WAYS.items()
            for phase in conducting(rows)
        }
    for size, solving in jobs.items():
        found = {way: {} for way in WAYS}
        for (way, phase), job in solving.items():
            found[way][rows.setup["phases"][phase]] = job.result()
        rows.row(f"{size} {seed}", lambda found=found: found)


def timed(labels, phase, axis, boundary):
    """Return the relative diffusivity and the seconds that it took."""
    began = time.perf_counter()
    n_phases = max(int(labels.max()), phase) + 1
    value = relative_diffusivity(labels, phase, axis, boundary, n_phases=n_phases, tolerance=TOLERANCE)
    return [value, time.perf_counter() - began]


def summary(rows, wanted):
    """Return the errors of each way by phase and size with bands, and what periodicity saves for the same error.

    Args:
        rows: Rows of a measurement.
        wanted: Keys of the rows that count.

    Returns:
        dict by phase: "large" and its "standard_error"; "errors", by way a list of dicts "size", "count", "rms" and
        its "band", "bias", "deviation" and "seconds"; "saved", a list of dicts "error", "periodic" and "cut" (voxels
        per side), "voxels" and "time" (how many times fewer), each with its band. Errors are relative to the value of
        the very large volumes. The root mean square error of a way is taken to be a power of the size, fitted to all
        sizes, and so is the time.
    """
    found = {}
    for p in conducting(rows):
        phase, large = rows.setup["phases"][p], np.array([rows.rows[f"large {i} {p}"][0] for i in range(MANY)])
        mean, error = large.mean(), large.std(ddof=1) / np.sqrt(MANY)
        sides = {way: _values(rows, wanted, way, phase) for way in WAYS}
        samples = {way: {n: values[:, 0] for n, values in side.items()} for way, side in sides.items()}
        drawn = _draws(samples, mean, error)
        found[phase] = {
            "large": mean,
            "standard_error": error,
            "errors": {
                way: [
                    {"size": n, "count": len(values), "rms": _rms(values[:, 0], mean)}
                    | {"band": np.quantile(drawn[way][n], [0.025, 0.975]).tolist()}
                    | {"bias": values[:, 0].mean() / mean - 1, "deviation": values[:, 0].std(ddof=1) / mean}
                    | {"seconds": float(np.median(values[:, 1]))}
                    for n, values in side.items()
                ]
                for way, side in sides.items()
            },
            "saved": saved(sides, samples, mean, drawn),
        }
    return found


def _values(rows, wanted, way, phase):
    """Return the values and seconds of a way and a phase by size: arrays (seeds, 2)."""
    found = {}
    for key in (key for key in rows.rows if key in wanted):
        found.setdefault(int(key.split()[0]), []).append(rows.rows[key][way][phase])
    return {size: np.array(values) for size, values in sorted(found.items())}


def _rms(values, reference):
    return float(np.sqrt(np.mean((values / reference - 1) ** 2)))


def _draws(samples, mean, error):
    """Return root mean square errors of seeds drawn again: by way and size, arrays (draws,).

    The value of the very large volumes is drawn as well: its standard error is that of few, so by Student's t.
    """
    rng = np.random.default_rng(0)
    references = mean + error * rng.standard_t(MANY - 1, DRAWS)
    return {
        way: {
            size: np.array([_rms(rng.choice(values, len(values)), reference) for reference in references])
            for size, values in side.items()
        }
        for way, side in samples.items()
    }


def _power(sizes, values):
    """Return slope and constant of the logarithm of values (sizes, ...) against that of sizes."""
    return np.polyfit(np.log(sizes), np.log(values), 1)


def saved(sides, samples, mean, drawn):
    """Return, for errors that both ways reach within the measured sizes, the sizes they need, and what is saved."""
    sizes = list(samples["cut"])
    if len(sizes) < 3:
        return []
    lines = {}
    for way in ("periodic", "cut"):
        rms = np.array([[_rms(samples[way][n], mean), *drawn[way][n]] for n in sizes])
        lines[way] = _power(sizes, rms)
    seconds = {way: _power(sizes, [np.median(sides[way][n][:, 1]) for n in sizes]) for way in lines}
    found = []
    for error in ERRORS:
        with np.errstate(over="ignore"):  # of lines that few seeds leave flat
            needed = {way: np.exp((np.log(error) - constant) / slope) for way, (slope, constant) in lines.items()}
        if not all(sizes[0] <= needed[way][0] <= sizes[-1] for way in lines):
            continue
        times = {way: np.exp(np.polyval(seconds[way], np.log(needed[way]))) for way in lines}
        row = {**needed, "voxels": (needed["cut"] / needed["periodic"]) ** 3, "time": times["cut"] / times["periodic"]}
        row = {key: [float(each[0]), *np.quantile(each[1:], [0.025, 0.975]).tolist()] for key, each in row.items()}
        found.append({"error": error, **row})
    return found


def draw(found, phases, path):
    """Draw the errors, and what is left of them in the mean of all seeds, against the size: a column per phase."""
    figure = Figure(figsize=(4.6 * len(found), 6.4), layout="constrained")
    colors = dict(zip(phases, phase_colors(phases) / 255, strict=True))
    for (top, bottom), (phase, facts) in zip(
        figure.subplots(2, len(found), squeeze=False).T, found.items(), strict=True
    ):
        for way, (_, _, label, style) in WAYS.items():
            rows = facts["errors"][way]
            keys = ("size", "rms", "bias", "deviation", "count")
            sizes, rms, bias, deviation, count = (np.array([row[key] for row in rows]) for key in keys)
            line = {"color": "#8a919c" if way == "cut" else colors[phase], "linestyle": style, "marker": "o", "ms": 4}
            low, high = 100 * np.array([row["band"] for row in rows]).T
            top.fill_between(sizes, low, high, color=line["color"], alpha=0.15, linewidth=0)
            top.plot(sizes, 100 * rms, label=label, **line)
            ends = stats.t.ppf(0.975, count - 1) * deviation / np.sqrt(count)
            bottom.errorbar(sizes, 100 * bias, 100 * ends, capsize=2, **line)
        bottom.axhline(0, color="#9aa0a6", linewidth=0.8, zorder=0)
        top.set(yscale="log", title=phase, ylabel="root mean square error of D_rel, %")
        bottom.set(xlabel="voxels per side", ylabel="mean of all seeds off by, %")
        for axes in (top, bottom):
            axes.set_xscale("log")
            axes.set_xticks(sizes, sizes)
            axes.minorticks_off()
        top.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=100)


def told(record, file):
    """Return the part of a generator: the sentences to cite, the picture and the tables."""
    lines = [f"### Periodicity of {record['generator']}", ""]
    for phase, facts in record["found"].items():
        lines += [cited(record, phase, facts), ""]
    lines += [f"![Errors against the size]({file.parent.name}/{file.stem}.png)", ""]
    for phase, facts in record["found"].items():
        lines += [*_errors_table(phase, facts), "", *_saved_table(phase, facts["saved"]), ""]
    return lines


def cited(record, phase, facts):
    """Return the sentence that a modeller can cite."""
    least = min(row["count"] for rows in facts["errors"].values() for row in rows)
    large = f"{facts['large']:.4f} ± {facts['standard_error']:.4f}"
    known = f"**{phase} along {record['axis']}** (very large volumes: {large}; {least} seeds per size): "
    if not facts["saved"]:
        last = {way: facts["errors"][way][-1] for way in ("periodic", "cut")}
        texts = [f"{100 * row['rms']:.1f} % ({_percents(row['band'])}) in {way} ones" for way, row in last.items()]
        return f"{known}in volumes of {last['cut']['size']}³ voxels the error is {' and '.join(texts)}."
    row = min(facts["saved"], key=lambda row: abs(row["error"] - 0.05))
    _, low, high = row["voxels"]
    effect = "Periodicity saves" if low > 1 else "Periodicity costs" if high < 1 else "What it saves is within chance:"
    return known + (
        f"for a root mean square error of {100 * row['error']:.0f} % a periodic volume needs {row['periodic'][0]:.0f}³ "
        f"voxels and a cut one {row['cut'][0]:.0f}³. {effect} a factor of {_factor(row['voxels'])} in voxels "
        f"and of {_factor(row['time'])} in solving time."
    )


def _errors_table(phase, facts):
    head = ["voxels", *(f"{label}: error, bias, s" for _, _, label, _ in WAYS.values())]
    rows = []
    for found in zip(*(facts["errors"][way] for way in WAYS), strict=True):
        cells = [
            f"{100 * row['rms']:.1f} % ({_percents(row['band'])}), {100 * row['bias']:+.1f} %, {row['seconds']:.2g} s"
            for row in found
        ]
        rows.append([f"{found[0]['size']}³", *cells])
    return [f"Errors of {phase}:", "", *table(head, rows)]


def _saved_table(phase, saved):
    rows = [
        [f"{100 * row['error']:.0f} %", *(f"{row[way][0]:.0f}³" for way in ("periodic", "cut"))]
        + [_factor(row["voxels"]), _factor(row["time"])]
        for row in saved
    ]
    head = ["error", "periodic", "cut, mirrors", "times fewer voxels", "times less solving"]
    return [f"What periodicity saves of {phase}:", "", *table(head, rows)] if rows else []


def _percents(band):
    return " to ".join(f"{100 * end:.1f}" for end in band)


def _factor(value):
    return f"{value[0]:.1f} ({value[1]:.1f} to {value[2]:.1f})"
