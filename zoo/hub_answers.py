"""What a server sends, read up to a bound and within a time: a stranger may answer, or somebody in between."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

MAX_ANSWER = 2**23  # bytes once unpacked; the objects that JSON makes of them take at most thirty times as much
ANSWER_SECONDS = 45.0
_MAX_ERROR = 2**16  # read so that the connection may be used again
FILES_SECONDS = 60.0  # for all files of a generator, and for each byte the time that it takes at ...
SLOWEST = 20_000.0  # ... so many bytes a second

_reader = threading.local()  # whose thread reads for us, and how much
_uploading = threading.Event()  # the client sends parts of an upload from threads of its own


class HubError(OSError):
    """What went wrong on the way to the Hub, in one line that holds no token."""


class UnreachableError(HubError):
    """The Hub did not answer, or not sensibly: a copy in the cache may serve."""


class OfflineError(UnreachableError):
    """The Hub is not asked, as the user wants it."""


class NotOnHubError(HubError, ValueError):
    """There is no such repository or revision, or it is not to be seen without a token."""


def in_time(
    items: Callable[[], Iterator[Any]], left: Callable[[], float], limit: int = MAX_ANSWER
) -> Generator[Any, None, None]:
    """Yield what `items()` yields, as long as there is time left.

    A thread of its own waits for the server. The time-outs of sockets begin anew with every byte, so that they end
    nothing that drips, and there are none for headers, redirects and what the client reads and sleeps by itself.

    Args:
        items: A function that returns an iterator, which talks with the server.
        left: A function that returns how many seconds are left.
        limit: Of each answer, at most so many bytes are read.

    Raises:
        UnreachableError: if it takes too long.
        HubError: if an answer is longer than the limit.
    """
    passed: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=4)
    stopped = threading.Event()

    def work():
        _reader.limit = limit
        try:
            for item in items():
                passed.put((item, None))
                if stopped.is_set():
                    return
            passed.put((None, StopIteration()))
        except BaseException as error:
            passed.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            try:
                item, error = passed.get(timeout=max(left(), 0))
            except queue.Empty:
                raise UnreachableError("the Hub answers too slowly to wait for it; try again later.") from None
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:  # the thread may wait for room
                passed.get_nowait()


class Pace:
    """The seconds that are left for files: some to begin with, and more with every byte that comes."""

    def __init__(self) -> None:
        self._end = time.monotonic() + FILES_SECONDS

    def __call__(self) -> float:
        """Return how many are left."""
        return self._end - time.monotonic()

    def came(self, count: int) -> None:
        """Note bytes that came."""
        self._end += count / SLOWEST


def within(seconds: float, ask: Callable[[], Any]) -> Any:
    """Return what `ask()` returns.

    Raises:
        UnreachableError, HubError: as ``in_time``.
    """
    end = time.monotonic() + seconds
    return next(in_time(lambda: iter([ask()]), lambda: end - time.monotonic()))


@contextlib.contextmanager
def uploading() -> Iterator[None]:
    """Bound what servers answer to an upload, too, which the client reads in threads of its own."""
    _uploading.set()
    try:
        yield
    finally:
        _uploading.clear()


def session() -> Any:
    """The session of the Hub's client, which reads what is asked for in ``in_time`` up to its bound and no further.

    What others ask for by the same session stays as it is.
    """
    from huggingface_hub.utils import get_session

    client = get_session()
    hooks = client.event_hooks.setdefault("response", [])
    if _bound not in hooks:
        hooks.append(_bound)
    return client


def _bound(response):
    """Let an answer end at the bound; of one to us that is an error, or sends elsewhere, the headers say enough."""
    limit = getattr(_reader, "limit", MAX_ANSWER if _uploading.is_set() and response.request.method != "GET" else None)
    if limit is None:
        return
    unpacked, wanted = response.iter_bytes, response.status_code < 300 or response.request.method != "GET"

    def iter_bytes(*arguments):
        count = 0
        try:
            for chunk in unpacked(*arguments):
                count += len(chunk)
                if count > limit and wanted:
                    raise HubError(f"what the Hub answers is longer than {limit} bytes.")
                if count > _MAX_ERROR and not wanted:
                    return
                if wanted:
                    yield chunk
        finally:
            response.close()

    response.iter_bytes = iter_bytes
