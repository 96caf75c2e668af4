"""Periodicity of real data: the relative diffusivity of cuts of a scan, and of the same cuts closed by a generator."""

import json
import time
from functools import partial

import numpy as np
from paper_periodicity import CONDUCTS, timed
from paper_rows import FIRST, Rows, bootstrap, generator_of, identity, real_of, table, title_of

CLOSED = 1.5  # how many times longer than the cut the closed volume is, rounded up to the generator's stride


def measure(options):
    """Close cuts of each scan one after the other; fits are kept, so that an interrupted one goes on."""
    size = options.sizes[0]
    for name in options.names:
        generator = generator_of(name)
        real = real_of(options.data, name, generator)
        if real is None or min(real.shape) < size:
            print(f"left out: {title_of(name)}, whose real data are no volume that can be cut")
            continue
        setup = {
            "generator": title_of(name),
            "weights": identity(generator),
            "axis": options.axis,
            "size": size,
            "steps": options.steps,
        }
        edge = -(-int(CLOSED * size) // generator.stride) * generator.stride
        rows = Rows(options.out / f"closed-{title_of(name)}.json", **setup, closed=edge, phases=list(generator.phases))
        along = "zyx".index(options.axis)
        whole = rows.row("whole", partial(values_of, real.labels, len(generator.phases), along, "mirror"))
        conducting = [phase for phase, value in enumerate(whole) if value > CONDUCTS]
        options.work.mkdir(parents=True, exist_ok=True)
        # Side by side, in an order that is the same for any count.
        places = list(np.ndindex(*(length // size for length in real.shape)))
        order = np.random.default_rng(FIRST).permutation(len(places))[: options.count].tolist()
        for i, place in enumerate(places[k] for k in order):
            cut = real[tuple(slice(k * size, (k + 1) * size) for k in place)]
            state = options.work / f"closed-{title_of(name)}-{identity(generator)}-{size}-{options.steps}-{i}.npz"
            given = (generator, cut, edge, along, conducting, FIRST + i, state, options.steps)
            rows.row(f"cut {i}", partial(close, *given))
            print(f"{title_of(name)}: {i + 1} of {len(order)} cuts are closed", flush=True)
        rows.write(complete=True)


def values_of(labels, n_phases, axis, boundary):
    """Return the relative diffusivities of all phases."""
    return [timed(labels, phase, axis, boundary)[0] for phase in range(n_phases)]


def close(generator, cut, edge, axis, phases, seed, state, steps):
    """Return, by phase, the relative diffusivity of a cut between mirrors and of the closed volume; and the seconds."""
    began, begun = time.perf_counter(), state.exists()
    fitting = {"starts": 1, "steps": steps, "state": state, "progress": False}
    closed = generator.extend(cut, edge, periodic=True, seed=seed, **fitting)
    seconds = time.perf_counter() - began
    found = {}
    for phase in phases:
        sides = ((cut, "mirror"), (closed, "periodic"))
        found[generator.phases[phase]] = [timed(side.labels, phase, axis, boundary)[0] for side, boundary in sides]
    return {"values": found, "seconds": None if begun else seconds}  # of a whole fit alone


def section(files):
    """Return the section: a table of errors per phase."""
    lines = [
        "## Periodicity of real data",
        "",
        "A scan is not periodic. `Generator.extend` closes cuts of it to periodic volumes: it keeps the voxels of the "
        "cut and generates the rest (`python docs/paper.py closed`). Errors are relative to the whole scan between "
        "mirrors. A closed volume is larger than its cut, and its generated part brings the generator's own means.",
        "",
    ]
    for file in files:
        record = json.loads(file.read_text("utf-8"))
        cuts = [row for key, row in record["rows"].items() if key.startswith("cut")]
        seconds = [row["seconds"] for row in cuts if row["seconds"] is not None]
        of = f"{len(cuts)} cuts of {record['size']}³ of {record['generator']}, closed to {record['closed']}³"
        lines += [f"### {of}", ""]
        rows = []
        for phase in cuts[0]["values"]:
            whole = record["rows"]["whole"][record["phases"].index(phase)]
            errors = np.array([row["values"][phase] for row in cuts]) / whole - 1
            cells = [_error(side) for side in errors.T]
            rows.append([f"{phase} along {record['axis']}", f"{whole:.4f}", *cells])
        head = ("", "scan", "cut, mirrors: error, bias", "closed, periodic sides: error, bias")
        lines += [*table(head, rows), ""]
        if seconds:
            lines += [f"A fit took {np.median(seconds) / 60:.1f} minutes (median).", ""]
    return "\n".join(lines)


def _error(errors):
    """Return the root mean square of errors with its band, and their mean, as text."""
    low, high = bootstrap(errors, lambda values: np.sqrt(np.mean(values**2)))
    return (
        f"{100 * np.sqrt(np.mean(errors**2)):.1f} % ({100 * low:.1f} to {100 * high:.1f}), {100 * errors.mean():+.1f} %"
    )
