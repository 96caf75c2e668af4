"""The generator that a run starts from, and how the phases of another material take over its weights."""

import hashlib
from functools import cached_property

import numpy as np
from keras import ops
from scipy.optimize import linear_sum_assignment

from kerasgan3d.layers import TransposedConv3D
from kerasgan3d.material.statistics import structuring_length
from kerasgan3d.models import Generator
from kerasgan3d.models.calibrate import calibrate
from kerasgan3d.seeds import PRETRAINED

# The volumes by which a generator is known before training: seeds that nothing else looks at.
_SAMPLES = {"count": 4, "seed": PRETRAINED}
# Of another material volume fractions may be far off: biases may move far, but since that roughens surfaces no farther
# than until the fractions of some volumes are near the data's. Training does the rest.
_BIASES = {"limit": 8.0, "tolerance": 0.05, "volumes": 8}
# The lead, in logits, that the likeliest of the phases begins with: with three, its probability is 0.96. A trained last
# layer is ten times as sure, and where the softmax is that sure of a phase, no gradient reaches what is before it.
_LEAD = 4.0


class Pretrained:
    """A generator that training starts from.

    Args:
        generator: A Generator with batch normalisation; not changed.
        size: Edge length in voxels of the sub-volumes that it will be trained on.

    Attributes:
        generator: The same with padding "valid".

    Raises:
        ValueError: if it is no Generator, or its batch normalisation was folded.
    """

    def __init__(self, generator, size):
        if not isinstance(generator, Generator):
            raise ValueError(f"`pretrained` must be a Generator. Received: {type(generator).__name__}.")
        if generator.normalization != "batch":
            raise ValueError(
                "`pretrained` must have normalization 'batch', which training needs. Received: "
                f"{generator.normalization!r}. Take the generator that was folded."
            )
        self.generator, self._size = generator.with_padding("valid"), int(size)

    @cached_property
    def samples(self):
        """Some of its volumes: a list of labels (z, y, x)."""
        seeds = range(_SAMPLES["seed"], _SAMPLES["seed"] + _SAMPLES["count"])
        return [self.generator.sample(self._size, seed=seed).labels for seed in seeds]

    @property
    def fractions(self):
        """Its volume fractions: (phases,)."""
        n = len(self.generator.phases)
        counts = np.sum([np.bincount(sample.ravel(), minlength=n) for sample in self.samples], axis=0)
        return counts / counts.sum()

    @property
    def structuring_length(self):
        """Length of its largest structuring element in voxels, see ``kerasgan3d.material.statistics``."""
        return structuring_length(self.samples, len(self.generator.phases))

    def counterparts(self, phases, fractions):
        """Which of its phases each phase of another material takes the place of.

        Phases of the same name, whatever its case; of the rest those whose volume fractions are closest, in all, while
        there are any: in a trained last layer each kernel is sure of its own regions, and it is faster to learn other
        shapes than to become sure.

        Args:
            phases: Names of the other material's phases.
            fractions: Their volume fractions.

        Returns:
            list with the place of a phase of the generator for each, or None.
        """
        old = [name.casefold() for name in self.generator.phases]
        found = [old.index(name.casefold()) if name.casefold() in old else None for name in phases]
        # Two names may differ in case alone: the first of them keeps the phase.
        found = [j if j not in found[:i] else None for i, j in enumerate(found)]
        open_, left = [i for i, j in enumerate(found) if j is None], [j for j in range(len(old)) if j not in found]
        if open_ and left:
            differences = np.abs(np.asarray(fractions)[open_][:, None] - self.fractions[left])
            for i, j in zip(*linear_sum_assignment(differences), strict=True):
                found[open_[i]] = left[j]
        return found

    def start(self, phases, voxel_size, fractions, *, conditions=None, seed=0):
        """A generator of another material's phases to begin training with.

        All weights are the pretrained ones, but in the last layer. There phases have the kernels of their counterparts;
        those without one are drawn around the mean of the old kernels, as far from it as these are, so that they soon
        have regions of their own. The last layer is scaled down until its softmax is unsure enough to learn, which
        changes no label. Where volume fractions are far from the data's, biases are moved towards these.

        Args:
            phases: Names of the phases.
            voxel_size: µm, or None.
            fractions: Volume fractions of the data, (phases,).
            conditions: What it is told of the data, where the pretrained one is told local fractions; else None.
            seed: Non-negative int, for kernels that are drawn.

        Returns:
            Generator.
        """
        told = None if conditions is None else conditions.to_json()
        new = remade(self.generator, phases=list(phases), voxel_size=voxel_size, conditions=told)
        chosen, rng = self.counterparts(phases, fractions), np.random.default_rng([seed, 0])
        mine, theirs = _inner(new), _inner(self.generator)
        if told is not None:  # the first kernel has inputs for the phases, after those for the latents
            first, at = mine.pop(0), self.generator.latent_channels
            kernel = theirs.pop(0).kernel.numpy()
            by_phase = _taken_over(kernel[..., at:, :], chosen, -2, None)
            first.kernel.assign(np.concatenate([kernel[..., :at, :], by_phase], axis=-2))
        for layer, other in zip(mine, theirs, strict=True):
            layer.set_weights(other.get_weights())
        last, old = new.convolutions[-1], self.generator.convolutions[-1]
        axis = -2 if isinstance(last, TransposedConv3D) else -1
        last.kernel.assign(_taken_over(old.kernel.numpy(), chosen, axis, rng))
        if last.bias is not None:
            last.bias.assign(_taken_over(old.bias.numpy(), chosen, 0, None))
        scale = min(1.0, _LEAD / max(median_lead(new, self._size), 1e-6))
        for weight in last.trainable_variables:
            weight.assign(weight.numpy() * scale)
        if new.output_bias:
            calibrate(new, fractions, size=self._size, **_BIASES)
        return new

    def facts(self, phases, fractions):
        """What it was and who takes the place of whom, for JSON.

        Args:
            phases, fractions: Of the other material.

        Returns:
            dict: "name", "repo", "revision", "sha256" (of the weights' file), "citation" and "licence" as far as
            known; "digest", the sha256 of the weights themselves; "phases", "voxel_size"; "counterparts", name to old
            name or None.
        """
        card, old = self.generator.card, self.generator.phases
        known = ("name", "repo", "revision", "sha256", "citation", "licence")
        digest = hashlib.sha256()
        for weight in self.generator.get_weights():
            digest.update(np.ascontiguousarray(weight, "<f4").data)
        return {
            **{key: card[key] for key in known if isinstance(card.get(key), str)},
            "digest": digest.hexdigest(),
            "phases": list(old),
            "voxel_size": self.generator.voxel_size,
            "counterparts": {
                name: None if j is None else old[j]
                for name, j in zip(phases, self.counterparts(phases, fractions), strict=True)
            },
        }


