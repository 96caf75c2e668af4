"""Atomic and durable writing of files and folders."""

import contextlib
import errno
import os
import shutil
import uuid


class WriteError(OSError):
    """Error whose message already names the file that could not be written, and is not wrapped again."""


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path next to `path`, and move what was written there into place, or leave nothing.

    Whatever happens, `path` holds either all of the new content or all of the old. Folders are replaced as a whole.

    Args:
        path: Path of the file or folder to write or replace.

    Yields:
        The temporary Path, which does not exist.

    Raises:
        WriteError: if the disk is full, or a library could not write for a reason other than the path.
        OSError: if the path cannot be written.
    """
    target = path.resolve()
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with _writing(path):
            yield temporary
        if temporary.is_dir() and target.exists():
            # A folder cannot replace another in one step: the old one is moved aside, and back if that fails.
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
    """Remove a file, a link or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path):
    """Flush a file's content, or a folder's entries, to the disk."""
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
    """Name the file that could not be written: on a full disk libraries say "262144 requested and 101312 written"."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        if error.errno not in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise WriteError(
            f"{path} could not be written whole, so nothing was written. Is there room on the disk? "
            f"Received: {error.strerror or error}"
        ) from error


def check_folder(folder):
    """Check that a folder can be created or written to, without creating it.

    Raises:
        OSError: if it cannot.
    """
    parent = folder
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise NotADirectoryError(f"the output must be a folder. Received: {folder}; {parent} is a file.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"the output must be a writable folder. Received: {folder}.")


def check_room(folder, needed):
    """Check that a folder's disk has room for ``needed`` bytes.

    Raises:
        OSError: if it has less, with the errno of a full disk.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed} bytes are needed, and {free} are free")
