"""A progress bar for long tasks, or an occasional line where there is no terminal to draw it on."""

import contextlib
import threading
import time
from collections.abc import Iterator

from kerasgan3d.cli.output import echo
from kerasgan3d.progress import ProgressBar, progress_bar

__all__ = ["Heartbeat", "ProgressBar", "heartbeat", "progress_bar"]


class Heartbeat:
    """Lines that report progress whenever nothing else was printed for a while.

    Args:
        description: What is being done, one word or two.
        stream: Text stream to write on.
        every: Seconds of silence after which a line is printed.
    """

    def __init__(self, description, stream, every=50.0):
        self._description, self._stream, self._every = description, stream, every
        self._progress, self._part, self._ended = None, None, threading.Event()
        self._started = self._said = time.monotonic()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __call__(self, done, total):
        """Note that `done` of `total` is done."""
        self._progress = (done, total)

    def echo(self, text):
        """Print a line to stdout: a result, or the part that begins."""
        self._part, self._progress, self._said = str(text).splitlines()[0], None, time.monotonic()
        echo(text)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()

    def _beat(self):
        while not self._ended.wait(max(0.0, self._said + self._every - time.monotonic())):
            now = time.monotonic()
            if now - self._said >= self._every:
                self._said = now
                minutes = (now - self._started) / 60
                self._stream.write(f"{self._description}: {self._state()}, {minutes:.1f} min so far\n")
                self._stream.flush()

    def _state(self):
        if self._progress is not None:
            return "{} of {} done".format(*self._progress)
        return self._part or "begun"


@contextlib.contextmanager
def heartbeat(description, stream) -> Iterator[ProgressBar | Heartbeat | None]:
    """Show a progress bar where `stream` is a terminal; elsewhere write at least one line per minute.

    Yields:
        A ProgressBar or a Heartbeat, which have the same interface; None where there is no stream.
    """
    with progress_bar(description, stream) as bar:
        if bar is not None or stream is None:
            yield bar
            return
        with Heartbeat(description, stream) as beat:
            yield beat
