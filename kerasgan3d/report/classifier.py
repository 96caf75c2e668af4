"""Classifier two-sample test: can a network distinguish unseen real and generated samples?"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.seeds import CLASSIFIER_BATCHES, CLASSIFIER_SCORES, CLASSIFIER_WEIGHTS

_CROP = 64
_WIDTHS = (24, 48, 96)
_BATCH = 64
_STEPS = 500
_LEARNING_RATE = 2e-3


def classifier_score(
    train: Sequence[Sequence[ArrayLike]],
    test: Sequence[Sequence[ArrayLike]],
    n_phases: int,
    *,
    steps: int = _STEPS,
    seed: int = 0,
    independent: Sequence[int] | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, Any]:
    """Train a small network to distinguish generated from real samples, and score it on other samples.

    This is the test of Lopez-Paz and Oquab (Revisiting classifier two-sample tests, ICLR 2017): if both kinds follow
    the same distribution, no classifier performs better than chance, 0.5, on unseen samples. The network sees one slice
    at a time, of up to 64^2 voxels, normal to any of the axes, flipped at random: three convolutions of stride 2 and
    one more, and the mean over the slice.

    Args:
        train: Two lists of training samples, real and generated: arrays of labels, all (z, y, x) or all (y, x).
        test: Two such lists of test samples. None of them may overlap a training sample, or the score would measure
            memorisation.
        n_phases: Number of phases.
        steps: Training steps of 32 slices of each kind.
        seed: Non-negative int. Repeating a call on the same machine gives the same number.
        independent: How many of each list of `test` count as independent where they overlap each other: two numbers,
            for the standard error; default: all.
        progress: A function (steps done, total steps).

    Returns:
        dict: "score", the fraction of slices of the test samples that are classified correctly, with equal weight for
        real and generated; its "standard_error", from the scatter of the samples, since slices of one sample are not
        independent; "score_samples", the fraction of samples classified correctly by the mean over their slices;
        "train" and "test", the numbers of samples, real and generated; "steps".

    Raises:
        ValueError: If one of the lists is empty.
    """
    if any(len(samples) == 0 for pair in (train, test) for samples in pair):
        raise ValueError("`train` and `test` must hold real and generated samples. Received: an empty list.")
    learned, scored = ([_stacked(samples) for samples in pair] for pair in (train, test))
    rng = np.random.default_rng([seed, CLASSIFIER_BATCHES])
    model = _network(min(_CROP, *learned[0].shape[1:]), n_phases, steps, seed)
    truth = np.repeat([0.0, 1.0], _BATCH // 2).astype(np.float32)[:, None]
    for step in range(steps):
        slices = np.concatenate([_draw(samples, _BATCH // 2, rng) for samples in learned])
        model.train_on_batch(_one_hot(slices, n_phases), truth)
        if progress is not None:
            progress(step + 1, steps)
    shares, means = zip(
        *(_score(model, samples, n_phases, kind, seed) for kind, samples in enumerate(scored)), strict=True
    )
    counts = [len(share) for share in shares] if independent is None else independent
    variance = sum(
        share.var(ddof=1 if len(share) > 1 else 0) / count for share, count in zip(shares, counts, strict=True)
    )
    return {
        "score": float(np.mean([share.mean() for share in shares])),
        "standard_error": float(np.sqrt(variance) / 2),
        "score_samples": float(np.mean([mean.mean() for mean in means])),
        "train": [len(samples) for samples in learned],
        "test": [len(samples) for samples in scored],
        "steps": steps,
    }


def _network(size, phases, steps, seed):
    """Return the compiled network, from one-hot slices to the logit of being generated."""
    from kerasgan3d.quiet import import_keras

    import_keras()
    import keras

    seeds = iter(np.random.default_rng([seed, CLASSIFIER_WEIGHTS]).integers(2**31, size=len(_WIDTHS) + 2).tolist())

    def start():
        return keras.initializers.HeNormal(seed=next(seeds))

    # Regardless of Keras's settings, so that the score is that of the same network.
    own = {"dtype": "float32", "data_format": "channels_last"}
    layers = [keras.Input((size, size, phases), dtype="float32")]
    for width in _WIDTHS:
        layers.append(
            keras.layers.Conv2D(
                width, 4, strides=2, padding="same", activation="relu", kernel_initializer=start(), **own
            )
        )
    layers.append(
        keras.layers.Conv2D(_WIDTHS[-1], 3, padding="same", activation="relu", kernel_initializer=start(), **own)
    )
    layers.append(keras.layers.GlobalAveragePooling2D(**own))
    layers.append(keras.layers.Dense(1, kernel_initializer=start(), dtype="float32"))
    model = keras.Sequential(layers)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2), keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def _stacked(samples):
    """Return samples as one array, 2D slices as volumes of one slice."""
    samples = np.stack([np.asarray(sample) for sample in samples])
    return samples[:, None] if samples.ndim == 3 else samples


def _normals(samples):
    """Return the axes of the samples, counted from 1, that slices can be normal to."""
    return (1,) if samples.shape[1] == 1 else (1, 2, 3)


def _draw(samples, count, rng):
    """Return random slices, normal to any axis, cropped and flipped: (count, size, size)."""
    slices = []
    for index in rng.integers(len(samples), size=count):
        normal = int(rng.choice(_normals(samples)))
        volume = np.moveaxis(samples[index], normal - 1, 0)
        image = _cropped(volume[rng.integers(len(volume))], rng)
        slices.append(image[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))])
    return np.stack(slices)


def _cropped(image, rng):
    corner = [int(rng.integers(length - min(length, _CROP) + 1)) for length in image.shape]
    return image[tuple(slice(c, c + _CROP) for c in corner)]


def _score(model, samples, phases, kind, seed, per_axis=8):
    """Return, for each sample, the fraction of its slices classified correctly, and whether their mean is."""
    rng = np.random.default_rng([seed, CLASSIFIER_SCORES + kind])
    shares, means = [], []
    for sample in samples:
        slices = []
        for normal in _normals(samples):
            volume = np.moveaxis(sample, normal - 1, 0)
            places = np.unique(np.linspace(0, len(volume) - 1, per_axis).round().astype(int))
            slices += [_cropped(volume[place], rng) for place in places]
        logits = np.asarray(model.predict_on_batch(_one_hot(np.stack(slices), phases)))[:, 0]
        # A logit of exactly zero counts as a coin toss.
        shares.append(np.where(logits == 0, 0.5, (logits > 0) == bool(kind)).mean())
        means.append(0.5 if logits.mean() == 0 else float((logits.mean() > 0) == bool(kind)))
    return np.array(shares), np.array(means)


def _one_hot(slices, phases):
    return np.eye(phases, dtype=np.float32)[slices]
