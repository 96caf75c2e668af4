"""Calibration of the output biases to known volume fractions."""

import numpy as np

from kerasgan3d.seeds import CALIBRATION


def calibrate(generator, fractions, *, size=192, volumes=32, limit=0.5, tolerance=0.0, iterations=60, seed=CALIBRATION):
    """Shift the biases of the last layer until the labels of sampled volumes have the given volume fractions.

    A bias on a phase's logit makes its regions grow or shrink slightly everywhere. Since it only adds to the logarithm
    of the phase's probability, volumes are sampled once and the shift is found from their probabilities: each iteration
    adds a multiple of log(wanted / found), which grows while the error falls and is halved when it rises.

    Where a generator's probabilities are close to 0 and 1, only large shifts change its volume fractions, and these
    roughen its surfaces: ``limit`` bounds the shift, and so the fractions that can be reached.

    Args:
        generator: A Generator with ``output_bias``; changed in place.
        fractions: Volume fractions to reach, (phases,).
        size: Edge length of the sampled volumes in voxels.
        volumes: Number of sampled volumes.
        limit: The largest shift of a bias, in units of logits.
        tolerance: Largest error of a fraction at which shifting stops.
        iterations: Number of corrections.
        seed: Seed of the first volume; above all seeds that ``sample`` draws, so that calibration and use differ.

    Returns:
        dict: "before" and "after", the fractions of the sampled volumes, and "shift", the change of the biases, each
        (phases,).

    Raises:
        ValueError: if the generator has no output bias.
    """
    if not generator.output_bias:
        raise ValueError("calibration needs a generator with `output_bias`. Received: one without.")
    # Neighbouring voxels are strongly correlated: one in eight is enough.
    thin = (slice(None, None, 2),) * 3
    logits = np.concatenate(
        [
            np.log(np.maximum(generator.sample_probabilities(size, seed=seed + i)[thin], 1e-30)).reshape(
                -1, len(fractions)
            )
            for i in range(volumes)
        ]
    )
    wanted = np.maximum(np.asarray(fractions, "float64"), 1e-4)
    shift, rate, last = np.zeros(len(wanted)), 1.0, np.inf
    before = _shares(logits, shift)
    best = (np.inf, shift, before)
    for _ in range(iterations):
        found = _shares(logits, shift)
        error = np.abs(found - wanted).max()
        if error < best[0]:
            best = (error, shift, found)
        if error <= tolerance:
            break
        rate, last = (rate / 2 if error > last else 1.3 * rate), error
        shift = shift + rate * np.log(wanted / np.maximum(found, 1e-4))
        shift = np.clip(shift - shift.mean(), -limit, limit)
    _, shift, after = best
    bias = generator.convolutions[-1].bias
    bias.assign((bias.numpy() + shift).astype("float32"))
    return {"before": before.tolist(), "after": after.tolist(), "shift": shift.tolist()}


def _shares(logits, shift):
    """Return the fractions of the most probable phases, once the logits are shifted."""
    labels = (logits + shift.astype(logits.dtype)).argmax(-1)
    return np.bincount(labels, minlength=len(shift)) / len(labels)
