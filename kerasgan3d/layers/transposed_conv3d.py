"""The paper's transposed convolution, with a configurable boundary."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasgan3d.layers._convolution import BoundaryConvolution, biased
from kerasgan3d.layers._gradient import convolve
from kerasgan3d.layers._padding import crop, pad_circular

# The taps of a 4^3 kernel as (tap of the ordinary convolution, sub-voxel): along an axis, 2 of each.
_EIGHTHS = np.arange(64).reshape((2,) * 6)[::-1, :, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5).ravel()


def transposed_conv3d(x: Any, taps: Any, bias: Any, padding: str) -> Any:
    """Up-sample by 2 with a transposed convolution of kernel 4 and a boundary given by ``padding``.

    It is computed as one ordinary 2^3 convolution: the 2^3 output voxels around each corner between input voxels depend
    on the 2^3 input voxels that meet there, each through its own eighth of the kernel. The number of multiplications is
    the same, a convolution with 8 times the channels runs several times faster, and no voxel that a boundary affects is
    computed.

    Args:
        x: (batch, z, y, x, in).
        taps: The kernel's ``eighths``.
        bias: (out,), or None.
        padding: "zeros" is the usual one, n -> 2n, whose outermost voxels lack a neighbour's contribution; "valid"
            drops these, n -> 2n - 2; "circular" takes the contribution from the opposite side, n -> 2n.
    """
    if padding == "circular":
        x = pad_circular(x, ((1, 1),) * 3)
    elif padding == "zeros":
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
    # Adding the bias before interleaving, to 8 times the channels, is faster.
    bias = None if bias is None else ops.tile(bias, 8)
    y = interleave(biased(convolve(x, taps), bias), taps.shape[-1] // 8)
    return y if padding == "valid" else crop(y, 1)


def eighths(kernel: Any, xp: Any = ops, swapped: bool = False) -> Any:
    """Return a (4, 4, 4, in, out) kernel as that of the ordinary convolution: (2, 2, 2, in, 8 out), sub-voxels first.

    ``xp`` is the array module: ``keras.ops`` or ``numpy``. A ``swapped`` kernel is (4, 4, 4, out, in).
    """
    # Transposing eight axes would also work, but its gradients are a hundred times slower.
    taps = xp.take(xp.reshape(kernel, (64, *kernel.shape[3:])), _EIGHTHS, axis=0)
    if swapped:
        n_out, n_in = kernel.shape[3:]
        taps = xp.transpose(xp.reshape(taps, (8, 8 * n_out, n_in)), (0, 2, 1))
    else:
        n_in, n_out = kernel.shape[3:]
        taps = xp.transpose(xp.reshape(taps, (8, 8, n_in, n_out)), (0, 2, 1, 3))
    return xp.reshape(taps, (2, 2, 2, n_in, 8 * n_out))


def interleave(y: Any, channels: int) -> Any:
    """Interleave sub-voxels: (batch, z, y, x, 2 * 2 * 2 * channels) to (batch, 2z, 2y, 2x, channels)."""
    _, depth, rows, columns, _ = ops.shape(y)
    y = ops.reshape(y, (-1, depth, rows, columns, 2, 2, 2 * channels))
    y = ops.transpose(y, (0, 1, 4, 2, 5, 3, 6))
    return ops.reshape(y, (-1, 2 * depth, 2 * rows, 2 * columns, channels))


@keras.saving.register_keras_serializable(package="kerasgan3d")
class TransposedConv3D(BoundaryConvolution):
    """Transposed convolution with a 4^3 kernel, as in the generator of Gayon-Lombardo et al. (2020), Table 4.

    Args:
        filters: Number of output channels.
        strides: 2 doubles the resolution. 1 is the paper's first layer, which grows one voxel into 4^3.
        padding: "zeros": n -> 2n for stride 2 and n -> n + 3 for stride 1, as in the paper. "valid": n -> 2n - 2 and
            n -> n - 3, only voxels that no boundary affects. "circular": n -> 2n and n -> n, wrapped.
        use_bias: Whether to add a bias per channel (the paper does not).
        kernel_initializer: Initialiser of the (4, 4, 4, out, in) kernel.

    Input shape: (batch, z, y, x, channels). In coordinates, output voxel i of stride 1 (circular) depends on input
    voxels i - 2 to i + 1; output voxels 2i and 2i + 1 of stride 2 coincide with input voxel i.

    Raises:
        ValueError: if ``filters``, ``strides`` or ``padding`` is none of these.
    """

    def __init__(
        self,
        filters: int,
        strides: int = 2,
        padding: str = "valid",
        use_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, padding, use_bias, kernel_initializer, **kwargs)
        if strides not in (1, 2):
            raise ValueError(f"`strides` must be 1 or 2. Received: {strides!r}.")
        self.strides = strides

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (4, 4, 4, self.filters, channels)

    def convolve(self, inputs: Any, bias: Any) -> Any:
        if self.strides == 1 and self.padding == "zeros":
            y = ops.conv_transpose(inputs, self.kernel, strides=1, padding="valid", data_format="channels_last")
            return biased(y, bias)
        kernel = ops.cast(self.kernel, inputs.dtype)
        if self.strides == 2:
            return transposed_conv3d(inputs, eighths(kernel, swapped=True), bias, self.padding)
        # Away from boundaries this is the ordinary convolution with the kernel reversed.
        n_out, n_in = kernel.shape[3:]
        taps = ops.transpose(ops.flip(ops.reshape(kernel, (64, n_out, n_in)), axis=0), (0, 2, 1))
        kernel = ops.reshape(taps, (4, 4, 4, n_in, n_out))
        x = pad_circular(inputs, ((2, 1),) * 3) if self.padding == "circular" else inputs
        return biased(convolve(x, kernel), bias)

    def output_length(self, n: int) -> int:
        change = {"zeros": 3, "valid": -3} if self.strides == 1 else {"valid": -2}
        return self.strides * n + change.get(self.padding, 0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strides": self.strides}
