"""Calibration of the output biases to known volume fractions."""

import numpy as np
from keras import ops


def calibrate(generator, fractions, *, size=128, volumes=4, iterations=12, seed=2**32):
    """Move the biases of the last layer until the labels of sampled volumes have the given volume fractions.

    A bias on a phase's logit makes its regions swell or shrink a little everywhere. Each iteration adds the logarithm
    of wanted over found; the shift that is common to all phases means nothing and is left out.

    Args:
        generator: A Generator with ``output_bias``; changed in place.
        fractions: Volume fractions to reach, (phases,).
        size: Edge length of the sampled volumes in voxels.
        volumes: How many of them.
        iterations: How often to measure and move.
        seed: Seed of the first; above all seeds that ``sample`` draws by itself, so that calibration and use differ.

    Returns:
        dict: "before" and "after", the fractions found, and "shift", what was added to the biases, (phases,).

    Raises:
        ValueError: if the generator has no output bias.
    """
    if not generator.output_bias:
        raise ValueError("calibration needs a generator with `output_bias`. Received: one without.")
    wanted = np.asarray(fractions, "float64")
    bias = generator.convolutions[-1].bias
    start = ops.convert_to_numpy(bias).astype("float64")
    before = found = _found(generator, size, volumes, seed)
    value, best = start, (np.abs(found - wanted).max(), start, found)
    for _ in range(iterations):
        step = np.log(np.maximum(wanted, 1e-4)) - np.log(np.maximum(found, 1e-4))
        value = value + step - step.mean()
        bias.assign(value.astype("float32"))
        found = _found(generator, size, volumes, seed)
        best = min(best, (np.abs(found - wanted).max(), value, found), key=lambda entry: entry[0])
    _, value, after = best
    bias.assign(value.astype("float32"))
    return {"before": before.tolist(), "after": after.tolist(), "shift": (value - start).tolist()}


def _found(generator, size, volumes, seed):
    n = len(generator.phases)
    counts = sum(np.bincount(generator.sample(size, seed=seed + i).labels.ravel(), minlength=n) for i in range(volumes))
    return counts / counts.sum()
