"""Training runs, from a file of labels to a preset folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypedDict, Unpack

from kerasgan3d.backend import precision_of
from kerasgan3d.checks import check_count, check_integer, check_number
from kerasgan3d.data import Symmetry
from kerasgan3d.files import check_folder
from kerasgan3d.folder import CARD, REFERENCE, differences, read_json, read_statistics, write_json
from kerasgan3d.lock import FolderLock
from kerasgan3d.material.edges import largest_share
from kerasgan3d.material.local_fractions import fit_conditions
from kerasgan3d.material.material import Material
from kerasgan3d.material.statistics import fidelity, fidelity_facts
from kerasgan3d.models import Generator
from kerasgan3d.models._process import check_settings
from kerasgan3d.models.answers import with_answers
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.models.pretrained import Pretrained
from kerasgan3d.seeds import CHOSEN
from kerasgan3d.training.assemble import make_gan, make_generator
from kerasgan3d.training.keeper import BEST, LOG, STATE, Keeper, remove_temporaries
from kerasgan3d.training.monitor import (
    EDGE,
    TENSORBOARD,
    Limits,
    Monitor,
    Report,
    measure,
    measurement_facts,
    tensorboard_callback,
)
from kerasgan3d.training.plan import ROOM, Plan
from kerasgan3d.training.recipe import PRETRAINED, Recipe, load_recipe
from kerasgan3d.training.terms import applied
from kerasgan3d.training.views import fitted, real_views

_SETTINGS = "run.json"
_GONE = {
    "critic": "a recipe's `views` say what critics see",
    "crop": "`size` is the edge of the periodic volume that is trained on",
    "critic_warmup": "`warmup` lets the generator's learning rate rise",
}
Source = str | os.PathLike[str]
Data = Source | Sequence[Source] | Mapping[str, Source | Sequence[Source]]
Box = Sequence[Sequence[int] | None]  # (start, stop) per axis, None for all of it


class DataSettings(TypedDict, total=False):
    """Settings of the data."""

    phases: Iterable[str] | None
    mapping: Mapping[int, str] | None
    voxel_size: float | None
    tolerance: int | None
    fill_gaps: bool
    symmetry: str | Symmetry
    exclude: Iterable[Box] | None
    mask: Source | None
    hold_out: Box | None
    resample_to: float | None


class RecipeSettings(TypedDict, total=False):
    """Settings that override those of a recipe."""

    architecture: str | None
    loss: str | None
    precision: str | None
    steps: int | None
    batch: int | None
    size: int | None
    warmup: int | None
    monitor_every: int | None


class RunSettings(TypedDict, total=False):
    """Settings of the run itself."""

    minutes: float | None
    patience: int | None
    devices: int | None
    seed: int
    resume: bool
    name: str | None
    about: Mapping[str, Any] | None
    dry_run: bool
    tensorboard: bool
    progress: Callable[[Report], Any] | None
    tick: Callable[[int, int], Any] | None
    say: Callable[[str], Any] | None


class Settings(DataSettings, RecipeSettings, RunSettings, total=False):
    """All keywords of ``train`` except the recipe and the pretrained generator."""


class _Options(SimpleNamespace):
    """Checked settings of the run itself; the attributes are those of RunSettings."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**dict.fromkeys(RunSettings.__annotations__), "seed": 0, "resume": True, **given})
        check_integer(self.seed, "seed", 0, CHOSEN - 1)
        if self.minutes is not None and not check_number(self.minutes, "minutes", 0):
            raise ValueError(f"`minutes` must be positive. Received: {self.minutes!r}.")
        if self.patience is not None:
            check_count(self.patience, "patience")
        self.limits = Limits(self.minutes, self.patience)  # the time limit counts from here

    def tell(self, line: str) -> None:
        """Pass a line to ``say``, if it is given."""
        if self.say is not None:
            self.say(line)


