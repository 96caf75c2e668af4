"""From a recipe to a model that is ready to train."""

import contextlib

import keras
import numpy as np

from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training.equivariance import BREACH, FlipEquivariance
from kerasgan3d.training.gan3d import GAN3D
from kerasgan3d.training.gradient_step import device_strategy, prepare_for_devices
from kerasgan3d.training.pretrained import remade
from kerasgan3d.training.recipe import widths_of_volumes
from kerasgan3d.training.schedule import HoldThenFall

_FEW_PHASES = 16


def make_gan(recipe, phases, voxel_size, symmetry, seed, statistics, devices=None, start=None):
    """Make the model that a recipe describes, compiled.

    Initial weights depend on the seed alone: they are drawn with NumPy, as the initialisers say, so that every backend
    begins alike.

    Args:
        recipe: A Recipe in which nothing is left open, see ``Recipe.for_data``.
        phases: Names of the phases.
        voxel_size: µm, or None.
        symmetry: A Symmetry.
        seed: Non-negative int.
        statistics: What ``Material.statistics`` says of the data; without "spread", "diffusivity" or
            "volume_spread" generators are not pulled to one.
        devices: Devices to train on, see ``kerasgan3d.training.gradient_step.device_strategy``.
        start: A Generator of these phases whose weights to begin with, instead of random ones; not changed.

    Returns:
        GAN3D.

    Raises:
        ValueError: if an initialiser is none of the normal, uniform and variance-scaling ones, the batch cannot be
            shared among the devices, or there are fewer devices.
    """
    strategy = device_strategy(devices)
    if strategy is not None and recipe.batch % devices:
        raise ValueError(f"`batch` must be a multiple of the {devices} devices. Received: {recipe.batch}.")
    with _policy(recipe.precision), contextlib.nullcontext() if strategy is None else strategy.scope():
        gan = _networks(recipe, phases, voxel_size, symmetry, seed, start)
        gan.compile(
            _adam(recipe, recipe.generator_optimizer, recipe.generator_updates),
            _adam(recipe, recipe.critic_optimizer, recipe.critic_updates, recipe.critic_warmup),
            loss=recipe.loss,
            label_smoothing=recipe.label_smoothing,
            critic_updates=recipe.critic_updates,
            generator_updates=recipe.generator_updates,
            r1=recipe.r1,
            r1_every=recipe.r1_every,
            gradient_penalty=recipe.gradient_penalty,
            softening=recipe.softening,
            targets=statistics,
            fraction_weight=recipe.fraction_weight,
            s2_lags=recipe.s2_lags,
            s2_weight=recipe.s2_weight,
            diagonal_weight=recipe.diagonal_weight,
            surface_weight=recipe.surface_weight,
            # Where three phases meet nowhere there is nothing to be in units of; pairs of many phases are too many.
            tpb_weight=recipe.tpb_weight if np.any(statistics["tpb"]) and len(phases) <= _FEW_PHASES else 0.0,
            spread_weight=recipe.spread_weight if "spread" in statistics else 0.0,
            lattice_weight=recipe.lattice_weight,
            # Slices do not tell how what is between them conducts.
            diffusivity_weight=recipe.diffusivity_weight if "diffusivity" in statistics else 0.0,
            volume_spread_weight=recipe.volume_spread_weight if "volume_spread" in statistics else 0.0,
            critic_weight=recipe.critic_weight,
            statistics_decay=recipe.statistics_decay,
            pull_limit=recipe.pull_limit,
            average_decay=recipe.average_decay,
            average_ramp=start is None,
        )
    if strategy is not None:
        gan.strategy = strategy
        for norm in (*gan.generator.normalizations, *gan.generator.residual_normalizations):
            norm.synchronized = True
        prepare_for_devices(gan)
    return gan


def draw_weights(network, seed, initializer=None):
    """Draw the kernels of a network afresh with NumPy, as their initialisers say.

    Args:
        network: A built network.
        seed: Non-negative int, or a sequence of them.
        initializer: What kernels are drawn by; each layer's own if None.

    Raises:
        ValueError: if an initialiser is none of the normal, uniform and variance-scaling ones.
    """
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    for i, layer in enumerate(layers):
        rng = np.random.default_rng([*np.atleast_1d(seed), i])
        chosen = layer.kernel_initializer if initializer is None else keras.initializers.get(initializer)
        layer.kernel.assign(_drawn(rng, chosen, tuple(layer.kernel.shape)))


