"""Recipes: named files of training settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from kerasgan3d.checks import check_count, check_integer, check_number
from kerasgan3d.material.edges import SHARES
from kerasgan3d.models import ARCHITECTURES
from kerasgan3d.training.losses import LOSSES, PENALTIES, SMOOTHED
from kerasgan3d.training.terms import TERMS
from kerasgan3d.training.views import View

_FOLDER = resources.files("kerasgan3d.training") / "recipes"
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
PRETRAINED = "pretrained"  # the architecture of the generator that training starts from, in place of a named one
# Recipes of earlier versions, and the settings that replace them.
_REPLACED = {
    **dict.fromkeys(
        ("r1-slices", "r1", "slices", "volume-slices", "wide-slices", "equivariant-slices"),
        "`recipe` to 'default'",
    ),
    "lsgan": "`loss` to 'least-squares'",
    "wgan-gp": "`loss` to 'wasserstein'",
    "sn-hinge": "`loss` to 'hinge'",
    **dict.fromkeys(("polish", "settle"), "`recipe` to 'finetune'"),
}
# Settings that accompany a loss where it overrides a recipe's: those of the papers that introduced it.
_ADAM = {"beta_1": 0.0, "beta_2": 0.99}
_WITH_LOSS: dict[str, dict[str, Any]] = {
    "relativistic": {"penalty": "r1+r2", "penalty_weight": 0.3},
    "logistic": {"penalty": "r1", "penalty_weight": 0.5},
    # Gulrajani et al., NeurIPS 2017, Algorithm 1.
    "wasserstein": {
        "penalty": "gradient",
        "penalty_weight": 10.0,
        "penalty_every": 1,
        "critic_updates": 5,
        "generator_optimizer": {"learning_rate": 1e-4, "beta_1": 0.0, "beta_2": 0.9},
        "critic_optimizer": {"learning_rate": 1e-4, "beta_1": 0.0, "beta_2": 0.9},
    },
    # Mao et al., ICCV 2017.
    "least-squares": {
        "penalty": None,
        "generator_optimizer": {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.999},
        "critic_optimizer": {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.999},
    },
    # Miyato et al., ICLR 2018; rates: Zhang et al., ICML 2019.
    "hinge": {
        "penalty": None,
        "spectral": True,
        "generator_optimizer": {"learning_rate": 1e-4, "beta_1": 0.0, "beta_2": 0.9},
        "critic_optimizer": {"learning_rate": 4e-4, "beta_1": 0.0, "beta_2": 0.9},
    },
}


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run except the data.

    Attributes:
        name, description, source: Name of the recipe, its purpose, and the origin of its numbers.
        architecture: One of ``Generator.from_architecture``, or "pretrained" for that of the generator to start from.
        conditional: Whether local volume fractions condition the generator, see ``kerasgan3d.sampling.conditions``.
        size: Edge length in voxels of a generated periodic volume, a multiple of 16.
        batch: Number of such volumes per step, divided among the devices.
        views: Views of the critics, or dicts of their attributes.
        edges: Share of a voxel's label in real data that each neighbour receives, from 0 to 0.15, or "auto" for the
            largest that preserves the data's labels, see ``kerasgan3d.material.edges``.
        softening: Label smoothing of real data: 0.02 turns the one-hot label 1, 0, 0 of three phases into
            0.96, 0.02, 0.02.
        labels_from: Share of the steps after which critics see the most probable phases of generated volumes, with
            edges as soft as those of real data, in place of probabilities (with the gradient of
            ``kerasgan3d.differentiable.likeliest``). 1 for never.
        noise: Standard deviation of the noise that is added to the critics' input, real and generated.
        loss, smoothing: Adversarial loss, one of ``LOSSES``, and its one-sided label smoothing.
        penalty, penalty_weight, penalty_every: Gradient penalty, one of ``PENALTIES`` or None; its weight; and its
            interval in updates, by which it is multiplied (Karras et al., CVPR 2020).
        spectral: Whether critics' kernels are divided by their largest singular value (Miyato et al., ICLR 2018).
        terms: Statistic-matching losses: dict from names of ``kerasgan3d.training.terms.TERMS`` to weights.
        critic_updates, generator_updates: Number of updates per step.
        generator_optimizer, critic_optimizer: Learning rate and betas of Adam.
        critic_initializer: Initialiser of the critics' kernels.
        steps: Number of steps of a whole run.
        warmup: Steps over which the generator's learning rate rises from 0: new critics mislead a pretrained generator.
        decay_from, final_rate: Share of the steps after which learning rates fall linearly, and the share to which.
        average_decay: Decay of the generator's moving average per step.
        monitor_every: Steps between measurements, checkpoints and log lines.
        precision: "float32", "mixed_bfloat16" (convolutions in bfloat16, weights, softmax and losses in float32), or
            "auto": bfloat16 where the processor or the GPU supports it.

    A file may omit settings that have a default, and ``to_dict`` omits those that equal it.

    Raises:
        ValueError: if a setting is not of the above.
    """

    name: str
    description: str
    source: str
    architecture: str
    views: tuple[View, ...]
    steps: int
    generator_optimizer: dict[str, float]
    critic_optimizer: dict[str, float]
    conditional: bool = True
    size: int = 128
    batch: int = 1
    edges: float | str = "auto"
    softening: float = 0.02
    labels_from: float = 1.0
    noise: float = 0.0
    loss: str = "relativistic"
    smoothing: float = 0.0
    penalty: str | None = "r1+r2"
    penalty_weight: float = 0.3
    penalty_every: int = 4
    spectral: bool = False
    terms: dict[str, float] = field(default_factory=dict)
    critic_updates: int = 1
    generator_updates: int = 1
    critic_initializer: Any = "glorot_uniform"
    warmup: int = 0
    decay_from: float = 0.5
    final_rate: float = 0.04
    average_decay: float = 0.999
    monitor_every: int = 100
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.views, list | tuple) or not self.views:
            raise ValueError(f"`views` must be a list of views. Received: {self.views!r:.200}.")
        object.__setattr__(self, "views", tuple(View.of(view) for view in self.views))
        for name, known in (
            ("architecture", (*ARCHITECTURES, PRETRAINED)),
            ("loss", tuple(LOSSES)),
            ("penalty", (None, *PENALTIES)),
            ("precision", PRECISIONS),
            ("conditional", (True, False)),
            ("spectral", (True, False)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(map(repr, known))}. Received: {getattr(self, name)!r}."
                )
        for name in ("batch", "steps", "monitor_every", "critic_updates", "generator_updates", "penalty_every"):
            check_count(getattr(self, name), name)
        check_integer(self.warmup, "warmup", 0)
        for name in ("softening", "noise", "penalty_weight"):
            check_number(getattr(self, name), name, 0)
        for name in ("labels_from", "smoothing", "decay_from", "final_rate", "average_decay"):
            check_number(getattr(self, name), name, 0, 1)
        if self.edges != "auto":
            check_number(self.edges, "edges", 0, max(SHARES))
        if check_integer(self.size, "size", 4) % 4:
            raise ValueError(f"`size` must be a multiple of 4 voxels. Received: {self.size!r}.")
        if self.smoothing and self.loss not in SMOOTHED:
            raise ValueError(
                f"`smoothing` must be 0 where the loss is {self.loss!r}, which has no labels. "
                f"Received: {self.smoothing!r}."
            )
        self._check_dicts()

    def _check_dicts(self) -> None:
        if not isinstance(self.terms, Mapping) or set(self.terms) - set(TERMS):
            raise ValueError(f"`terms` must be weights by name, of {', '.join(TERMS)}. Received: {self.terms!r:.200}.")
        for name, weight in self.terms.items():
            check_number(weight, f"terms[{name!r}]", 0)
        for name in ("generator_optimizer", "critic_optimizer"):
            value, known = getattr(self, name), {"learning_rate", "beta_1", "beta_2"}
            if not isinstance(value, dict) or "learning_rate" not in value or set(value) - known:
                raise ValueError(
                    f"`{name}` must hold a `learning_rate` and, optionally, `beta_1` and `beta_2`. Received: {value!r}."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings for JSON, without those that equal their defaults."""
        defaults = {f.name: {} if f.name == "terms" else f.default for f in fields(self)}
        found = {key: value for key, value in asdict(self).items() if value != defaults[key]}
        return {**found, "views": [view.to_dict() for view in self.views]}

    def with_changes(self, **changes: Any) -> Recipe:
        """Return the recipe with the changes that are not None; another loss brings the settings that accompany it."""
        changes = {key: value for key, value in changes.items() if value is not None}
        loss = changes.get("loss", self.loss)
        if loss != self.loss and loss in _WITH_LOSS:
            plain = {"smoothing": 0.0, "spectral": False, "critic_updates": 1, "penalty_every": 4}
            changes = {**plain, **_WITH_LOSS[loss], **changes}
        return replace(self, **changes)


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".json") for path in _FOLDER.iterdir() if path.name.endswith(".json"))


def load_recipe(recipe: str | os.PathLike[str] | Recipe) -> Recipe:
    """Load a recipe by name or from a JSON file.

    Raises:
        ValueError: if there is no such recipe, or a setting is missing, unknown or out of range.
    """
    if isinstance(recipe, Recipe):
        return recipe
    name = str(recipe)
    if name in list_recipes():
        text = (_FOLDER / f"{name}.json").read_text("utf-8")
    elif name.endswith(".json") and Path(name).is_file():
        text = Path(name).read_text("utf-8")
    elif name in _REPLACED:
        raise ValueError(f"recipe {name!r} is of an earlier version. Set {_REPLACED[name]} instead.")
    else:
        raise ValueError(f"`recipe` must be one of {', '.join(list_recipes())}, or a JSON file. Received: {name!r}.")
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not valid JSON: {error}") from error
    names = {f.name for f in fields(Recipe)}
    needed = {f.name for f in fields(Recipe) if f.default is MISSING and f.default_factory is MISSING}
    given = set(settings) if isinstance(settings, dict) else set()
    if not isinstance(settings, dict) or not needed <= given <= names:
        raise ValueError(
            f"recipe {name} must hold each setting once. "
            f"Missing: {sorted(needed - given)}; unknown: {sorted(given - names)}."
        )
    return Recipe(**settings)
