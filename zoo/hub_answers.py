"""Reading of server answers with limits on size and time, since an untrusted server may answer."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

MAX_ANSWER = 2**23  # bytes once unpacked; the objects that JSON makes of them take at most thirty times as much
ANSWER_SECONDS = 45.0
_MAX_ERROR = 2**16  # read so that the connection can be reused
FILES_SECONDS = 60.0  # for all files of a generator, and for each byte the time that it takes at ...
SLOWEST = 20_000.0  # ... so many bytes a second

_reader = threading.local()  # marks threads that read for us, with their limit
_uploading = threading.Event()  # the client sends parts of an upload from threads of its own


class HubError(OSError):
    """Error in the communication with the Hub, whose one-line message holds no token."""


class UnreachableError(HubError):
    """Error raised where the Hub does not answer, or not sensibly: a cached copy may serve."""


class OfflineError(UnreachableError):
    """Error raised where the user set the Hub offline."""


class NotOnHubError(HubError, ValueError):
    """Error raised where a repository or revision does not exist, or is not visible without a token."""


def in_time(
    items: Callable[[], Iterator[Any]], left: Callable[[], float], limit: int = MAX_ANSWER
) -> Generator[Any, None, None]:
    """Yield the items of `items()` as long as there is time left.

    A separate thread waits for the server. Socket time-outs start anew with every byte, so that they do not stop a slow
    drip, and there are none for headers, redirects, and the client's own reading and sleeping.

    Args:
        items: A function that returns an iterator, which communicates with the server.
        left: A function that returns the remaining seconds.
        limit: Largest number of bytes read from each answer.

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
    """Remaining seconds for files: an initial amount, and more with every received byte."""

    def __init__(self) -> None:
        self._end = time.monotonic() + FILES_SECONDS

    def __call__(self) -> float:
        """Return the remaining seconds."""
        return self._end - time.monotonic()

    def came(self, count: int) -> None:
        """Note received bytes."""
        self._end += count / SLOWEST


def within(seconds: float, ask: Callable[[], Any]) -> Any:
    """Return the result of `ask()`, within a time.

    Raises:
        UnreachableError, HubError: as for ``in_time``.
    """
    end = time.monotonic() + seconds
    return next(in_time(lambda: iter([ask()]), lambda: end - time.monotonic()))


@contextlib.contextmanager
def uploading() -> Iterator[None]:
    """Also bound answers to uploads, which the client reads in threads of its own."""
    _uploading.set()
    try:
        yield
    finally:
        _uploading.clear()


def session() -> Any:
    """Return the session of the Hub's client, which limits answers to requests made within ``in_time``.

    Other requests by the same session are not affected.
    """
    from huggingface_hub.utils import get_session

    client = get_session()
    hooks = client.event_hooks.setdefault("response", [])
    if _bound not in hooks:
        hooks.append(_bound)
    return client


def _bound(response):
    """End an answer to us at the limit; for errors and redirects, read only the headers."""
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
