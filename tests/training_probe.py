"""Tiny trainings whose numbers every backend must share: ``python training_probe.py FOLDER [STATES]``.

Run by the tests. Writes what happened to FOLDER/record.json and the states of the models to FOLDER. From STATES, the
folder of another backend, it goes on where that one stopped.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.material.local_fractions import fit_conditions
from kerasgan3d.models import ARCHITECTURES, Generator
from kerasgan3d.models.initial import drawn
from kerasgan3d.models.pretrained import Pretrained
from kerasgan3d.training import list_recipes, load_recipe
from kerasgan3d.training.assemble import make_gan, make_generator
from kerasgan3d.training.losses import LOSSES
from kerasgan3d.training.state import load_state, save_state
from kerasgan3d.training.terms import TERMS, applied
from kerasgan3d.training.views import View, fitted, real_views

SMALL = {"latent_channels": 4, "widths": (6, 4, 4, 4)}
VIEWS = (View("slices", 16, count=2, widths=(4,)), View("volumes", 32, 2, 1, 0.5, widths=(4, 5)))
RESUMED = ("default", "hinge")


def main(folder, states=None):
    folder = Path(folder)
    for name in ARCHITECTURES:
        ARCHITECTURES[name] = {**ARCHITECTURES[name], **SMALL}
    record = {
        "backend": keras.backend.backend(),
        "recipes": {f"{name}, {n}D": losses(*tiny(name, n), 0, 2) for name in list_recipes() for n in (2, 3)},
        "losses": {name: losses(*tiny(loss=name), 0, 2) for name in LOSSES},
        "paper": losses(*tiny("paper"), 0, 6),
        "resumed": {name: resumed(name, folder) for name in RESUMED},
        "terms": losses(*tiny(symmetry=Symmetry("axial", 1), terms=dict.fromkeys(TERMS, 1.0)), 0, 3),
        "four": losses(*tiny(phases=4), 0, 2),
        "finetuned": losses(*finetuned(), 0, 2),
        "precision": mixed(),
    }
    if states is not None:
        gan, sampler = of_name("hinge")
        load_state(Path(states) / "hinge.npz", gan.state())
        record["continued"] = losses(gan, sampler, 2, 1)
    (folder / "record.json").write_text(json.dumps(record), "utf-8")


def material(dimensions=3, symmetry=Symmetry(), phases=3, seed=0):  # noqa: B008
    """Blocks of noise."""
    labels = np.random.default_rng(seed).integers(0, phases, (9,) * dimensions).astype("uint8")
    for axis in range(dimensions):
        labels = labels.repeat(4, axis)
    return LabelledData.of(labels, symmetry, n_phases=phases)


def tiny(name="default", dimensions=3, symmetry=Symmetry(), phases=3, source=None, **changes):  # noqa: B008
    """A small GAN of a recipe, and the sampler of its data."""
    data = material(dimensions, symmetry, phases)
    recipe = load_recipe(name).with_changes(**{"size": 32, "views": VIEWS, "precision": "float32", **changes})
    recipe = recipe.with_changes(views=tuple(fitted(recipe.views, data, 32)[0]), edges=0.05)
    conditions = fit_conditions(data, 16) if recipe.conditional else None
    names = tuple("abcd"[:phases])
    generator = source or make_generator(recipe, names, None, conditions, 0)
    terms, _ = applied(recipe.terms, data, generator.conditions, 16)
    gan = make_gan(recipe, generator, symmetry, terms)
    return gan, real_views(data, recipe.views, recipe.edges, recipe.batch, 0)


def of_name(name):
    """A GAN of a loss or a recipe."""
    return tiny(loss=name) if name in LOSSES else tiny(name)


def finetuned():
    """A GAN that begins with a generator of other phases."""
    old = drawn(Generator.from_architecture("compact", ("a", "b", "d")), 5)
    fractions = np.full(3, 1 / 3)
    return tiny("finetune", source=Pretrained(old, 32).start(("a", "b", "c"), None, fractions))


def mixed():
    """Losses in mixed precision; None where torch cannot.

    On processors without AVX-512 its convolutions of bfloat16 fall back to one that takes no gradient of such kernels.
    """
    try:
        return losses(*tiny(dimensions=2, precision="mixed_bfloat16"), 0, 2)
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
    """Four steps at once against two, a reload, and two: losses of the last two, and whether all is the same."""
    straight, sampler = of_name(name)
    whole = losses(straight, sampler, 0, 4)
    first, _ = of_name(name)
    losses(first, sampler, 0, 2)
    save_state(folder / f"{name}.npz", first.state())
    second, _ = of_name(name)
    load_state(folder / f"{name}.npz", second.state())
    again = losses(second, sampler, 2, 2)
    array = keras.ops.convert_to_numpy
    pairs = zip(straight.state(), second.state(), strict=True)
    same = all(np.array_equal(array(a.value), array(b.value)) for a, b in pairs)
    return {"straight": whole[2:], "resumed": again, "same": same}


if __name__ == "__main__":
    main(*sys.argv[1:])
