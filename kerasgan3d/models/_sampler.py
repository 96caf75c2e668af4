"""A generator's inference functions, compiled by the active Keras backend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kerasgan3d.layers._padding import crop
from kerasgan3d.layers.transposed_conv3d import TransposedConv3D, eighths, interleave
from kerasgan3d.layers.upsample_conv3d import four_tap
from kerasgan3d.models._stem import Stem

# Labels whose lead over the next phase is smaller than this fraction of the largest logit are decided in float64. In
# millions of voxels float32 rounding changed a lead by at most 3.4e-6 of it in tiles of 96^3, by 5e-6 in small ones,
# and by a twentieth of that in most voxels: where rounding does not decide, labels are the same for every tile, batch,
# thread and machine.
_DOUBT = 6e-6
_ROWS_AT_ONCE = 4096  # rows of a matrix product in float64: some 50 MB for the compact generator
# The choice of a phase takes a dozen passes over memory, which XLA fuses into one; compiling takes a tenth of a second
# for each shape, which does not pay off for smaller tiles.
_WORTH_COMPILING = 2**18
_NOT_FINITE = "the generator's weights are not finite: training diverged, or the file is damaged."
_CORNERS = np.array(list(product((0, 1), repeat=3)))
_CUBE = np.array(list(product((0, 1, 2), repeat=3)))
_MIDDLE = 13  # of a cube


class Stage(NamedTuple):
    """A layer of the folded network as an ordinary convolution without padding.

    Attributes:
        kernel: float64: (k, k, k, in, out) for kind "plain"; (3, 3, 3, channels, channels) for "residual"; and
            (2, 2, 2, in, 8 out) for "double", which turns the 2^3 voxels that meet at a corner into the 2^3 finer
            voxels around it, sub-voxels before channels.
        bias: One number for each output channel of the kernel, float64.
        kind: "plain", "residual" (the input is added to the output) or "double" (the resolution doubles).
        spare: Voxels at each face that no later layer needs.
    """

    kernel: np.ndarray
    bias: np.ndarray
    kind: str
    spare: int


def stages(generator: Any, weights: Sequence[np.ndarray]) -> list[Stage]:
    """Return the folded network, layer by layer.

    Args:
        generator: The Generator.
        weights: Its folded weights, float64.
    """
    left, folded = iter(weights), {}
    for convolution in (*generator.convolutions, *generator.residual_convolutions):
        unbiased = convolution is generator.convolutions[-1] and not generator.output_bias
        folded[id(convolution)] = next(left), np.zeros(convolution.filters) if unbiased else next(left)
    found = []
    for unit in generator.units:
        (kernel, bias), transposed = folded[id(unit.convolution)], isinstance(unit.convolution, TransposedConv3D)
        if transposed:
            kernel = kernel.swapaxes(3, 4)
        if not found:
            # Transposed with stride 1: out[p] = sum over k of kernel[k] in[p + 3 - k].
            found.append(Stage(kernel[::-1, ::-1, ::-1] if transposed else kernel, bias, "plain", 0))
        elif unit.residual:
            found.append(Stage(kernel, bias, "residual", 0))
        else:
            kernel = kernel if transposed else four_tap(kernel, np)
            found.append(Stage(eighths(kernel, np), np.tile(bias, 8), "double", unit.spare))
    return found


class Sampler:
    """Computation of labels and probabilities from latents by a generator's folded network.

    Where the network has residual convolutions, its layers at the latents' resolution form the ``stem``. The caller
    applies it to the latents first, for many tiles at once; the methods then take its features.

    Args:
        n_phases: Number of phases.
    """

    def __init__(self, n_phases: int):
        self._n_phases = n_phases
        self._stages: list[Stage] = []
        self._label_function: Any = None
        self.stem: Stem | None = None
        self.probabilities: Any = None

    def set_stages(self, found: list[Stage]) -> None:
        """Set the network's ``stages``.

        Raises:
            ValueError: if a weight is not finite.
        """
        # The network's output would not show it: a ReLU may turn NaN into 0.
        if not all(np.isfinite(array).all() for stage in found for array in stage[:2]):
            raise ValueError(_NOT_FINITE)
        first = next(i for i, stage in enumerate(found) if stage.kind == "double")
        deep = any(stage.kind == "residual" for stage in found)
        if not deep:
            first, self.stem = 0, None
        elif self.stem is None or not self.stem.is_of(found[:first]):
            self.stem = Stem(found[:first])
        self._stages = found[first:]
        self.weights = [
            ops.convert_to_tensor(np.ascontiguousarray(array, "float32"))
            for stage in self._stages
            for array in stage[:2]
        ]
        if self._label_function is None:
            self._label_function, self.probabilities = _compiled(self)

    def labels(self, latents: np.ndarray) -> np.ndarray:
        """Compute labels (batch, z, y, x), uint8, of latents (batch, z, y, x, channels), or of the stem's features.

        A voxel whose two most probable phases differ by less than rounding errors is recomputed in float64 and only
        from the latents that it depends on, so that its label does not depend on the tile that contains it.
        """
        labels, doubt, largest = self._label_function(latents)
        if not np.isfinite(largest):
            raise ValueError(_NOT_FINITE)
        voxels = _places(doubt, labels.shape)
        if len(voxels):
            labels = labels if labels.flags.writeable else labels.copy()
            labels[tuple(voxels.T)] = self._decide(latents, voxels)
        return labels

    @property
    def doublings(self) -> int:
        """Number of doublings of the resolution."""
        return sum(stage.kind == "double" for stage in self._stages)

    def features(self, latents: Any, weights: Sequence[Any]) -> Any:
        """Compute the output of the last convolution, before interleaving: (batch, z, y, x, 8 phases)."""
        x, last = latents, len(self._stages) - 1
        for i, stage in enumerate(self._stages):
            kernel, bias = weights[2 * i : 2 * i + 2]
            y = ops.add(ops.conv(x, kernel, padding="valid", data_format="channels_last"), bias)
            if i == last:
                return y
            x = ops.relu(ops.add(y, crop(x, 1)) if stage.kind == "residual" else y)
            x = crop(interleave(x, kernel.shape[-1] // 8), stage.spare) if stage.kind == "double" else x

    def choose(self, features: Any) -> tuple[Any, Any, Any]:
        """Return labels of the sub-voxels (batch, z, y, x, 8), a mask of those in doubt, and the largest logit."""
        logits = ops.reshape(features, (*ops.shape(features)[:-1], 8, self._n_phases))
        logits = ops.unstack(logits, self._n_phases, axis=-1)
        first, second, label = logits[0], ops.full_like(logits[0], -np.inf), ops.zeros_like(logits[0], dtype="uint8")
        for i, logit in enumerate(logits[1:], start=1):
            ahead = logit > first
            second = ops.maximum(second, ops.minimum(first, logit))
            first = ops.maximum(first, logit)
            label = ops.where(ahead, ops.cast(i, "uint8"), label)
        largest = ops.max(ops.abs(first))
        return label, first - second < _DOUBT * largest, largest

    def softmax(self, latents: Any, weights: Sequence[Any]) -> Any:
        """Compute probabilities (batch, z, y, x, phases)."""
        return ops.softmax(crop(interleave(self.features(latents, weights), self._n_phases), 1), axis=-1)

    def _decide(self, latents, voxels):
        """Compute labels of some voxels (m, 4: batch, z, y, x) in float64, from only what they depend on."""
        stages = self._stages  # the current ones: another thread may set its own
        shapes = [np.array(latents.shape[1:4])]
        for stage in stages:
            shapes.append(_SHAPES[stage.kind](shapes[-1], len(stage.kernel)) - 2 * stage.spare)
        # The places of each layer's output that are needed, from the last layer to the first.
        steps, places = [], voxels
        for stage, shape in zip(reversed(stages), reversed(shapes[:-1]), strict=True):
            if stage.kind == "plain":
                break
            out = places[:, 1:] + stage.spare
            corners = out[:, None] + _CUBE if stage.kind == "residual" else out[:, None] // 2 + _CORNERS
            inputs = np.concatenate([np.broadcast_to(places[:, None, :1], (*corners.shape[:2], 1)), corners], axis=-1)
            flat, index = np.unique(
                np.ravel_multi_index(tuple(np.moveaxis(inputs, -1, 0)), (len(latents), *shape)), return_inverse=True
            )
            steps.append((index.reshape(corners.shape[:2]), out % 2 @ (4, 2, 1)))
            places = np.stack(np.unravel_index(flat, (len(latents), *shape)), axis=-1)
        x = _plain(stages[0], latents, places)
        for stage, (index, sub) in zip(stages[-len(steps) :], reversed(steps), strict=True):
            if stage.kind == "residual":
                y = _rows(x, index, stage.kernel.reshape(-1, len(stage.bias))) + stage.bias + x[index[:, _MIDDLE]]
            else:
                n = len(stage.bias) // 8
                kernel = stage.kernel.reshape(-1, 8, n)
                y = np.empty((len(index), n))
                for s in range(8):
                    rows = np.flatnonzero(sub == s)
                    y[rows] = _rows(x, index[rows], np.ascontiguousarray(kernel[:, s])) + stage.bias[:n]
            x = np.maximum(y, 0) if stage is not stages[-1] else y
        return x.argmax(-1).astype("uint8")


def _plain(stage, latents, places):
    """Compute the features before the first doubling at some places (m, 4), float64: (m, channels)."""
    if stage.kind != "plain":  # done by the stem
        return latents[tuple(places.T)].astype("float64")
    kernel = stage.kernel
    patches = np.lib.stride_tricks.sliding_window_view(latents, kernel.shape[:3], axis=(1, 2, 3))
    parts = [
        np.moveaxis(patches[tuple(some.T)], 1, -1).reshape(len(some), -1).astype("float64")
        @ kernel.reshape(-1, len(stage.bias))
        for some in np.array_split(places, -(-len(places) // _ROWS_AT_ONCE))
    ]
    return np.maximum(np.concatenate(parts) + stage.bias, 0)


# The shape of a stage's output, uncropped, from that of its input and the length of its kernel.
_SHAPES = {
    "plain": lambda shape, k: shape - (k - 1),
    "residual": lambda shape, k: shape - (k - 1),
    "double": lambda shape, k: 2 * (shape - 1),
}


def _rows(x, index, kernel):
    """Multiply the rows ``x[index]`` (m, n, channels), each flattened, by a matrix: (m, out)."""
    at_once = 8 * _ROWS_AT_ONCE // index.shape[1]
    parts = [x[index[i : i + at_once]].reshape(-1, len(kernel)) @ kernel for i in range(0, len(index), at_once)]
    return np.concatenate(parts) if parts else np.empty((0, kernel.shape[1]))


def _places(doubt, shape):
    """Return the voxels (m, 4) of a mask of sub-voxels (batch, z, y, x, 8) that lie within labels of a shape."""
    found = np.stack(np.unravel_index(np.flatnonzero(doubt), doubt.shape), axis=-1)
    voxels = np.concatenate([found[:, :1], 2 * found[:, 1:4] + _CORNERS[found[:, 4]] - 1], axis=1)
    return voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]


def _compiled(sampler):
    """Compile the functions from latents to (labels, doubt, largest) and to probabilities, NumPy to NumPy."""

    def label(latents, weights, choose):
        labels, doubt, largest = choose(sampler.features(latents, weights))
        return ops.squeeze(crop(interleave(labels, 1), 1), -1), doubt, largest

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        shape = tf.TensorSpec((None, None, None, None, sampler.weights[0].shape[-2]), tf.float32)
        signature = [shape, [tf.TensorSpec(weight.shape, weight.dtype) for weight in sampler.weights]]
        choose = tf.function(sampler.choose, jit_compile=True, autograph=False)
        # On a CPU, XLA makes 3D convolutions 10 to 100 times slower: it compiles only the choice of a phase.
        functions = (
            lambda latents, weights: label(latents, weights, sampler.choose),
            lambda latents, weights: label(latents, weights, choose),
            sampler.softmax,
        )
        plain, fused, softmax = (
            tf.function(function, input_signature=signature, jit_compile=False, autograph=False)
            for function in functions
        )

        def run(function, latents):
            try:
                found = function(tf.convert_to_tensor(np.asarray(latents, "float32")), sampler.weights)
                return keras.tree.map_structure(lambda t: t.numpy(), found)
            except tf.errors.ResourceExhaustedError as error:
                raise MemoryError(
                    f"latents {latents.shape} need more memory than there is: pass a smaller `tile` or `batch`."
                ) from error

        def labels(latents):
            voxels = np.prod(latents.shape[:4]) * 8**sampler.doublings
            return run(fused if voxels >= _WORTH_COMPILING else plain, latents)

        return labels, lambda latents: run(softmax, latents)

    def run(function, latents):
        found = function(ops.convert_to_tensor(np.asarray(latents, "float32")), sampler.weights)
        return keras.tree.map_structure(ops.convert_to_numpy, found)

    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        run = torch.no_grad()(run)

    def decided(latents, weights):
        return label(latents, weights, sampler.choose)

    return lambda latents: run(decided, latents), lambda latents: run(sampler.softmax, latents)
