"""The mean of what a generator is made of, moved: one shift of all latents, which is a constant of its first layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasgan3d.models.generator import Generator


class Shifted:
    """A copy of a generator whose noise has another mean.

    The noise is z, the latents, and e, the white noise that local fractions y = root (w * e) are drawn from where the
    generator is told them: normal with mean 0. With mean m instead, a lattice point has |m|^2 / 2 more information (the
    Kullback-Leibler divergence of the two normal distributions).

    - z + m adds W m to what the first convolution makes, W the sum of its kernel over all taps. That is a constant of
      the normalisation that follows. It goes into its beta, not into the moving mean, from which statistics that are
      measured anew would take it away; of a folded generator into the bias.
    - e + m adds root (sum of taps) m to y. That goes into the shift of the `Conditions`, so that what is drawn moves
      while what is wished is told to the network as before.

    So the sampler knows nothing of it: the copy is a generator like any other.

    Args:
        source: The Generator; not changed.

    Attributes:
        generator: The copy, with padding "circular".
        channels: How many numbers m has: the channels of z and of e.
        inputs: (channels, channels): what the network's inputs move by is ``inputs @ m``.
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
        """Give the noise the mean m, (channels,)."""
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
        fractions: (phases,), the mean volume fractions of its volumes, about which wishes are understood from then on;
            None leaves those of the source. Only for a generator that is told local fractions.
    """
    there = Shifted(source)
    there.move(m)
    found = there.generator.with_padding(source.padding)
    if found.conditions is None or fractions is None:
        return found
    mean = np.maximum(fractions, 1e-6)  # of a phase that is nowhere
    return found.with_conditions(replace(found.conditions, mean=tuple((mean / mean.sum()).tolist())))