def _networks(recipe, phases, voxel_size, symmetry, seed, start):
    generator = (
        Generator.from_architecture(recipe.architecture, phases=phases, voxel_size=voxel_size)
        if start is None
        else remade(start)
    )
    if recipe.critic == "volumes":
        batch = "batch" if recipe.critic_normalization == "batch" else None
        critics = [VolumeDiscriminator(len(phases), recipe.critic_widths, batch, recipe.critic_initializer)]
    else:
        critics = [SliceDiscriminator(len(phases), recipe.critic_widths) for _ in symmetry.groups]
        if recipe.volume_crop:
            critics = [*critics, VolumeDiscriminator(len(phases), widths_of_volumes(recipe.volume_crop))]
    equivariance = FlipEquivariance(generator) if recipe.equivariant else None
    if start is None:
        draw_weights(generator, (seed, 0))
        if equivariance is not None:
            equivariance.draw(generator)
    else:
        generator.set_weights(start.get_weights())
        # The last layer's kernels may have been drawn, for phases that the pretrained generator does not know.
        if equivariance is not None and equivariance.breach(generator, last=False) <= BREACH:
            equivariance.even(generator)
        else:
            equivariance = None
    for i, critic in enumerate(critics):
        draw_weights(critic, (seed, 1 + i), recipe.critic_initializer)
    spectral = recipe.critic_normalization == "spectral"
    return GAN3D(
        generator,
        critics,
        symmetry,
        recipe.crop,
        recipe.slices or 1,
        spectral=spectral,
        seed=seed,
        equivariant=equivariance is not None,
        volume_crop=recipe.volume_crop,
    )


def _adam(recipe, settings, updates_per_step, steps_before=0):
    rate = settings["learning_rate"]
    (_, _, hold), *restarts = recipe.rates()
    if recipe.final_rate != 1.0 or restarts:

        def updates(step):
            return (steps_before + step) * updates_per_step

        restarts = [(updates(first), share, updates(until)) for first, share, until in restarts]
        rate = HoldThenFall(rate, updates(hold), updates(recipe.steps), recipe.final_rate, restarts)
    return keras.optimizers.Adam(**{**settings, "learning_rate": rate})


@contextlib.contextmanager
def _policy(precision):
    """Layers made within compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _drawn(rng, initializer, shape):
    """Initial values, float32."""
    settings, kinds = initializer.get_config(), keras.initializers
    if isinstance(initializer, kinds.VarianceScaling):
        receptive = int(np.prod(shape[:-2]))
        fans = {"fan_in": shape[-2] * receptive, "fan_out": shape[-1] * receptive}
        fans["fan_avg"] = (fans["fan_in"] + fans["fan_out"]) / 2
        variance = initializer.scale / max(1.0, fans[initializer.mode])
        if initializer.distribution == "uniform":
            values = rng.uniform(-1.0, 1.0, shape) * np.sqrt(3 * variance)
        elif initializer.distribution == "truncated_normal":
            # The standard deviation of a normal distribution cut at 2 is 0.8796.
            values = _truncated(rng, shape) * np.sqrt(variance) / 0.87962566103423978
        else:
            values = rng.normal(size=shape) * np.sqrt(variance)
    elif isinstance(initializer, kinds.RandomNormal):
        values = settings["mean"] + settings["stddev"] * rng.normal(size=shape)
    elif isinstance(initializer, kinds.TruncatedNormal):
        values = settings["mean"] + settings["stddev"] * _truncated(rng, shape)
    elif isinstance(initializer, kinds.RandomUniform):
        values = rng.uniform(settings["minval"], settings["maxval"], shape)
    else:
        raise ValueError(
            "initial kernels must be drawn by a normal, uniform or variance-scaling initialiser. "
            f"Received: {type(initializer).__name__}."
        )
    return values.astype("float32")


def _truncated(rng, shape):
    """Standard normal numbers between -2 and 2."""
    values = rng.normal(size=shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.normal(size=int(outside.sum()))
    return values
