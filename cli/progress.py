"""A progress bar for long work."""

import contextlib
import sys
from collections.abc import Iterator

from kerasgan3d.cli.output import echo
from kerasgan3d.texts import printable


class ProgressBar:
    """A bar on a terminal.

    Args:
        progress: The `rich.progress.Progress` that draws it.
        description: What is being done, one word or two.
    """

    def __init__(self, progress, description):
        self._progress = progress
        self._task = progress.add_task(description, total=1)

    def __call__(self, done, total):
        """Show that `done` of `total` is done."""
        self._progress.update(self._task, completed=done, total=total)

    def echo(self, text):
        """Print a line to stdout that stays above the bar."""
        if sys.stdout is not None and sys.stdout.isatty():
            # Both are the terminal: only what draws the bar can write above it.
            self._progress.console.print(printable(str(text)), markup=False, highlight=False, soft_wrap=True)
        else:
            echo(text)


@contextlib.contextmanager
def progress_bar(description, stream, unit=None) -> Iterator[ProgressBar | None]:
    """Show a progress bar where `stream` is a terminal.

    Args:
        description: what is being done, one word or two.
        stream: text stream to draw on, or None where there is none.
        unit: what is counted, in millions of which the speed is shown; None shows none.

    Yields:
        A ProgressBar, or None where `stream` is no terminal.
    """
    if stream is None or not stream.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task):
            return Text(f"{task.speed / 1e6:.3g} M {unit}/s" if unit and task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
        SpeedColumn(),
    )
    progress = Progress(
        *columns,
        console=Console(file=stream),
        transient=True,
        # What is printed meanwhile is a result and goes where stdout goes.
        redirect_stdout=False,
        redirect_stderr=False,
        # Reports of training come minutes apart; by default only the last 30 seconds count: no time would be told.
        speed_estimate_period=3600,
    )
    with progress:
        yield ProgressBar(progress, description)
