"""Shared parts of ``train`` and ``finetune``: their options, and a run with its bar and final lines."""

from pathlib import Path

import click

from kerasgan3d.cli.advice import with_options
from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.options import (
    Box,
    DefaultOption,
    RealNumber,
    WholeNumber,
    complete_recipes,
    exclude_option,
    fill_gaps_option,
    json_option,
    map_option,
    phases_option,
    tolerance_option,
    voxel_size_option,
)
from kerasgan3d.cli.output import echo, print_json
from kerasgan3d.cli.progress import heartbeat
from kerasgan3d.cli.quiet import quiet_tensorflow
from kerasgan3d.folder import CARD, read_json

_OF_RECIPE = "the recipe's"
_DIRECTIONS = ("z", "y", "x")


def _gone(instead):
    """Return a callback that refuses an option of an earlier version and names its replacement."""

    def refuse(ctx, option, value):
        if value is not None:
            raise click.UsageError(f"{option.opts[0]} is of an earlier version: {instead}.", ctx)

    return refuse


def _count(name, least, default, text):
    """Return an integer option whose default is that of the recipe or the Python function."""
    return click.option(
        name, cls=DefaultOption, type=WholeNumber(min=least), metavar="N", show_default=default, help=text
    )


def recipe_option(default):
    """Return the option ``--recipe``, whose default is that of the Python function."""
    return click.option(
        "--recipe",
        cls=DefaultOption,
        metavar="NAME",
        show_default=default,
        shell_complete=complete_recipes,
        help="The training recipe: default, finetune or paper, or a JSON file.",
    )


_OPTIONS = (
    click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the run."),
    click.option("--normal-z", multiple=True, metavar="PATH", help="Slices normal to z, instead of DATA; rows are y."),
    click.option("--normal-y", multiple=True, metavar="PATH", help="Slices normal to y; rows are z."),
    click.option("--normal-x", multiple=True, metavar="PATH", help="Slices normal to x; rows are z."),
    click.option(
        "--loss",
        cls=DefaultOption,
        show_default=_OF_RECIPE,
        type=click.Choice(("relativistic", "logistic", "wasserstein", "least-squares", "hinge")),
        help="Adversarial loss, with its gradient penalty and learning rates.",
    ),
    click.option(
        "--precision",
        cls=DefaultOption,
        show_default=_OF_RECIPE,
        type=click.Choice(("auto", "float32", "mixed_bfloat16")),
        help="Precision of convolutions; auto is bfloat16 where the machine supports it.",
    ),
    phases_option,
    map_option,
    tolerance_option,
    voxel_size_option,
    fill_gaps_option,
    click.option(
        "--resample-to",
        type=RealNumber(min=0, min_open=True),
        metavar="µm",
        help="Resample to voxels of this edge, by nearest label.",
    ),
    click.option("--isotropic", is_flag=True, help="The material is isotropic (the default)."),
    click.option(
        "--axial", type=click.Choice(_DIRECTIONS), help="The through-plane axis, which differs from the other two."
    ),
    click.option("--orthotropic", is_flag=True, help="All three axes of the material differ."),
    exclude_option,
    click.option(
        "--mask", type=click.Path(path_type=Path), metavar="FILE", help="Use only voxels where this image is not 0."
    ),
    click.option(
        "--hold-out",
        type=Box(),
        metavar="z0:z1,y0:y1,x0:x1",
        help="A block that training does not use, for a comparison at the end.",
    ),
    _count("--steps", 1, _OF_RECIPE, "Training steps."),
    click.option(
        "--minutes",
        cls=DefaultOption,
        type=RealNumber(min=0, min_open=True),
        metavar="MINUTES",
        show_default="no limit",
        help="Stop after this time.",
    ),
    _count("--patience", 1, "no limit", "Stop after N measurements without a smaller error."),
    _count("--batch", 1, _OF_RECIPE, "Generated volumes per step."),
    _count("--size", 4, _OF_RECIPE, "Voxels per side of a generated volume."),
    _count("--warmup", 0, _OF_RECIPE, "Steps over which the generator's learning rate rises."),
    _count("--devices", 1, "1", "GPUs that share each batch."),
    click.option(
        "--seed",
        cls=DefaultOption,
        type=WholeNumber(0, 2**32 - 1),
        metavar="N",
        show_default="0",
        help="Seed of all random numbers.",
    ),
    click.option("--resume/--restart", default=True, help="Resume from the run's last checkpoint, or start over."),
    _count("--monitor-every", 1, _OF_RECIPE, "Steps between measurements."),
    click.option("--tensorboard", is_flag=True, help="Also log for TensorBoard."),
    click.option("--name", metavar="NAME", help="Name of the generator."),
    click.option("--description", metavar="TEXT", help="For the card: description of the material."),
    click.option("--citation", metavar="TEXT", help="For the card: citation of the data."),
    click.option("--licence", metavar="TEXT", help="For the card: licence of the data and the generator."),
    click.option("--dry-run", is_flag=True, help="Check everything and print the plan; do not train."),
    json_option,
    *(
        click.option(name, hidden=True, expose_value=False, is_eager=True, callback=_gone(instead), help=instead)
        for name, instead in (
            ("--critic", "a recipe's views say what critics see"),
            ("--crop", "--size is the edge of the volume that is trained on"),
            ("--critic-warmup", "--warmup lets the generator's learning rate rise"),
        )
    ),
)


