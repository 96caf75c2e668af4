"""Pretrained generators that a run starts from, and the mapping of their phases to those of another material."""

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

# Volumes from which a generator is measured before training: seeds that nothing else uses.
_SAMPLES = {"count": 4, "seed": PRETRAINED}
# Volume fractions of another material may be far off: biases may shift far, but since that roughens surfaces, only
# until the fractions of some volumes are near the data's. Training does the rest.
_BIASES = {"limit": 8.0, "tolerance": 0.05, "volumes": 8}
# The initial lead, in logits, of the most probable of the phases: with three phases, its probability is 0.96. The lead
# of a trained last layer is ten times as large, and where the softmax saturates, no gradient reaches earlier layers.
_LEAD = 4.0


class Pretrained:
    """A generator that training starts from.

    Args:
        generator: A Generator with batch normalisation; not changed.
        size: Edge length in voxels of the sub-volumes that it will be trained on.

    Attributes:
        generator: The generator with padding "valid".

    Raises:
        ValueError: if it is not a Generator, or its batch normalisation was folded.
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
        """Sampled volumes: a list of labels (z, y, x)."""
        seeds = range(_SAMPLES["seed"], _SAMPLES["seed"] + _SAMPLES["count"])
        return [self.generator.sample(self._size, seed=seed).labels for seed in seeds]

    @property
    def fractions(self):
        """Volume fractions of the sampled volumes: (phases,)."""
        n = len(self.generator.phases)
        counts = np.sum([np.bincount(sample.ravel(), minlength=n) for sample in self.samples], axis=0)
        return counts / counts.sum()

    @property
    def structuring_length(self):
        """Length of the largest structuring element in voxels, see ``kerasgan3d.material.statistics``."""
        return structuring_length(self.samples, len(self.generator.phases))

    def counterparts(self, phases, fractions):
        """Match each phase of another material to the phase of the generator that it replaces.

        Phases of the same name match, ignoring case; the remaining ones are assigned so that their volume fractions
        are closest overall: a trained last layer already separates its phases, and it is faster to learn other shapes
        than to learn such a separation.

        Args:
            phases: Names of the other material's phases.
            fractions: Their volume fractions.

        Returns:
            list with the index of a phase of the generator for each, or None.
        """
        old = [name.casefold() for name in self.generator.phases]
        found = [old.index(name.casefold()) if name.casefold() in old else None for name in phases]
        # Where two names differ only in case, the first keeps the phase.
        found = [j if j not in found[:i] else None for i, j in enumerate(found)]
        open_, left = [i for i, j in enumerate(found) if j is None], [j for j in range(len(old)) if j not in found]
        if open_ and left:
            differences = np.abs(np.asarray(fractions)[open_][:, None] - self.fractions[left])
            for i, j in zip(*linear_sum_assignment(differences), strict=True):
                found[open_[i]] = left[j]
        return found

    def start(self, phases, voxel_size, fractions, *, conditions=None, seed=0):
        """Return a generator with another material's phases, to start training from.

        All weights except those of the last layer are the pretrained ones. In the last layer, phases take the kernels
        of their counterparts; kernels of phases without one are drawn around the mean of the old kernels, with the same
        spread, so that they soon form regions of their own. The last layer is scaled down until its softmax no longer
        saturates, which changes no label. Where volume fractions are far from the data's, biases are shifted towards
        these.

        Args:
            phases: Names of the phases.
            voxel_size: Edge of a voxel in µm, or None.
            fractions: Volume fractions of the data, (phases,).
            conditions: Conditions of the data, where the pretrained generator is conditional; None otherwise.
            seed: Non-negative int, for kernels that are drawn.

        Returns:
            Generator.
        """
        told = None if conditions is None else conditions.to_json()
        new = remade(self.generator, phases=list(phases), voxel_size=voxel_size, conditions=told)
        chosen, rng = self.counterparts(phases, fractions), np.random.default_rng([seed, 0])
        mine, theirs = _inner(new), _inner(self.generator)
        if told is not None:  # inputs for the phases follow those for the latents
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
        """Return the origin of the generator and its phases' counterparts, for JSON.

        Args:
            phases, fractions: Phases and volume fractions of the other material.

        Returns:
            dict: "name", "repo", "revision", "sha256" (of the weights' file), "citation" and "licence" where known;
            "digest", the sha256 of the weights themselves; "phases", "voxel_size"; "counterparts", a dict from each
            name to the old name or None.
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
    """Return a Generator with the same settings except for ``changes``, in the current precision, with new weights."""
    config = {key: value for key, value in generator.get_config().items() if key not in ("name", "dtype", "trainable")}
    return Generator.from_config({**config, **changes})


def median_lead(generator, size):
    """Return the lead of the most probable phase over the next, in logits: median over ``size`` voxels per side."""
    edge = generator.latents_for(size)
    latents = generator.field(_SAMPLES["seed"]).window((0, 0, 0), (edge,) * 3)[np.newaxis]
    logits = np.sort(np.asarray(ops.convert_to_numpy(generator.logits(latents)), "float64"), axis=-1)
    return float(np.median(logits[..., -1] - logits[..., -2]))


def _inner(generator):
    """Return all layers with weights except the last."""
    return [
        *generator.convolutions[:-1],
        *generator.normalizations,
        *generator.residual_convolutions,
        *generator.residual_normalizations,
    ]


def _taken_over(old, chosen, axis, rng):
    """Return weights of the new phases along an axis: old ones, or drawn ones (without ``rng`` the old ones' mean)."""
    old = np.moveaxis(old, axis, -1)
    mean, deviation = old.mean(-1), old.std(-1)

    def fresh():
        return mean if rng is None else mean + deviation * rng.normal(size=mean.shape)

    columns = [fresh() if j is None else old[..., j] for j in chosen]
    return np.moveaxis(np.stack(columns, axis=-1), -1, axis).astype("float32")
