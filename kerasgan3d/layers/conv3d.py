"""Convolution whose boundary is a setting."""

import keras
from keras import ops

from kerasgan3d.layers._padding import check_filters, check_padding, pad_circular


@keras.saving.register_keras_serializable(package="kerasgan3d")
class PaddedConv3D(keras.layers.Layer):
    """3^3 convolution without stride, its boundary valid, circular or zeros on the same weights.

    Args:
        filters: Number of output channels.
        padding: "valid" (n voxels become n - 2, none of which saw a boundary), "circular" (n stay n, wrapped) or
            "zeros" (n stay n).
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
        x = pad_circular(inputs, ((1, 1),) * 3) if self.padding == "circular" else inputs
        x = ops.conv(x, self.kernel, padding="same" if self.padding == "zeros" else "valid")
        return x if self.bias is None else ops.add(x, ops.cast(self.bias, x.dtype))

    def compute_output_shape(self, input_shape):
        shrink = 2 if self.padding == "valid" else 0
        return (input_shape[0], *(None if n is None else n - shrink for n in input_shape[1:4]), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
