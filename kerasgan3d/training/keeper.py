"""Checkpoints: the state of a run and the best generator so far, consistent after an interruption at any moment."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan3d.folder import CARD, read_json
from kerasgan3d.models import Generator
from kerasgan3d.models.preset import save_preset
from kerasgan3d.training.log import read_log, write_log
from kerasgan3d.training.state import load_state, save_state

STATE, LOG, BEST = "state.npz", "log.csv", "best"


class Keeper:
    """Checkpoints of a run: records its progress, and resumes it.

    The state decides: it holds the last line of the log and the step of the kept generator. Log and best generator are
    written after it and are repaired from it after an interruption at any moment.

    Args:
        folder: Folder of the run.

    Attributes:
        step, seconds: Steps done, and the time that they took.
        best, best_step: Smallest error, and step of the kept generator; None before the first measurement.
        rows: Lines of the log.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.step, self.seconds = 0, 0.0
        self.best: float | None = None
        self.best_step: int | None = None
        self.rows: list[dict[str, str]] = []

    def record(self, variables: Any, row: dict[str, str], error: float) -> bool:
        """Write the state and the log; return whether this step's generator should be kept, see ``keep``."""
        if self.best is None or error <= self.best:
            self.best, self.best_step = error, self.step
        facts = {"step": self.step, "seconds": self.seconds, "best": self.best, "best_step": self.best_step}
        save_state(self.folder / STATE, variables, **facts, row=json.dumps(row))
        self.rows.append(row)
        write_log(self.rows, self.folder / LOG)
        return self.best_step == self.step

    def keep(self, generator: Generator, card: dict[str, Any], reference: dict[str, Any]) -> None:
        """Save the generator of the present step as the best one."""
        training = {**card["training"], "steps": self.step, "hours": round(self.seconds / 3600, 3)}
        save_preset(generator, self.folder / BEST, {**card, "training": training}, reference)

    def resume(self, variables: Any, keep: Callable[[], None]) -> None:
        """Resume from the state; restore the log and the best generator as of that step.

        Args:
            variables: The variables passed to ``record``.
            keep: Function that saves the generator of the state, called if that is the best one and is not yet saved.

        Raises:
            ValueError: if the state is damaged or of another model, or the best generator is missing.
        """
        extra = load_state(self.folder / STATE, variables)
        self.step, self.seconds = int(extra["step"]), float(extra["seconds"])
        self.best, self.best_step = float(extra["best"]), int(extra["best_step"])
        if not np.isfinite(self.best):
            raise ValueError(f"{self.folder / STATE} is damaged: it records a best error of {self.best}.")
        self.rows = [row for row in read_log(self.folder / LOG) if int(row["step"]) <= self.step]
        if not self.rows or int(self.rows[-1]["step"]) < self.step:
            self.rows.append(json.loads(str(extra["row"])))
        write_log(self.rows, self.folder / LOG)
        if steps_of(self.folder / BEST) != self.best_step:
            if self.best_step == self.step:
                keep()
            else:
                recover(self.folder / BEST, self.best_step)
        remove_temporaries(self.folder)


def steps_of(folder: Path) -> int | None:
    """Return the step at which the generator in a preset folder was kept; None if there is none."""
    try:
        return int(read_json(folder / CARD)["training"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recover(best: Path, step: int) -> None:
    """Restore the best generator after an interruption during its replacement.

    It is then complete, in the same parent folder, under a temporary name.

    Args:
        best: Folder of the best generator.
        step: Step at which it was kept.

    Raises:
        ValueError: if it is not found.
    """
    found = [path for path in _temporaries(best.parent) if path.is_dir() and steps_of(path) == step]
    if not found:
        there = steps_of(best)
        raise ValueError(
            f"{best} must hold the best generator of the run, that of step {step}. "
            f"Received: {'none' if there is None else f'that of step {there}'}. Put it back, or start "
            "afresh with `resume=False`."
        )
    if best.exists():
        shutil.rmtree(best)
    found[0].replace(best)


def remove_temporaries(folder: Path) -> None:
    """Remove incomplete files and folders that an interruption left."""
    for path in _temporaries(folder):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _temporaries(folder):
    """Return the paths that ``kerasgan3d.files.replacing`` has not moved into place."""
    return [path for path in folder.iterdir() if re.fullmatch(r"\.[0-9a-f]{32}\.tmp", path.name)]
