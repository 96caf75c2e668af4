"""3D convolution with a configurable boundary."""

from typing import Any

import keras
from keras import ops

from kerasgan3d.layers._convolution import BoundaryConvolution, biased
from kerasgan3d.layers._gradient import convolve
from kerasgan3d.layers._padding import pad_circular


@keras.saving.register_keras_serializable(package="kerasgan3d")
class PaddedConv3D(BoundaryConvolution):
    """3^3 convolution of stride 1 with a valid, circular or zero-padded boundary on the same weights.

    Args:
        filters: Number of output channels.
        padding: "valid" (n voxels become n - 2, none of which a boundary affects), "circular" (n stay n, wrapped) or
            "zeros" (n stay n).
        use_bias: Whether to add a bias per channel.
        kernel_initializer: Initialiser of the (3, 3, 3, in, out) kernel.

    Input shape: (batch, z, y, x, channels).

    Raises:
        ValueError: if ``padding`` or ``filters`` is none of these.
    """

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (3, 3, 3, channels, self.filters)

    def convolve(self, inputs: Any, bias: Any) -> Any:
        x = pad_circular(inputs, ((1, 1),) * 3) if self.padding == "circular" else inputs
        kernel = ops.cast(self.kernel, inputs.dtype)
        return biased(convolve(x, kernel, padding="same" if self.padding == "zeros" else "valid"), bias)

    def output_length(self, n: int) -> int:
        return n - 2 if self.padding == "valid" else n
