"""Generators whose noise has another mean: one shift of all latents, stored as a constant of the first layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasgan3d.models.generator import Generator


class Shifted:
    """A copy of a generator whose noise has another mean.

    The noise is z, the latents, and for a conditional generator e, the white noise of its local fractions
    y = root (w * e): normal with mean 0. With mean m instead, the Kullback-Leibler divergence of the two normal
    distributions is |m|^2 / 2 per lattice point.

    - z + m adds W m to the output of the first convolution, where W is the sum of its kernel over all taps. This
      constant is added to the beta of the normalisation that follows, not to its moving mean, from which it would
      disappear when the statistics are recomputed; in a folded generator it is added to the bias.
    - e + m adds root (sum of taps) m to y. This is added to the shift of the `Conditions`, so that random fractions
      move while requested ones stay as they are.

    The sampler needs no change: the copy is a generator like any other.

    Args:
        source: The Generator; not changed.

    Attributes:
        generator: The copy, with padding "circular".
        channels: Length of m: the channels of z and of e.
        inputs: (channels, channels): the network's inputs are shifted by ``inputs @ m``.
    """

    def __init__(self, source: Generator):
        self.generator = source.with_padding("circular")
        told, self.channels = source.conditions, source.input_channels
        unit, n = source.units[0], source.latent_channels
        self._conditions, self.inputs = told, np.eye(self.channels)
        if told is not None:
            self._response = np.array(told.root) * np.prod([sum(taps) for taps in told.taps])  # of y
            self.inputs[n:, n:] = self._response / np.array(told.gain)[:, np.newaxis]
        kernel = np.asarray(unit.convolution.kernel.numpy(), "float64").sum((0, 1, 2))
        kernel = kernel.T if source.upsampling == "transposed" else kernel
        norm = self.generator.units[0].normalization
        self._place = self.generator.units[0].convolution.bias if norm is None else norm.beta
        scale = 1.0 if norm is None else norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
        self._effect = (kernel[:n] * scale).T  # (out, latents)
        self._constant = self._place.numpy().astype("float64")

    def move(self, m: np.ndarray) -> None:
        """Set the mean of the noise to m, (channels,)."""
        latents, noise = np.split(np.asarray(m, "float64"), [self._effect.shape[1]])
        self._place.assign((self._constant + self._effect @ latents).astype("float32"))
        if self._conditions is not None:
            moved = np.array(self._conditions.shift) - np.array(self._conditions.deviation) * (self._response @ noise)
            self.generator.conditions = replace(self._conditions, shift=tuple(moved.tolist()))


def shifted(source: Generator, m: np.ndarray, fractions: np.ndarray | None = None) -> Generator:
    """Return a generator whose noise has the mean m, see `Shifted`.

    Args:
        source: The Generator; not changed.
        m: (channels,), the latents first.
        fractions: (phases,), the mean volume fractions of its volumes, which become the mean of the conditions; None
            keeps those of the source. Only for a conditional generator.
    """
    there = Shifted(source)
    there.move(m)
    found = there.generator.with_padding(source.padding)
    if found.conditions is None or fractions is None:
        return found
    mean = np.maximum(fractions, 1e-6)  # for an absent phase
    return found.with_conditions(replace(found.conditions, mean=tuple((mean / mean.sum()).tolist())))
