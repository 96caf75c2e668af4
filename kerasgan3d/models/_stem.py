"""The layers of a generator at the resolution of its latents, in float64."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from kerasgan3d.checks import cores

# F(4, 3) of Lavin & Gray, CVPR 2016 (arXiv:1509.09308): 4 outputs along an axis from 6 inputs by 6 products instead of
# 12; in 3D 3.4 products per output instead of 27. Its rounding errors in float64 are 1e-13.
_INPUTS = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    "float64",
)
_TAPS = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_OUTPUTS = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], "float64")
_PLANE_INPUTS, _PLANE_OUTPUTS = np.kron(_INPUTS, _INPUTS), np.kron(_OUTPUTS, _OUTPUTS)
_AT_ONCE = (8, 24, 24)  # places (z, y, x) that a thread computes at once, in some 80 MB for 160 channels
# OpenBLAS splits larger products among its own threads, 216 times a layer, each time waiting for the slowest: much
# slower where other processes use the same cores. Threads here share whole pieces instead.
_PRODUCT = 2**18
_MOST_THREADS = 8
_ROOM = threading.local()


class Stem:
    """Layers of a network with residual convolutions before the resolution doubles for the first time.

    Residual convolutions at the lowest resolution need wide margins, but few places: 4 MB of features for a tile of
    256^3 voxels. They are therefore computed once for many tiles, and in float64, so that voxels that are decided in
    float64 need no earlier layers.

    Args:
        stages: The first convolution and the residual ones that follow, see `kerasgan3d.models._sampler.Stage`.
    """

    def __init__(self, stages: Sequence[Any]):
        self._stages = stages
        self._layers = [(transformed(stage.kernel), stage.bias, stage.kind == "residual") for stage in stages]
        self.halo = len(stages)  # latents lost at each face

    def is_of(self, stages: Sequence[Any]) -> bool:
        """Tell whether the stem has these stages: transforming the kernels takes a tenth of the time of a tile."""
        return len(stages) == len(self._stages) and all(
            np.array_equal(a, b)
            for one, other in zip(stages, self._stages, strict=True)
            for a, b in zip(one[:2], other[:2], strict=True)
        )

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """Compute features (z, y, x, channels), float64, of latents (z, y, x, channels), ``halo`` fewer per face."""
        x = latents.astype("float64")
        for kernel, bias, residual in self._layers:
            y = convolved(x, kernel)
            y += bias
            if residual:
                y += x[1:-1, 1:-1, 1:-1]
            x = np.maximum(y, 0, out=y)
        return x


def transformed(kernel: np.ndarray) -> np.ndarray:
    """Transform a kernel (3, 3, 3, in, out) for ``convolved``: (216, in, out)."""
    found = np.einsum("ai,bj,ck,ijkmn->bcamn", _TAPS, _TAPS, _TAPS, kernel, optimize=True)
    return found.reshape(216, *kernel.shape[3:])


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve (z, y, x, in) with a ``transformed`` kernel, without padding: (z - 2, y - 2, x - 2, out)."""
    size = [n - 2 for n in x.shape[:3]]
    y = np.empty((*size, kernel.shape[-1]))

    def fill(start):
        out = tuple(slice(a, a + n) for a, n in zip(start, _AT_ONCE, strict=True))
        _convolved(x[tuple(slice(part.start, part.stop + 2) for part in out)], kernel, y[out])

    list(_threads().map(fill, product(*(range(0, n, step) for n, step in zip(size, _AT_ONCE, strict=True)))))
    return y


@cache
def _threads():
    return ThreadPoolExecutor(min(_MOST_THREADS, cores()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a fork has none of its parent's threads


def _room(name, shape):
    """Return a buffer of this thread: allocating memory anew takes longer than the computation."""
    n, found = math.prod(shape), getattr(_ROOM, name, None)
    if found is None or len(found) < n:
        found = np.empty(n)
        setattr(_ROOM, name, found)
    return found[:n].reshape(shape)


def _convolved(x, kernel, y):
    tz, ty, tx = (-(-n // 4) for n in y.shape[:3])
    depth, (c_in, c_out) = 4 * tz + 2, kernel.shape[1:]
    padded = _room("padded", (depth, 4 * ty + 2, 4 * tx + 2, c_in))
    padded[:] = 0
    padded[tuple(slice(n) for n in x.shape[:3])] = x
    windows = np.lib.stride_tricks.sliding_window_view
    tiles = _room("tiles", (depth, ty, tx, 6, 6, c_in))
    tiles[:] = windows(padded, (6, 6), axis=(1, 2))[:, ::4, ::4].transpose(0, 1, 2, 4, 5, 3)
    # The rows of these matrices are not contiguous: BLAS accepts that, and nothing is transposed.
    planes = _room("planes", (36, depth, ty * tx, c_in))
    np.matmul(_PLANE_INPUTS, tiles.reshape(depth, ty * tx, 36, c_in), out=planes.transpose(1, 2, 0, 3))
    columns = windows(planes.reshape(36, depth, -1), 6, axis=1)[:, ::4].transpose(0, 1, 3, 2)
    terms = _room("terms", (36, 6, tz, ty * tx * c_in))
    np.matmul(_INPUTS, columns, out=terms.transpose(0, 2, 1, 3))
    products = _room("products", (36, 6, tz, ty * tx * c_out))
    _multiply(terms.reshape(216, -1, c_in), kernel, products.reshape(216, -1, c_out))
    rows = _room("planes", (36, tz, 4, ty * tx * c_out))
    np.matmul(_OUTPUTS, products.transpose(0, 2, 1, 3), out=rows)
    found = _room("tiles", (4 * tz, ty * tx, 16, c_out))
    np.matmul(_PLANE_OUTPUTS, rows.reshape(36, 4 * tz, ty * tx, c_out).transpose(1, 2, 0, 3), out=found)
    found = found.reshape(4 * tz, ty, tx, 4, 4, c_out).transpose(0, 1, 3, 2, 4, 5)
    y[:] = found.reshape(4 * tz, 4 * ty, 4 * tx, c_out)[tuple(slice(n) for n in y.shape[:3])]


def _multiply(terms, kernel, out):
    """Multiply (216, rows, in) by (216, in, out), a few rows at a time."""
    rows, (n_in, n_out) = terms.shape[1], kernel.shape[1:]
    at_once = min(rows, max(1, _PRODUCT // (n_in * n_out)))
    whole = rows // at_once * at_once
    for part, n in ((slice(0, whole), at_once), (slice(whole, rows), rows - whole)):
        if n:
            some = terms[:, part].reshape(216, -1, n, n_in)
            np.matmul(some, kernel[:, None], out=out[:, part].reshape(216, -1, n, n_out))
