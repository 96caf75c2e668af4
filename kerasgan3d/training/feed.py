"""Input of a training step: real data, latents, conditions, and every other random choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgan3d.models import Generator
from kerasgan3d.seeds import STEP, TRAINING

_CONTRASTS = 0.35  # share of volumes whose conditions form a wide contrast
_STEPS = 2**24  # seeds of a run, one per volume


class Feed:
    """Training steps as plain arrays, each a pure function of (seed, step).

    The neural-network library draws no random numbers here: every backend, and every number of devices, trains on the
    same ones.

    Args:
        reals: Sampler of real data: ``batch(step)`` is a tuple of uint8 arrays (count, ..., phases), one per critic.
        generator: The Generator.
        size: Edge length of a volume in voxels.
        batch: Volumes per pass of the generator.
        updates: Updates of the critics and of the generator per step.
        mix: Whether gradients are penalised between real and generated data.
        seed: Non-negative int.

    Raises:
        ValueError: if the size is not a multiple of the generator's stride.
    """

    def __init__(
        self,
        reals: Any,
        generator: Generator,
        size: int,
        batch: int = 1,
        updates: tuple[int, int] = (1, 1),
        mix: bool = False,
        seed: int = 0,
    ) -> None:
        if size % generator.stride:
            raise ValueError(f"`size` must be a multiple of the stride, {generator.stride} voxels. Received: {size}.")
        self.reals, self.generator, self.size, self.volumes = reals, generator, size, batch
        self.updates, self.mix, self.seed = updates, mix, seed

    def batch(self, step: int) -> dict[str, Any]:
        """Return the arrays of a step.

        Returns:
            dict: "reals", a tuple with one uint8 array (critic updates, count, ..., phases) per critic; "mix", likewise
            (critic updates, count), float32 in [0, 1), or empty; "latents" (passes, batch, z, y, x, channels), float32,
            with the conditions last; "shifts" (passes, 3), int32: voxels by which volumes are rolled before critics see
            them. Passes are those of the generator; critics and generator share one of them.
        """
        critics, generators = self.updates
        drawn = [self.reals.batch(step * critics + i) for i in range(critics)]
        reals = tuple(np.stack(parts) for parts in zip(*drawn, strict=True))
        passes = critics - 1 + generators
        rng = np.random.default_rng([self.seed, step, STEP])
        first = step * passes * self.volumes
        latents = np.stack([self._latents(first + i, rng) for i in range(passes * self.volumes)])
        return {
            "reals": reals,
            "latents": latents.reshape(passes, self.volumes, *latents.shape[1:]),
            "shifts": rng.integers(0, self.size, (passes, 3)).astype("int32"),
            "mix": tuple(rng.random(real.shape[:2], dtype="float32") for real in reals) if self.mix else (),
        }

    def parts(self, step: int, count: int) -> list[dict[str, Any]]:
        """Return the arrays of a step, divided among devices: a list of ``count``, each with its part of the volumes.

        The critics' views of generated volumes are ordered by position, and at each position by volume. Real data are
        divided likewise, so that real and generated data form the same pairs with any number of devices.
        """
        whole = self.batch(step)

        def part(values, i):
            lying = values.reshape(len(values), -1, count, self.volumes // count, *values.shape[2:])[:, :, i]
            return lying.reshape(len(values), -1, *values.shape[2:])

        return [
            {
                **whole,
                "latents": part(whole["latents"], i),
                **{key: tuple(part(values, i) for values in whole[key]) for key in ("reals", "mix")},
            }
            for i in range(count)
        ]

    def _latents(self, number, rng):
        """Return periodic latents, and conditions of mean 0: a volume's own statistics would hide another mean."""
        cells = (self.size // self.generator.stride,) * 3
        field = self.generator.field(TRAINING + self.seed * _STEPS + number)
        latents, conditions = field.window((0, 0, 0), cells, cells), self.generator.conditions
        if conditions is not None:
            y = latents[..., self.generator.latent_channels :]
            if rng.random() < _CONTRASTS:
                y[...] = rng.random() * 0.5 * y + _contrast(cells, conditions, rng)
            y -= y.mean((0, 1, 2))
        return latents


def _contrast(cells, conditions, rng):
    """Return wide regions of larger and smaller fractions along one axis, like those that steering requests."""
    wave = np.cos(2 * np.pi * (np.arange(cells[0]) / cells[0] + rng.random()))
    if rng.random() < 0.6:
        wave = np.clip(2.5 * wave, -1, 1)
    wave = np.moveaxis(np.broadcast_to(wave[:, None, None], cells), 0, rng.integers(3))
    ends = np.array(conditions.root) @ rng.standard_normal(conditions.n_phases) * (0.7 + 0.8 * rng.random())
    return (wave[..., np.newaxis] * ends).astype("float32")
