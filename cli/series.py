"""Several volumes of one command: the seeds they have, their files, and a note of which are done."""

import contextlib
import json
from pathlib import Path
from typing import Any

from kerasgan3d.files import replacing


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
        from kerasgan3d.checks import check_seed
        from kerasgan3d.sampling.field import draw_seed

        self._note = output.with_name(f"{output.name}.partial.jsonl")
        self._asked = json.loads(json.dumps({**asked, "count": count}))
        self._done: dict[int, Any] = {}
        self.resumed = self._note.exists() and not restart
        if self.resumed:
            begun, *done = self._read()
            if begun.get("asked") != self._asked or seed not in (None, begun.get("seed")):
                raise ValueError(
                    f"{self._note} says that other volumes were begun here: run the command that began them, choose "
                    "another name, or start afresh with --restart."
                )
            seed, self._done = begun["seed"], {result["seed"]: result for result in done}
        first = draw_seed() if seed is None else check_seed(seed)
        check_seed(first + count - 1)
        self.seeds = range(first, first + count)

    def result(self, seed: int) -> dict[str, Any] | None:
        """Return what is noted of a volume that is done and there; None for one that is to be made."""
        result = self._done.get(seed)
        return result if result and all(Path(path).exists() for path in result["outputs"]) else None

    def begin(self) -> None:
        """Note that the series is begun, and what is done of it."""
        with replacing(self._note) as temporary:
            temporary.write_text(_line({"asked": self._asked, "seed": self.seeds[0]}), "utf-8")
            with temporary.open("a", encoding="utf-8") as file:
                file.writelines(map(_line, self._done.values()))

    def note(self, result: dict[str, Any]) -> None:
        """Note what came of one of its volumes."""
        with self._note.open("a", encoding="utf-8") as file:
            file.write(_line({**result, "outputs": list(map(str, result["outputs"]))}))

    def end(self) -> None:
        """Remove the note: all are done."""
        self._note.unlink(missing_ok=True)

    def _read(self):
        """Return the lines of the note as dicts; what follows one that was not written to its end is not believed."""
        lines = []
        with contextlib.suppress(ValueError):
            for line in self._note.read_text("utf-8").splitlines():
                lines.append(dict(json.loads(line)))
        return lines or [{}]


def _line(content):
    return json.dumps(content) + "\n"
