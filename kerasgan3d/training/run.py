"""A whole training run: from a file of labels to a preset folder."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerasgan3d.checks import is_integer
from kerasgan3d.data import Symmetry
from kerasgan3d.folder import CARD, read_json, write_json
from kerasgan3d.lock import FolderLock
from kerasgan3d.models import Generator
from kerasgan3d.models._process import check_settings
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.seeds import CHOSEN
from kerasgan3d.training.assemble import make_gan
from kerasgan3d.training.calibrate import calibrate
from kerasgan3d.training.material import Material
from kerasgan3d.training.monitor import (
    BEST,
    LOG,
    STATE,
    TENSORBOARD,
    Monitor,
    Report,
    measure,
    remove_temporaries,
    steps_in,
    tensorboard_callback,
)
from kerasgan3d.training.morphology import EARLIER_ERROR_OF, ERROR_OF, fidelity, fidelity_facts
from kerasgan3d.training.plan import describe
from kerasgan3d.training.pretrained import Pretrained
from kerasgan3d.training.recipe import PRETRAINED, Recipe, load_recipe
from kerasgan3d.training.widening import widen

_SETTINGS = "run.json"
Source = str | os.PathLike[str]
Data = Source | Sequence[Source] | Mapping[str, Source | Sequence[Source]]
Box = Sequence[Sequence[int] | None]  # (start, stop) per axis, None for all of it


def train(
    data: Data,
    output: Source,
    *,
    recipe: Source | Recipe = "r1-slices",
    pretrained: Generator | None = None,
    phases: Iterable[str] | None = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    symmetry: str | Symmetry = "isotropic",
    exclude: Iterable[Box] | None = None,
    mask: Source | None = None,
    hold_out: Box | None = None,
    resample_to: float | None = None,
    architecture: str | None = None,
    critic: str | None = None,
    precision: str | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    batch: int | None = None,
    crop: int | None = None,
    monitor_every: int | None = None,
    critic_warmup: int | None = None,
    devices: int | None = None,
    seed: int = 0,
    resume: bool = True,
    name: str | None = None,
    about: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    tensorboard: bool = False,
    progress: Callable[[Report], Any] | None = None,
    tick: Callable[[int, int], Any] | None = None,
) -> Path | str:
    """Train a generator of the material in an image.

    Every ``monitor_every`` steps the averaged generator is sampled and its morphology compared with the data's; the
    best is kept in the folder ``output/best`` and becomes the result. The state is written as often: a run that was
    interrupted goes on from there when called again.

    Args:
        data: Path of a segmented image (see ``kerasgan3d.io``): a volume, or one slice of an isotropic material. Or a
            list of paths of volumes of one material, or of slices of an isotropic one, of any sizes. Or a dict from
            "z", "y", "x" to slices normal to that axis: a path, a folder or pattern of TIFF files, or a list of these;
            axes that are alike may share theirs.
        output: Folder of the run; made if need be. ``output/best`` is a preset folder.
        recipe: Name or JSON file of a recipe, or a Recipe.
        pretrained: A Generator to start from, whose architecture then is the run's; ``kerasgan3d.finetune`` passes it.
        phases: Names of the phases, in the order of their grey values.
        mapping: dict, grey value to name.
        voxel_size: Edge length of a voxel in µm; taken from the file where it has one.
        symmetry: "isotropic"; "axial-z", "axial-y" or "axial-x" where that axis differs from the other two;
            "orthotropic"; or a Symmetry.
        exclude: Boxes of the image that are never used (a crack, a scratch), see ``kerasgan3d.data.exclusion``: each
            one (start, stop) in voxels per axis.
        mask: Path of an image of the data's shape, or of one slice for all z: only where it is not 0 is used.
        hold_out: A box that training never sees. How far the finished generator is from it is written into the card, as
            "held_out".
        resample_to: Edge length in µm to which voxels are resampled, nearest label; voxels need not be cubes then.
            Boxes and mask are in voxels of the file.
        architecture, critic, precision, steps, batch, crop, monitor_every, critic_warmup: Override the recipe's.
        devices: How many devices share each batch (GPUs where there are any, else the logical devices of the
            processor); the TensorFlow backend only. One if None.
        minutes: Stop after so many minutes of this call, at the next measurement.
        patience: Stop after so many measurements without a smaller error.
        seed: Non-negative int.
        resume: Whether to go on with an interrupted run in ``output``; False starts afresh.
        name: Name of the generator; the folder's if None.
        about: dict of facts for the card: "description", "data", "citation", "licence".
        dry_run: Check everything, train nothing and write nothing.
        tensorboard: Whether to log for TensorBoard, into ``output/tensorboard``.
        progress: A function, called with a Report after each measurement.
        tick: A function, called with the steps done and those of the whole run after each step.

    Returns:
        Path of the preset folder; for a dry run, what was found and would be done, in words.

    Raises:
        ValueError: if the data, the recipe or an option is not of the above.
        OSError: if a file cannot be read or written.
    """
    recipe = _with_architecture(load_recipe(recipe), architecture, pretrained).with_changes(
        critic=critic,
        precision=precision,
        steps=steps,
        batch=batch,
        crop=crop,
        monitor_every=monitor_every,
        critic_warmup=critic_warmup,
    )
    symmetry = _symmetry(symmetry)
    if not is_integer(seed) or not 0 <= seed < CHOSEN:
        raise ValueError(f"`seed` must be an integer from 0 to 2**32 - 1. Received: {seed!r}.")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"`minutes` must be positive. Received: {minutes!r}.")
    if patience is not None and not (type(patience) is int and patience >= 1):
        raise ValueError(f"`patience` must be a positive number of measurements. Received: {patience!r}.")
    output = Path(output)
    source = None if pretrained is None else Pretrained(pretrained, recipe.crop)
    followers = [tensorboard_callback(output / TENSORBOARD)] if tensorboard else []
    material = Material(
        data,
        symmetry,
        phases=phases,
        mapping=mapping,
        voxel_size=voxel_size,
        exclude=exclude,
        mask=mask,
        hold_out=hold_out,
        resample_to=resample_to,
    )
    recipe = recipe.for_data(material.dimensions)
    sampler = material.sampler(recipe, seed)
    settings = {
        "recipe": recipe.to_dict(),
        "symmetry": {"kind": symmetry.kind, "axis": symmetry.axis},
        "seed": seed,
        "phases": list(material.phases),
        "voxel_size": material.voxel_size,
        "data": material.facts,
    }
    if source is not None:
        settings["fine_tuned_from"] = source.facts(material.phases, material.fractions)
    _check_folder(output)
    check_settings()
    lock = None if dry_run else FolderLock(output, output)  # noqa: F841  held until the run returns
    resuming = resume and (output / STATE).is_file()
    settings["error_of"] = list(ERROR_OF)
    if resuming:
        before = read_json(output / _SETTINGS)
        settings["error_of"] = before.setdefault("error_of", list(EARLIER_ERROR_OF))  # its best error is of these
        _check_same_run(before, settings, output)
    if dry_run:
        return describe(material, recipe, output, output / LOG, resuming, source)
    if not resuming:
        remove_temporaries(output)
        for file in (STATE, LOG):
            (output / file).unlink(missing_ok=True)
    write_json(settings, output / _SETTINGS)

    start = source and source.start(material.phases, material.voxel_size, material.fractions, seed=seed)
    statistics = material.statistics(
        recipe.s2_lags,
        recipe.crop if recipe.spread_weight else None,
        recipe.crop if recipe.diffusivity_weight else None,
        recipe.crop if recipe.volume_spread_weight else None,
    )

    def make(architecture):
        of_stage = replace(recipe, architecture=architecture)
        return make_gan(of_stage, material.phases, material.voxel_size, symmetry, seed, statistics, devices, start)

    done = steps_in(output / STATE) if resuming and recipe.widens else 0
    gan = make(recipe.architecture_after(done))
    monitor = Monitor(
        gan,
        recipe,
        material.reference(recipe.crop),
        output,
        {
            "name": name or output.resolve().name,
            **(about or {}),
            "training": {**settings, "equivariant": gan.equivariance is not None},
        },
        real=material.slices(recipe.crop),
        minutes=minutes,
        patience=patience,
        progress=progress,
        tick=tick,
        resuming=resuming,
    )
    _fit(make, sampler, recipe, monitor, followers)
    return _finish(output / BEST, recipe, monitor.reference, material)


def _fit(make, sampler, recipe, monitor, followers):
    """Train from where the monitor stands: in epochs that end with a measurement.

    The first is that of the critics alone where the recipe has one, the last of a stage may be shorter than the others.
    ``make`` makes the model of an architecture.
    """
    epoch = step = 0
    before, narrower = None, recipe.architecture
    for steps, held, settings, layers, architecture in recipe.stretches():
        stage, (whole, rest) = step, (0, steps) if held else divmod(steps, recipe.monitor_every)
        for count, length in ((whole, recipe.monitor_every), (1, rest)):
            if not (count and length):
                continue
            done, epoch, step = epoch + max(0, monitor.step - step) // length, epoch + count, step + count * length
            if monitor.step < step and not (monitor.stopped or monitor.patience_is_out):
                if architecture != narrower and monitor.step == stage:
                    wide = make(architecture)
                    widen(monitor.gan, wide, wide.seed)
                    monitor.gan = wide
                gan = monitor.gan
                gan.generator_held = held
                gan.retune(**settings)
                if layers != before and monitor.step == stage:
                    gan.take_average()
                gan.learning_layers = layers
                gan.fit(
                    gan.batches(sampler, first=monitor.step),
                    initial_epoch=done,
                    epochs=epoch,
                    steps_per_epoch=length,
                    callbacks=[monitor, *followers],
                    shuffle=False,
                    verbose=0,
                )
        before, narrower = layers, architecture


def _finish(folder, recipe, reference, material):
    """Calibrate the best generator where the recipe says so; compare it with what was held out; return its folder."""
    generator = load_preset(folder)
    calibrated = "calibration" in generator.card["training"]
    if recipe.calibrate and generator.output_bias and not calibrated:
        limit: dict[str, Any] = {} if recipe.calibrate is True else {"limit": float(recipe.calibrate)}
        found = calibrate(generator, reference["bulk"]["volume_fraction"], **limit)
        _, measured = measure(generator, recipe.crop, reference)
        card = {key: value for key, value in generator.card.items() if key != "sha256"}
        card["training"] = {**card["training"], "calibration": found}
        save_preset(generator, folder, {**card, **fidelity_facts(reference, measured)}, reference)
    if material.held_out is not None and "held_out" not in read_json(folder / CARD):
        _, measured = measure(load_preset(folder), recipe.crop, reference)
        unseen = material.held_out_reference(recipe.crop)
        facts = {
            "box": material.facts["held_out"],
            **fidelity_facts(unseen, measured),
            "error": fidelity(unseen, measured)["error"],
            "error_of_training_data": fidelity(reference, measured)["error"],
            "real_difference": fidelity(unseen, reference)["error"],
        }
        write_json({**read_json(folder / CARD), "held_out": facts}, folder / CARD)
    return folder


def _with_architecture(recipe, architecture, pretrained):
    """The recipe with the architecture that is asked for, or the pretrained generator's."""
    if pretrained is None:
        recipe = recipe.with_changes(architecture=architecture)
        if recipe.architecture == PRETRAINED or not recipe.critic_weight:
            raise ValueError(
                f"recipe {recipe.name} starts from a generator. Received: none. Use `kerasgan3d.finetune`, or pass "
                "an `architecture`."
            )
        return recipe
    if architecture is not None:
        raise ValueError(
            f"`architecture` must be None where training starts from a generator, which has its own. Received: "
            f"{architecture!r}."
        )
    return recipe.with_changes(architecture=PRETRAINED)


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
    different = [
        f"{key} {_short(old.get(key))}, now {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)
    ]
    if different:
        raise ValueError(
            f"{output} holds a run with other settings: {'; '.join(different[:5])}. "
            "Give another folder, or start afresh with resume=False (--restart)."
        )


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _leaves(value, prefix=""):
    """A nested dict as one of dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, part in value.items()
        for name, leaf in _leaves(part, f"{prefix}.{key}" if prefix else key).items()
    }
