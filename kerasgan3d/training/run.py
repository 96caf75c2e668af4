"""A whole training run: from a file of labels to a preset folder."""

import csv
import hashlib
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerasgan3d import io
from kerasgan3d.data import SliceSampler, Symmetry, VolumeSampler, batches, exclusion, fractions
from kerasgan3d.files import replacing
from kerasgan3d.folder import read_json, write_json
from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.training.calibrate import calibrate
from kerasgan3d.training.gan3d import GAN3D
from kerasgan3d.training.morphology import fidelity, fidelity_facts, reference_statistics, summarise
from kerasgan3d.training.recipe import load_recipe
from kerasgan3d.training.schedule import HoldThenFall

_STATE, _LOG, _SETTINGS = "state.npz", "log.csv", "run.json"
_SAMPLES = {"count": 16, "size": 64, "seed": 2**33}  # the volumes by which a generator is judged as it trains


class Report(NamedTuple):
    """What a run tells as it goes, see ``train``'s ``progress``; as text it is one line."""

    step: int
    steps: int
    seconds: float
    losses: dict
    fidelity: dict | None
    best_error: float | None

    def __str__(self):
        return (
            f"step {self.step} of {self.steps}, {self.seconds / 60:.1f} min: "
            f"error {self.fidelity['error']:.3f}, best {self.best_error:.3f}"
        )


def train(
    data,
    output,
    *,
    recipe="r1-slices",
    phases=None,
    mapping=None,
    voxel_size=None,
    symmetry="isotropic",
    exclude=None,
    architecture=None,
    steps=None,
    minutes=None,
    batch=None,
    crop=None,
    monitor_every=None,
    seed=0,
    resume=True,
    name=None,
    about=None,
    dry_run=False,
    progress=None,
):
    """Train a generator of the material in an image.

    Every ``monitor_every`` steps the averaged generator is sampled and its morphology compared with the data's; the
    best is kept in the folder ``output/best`` and becomes the result. The state is written as often: a run that was
    interrupted goes on from there when called again.

    Args:
        data: Path of a segmented image (see ``kerasgan3d.io``), 3D, or one 2D slice of an isotropic material.
        output: Folder of the run; made if need be. ``output/best`` is a preset folder.
        recipe: Name or JSON file of a recipe, or a Recipe.
        phases: Names of the phases, in the order of their grey values.
        mapping: dict, grey value to name.
        voxel_size: Edge length of a voxel in µm; taken from the file where it has one.
        symmetry: "isotropic"; "axial-z", "axial-y" or "axial-x" where that axis differs from the other two;
            "orthotropic"; or a Symmetry.
        exclude: Boxes of the image that training and reference statistics never see (a crack, a held-out block), see
            ``kerasgan3d.data.exclusion``: each one (start, stop) in voxels per axis.
        architecture, steps, batch, crop, monitor_every: Override the recipe's.
        minutes: Stop after so many minutes of this call, at the next measurement.
        seed: Non-negative int.
        resume: Whether to go on with an interrupted run in ``output``; False starts afresh.
        name: Name of the generator; the folder's if None.
        about: dict of facts for the card: "description", "data", "citation", "licence".
        dry_run: Check everything, train nothing and write nothing.
        progress: A function, called with a Report after each measurement.

    Returns:
        Path of the preset folder; for a dry run, what was found and would be done, in words.

    Raises:
        ValueError: if the data, the recipe or an option is not of the above.
        OSError: if a file cannot be read or written.
    """
    recipe = load_recipe(recipe).with_changes(
        architecture=architecture, steps=steps, batch=batch, crop=crop, monitor_every=monitor_every
    )
    symmetry = _symmetry(symmetry)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be an integer from 0 to 2**32 - 1. Received: {seed!r}.")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"`minutes` must be positive. Received: {minutes!r}.")
    output = Path(output)
    image = io.read_labels(data, phases=phases, mapping=mapping, voxel_size=voxel_size)
    labels, names = image.labels, image.phase_map.names
    if len(names) < 2:
        raise ValueError(f"training needs at least two phases. Received: {len(names)} in {data}.")
    exclude = [list(map(list, box)) for box in exclude or ()]
    excluded = exclusion(labels.shape, exclude)
    sampler = _sampler(labels, recipe, symmetry, seed, excluded)
    shares = fractions(labels if excluded is None else labels[~excluded], len(names))

    settings = {
        "recipe": recipe.to_dict(),
        "symmetry": {"kind": symmetry.kind, "axis": symmetry.axis},
        "seed": seed,
        "phases": list(names),
        "voxel_size": image.voxel_size,
        "data": {
            "file": Path(data).name,
            "shape": list(labels.shape),
            "sha256": hashlib.sha256(np.ascontiguousarray(labels)).hexdigest(),
        },
    }
    if exclude:
        settings["data"]["excluded"] = exclude
    _check_folder(output)
    resuming = resume and (output / _STATE).is_file()
    if resuming:
        _check_same_run(read_json(output / _SETTINGS), settings, output)
    if dry_run:
        return _describe(data, image, shares, recipe, symmetry, output, resuming)
    output.mkdir(parents=True, exist_ok=True)
    if not resume:
        for file in (_STATE, _LOG):
            (output / file).unlink(missing_ok=True)
    write_json(settings, output / _SETTINGS)

    reference = reference_statistics(labels, names, image.voxel_size, size=recipe.crop, excluded=excluded)
    gan = _make(recipe, names, image.voxel_size, symmetry, seed, shares)
    card = {"name": name or output.resolve().name, **(about or {}), "training": settings}
    monitor = _Monitor(gan, recipe, reference, output, card, minutes, progress, resuming)
    whole, rest = divmod(recipe.steps, recipe.monitor_every)
    for first, epochs, length in ((0, whole, recipe.monitor_every), (whole * recipe.monitor_every, 1, rest)):
        done = (monitor.step - first) // max(1, length)
        if not monitor.stopped and length and done < epochs:
            gan.fit(
                batches(sampler, first=monitor.step),
                initial_epoch=done,
                epochs=epochs,
                steps_per_epoch=length,
                callbacks=[monitor],
                shuffle=False,
                verbose=0,
            )
    return monitor.finish()


