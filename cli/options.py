"""Shared options, and their types, which turn text into the arguments of the Python functions."""

import os
import re

import click
from click.shell_completion import CompletionItem


class _Bounded(click.ParamType):
    """A number whose message says what it must be: ``wanted``, within the bounds of the other base class."""

    wanted = ""

    def convert(self, value, param, ctx):
        """Return the number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"must be {self.wanted}{_bounds(self)}. Received: {value}", param, ctx)


class WholeNumber(_Bounded, click.IntRange):
    """An integer within bounds."""

    wanted = "a whole number"


class RealNumber(_Bounded, click.FloatRange):
    """A number within bounds."""

    wanted = "a number"


def _bounds(kind):
    """Return the bounds of a type in words."""
    low, high = kind.min, kind.max
    if None not in (low, high) and not (kind.min_open or kind.max_open):
        return f" from {low} to {high}"
    least = None if low is None else f"above {low}" if kind.min_open else f"of at least {low}"
    most = None if high is None else f"below {high}" if kind.max_open else f"of at most {high}"
    bounds = " and ".join(filter(None, (least, most)))
    return f" {bounds}" if bounds else ""


class Size(click.ParamType):
    """One or three numbers of voxels: ``128``, ``64 256 256``, ``64x256x256`` -> a tuple of three ints."""

    name = "n | z y x"

    def convert(self, value, param, ctx):
        """Return (z, y, x)."""
        if isinstance(value, tuple):
            return value
        parts = [part for part in re.split(r"[\s,x]+", value.strip()) if part]
        if len(parts) not in (1, 3) or not all(re.fullmatch(r"\d{1,9}", part) and int(part) for part in parts):
            self.fail(
                f"must be one or three whole numbers of voxels (z y x), each at least 1. Received: {value}", param, ctx
            )
        return tuple(int(part) for part in parts) * (3 // len(parts))


class Seeds(click.ParamType):
    """Seeds: ``1 2``, ``1,2,1`` -> a tuple of ints."""

    name = "a b ..."

    def convert(self, value, param, ctx):
        """Return the seeds."""
        if isinstance(value, tuple):
            return value
        parts = [part for part in re.split(r"[\s,]+", value.strip()) if part]
        if len(parts) < 2 or not all(re.fullmatch(r"\d{1,20}", part) for part in parts):
            self.fail(f"must be two whole numbers or more. Received: {value}", param, ctx)
        return tuple(map(int, parts))


class NumbersCommand(click.Command):
    """A command whose options of types `Size` and `Seeds` take all numbers that follow: ``--size 64 256 256``."""

    def parse_args(self, ctx, args):
        """Parse the arguments, after joining the numbers that follow such an option to one word."""
        names = {name for param in self.params if isinstance(param.type, Size | Seeds) for name in param.opts}
        joined, numbers = [], None
        for position, word in enumerate(args):
            if word == "--":
                joined.extend(args[position:])
                break
            if numbers is not None and re.fullmatch(r"[-+]?[\d.]+", word):
                numbers.append(word)
                joined[-1 if len(numbers) > 1 else len(joined) :] = [" ".join(numbers)]
                continue
            numbers = [] if word in names else None
            joined.append(word)
        return super().parse_args(ctx, joined)


class Phases(click.ParamType):
    """Names separated by commas -> a tuple of names."""

    name = "a,b,c"

    def convert(self, value, param, ctx):
        """Return the names."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"must be names with commas between them, such as pore,NMC,CBD. Received: {value}", param, ctx)
        return names


class Mapping(click.ParamType):
    """Grey values and names, ``0=pore,127=NMC`` -> dict from int to name."""

    name = "grey=name,..."

    def convert(self, value, param, ctx):
        """Return the dict."""
        if isinstance(value, dict):
            return value
        mapping = {}
        for part in value.split(","):
            grey, equals, name = (text.strip() for text in part.partition("="))
            if not (equals and name and re.fullmatch(r"-?\d+", grey)) or int(grey) in mapping:
                self.fail(
                    f"must give each grey value once, such as 0=pore,127=NMC,255=CBD. Received: {value}", param, ctx
                )
            mapping[int(grey)] = name
        return mapping


