"""Recipes: named files of training settings."""

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training import physics
from kerasgan3d.training.losses import LOSSES, SMOOTHED

CRITICS = ("auto", "slices", "volumes")
KEPT = ("best", "last")
PRECISIONS = ("float32", "mixed_bfloat16")
# The architecture of a generator that training starts from, instead of a preset's.
PRETRAINED = "pretrained"
# What may change on the way.
STAGED = tuple(f"{name}_weight" for name in physics.TERMS) + ("statistics_decay", "pull_limit", "average_decay")
# What a stage may begin with.
_BEGINNINGS = ("rate", "decay_from", "architecture")
# Widths where a recipe leaves them open: of the paper's critic, and of one of slices that costs as much.
_WIDTHS = {"volumes": (16, 32, 64, 128), "slices": (32, 64, 128, 256)}


class Stretch(NamedTuple):
    """A part of a run.

    Attributes:
        steps: How many.
        held: Whether only the critics learn.
        settings: Arguments of ``GAN3D.retune``.
        layers: How many layers of the generator learn, from the first on; None for all.
        architecture: That of the generator.
    """

    steps: int
    held: bool
    settings: dict
    layers: int | None
    architecture: str


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training run but the data; the arguments of ``GAN3D.compile`` and what surrounds them.

    Attributes:
        name, description, source: What it is called, what it is for, where its numbers come from.
        architecture: One of ``Generator.from_architecture``, or "pretrained": that of the generator it starts from.
        critic: "slices", "volumes", or "auto": volumes where the data are 3D and slices where they are one slice.
        critic_widths, critic_initializer: Of the critic; no widths are the critic's own.
        critic_normalization: None, "spectral" (Miyato et al., ICLR 2018), or "batch" for critics of volumes.
        crop: Edge length of a training sub-volume in voxels.
        batch: Generated volumes per step.
        slices: Slices per axis and volume that critics of slices see.
        spacing: Sub-volumes of the data begin at multiples of it.
        loss, label_smoothing, critic_updates, generator_updates, r1, r1_every, gradient_penalty, softening,
            fraction_weight, s2_weight, s2_lags, diagonal_weight, surface_weight, tpb_weight, spread_weight,
            lattice_weight, diffusivity_weight, volume_spread_weight, statistics_decay, pull_limit, average_decay,
            critic_weight: See ``GAN3D.compile``.
        generator_optimizer, critic_optimizer: Learning rate and betas of Adam.
        steps: Steps of a whole run, those of ``critic_warmup`` not counted.
        critic_warmup: Steps before them in which only the critics learn: new ones would mislead a pretrained generator.
        decay_from, final_rate: From this share of the steps on, learning rates fall linearly to this share.
        monitor_every: Steps between measurements, checkpoints and log lines.
        equivariant: Whether the generator commutes with flips along the axes, so that nothing leans to one side, see
            ``kerasgan3d.training.equivariance``; a pretrained one, where it did so before.
        volume_crop: Where critics see slices of 3D data, the edge length in voxels of sub-volumes that one critic more
            sees; 0 for none, 8 or more.
        stages: What changes on the way: dicts of a step "from" which (not counting ``critic_warmup``) weights of pulls,
            ``statistics_decay``, ``pull_limit`` or ``average_decay`` have other values, and "layers", how many layers
            of the generator learn from there on, from the first: they make what is larger than the stride. All begin
            with their averages. A statistic is pulled in all stages or none. With a "rate" learning rates begin again,
            at that share, and fall once more; from the stage's "decay_from" on, a share of the steps until the next
            such stage or the end. With an "architecture" the generator goes on wider, see
            ``kerasgan3d.training.widening``.
        keep: Which measured generator is kept: "best", that of the smallest error, or "last": where all are near the
            data the error of a few volumes does not tell them apart, and learning rates have fallen most.
        calibrate: Whether the output biases of the kept generator are moved until its volume fractions are the data's;
            or a number: by so much at most, see ``kerasgan3d.training.calibrate``.
        precision: "float32", or "mixed_bfloat16": convolutions in bfloat16, weights, softmax and losses in float32.

    The settings that have a default may be left out of a file, and are left out of ``to_dict`` where they are that.

    Raises:
        ValueError: if a setting is not of the above.
    """

    name: str
    description: str
    source: str
    architecture: str
    critic: str
    critic_widths: tuple | None
    critic_normalization: str | None
    critic_initializer: object
    crop: int
    batch: int
    slices: int
    spacing: int
    loss: str
    label_smoothing: float
    generator_updates: int
    r1: float
    r1_every: int
    softening: float
    fraction_weight: float
    generator_optimizer: dict
    critic_optimizer: dict
    average_decay: float
    steps: int
    decay_from: float
    final_rate: float
    monitor_every: int
    calibrate: bool | float
    critic_updates: int = 1
    critic_warmup: int = 0
    gradient_penalty: float = 0.0
    s2_weight: float = 0.0
    s2_lags: tuple = ()
    diagonal_weight: float = 0.0
    surface_weight: float = 0.0
    tpb_weight: float = 0.0
    spread_weight: float = 0.0
    lattice_weight: float = 0.0
    diffusivity_weight: float = 0.0
    volume_spread_weight: float = 0.0
    critic_weight: float = 1.0
    statistics_decay: float = 0.0
    pull_limit: float = 0.2
    equivariant: bool = False
    volume_crop: int = 0
    stages: tuple = ()
    keep: str = "best"
    precision: str = "float32"

    def __post_init__(self):
        for name in ("critic_widths", "s2_lags", "stages"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, known in (
            ("loss", LOSSES),
            ("critic", CRITICS),
            ("critic_normalization", (None, "spectral", "batch")),
            ("precision", PRECISIONS),
            ("keep", KEPT),
        ):
            value = getattr(self, name)
            if value not in tuple(known):
                raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}. Received: {value!r}.")
        if type(self.calibrate) is not bool and not (isinstance(self.calibrate, int | float) and self.calibrate > 0):
            raise ValueError(f"`calibrate` must be true, false or a positive number. Received: {self.calibrate!r}.")
        if type(self.equivariant) is not bool:
            raise ValueError(f"`equivariant` must be true or false. Received: {self.equivariant!r}.")
        if self.architecture not in (*ARCHITECTURES, PRETRAINED):
            raise ValueError(
                f"`architecture` must be one of {', '.join(map(repr, ARCHITECTURES))}. Received: {self.architecture!r}."
            )
        if type(self.critic_warmup) is not int or self.critic_warmup < 0:
            raise ValueError(f"`critic_warmup` must be a number of steps, 0 or more. Received: {self.critic_warmup!r}.")
        for name in (
            "crop",
            "batch",
            "steps",
            "monitor_every",
            "critic_updates",
            "generator_updates",
            "r1_every",
            "spacing",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}.")
        if self.critic != "volumes" and (not isinstance(self.slices, int) or not self.slices >= 1):
            raise ValueError(f"`slices` must be a positive integer. Received: {self.slices!r}.")
        if self.crop % 16:
            raise ValueError(f"`crop` must be a multiple of 16 voxels. Received: {self.crop!r}.")
        widths = self.critic_widths
        if widths is not None and not (
            isinstance(widths, tuple) and widths and all(type(n) is int and n > 0 for n in widths)
        ):
            raise ValueError(f"`critic_widths` must be a list of positive integers. Received: {widths!r}.")
        if self.critic == "volumes" and widths and self.crop < 4 * 2 ** len(widths):
            raise ValueError(
                f"`crop` must be at least {4 * 2 ** len(widths)} voxels for a critic of volumes with {len(widths)} "
                f"widths. Received: {self.crop!r}."
            )
        if self.critic == "slices" and self.critic_normalization == "batch":
            raise ValueError(
                "`critic_normalization` must be None or 'spectral' for critics of slices. Received: 'batch'."
            )
        if type(self.volume_crop) is not int or not (self.volume_crop == 0 or 8 <= self.volume_crop <= self.crop):
            raise ValueError(
                f"`volume_crop` must be 0 or from 8 to the crop, {self.crop} voxels. Received: {self.volume_crop!r}."
            )
        lags = self.s2_lags
        if not isinstance(lags, tuple) or not all(type(lag) is int and 0 < lag < self.crop for lag in lags):
            raise ValueError(f"`s2_lags` must be a list of lags from 1 to {self.crop - 1} voxels. Received: {lags!r}.")
        for name in (
            "label_smoothing",
            "r1",
            "gradient_penalty",
            "softening",
            "fraction_weight",
            "s2_weight",
            "diagonal_weight",
            "surface_weight",
            "tpb_weight",
            "spread_weight",
            "lattice_weight",
            "diffusivity_weight",
            "volume_spread_weight",
            "critic_weight",
            "statistics_decay",
            "pull_limit",
            "average_decay",
            "decay_from",
            "final_rate",
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"`{name}` must be a non-negative number. Received: {value!r}.")
        if not self.statistics_decay < 1:
            raise ValueError(f"`statistics_decay` must be below 1. Received: {self.statistics_decay!r}.")
        if not self.pull_limit:
            raise ValueError(f"`pull_limit` must be positive. Received: {self.pull_limit!r}.")
        for name in ("s2_weight", "diagonal_weight"):
            if getattr(self, name) and not lags:
                raise ValueError(f"`{name}` needs `s2_lags`, the lags in voxels. Received: none.")
        if self.label_smoothing and self.loss not in SMOOTHED:
            raise ValueError(
                f"`label_smoothing` must be 0 where the loss is {self.loss!r}, which has no labels. "
                f"Received: {self.label_smoothing!r}."
            )
        self._check_stages()
        for name in ("generator_optimizer", "critic_optimizer"):
            value, known = getattr(self, name), {"learning_rate", "beta_1", "beta_2"}
            if not isinstance(value, dict) or "learning_rate" not in value or set(value) - known:
                raise ValueError(
                    f"`{name}` must hold a `learning_rate` and, optionally, `beta_1` and `beta_2`. Received: {value!r}."
                )

    def _check_stages(self):
        before, architecture = 0, self.architecture
        if not isinstance(self.stages, tuple) or not all(isinstance(stage, dict) for stage in self.stages):
            raise ValueError(f"`stages` must be a list of dicts. Received: {self.stages!r}.")
        for stage in self.stages:
            first = stage.get("from")
            if type(first) is not int or not before < first < self.steps:
                raise ValueError(
                    f'each of `stages` must begin "from" a step after the one before, and before the last, '
                    f"{self.steps}. Received: {stage!r}."
                )
            before = first
            self._check_rates(stage)
            if "architecture" in stage:
                architecture = self._wider(architecture, stage["architecture"])
            for name, value in stage.items():
                if name in ("from", *_BEGINNINGS) or (name == "layers" and type(value) is int and value >= 1):
                    continue
                if name not in STAGED or not (isinstance(value, int | float) and type(value) is not bool):
                    raise ValueError(
                        f"`stages` may change {', '.join(STAGED)}, to numbers, and have "
                        f"{', '.join(f'`{key}`' for key in _BEGINNINGS)} and `layers`, a positive integer. "
                        f"Received: {name!r}: {value!r}."
                    )
                replace(self, stages=(), **{name: value})  # raises where the value is out of range
                if name.endswith("_weight") and (value > 0) != (getattr(self, name) > 0):
                    raise ValueError(
                        f"`stages` must pull a statistic in all or none. Received: `{name}` {value!r} from step "
                        f"{first}, {getattr(self, name)!r} before."
                    )

    @staticmethod
    def _check_rates(stage):
        rate, decay_from = (stage.get(name, 1.0) for name in ("rate", "decay_from"))
        if not all(isinstance(x, int | float) and type(x) is not bool and 0 <= x <= 1 for x in (rate, decay_from)):
            raise ValueError(f"`rate` and `decay_from` of `stages` must be from 0 to 1. Received: {stage!r}.")
        if "decay_from" in stage and "rate" not in stage:
            raise ValueError(f"`decay_from` of `stages` needs a `rate` to fall from. Received: {stage!r}.")

    def _wider(self, before, after):
        """The architecture that a stage goes on with, checked."""
        if self.equivariant:
            raise ValueError(f"`equivariant` must be false where `stages` widen the generator. Received: {after!r}.")
        old, new = (ARCHITECTURES.get(name) if isinstance(name, str) else None for name in (before, after))
        if not (old and new and _without_widths(old) == _without_widths(new)) or any(
            a > b for a, b in zip(old["widths"], new["widths"], strict=True)
        ):
            raise ValueError(
                f"`architecture` of `stages` must be that before, {before!r}, or one that is wider and else the same. "
                f"Received: {after!r}."
            )
        return after

    def rates(self):
        """How learning rates go: list of (step, share of the rates, step until which they hold), one per beginning."""
        starts = [{"from": 0, "rate": 1.0}, *(stage for stage in self.stages if "rate" in stage)]
        found = []
        for start, end in zip(starts, [*(s["from"] for s in starts[1:]), self.steps], strict=True):
            first, share = start["from"], start.get("decay_from", self.decay_from)
            found.append((first, start["rate"], first + int(share * (end - first))))
        return found

    @property
    def widens(self):
        """Whether a stage goes on with a wider generator."""
        return any("architecture" in stage for stage in self.stages)

    def architecture_after(self, steps):
        """The architecture of the generator that has learned for so many steps, the critics' first ones among them."""
        done = [s for s in self.stages if "architecture" in s and s["from"] + self.critic_warmup < steps]
        return done[-1]["architecture"] if done else self.architecture

    def stretches(self):
        """The steps of a whole run in order: list of Stretch."""
        settings, layers, architecture = {name: getattr(self, name) for name in STAGED}, None, self.architecture
        found = [Stretch(self.critic_warmup, True, settings, layers, architecture)] if self.critic_warmup else []
        stages: tuple[dict[str, Any], ...] = ({"from": 0}, *self.stages)
        for stage, end in zip(stages, [*(s["from"] for s in self.stages), self.steps], strict=True):
            settings = {**settings, **{name: value for name, value in stage.items() if name in STAGED}}
            layers, architecture = stage.get("layers", layers), stage.get("architecture", architecture)
            found.append(Stretch(end - stage["from"], False, settings, layers, architecture))
        return found

    @property
    def total_steps(self):
        """Steps of a whole run, the critics' first ones among them."""
        return self.critic_warmup + self.steps

    def to_dict(self):
        """The settings as JSON holds them; without those that have a default and are it."""
        defaults = {field.name: field.default for field in fields(self)}
        return {key: value for key, value in asdict(self).items() if value != defaults[key]}

    def with_changes(self, **changes):
        """The same recipe with the changes that are not None; less what a smaller crop or fewer steps cannot hold."""
        changes = {key: value for key, value in changes.items() if value is not None}
        crop = changes.get("crop", self.crop)
        if type(crop) is int and crop < self.crop:
            changes.setdefault("s2_lags", tuple(lag for lag in self.s2_lags if lag < crop))
            changes.setdefault("volume_crop", min(self.volume_crop, crop))
        steps = changes.get("steps", self.steps)
        if type(steps) is int and steps < self.steps:
            changes.setdefault("stages", tuple(stage for stage in self.stages if stage["from"] < steps))
        return replace(self, **changes)

    def for_data(self, dimensions):
        """The same recipe with nothing left open: which critic, and its widths.

        Args:
            dimensions: Of the data: 3, or 2 for one slice.

        Raises:
            ValueError: if the setting that follows does not go with the others.
        """
        critic, slices, volume_crop = self.critic, self.slices, self.volume_crop
        if critic == "auto":
            critic = "volumes" if dimensions == 3 else "slices"
            slices = 0 if critic == "volumes" else slices
        widths = self.critic_widths
        if widths is None:
            widths = widths_of_volumes(self.crop) if critic == "volumes" else _WIDTHS[critic]
        if critic == "volumes" or dimensions == 2:
            volume_crop = 0
        return replace(self, critic=critic, critic_widths=widths, slices=slices, volume_crop=volume_crop)


