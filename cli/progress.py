"""A progress bar for long work."""

import contextlib


@contextlib.contextmanager
def progress_bar(description, stream):
    """Show a progress bar where `stream` is a terminal.

    Args:
        description: what is being done, one word or two.
        stream: text stream to draw on.

    Yields:
        A function of (done, total), or None where `stream` is no terminal.
    """
    if not stream.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
