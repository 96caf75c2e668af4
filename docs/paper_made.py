"""Any number of phases: made materials of four and of six phases, on which generators are trained and compared."""

from paper_rows import MissingError, Rows, generator_of, identity, table
from structures import MADE, made_material

from kerasgan3d import Volume, compare
from kerasgan3d.report import render_slices

VOXEL = 0.1  # µm
TRAINED = "kerasgan3d train {0}.tif -o {0} --isotropic --minutes 60"
TITLE = "Any number of phases"
TEXT = f"""\
The paper says that its network takes any number of phases, and shows three. Two materials are made by a script:
packings of ellipsoids, with phases that grow on them. On each, a generator is trained for an hour,
`{TRAINED.format("runs/paper/made-4")}`; the command of the figure then compares it with its material."""


def subjects(options):
    """Return the numbers of phases."""
    return MADE


def measure(n, options):
    """Make a material, and compare the generator that has been trained on it."""
    file, layers = options.work / f"made-{n}.tif", MADE[n]
    if not file.is_file():
        options.work.mkdir(parents=True, exist_ok=True)
        phases = ("matrix", *(layer.name for layer in layers))
        Volume(made_material(layers, options.sizes[0], seed=n), phases, VOXEL, periodic=True).save(file)
    best = options.work / f"made-{n}" / "best"
    if not best.is_dir():
        raise MissingError(f"to train first: {TRAINED.format(file.with_suffix(''))}")
    generator, real = generator_of(str(best)), Volume.load(file)
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


def told(record, file):
    """Return the part of a material: a table, and slices."""
    found = record["rows"]["comparison"]
    rows = [
        [phase, *(f"{100 * value:+.1f} %" for value in values[:2]), *(f"{value:.3f}" for value in values[2:])]
        for phase, values in found["phases"].items()
    ]
    head = ("phase", "volume fraction", "specific surface area", "S2(r)/S2(0), largest", "granulometry, largest")
    passes = "{} of {} tests pass".format(*found["passes"])
    score = "" if found["classifier"] is None else f"; classifier {found['classifier']:.2f}"
    lines = [f"### {len(found['phases'])} phases", "", *table(head, rows), "", f"{passes}{score}.", ""]
    return [*lines, f"![Made and generated]({file.parent.name}/{file.stem}.png)", ""]