def _without_widths(preset):
    return {key: value for key, value in preset.items() if key != "widths"} | {"layers": len(preset["widths"])}


def widths_of_volumes(crop):
    """Widths of a critic of sub-volumes with edges of ``crop`` voxels: four per side are left for its last layer."""
    return _WIDTHS["volumes"][: max(1, (crop // 4).bit_length() - 1)]


def list_recipes():
    """Names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".json") for path in _folder().iterdir() if path.name.endswith(".json"))


def load_recipe(recipe):
    """Load a recipe by name or from a JSON file.

    Raises:
        ValueError: if there is no such recipe, or a setting is missing, unknown or out of range.
    """
    if isinstance(recipe, Recipe):
        return recipe
    name = str(recipe)
    if name in list_recipes():
        text = (_folder() / f"{name}.json").read_text("utf-8")
    elif name.endswith(".json") and Path(name).is_file():
        text = Path(name).read_text("utf-8")
    else:
        raise ValueError(f"`recipe` must be one of {', '.join(list_recipes())}, or a JSON file. Received: {name!r}.")
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not valid JSON: {error}") from error
    names = {field.name for field in fields(Recipe)}
    needed = {field.name for field in fields(Recipe) if field.default is MISSING}
    given = set(settings) if isinstance(settings, dict) else set()
    if not isinstance(settings, dict) or not needed <= given <= names:
        raise ValueError(
            f"recipe {name} must hold each setting once. "
            f"Missing: {sorted(needed - given)}; unknown: {sorted(given - names)}."
        )
    return Recipe(**settings)


def _folder():
    return resources.files("kerasgan3d.training") / "recipes"
