"""Initial weights."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def drawn(network: Any, seed: int | Sequence[int], initializer: Any = None) -> Any:
    """Redraw the kernels of a network with NumPy from their initialisers, and return the network.

    Initial weights then depend on the seed alone and are the same on every backend.

    Args:
        network: A built network.
        seed: Non-negative int, or a sequence of them.
        initializer: Initialiser of the kernels; each layer's own if None.

    Raises:
        ValueError: if an initialiser is not a normal, uniform or variance-scaling one.
    """
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    for i, layer in enumerate(layers):
        rng = np.random.default_rng([*np.atleast_1d(seed), i])
        chosen = layer.kernel_initializer if initializer is None else keras.initializers.get(initializer)
        layer.kernel.assign(_values(rng, chosen, tuple(layer.kernel.shape)))
    return network


def _values(rng, initializer, shape):
    """Draw initial values, float32."""
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
    """Draw standard normal numbers truncated to the range from -2 to 2."""
    values = rng.normal(size=shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.normal(size=int(outside.sum()))
    return values