def train(
    data: Data,
    output: Source,
    *,
    recipe: Source | Recipe = "default",
    pretrained: Generator | None = None,
    **settings: Unpack[Settings],
) -> Path | str:
    """Train a generator on a segmented image of a material.

    Every ``monitor_every`` steps the averaged generator is sampled and its morphology is compared with the data's; the
    best generator is kept in the folder ``output/best`` and becomes the result. The state is written at the same
    intervals: to resume an interrupted run, repeat the call.

    Args:
        data: Path of a segmented image (see ``kerasgan3d.io``): a volume, or one slice of an isotropic material. Or a
            list of paths of volumes of one material, or of slices of an isotropic one, of any sizes. Or a dict from
            "z", "y", "x" to slices normal to that axis: a path, a folder or pattern of slices, or a list of these;
            equivalent axes may share theirs.
        output: Folder of the run, which is created if necessary. ``output/best`` is a preset folder.
        recipe: Name or JSON file of a recipe, or a Recipe.
        pretrained: A Generator to start from, whose architecture the run takes; ``kerasgan3d.finetune`` passes it.
        phases: Names of the phases, in the order of their grey values.
        mapping: dict, grey value to name.
        voxel_size: Edge length of a voxel in µm; by default that of the file, if it has one.
        tolerance, fill_gaps: As for ``kerasgan3d.io.read``: largest distance of grey values from those of the mapping,
            and whether the nearest slice replaces a missing one.
        symmetry: "isotropic"; "axial-z", "axial-y" or "axial-x" where that axis differs from the other two;
            "orthotropic"; or a Symmetry.
        exclude: Boxes of the image that are never used (a crack, a scratch), see ``kerasgan3d.data.exclusion``: each
            one (start, stop) in voxels per axis.
        mask: Path of an image of the data's shape, or of one slice for all z; voxels where it is 0 are not used.
        hold_out: A box that training never sees. The card records the error of the finished generator against it, as
            "held_out".
        resample_to: Edge length in µm to which voxels are resampled, by nearest label; the file's voxels need not be
            cubes then. Boxes and mask are in voxels of the file.
        architecture, loss, precision, steps, batch, size, warmup, monitor_every: Settings that override the recipe's;
            another loss also changes the settings that accompany it, see ``Recipe.with_changes``.
        devices: Number of devices that share each batch (GPUs where there are any, else the logical devices of the
            processor); the TensorFlow backend only. One if None.
        minutes: Time in minutes after which this call stops, including the last measurement.
        patience: Number of measurements without a smaller error after which the run stops.
        seed: Non-negative int.
        resume: Whether to resume an interrupted run in ``output``; False starts afresh.
        name: Name of the generator; the folder's if None.
        about: dict of facts for the card: "description", "data", "citation", "licence".
        dry_run: Whether only to check everything and describe the run, without training or writing.
        tensorboard: Whether to log for TensorBoard, into ``output/tensorboard``.
        progress: A function, called with a Report after each measurement.
        tick: A function, called after each step with the steps done and the steps of the whole run.
        say: A function, called with a line whenever a part of the work begins.

    Returns:
        Path of the preset folder; for a dry run, a description of the data and the planned run.

    Raises:
        TypeError: if a keyword is unknown.
        ValueError: if the data, the recipe or an option is invalid, or the time was over before anything was learned.
        OSError: if a file cannot be read or written.
    """
    check_room(output := Path(output), settings.get("resume", True))
    check_settings()
    of_data, of_recipe, options = _sorted(settings)
    recipe = _with_architecture(load_recipe(recipe), of_recipe.pop("architecture", None), pretrained)
    recipe = recipe.with_changes(**of_recipe)
    source = None if pretrained is None else Pretrained(pretrained, recipe.size)
    followers = [tensorboard_callback(output / TENSORBOARD)] if options.tensorboard else []
    symmetry = Symmetry.of(of_data.pop("symmetry", "isotropic"))
    options.tell("reading the data")
    material = Material(data, symmetry, **of_data)
    plan = _plan(material, recipe, source, options)
    check_folder(output)
    if options.dry_run:
        plan, resuming = _planned(plan, output, options)
        return plan.describe(output, output / LOG, resuming)
    lock = FolderLock(output, output)
    try:
        return _finish(_run(plan, output, options, followers), material, options)
    finally:
        lock.release()


