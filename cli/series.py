"""Series of volumes from one command: their seeds, their files, and a note of the finished ones."""

import contextlib
import json
from pathlib import Path
from typing import Any

from kerasgan3d.files import replacing


def numbered(output: Path, seed: int | str) -> Path:
    """Return the file of a seed: ``cathode.tif`` -> ``cathode-7.tif``."""
    return output.with_name(f"{output.stem}-{seed}{output.suffix}")


class Series:
    """Volumes of consecutive seeds. While some are missing, a note next to them lists the finished ones.

    Attributes:
        seeds: Their seeds, a range.
        resumed: Whether an earlier command began them.

    Args:
        output: The requested file; the name of each volume's file adds its seed.
        asked: Other facts that identify the series, as in JSON.
        seed: The first seed; None for that of an unfinished series, or a random one.
        count: Number of volumes.
        restart: Whether to discard an unfinished series.

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
        """Return the noted result of a volume that is finished and exists; None for one still to be made."""
        result = self._done.get(seed)
        return result if result and all(Path(path).exists() for path in result["outputs"]) else None

    def begin(self) -> None:
        """Write the note of the series with its finished volumes."""
        with replacing(self._note) as temporary:
            temporary.write_text(_line({"asked": self._asked, "seed": self.seeds[0]}), "utf-8")
            with temporary.open("a", encoding="utf-8") as file:
                file.writelines(map(_line, self._done.values()))

    def note(self, result: dict[str, Any]) -> None:
        """Note the result of a volume."""
        with self._note.open("a", encoding="utf-8") as file:
            file.write(_line({**result, "outputs": list(map(str, result["outputs"]))}))

    def end(self) -> None:
        """Remove the note, when all volumes are finished."""
        self._note.unlink(missing_ok=True)

    def _read(self):
        """Return the lines of the note as dicts, up to the first incomplete one."""
        lines = []
        with contextlib.suppress(ValueError):
            for line in self._note.read_text("utf-8").splitlines():
                lines.append(dict(json.loads(line)))
        return lines or [{}]


def _line(content):
    return json.dumps(content) + "\n"
