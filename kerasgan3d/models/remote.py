"""A generator in pieces that can be sent to other processes, which put it together once."""

import hashlib
import threading

import numpy as np

_MADE = {}  # by digest: what this process has put together
_LOCK = threading.Lock()


def pieces(generator):
    """The digest of a generator's network and weights, its configuration, and its weights: plain data."""
    return digest(generator), generator.get_config(), generator.get_weights()


def digest(generator):
    """The sha256 of what a generator's labels depend on."""
    total = hashlib.sha256(f"{generator.upsampling} {generator.widths}".encode())
    for weight in generator._folded_weights():
        total.update(np.ascontiguousarray(weight, "<f8"))
    return total.hexdigest()


def labels_of(found, plan, seed):
    """The labels of a window, uint8 (z, y, x), by the generator of these `pieces`."""
    key, config, weights = found
    with _LOCK:
        if key not in _MADE:
            from kerasgan3d.models.generator import Generator

            generator = Generator.from_config(config)
            generator.set_weights(weights)
            _MADE.clear()
            _MADE[key] = generator
        generator = _MADE[key]
    return generator._generate(plan, seed, None, labels=True)
