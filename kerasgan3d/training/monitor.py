"""Watching a run: measuring, keeping the best, and writing down everything from which it can go on."""

import importlib.util
import json
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerasgan3d.folder import CARD, read_json
from kerasgan3d.models.preset import save_preset
from kerasgan3d.seeds import MONITOR
from kerasgan3d.training.gan3d import read_state
from kerasgan3d.training.log import log_row, read_log, write_log
from kerasgan3d.training.morphology import EARLIER_ERROR_OF, fidelity, fidelity_facts, spread, summarise
from kerasgan3d.training.normalization import renew_statistics

STATE, LOG, BEST, PICTURE, TENSORBOARD = "state.npz", "log.csv", "best", "monitor.png", "tensorboard"
SAMPLES = {"count": 16, "seed": MONITOR}  # the volumes by which a generator is judged as it trains


class Report(NamedTuple):
    """What a run tells after each measurement, see ``train``'s ``progress``; as text it is one line.

    Attributes:
        step, steps: Steps done, and those of the whole run.
        seconds: Time of the run so far.
        losses: dict, see ``GAN3D.metrics``.
        fidelity: dict, see ``kerasgan3d.training.morphology.fidelity``.
        best_error: The smallest error so far.
        spread: See ``kerasgan3d.training.morphology.spread``; near 0 where a generator makes always the same.
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


class Monitor(keras.callbacks.Callback):
    """Measures the averaged generator after each epoch, keeps the best (or the last), writes state, log and picture.

    The state is what counts: it holds the line of the log and says which step is the kept one, so that log and best
    generator, which are written after it, can be made good from it after an end at any moment.

    Args:
        gan: The GAN3D.
        recipe: The Recipe.
        reference: Statistics of the data, see ``kerasgan3d.training.morphology.reference_statistics``.
        output: Folder of the run.
        card: dict, what the card of the kept generator says.
        real: Labels of the data to draw beside generated ones: a list of square slices.
        minutes: Stop after so many minutes.
        patience: Stop after so many measurements without a smaller error.
        progress: A function of a Report, called after each measurement.
        tick: A function of (steps done, steps of the whole run), called after each step.
        resuming: Whether to go on with what is in the folder.

    Attributes:
        step: Steps done.
        stopped: Whether the run shall end here.
    """

    def __init__(
        self,
        gan,
        recipe,
        reference,
        output,
        card,
        *,
        real=(),
        minutes=None,
        patience=None,
        progress=None,
        tick=None,
        resuming=False,
    ):
        super().__init__()
        self.gan, self.recipe, self.reference, self.output, self.card = gan, recipe, reference, Path(output), card
        self.real, self.minutes, self.patience, self.progress, self.tick = list(real), minutes, patience, progress, tick
        self.step, self.seconds, self.best, self.best_step, self.stopped = 0, 0.0, None, None, False
        self._error_of = card["training"].get("error_of", EARLIER_ERROR_OF)
        self.rows = []
        if resuming:
            self._restore()
        self._started = self._since = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.tick is not None:
            self.tick(self.step + batch + 1, self.recipe.total_steps)

    def on_epoch_end(self, epoch, logs=None):
        self.step += self.params["steps"]
        self.seconds += time.monotonic() - self._since
        self._since = time.monotonic()
        losses = {key: float(value) for key, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in losses.values()):
            raise ValueError(
                f"training diverged at step {self.step}: {losses}. {self.output / BEST} holds the best so far, if any; "
                "another recipe or smaller learning rates may do better."
            )
        renew_statistics(self.gan.average, self.recipe.crop, self.gan.equivariance)
        samples, measured = measure(self.gan.average, self.recipe.crop, self.reference)
        found, differ = fidelity(self.reference, measured, self._error_of), spread(self.reference, samples)
        self.seconds += time.monotonic() - self._since
        self._since = time.monotonic()
        if self.best is None or found["error"] <= self.best or self.recipe.keep == "last":
            self.best_step = self.step
            self.best = found["error"] if self.best is None else min(self.best, found["error"])
        row = log_row(self.step, self.seconds, losses, measured, found, differ)
        self._write(row, measured)
        self._draw(samples, measured)
        if logs is not None:
            # Callbacks that follow, such as TensorBoard's, see what was measured.
            logs.update({key: float(value) for key, value in row.items() if key not in ("step", "seconds")})
        if self.progress is not None:
            self.progress(Report(self.step, self.recipe.total_steps, self.seconds, losses, found, self.best, differ))
        late = self.minutes is not None and time.monotonic() - self._started >= 60 * self.minutes
        if late or self.patience_is_out:
            self.stopped = self.model.stop_training = True

    @property
    def patience_is_out(self):
        """Whether as many measurements as ``patience`` have passed without a smaller error."""
        if self.patience is None or not self.rows:
            return False
        # The best step is another where the recipe keeps the last. Of equal ones the later counts.
        least = min(reversed(self.rows), key=lambda row: float(row["error"]))
        return self.step - int(least["step"]) >= self.patience * self.recipe.monitor_every

    def _write(self, row, measured):
        """Write the state, then what follows from it."""
        self.gan.save_state(
            self.output / STATE,
            step=self.step,
            seconds=self.seconds,
            best=self.best,
            best_step=self.best_step,
            row=json.dumps(row),
        )
        self.rows.append(row)
        write_log(self.rows, self.output / LOG)
        if self.best_step == self.step:
            self._keep(measured)

    def _keep(self, measured):
        """Make the averaged generator the best one."""
        card = {**self.card, **fidelity_facts(self.reference, measured)}
        dimensions = self.reference["sub_volumes"]["dimensions"]
        card["samples"] = {**SAMPLES, "size": self.recipe.crop, "compared_in": dimensions}
        card["training"] = {**card["training"], "steps": self.step, "hours": round(self.seconds / 3600, 3)}
        save_preset(self.gan.average, self.output / BEST, card, self.reference)

    def _restore(self):
        """Go on from the state; make log and best generator what they are at that step."""
        extra = self.gan.load_state(self.output / STATE)
        self.step, self.seconds = int(extra["step"]), float(extra["seconds"])
        self.best = float(extra["best"]) if np.isfinite(extra["best"]) else None
        self.rows = [row for row in read_log(self.output / LOG) if int(row["step"]) <= self.step]
        if "row" in extra and (not self.rows or int(self.rows[-1]["step"]) < self.step):
            self.rows.append(json.loads(str(extra["row"])))
        write_log(self.rows, self.output / LOG)
        best = self.output / BEST
        if "best_step" in extra:
            self.best_step = int(extra["best_step"])
            if steps_of(best) != self.best_step:
                if self.best_step == self.step:
                    self._keep(measure(self.gan.average, self.recipe.crop, self.reference)[1])
                else:
                    recover(best, self.best_step)
        else:  # of the first version: the best generator alone says which step it is of
            if steps_of(best) is None:
                recover(best)
            self.best_step = steps_of(best)
        remove_temporaries(self.output)

    def _draw(self, samples, measured):
        # Pictures need matplotlib, which a run that draws none shall not wait for.
        from kerasgan3d.training.monitor_figure import draw_monitor

        draw_monitor(self.output / PICTURE, self.real, samples, self.reference, measured, self.rows)


def measure(generator, size, reference):
    """The volumes by which a generator is judged, and their morphology: (list of labels, what ``summarise`` gives)."""
    dimensions = reference["sub_volumes"]["dimensions"]
    samples = [generator.sample(size, seed=SAMPLES["seed"] + i).labels for i in range(SAMPLES["count"])]
    return samples, summarise(samples, len(generator.phases), generator.voxel_size, dimensions)


def tensorboard_callback(folder):
    """A callback that writes what is measured for TensorBoard.

    Raises:
        ValueError: if TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "`tensorboard` must be False where TensorBoard is not installed. Received: True. "
            "Install it: pip install tensorboard."
        )
    return keras.callbacks.TensorBoard(log_dir=str(folder), write_graph=False)


