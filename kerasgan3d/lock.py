"""Folder locks: only one process at a time writes to a folder."""

import contextlib
import threading
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from kerasgan3d.files import WriteError

LOCK = ".lock"  # name of the file
_HELD: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # locks by file and thread


class FolderLock:
    """Lock on a folder, held until `release` is called, or until the object or the process is gone for any reason.

    The operating system holds the lock, not the file, so a file left by a dead process blocks nobody. A second lock of
    the same thread takes the folder over from the first; other threads are refused.

    Args:
        folder: The folder; created if necessary, and removed at the end if it is otherwise empty.
        what: What is being written there, for the message.

    Attributes:
        release: A function that releases the lock; calling it more than once does no harm.

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
    except FileNotFoundError:  # its last holder has just removed the folder
        if not tries:
            raise
        _acquire(lock, file, tries - 1)


def _release(lock, file):
    # Remove the file first, so that nobody finds a file that a waiting process also holds. Windows keeps open files.
    with contextlib.suppress(OSError):
        file.unlink()
    lock.release()
    with contextlib.suppress(OSError):
        file.parent.rmdir()
