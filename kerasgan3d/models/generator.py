"""The generator: a fully convolutional network from a lattice of latents to phase probabilities."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerasgan3d.checks import Periodic, check_count, check_integer, check_voxel_size, is_integer
from kerasgan3d.layers import PaddedConv3D, TransposedConv3D, UpsampleConv3D
from kerasgan3d.layers._padding import check_padding, crop
from kerasgan3d.models._model import Model
from kerasgan3d.models._sampler import Sampler, stages
from kerasgan3d.phases import PhaseMap, default_names
from kerasgan3d.sampling.field import LatentField, draw_seed
from kerasgan3d.sampling.generate import generate
from kerasgan3d.sampling.plan import plan_tiles
from kerasgan3d.volume import Volume

_OURS = {"latent_channels": 64, "upsampling": "resize", "output_bias": True, "initializer": "he_normal"}
PRESETS = {
    "compact": {**_OURS, "widths": (192, 96, 48, 24)},
    # More than twice the weights.
    "wide": {**_OURS, "widths": (320, 160, 64, 32)},
    # Gayon-Lombardo et al., npj Comput. Mater. 6:82 (2020), Table 4; weights drawn as for DCGAN (Radford et al. 2016).
    "paper": {
        "latent_channels": 100,
        "widths": (512, 256, 128, 64),
        "upsampling": "transposed",
        "output_bias": False,
        "initializer": {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.02, "seed": None}},
    },
}
LIMITS = {"phases": 255, "latent_channels": 4096, "widths": 4096, "layers": 8, "weights": 2**28}
_SAMPLER_LOCK = threading.Lock()  # of all generators: one of its own could not be copied with a generator
_DEFAULT_TILE = 256  # voxels per side: some 1 GB of activations in the compact generator


@keras.saving.register_keras_serializable(package="kerasgan3d")
class Generator(Model):
    """Turns latents into a multi-phase microstructure, any size at a time.

    A first convolution mixes neighbouring latents; each further layer doubles the resolution; batch normalisation and
    ReLU between them, softmax over the phases at the end. Away from boundaries the network commutes with shifts:
    moving the latents by one moves the volume by ``stride`` voxels.

    Args:
        phases: Names of the phases, a PhaseMap, or their number.
        latent_channels: Channels of a latent voxel.
        widths: Channels after each layer but the last.
        upsampling: "resize" (a 3^3 convolution first, then up-sampling convolutions in their four-tap form) or
            "transposed" (4^3 transposed convolutions throughout, the first of stride 1, as in the paper).
        padding: What happens at the faces of the latents, on the same weights. "valid" drops every voxel that saw a
            boundary: t latents per axis give ``stride * (t - sum(margin))`` voxels. "circular" wraps: t latents give
            ``stride * t``. "zeros" is what the paper did: ``stride * t`` ("resize") or ``stride * (t + 3)``
            ("transposed"), contaminated near the faces.
        normalization: "batch", or "folded" for a generator whose batch normalisation has become part of its weights.
        output_bias: Whether the last layer adds a bias per phase.
        initializer: Initialiser of the kernels.
        voxel_size: Edge length of a voxel in µm, or None.

    Input shape: (batch, z, y, x, latent_channels). Output shape: (batch, z, y, x, phases), float32 probabilities.

    Raises:
        ValueError: if an argument is not of the above.
    """

    def __init__(
        self,
        phases=3,
        latent_channels=64,
        widths=(192, 96, 48, 24),
        upsampling="resize",
        padding="valid",
        normalization="batch",
        output_bias=True,
        initializer="he_normal",
        voxel_size=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.phases = _phase_names(phases)
        self.latent_channels = _count(latent_channels, "latent_channels")
        self.widths = _widths(widths)
        self.upsampling = _one_of(upsampling, "upsampling", ("resize", "transposed"))
        self.padding = check_padding(padding)
        self.normalization = _one_of(normalization, "normalization", ("batch", "folded"))
        self.output_bias = bool(_one_of(output_bias, "output_bias", (True, False)))
        self.initializer = keras.initializers.get(initializer)
        self.voxel_size = check_voxel_size(voxel_size)
        self.card = {}
        _check_weights(
            (self.latent_channels, *self.widths, len(self.phases)), taps=27 if upsampling == "resize" else 64
        )

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
                    kernel_initializer=_again(self.initializer),
                    dtype=self.dtype_policy,
                    name=f"convolution_{i}",
                    **options,
                )
            )
        self.normalizations = [
            layers.BatchNormalization(momentum=0.98, epsilon=1e-5, dtype=self.dtype_policy, name=f"normalization_{i}")
            for i in range(0 if folded else len(self.widths))
        ]
        self._sampler = None
        self.build((None, None, None, None, self.latent_channels))

    @classmethod
    def from_preset(cls, name, phases=3, **overrides):
        """Make an untrained generator: "compact", "wide" (ours) or "paper" (Table 4 of Gayon-Lombardo et al. 2020).

        Args:
            name: "compact", "wide" or "paper".
            phases: Names of the phases, or their number.
            overrides: Any other argument of the class, such as ``padding="zeros"``.

        Raises:
            ValueError: if there is no preset of that name.
        """
        if name not in PRESETS:
            raise ValueError(f"`name` must be one of {', '.join(map(repr, PRESETS))}. Received: {name!r}.")
        return cls(phases=phases, **{**PRESETS[name], **overrides})

    def __repr__(self):
        size = f"voxels of {self.voxel_size:g} µm" if self.voxel_size else "voxels of unknown size"
        name = f"{self.card['name']!r}, " if "name" in self.card else ""
        return f"Generator({name}{'/'.join(self.phases)}, {size}, stride {self.stride}, padding {self.padding!r})"

    @property
    def stride(self):
        """Voxels per latent step."""
        return 2 ** len(self.widths)

    @property
    def margin(self):
        """Latents needed (before, after) the window that they fill, per axis, without a boundary."""
        return (2, 2) if self.upsampling == "resize" else (3, 2)

    def build(self, input_shape):
        """Make the weights; done by the constructor."""
        channels = input_shape[-1]
        for i, convolution in enumerate(self.convolutions):
            convolution.build((None, None, None, None, channels))
            channels = convolution.filters
            if i < len(self.normalizations):
                self.normalizations[i].build((None, None, None, None, channels))
        self.built = True

    def logits(self, latents, training=False):
        """What the softmax is taken of: (batch, z, y, x, phases)."""
        x = latents
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if i < len(self.widths):
                x = self.normalizations[i](x, training=training) if self.normalizations else x
                x = ops.relu(x)
        return crop(x, 1) if self.padding == "valid" else x

    def call(self, latents, training=False):
        return _softmax(ops.cast(self.logits(latents, training=training), "float32"))

    def compute_output_shape(self, input_shape):
        def out(t):
            if t is None:
                return None
            if self.padding == "valid":
                return self.stride * (t - sum(self.margin))
            return self.stride * (t + 3 if self.padding == "zeros" and self.upsampling == "transposed" else t)

        return (input_shape[0], *(out(t) for t in input_shape[1:4]), len(self.phases))

    def compute_output_spec(self, latents, training=False):
        return keras.KerasTensor(self.compute_output_shape(latents.shape), "float32")

    def latents_for(self, voxels):
        """Latents per axis that give at least ``voxels`` voxels with this padding."""
        cells = -(-int(voxels) // self.stride)
        if self.padding == "valid":
            return cells + sum(self.margin)
        return max(1, cells - 3) if self.padding == "zeros" and self.upsampling == "transposed" else cells

    def with_padding(self, padding):
        """A generator with the same weights and another padding."""
        return self._copy(padding=padding)

    def folded(self):
        """A generator for inference whose batch normalisation is part of its convolutions.

        In inference, batch normalisation is gamma (x - mean) / sqrt(variance + epsilon) + beta: a factor per channel
        that goes into the kernel before it, and a constant that becomes its bias.
        """
        if not self.normalizations:
            return self._copy()
        folded = Generator(**{**self._arguments(), "normalization": "folded"})
        folded.card = self.card
        folded.set_weights(self._folded_weights())
        return folded

    def plan(self, size, *, periodic=False, offset=(0, 0, 0), tile=None, batch=None):
        """How ``sample`` would compute a volume, as plain integers: a TilePlan. Nothing is computed.

        Raises:
            ValueError: as ``sample`` does.
        """
        if self.padding == "zeros":
            raise ValueError(
                "sampling needs a generator without boundary effects. Received: padding='zeros'. "
                "Use generator.with_padding('valid'), which has the same weights."
            )
        plan = plan_tiles(
            size,
            stride=self.stride,
            margin=self.margin,
            periodic=periodic,
            offset=offset,
            tile=_DEFAULT_TILE if tile is None else tile,
            batch=batch,
        )
        # The widest activations are the two sides of the last layer, in float32.
        return plan.with_memory(bytes_per_voxel=4 * (2 * len(self.phases) + self.widths[-1] / 8 + 2))

    def sample(
        self,
        size: int | Sequence[int],
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: int | Sequence[int] = (0, 0, 0),
        tile: int | Sequence[int] | None = None,
        batch: int | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> Volume:
        """Generate a volume of labels.

        The volume is a window on an infinite random structure that ``seed`` names: the same seed gives the same voxels
        at the same coordinates, whatever the window, the tiles and the batch.

        Args:
            size: Voxels: an int, or (z, y, x). Any positive numbers; a multiple of ``stride`` along periodic axes.
            periodic: Whether the volume continues itself: a bool, or three (z, y, x).
            seed: A non-negative int below 2**64; None draws one. It is recorded in the volume's provenance.
            offset: Where the window begins, in voxels (z, y, x). Along a periodic axis this rolls the volume by minus
                the offset.
            tile: Voxels per side that are computed at once: an int or (z, y, x). Has no effect on the result.
            batch: Tiles that are computed at once. Has no effect on the result.
            progress: A function (voxels done, voxels in all), called after each step.

        Returns:
            Volume: labels (z, y, x), uint8.

        Raises:
            ValueError: if a size, offset, tile, batch or seed is not of the above.
        """
        plan = self.plan(size, periodic=periodic, offset=offset, tile=tile, batch=batch)
        seed = draw_seed() if seed is None else seed
        labels = self._generate(plan, seed, progress, labels=True)
        return Volume(
            labels,
            phases=self.phases,
            voxel_size=self.voxel_size,
            periodic=plan.periodic,
            provenance=self._origin(seed, plan),
        )

    def sample_probabilities(
        self, size, *, periodic=False, seed=None, offset=(0, 0, 0), tile=None, batch=None, progress=None
    ):
        """Generate the probabilities of the phases, the paper's confidence maps. Arguments as for ``sample``.

        Returns:
            float32 array (z, y, x, phases); its argmax is what ``sample`` gives.
        """
        plan = self.plan(size, periodic=periodic, offset=offset, tile=tile, batch=batch)
        return self._generate(plan, draw_seed() if seed is None else seed, progress, labels=False)

    def stream(
        self,
        path,
        size,
        *,
        periodic=False,
        seed=None,
        offset=(0, 0, 0),
        tile=None,
        resume=True,
        overwrite=False,
        workers=None,
        client=None,
        progress=None,
    ):
        """Generate a volume of any size into a file, part by part: memory is that of a few tiles.

        The voxels are those of ``sample``. What is being written lies beside its place, in a folder of the same name
        and ``.partial``; the file appears when it is complete. The same call goes on where an interrupted one ended,
        whatever ended it, also with other tiles, workers or ``seed=None``.

        Args:
            path: The file to be: .zarr (OME-Zarr with a pyramid), or .tif (BigTIFF from 4 GB on).
            size, periodic, seed, offset: As for ``sample``. With ``seed=None`` an interrupted volume keeps its seed.
            tile: Voxels per side that are computed at once, rounded up to a multiple of 128: an int or (z, y, x).
                256 if None, and half of that along z where workers share the memory.
            resume: Whether to go on with an interrupted call; False starts afresh.
            overwrite: Whether a file that exists may be replaced.
            workers: Processes on this machine among which a Dask cluster shares the work; this one alone if None.
            client: A ``dask.distributed.Client`` of any cluster that has kerasgan3d, instead of ``workers``.
            progress: A function (voxels done, voxels in all), called as parts are written.

        Returns:
            Streamed: path, seed, volume fractions, checksum of the content, voxels computed and seconds.

        Raises:
            ValueError: as ``sample``, or if the beginning of another volume lies at the path.
            OSError: if the file exists, or cannot be written.
        """
        from kerasgan3d import io
        from kerasgan3d.models import remote
        from kerasgan3d.sampling.stream import local_client, stream

        if workers is not None:
            check_count(workers, "workers")
        shared = client is not None or workers is not None
        if tile is None:
            tile = (_DEFAULT_TILE // 2 if shared else _DEFAULT_TILE, _DEFAULT_TILE, _DEFAULT_TILE)
        plan = self.plan(size, periodic=periodic, offset=offset, tile=tile)
        if seed is None:
            old = io.partial_record(path) if resume else None
            seed = old["provenance"].get("seed", draw_seed()) if old else draw_seed()
        LatentField(seed, self.latent_channels)
        record = io.record_of(plan.size, self.phases, self.voxel_size, plan.periodic, self._origin(seed, plan))
        options = {"identity": remote.digest(self), "resume": resume, "overwrite": overwrite, "progress": progress}
        tile = (tile,) * 3 if np.ndim(tile) == 0 else tuple(tile)
        if not shared:
            return stream(self._window_function(plan, seed), path, record, tile, **options)
        with local_client(workers) if client is None else contextlib.nullcontext(client) as client:
            return stream(self._delayed_function(plan, seed), path, record, tile, client=client, **options)

    def estimate(self, size, *, periodic=False, offset=(0, 0, 0), tile=None, batch=None, path=None, streams=False):
        """What ``sample``, or with ``streams`` ``stream``, will cost: computes one tile and tells the rest from it.

        Args:
            size, periodic, offset, tile, batch: As for ``sample``.
            path: The file to be, or None.
            streams: Whether it will be written part by part.

        Returns:
            Estimate: seconds, and bytes of memory and of disk.

        Raises:
            ValueError: as ``sample``.
        """
        from kerasgan3d.models.estimate import estimate

        plan = self.plan(size, periodic=periodic, offset=offset, tile=tile, batch=batch)
        return estimate(self, plan, path, streams=streams)

    def to_dask(self, size, *, periodic=False, seed=None, offset=(0, 0, 0), chunks=_DEFAULT_TILE):
        """The volume that ``sample`` would generate, as an array whose chunks are generated when they are asked for.

        Any Dask scheduler computes it, on one machine or many; each process puts the generator together once.

        Args:
            size, periodic, seed, offset: As for ``sample``.
            chunks: Voxels per side of a chunk: an int or (z, y, x).

        Returns:
            dask.array, uint8 (z, y, x).

        Raises:
            ValueError: as ``sample``.
        """
        from kerasgan3d.sampling.stream import lazily

        plan = self.plan(size, periodic=periodic, offset=offset, tile=chunks)
        seed = draw_seed() if seed is None else seed
        LatentField(seed, self.latent_channels)
        return lazily(self._delayed_function(plan, seed), plan.size, chunks)

    def get_config(self):
        """Hyper-parameters from which the constructor makes the same network."""
        return {
            **super().get_config(),
            **self._arguments(),
            "phases": list(self.phases),
            "widths": list(self.widths),
            "initializer": keras.initializers.serialize(self.initializer),
        }

    def _arguments(self):
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
        }

    def _copy(self, **changes):
        copy = Generator(**{**self._arguments(), **changes})
        copy.set_weights(self.get_weights())
        copy.card = self.card
        return copy

    def _folded_weights(self):
        """The weights of ``folded()``, computed in float64."""
        weights = []
        for i, convolution in enumerate(self.convolutions):
            kernel = convolution.kernel.numpy().astype("float64")
            bias = None if convolution.bias is None else convolution.bias.numpy().astype("float64")
            if i < len(self.normalizations):
                norm = self.normalizations[i]
                gamma, beta, mean, variance = (
                    w.numpy().astype("float64") for w in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
                )
                scale = gamma / np.sqrt(variance + norm.epsilon)
                kernel *= scale[:, None] if isinstance(convolution, TransposedConv3D) else scale
                bias = beta - mean * scale
            weights += [kernel] if bias is None else [kernel, bias]
        return weights

    def _generate(self, plan, seed, progress, *, labels):
        field = LatentField(seed, self.latent_channels)
        sampler = self._up_to_date_sampler()
        return generate(sampler.labels if labels else sampler.probabilities, field, plan, progress=progress)

    def _window_function(self, plan, seed):
        """A function from (start, shape) to the labels of that part of a plan's volume."""
        sampler, field = self._up_to_date_sampler(), LatentField(seed, self.latent_channels)
        return lambda start, shape: generate(sampler.labels, field, plan.window(start, shape))

    def _delayed_function(self, plan, seed):
        """The same, not computed: from (start, shape) to a Dask object."""
        import dask

        from kerasgan3d.models import remote

        found = remote.pieces(self)
        whole = dask.delayed(found, name=f"generator-{found[0]}", traverse=False)
        compute = dask.delayed(remote.labels_of, pure=True)
        return lambda start, shape: compute(whole, plan.window(start, shape), seed)

    def _origin(self, seed, plan):
        """The provenance of a volume."""
        return {**self._provenance(), "seed": int(seed), "offset": list(plan.offset)}

    def _up_to_date_sampler(self):
        """The inference functions, with the weights of now; threads may share a generator."""
        with _SAMPLER_LOCK:
            if self._sampler is None:
                self._sampler = Sampler(len(self.phases))
            self._sampler.set_stages(stages(self, self._folded_weights()))
            return self._sampler

    def _provenance(self):
        from kerasgan3d import __version__

        origin = {key: self.card[key] for key in ("name", "sha256", "repo", "revision") if key in self.card}
        return {"kerasgan3d": __version__, **({"generator": origin} if origin else {})}


