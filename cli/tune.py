"""``kerasgan3d tune``."""

from pathlib import Path

import click

from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import NumbersCommand, Size, WholeNumber, json_option, overwrite_option
from kerasgan3d.cli.output import by, echo, print_facts, print_json, print_table
from kerasgan3d.cli.progress import heartbeat
from kerasgan3d.cli.quiet import quiet_tensorflow


@click.command(
    "tune",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d tune nmc-cathode --target "D_rel.pore=+15%" --keep volume_fraction -o open-cathode
  kerasgan3d tune nmc-cathode --target "interface.NMC.pore=+10%" --target "fraction.CBD<0.1" -o rough-cathode
  kerasgan3d tune sofc-anode --target "active_tpb>2.5" --generations 30 -o active-anode --json
""",
)
@click.argument("name")
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="MEASURE=NUMBER",
    help="Target of the mean: a measure, with a phase and an axis where it has them, and = < or > a number, or a "
    "change of the generator's own mean, such as +15%. Measures: fraction, ssa, interface, tpb, active_tpb, chord, "
    "connected, D_rel, tau, macmullin, euler, specks, holes. Repeat it for several.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="MEASURE",
    help="A measure to keep unchanged, such as volume_fraction, of all phases or of one. Repeat it for several.",
)
@click.option("--size", type=Size(), default="64", show_default=True, help="Voxels of the volumes used for tuning.")
@click.option("--count", type=WholeNumber(min=1), default=16, show_default=True, help="Number of volumes.")
@click.option(
    "--steps", type=WholeNumber(min=1), default=12, show_default=True, help="Largest number of gradient steps."
)
@click.option(
    "--generations",
    type=WholeNumber(min=1),
    default=60,
    show_default=True,
    help="Largest number of generations of CMA-ES, used if a target has no gradient.",
)
@click.option("--seed", type=WholeNumber(0, 2**16 - 1), default=0, show_default=True, help="Seed of the volumes.")
@click.option(
    "--judge-size", type=Size(), help="Voxels of the windows used for judging; 1.5 times the size if left out."
)
@click.option(
    "--classifier/--no-classifier", default=True, help="Train a classifier to distinguish volumes before and after."
)
@click.option("--name", "title", metavar="TEXT", help="Name of the generator; NAME-tuned if left out.")
@json_option
@overwrite_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the tuned generator, a preset."
)
@takes_generators("name")
def command(name, targets, title, as_json, output, **options):
    """Tune a generator so that its volumes have target properties on average.

    Only the mean of its latents is shifted; the result is a generator like any other. It is judged on larger volumes
    of other seeds, and changes of shapes are shown. Repeat the command to resume after an interruption.
    """
    from kerasgan3d.steering import tune

    def say(text):
        if stderr is not None:
            stderr.write(f"{text}\n")
            stderr.flush()

    with quiet_tensorflow() as stderr, heartbeat("tuning", stderr) as progress:
        try:
            found = tune(name, targets, output, name=title, progress=progress, say=say, **options)
        except KeyboardInterrupt as error:
            raise CommandError("interrupted; the same command goes on", exit_code=130) from error
    if as_json:
        print_json(found.to_dict())
        return
    echo(f"{found.count} windows of {by(found.size)} voxels, with seeds not used for tuning:")
    print_table(
        ["target", "wanted", "before", "after", "change"],
        [
            [row.target, *(f"{value:.4g}" for value in (row.wanted, row.before, row.after)), f"{row.change:+.1%}"]
            for row in found.measures
        ],
    )
    echo()
    print_table(["shapes", "before", "after", "change"], [_row(*shape) for shape in found.shapes.items()])
    apart = found.classifier
    told = (
        apart
        and f"separates slices before and after with accuracy {apart['score']:.2f} ± {apart['standard_error']:.2f}"
    )
    echo()
    print_facts(
        [
            ("cost", f"|m|^2 / 2 = {found.cost:.3g} per lattice point"),
            ("classifier", told),
            ("name", found.name),
            ("wrote", found.folder),
        ]
    )


def _row(name, values):
    before, after = values["before"], values["after"]
    unit = "" if values["unit"] == "1" else f" {values['unit']}"
    numbers = ["-" if value is None else f"{value:.4g}" for value in (before, after)]
    return [name + unit, *numbers, f"{after / before - 1:+.1%}" if before and after is not None else ""]
