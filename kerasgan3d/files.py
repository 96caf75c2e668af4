"""Writing files at once or not at all, and what is there to stay."""

import contextlib
import errno
import os
import shutil
import uuid


class WriteError(OSError):
    """Which file could not be written, said in full: not to be wrapped again."""


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`; move what was written there into place, or leave nothing.

    Whatever happens, `path` holds the whole of the new or the whole of the old. A folder is replaced as a whole.

    Args:
        path: Path of a file, or of a folder, that is to be written or replaced.

    Yields:
        The temporary Path, which does not exist.

    Raises:
        WriteError: if the disk is full, or a library could not write for another reason than the place.
        OSError: if the place cannot be written.
    """
    target = path.resolve()
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with _writing(path):
            yield temporary
        if temporary.is_dir() and target.exists():
            # A folder cannot replace another in one step: the old one steps aside and comes back if need be.
            aside = target.with_name(f".{uuid.uuid4().hex}.tmp")
            os.replace(target, aside)
            try:
                os.replace(temporary, target)
            except OSError:
                os.replace(aside, target)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.replace(temporary, target)
    finally:
        remove(temporary)


def remove(path):
    """Take away a file, a link or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path):
    """Have what was written to a file, or the names in a folder, reach the disk."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path):
    """Name the file that could not be written: libraries say "262144 requested and 101312 written" of a full disk."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        if error.errno not in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise WriteError(
            f"{path} could not be written whole, and was not written at all. Is there room on the disk? "
            f"Received: {error.strerror or error}"
        ) from error


def check_folder(folder):
    """Check that a folder can be made or written, without making it.

    Raises:
        OSError: if it cannot.
    """
    parent = folder
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise NotADirectoryError(f"the output must be a folder. Received: {folder}; {parent} is a file.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"the output must be a folder that can be written. Received: {folder}.")


def check_room(folder, needed):
    """Check that a folder's disk has room for so many bytes.

    Raises:
        OSError: if it has less, as when the disk is full.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed} bytes are needed, and {free} are free")
