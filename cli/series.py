"""Several volumes of one command: the seeds they have, their files, and a note of which are done."""

import json
from pathlib import Path
from typing import Any

from kerasgan3d.checks import check_seed
from kerasgan3d.folder import read_json, write_json


def numbered(output: Path, seed: int | str) -> Path:
    """Return the file of a seed: ``cathode.tif`` -> ``cathode-7.tif``."""
    return output.with_name(f"{output.stem}-{seed}{output.suffix}")


class Series:
    """Volumes of consecutive seeds. While some are missing, a note beside them says which are done.

    Attributes:
        seeds: Their seeds, a range.
        resumed: Whether an earlier command began them.

    Args:
        output: The file that was asked for; each volume's has its seed in its name.
        asked: What else tells one series from another, as JSON has it.
        seed: The first seed; None for that of a series that was begun, or one that is drawn.
        count: How many.
        restart: Whether to forget what was begun.

    Raises:
        ValueError: If another series was begun there, or a seed is too large.
    """

    def __init__(self, output: Path, asked: dict[str, Any], seed: int | None, count: int, *, restart: bool = False):
        from kerasgan3d.sampling.field import draw_seed

        self._note = output.with_name(f"{output.name}.partial.json")
        self._asked = json.loads(json.dumps({**asked, "count": count}))
        self._done: dict[str, Any] = {}
        self.resumed = self._note.exists() and not restart
        if self.resumed:
            note = read_json(self._note)
            if note.get("asked") != self._asked or seed not in (None, note.get("seed")):
                raise ValueError(
                    f"{self._note} says that other volumes were begun here: run the command that began them, choose "
                    "another name, or start afresh with --restart."
                )
            seed, self._done = note["seed"], note["done"]
        first = draw_seed() if seed is None else check_seed(seed)
        check_seed(first + count - 1)
        self.seeds = range(first, first + count)

    def result(self, seed: int) -> dict[str, Any] | None:
        """Return what is noted of a volume that is done and there; None for one that is to be made."""
        result = self._done.get(str(seed))
        return result if result and all(Path(path).exists() for path in result["outputs"]) else None

    def note(self, result: dict[str, Any] | None = None) -> None:
        """Note that the series is begun, or what came of one of its volumes."""
        if result is not None:
            self._done[str(result["seed"])] = {**result, "outputs": list(map(str, result["outputs"]))}
        write_json({"asked": self._asked, "seed": self.seeds[0], "done": self._done}, self._note)

    def end(self) -> None:
        """Remove the note: all are done."""
        self._note.unlink(missing_ok=True)
