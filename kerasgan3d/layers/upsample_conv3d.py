"""Up-sampling and convolution in one, in the four-tap form."""

from typing import Any

import keras
from keras import ops

from kerasgan3d.layers._convolution import BoundaryConvolution
from kerasgan3d.layers.transposed_conv3d import eighths, transposed_conv3d


@keras.saving.register_keras_serializable(package="kerasgan3d")
class UpsampleConv3D(BoundaryConvolution):
    """Nearest-neighbour up-sampling by 2 and a 3^3 convolution, computed as one transposed convolution.

    Resize-convolution starts free of the checkerboards of a transposed convolution (Odena et al., Distill 2016,
    doi 10.23915/distill.00003). It equals a transposed convolution of stride 2 whose kernel is, along each axis,
    [w2, w1 + w2, w0 + w1, w0] for a 3-tap kernel [w0, w1, w2]: 8 multiplications per output voxel instead of 27.

    Args:
        filters: Number of output channels.
        padding: "valid" (n voxels become 2n - 2, none of which a boundary affects), "circular" (2n, wrapped) or
            "zeros" (2n).
        use_bias: Whether to add a bias per channel.
        kernel_initializer: Initialiser of the (3, 3, 3, in, out) kernel.

    Input shape: (batch, z, y, x, channels).

    Raises:
        ValueError: if ``padding`` or ``filters`` is none of these.
    """

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (3, 3, 3, channels, self.filters)

    def convolve(self, inputs: Any, bias: Any) -> Any:
        taps = eighths(four_tap(ops.cast(self.kernel, inputs.dtype)))
        return transposed_conv3d(inputs, taps, bias, self.padding)

    def output_length(self, n: int) -> int:
        return 2 * n - 2 if self.padding == "valid" else 2 * n


def four_tap(kernel: Any, xp: Any = ops) -> Any:
    """Return the kernel of the transposed convolution that equals up-sampling and ``kernel``: (4, 4, 4, in, out).

    ``xp`` is the array module: ``keras.ops`` or ``numpy``.
    """
    for _ in range(3):  # each pass moves the first axis to third place; unstacking has faster gradients than indexing
        w0, w1, w2 = ops.unstack(kernel, 3) if xp is ops else kernel
        kernel = xp.stack([w2, w1 + w2, w0 + w1, w0], axis=2)
    return kernel
