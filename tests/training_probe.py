"""Tiny trainings whose numbers every backend must share: ``python training_probe.py FOLDER [STATES]``.

Run by the tests. Writes what happened to FOLDER/record.json and the states of the models to FOLDER. From STATES, the
folder of another backend, it goes on where that one stopped.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.models import ARCHITECTURES, Generator
from kerasgan3d.training import list_recipes, load_recipe, physics
from kerasgan3d.training.assemble import draw_weights, make_gan
from kerasgan3d.training.pretrained import Pretrained

WIDTHS = {"latent_channels": 4, "widths": (6, 4, 4, 4)}
TERMS = {"s2_weight": 1.0, "s2_lags": (1, 4), "surface_weight": 1.0, "tpb_weight": 1.0, "spread_weight": 1.0}
TERMS |= {"diagonal_weight": 1.0, "lattice_weight": 1.0, "diffusivity_weight": 1.0, "statistics_decay": 0.5}


def main(folder, states=None):
    folder = Path(folder)
    for name in ARCHITECTURES:
        ARCHITECTURES[name] = {**ARCHITECTURES[name], **WIDTHS}
    record = {
        "backend": keras.backend.backend(),
        "recipes": {f"{name}, {n}D": losses(*tiny(name, n), 0, 2) for name in list_recipes() for n in (2, 3)},
        "paper": losses(*tiny("paper", 3), 0, 20),
        "resumed": {name: resumed(name, folder) for name in ("r1", "sn-hinge")},
        "symmetries": losses(*tiny("r1-slices", 3, symmetry=Symmetry("axial", 1), **TERMS), 0, 2),
        "equivariant": equivariant(),
        "beside": losses(*tiny("r1-slices", 3, volume_crop=16), 0, 3),
        "held": held(),
        "precision": mixed(),
    }
    if states is not None:
        gan, sampler = tiny("sn-hinge", 3)
        gan.load_state(Path(states) / "sn-hinge.npz")
        record["continued"] = losses(gan, sampler, 3, 1)
    (folder / "record.json").write_text(json.dumps(record), "utf-8")


def tiny(name, dimensions, symmetry=Symmetry(), **changes):  # noqa: B008
    """A small GAN of a recipe, and the sampler of its data."""
    labels = np.random.default_rng(0).integers(0, 3, (9,) * dimensions).astype("uint8")
    for axis in range(dimensions):
        labels = labels.repeat(4, axis)
    recipe = load_recipe(name).with_changes(crop=32, batch=2, slices=2, critic_widths=(4, 5), **changes)
    recipe = recipe.for_data(dimensions)
    found = {**physics.statistics(labels, 3, symmetry, lags=recipe.s2_lags), "spread": np.full((3, 3), 0.01)}
    found["diffusivity"] = np.full((3, 3), 0.1)
    gan = make_gan(recipe, ("pore", "Ni", "YSZ"), None, symmetry, 0, found)
    if recipe.critic == "volumes":
        return gan, VolumeSampler(labels, 32, recipe.batch, symmetry)
    sampler = SliceSampler(labels, 32, [recipe.batch * 2 * len(group) for group in symmetry.groups], symmetry)
    if not recipe.volume_crop:
        return gan, sampler
    return gan, SamplerPair(sampler, VolumeSampler(labels, recipe.volume_crop, recipe.batch, symmetry))


def held():
    """Losses of two steps of the critics alone, from a pretrained generator, and of two of both."""
    labels = np.random.default_rng(1).integers(0, 4, (9, 9, 9)).astype("uint8").repeat(4, 0).repeat(4, 1).repeat(4, 2)
    old = Generator.from_architecture("compact", ("pore", "Ni", "YSZ"))
    draw_weights(old, 5)
    recipe = load_recipe("finetune").with_changes(crop=32, batch=2, slices=2, critic_widths=(4, 5))
    found = {**physics.statistics(labels, 4, Symmetry(), lags=recipe.s2_lags), "spread": np.full((4, 3), 0.01)}
    start = Pretrained(old, 32).start(("pore", "YSZ", "Ni", "CGO"), None, found["fractions"])
    gan = make_gan(recipe, start.phases, None, Symmetry(), 0, found, None, start)
    sampler, reports = SliceSampler(labels, 32, [12]), []
    for first, alone in ((0, True), (2, False)):
        gan.generator_held = alone
        reports += losses(gan, sampler, first, 2)
    return reports


def equivariant():
    """Losses of three steps of a generator that commutes with flips, and by how much it then fails to."""
    before = ARCHITECTURES["compact"]
    ARCHITECTURES["compact"] = {**before, "latent_channels": 8, "widths": (16, 8, 8, 9)}
    gan, sampler = tiny("r1-slices", 3, equivariant=True)
    ARCHITECTURES["compact"] = before
    reports = losses(gan, sampler, 0, 3)
    tied = gan.equivariance.tied(gan.generator)
    kernels = [(keras.ops.convert_to_numpy(v.value), orbits) for v, orbits in tied if v.trainable]
    return {"reports": reports, "breach": float(max(np.abs(k - orbits.first(k)).max() for k, orbits in kernels))}


def mixed():
    """Losses in mixed precision; None where torch cannot.

    On processors without AVX-512 its convolutions of bfloat16 fall back to one that takes no gradient of such kernels.
    """
    try:
        return losses(*tiny("r1-slices", 2, precision="mixed_bfloat16"), 0, 2)
    except RuntimeError as error:
        if "slow_conv2d: grad_weight must be contiguous" not in str(error):
            raise
        return None


def losses(gan, sampler, first, count):
    """What each of some steps reports."""
    feed, reports = gan.feed(sampler), []
    for step in range(first, first + count):
        for tracker in gan.metrics:
            tracker.reset_state()
        reports.append({name: float(value) for name, value in gan.train_step(feed.batch(step)).items()})
    return reports


def resumed(name, folder):
    """Six steps at once against three, a reload, and three: losses of the last three, and whether all is the same."""
    straight, sampler = tiny(name, 3)
    whole = losses(straight, sampler, 0, 6)
    first, _ = tiny(name, 3)
    losses(first, sampler, 0, 3)
    first.save_state(folder / f"{name}.npz")
    second, _ = tiny(name, 3)
    second.load_state(folder / f"{name}.npz")
    again = losses(second, sampler, 3, 3)
    pairs = zip(straight.state(), second.state(), strict=True)
    array = keras.ops.convert_to_numpy
    same = all(np.array_equal(array(a.value), array(b.value)) for (_, a), (_, b) in pairs)
    return {"straight": whole[3:], "resumed": again, "same": same}


if __name__ == "__main__":
    main(*sys.argv[1:])
