"""Calibration of the output biases to known volume fractions."""

import numpy as np
from keras import ops


def calibrate(generator, fractions, *, size=128, volumes=8, iterations=50, seed=2**32):
    """Move the biases of the last layer until the labels of sampled volumes have the given volume fractions.

    A bias on a phase's logit makes its regions swell or shrink a little everywhere. It multiplies the probabilities by
    a factor per phase, so that volumes are sampled once and the factors are found on their probabilities: each
    iteration multiplies them by wanted over found. A factor that all phases share means nothing and is left out.

    Args:
        generator: A Generator with ``output_bias``; changed in place.
        fractions: Volume fractions to reach, (phases,).
        size: Edge length of the sampled volumes in voxels.
        volumes: How many of them.
        iterations: How often to correct.
        seed: Seed of the first; above all seeds that ``sample`` draws by itself, so that calibration and use differ.

    Returns:
        dict: "before" and "after", the fractions of the sampled volumes, and "shift", what was added to the biases,
        (phases,).

    Raises:
        ValueError: if the generator has no output bias.
    """
    if not generator.output_bias:
        raise ValueError("calibration needs a generator with `output_bias`. Received: one without.")
    # Neighbouring voxels know much the same: one in eight is enough.
    thin = (slice(None, None, 2),) * 3
    probabilities = np.concatenate(
        [generator.sample_probabilities(size, seed=seed + i)[thin].reshape(-1, len(fractions)) for i in range(volumes)]
    )
    wanted, factors = np.asarray(fractions, "float64"), np.ones(len(fractions))
    before, best = _shares(probabilities, factors), None
    for _ in range(iterations):
        found = _shares(probabilities, factors)
        error = np.abs(found - wanted).max()
        if best is None or error < best[0]:
            best = (error, factors, found)
        factors = factors * np.maximum(wanted, 1e-4) / np.maximum(found, 1e-4)
    _, factors, after = best
    shift = np.log(factors) - np.log(factors).mean()
    bias = generator.convolutions[-1].bias
    bias.assign((ops.convert_to_numpy(bias) + shift).astype("float32"))
    return {"before": before.tolist(), "after": after.tolist(), "shift": shift.tolist()}


def _shares(probabilities, factors):
    """Shares of the phases among the likeliest, once the probabilities are multiplied by factors."""
    labels = (probabilities * factors.astype(probabilities.dtype)).argmax(-1)
    return np.bincount(labels, minlength=len(factors)) / len(labels)
