"""One writer at a time: a folder that a process holds for itself while it writes there."""

import contextlib
import threading
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from kerasgan3d.files import WriteError

LOCK = ".lock"  # what the file is called
_HELD: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # locks by file and thread


class FolderLock:
    """Holds a folder until `release`, or until the object or the process is gone, however that ended.

    The system holds it, not the file: what a dead process leaves is in nobody's way. A second lock of the same thread
    takes the folder over from the first; other threads are refused.

    Args:
        folder: The folder; made if need be, and taken away at the end if nothing else is in it.
        what: What is written there, for the message.

    Attributes:
        release: A function that ends it; more than once does no harm.

    Raises:
        WriteError: if another process, or another thread, holds the folder.
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, what: Path) -> None:
        file = folder.absolute() / LOCK
        holder = str(file), threading.get_ident()
        if holder in _HELD:
            _HELD[holder].release()
        lock = FileLock(file, timeout=0, thread_local=False)
        try:
            _acquire(lock, file)
        except Timeout as error:
            raise WriteError(
                f"another process is writing {what}. Wait until it has ended, or give another path."
            ) from error
        self.release = weakref.finalize(self, _release, lock, file)
        _HELD[holder] = self


def _acquire(lock, file, tries=20):
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except FileNotFoundError:  # whoever held it took the folder away just now
        if not tries:
            raise
        _acquire(lock, file, tries - 1)


def _release(lock, file):
    # First, so that nobody finds a file there that one who waits for it holds as well. Windows keeps what is open.
    with contextlib.suppress(OSError):
        file.unlink()
    lock.release()
    with contextlib.suppress(OSError):
        file.parent.rmdir()