def remade(generator, **changes):
    """A Generator with the same settings, or other ones, made in the current precision; its weights are new."""
    config = {key: value for key, value in generator.get_config().items() if key not in ("name", "dtype", "trainable")}
    return Generator.from_config({**config, **changes})


def median_lead(generator, size):
    """How far the likeliest phase is ahead of the next, in logits: median over a volume of ``size`` voxels a side."""
    edge = generator.latents_for(size)
    latents = generator.field(_SAMPLES["seed"]).window((0, 0, 0), (edge,) * 3)[np.newaxis]
    logits = np.sort(np.asarray(ops.convert_to_numpy(generator.logits(latents)), "float64"), axis=-1)
    return float(np.median(logits[..., -1] - logits[..., -2]))


def _inner(generator):
    """All layers with weights but the last."""
    return [
        *generator.convolutions[:-1],
        *generator.normalizations,
        *generator.residual_convolutions,
        *generator.residual_normalizations,
    ]


def _taken_over(old, chosen, axis, rng):
    """Weights of the new phases along an axis: the old ones, or drawn (their mean, where there is no generator)."""
    old = np.moveaxis(old, axis, -1)
    mean, deviation = old.mean(-1), old.std(-1)

    def fresh():
        return mean if rng is None else mean + deviation * rng.normal(size=mean.shape)

    columns = [fresh() if j is None else old[..., j] for j in chosen]
    return np.moveaxis(np.stack(columns, axis=-1), -1, axis).astype("float32")
