"""A generator's inference functions, compiled by whichever backend Keras runs on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasgan3d.layers._padding import crop
from kerasgan3d.layers.transposed_conv3d import TransposedConv3D, eighths, interleave
from kerasgan3d.layers.upsample_conv3d import four_tap

# Labels whose lead over the next phase is smaller than this share of the largest logit are decided in float64. In
# millions of voxels rounding in float32 moved a lead by at most 3.4e-6 of it in tiles of 96^3, by 5e-6 in small ones,
# and by a twentieth of that in most voxels: where it does not decide, labels are the same for every tile, batch, thread
# and machine.
_DOUBT = 6e-6
_ROWS_AT_ONCE = 4096  # rows of a matrix product in float64: some 50 MB for the compact generator
# The choice among phases is a dozen passes over memory, which XLA makes one; compiling takes a tenth of a second for
# each shape, which smaller tiles do not earn back.
_WORTH_COMPILING = 2**18
_NOT_FINITE = "the generator's weights are not finite: training diverged, or the file is damaged."
_CORNERS = np.array(list(product((0, 1), repeat=3)))


def stages(generator: Any, weights: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The folded network as ordinary convolutions without padding.

    Args:
        generator: The Generator.
        weights: Its folded weights, float64.

    Returns:
        list of (kernel, bias), float64. The first kernel is (k, k, k, in, out); each further one is
        (2, 2, 2, in, 8 out) and makes, of the 2^3 voxels that meet at a corner, the 2^3 voxels around it, sub-voxels
        before channels.
    """
    left, found = iter(weights), []
    last = len(generator.convolutions) - 1
    for i, convolution in enumerate(generator.convolutions):
        kernel, transposed = next(left), isinstance(convolution, TransposedConv3D)
        bias = next(left) if i < last or generator.output_bias else np.zeros(convolution.filters)
        if transposed:
            kernel = kernel.swapaxes(3, 4)
        if i == 0:
            # Transposed with stride 1: out[p] = sum over k of kernel[k] in[p + 3 - k].
            found.append((kernel[::-1, ::-1, ::-1] if transposed else kernel, bias))
        else:
            kernel = kernel if transposed else four_tap(kernel, np)
            found.append((eighths(kernel, np), np.tile(bias, 8)))
    return found