def _softmax(logits):
    """Softmax over the last axis, phase by phase: a few phases are too short an axis for TensorFlow's own."""
    n = logits.shape[-1]
    planes = ops.unstack(ops.transpose(ops.reshape(logits, (-1, n))), n)
    largest = ops.stop_gradient(reduce(ops.maximum, planes))
    powers = [ops.exp(plane - largest) for plane in planes]
    scale = 1.0 / sum(powers)
    return ops.reshape(ops.transpose(ops.stack([power * scale for power in powers])), ops.shape(logits))


def _again(initializer):
    """A fresh initialiser of the same kind: Keras warns when one unseeded instance serves twice."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer


def _phase_names(phases):
    if is_integer(phases):
        n, names = int(phases), None
    else:
        names = PhaseMap(phases).names
        n = len(names)
    if not 2 <= n <= LIMITS["phases"]:
        raise ValueError(f"`phases` must number 2 to {LIMITS['phases']}. Received: {n}.")
    return names or default_names(n)


def _widths(widths):
    if not isinstance(widths, list | tuple) or not 1 <= len(widths) <= LIMITS["layers"]:
        raise ValueError(f"`widths` must hold 1 to {LIMITS['layers']} channel counts. Received: {widths!r}.")
    return tuple(_count(width, "widths") for width in widths)


def _check_weights(channels, taps):
    weights = taps * sum(a * b for a, b in pairwise(channels))
    if weights > LIMITS["weights"]:
        raise ValueError(
            f"`widths` and `latent_channels` must make at most {LIMITS['weights']} weights. Received: {weights}."
        )


def _count(value, name):
    return check_integer(value, name, 1, LIMITS[name])


def _one_of(value, name, allowed):
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {value!r}.")
    return value
