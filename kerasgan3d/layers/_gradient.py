"""Convolutions whose gradients take no longer than the convolutions themselves.

On CPUs, TensorFlow's gradients of 3D convolutions may take several times as long as the convolutions, and without
oneDNN those of strided ones far longer. Written as sums of matrix products and as convolutions they take about as long.
"""

from __future__ import annotations

import math
import os
from functools import cache
from itertools import product
from typing import Any

import keras
from keras import ops

_LARGE = 2**23  # multiplications at stride 1


def convolve(x: Any, kernel: Any, strides: int = 1, padding: str = "valid") -> Any:
    """Convolve 2D or 3D data, with gradients of any order; in 2D those of the backend are fast.

    Args:
        x: (batch, *space, in).
        kernel: (*taps, in, out).
        strides: 1 or 2, along every axis.
        padding: "valid" or "same".
    """
    taps = tuple(kernel.shape[:-2])
    slow = len(taps) == 3 and _is_slow() and _is_large(x, kernel)
    if not slow or (strides == 2 and (_has_onednn() or (padding, set(taps)) != ("same", {4}))):
        return ops.conv(x, kernel, strides=strides, padding=padding, data_format="channels_last")
    # Variables become tensors: custom gradients are those of the function's arguments.
    kernel = ops.reshape(kernel, kernel.shape)
    if strides == 2:
        # The 2^d voxels of a block as channels: a kernel of 4 taps and stride 2 has 2 taps and stride 1.
        last = [-(-(n + 2) // 2) * 2 - n - 1 for n in ops.shape(x)[1:-1]]
        x = ops.pad(x, ((0, 0), *((1, end) for end in last), (0, 0)))
        return _convolve(_blocks(x, 1), _blocks(kernel, 0))
    if padding == "same":
        x = ops.pad(x, ((0, 0), *(((n - 1) // 2, n // 2) for n in taps), (0, 0)))
    return _convolve(x, kernel)


@ops.custom_gradient
def _convolve(x, kernel):
    """Convolve with stride 1 and without padding, with custom gradients."""
    taps = tuple(kernel.shape[:-2])
    axes = list(range(len(taps)))

    def gradients(*arguments, upstream=None):
        # TensorFlow passes only the upstream gradient, torch passes it by name after the function's arguments.
        upstream = arguments[0] if upstream is None else upstream
        around = ((0, 0), *((n - 1, n - 1) for n in taps), (0, 0))
        swapped = ops.transpose(ops.flip(kernel, axes), (*axes, len(taps) + 1, len(taps)))
        return _convolve(ops.pad(upstream, around), swapped), _kernel_gradient(x, upstream, taps)

    return ops.conv(x, kernel, padding="valid", data_format="channels_last"), gradients


def _kernel_gradient(x, upstream, taps):
    """Return the gradient of the kernel: for each tap, the product of its inputs and the output gradients."""
    batch, *space, n_out = ops.shape(upstream)
    n_in = x.shape[-1]
    outputs = ops.reshape(upstream, (-1, n_out))
    found = []
    for place in product(*map(range, taps)):
        under = ops.slice(x, (0, *place, 0), (batch, *space, n_in))
        found.append(ops.matmul(ops.transpose(ops.reshape(under, (-1, n_in))), outputs))
    return ops.reshape(ops.stack(found), (*taps, n_in, n_out))


def _blocks(x, first):
    """Move pairs along the spatial axes, which begin with ``first``, to the channel axis that follows them."""
    last = len(x.shape) - 2 + first
    chosen = product((0, 1), repeat=last - first)
    parts = [x[(slice(None),) * first + tuple(slice(i, None, 2) for i in place)] for place in chosen]
    return ops.concatenate(parts, axis=last)


def _is_large(x, kernel):
    """Tell whether a convolution is worth the many small operations of these gradients."""
    sizes = (*x.shape[:-1], *kernel.shape)
    return None in sizes or math.prod(sizes) >= _LARGE


def _has_onednn():
    """Tell whether TensorFlow uses oneDNN, whose gradients of strided convolutions are fast."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"


@cache
def _is_slow():
    """Tell whether TensorFlow computes gradients on a CPU."""
    return keras.backend.backend() == "tensorflow" and not keras.distribution.list_devices("gpu")
