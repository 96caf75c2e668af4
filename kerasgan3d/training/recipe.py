"""Recipes: named files of training settings."""

import json
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path

from kerasgan3d.models import PRESETS
from kerasgan3d.training.losses import LOSSES


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training run but the data; the arguments of ``GAN3D.compile`` and what surrounds them.

    Attributes:
        name, description, source: What it is called, what it is for, where its numbers come from.
        architecture: A preset of ``Generator.from_preset``.
        critic: "slices" or "volumes".
        critic_widths, critic_normalization, critic_initializer: Of the critic.
        crop: Edge length of a training sub-volume in voxels.
        batch: Generated volumes per step.
        slices: Slices per axis and volume that slice critics see.
        spacing: Sub-volumes of the data begin at multiples of it.
        loss, label_smoothing, generator_updates, r1, r1_every, softening, fraction_weight, average_decay: See
            ``GAN3D.compile``.
        generator_optimizer, critic_optimizer: Learning rate and betas of Adam.
        steps: Steps of a whole run.
        decay_from, final_rate: From this share of the steps on, learning rates fall linearly to this share.
        monitor_every: Steps between measurements, checkpoints and log lines.
        calibrate: Whether the output biases of the kept generator are moved until its volume fractions are the data's.
    """

    name: str
    description: str
    source: str
    architecture: str
    critic: str
    critic_widths: tuple
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
    calibrate: bool

    def __post_init__(self):
        if isinstance(self.critic_widths, list):
            object.__setattr__(self, "critic_widths", tuple(self.critic_widths))
        for name, known in (("architecture", PRESETS), ("loss", LOSSES)):
            value = getattr(self, name)
            if value not in tuple(known):
                raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}. Received: {value!r}.")
        if self.critic not in ("slices", "volumes"):
            raise ValueError(f"`critic` must be 'slices' or 'volumes'. Received: {self.critic!r}.")
        for name in ("crop", "batch", "steps", "monitor_every", "generator_updates", "r1_every", "spacing"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}.")
        if self.critic == "slices" and (not isinstance(self.slices, int) or not self.slices >= 1):
            raise ValueError(f"`slices` must be a positive integer. Received: {self.slices!r}.")
        if self.crop % 16:
            raise ValueError(f"`crop` must be a multiple of 16 voxels. Received: {self.crop!r}.")
        widths = self.critic_widths
        if not isinstance(widths, tuple) or not widths or not all(type(n) is int and n > 0 for n in widths):
            raise ValueError(f"`critic_widths` must be a list of positive integers. Received: {widths!r}.")
        if self.critic == "volumes" and self.crop < 4 * 2 ** len(widths):
            raise ValueError(
                f"`crop` must be at least {4 * 2 ** len(widths)} voxels for a critic of volumes with {len(widths)} "
                f"widths. Received: {self.crop!r}."
            )
        for name in (
            "label_smoothing",
            "r1",
            "softening",
            "fraction_weight",
            "average_decay",
            "decay_from",
            "final_rate",
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"`{name}` must be a non-negative number. Received: {value!r}.")
        for name in ("generator_optimizer", "critic_optimizer"):
            value, known = getattr(self, name), {"learning_rate", "beta_1", "beta_2"}
            if not isinstance(value, dict) or "learning_rate" not in value or set(value) - known:
                raise ValueError(
                    f"`{name}` must hold a `learning_rate` and, optionally, `beta_1` and `beta_2`. Received: {value!r}."
                )

    def to_dict(self):
        """The settings as JSON holds them."""
        return asdict(self)

    def with_changes(self, **changes):
        """The same recipe with the changes that are not None."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})


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
    if not isinstance(settings, dict) or set(settings) != names:
        given = set(settings) if isinstance(settings, dict) else set()
        raise ValueError(
            f"recipe {name} must hold each setting once. "
            f"Missing: {sorted(names - given)}; unknown: {sorted(given - names)}."
        )
    return Recipe(**settings)


def _folder():
    return resources.files("kerasgan3d.training") / "recipes"
