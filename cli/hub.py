"""Generators from the Hub, for all commands that take a NAME."""

import contextlib
import functools
import sys
from pathlib import Path

from kerasgan3d.cli.output import echo, in_bytes, print_facts
from kerasgan3d.cli.progress import progress_bar


def takes_generators(*arguments):
    """Let the arguments of a command with these names be generators on the Hub.

    A generator on the Hub is downloaded before the command begins, with its facts and a bar on stderr; the command gets
    its name with the commit, so that everything it does refers to the same one. Other values are passed on unchanged.
    """

    def decorate(function):
        @functools.wraps(function)
        def command(**options):
            for argument in arguments:
                options[argument] = pulled(options[argument])
            return function(**options)

        return command

    return decorate


def pulled(name):
    """Return a name unchanged, or for a generator on the Hub download it and return its name with the commit.

    Raises:
        ValueError, OSError: as for ``kerasgan3d.zoo.pull``.
    """
    import kerasgan3d
    from kerasgan3d.zoo.hub import HubError

    if "/" not in name or Path(name).exists() or kerasgan3d.zoo.on_hub(name) is None:
        return name
    try:
        return pull(name).name
    except HubError as error:
        if name.startswith("hf://"):
            raise
        raise type(error)(f"{name} is not here, and {error}") from None


def check_there(name):
    """Check that a name is that of a generator, here or on the Hub, or of something to read.

    Raises:
        ValueError: if it is neither.
    """
    import kerasgan3d

    there = kerasgan3d.zoo.is_generator(name) or kerasgan3d.io.is_there(name)
    if not there and kerasgan3d.zoo.on_hub(name) is None:
        raise ValueError(
            f"There must be a generator, a volume or a folder of that name. Received: {name}. Generators that ship: "
            f"{', '.join(kerasgan3d.zoo.list_presets()) or 'none'}."
        )


def pull(name, revision=None):
    """Download a generator; announce it on stderr, and draw a bar where stderr is a terminal.

    Returns:
        kerasgan3d.zoo.hub.Snapshot.
    """
    import kerasgan3d

    bar = None

    def announce(facts, snapshot):
        nonlocal bar
        echo(f"pulling {snapshot.repo}, commit {snapshot.commit[:12]}", err=True)
        size = facts.get("voxel_size")
        print_facts(
            [
                ("name", facts.get("name")),
                ("description", facts.get("description")),
                ("phases", ", ".join(facts.get("phases") or ())),
                ("voxel size", f"{size:g} µm" if size else None),
                ("licence", facts.get("licence")),
                ("citation", facts.get("citation")),
                ("files", ", ".join(f"{file} {in_bytes(count)}" for file, count in snapshot.files.items())),
            ],
            indent="  ",
            err=True,
        )
        # Not earlier, since printed lines would run into the bar.
        bar = stack.enter_context(progress_bar("pulling", sys.stderr))

    def progress(done, total):
        if bar is not None:
            bar(done, total)

    def notify(text):
        echo(f"kerasgan3d: {text}", err=True)

    with contextlib.ExitStack() as stack:
        return kerasgan3d.zoo.pull(name, revision, announce=announce, progress=progress, notify=notify)
