"""The generator: a fully convolutional network from a lattice of latents to phase probabilities."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Sequence
from functools import reduce
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from kerasgan3d.checks import check_integer, check_voxel_size
from kerasgan3d.folder import IDENTITY
from kerasgan3d.layers import PaddedConv3D, TransposedConv3D, UpsampleConv3D
from kerasgan3d.layers._padding import check_padding, crop
from kerasgan3d.models._model import Model
from kerasgan3d.models._process import check_process
from kerasgan3d.models._sampler import Sampler, stages
from kerasgan3d.models.architectures import (
    LIMITS,
    architecture,
    check_depths,
    check_one_of,
    check_phase_names,
    check_weights,
    check_widths,
    fresh_initializer,
)
from kerasgan3d.models.remote import Pieces
from kerasgan3d.models.sampling import SamplingMethods
from kerasgan3d.phases import PhaseMap
from kerasgan3d.sampling.conditions import ConditionedField, Conditions
from kerasgan3d.sampling.field import LatentField
from kerasgan3d.upward import upward


class Unit(NamedTuple):
    """A convolution of a generator with its normalisation and activation.

    Attributes:
        convolution: The layer.
        normalization: Its batch normalisation, or None.
        residual: Whether its input is added to its output.
        rectified: Whether ReLU follows.
        spare: Voxels at each face that no later layer needs, with padding "valid".
    """

    convolution: Any
    normalization: Any
    residual: bool
    rectified: bool
    spare: int

    def convolve(self, x: Any) -> Any:
        """Apply the convolution to ``x``: (batch, z, y, x, channels), without spare voxels."""
        y = self.convolution(x)
        return crop(y, self.spare) if self.convolution.padding == "valid" else y

    def finish(self, x: Any, y: Any, training: bool = False) -> Any:
        """Apply normalisation, residual connection and activation to ``y``, the result of ``convolve(x)``."""
        if self.normalization is not None:
            y = self.normalization(y, training=training)
        if self.residual:
            y = ops.add(y, crop(x, 1) if self.convolution.padding == "valid" else x)
        return ops.relu(y) if self.rectified else y


_SAMPLER_LOCK = threading.Lock()  # shared by all generators, since a generator with a lock could not be copied


@keras.saving.register_keras_serializable(package="kerasgan3d")
class Generator(SamplingMethods, Model):
    """Fully convolutional network that turns latents into a multi-phase microstructure of any size.

    A first convolution mixes neighbouring latents, and each further layer doubles the resolution, with batch
    normalisation and ReLU between them and a softmax over the phases at the end. Residual convolutions may follow a
    layer at its resolution: x becomes relu(x + normalization(convolution(x))). Away from boundaries the network is
    translation-equivariant: shifting the latents by one shifts the volume by ``stride`` voxels.

    Args:
        phases: Names of the phases, a PhaseMap, or their number.
        latent_channels: Channels of a latent voxel.
        widths: Channels after each layer but the last.
        upsampling: "resize" (a 3^3 convolution first, then up-sampling convolutions in their four-tap form) or
            "transposed" (4^3 transposed convolutions throughout, the first of stride 1, as in the paper).
        padding: Treatment of the faces of the latents, independent of the weights. "valid" drops every voxel that a
            boundary affects: t latents per axis give ``stride * (t - sum(margin))`` voxels. "circular" wraps: t
            latents give ``stride * t``. "zeros" pads with zeros as in the paper: ``stride * t`` ("resize") or
            ``stride * (t + 3)`` ("transposed"), with artefacts near the faces.
        normalization: "batch", or "folded" for a generator whose batch normalisation is part of its weights.
        output_bias: Whether the last layer adds a bias per phase.
        initializer: Initialiser of the kernels.
        voxel_size: Edge length of a voxel in µm, or None.
        depths: Number of residual 3^3 convolutions after each layer but the last, one number per width; () for none.
            They need upsampling="resize".
        conditions: Statistics of local volume fractions, a ``kerasgan3d.sampling.Conditions`` or the result of its
            ``to_json``, for a conditional generator, whose input has one more channel per phase besides the latents.
            None for an unconditional one.

    Input shape: (batch, z, y, x, input_channels). Output shape: (batch, z, y, x, phases), float32 probabilities.

    Raises:
        ValueError: if an argument is invalid.
    """

    def __init__(
        self,
        phases: int | PhaseMap | Sequence[str] = 3,
        latent_channels: int = 64,
        widths: Sequence[int] = (192, 96, 48, 24),
        upsampling: str = "resize",
        padding: str = "valid",
        normalization: str = "batch",
        output_bias: bool = True,
        initializer: Any = "he_normal",
        voxel_size: float | None = None,
        depths: Sequence[int] = (),
        conditions: Conditions | dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        check_process()
        super().__init__(**kwargs)
        self.phases = check_phase_names(phases)
        self.latent_channels = check_integer(latent_channels, "latent_channels", 1, LIMITS["latent_channels"])
        self.widths = check_widths(widths)
        self.upsampling = check_one_of(upsampling, "upsampling", ("resize", "transposed"))
        self.padding = check_padding(padding)
        self.normalization = check_one_of(normalization, "normalization", ("batch", "folded"))
        self.output_bias = bool(check_one_of(output_bias, "output_bias", (True, False)))
        self.initializer = keras.initializers.get(initializer)
        self.voxel_size = check_voxel_size(voxel_size)
        self.depths = check_depths(depths, self.widths, self.upsampling)
        self.conditions = conditions if isinstance(conditions, Conditions | None) else Conditions.from_json(conditions)
        if self.conditions is not None and self.conditions.n_phases != len(self.phases):
            raise ValueError(
                f"`conditions` must be of as many phases, {len(self.phases)}. Received: {self.conditions.n_phases}."
            )
        self.card: dict[str, Any] = {}
        self.preview: Path | None = None
        channels = (self.input_channels, *self.widths, len(self.phases))
        check_weights(channels, taps=27 if upsampling == "resize" else 64, depths=self.depths)

        folded = self.normalization == "folded"
        first, up = (PaddedConv3D, UpsampleConv3D) if upsampling == "resize" else (TransposedConv3D, TransposedConv3D)
        first_options = {"strides": 1} if upsampling == "transposed" else {}
        self.convolutions = []
        for i, filters in enumerate((*self.widths, len(self.phases))):
            last = i == len(self.widths)
            make, options = (first, first_options) if i == 0 else (up, {})
            self.convolutions.append(
                make(
                    filters,
                    padding=padding,
                    use_bias=self.output_bias if last else folded,
                    kernel_initializer=fresh_initializer(self.initializer),
                    dtype=self.dtype_policy,
                    name=f"convolution_{i}",
                    **options,
                )
            )
        self.normalizations = [
            self._normalization(f"normalization_{i}") for i in range(0 if folded else len(self.widths))
        ]
        # One flat list for all levels, since Keras does not save lists of lists.
        levels = [(i, j) for i, depth in enumerate(self.depths) for j in range(depth)]
        self.residual_convolutions = [
            PaddedConv3D(
                self.widths[i],
                padding=padding,
                use_bias=folded,
                kernel_initializer=fresh_initializer(self.initializer),
                dtype=self.dtype_policy,
                name=f"residual_convolution_{i}_{j}",
            )
            for i, j in levels
        ]
        self.residual_normalizations = [
            self._normalization(f"residual_normalization_{i}_{j}") for i, j in (() if folded else levels)
        ]
        self._sampler = None
        self.build((None, None, None, None, self.input_channels))

    @classmethod
    def from_architecture(cls, name: str, phases: int | PhaseMap | Sequence[str] = 3, **overrides: Any) -> Generator:
        """Make an untrained generator: "deep", "compact" (ours) or "paper" (Table 4 of Gayon-Lombardo 2020).

        Trained generators are presets, which ``kerasgan3d.load_generator`` loads.

        Args:
            name: "deep", "compact" or "paper".
            phases: Names of the phases, or their number.
            overrides: Any other argument of the class, such as ``padding="zeros"``.

        Raises:
            ValueError: if no architecture has that name.
        """
        return cls(phases=phases, **{**architecture(name), **overrides})

    @classmethod
    def from_preset(cls, name: str, phases: int | PhaseMap | Sequence[str] = 3, **overrides: Any) -> Generator:
        """Call ``from_architecture``, of which this is the deprecated name."""
        warnings.warn(
            "Generator.from_preset is now called Generator.from_architecture: what it makes is untrained.",
            DeprecationWarning,
            stacklevel=2,
        )
        return cls.from_architecture(name, phases, **overrides)

    def __repr__(self) -> str:
        size = f"voxels of {self.voxel_size:g} µm" if self.voxel_size else "voxels of unknown size"
        name = f"{self.card['name']!r}, " if "name" in self.card else ""
        return f"Generator({name}{'/'.join(self.phases)}, {size}, stride {self.stride}, padding {self.padding!r})"

    def _repr_html_(self) -> str:
        return upward("report.displays", "generator_html")(self)

    @property
    def stride(self) -> int:
        """Number of voxels per lattice step."""
        return 2 ** len(self.widths)

    @property
    def input_channels(self) -> int:
        """Channels of the network's input: those of the latents, and of local fractions if it is conditional."""
        return self.latent_channels + (0 if self.conditions is None else self.conditions.n_phases)

    @property
    def margin(self) -> tuple[int, int]:
        """Extra latents needed (before, after) a window along each axis, so that no boundary affects it."""
        if self.upsampling == "transposed":
            return (3, 2)
        latents = -(-self._reach // self.stride)
        return (latents, latents)

    @property
    def _depths(self) -> tuple[int, ...]:
        """Number of residual convolutions after each layer."""
        return (*(self.depths or (0,) * len(self.widths)), 0)

    @property
    def _reach(self) -> int:
        """Distance in voxels over which a latent's cell affects the output, with upsampling="resize"."""
        return sum((self.stride >> i) * (1 + depth) for i, depth in enumerate(self._depths))

    @property
    def bytes_per_voxel(self) -> float:
        """Estimate of the activations in bytes: the largest are input and output of the last layer, in float32."""
        stem = 64 * self.widths[0] / self.stride**3 if self.depths else 0  # float64, with its margins and products
        return 4 * (2 * len(self.phases) + self.widths[-1] / 8 + 2) + stem

    @property
    def units(self) -> list[Unit]:
        """List the convolutions in the order of the network, each with its normalisation and activation."""
        # Margins are whole latents, more than the convolutions need: the excess is cropped as early as possible.
        spare = self.stride * self.margin[0] - self._reach if self.upsampling == "resize" else 1
        residuals = zip_longest(self.residual_convolutions, self.residual_normalizations)
        found = []
        for i, convolution in enumerate(self.convolutions):
            cropped, spare = divmod(spare, self.stride >> i)
            normalization = self.normalizations[i] if i < len(self.normalizations) else None
            found.append(Unit(convolution, normalization, False, i < len(self.widths), cropped))
            found += [Unit(*layers, True, True, 0) for layers in islice(residuals, self._depths[i])]
        return found

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights; the constructor calls this."""
        channels = input_shape[-1]
        for unit in self.units:
            unit.convolution.build((None, None, None, None, channels))
            channels = unit.convolution.filters
            if unit.normalization is not None:
                unit.normalization.build((None, None, None, None, channels))
        self.built = True

    def logits(self, latents: Any, training: bool = False) -> Any:
        """Compute the logits, the input of the softmax: (batch, z, y, x, phases)."""
        x = latents
        for unit in self.units:
            x = unit.finish(x, unit.convolve(x), training)
        return x

    def call(self, latents: Any, training: bool = False) -> Any:
        return _softmax(ops.cast(self.logits(latents, training=training), "float32"))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        def out(t: int | None) -> int | None:
            if t is None:
                return None
            if self.padding == "valid":
                return self.stride * (t - sum(self.margin))
            return self.stride * (t + 3 if self.padding == "zeros" and self.upsampling == "transposed" else t)

        return (input_shape[0], *(out(t) for t in input_shape[1:4]), len(self.phases))

    def compute_output_spec(self, latents: Any, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(latents.shape), "float32")

    def latents_for(self, voxels: int) -> int:
        """Return the number of latents per axis that give at least ``voxels`` voxels with this padding."""
        cells = -(-int(voxels) // self.stride)
        if self.padding == "valid":
            return cells + sum(self.margin)
        return max(1, cells - 3) if self.padding == "zeros" and self.upsampling == "transposed" else cells

    def field(self, seed: int) -> LatentField | ConditionedField:
        """Return the latent field of a seed, with random conditions if the generator is conditional."""
        if self.conditions is None:
            return LatentField(seed, self.latent_channels)
        return ConditionedField(seed, self.latent_channels, self.conditions)

    def with_conditions(self, conditions: Conditions) -> Generator:
        """Return a generator with the same weights and other conditions, of as many phases."""
        copy = self._copy(conditions=conditions)
        if conditions != self.conditions:  # its voxels are no longer those that the card's digest and version name
            copy.card = {key: value for key, value in self.card.items() if key not in IDENTITY}
        return copy

    def with_padding(self, padding: str) -> Generator:
        """Return a generator with the same weights and another padding."""
        return self._copy(padding=padding)

    def folded(self) -> Generator:
        """Return a generator for inference whose batch normalisation is part of its convolutions.

        In inference, batch normalisation is gamma (x - mean) / sqrt(variance + epsilon) + beta: a factor per channel
        that multiplies the preceding kernel, and a constant that becomes its bias.
        """
        if not self.normalizations:
            return self._copy()
        folded = Generator(**{**self._arguments(), "normalization": "folded"}, dtype=self.dtype_policy)
        folded.card, folded.preview = self.card, self.preview
        folded.set_weights(self._folded_weights())
        return folded

    def sampler(self) -> Sampler:
        """Return the functions from latents to labels and probabilities, with the current weights; thread-safe."""
        check_process()
        with _SAMPLER_LOCK:
            if self._sampler is None:
                self._sampler = Sampler(len(self.phases))
            self._sampler.set_stages(stages(self, self._folded_weights()))
            return self._sampler

    def pieces(self) -> Pieces:
        """Return the data from which other processes rebuild the same generator."""
        more = [str(self.depths)] if self.depths else []
        more += [] if self.conditions is None else [json.dumps(self.conditions.to_json(), sort_keys=True)]
        total = hashlib.sha256(" ".join((self.upsampling, str(self.widths), *more)).encode())
        for weight in self._folded_weights():
            total.update(np.ascontiguousarray(weight, "<f8").data)
        return Pieces(total.hexdigest(), type(self).from_config, self.get_config(), self.get_weights())

    def get_config(self) -> dict[str, Any]:
        """Return the hyper-parameters from which the constructor makes the same network."""
        return {
            **super().get_config(),
            **self._arguments(),
            "phases": list(self.phases),
            "widths": list(self.widths),
            **({"depths": list(self.depths)} if self.depths else {}),
            **({} if self.conditions is None else {"conditions": self.conditions.to_json()}),
            "initializer": keras.initializers.serialize(self.initializer),
        }

    def _arguments(self) -> dict[str, Any]:
        return {
            "phases": self.phases,
            "latent_channels": self.latent_channels,
            "widths": self.widths,
            "upsampling": self.upsampling,
            "padding": self.padding,
            "normalization": self.normalization,
            "output_bias": self.output_bias,
            "initializer": self.initializer,
            "voxel_size": self.voxel_size,
            **({"depths": self.depths} if self.depths else {}),
            **({} if self.conditions is None else {"conditions": self.conditions}),
        }

    def _copy(self, **changes: Any) -> Generator:
        copy = Generator(**{**self._arguments(), **changes}, dtype=self.dtype_policy)
        copy.set_weights(self.get_weights())
        copy.card, copy.preview = self.card, self.preview
        return copy

    def _normalization(self, name: str) -> Any:
        return layers.BatchNormalization(momentum=0.98, epsilon=1e-5, dtype=self.dtype_policy, name=name)

    def _folded_weights(self) -> list[np.ndarray]:
        """Compute the weights of ``folded()`` in float64."""
        weights = []
        normalizations = {id(unit.convolution): unit.normalization for unit in self.units}
        for convolution in (*self.convolutions, *self.residual_convolutions):
            kernel: Any = convolution.kernel.numpy().astype("float64")
            bias = None if convolution.bias is None else convolution.bias.numpy().astype("float64")
            norm = normalizations[id(convolution)]
            if norm is not None:
                gamma, beta, mean, variance = (
                    w.numpy().astype("float64") for w in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
                )
                scale = gamma / np.sqrt(variance + norm.epsilon)
                kernel *= scale[:, None] if isinstance(convolution, TransposedConv3D) else scale
                bias = beta - mean * scale
            weights += [kernel] if bias is None else [kernel, bias]
        return weights


def _softmax(logits: Any) -> Any:
    """Compute the softmax over the last axis, phase by phase: TensorFlow's own is slow on an axis this short."""
    n = logits.shape[-1]
    planes: Any = ops.unstack(ops.transpose(ops.reshape(logits, (-1, n))), n)
    largest = ops.stop_gradient(reduce(ops.maximum, planes))
    powers: list[Any] = [ops.exp(plane - largest) for plane in planes]
    scale = 1.0 / sum(powers)
    return ops.reshape(ops.transpose(ops.stack([power * scale for power in powers])), ops.shape(logits))
