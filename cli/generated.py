"""Volumes of a generator, for commands that measure files or what a generator makes."""

import sys

import click

from kerasgan3d.cli.hub import pulled
from kerasgan3d.cli.options import Size
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow

_OPTIONS = (
    click.option("--size", type=Size(), help="Generate volumes of so many voxels: the argument is a generator's NAME."),
    click.option("--count", type=click.IntRange(min=1), metavar="N", help="How many to generate; default: 1."),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63),
        metavar="N",
        help="Seed of the first, the next has one more; default: 0.",
    ),
)


def generating_options(command):
    """Give a command the options ``--size``, ``--count`` and ``--seed``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def generated(name, size, count, seed, periodic):
    """Return the volumes of a generator by their names, which say the seeds.

    Raises:
        ValueError, OSError: as ``kerasgan3d.load_generator`` and ``Generator.sample``.
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
    """Check that ``--size`` comes with one NAME and no option of files, and that what needs it is not without.

    Args:
        ctx: click's context.
        arguments: What the command was given, files or a name.
        size: Of ``--size``, or None.
        generator_alone, files_alone: Values of the options that need ``--size``, and of those that exclude it.

    Raises:
        click.UsageError: it is not so.
    """
    options = files_alone if size else generator_alone
    wrong = [name for name, value in options.items() if value not in (None, (), False)]
    if wrong:
        rule = "of files, and --size generates" if size else "of what --size generates; give it, too"
        raise click.UsageError(f"{', '.join(wrong)}: {rule}.", ctx)
    if size and len(arguments) > 1:
        raise click.UsageError("--size takes one NAME.", ctx)
