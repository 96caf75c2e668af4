"""What a training step consumes: real data, latents, conditions, and every other random choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgan3d.models import Generator
from kerasgan3d.seeds import STEP, TRAINING

_CONTRASTS = 0.35  # the share of volumes whose conditions are a wide contrast
_STEPS = 2**24  # seeds of a run, each of one volume


class Feed:
    """Training steps as plain arrays, each a pure function of (seed, step).

    Nothing is drawn by the neural-network library: every backend, and every number of devices, trains on the same
    numbers.

    Args:
        reals: What gives real data: ``batch(step)``, a tuple of uint8 arrays (count, ..., phases), one per critic.
        generator: The Generator.
        size: Edge length of a volume in voxels.
        batch: Volumes per pass of the generator.
        updates: Updates of the critics and of the generator per step.
        mix: Whether gradients are penalised between real and generated data.
        seed: Non-negative int.

    Raises:
        ValueError: if the size is no multiple of the generator's stride.
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
            (critic updates, count), float32 in [0, 1), or nothing; "latents" (passes, batch, z, y, x, channels),
            float32, the conditions last; "shifts" (passes, 3), int32: by how much volumes are rolled before critics see
            them. Passes are those of the generator: critics and generator share one.
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
        """Return the arrays of a step, shared among devices: a list of ``count``, each with its part of the volumes.

        What critics see of generated volumes lies place by place, and of each place volume by volume. Real data are
        shared likewise, so that whatever the devices, real and generated data meet in the same pairs.
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
        """The latents of a periodic volume, and conditions of mean 0: the volume's own statistics would hide a mean."""
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
    """Wide regions of more and of less, along one axis: what steering asks for."""
    wave = np.cos(2 * np.pi * (np.arange(cells[0]) / cells[0] + rng.random()))
    if rng.random() < 0.6:
        wave = np.clip(2.5 * wave, -1, 1)
    wave = np.moveaxis(np.broadcast_to(wave[:, None, None], cells), 0, rng.integers(3))
    ends = np.array(conditions.root) @ rng.standard_normal(conditions.n_phases) * (0.7 + 0.8 * rng.random())
    return (wave[..., np.newaxis] * ends).astype("float32")
