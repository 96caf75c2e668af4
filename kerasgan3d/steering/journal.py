"""Journals of long computations: after an interruption, finished steps are repeated without computing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasgan3d.files import remove, replacing
from kerasgan3d.lock import FolderLock

_NAME = "journal.jsonl"


class Journal:
    """Results of successive steps, one per line, in a folder next to the output.

    Args:
        out: The output; the folder has its name with the suffix ``.partial``.
        asked: A digest of the task, by which a journal of another task is recognised.
        restart: Whether to discard the journal of another task.

    Attributes:
        begun: Whether there were results before.

    Raises:
        ValueError: if there is a journal of another task.
        OSError: if another process uses the journal, or it cannot be written.
    """

    def __init__(self, out: Path, asked: str, *, restart: bool = False):
        folder = partial(out)
        self._lock, self._file = FolderLock(folder, out), folder / _NAME
        self._known = self._read(asked, restart)
        self.begun = bool(self._known)
        if not self.begun:
            with replacing(self._file) as temporary:
                temporary.write_text(json.dumps(asked) + "\n", "utf-8", newline="")

    def once(self, compute: Callable[[], Any]) -> Any:
        """Return the result of the next step: the recorded one, or else that of a function."""
        if self._known:
            return self._known.pop(0)
        result = compute()
        with open(self._file, "a", encoding="utf-8", newline="") as file:
            file.write(json.dumps(result) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return result

    def close(self, *, done: bool = False) -> None:
        """Release the journal; remove it if the work is complete."""
        if done:
            remove(self._file)
        self._lock.release()

    def _read(self, asked: str, restart: bool) -> list[Any]:
        """Read the recorded results; an incomplete last one is dropped."""
        content = self._file.read_bytes() if self._file.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        try:
            first, *results = [json.loads(line) for line in whole.splitlines()] or [asked]
        except ValueError:
            first, results = None, []
        if first != asked and restart:
            return []
        if first != asked:
            raise ValueError(
                f"{self._file.parent} holds the beginning of other work: another generator, targets or settings. "
                "Choose another name, or pass `overwrite=True`."
            )
        if whole != content:
            os.truncate(self._file, len(whole))
        return results


def partial(out: Path) -> Path:
    """Return the folder of an output's journal."""
    return out.with_name(f"{out.name}.partial")
