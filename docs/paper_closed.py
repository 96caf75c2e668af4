"""Periodicity of real data: the relative diffusivity of cuts of a scan, and of the same cuts closed by a generator."""

import time
from functools import partial

import numpy as np
from paper_periodicity import CONDUCTS, timed
from paper_rows import FIRST, MissingError, begun, bootstrap, identity, real_of, table

CLOSED = 1.5  # how many times longer than the cut the closed volume is, rounded up to the generator's stride
TITLE = "Periodicity of real data"
TEXT = """\
A scan is not periodic. `Generator.extend` closes cuts of it to periodic volumes: it keeps the voxels of the cut and
generates the rest. Errors are relative to the whole scan between mirrors, with bands of 95 % by drawing cuts again,
which are few. A closed volume is larger than its cut, and its generated part brings the generator's own means."""


def measure(name, options):
    """Close cuts of a scan one after the other; fits are kept, so that an interrupted one goes on."""
    size, axis = options.sizes[0], options.axis
    generator, rows = begun("closed", name, options, axis=axis, size=size, steps=options.steps)
    real = real_of(options.data, name, generator)
    if min(real.shape) < size:
        raise MissingError("its real data are no volume that can be cut")
    edge = -(-int(CLOSED * size) // generator.stride) * generator.stride
    along = "zyx".index(axis)
    whole = rows.row("whole", partial(values_of, real.labels, len(generator.phases), along, "mirror"))
    conducting = [phase for phase, value in enumerate(whole) if value > CONDUCTS]
    options.work.mkdir(parents=True, exist_ok=True)
    # Side by side, in an order that is the same for any count.
    places = list(np.ndindex(*(length // size for length in real.shape)))
    order = np.random.default_rng(FIRST).permutation(len(places))[: options.count].tolist()
    for i, place in enumerate(places[k] for k in order):
        cut = real[tuple(slice(k * size, (k + 1) * size) for k in place)]
        state = options.work / f"{rows.path.stem}-{identity(generator)}-{size}-{options.steps}-{i}.npz"
        given = (generator, cut, edge, along, conducting, FIRST + i, state, options.steps)
        rows.row(f"cut {i}", partial(close, *given))
        print(f"{rows.setup['generator']}: {i + 1} of {len(order)} cuts are closed", flush=True)
    rows.write(complete=True, closed=edge, cuts=len(order))


def values_of(labels, n_phases, axis, boundary):
    """Return the relative diffusivities of all phases."""
    return [timed(labels, phase, axis, boundary)[0] for phase in range(n_phases)]


def close(generator, cut, edge, axis, phases, seed, state, steps):
    """Return, by phase, the relative diffusivity of a cut between mirrors and of the closed volume; and the seconds."""
    began, resumed = time.perf_counter(), state.exists()
    fitting = {"starts": 1, "steps": steps, "state": state, "progress": False}
    closed = generator.extend(cut, edge, periodic=True, seed=seed, **fitting)
    seconds = time.perf_counter() - began
    found = {}
    for phase in phases:
        sides = ((cut, "mirror"), (closed, "periodic"))
        found[generator.phases[phase]] = [timed(side.labels, phase, axis, boundary)[0] for side, boundary in sides]
    return {"values": found, "seconds": None if resumed else seconds}  # of a whole fit alone


def told(record, file):
    """Return the part of a scan: a table of errors per phase."""
    cuts = [record["rows"][f"cut {i}"] for i in range(record["cuts"])]
    seconds = [row["seconds"] for row in cuts if row["seconds"] is not None]
    of = f"{len(cuts)} cuts of {record['size']}³ of {record['generator']}, closed to {record['closed']}³"
    rows = []
    for phase in cuts[0]["values"]:
        whole = record["rows"]["whole"][record["phases"].index(phase)]
        errors = np.array([row["values"][phase] for row in cuts]) / whole - 1
        rows.append([f"{phase} along {record['axis']}", f"{whole:.4f}", *(_error(side) for side in errors.T)])
    head = ("", "scan", "cut, mirrors: error, bias", "closed, periodic sides: error, bias")
    lines = [f"### {of}", "", *table(head, rows), ""]
    return [*lines, f"A fit took {np.median(seconds) / 60:.1f} minutes (median).", ""] if seconds else lines


def _error(errors):
    """Return the root mean square of errors with its band, and their mean, as text."""
    low, high = bootstrap(errors, lambda values: np.sqrt(np.mean(values**2)))
    return (
        f"{100 * np.sqrt(np.mean(errors**2)):.1f} % ({100 * low:.1f} to {100 * high:.1f}), {100 * errors.mean():+.1f} %"
    )
