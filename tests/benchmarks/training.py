"""Time training steps: the paper's networks here and in plain PyTorch, and the recipes against each other.

    python tests/benchmarks/training.py --repeats 5 --json training.json

A step is the paper's: two updates of the generator and one of the critic, on a periodic volume of 128^3, of which the
critic sees the eight sub-volumes of 64^3. The peer is the same networks and as many voxels, eight samples of 64^3,
written below as one would in PyTorch. Everything is timed in turns; ratios are medians over the turns. With --parts,
those of a step of the recipe ``default`` are timed instead, each compiled alone; with --agreement N, the first N losses
of the recipe ``paper`` are compared between TensorFlow and torch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sampling import processor  # the script beside this one

RECIPES = {
    "paper": {},
    "paper, compact": {"architecture": "compact"},
    "default": {},
    "default, float32": {"precision": "float32"},
    "default, logistic": {"loss": "logistic"},
    "default, least-squares": {"loss": "least-squares"},
    "default, hinge": {"loss": "hinge"},
    "default, wasserstein": {"loss": "wasserstein"},
}
PEER = "plain PyTorch"
DEFAULTS = ["paper", PEER, "paper, compact", "default"]
SAMPLES = 8  # of 64^3, in a volume of 128^3


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", nargs="+", default=DEFAULTS, choices=[*RECIPES, PEER])
    parser.add_argument("--batch", type=int, default=1, help="volumes per step (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--parts", action="store_true", help="time the parts of a step of the default recipe instead")
    parser.add_argument("--agreement", type=int, metavar="N", help="compare N losses of two backends instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file as well")
    parser.add_argument("--losses", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.losses:
        print(json.dumps(losses(given.losses, given.batch)))
        return
    if given.agreement:
        result = agreement(given.agreement, given.batch)
        print(f"largest difference of {given.agreement} steps' losses: {result['difference']:.1e}")
    elif given.parts:
        result = {"cores": os.cpu_count(), "processor": processor(), "seconds": parts(given.batch, given.repeats)}
        for name, found in result["seconds"].items():
            print(f"{name:<40}{statistics.median(found):>8.3f} s")
    else:
        result = benchmark(given.runs, given.batch, given.repeats)
        print_table(result)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def benchmark(names, batch, repeats):
    """Seconds of each turn's step and their medians' ratios to the first, as plain data."""
    steps = {name: torch_step(SAMPLES * batch) if name == PEER else our_step(name, batch) for name in names}
    for step in steps.values():
        step()
        step()
    seconds = {name: [] for name in names}
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    first = seconds[names[0]]
    ratios = {
        name: statistics.median(b / a for a, b in zip(first, found, strict=True)) for name, found in seconds.items()
    }
    facts = {"batch": SAMPLES * batch, "crop": 64, "cores": os.cpu_count(), "processor": processor()}
    return {**facts, "seconds": seconds, "ratios": ratios}


def print_table(result):
    """Print medians per step and sample, and ratios."""
    first = next(iter(result["seconds"]))
    print(f"{'':<22}{'s a step':>10}{'ms a sample':>14}{'times ' + first:>16}")
    for name, found in result["seconds"].items():
        median = statistics.median(found)
        print(f"{name:<22}{median:>10.2f}{1000 * median / result['batch']:>14.0f}{result['ratios'][name]:>16.2f}")


def make(name, batch):
    """A GAN of a recipe and the sampler of its data: blobs of three phases."""
    from kerasgan3d.backend import precision_of
    from kerasgan3d.data import LabelledData, Symmetry
    from kerasgan3d.material.local_fractions import fit_conditions
    from kerasgan3d.training import load_recipe
    from kerasgan3d.training.assemble import make_gan, make_generator
    from kerasgan3d.training.terms import applied
    from kerasgan3d.training.views import real_views

    recipe = load_recipe(name.split(",")[0]).with_changes(batch=batch, **RECIPES[name])
    recipe = recipe.with_changes(precision=precision_of(recipe.precision))
    data, stride = LabelledData.of(blobs(160), n_phases=3), 16
    conditions = fit_conditions(data, stride) if recipe.conditional else None
    generator = make_generator(recipe, ("a", "b", "c"), None, conditions, 0)
    terms, _ = applied(recipe.terms, data, conditions, stride)
    gan = make_gan(recipe, generator, Symmetry(), terms)
    return gan, real_views(data, recipe.views, recipe.edges, batch, 0)


def our_step(name, batch):
    """A function that takes a training step, compiled as ``fit`` compiles it."""
    gan, sampler = make(name, batch)
    step = gan.feed(sampler).batch(0)
    gan.make_train_function()
    import tensorflow as tf

    endless = iter(tf.data.Dataset.from_tensors(step).repeat())
    return lambda: {key: float(value) for key, value in gan.train_function(endless).items()}


def parts(batch, repeats):
    """Seconds of each part of a step of the recipe ``default``, forward and backward, compiled alone; and of a step."""
    import tensorflow as tf
    from keras import ops, tree

    compiled = partial(tf.function, autograph=False)
    gan, sampler = make("default", batch)
    feed = gan.feed(sampler)
    data = tree.map_structure(ops.convert_to_tensor, feed.batch(0))
    critics, seen = gan.adversary.critics, {}

    def backward(function, sources, *watched):
        with tf.GradientTape() as tape:
            for x in watched:
                tape.watch(x)
            found = function()
        return found, tape.gradient(found, [getattr(source, "value", source) for source in sources])

    def judged(i):
        real, fake = seen["reals"][i], seen["fakes"][i]
        sources = [*critics[i].trainable_variables, fake]
        return backward(lambda: [gan.adversary.judge(i, real), gan.adversary.judge(i, fake)], sources, fake)

    def penalty(i):
        def total():
            slopes = [backward(lambda x=x: gan.adversary.judge(i, x), [x], x)[1][0] for x in of]
            return sum(ops.sum(ops.square(slope)) for slope in slopes)

        of = [seen["reals"][i], seen["fakes"][i]]
        return backward(total, critics[i].trainable_variables)

    def generated():
        return backward(lambda: gan.generator(data["latents"][0], training=True), gan.generator.trainable_variables)

    seen["volumes"] = gan.generator(data["latents"][0], training=True)
    seen["fakes"], seen["reals"] = gan._seen(data, 0, seen["volumes"]), gan._reals(data, 0)
    volumes, latents = seen["volumes"], data["latents"][0]
    work = {
        "data of a step": lambda: feed.batch(1),
        "generator": compiled(generated),
        "views of generated volumes": compiled(
            lambda: backward(lambda: gan._seen(data, 0, volumes), [volumes], volumes)
        ),
        "views of real data": compiled(lambda: gan._reals(data, 0)),
        "terms": compiled(lambda: backward(lambda: gan._match(volumes, latents)[0], [volumes], volumes)),
    }
    names = [
        f"{view}, axes {group}" if group else str(view)
        for view in gan.adversary.views
        for group in view.groups(gan.symmetry)
    ]
    work |= {f"critic of {name}": compiled(lambda i=i: judged(i)) for i, name in enumerate(names)}
    work |= {f"penalty, {name}": compiled(lambda i=i: penalty(i)) for i, name in enumerate(names)}
    work["a whole step (penalties in every fourth)"] = our_step("default", batch)
    for name in work:
        work[name]()
    every = gan.adversary.rules.every
    return {name: [_seconds(function, every) for _ in range(repeats)] for name, function in work.items()}


def _seconds(function, count):
    """Seconds of a call, the mean of some calls."""
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count


def torch_step(batch):
    """The same step of the same networks in plain PyTorch, data and latents ready."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            widths, layers = (100, 512, 256, 128, 64, 3), []
            for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
                # Paddings that leave out what saw a boundary.
                layers.append(nn.ConvTranspose3d(n_in, n_out, 4, 1 if i == 0 else 2, 3 if i == 0 else 2, bias=False))
                layers += [nn.BatchNorm3d(n_out), nn.ReLU(True)] if n_out != 3 else []
            self.layers = nn.Sequential(*layers)

        def forward(self, latents):
            return torch.softmax(self.layers(latents)[:, :, 1:-1, 1:-1, 1:-1], 1)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            widths, layers = (3, 16, 32, 64, 128), []
            for n_in, n_out in zip(widths, widths[1:], strict=False):
                layers += [nn.Conv3d(n_in, n_out, 4, 2, 1), nn.LeakyReLU(0.2, True)]
            self.layers = nn.Sequential(*layers, nn.Conv3d(128, 1, 4))

        def forward(self, volumes):
            return self.layers(volumes).mean((1, 2, 3, 4))

    generator, critic = Generator(), Discriminator()
    for network in (generator, critic):
        for parameter in network.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0.0, 0.02)
    optimizers = [torch.optim.Adam(network.parameters(), 2e-5, (0.5, 0.999)) for network in (generator, critic)]
    labels = torch.from_numpy(blobs(64).astype("int64"))
    real = functional.one_hot(labels, 3).permute(3, 0, 1, 2).float()[None].repeat(batch, 1, 1, 1, 1)

    def step():
        for update in range(2):
            fake = generator(torch.randn(batch, 100, 9, 9, 9))
            assert fake.shape == real.shape
            if update == 0:
                optimizers[1].zero_grad()
                logits = critic(real)
                loss = (0.9 * functional.softplus(-logits) + 0.1 * functional.softplus(logits)).mean()
                (loss + functional.softplus(critic(fake.detach())).mean()).backward()
                optimizers[1].step()
            optimizers[0].zero_grad()
            functional.softplus(-critic(fake)).mean().backward()
            optimizers[0].step()

    return step


def agreement(steps, batch):
    """Losses of the recipe ``paper`` on both backends, each in its own process, and their largest difference."""
    found = {}
    for backend in ("tensorflow", "torch"):
        command = [sys.executable, __file__, "--losses", str(steps), "--batch", str(batch)]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        found[backend] = json.loads(output.splitlines()[-1])
    a, b = found.values()
    difference = max(abs(x[key] - y[key]) for x, y in zip(a, b, strict=True) for key in x)
    return {"batch": batch, "steps": steps, "losses": found, "difference": difference}


def losses(steps, batch):
    """What each of the first steps of the recipe ``paper`` reports on the current backend."""
    gan, sampler = make("paper", batch)
    feed, reports = gan.feed(sampler), []
    for step in range(steps):
        for tracker in gan.metrics:
            tracker.reset_state()
        reports.append({key: float(value) for key, value in gan.train_step(feed.batch(step)).items()})
    return reports


def blobs(size):
    """A three-phase image of smooth random shapes."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(0).normal(size=(size,) * 3), 3, mode="wrap")
    return np.digitize(field, np.quantile(field, [0.4, 0.7])).astype("uint8")


if __name__ == "__main__":
    main()