def training_options(command):
    """Add the options of a training run to a command; ``run_training`` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_training(
    train,
    data,
    *,
    output,
    normal_z,
    normal_y,
    normal_x,
    isotropic,
    axial,
    orthotropic,
    resume,
    dry_run,
    as_json,
    **options,
):
    """Train with a progress bar or heartbeat and a line per measurement, and print the result.

    Args:
        train: A function with the arguments of ``kerasgan3d.train``; it returns a complete folder, including the card.
        data: Paths of DATA; none where slices are given by direction.
        output, normal_z, normal_y, normal_x, isotropic, axial, orthotropic, resume, dry_run, as_json, options: Values
            of the options.
    """
    ctx = click.get_current_context()
    if isotropic + bool(axial) + orthotropic > 1:
        raise click.UsageError("A material is --isotropic, or --axial, or --orthotropic: not two of them.", ctx)
    directions = {key: list(paths) for key, paths in zip(_DIRECTIONS, (normal_z, normal_y, normal_x), strict=True)}
    directions = {key: paths for key, paths in directions.items() if paths}
    if bool(data) == bool(directions):
        raise click.UsageError("Either DATA, or slices by direction (--normal-z, --normal-y, --normal-x).", ctx)
    # Omit options that were not given: only the Python function has the defaults.
    given = {key: value for key, value in options.items() if value not in (None, ()) and value is not False}
    about = {key: given.pop(key) for key in ("description", "citation", "licence") if key in given}
    if about:
        given["about"] = about
    if axial or orthotropic:
        given["symmetry"] = f"axial-{axial}" if axial else "orthotropic"
    source = directions or (data[0] if len(data) == 1 else list(data))
    with quiet_tensorflow() as stderr, heartbeat("training", stderr) as bar:

        def say(line):
            line = with_options(str(line), ctx.command)
            if as_json:  # stdout holds only JSON
                echo(line, err=True)
            else:
                (echo if bar is None else bar.echo)(line)

        try:
            hooks = {"progress": say, "tick": bar, "say": None if dry_run else say}
            result = train(source, output, resume=resume, dry_run=dry_run, **hooks, **given)
        except KeyboardInterrupt as error:
            raise CommandError(
                f"interrupted; the same command goes on from the last checkpoint in {output}", exit_code=130
            ) from error
    if dry_run:
        plan = with_options(str(result), ctx.command)
        print_json(_plan(plan)) if as_json else echo(plan)
        return
    if as_json:
        print_json(_results(result, output))
        return
    echo(f"wrote {result}")
    if "hold_out" in given:
        echo(_held_out(read_json(result / CARD)["held_out"]))
    echo(f"try   kerasgan3d sample {result} --size 128 -o sample.tif")


def _plan(text):
    """Return the lines of a plan, each a word and its text, as a dict, with the notes as a list."""
    rows = [(line.split()[0], " ".join(line.split()[1:])) for line in text.splitlines()]
    return {key: said for key, said in rows if key != "note"} | {"notes": [said for key, said in rows if key == "note"]}


def _results(folder, run):
    """Return the result of a run in the form of the JSON output."""
    card = read_json(folder / CARD)
    return {
        "folder": folder,
        "run": run,
        **{key: card.get(key) for key in ("name", "phases", "voxel_size", "training", "fidelity", "held_out")},
    }


def _held_out(facts):
    """Return a line about the generator's error on the held-out block."""
    return (
        f"error {facts['error']:.3f} against the held-out block, {facts['error_of_training_data']:.3f} against the "
        f"training data; the two differ by {facts['real_difference']:.3f} themselves"
    )
