"""Any number of phases: made materials of four and of six phases, on which generators are trained and compared."""

import json

from paper_rows import Rows, generator_of, identity, table
from structures import MADE, made_material

from kerasgan3d import Volume, compare
from kerasgan3d.report import render_slices

VOXEL = 0.1  # µm
TRAINED = "kerasgan3d train {0}.tif -o {0} --isotropic --minutes 60"


def measure(options):
    """Make the materials, and compare the generators that have been trained on them."""
    options.work.mkdir(parents=True, exist_ok=True)
    for n, layers in MADE.items():
        file = options.work / f"made-{n}.tif"
        if not file.is_file():
            phases = ("matrix", *(layer.name for layer in layers))
            made = made_material(layers, options.sizes[0], seed=n)
            Volume(made, phases, VOXEL, periodic=True).save(file)
        best = options.work / f"made-{n}" / "best"
        if not best.is_dir():
            print(f"to train, and to compare then by the same command: {TRAINED.format(file.with_suffix(''))}")
            continue
        trained(n, Volume.load(file), generator_of(str(best)), options)


def trained(n, real, generator, options):
    """Compare a trained generator with the material that it was trained on."""
    rows = Rows(options.out / f"made-{n}.json", weights=identity(generator), count=options.count)
    size = min(64, min(real.shape) // 2)
    rows.row("comparison", lambda: found_of(real, generator, options, size))
    rows.write(complete=True)
    edge = min(128, *real.shape)
    slices = [("made", real.labels[edge // 2, :edge, :edge])]
    slices.append(("generated", generator.sample(edge, seed=0, progress=False).labels[edge // 2]))
    render_slices(slices, generator.phases, generator.voxel_size, rows.path.with_suffix(".png"), dpi=80)


def found_of(real, generator, options, size):
    """Return the comparison's differences of each phase, and its verdicts."""
    record = compare(real, generator, count=options.count, size=size, nearest=0, workers=options.workers).record
    keys = ("volume_fraction", "specific_surface_area")
    found = {
        phase: [record.measure(key, phase).relative_difference for key in keys]
        + [curves.worst[i] for curves in (record.two_point_correlation, record.curves["granulometry"])]
        for i, phase in enumerate(record.phases)
    }
    passes = [sum(verdict.outcome == "passes" for verdict in record.verdicts), len(record.verdicts)]
    return {"phases": found, "classifier": record.classifier and record.classifier.score, "passes": passes}


def section(files):
    """Return the section: a table per material, and slices."""
    lines = [
        "## Any number of phases",
        "",
        "The paper says that its network takes any number of phases, and shows three. Two materials are made by a "
        "script: packings of ellipsoids, with phases that grow on them (`python docs/paper.py made`). On each, a "
        f"generator is trained for an hour, `{TRAINED.format('runs/paper/made-4')}`; the first command then compares.",
        "",
    ]
    for file in files:
        record = json.loads(file.read_text("utf-8"))
        found = record["rows"]["comparison"]
        lines += [f"### {len(found['phases'])} phases", ""]
        rows = [
            [phase, *(f"{100 * value:+.1f} %" for value in values[:2]), *(f"{value:.3f}" for value in values[2:])]
            for phase, values in found["phases"].items()
        ]
        head = ("phase", "volume fraction", "specific surface area", "S2(r)/S2(0), largest", "granulometry, largest")
        passes = "{} of {} tests pass".format(*found["passes"])
        score = "" if found["classifier"] is None else f"; classifier {found['classifier']:.2f}"
        lines += [*table(head, rows), "", f"{passes}{score}.", ""]
        lines += [f"![Made and generated]({file.parent.name}/{file.stem}.png)", ""]
    return "\n".join(lines)
