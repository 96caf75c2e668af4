"""Spectral normalisation of critics."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops


class SpectralNorm:
    """Division of every kernel of a critic by its largest singular value (Miyato et al., ICLR 2018).

    The kernel, as a matrix (everything, outputs), has the singular value u W^T v; u is stored and improved by one power
    iteration per update of the critic. The stored kernels remain as the optimizer left them: ``scope`` temporarily
    replaces them by the normalised ones, so that gradients pass through the singular value too.

    Args:
        critic: A built network whose layers are convolutions with a ``kernel``.
        seed: Non-negative int, or a sequence of them, for the initial vectors.
    """

    def __init__(self, critic, seed: int | Sequence[int] = 0):
        self.kernels = [layer.kernel for layer in critic.layers if hasattr(layer, "kernel")]
        rng = np.random.default_rng(seed)
        self.vectors = [
            keras.Variable(_unit(rng.normal(size=kernel.shape[-1])).astype("float32"), trainable=False, name="singular")
            for kernel in self.kernels
        ]

    def iterate(self):
        """Run one power iteration of each vector."""
        for kernel, vector in zip(self.kernels, self.vectors, strict=True):
            matrix = ops.stop_gradient(_matrix(kernel))
            vector.assign(_normalised(ops.matmul(ops.matmul(matrix, vector.value), matrix)))

    def scope(self):
        """Return a context in which the critic computes with normalised kernels."""
        return keras.StatelessScope(
            state_mapping=[
                (kernel, kernel.value / self.singular_value(kernel, vector))
                for kernel, vector in zip(self.kernels, self.vectors, strict=True)
            ]
        )

    def singular_value(self, kernel, vector):
        """Return the singular value that belongs to a vector; a scalar with the gradient u v^T."""
        matrix = _matrix(kernel)
        left = ops.stop_gradient(_normalised(ops.matmul(matrix, vector.value)))
        return ops.sum(left * ops.matmul(matrix, vector.value))


def _matrix(kernel):
    return ops.reshape(kernel.value, (-1, kernel.shape[-1]))


def _normalised(vector):
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)


def _unit(vector):
    return vector / np.linalg.norm(vector)
