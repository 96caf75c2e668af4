"""The layers of a generator at the resolution of its latents, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_ROWS = 2048


class Stem:
    """What a deep network makes of the latents before the first doubling of the resolution.

    A window of it is needed wider than what it fills, by residual convolutions at the lowest resolution, and is small:
    0.3 bytes a voxel. It is therefore computed once for many tiles, and in float64, so that what is decided in float64
    needs to go back no further.

    Args:
        stages: The first convolution and the residual ones that follow, as `kerasgan3d.models._sampler.stages` gives.
    """

    def __init__(self, stages: Sequence[Any]):
        self._stages = stages
        self.halo = len(stages)  # latents more than it fills, at each face

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """Features (z, y, x, channels), float64, of latents (z, y, x, channels): ``halo`` fewer at each face."""
        x = latents.astype("float64")
        for kernel, bias, kind, _ in self._stages:
            y = convolved(x, kernel)
            y += bias
            if kind == "residual":
                y += x[1:-1, 1:-1, 1:-1]
            x = np.maximum(y, 0, out=y)
        return x


def convolved(x, kernel):
    """(z, y, x, in) by a kernel (3, 3, 3, in, out), without padding."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3, 3), axis=(0, 1, 2))
    shape = patches.shape[:3]
    matrix = kernel.reshape(-1, kernel.shape[-1])
    y = np.empty((*shape, kernel.shape[-1]))
    for z in range(shape[0]):
        rows = patches[z].transpose(0, 1, 3, 4, 5, 2).reshape(-1, len(matrix))
        np.matmul(rows, matrix, out=y[z].reshape(-1, kernel.shape[-1]))
    return y