def steps_in(state):
    """After how many steps a state was saved.

    Raises:
        ValueError: if the file is damaged.
    """
    return int(read_state(state, ["extra step"])["extra step"])


def steps_of(folder):
    """After how many steps the generator in a preset folder was kept; None where there is none."""
    try:
        return int(read_json(folder / CARD)["training"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recover(best, step=None):
    """Put back the best generator where an end came while it was being replaced.

    It then lies whole beside its place, under a temporary name.

    Args:
        best: Where it belongs.
        step: After how many steps it was kept; the latest if None.

    Raises:
        ValueError: if it is not there.
    """
    places = [path for path in _temporaries(best.parent) if path.is_dir()]
    found = {steps: path for path in places if (steps := steps_of(path)) is not None}
    step = max(found, default=None) if step is None else step
    if step not in found:
        raise ValueError(
            f"{best} must hold the best generator of the run, {f'that of step {step}' if step else 'a preset'}. "
            f"Received: {'that of step ' + str(steps_of(best)) if steps_of(best) else 'none'}. Put it back, or start "
            "afresh with resume=False (--restart)."
        )
    if best.exists():
        shutil.rmtree(best)
    found[step].replace(best)


def remove_temporaries(folder):
    """Remove what an end at a bad moment left half written."""
    for path in _temporaries(folder):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _temporaries(folder):
    """What ``kerasgan3d.files.replacing`` has not moved into place."""
    return [path for path in folder.iterdir() if re.fullmatch(r"\.[0-9a-f]{32}\.tmp", path.name)]