class Box(click.ParamType):
    """A range of voxels per axis, ``640:756,1325:1655``, a lone ``:`` for a whole axis -> a tuple of (start, stop)."""

    name = "y0:y1,x0:x1"

    def convert(self, value, param, ctx):
        """Return one (start, stop) or None per axis."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        if len(parts) not in (2, 3) or not all(re.fullmatch(r"\d{1,9}:\d{1,9}|:", part) for part in parts):
            self.fail(
                f"must be one start:stop in voxels per axis, such as 640:756,1325:1655. Received: {value}", param, ctx
            )
        return tuple(None if part == ":" else tuple(map(int, part.split(":"))) for part in parts)


class Axes(click.ParamType):
    """Letters of axes, ``yx`` -> three bools for z, y, x."""

    name = "zyx"

    def convert(self, value, param, ctx):
        """Return the bools."""
        if isinstance(value, tuple):
            return value
        letters = value.replace(",", "").lower()
        if not letters or len(set(letters)) != len(letters) or set(letters) - set("zyx"):
            self.fail(f"must be one or more of the letters z, y and x, each once. Received: {value}", param, ctx)
        return tuple(axis in letters for axis in "zyx")


class Blend(click.ParamType):
    """Another seed and its weight: ``7=0.5``, a profile ``7=0:0:1:1``, along x ``7=x:0:1``.

    It becomes (seed, t), as ``Generator.sample`` takes it.
    """

    name = "seed=t"

    def convert(self, value, param, ctx):
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        from kerasgan3d.sampling.profile import named_profile  # imports NumPy, which would delay help

        seed, numbers = named_profile(value)
        if not (re.fullmatch(r"\d{1,20}", seed) and numbers is not None):
            self.fail(
                f"must be seed=t, t from 0 to 1, or a profile such as 7=0:0:1:1 or 7=x:0:1. Received: {value}",
                param,
                ctx,
            )
        return int(seed), numbers


def fraction_options(command):
    """Add --fraction, as the argument `fractions` of ``Generator.sample``, and --beyond to a command."""
    beyond = click.option(
        "--beyond", is_flag=True, help="Allow fractions outside the range that the generator has learned."
    )
    fraction = click.option(
        "--fraction",
        "fractions",
        multiple=True,
        callback=_fractions,
        metavar="PHASE=F[:F...]",
        help="Requested volume fraction of a phase, or a profile of it along z (pore=0.3:0.5) or another axis "
        "(pore=x:0.3:0.5). Repeat it for other phases.",
    )
    return fraction(beyond(command))


def _fractions(ctx, param, texts):
    from kerasgan3d.sampling.conditions import read_fractions  # imports NumPy, which would delay help

    try:
        return read_fractions(texts)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


class DefaultOption(click.Option):
    """An option without a default of its own: ``show_default`` gives that of the Python function."""

    def get_help_extra(self, ctx):
        """Return the text in brackets, the default as it is."""
        extra = super().get_help_extra(ctx)
        return {**extra, "default": self.show_default} if isinstance(self.show_default, str) else extra


def complete_generators(ctx, param, incomplete):
    """Complete the name of a shipped generator or of a folder."""
    return _completions("dir", incomplete)


def complete_files_and_generators(ctx, param, incomplete):
    """Complete the name of a shipped generator or of a file."""
    return _completions("file", incomplete)


def _completions(kind, incomplete):
    import kerasgan3d

    names = [name for name in kerasgan3d.zoo.list_presets() if name.startswith(incomplete)]
    # Shells restart the list when they complete paths: names must follow.
    return [CompletionItem(incomplete, type=kind), *map(CompletionItem, names)]


def complete_recipes(ctx, param, incomplete):
    """Complete the name of a shipped recipe or of a file, without importing kerasgan3d.training, which loads Keras."""
    from importlib import resources

    files = (resources.files("kerasgan3d") / "training" / "recipes").iterdir()
    names = sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))
    return [CompletionItem(incomplete, type="file")] + [CompletionItem(n) for n in names if n.startswith(incomplete)]


phases_option = click.option("--phases", type=Phases(), help="Names of the phases, in the order of their grey values.")
map_option = click.option(
    "--map", "mapping", type=Mapping(), help="Grey values and the phases they stand for: 0=pore,127=NMC,255=CBD."
)
tolerance_option = click.option(
    "--tolerance",
    type=WholeNumber(min=0),
    metavar="N",
    help="Largest deviation of grey values from those of --map, for images with lossy compression, such as JPEG.",
)
shape_option = click.option("--shape", type=Size(), metavar="z y x", help="Shape of a .raw file in voxels.")
dtype_option = click.option("--dtype", metavar="TYPE", help="Type of a .raw file: uint8, or >u2 for big-endian.")
voxel_size_option = click.option(
    "--voxel-size",
    type=RealNumber(min=0, min_open=True),
    metavar="µm",
    help="Edge of a voxel, if the file does not state it or states it wrongly.",
)
fill_gaps_option = click.option(
    "--fill-gaps",
    is_flag=True,
    help="Replace missing slices by the nearest ones; they are reported, and recorded in output files.",
)
_READING = (
    phases_option,
    map_option,
    tolerance_option,
    voxel_size_option,
    shape_option,
    dtype_option,
    fill_gaps_option,
)


SAMPLE_FIRST = "Make one first: kerasgan3d sample {name} --size 128 -o volume.tif."  # for `refuse_generator`
READING = ("phases", "mapping", "tolerance", "voxel_size", "shape", "dtype", "fill_gaps")  # their arguments


def reading_options(command):
    """Add the options for reading files to a command, named like the arguments of `io.read`."""
    for option in reversed(_READING):
        command = option(command)
    return command


def each_once(pairs, option):
    """Return the pairs of a repeatable option as a dict.

    Raises:
        click.UsageError: if a name was given twice.
    """
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise click.UsageError(f"{option} names {twice} twice.", click.get_current_context())
    return dict(pairs)


def refuse_given(rule, options):
    """Check that none of some options, by name, is given.

    Args:
        rule: What they are, as the end of a sentence: "for pictures, and --animate makes none".
        options: dict from names to values.

    Raises:
        click.UsageError: one is.
    """
    given = [name for name, value in options.items() if value not in (None, (), False)]
    if given:
        verb = "is" if len(given) == 1 else "are"
        raise click.UsageError(f"{', '.join(given)} {verb} {rule}.", click.get_current_context())


def refuse_generator(source, instead):
    """Check that what stands for a file is not a generator.

    Args:
        source: The argument.
        instead: What to do with a generator, as a sentence with {name}.

    Raises:
        ValueError: it is one.
    """
    import kerasgan3d

    # What is here is meant, also where a generator that ships has the same name.
    if kerasgan3d.zoo.is_generator(os.path.join(os.curdir, source) if os.path.exists(source) else str(source)):
        raise ValueError(f"{source} is a generator, and a file of a volume is needed. {instead.format(name=source)}")


exclude_option = click.option(
    "--exclude",
    type=Box(),
    multiple=True,
    metavar="z0:z1,y0:y1,x0:x1",
    help="A box of voxels to leave out: a crack, a scratch, a held-out block. Repeat it for several.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing files.")