class Sampler:
    """Labels and probabilities from latents, by a generator's folded network.

    Args:
        n_phases: Number of phases.
    """

    def __init__(self, n_phases: int):
        self._n_phases = n_phases
        self._stages: list[tuple[np.ndarray, np.ndarray]] = []
        self._label_function: Any = None
        self.probabilities: Any = None

    def set_stages(self, found: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Take over the network's ``stages``, float64.

        Raises:
            ValueError: if a weight is not finite.
        """
        # What the network makes of them would not tell: a rectifier may turn NaN into 0.
        if not all(np.isfinite(array).all() for stage in found for array in stage):
            raise ValueError(_NOT_FINITE)
        self._stages = found
        self.weights = [
            ops.convert_to_tensor(np.ascontiguousarray(array, "float32")) for stage in found for array in stage
        ]
        if self._label_function is None:
            self._label_function, self.probabilities = _compiled(self)

    def labels(self, latents: np.ndarray) -> np.ndarray:
        """Labels (batch, z, y, x), uint8, of latents (batch, z, y, x, channels).

        A voxel whose two likeliest phases are closer than rounding errors could tell is computed again, in float64 and
        from nothing but the latents that it depends on, so that its label does not depend on the tile it is part of.
        """
        labels, doubt, largest = self._label_function(latents)
        if not np.isfinite(largest):
            raise ValueError(_NOT_FINITE)
        voxels = _places(doubt, labels.shape)
        if len(voxels):
            labels = labels if labels.flags.writeable else labels.copy()
            labels[tuple(voxels.T)] = self._decide(latents, voxels)
        return labels

    def features(self, latents: Any, weights: Sequence[Any]) -> Any:
        """What the last convolution makes, its sub-voxels not yet interleaved: (batch, z, y, x, 8 phases)."""
        x, last = latents, len(weights) // 2 - 1
        for i in range(last + 1):
            kernel, bias = weights[2 * i : 2 * i + 2]
            x = ops.add(ops.conv(x, kernel, padding="valid"), bias)
            if i < last:
                x = ops.relu(x)
                x = interleave(x, kernel.shape[-1] // 8) if i else x
        return x

    def choose(self, features: Any) -> tuple[Any, Any, Any]:
        """Labels of the sub-voxels (batch, z, y, x, 8), which of them rounding could decide, and the largest logit."""
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
        """Probabilities (batch, z, y, x, phases)."""
        return ops.softmax(crop(interleave(self.features(latents, weights), self._n_phases), 1), axis=-1)

    def _decide(self, latents, voxels):
        """The labels of some voxels (m, 4: batch, z, y, x) in float64, by computing only what they depend on."""
        (kernel, bias), *others = self._stages
        k = kernel.shape[0]
        size = np.array(latents.shape[1:4]) - (k - 1)
        # Which places are needed of each layer's output, from the last to the first. The last is not cropped.
        steps, places = [], voxels + [0, 1, 1, 1]
        for level in range(len(others), 0, -1):
            shape = (len(latents), *(2 ** (level - 1) * (size - 2) + 2))
            corners = places[:, None, 1:] // 2 + _CORNERS
            inputs = np.concatenate([np.broadcast_to(places[:, None, :1], (*corners.shape[:2], 1)), corners], axis=-1)
            flat, index = np.unique(np.ravel_multi_index(tuple(np.moveaxis(inputs, -1, 0)), shape), return_inverse=True)
            steps.append((index.reshape(-1, 8), places[:, 1:] % 2 @ (4, 2, 1)))
            places = np.stack(np.unravel_index(flat, shape), axis=-1)
        patches = np.lib.stride_tricks.sliding_window_view(latents, (k, k, k), axis=(1, 2, 3))
        parts = [
            np.moveaxis(patches[tuple(some.T)], 1, -1).reshape(len(some), -1).astype("float64")
            @ kernel.reshape(-1, len(bias))
            for some in np.array_split(places, -(-len(places) // _ROWS_AT_ONCE))
        ]
        x = np.concatenate(parts) + bias
        for (index, sub), (kernel, bias) in zip(reversed(steps), others, strict=True):
            x, n = np.maximum(x, 0), len(bias) // 8
            y = np.empty((len(index), n))
            for s in range(8):
                rows, part = np.flatnonzero(sub == s), np.ascontiguousarray(kernel.reshape(-1, 8, n)[:, s])
                for start in range(0, len(rows), _ROWS_AT_ONCE):
                    some = rows[start : start + _ROWS_AT_ONCE]
                    y[some] = x[index[some]].reshape(len(some), len(part)) @ part + bias[:n]
            x = y
        return x.argmax(-1).astype("uint8")


def _places(doubt, shape):
    """The voxels (m, 4) of a mask of sub-voxels (batch, z, y, x, 8) that lie within labels of a shape."""
    found = np.stack(np.unravel_index(np.flatnonzero(doubt), doubt.shape), axis=-1)
    voxels = np.concatenate([found[:, :1], 2 * found[:, 1:4] + _CORNERS[found[:, 4]] - 1], axis=1)
    return voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]


def _compiled(sampler):
    """The functions from latents to (labels, doubt, largest) and to probabilities, NumPy to NumPy."""

    def label(latents, weights, choose):
        labels, doubt, largest = choose(sampler.features(latents, weights))
        return ops.squeeze(crop(interleave(labels, 1), 1), -1), doubt, largest

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        shape = tf.TensorSpec((None, None, None, None, sampler.weights[0].shape[-2]), tf.float32)
        signature = [shape, [tf.TensorSpec(weight.shape, weight.dtype) for weight in sampler.weights]]
        choose = tf.function(sampler.choose, jit_compile=True, autograph=False)
        # On a CPU, XLA makes 3D convolutions 10 to 100 times slower: only the choice is compiled with it.
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
                found = function(tf.convert_to_tensor(latents), sampler.weights)
                return keras.tree.map_structure(lambda t: t.numpy(), found)
            except tf.errors.ResourceExhaustedError as error:
                raise MemoryError(
                    f"latents {latents.shape} need more memory than there is: pass a smaller `tile` or `batch`."
                ) from error

        def labels(latents):
            voxels = np.prod(latents.shape[:4]) * 8 ** (len(sampler.weights) // 2 - 1)
            return run(fused if voxels >= _WORTH_COMPILING else plain, latents)

        return labels, lambda latents: run(softmax, latents)

    def run(function, latents):
        found = function(ops.convert_to_tensor(latents), sampler.weights)
        return keras.tree.map_structure(ops.convert_to_numpy, found)

    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        run = torch.no_grad()(run)

    def decided(latents, weights):
        return label(latents, weights, sampler.choose)

    return lambda latents: run(decided, latents), lambda latents: run(sampler.softmax, latents)