class _Monitor(keras.callbacks.Callback):
    """Measures the averaged generator after each epoch, keeps the best, writes state and log."""

    def __init__(self, gan, recipe, reference, output, card, minutes, progress, resuming):
        super().__init__()
        self.gan, self.recipe, self.reference, self.output, self.card = gan, recipe, reference, output, card
        self.minutes, self.progress = minutes, progress
        self.step, self.seconds, self.best, self.stopped = 0, 0.0, None, False
        if resuming:
            extra = gan.load_state(output / _STATE)
            self.step, self.seconds = int(extra["step"]), float(extra["seconds"])
            self.best = float(extra["best"]) if np.isfinite(extra["best"]) else None
            _cut_log(output / _LOG, self.step)
        self._started = self._since = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.step += self.params["steps"]
        self.seconds += time.monotonic() - self._since
        logs = {key: float(value) for key, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in logs.values()):
            raise ValueError(
                f"training diverged at step {self.step}: {logs}. {self.output / 'best'} holds the best so far."
            )
        measured = _measure(self.gan.average)
        found = fidelity(self.reference, measured)
        if self.best is None or found["error"] <= self.best:
            self.best = found["error"]
            card = {**self.card, **fidelity_facts(self.reference, measured), "samples": _SAMPLES}
            card["training"] = {**card["training"], "steps": self.step, "hours": round(self.seconds / 3600, 3)}
            save_preset(self.gan.average, self.output / "best", card, self.reference)
        _append_log(self.output / _LOG, self.step, self.seconds, logs, measured, found)
        self.gan.save_state(
            self.output / _STATE,
            step=self.step,
            seconds=self.seconds,
            best=np.inf if self.best is None else self.best,
        )
        if self.progress is not None:
            self.progress(Report(self.step, self.recipe.steps, self.seconds, logs, found, self.best))
        self._since = time.monotonic()
        if self.minutes is not None and self._since - self._started >= 60 * self.minutes:
            self.stopped = self.model.stop_training = True

    def finish(self):
        """Calibrate the best generator where the recipe says so; return its folder."""
        folder = self.output / "best"
        generator = load_preset(folder)
        if not self.recipe.calibrate or not generator.output_bias or "calibration" in generator.card["training"]:
            return folder
        found = calibrate(generator, self.reference["bulk"]["volume_fractions"])
        measured = _measure(generator)
        card = {key: value for key, value in generator.card.items() if key != "sha256"}
        card["training"] = {**card["training"], "calibration": found}
        return save_preset(generator, folder, {**card, **fidelity_facts(self.reference, measured)}, self.reference)


def _measure(generator):
    """The morphology of the volumes by which a generator is judged."""
    samples = [generator.sample(_SAMPLES["size"], seed=_SAMPLES["seed"] + i).labels for i in range(_SAMPLES["count"])]
    return summarise(samples, len(generator.phases), generator.voxel_size)