def _run(plan, output, options, followers):
    """Start the run, or resume the one in the folder; return the best generator's folder."""
    plan, resuming = _planned(plan, output, options)
    if not resuming:
        remove_temporaries(output)
        for file in (STATE, LOG):
            (output / file).unlink(missing_ok=True)
    write_json(plan.settings, output / _SETTINGS)
    options.tell(plan.describe(output, output / LOG, resuming))
    return _fit(plan, output, options, followers, resuming)


def _planned(plan, output, options):
    """Return the plan, which must match that of a resumed run, and whether a run is resumed."""
    resuming = options.resume and (output / STATE).is_file()
    return (_resumed(plan, output) if resuming else plan), resuming


def _plan(material, recipe, source, options):
    """Plan a run: views that fit the data, softness of edges, precision, conditions and statistic-matching losses."""
    room = material.room(recipe.size)
    size = min(EDGE, room)
    material.check_held_out(size)
    options.tell("measuring its edges and local volume fractions")
    views, notes = fitted(recipe.views, material.data, room)
    share, _ = largest_share(material.data, size)
    edges = share if recipe.edges == "auto" else min(recipe.edges, share)
    if edges != recipe.edges:
        notes.append(f"edges are given {edges:g}: more would change labels of the data")
    opened, precision = recipe.precision == "auto", precision_of(recipe.precision)
    recipe = replace(recipe, views=tuple(views), edges=edges, precision=precision)
    told = recipe.conditional and (source is None or source.generator.conditions is not None)
    made = source.generator if source else Generator.from_architecture(recipe.architecture, len(material.phases))
    conditions = fit_conditions(material.data, made.stride) if told else None
    terms, more = applied(recipe.terms, material.data, conditions, made.stride)
    return Plan(material, recipe, source, conditions, terms, tuple(notes + more), size, options.seed, opened)


def _fit(plan, output, options, followers, resuming):
    """Train from the run's present step, in epochs that end with a measurement; return the best generator's folder."""
    recipe, material = plan.recipe, plan.material
    options.tell("preparing the networks")
    if plan.source is None:
        generator = make_generator(recipe, material.phases, material.voxel_size, plan.conditions, options.seed)
    else:
        facts = (material.phases, material.voxel_size, material.fractions)
        generator = plan.source.start(*facts, conditions=plan.conditions, seed=options.seed)
    gan = make_gan(recipe, generator, material.symmetry, plan.terms, options.seed, options.devices)
    reals = real_views(material.data, recipe.views, recipe.edges, recipe.batch, options.seed)
    options.tell("measuring the data")
    before, limits = time.monotonic(), options.limits
    reference, keeper = material.reference(plan.size), Keeper(output)
    took = time.monotonic() - before  # for many sub-volumes; a measurement has fewer, but samples them
    limits.measuring, limits.comparing = took / 2, took if material.held_out is not None else 0.0
    card = {"name": options.name or output.resolve().name, **(options.about or {}), "training": dict(plan.settings)}
    shown = {"real": material.slices(plan.size), "progress": options.progress, "tick": options.tick}
    monitor = Monitor(gan, recipe.steps, keeper, reference, card, limits, **shown)
    if resuming:
        keeper.resume(gan.state(), monitor.keep)
        monitor.stopped = limits.patience_is_out(keeper.rows)
    options.tell(f"training from step {keeper.step}")
    while keeper.step < recipe.steps and not monitor.stopped and not limits.time_is_out:
        length = min(recipe.steps - keeper.step, recipe.monitor_every - keeper.step % recipe.monitor_every)
        epoch = keeper.step // recipe.monitor_every
        gan.fit(
            gan.batches(reals, first=keeper.step),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=length,
            callbacks=[monitor, *followers],
            shuffle=False,
            verbose=0,
        )
    if keeper.best_step is None:
        raise ValueError(
            f"`minutes` must leave time to learn. Received: {options.minutes:g}, which reading and measuring the data "
            "and ending the run use up: nothing was learned, and there is no best generator. Give more."
        )
    return output / BEST


