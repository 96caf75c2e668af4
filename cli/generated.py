"""Volumes of a generator, for commands that measure files or generated volumes."""

import sys

import click

from kerasgan3d.cli.hub import pulled
from kerasgan3d.cli.options import Size, WholeNumber, refuse_generator, refuse_given
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow

_OPTIONS = (
    click.option(
        "--size",
        type=Size(),
        help="Generate volumes of this size in voxels; the argument is then the NAME of a generator.",
    ),
    click.option("--count", type=WholeNumber(min=1), metavar="N", help="Number of volumes to generate; default: 1."),
    click.option(
        "--seed",
        type=WholeNumber(0, 2**63),
        metavar="N",
        help="Seed of the first volume; the following ones count up; default: 0.",
    ),
)


def generating_options(command):
    """Add the options ``--size``, ``--count`` and ``--seed`` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def generated(name, size, count, seed, periodic):
    """Return the volumes of a generator by names that contain the seeds.

    Raises:
        ValueError, OSError: as for ``kerasgan3d.load_generator`` and ``Generator.sample``.
    """
    import kerasgan3d

    first, volumes = seed or 0, {}
    with quiet_tensorflow() as stderr:
        generator = kerasgan3d.load_generator(pulled(name))
        with progress_bar("sampling", stderr if stderr is not None else sys.stderr) as bar:
            for number in range(count or 1):
                volume = generator.sample(size, seed=first + number, periodic=periodic or False)
                volumes[f"{name} seed {first + number}"] = volume
                if bar is not None:
                    bar(number + 1, count or 1)
    return volumes


def check_generating(ctx, arguments, size, generator_alone, files_alone):
    """Check that ``--size`` comes with one NAME and without options for files, and options that need it with it.

    Args:
        ctx: click's context.
        arguments: Arguments of the command, files or a name.
        size: Value of ``--size``, or None.
        generator_alone, files_alone: Values of the options that need ``--size``, and of those that exclude it.

    Raises:
        click.UsageError: if this is not the case.
        ValueError: if an argument is a generator, and there is no size.
    """
    if size:
        refuse_given("for files, and --size generates", files_alone)
        if len(arguments) > 1:
            raise click.UsageError("--size takes one NAME.", ctx)
        return
    refuse_given("for what --size generates; give it, too", generator_alone)
    for argument in arguments:
        refuse_generator(argument, "Add --size to generate volumes of that many voxels.")
