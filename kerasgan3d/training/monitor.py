"""Monitoring of a run: measurements, reports and early stopping; ``keeper`` writes the checkpoints."""

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
SAMPLES = {"count": 16, "seed": MONITOR}  # volumes by which a generator is evaluated during training
EDGE = 96  # voxels: their edge length, unless data or training volumes are smaller


class Report(NamedTuple):
    """Report of a run after a measurement, see ``progress`` of ``train``; as text it is one line.

    Attributes:
        step, steps: Steps done, and steps of the whole run.
        seconds: Time of the run so far.
        losses: dict, see ``GAN3D.metrics``.
        fidelity: dict, see ``kerasgan3d.material.statistics.fidelity``.
        best_error: Smallest error so far.
        spread: See ``kerasgan3d.material.statistics.spread``; near 0 if a generator always makes the same volume.
    """

    step: int
    steps: int
    seconds: float
    losses: dict
    fidelity: dict
    best_error: float
    spread: float | None = None

    def __str__(self):
        line = f"step {self.step} of {self.steps}, {self.seconds / 60:.1f} min: error {self.fidelity['error']:.3f}"
        line += f", best {self.best_error:.3f}"
        return line if self.spread is None else f"{line}, spread {self.spread:.2f} of the data's"


@dataclass
class Limits:
    """Limits at which a run ends before its last step.

    Attributes:
        minutes: Time from now in minutes, including the last measurement and all that follows it; or None.
        patience: Number of measurements without a smaller error; or None.
        measuring: Seconds that a measurement takes.
        comparing: Additional seconds that the comparison with held-out data takes.
    """

    minutes: float | None = None
    patience: int | None = None
    measuring: float = 0.0
    comparing: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def time_is_out(self) -> bool:
        """Whether the remaining time is needed to end the run: to measure twice, and write."""
        left = None if self.minutes is None else 60 * self.minutes - (time.monotonic() - self._started)
        return left is not None and left <= 2.5 * self.measuring + self.comparing

    def patience_is_out(self, rows: list[dict[str, str]]) -> bool:
        """Tell whether ``patience`` lines of a log passed without a smaller error; of equal errors the later counts."""
        errors = [float(row["error"]) for row in rows]
        return self.patience is not None and errors[::-1].index(min(errors)) >= self.patience if errors else False


class Monitor(keras.callbacks.Callback):
    """Measures the averaged generator after each epoch, keeps the state and the best one, draws and reports.

    Args:
        gan: The GAN3D.
        steps: Steps of the whole run.
        keeper: The Keeper; after it has resumed a run, training continues from its step.
        reference: Statistics of the data, see ``kerasgan3d.material.statistics.reference_statistics``.
        card: dict of facts for the card of the kept generator.
        limits: The Limits.
        real: Labels of the data to draw next to generated ones: a list of square slices.
        progress: A function of a Report, called after each measurement.
        tick: A function of (steps done, steps of the whole run), called after each step.

    Attributes:
        stopped: Whether the run should end here.
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

    def on_epoch_begin(self, epoch, logs=None):
        if self.keeper.step == 0:
            from kerasgan3d.report import run_figure

            self.gan.average.renew_statistics(self.gan.size)
            noise = self.gan.average.generator.sample(self.reference["sub_volumes"]["size"], seed=SAMPLES["seed"])
            run_figure.keep_frame(self.keeper.folder, 0, 0, noise.labels)

    def on_train_batch_end(self, batch, logs=None):
        self.keeper.step += 1
        if self.tick is not None:
            self.tick(self.keeper.step, self.steps)
        if self.limits.time_is_out:
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        from kerasgan3d.report import run_figure

        keeper, losses = self.keeper, {key: float(value) for key, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in losses.values()):
            raise ValueError(
                f"training diverged at step {keeper.step}: {losses}. {keeper.folder / BEST} holds the best generator, "
                "if any; another loss or smaller learning rates may help."
            )
        before = time.monotonic()
        samples, measured = self.measured()
        found, differ = fidelity(self.reference, measured), spread(self.reference, samples)
        self.limits.measuring = (now := time.monotonic()) - before
        keeper.seconds, self._since = keeper.seconds + now - self._since, now
        row = log_row(keeper.step, keeper.seconds, losses, measured, found, differ)
        run_figure.keep_frame(keeper.folder, epoch + 1, keeper.step, samples[0])
        if keeper.record(self.gan.state(), row, found["error"]):
            self.keep(measured)
        run_figure.draw_monitor(keeper.folder / PICTURE, self.real, samples, self.reference, measured, keeper.rows)
        if logs is not None:
            # Later callbacks, such as TensorBoard's, then have the measurements.
            logs.update({key: float(value) for key, value in row.items() if key not in ("step", "seconds")})
        if self.progress is not None:
            self.progress(Report(keeper.step, self.steps, keeper.seconds, losses, found, keeper.best or 0.0, differ))
        if self.limits.patience_is_out(keeper.rows):
            self.stopped = self.model.stop_training = True

    def measured(self) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return volumes of the averaged generator, with recomputed normalisation, and their morphology."""
        self.gan.average.renew_statistics(self.gan.size)
        return measure(self.gan.average.generator, self.reference)

    def keep(self, measured: dict[str, Any] | None = None) -> None:
        """Save the averaged generator as the best one."""
        card = {**self.card, **measurement_facts(self.reference, measured or self.measured()[1])}
        self.keeper.keep(self.gan.average.generator.with_padding("valid"), card, self.reference)


def measure(generator: Any, reference: dict[str, Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the volumes by which a generator is evaluated, and their morphology: (labels, result of ``summarise``)."""
    of = reference["sub_volumes"]
    samples = [generator.sample(of["size"], seed=SAMPLES["seed"] + i).labels for i in range(SAMPLES["count"])]
    return samples, summarise(samples, len(generator.phases), generator.voxel_size, of["dimensions"])


def measurement_facts(reference: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Return the facts about these volumes for a card."""
    of = reference["sub_volumes"]
    samples = {**SAMPLES, "size": of["size"], "compared_in": of["dimensions"]}
    return {**fidelity_facts(reference, measured), "samples": samples}


def tensorboard_callback(folder: Path) -> Any:
    """Return a callback that logs measurements for TensorBoard.

    Raises:
        ValueError: if TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "`tensorboard` must be False where TensorBoard is not installed. Received: True. "
            "Install it: pip install tensorboard."
        )
    return keras.callbacks.TensorBoard(log_dir=str(folder), write_graph=False)
