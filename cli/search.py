"""``kerasgan3d search``."""

import shlex
from pathlib import Path

import click

from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import (
    Axes,
    NumbersCommand,
    Size,
    WholeNumber,
    complete_generators,
    fraction_options,
    json_option,
    overwrite_option,
)
from kerasgan3d.cli.output import by, echo, print_facts, print_json, print_table
from kerasgan3d.cli.progress import heartbeat
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "search",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d search nmc-cathode --size 128 --target "D_rel.pore.z=0.2" --count 1000 -o found.csv
  kerasgan3d search nmc-cathode --size 64 --periodic --target "ssa.NMC>0.4" --target "fraction.pore=0.4"
  kerasgan3d search sofc-anode --size 128 --target "active_tpb>2.5" --workers 4 --json
  kerasgan3d search my-electrode --size 128 --fraction pore=0.35 --target "D_rel.pore.z>+10%"
""",
)
@click.argument("name", shell_complete=complete_generators)
@click.option("--size", type=Size(), required=True, help="Voxels of a window: one number, or three for z, y and x.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="MEASURE=NUMBER",
    help="Target: a measure, with a phase and an axis where it has them, and = < or > a number, or a change of the "
    "mean over all windows, such as +15%. Measures: fraction, ssa, interface, tpb, active_tpb, chord, connected, "
    "D_rel, tau, macmullin, euler, specks, holes. Repeat it for several.",
)
@click.option("--count", type=WholeNumber(min=1), default=100, show_default=True, help="Number of windows.")
@click.option(
    "--seed",
    type=WholeNumber(0, 2**64 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the structure.",
)
@click.option(
    "--offset",
    type=int,
    nargs=3,
    default=(0, 0, 0),
    metavar="Z Y X",
    help="Position of the first window in voxels; the others follow along x.",
)
@click.option(
    "--periodic", is_flag=True, help="Search periodic volumes of this seed and the following ones instead of windows."
)
@click.option("--periodic-axes", type=Axes(), help="Periodic along these axes only, such as yx.")
@fraction_options
@click.option("--workers", type=WholeNumber(min=1), metavar="N", help="Share the work among N processes.")
@click.option("--top", type=WholeNumber(min=1), default=10, show_default=True, help="Number of windows to print.")
@json_option
@overwrite_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A table, .csv, that grows during the search.")
@takes_generators("name")
def command(name, size, targets, periodic, periodic_axes, fractions, beyond, top, as_json, output, **options):
    """Search an endless structure for windows with target properties.

    Windows are measured one by one, only as far as the targets require, and ranked by their deviation from the targets,
    in standard deviations of all windows. Repeat the command to resume from its table, also with a larger --count, or
    other numbers for the same measures.
    """
    from kerasgan3d.steering import search

    options |= {"periodic": periodic_axes or periodic, "out": output, "fractions": fractions, "beyond": beyond}
    with quiet_tensorflow() as stderr, heartbeat("searching", stderr) as progress:
        try:
            found = search(name, targets, size, progress=progress, **options)
        except KeyboardInterrupt as error:
            if output is None or not output.exists():
                raise
            raise CommandError(
                f"interrupted; what was measured is kept in {output}: the same command goes on", exit_code=130
            ) from error
    sampled = _sampling(name, found.best.job, fractions, beyond)
    if as_json:
        print_json({**found.to_dict(), "table": output, "sample": sampled})
        return
    header = ["window", "seed", "offset", "score", *map(_headed, found.targets)]
    print_table(header, [_row(window) for window in found.windows[:top]])
    echo()
    best = zip(found.targets, found.best.values, found.deviations(found.best), found.mean, found.spread, strict=True)
    for target, value, deviations, mean, spread in best:
        echo(f"{target.name} {value:.4g}: {deviations:+.1f} standard deviations from {mean:.4g} ± {spread:.2g}")
    print_facts([("windows", len(found.windows)), ("wrote", output), ("sample it", sampled)])


def _headed(target):
    return str(target) if target.unit == "1" else f"{target} {target.unit}"


def _row(window):
    values = (f"{value:.4g}" for value in window.values)
    return [str(window.number), str(window.job.seed), by(window.job.offset), f"{window.score:.3g}", *values]


def _sampling(name, job, fractions, beyond):
    """Return the command that samples a window."""
    from kerasgan3d.checks import axis_letters

    axes = axis_letters(job.periodic)
    words = ["kerasgan3d", "sample", name, "--size", *job.size, "--seed", job.seed, "--offset", *job.offset]
    words += ["--periodic-axes", axes] if axes else []
    for phase, value in (fractions or {}).items():
        ((axis, values),) = value.items() if isinstance(value, dict) else ((None, [value]),)
        words += ["--fraction", f"{phase}={':'.join(map(str, [axis, *values] if axis else values))}"]
    words += ["--beyond"] if beyond else []
    return shlex.join(map(str, [*words, "-o", "best.tif"]))
