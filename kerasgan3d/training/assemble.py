"""Assembly of a model that is ready to train from a recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasgan3d.backend import backend, device_strategy
from kerasgan3d.data import Symmetry
from kerasgan3d.models import Generator
from kerasgan3d.models.initial import drawn
from kerasgan3d.models.pretrained import remade
from kerasgan3d.sampling.conditions import Conditions
from kerasgan3d.training.adversary import Rules
from kerasgan3d.training.gan3d import GAN3D
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.recipe import Recipe
from kerasgan3d.training.schedule import HoldThenFall
from kerasgan3d.training.terms import Term


def make_generator(
    recipe: Recipe, phases: Sequence[str], voxel_size: float | None, conditions: Conditions | None, seed: int
) -> Generator:
    """Make the untrained generator that a recipe describes; its weights depend only on the seed.

    Args:
        recipe: A Recipe whose precision is decided.
        phases: Names of the phases.
        voxel_size: µm, or None.
        conditions: Conditions of the generator; None for an unconditional one.
        seed: Non-negative int.
    """
    options: dict[str, Any] = {"padding": "circular", "conditions": conditions, "voxel_size": voxel_size}
    with _policy(recipe.precision):
        return drawn(Generator.from_architecture(recipe.architecture, phases=phases, **options), (seed, 0))


def make_gan(
    recipe: Recipe,
    generator: Generator,
    symmetry: Symmetry,
    terms: Mapping[str, tuple[float, Term]],
    seed: int = 0,
    devices: int | None = None,
) -> GAN3D:
    """Make and compile the model that a recipe describes around a generator.

    Args:
        recipe: A Recipe whose precision is decided and whose views fit the data.
        generator: The Generator to start from; not changed.
        symmetry: A Symmetry.
        terms: dict from names to (weight, Term): the statistic-matching losses that apply.
        seed: Non-negative int.
        devices: Number of devices to train on, see ``kerasgan3d.backend.device_strategy``.

    Returns:
        GAN3D; its average starts as the generator.

    Raises:
        ValueError: if the devices cannot share the batch evenly, or there are fewer of them.
    """
    strategy = device_strategy(devices)
    if strategy is not None and recipe.batch % (devices or 1):
        raise ValueError(f"`batch` must be a multiple of the {devices} devices. Received: {recipe.batch}.")
    with _policy(recipe.precision), contextlib.nullcontext() if strategy is None else strategy.scope():
        n = len(generator.phases)
        critics = [view.critic(n, recipe.critic_initializer) for view in recipe.views for _ in view.groups(symmetry)]
        for i, critic in enumerate(critics):
            drawn(critic, (seed, 1 + i), recipe.critic_initializer)
        ours = remade(generator, padding="circular")  # in the precision of the recipe
        ours.set_weights(generator.get_weights())
        gan = GAN3D(ours, critics, recipe.views, symmetry, recipe.size, recipe.spectral, seed)
        fresh = {name: (weight, type(term)(term.target)) for name, (weight, term) in terms.items()}
        gan.compile(
            _adam(recipe, recipe.generator_optimizer, recipe.generator_updates, recipe.warmup),
            _adam(recipe, recipe.critic_optimizer, recipe.critic_updates),
            rules=_rules(recipe),
            terms=fresh,  # their variables are created on the devices
            updates=(recipe.critic_updates, recipe.generator_updates),
            average_decay=recipe.average_decay,
            average_ramp=not recipe.warmup,
        )
    if strategy is not None:
        gan.strategy = strategy
        for norm in (*ours.normalizations, *ours.residual_normalizations):
            norm.synchronized = True
        means = [v for _, term in gan.terms.values() for v in term.variables]
        apart = {id(v) for v in (*ours.trainable_variables, *gan.adversary.trainable_variables, *means)}
        backend().share_between_devices([v for v in gan.state() if id(v) not in apart], means)
    return gan


def _rules(recipe):
    return Rules(
        loss=LOSSES[recipe.loss](**({"smoothing": recipe.smoothing} if recipe.smoothing else {})),
        penalty=recipe.penalty,
        weight=recipe.penalty_weight,
        every=recipe.penalty_every,
        softening=recipe.softening,
        edges=0.0 if recipe.edges == "auto" else recipe.edges,
        noise=recipe.noise,
        labels_from=int(recipe.labels_from * recipe.steps) if recipe.labels_from < 1 else None,
    )


def _adam(recipe, settings, updates, warmup=0):
    """Return Adam, whose learning rate counts its own updates; there may be several per step."""
    rate = settings["learning_rate"]
    if recipe.final_rate != 1.0 or warmup:
        hold = int(recipe.decay_from * recipe.steps)
        rate = HoldThenFall(rate, updates * hold, updates * recipe.steps, recipe.final_rate, updates * warmup)
    return keras.optimizers.Adam(**{**settings, "learning_rate": rate})


@contextlib.contextmanager
def _policy(precision):
    """Set the precision of layers that are made within this context."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
