"""A generator's inference functions, compiled by whichever backend Keras runs on."""

import keras
import numpy as np
from keras import ops

# Labels whose lead over the next phase is smaller than this share of the largest logit are decided in float64. Rounding
# in float32 was seen to move a lead by up to 5e-6 of it; where rounding does not decide, labels are the same for every
# tile, batch, thread and machine.
_DOUBT = 1e-5
_CELLS_AT_ONCE = 32  # some tens of MB in float64 for the compact generator


class Sampler:
    """Labels and probabilities from latents, by a folded copy of a generator.

    Args:
        make: A function from a dtype to a folded Generator with padding "valid". Called for "float32", and for
            "float64" when a voxel is in doubt.
    """

    def __init__(self, make):
        self._make = make
        self._network = make("float32")
        self._exact = None
        self._weights = None
        self._label_function = _compile(self._labels_and_doubt, self._network)
        self.probabilities = _compile(lambda latents: self._network(latents, training=False), self._network)

    def set_weights(self, weights):
        """Take over folded weights, in float64."""
        if self._weights is None or any(not np.array_equal(a, b) for a, b in zip(weights, self._weights, strict=True)):
            self._network.set_weights(weights)
            if self._exact is not None:
                self._exact.set_weights(weights)
            self._weights = weights

    def labels(self, latents):
        """Labels (batch, z, y, x), uint8, of latents (batch, z, y, x, channels).

        A voxel whose two likeliest phases are closer than rounding errors could tell is computed again, in float64 and
        from its own cell of latents alone, so that its label does not depend on the tile that it is part of.
        """
        labels, doubt, largest = self._label_function(latents)
        if not np.isfinite(largest):
            raise ValueError("the generator's weights are not finite: training diverged, or the file is damaged.")
        voxels = np.argwhere(doubt)
        if len(voxels):
            labels = labels.copy()
            labels[tuple(voxels.T)] = self._decide(latents, voxels)
        return labels

    def _decide(self, latents, voxels):
        """The labels of some voxels (m, 4: batch, z, y, x) in float64."""
        if self._exact is None:
            self._exact = self._make("float64")
            self._exact.set_weights(self._weights)
            self._exact_logits = _compile(lambda latents: self._exact.logits(latents), self._exact)
        stride, reach = self._network.stride, 1 + sum(self._network.margin)
        cells, index = np.unique(np.c_[voxels[:, 0], voxels[:, 1:] // stride], axis=0, return_inverse=True)
        index, labels = index.ravel(), np.empty(len(voxels), "uint8")
        for first in range(0, len(cells), _CELLS_AT_ONCE):
            some = cells[first : first + _CELLS_AT_ONCE]
            blocks = np.stack([latents[b, z : z + reach, y : y + reach, x : x + reach] for b, z, y, x in some])
            logits = self._exact_logits(blocks.astype("float64"))
            mine = (index >= first) & (index < first + len(some))
            labels[mine] = logits[index[mine] - first, *(voxels[mine, 1:] % stride).T].argmax(-1)
        return labels

    def _labels_and_doubt(self, latents):
        logits = ops.unstack(ops.cast(self._network.logits(latents), "float32"), axis=-1)
        first, second, label = logits[0], ops.full_like(logits[0], -np.inf), ops.zeros_like(logits[0], dtype="uint8")
        for i, logit in enumerate(logits[1:], start=1):
            ahead = logit > first
            second = ops.maximum(second, ops.minimum(first, logit))
            first = ops.maximum(first, logit)
            label = ops.where(ahead, ops.cast(i, "uint8"), label)
        largest = ops.max(ops.abs(first))
        return label, first - second < _DOUBT * largest, largest


def _compile(function, network):
    """``function`` from NumPy arrays to NumPy arrays, compiled where that pays."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        shape = tf.TensorSpec((None, None, None, None, network.latent_channels), network.variable_dtype)
        # On a CPU, XLA makes 3D transposed convolutions 10 to 100 times slower.
        compiled = tf.function(function, input_signature=[shape], jit_compile=False, autograph=False)

        def run(latents):
            try:
                return keras.tree.map_structure(lambda t: t.numpy(), compiled(tf.convert_to_tensor(latents)))
            except tf.errors.ResourceExhaustedError as error:
                raise MemoryError(
                    f"latents {latents.shape} need more memory than there is: pass a smaller `tile` or `batch`."
                ) from error

        return run
    if backend == "torch":
        import torch

        def run(latents):
            with torch.no_grad():
                return keras.tree.map_structure(ops.convert_to_numpy, function(ops.convert_to_tensor(latents)))

        return run
    return lambda latents: keras.tree.map_structure(ops.convert_to_numpy, function(ops.convert_to_tensor(latents)))
