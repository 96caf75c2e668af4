"""Up-sampling and convolution in one, in the four-tap form."""

import keras
from keras import ops

from kerasgan3d.layers._padding import check_filters, check_padding
from kerasgan3d.layers.transposed_conv3d import transposed_conv3d


@keras.saving.register_keras_serializable(package="kerasgan3d")
class UpsampleConv3D(keras.layers.Layer):
    """Nearest-neighbour up-sampling by 2 and a 3^3 convolution, computed as one transposed convolution.

    Resize-convolution starts free of the checkerboards of a transposed convolution (Odena et al., Distill 2016,
    doi 10.23915/distill.00003). It equals a transposed convolution of stride 2 whose kernel is, along each axis,
    [w2, w1 + w2, w0 + w1, w0] for a 3-tap kernel [w0, w1, w2]: 8 multiplications per output voxel instead of 27.

    Args:
        filters: Number of output channels.
        padding: "valid" (n voxels become 2n - 2, none of which saw a boundary), "circular" (2n, wrapped) or
            "zeros" (2n).
        use_bias: Whether to add a bias per channel.
        kernel_initializer: Initialiser of the (3, 3, 3, in, out) kernel.

    Input shape: (batch, z, y, x, channels).

    Raises:
        ValueError: if ``padding`` or ``filters`` is not of the above.
    """

    def __init__(self, filters, padding="valid", use_bias=False, kernel_initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.filters = check_filters(filters)
        self.padding = check_padding(padding)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, 3, input_shape[-1], self.filters), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def call(self, inputs):
        x = transposed_conv3d(inputs, four_tap(ops.cast(self.kernel, inputs.dtype)), self.padding)
        return x if self.bias is None else ops.add(x, ops.cast(self.bias, x.dtype))

    def compute_output_shape(self, input_shape):
        shrink = 2 if self.padding == "valid" else 0
        return (input_shape[0], *(None if n is None else 2 * n - shrink for n in input_shape[1:4]), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def four_tap(kernel):
    """The (4, 4, 4, in, out) kernel of the transposed convolution that equals up-sampling and ``kernel``: (3, ...)."""
    for axis in range(3):
        w0, w1, w2 = ops.unstack(kernel, 3, axis=axis)
        kernel = ops.stack([w2, w1 + w2, w0 + w1, w0], axis=axis)
    return kernel
