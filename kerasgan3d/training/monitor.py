"""Watching a run: measuring, reporting, stopping; what is kept is the keeper's."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasgan3d.material.statistics import fidelity, fidelity_facts, spread, summarise
from kerasgan3d.seeds import MONITOR
from kerasgan3d.training.keeper import BEST, Keeper
from kerasgan3d.training.log import log_row

PICTURE, TENSORBOARD = "monitor.png", "tensorboard"
SAMPLES = {"count": 16, "seed": MONITOR}  # the volumes by which a generator is judged as it trains
EDGE = 96  # voxels: their edge, where data and training have room for it


class Report(NamedTuple):
    """What a run tells after each measurement, see ``train``'s ``progress``; as text it is one line.

    Attributes:
        step, steps: Steps done, and those of the whole run.
        seconds: Time of the run so far.
        losses: dict, see ``GAN3D.metrics``.
        fidelity: dict, see ``kerasgan3d.material.statistics.fidelity``.
        best_error: The smallest error so far.
        spread: See ``kerasgan3d.material.statistics.spread``; near 0 where a generator makes always the same.
    """

    step: int
    steps: int
    seconds: float
    losses: dict
    fidelity: dict
    best_error: float
    spread: float | None = None

    def __str__(self):
        line = (
            f"step {self.step} of {self.steps}, {self.seconds / 60:.1f} min: "
            f"error {self.fidelity['error']:.3f}, best {self.best_error:.3f}"
        )
        return line if self.spread is None else f"{line}, spread {self.spread:.2f} of the data's"


@dataclass
class Limits:
    """When a run ends before its last step.

    Attributes:
        minutes: After so many minutes from now, the last measurement and what comes after it included; or None.
        patience: After so many measurements without a smaller error; or None.
        measuring: Seconds that a measurement takes.
        comparing: Seconds that comparing with what was held out takes besides.
    """

    minutes: float | None = None
    patience: int | None = None
    measuring: float = 0.0
    comparing: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def time_is_out(self) -> bool:
        """Whether what is left of the minutes is what the end of a run takes: to measure twice, and write."""
        left = None if self.minutes is None else 60 * self.minutes - (time.monotonic() - self._started)
        return left is not None and left <= 2.5 * self.measuring + self.comparing

    def patience_is_out(self, rows: list[dict[str, str]]) -> bool:
        """Whether so many lines of a log passed without a smaller error; of equal ones the later counts."""
        errors = [float(row["error"]) for row in rows]
        return self.patience is not None and errors[::-1].index(min(errors)) >= self.patience if errors else False


class Monitor(keras.callbacks.Callback):
    """Measures the averaged generator after each epoch, has the state and the best written, draws and tells.

    Args:
        gan: The GAN3D.
        steps: Steps of the whole run.
        keeper: The Keeper; where it has resumed, the run goes on from its step.
        reference: Statistics of the data, see ``kerasgan3d.material.statistics.reference_statistics``.
        card: dict, what the card of the kept generator says.
        limits: The Limits.
        real: Labels of the data to draw beside generated ones: a list of square slices.
        progress: A function of a Report, called after each measurement.
        tick: A function of (steps done, steps of the whole run), called after each step.

    Attributes:
        stopped: Whether the run shall end here.
    """

    def __init__(
        self,
        gan: Any,
        steps: int,
        keeper: Keeper,
        reference: dict[str, Any],
        card: dict[str, Any],
        limits: Limits,
        *,
        real: list[np.ndarray] | None = None,
        progress: Callable[[Report], Any] | None = None,
        tick: Callable[[int, int], Any] | None = None,
    ):
        super().__init__()
        self.gan, self.steps, self.keeper, self.reference, self.card = gan, steps, keeper, reference, card
        self.limits, self.real, self.progress, self.tick = limits, list(real or ()), progress, tick
        self.stopped = limits.patience_is_out(keeper.rows)
        self._since = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.keeper.step += 1
        if self.tick is not None:
            self.tick(self.keeper.step, self.steps)
        if self.limits.time_is_out:
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        keeper, losses = self.keeper, {key: float(value) for key, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in losses.values()):
            raise ValueError(
                f"training diverged at step {keeper.step}: {losses}. {keeper.folder / BEST} holds the best so far, if "
                "any; another loss or smaller learning rates may do better."
            )
        before = time.monotonic()
        samples, measured = self.measured()
        found, differ = fidelity(self.reference, measured), spread(self.reference, samples)
        now = time.monotonic()
        self.limits.measuring = now - before
        keeper.seconds, self._since = keeper.seconds + now - self._since, now
        row = log_row(keeper.step, keeper.seconds, losses, measured, found, differ)
        if keeper.record(self.gan.state(), row, found["error"]):
            self.keep(measured)
        self._draw(samples, measured)
        if logs is not None:
            # Callbacks that follow, such as TensorBoard's, see what was measured.
            logs.update({key: float(value) for key, value in row.items() if key not in ("step", "seconds")})
        if self.progress is not None:
            self.progress(Report(keeper.step, self.steps, keeper.seconds, losses, found, keeper.best or 0.0, differ))
        if self.limits.patience_is_out(keeper.rows):
            self.stopped = self.model.stop_training = True

    def measured(self) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return volumes of the averaged generator and their morphology, its normalisation made anew."""
        self.gan.average.renew_statistics(self.gan.size)
        return measure(self.gan.average.generator, self.reference)

    def keep(self, measured: dict[str, Any] | None = None) -> None:
        """Make the averaged generator the best one."""
        measured = self.measured()[1] if measured is None else measured
        card = {**self.card, **measurement_facts(self.reference, measured)}
        self.keeper.keep(self.gan.average.generator.with_padding("valid"), card, self.reference)

    def _draw(self, samples, measured):
        # Pictures need matplotlib, which a run that draws none shall not wait for.
        from kerasgan3d.report.run_figure import draw_monitor

        draw_monitor(self.keeper.folder / PICTURE, self.real, samples, self.reference, measured, self.keeper.rows)


def measure(generator: Any, reference: dict[str, Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the volumes by which a generator is judged, and their morphology: (labels, what ``summarise`` gives)."""
    of = reference["sub_volumes"]
    samples = [generator.sample(of["size"], seed=SAMPLES["seed"] + i).labels for i in range(SAMPLES["count"])]
    return samples, summarise(samples, len(generator.phases), generator.voxel_size, of["dimensions"])


def measurement_facts(reference: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Return what a card says of these volumes."""
    of = reference["sub_volumes"]
    samples = {**SAMPLES, "size": of["size"], "compared_in": of["dimensions"]}
    return {**fidelity_facts(reference, measured), "samples": samples}


def tensorboard_callback(folder: Path) -> Any:
    """Return a callback that writes what is measured for TensorBoard.

    Raises:
        ValueError: if TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "`tensorboard` must be False where TensorBoard is not installed. Received: True. "
            "Install it: pip install tensorboard."
        )
    return keras.callbacks.TensorBoard(log_dir=str(folder), write_graph=False)