def _make(recipe, names, voxel_size, symmetry, seed, volume_fractions):
    keras.utils.set_random_seed(seed)
    generator = Generator.from_preset(recipe.architecture, phases=names, voxel_size=voxel_size)
    if recipe.critic == "volumes":
        critics = VolumeDiscriminator(
            len(names), recipe.critic_widths, recipe.critic_normalization, recipe.critic_initializer
        )
    else:
        critics = [SliceDiscriminator(len(names), recipe.critic_widths) for _ in symmetry.groups]
    gan = GAN3D(generator, critics, symmetry=symmetry, crop=recipe.crop, slices=recipe.slices or 1, seed=seed)
    gan.compile(
        _adam(recipe, recipe.generator_optimizer, recipe.generator_updates),
        _adam(recipe, recipe.critic_optimizer, 1),
        loss=recipe.loss,
        label_smoothing=recipe.label_smoothing,
        generator_updates=recipe.generator_updates,
        r1=recipe.r1,
        r1_every=recipe.r1_every,
        softening=recipe.softening,
        fractions=volume_fractions.tolist(),
        fraction_weight=recipe.fraction_weight,
        average_decay=recipe.average_decay,
    )
    return gan


def _adam(recipe, settings, updates_per_step):
    rate = settings["learning_rate"]
    if recipe.final_rate != 1.0:
        steps = recipe.steps * updates_per_step
        rate = HoldThenFall(rate, int(recipe.decay_from * steps), steps, recipe.final_rate)
    return keras.optimizers.Adam(**{**settings, "learning_rate": rate})


def _describe(data, image, shares, recipe, symmetry, output, resuming):
    shape = image.labels.shape
    crops = int(np.prod([length // recipe.crop for length in shape]))
    size = f"{image.voxel_size:g} µm" if image.voxel_size else "unknown (voxel_size would say it)"
    rows = [
        ("data", f"{data}: {' x '.join(map(str, shape))} voxels of size {size}"),
        ("phases", ", ".join(f"{name} {share:.3f}" for name, share in zip(image.phase_map.names, shares, strict=True))),
        ("crops", f"{crops} of {recipe.crop} voxels per side that do not overlap; {symmetry} symmetry"),
        ("recipe", f"{recipe.name}: {recipe.architecture} generator, critics of {recipe.critic}"),
        ("steps", f"{recipe.steps} of {recipe.batch} volumes, measured every {recipe.monitor_every}"),
        ("output", f"{output}, " + ("going on with the run in it" if resuming else "a new run")),
    ]
    return "\n".join(f"{key:<8}{value}" for key, value in rows)


def _sampler(labels, recipe, symmetry, seed, excluded):
    if recipe.critic == "volumes":
        return VolumeSampler(labels, recipe.crop, recipe.batch, symmetry, recipe.spacing, seed, excluded)
    counts = [recipe.batch * recipe.slices * len(group) for group in symmetry.groups]
    return SliceSampler(labels, recipe.crop, counts, symmetry, seed, excluded)


def _symmetry(symmetry):
    if isinstance(symmetry, Symmetry):
        return symmetry
    kinds = {"isotropic": Symmetry(), "orthotropic": Symmetry("orthotropic")}
    kinds |= {f"axial-{axis}": Symmetry("axial", i) for i, axis in enumerate("zyx")}
    if symmetry not in kinds:
        raise ValueError(f"`symmetry` must be one of {', '.join(map(repr, kinds))}. Received: {symmetry!r}.")
    return kinds[symmetry]


def _check_folder(output):
    """Check that a folder can be made or written, without making it."""
    parent = output
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise NotADirectoryError(f"the output must be a folder. Received: {output}; {parent} is a file.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"the output must be a folder that can be written. Received: {output}.")


def _check_same_run(old, new, output):
    old, new = _leaves(old), _leaves(json.loads(json.dumps(new)))
    keys = [*new, *(key for key in old if key not in new)]
    different = [f"{key} {old.get(key)!r}, now {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]
    if different:
        raise ValueError(
            f"{output} holds a run with other settings: {'; '.join(different[:5])}. "
            "Give another folder, or start afresh with resume=False (--restart)."
        )


def _leaves(value, prefix=""):
    """A nested dict as one of dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, part in value.items()
        for name, leaf in _leaves(part, f"{prefix}.{key}" if prefix else key).items()
    }


def _append_log(path, step, seconds, logs, measured, found):
    n = len(measured["mean"]["volume_fractions"])
    row = {"step": step, "seconds": round(seconds, 1), **{key: f"{value:.5g}" for key, value in logs.items()}}
    row |= {f"fraction_{i}": f"{measured['mean']['volume_fractions'][i]:.5g}" for i in range(n)}
    row |= {f"fraction_std_{i}": f"{measured['std']['volume_fractions'][i]:.5g}" for i in range(n)}
    row |= {f"surface_area_error_{i}": f"{found['specific_surface_area'][i]:.5g}" for i in range(n)}
    row |= {
        "tpb_error": f"{found.get('triple_phase_boundary_density', 0.0):.5g}",
        "s2_error": f"{found['two_point_correlation']:.5g}",
        "error": f"{found['error']:.5g}",
    }
    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _cut_log(path, step):
    """Drop the lines of a log that are later than the state from which training goes on."""
    if not path.exists():
        return
    lines = path.read_text("utf-8").splitlines()
    kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) <= step]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(kept) + "\n", "utf-8")