def _finish(folder, material, options):
    """Measure the best generator's response to requests, compare it with held-out data, and return its folder."""
    generator, reference = load_preset(folder), read_statistics(folder / REFERENCE)
    if generator.conditions is not None and "answers" not in generator.card["training"]:
        options.tell("measuring the response to requested volume fractions")
        generator, answers = with_answers(generator, reference["bulk"]["volume_fraction"])
        measured = measure(generator, reference)[1]
        card = {key: value for key, value in generator.card.items() if key != "sha256"}
        card |= {"training": {**card["training"], "answers": answers}, **measurement_facts(reference, measured)}
        save_preset(generator, folder, card, reference)
    if material.held_out is not None and "held_out" not in read_json(folder / CARD):
        measured = measure(load_preset(folder), reference)[1]
        unseen = material.held_out_reference(reference["sub_volumes"]["size"])
        facts = {
            "box": material.facts["held_out"],
            **fidelity_facts(unseen, measured),
            "error": fidelity(unseen, measured)["error"],
            "error_of_training_data": fidelity(reference, measured)["error"],
            "real_difference": fidelity(unseen, reference)["error"],
        }
        write_json({**read_json(folder / CARD), "held_out": facts}, folder / CARD)
    return folder


def _sorted(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], _Options]:
    """Sort keywords into settings of the data, of the recipe, and of the run."""
    kinds = (DataSettings, RecipeSettings, RunSettings)
    for name in settings:
        if name in _GONE:
            raise TypeError(f"`{name}` is of an earlier version: {_GONE[name]}.")
        if not any(name in kind.__annotations__ for kind in kinds):
            raise TypeError(f"train() has no keyword {name!r}.")
    of_data, of_recipe, of_run = (
        {name: value for name, value in settings.items() if name in kind.__annotations__} for kind in kinds
    )
    return of_data, of_recipe, _Options(**of_run)


def _with_architecture(recipe, architecture, pretrained):
    """Return the recipe with the requested architecture, or the pretrained generator's."""
    if pretrained is None:
        recipe = recipe.with_changes(architecture=architecture)
        if recipe.architecture == PRETRAINED:
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


def check_room(output: Path, resume: bool) -> None:
    """Refuse to resume a run of an earlier version, or one that lacks its state or settings.

    Raises:
        ValueError: if ``resume`` is set and the folder holds such a run.
    """
    begun = (output / STATE).is_file()
    if resume and not begun and (output / BEST).exists():
        raise ValueError(
            f"{output / BEST} belongs to a run whose state, {STATE}, is missing. Put that back, give another folder, "
            "or start afresh with `resume=False`."
        )
    if not resume or not begun:
        return
    if not (output / _SETTINGS).is_file():
        raise ValueError(
            f"{output} holds the state of a run without its settings, {_SETTINGS}. Put the file back, or start afresh "
            "with `resume=False`."
        )
    if read_json(output / _SETTINGS).get("room") != ROOM:
        raise ValueError(
            f"{output} holds a run of kerasgan3d 0.1, which that version resumes. Its {BEST} can be sampled, published "
            "and fine-tuned; give another folder, or start afresh with `resume=False`."
        )


def _resumed(plan, output):
    """Return the plan with the precision of the run in a folder, whose other settings must be the same."""
    before = read_json(output / _SETTINGS)
    if plan.open_precision:
        plan = replace(plan, recipe=replace(plan.recipe, precision=before["recipe"].get("precision", "float32")))
    if different := differences(before, plan.settings):
        raise ValueError(
            f"{output} holds a run with other settings: {'; '.join(different[:5])}. "
            "Give another folder, or start afresh with `resume=False`."
        )
    return plan
