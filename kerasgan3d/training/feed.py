"""What a training step consumes: real data, latents, and every other random choice."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasgan3d.sampling.field import LatentField
from kerasgan3d.seeds import STEP, TRAINING


class Feed:
    """Training steps as plain arrays, each a pure function of (seed, step).

    Latents are windows, side by side, of the latent field from which volumes will be sampled. Nothing is drawn by the
    neural-network library: every backend, and every number of devices, trains on the same numbers.

    Args:
        sampler: What gives real data: ``batch(step)``, a tuple of uint8 arrays (count, ...), one per critic.
        latents: Shape of a volume's latents: (z, y, x, channels).
        lots: For each critic, how many arrays of ``batch`` times some slices (or of ``batch`` volumes) lie one after
            another in its data: the axes of its group, or 1.
        batch: Generated volumes per update.
        slices: Slices per axis and volume.
        crop: Edge length of a volume in voxels.
        critic_updates, generator_updates: Updates of either per step.
        seed: Non-negative int.
        volume_crop: Edge length of the sub-volumes that a critic sees beside critics of slices; 0 for none.
    """

    def __init__(
        self,
        sampler: Any,
        latents: Sequence[int],
        lots: Sequence[int],
        batch: int,
        slices: int,
        crop: int,
        critic_updates: int = 1,
        generator_updates: int = 1,
        seed: int = 0,
        volume_crop: int = 0,
    ) -> None:
        self.sampler, self.latents, self.lots, self.crop = sampler, tuple(latents), tuple(lots), crop
        self.volumes, self.slices, self.seed = batch, slices, seed
        self.critic_updates, self.generator_updates = critic_updates, generator_updates
        self.volume_crop = volume_crop
        self._field = LatentField(TRAINING + seed, latents[-1])

    def batch(self, step: int) -> dict[str, Any]:
        """The arrays of a step.

        Returns:
            dict: "reals", a tuple with one uint8 array (critic updates, count, ...) per critic; "mix", likewise
            (critic updates, count), float32 in [0, 1): where between real and generated data a gradient is penalised;
            "latents" (passes, batch, z, y, x, channels), float32; "picks" (passes, 3, slices), int32: the slices that
            critics see, per axis; with a ``volume_crop`` also "corners" (passes, 3), int32: where it begins. Passes are
            those of the generator: critic and generator share one.
        """
        drawn = [self.sampler.batch(step * self.critic_updates + i) for i in range(self.critic_updates)]
        reals = tuple(np.stack(parts) for parts in zip(*drawn, strict=True))
        passes = self.critic_updates - 1 + self.generator_updates
        depth, rows, columns, channels = self.latents
        count = passes * self.volumes * depth
        latents = self._field.window((step * count, 0, 0), (count, rows, columns))
        rng = np.random.default_rng([self.seed, step, STEP])
        result = {
            "reals": reals,
            "latents": latents.reshape(passes, self.volumes, depth, rows, columns, channels),
            "picks": rng.integers(0, self.crop, (passes, 3, self.slices)).astype("int32"),
            "mix": tuple(rng.random(real.shape[:2], dtype="float32") for real in reals),
        }
        if self.volume_crop:
            result["corners"] = rng.integers(0, self.crop - self.volume_crop + 1, (passes, 3)).astype("int32")
        return result

    def parts(self, step: int, count: int) -> list[dict[str, Any]]:
        """The arrays of a step, shared among devices: a list of ``count``, each with its part of the volumes."""
        whole, share = self.batch(step), self.volumes // count
        return [self._part(whole, slice(i * share, (i + 1) * share)) for i in range(count)]

    def _part(self, whole, volumes):
        def cut(values, lots):
            lying = values.reshape(len(values), lots, self.volumes, -1, *values.shape[2:])[:, :, volumes]
            return lying.reshape(len(values), -1, *values.shape[2:])

        return {
            **whole,
            "latents": whole["latents"][:, volumes],
            **{key: tuple(map(cut, whole[key], self.lots)) for key in ("reals", "mix")},
        }
