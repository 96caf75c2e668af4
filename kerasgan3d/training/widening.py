"""Training that goes on with a wider generator, which at first makes what the narrower one made.

Channels that are added are drawn at random, and what follows does not listen to them yet: of the layers after them the
new weights are 0. What is generated stays the same, but for rounding, and the critics have nothing new to get used to
(the idea of Chen et al., Net2Net, ICLR 2016, whose new channels are copies instead).
"""

import numpy as np
from keras import ops


def widen(narrow, wide, seed=0):
    """Let a GAN3D go on from where another stands whose generator is narrower.

    Weights, running means and optimizers are taken over. New weights have no momentum, and the mean of the others'
    squared gradients.

    Args:
        narrow: The GAN3D to go on from; not changed.
        wide: A GAN3D that differs from it in its generator's widths alone, none of which is smaller; compiled alike.
        seed: Non-negative int, for the weights of new channels.

    Raises:
        ValueError: if they differ in more, or a width is smaller.
    """
    old, new = (variables_of(gan) for gan in (narrow, wide))
    if len(old) != len(new) or any(not _fits(a.shape, b.shape) for (_, a), (_, b) in zip(old, new, strict=False)):
        raise ValueError("`wide` must be as `narrow` is, with a generator that is nowhere narrower.")
    for (key, source), (_, target) in zip(old, new, strict=True):
        values = ops.convert_to_numpy(source.value)
        if values.shape != tuple(target.shape):
            values = _widened(values, tuple(target.shape), key, seed)
        target.assign(values)


def variables_of(gan):
    """The variables of ``GAN3D.state`` with what they are: list of (key, variable).

    The key is (kind, place): "weight", "momentum", "velocity" or None for the rest, and which of the generator's
    variables; those of the average have the places of the generator's.
    """
    variables = [variable for _, variable in gan.state()]
    networks = (gan.generator, gan.average)
    keys: dict[int, tuple[str | None, int | None]] = {
        id(v): ("weight", i) for network in networks for i, v in enumerate(network.variables)
    }
    for v in gan.generator_optimizer.variables:
        kind = next((kind for kind in ("momentum", "velocity") if v.path.endswith(kind)), None)
        keys[id(v)] = (kind, None)
    return [(keys.get(id(v), (None, None)), v) for v in variables]


def _fits(old, new):
    return len(old) == len(new) and all(a <= b for a, b in zip(old, new, strict=True))


def _widened(old, shape, key, seed):
    """Values of a larger shape, whose first ones are the old ones."""
    kind, place = key
    if kind is None:
        raise ValueError("`wide` must be as `narrow` is, but for its generator's widths.")
    if kind == "weight" and len(shape) > 1:
        # Kernels (..., inputs, outputs): new outputs listen to old inputs, nothing listens to the new ones.
        new = np.zeros(shape, old.dtype)
        inputs, outputs = old.shape[-2:]
        drawn = np.random.default_rng([seed, place]).normal(size=(*shape[:-2], inputs, shape[-1] - outputs))
        new[..., :inputs, outputs:] = drawn * old.std()
    else:
        new = np.full(shape, 0.0 if kind == "momentum" else old.mean(), old.dtype)
    new[tuple(slice(n) for n in old.shape)] = old
    return new
