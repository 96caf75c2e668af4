"""Options of a command, named beside the arguments of Python functions that messages of the library name."""

import re

import click

# What the library advises to pass, and the option that passes it.
_OPTIONS = {
    "phases": "--phases",
    "mapping": "--map",
    "tolerance": "--tolerance",
    "voxel_size": "--voxel-size",
    "shape": "--shape",
    "dtype": "--dtype",
    "format": "--format",
    "fill_gaps=True": "--fill-gaps",
    "resample_to": "--resample-to",
    "volume.resample(generator.voxel_size)": "--resample",
    "beyond=True": "--beyond",
    "overwrite=True": "--overwrite",
    "resume=False": "--restart",
    "generator": "--generator",
    "recipe": "--recipe",
    "loss": "--loss",
    "size": "--size",
    "warmup": "--warmup",
    "about['name']": "--name",
    "about['citation']": "--citation",
    "about['licence']": "--licence",
}


def with_options(message: str, command: click.Command | None) -> str:
    """Return a message with a command's options beside the arguments that it names: "pass `mapping` (--map)"."""
    known = (
        {option for param in command.params for option in (*param.opts, *param.secondary_opts)} if command else set()
    )

    def named(found):
        text, option = found[0], _OPTIONS.get(found[1].partition("={")[0], "")
        pairs = re.findall(r"(-?\d+): (['\"])(.*?)\2", found[1])
        values = ",".join(f"{value}={name}" for value, _, name in pairs) + (",..." if found[1].endswith("...}") else "")
        return text if option not in known else f"{text} ({option}{' ' * bool(pairs)}{values})"

    return re.sub(r"`([^`]+)`(?! \(--)", named, message)
