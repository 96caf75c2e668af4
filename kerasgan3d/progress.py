"""Progress bars for long tasks, in a terminal and in a notebook."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from kerasgan3d.texts import html_text, printable

Report = Callable[[int, int], object]  # done, total
Told = Report | bool | None  # the `progress` argument of functions that show their progress
_EVERY = 0.2  # seconds between two updates of a bar in a notebook
# Frames to skip: modules that show progress, and what lies between. The next frame is the caller that wants the work.
_BETWEEN = ("kerasgan3d.progress", "kerasgan3d.models.sampling", "kerasgan3d.steering.extending")
_BETWEEN += ("kerasgan3d.zoo.reproducing", "kerasgan3d.zoo.examples", "kerasgan3d.zoo.publishing", "contextlib")


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
        """Print a line to stdout, above the bar."""
        if sys.stdout is not None and sys.stdout.isatty():
            # Where both streams are the terminal, only the bar's own console can write above it.
            self._progress.console.print(printable(str(text)), markup=False, highlight=False, soft_wrap=True)
        else:
            print(printable(str(text)), flush=True)


class NotebookBar:
    """A bar in the output of a notebook cell, where it remains.

    Args:
        description: What is being done, one word or two.
    """

    def __init__(self, description):
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        self._description, self._html = description, HTML
        self._began = self._shown = time.monotonic()
        self._handle: Any = display(self._picture(0, 1), display_id=True)

    def __call__(self, done, total):
        """Show that `done` of `total` is done."""
        now = time.monotonic()
        if now - self._shown >= _EVERY or done >= total:
            self._shown = now
            self._handle.update(self._picture(done, total))

    def _picture(self, done, total):
        seconds = time.monotonic() - self._began
        left = f", {seconds * (total - done) / done:.0f} s left" if 0 < done < total else ""
        return self._html(
            f'{html_text(self._description)} <progress value="{done}" max="{total}"></progress> '
            f"{100 * done / total:.0f} %, {seconds:.1f} s{left}"
        )


@contextlib.contextmanager
def reported(progress: Told, description: str, unit: str | None = None) -> Iterator[Report | None]:
    """Report the progress of work to a function, or show a bar in a terminal or a notebook.

    Work requested by another part of this package shows no bar, because that part shows its own.

    Args:
        progress: A function (done, total); None or True for a bar, where one can be shown; False for none.
        description, unit: As for `progress_bar`.

    Yields:
        A function (done, total), or None where progress is not reported.
    """
    if callable(progress):
        yield progress
    elif progress is False or threading.current_thread() is not threading.main_thread() or _is_ours(sys._getframe()):
        yield None
    elif _in_notebook():
        yield NotebookBar(description)
    else:
        with progress_bar(description, sys.stderr, unit) as bar:
            yield bar


def _is_ours(frame):
    """Tell whether this package itself requested the work."""
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith("kerasgan3d.")


def _in_notebook():
    """Tell whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@contextlib.contextmanager
def progress_bar(description, stream, unit=None) -> Iterator[ProgressBar | None]:
    """Show a progress bar where `stream` is a terminal.

    Args:
        description: What is being done, one word or two.
        stream: Text stream to draw on, or None where there is none.
        unit: Unit of the speed, which is shown in millions per second; None shows no speed.

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
        # Lines printed meanwhile are results and belong on stdout.
        redirect_stdout=False,
        redirect_stderr=False,
        # Training reports minutes apart; rich's default window of 30 seconds would show no remaining time.
        speed_estimate_period=3600,
    )
    with progress:
        yield ProgressBar(progress, description)
