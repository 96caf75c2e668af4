"""Base class of the convolutions: channels, a configurable boundary, an optional bias."""

from typing import Any

import keras
from keras import ops

from kerasgan3d.layers._padding import check_filters, check_padding


def biased(x: Any, bias: Any) -> Any:
    """Add a bias per channel to ``x``; return ``x`` itself where ``bias`` is None."""
    return x if bias is None else ops.add(x, bias)


class BoundaryConvolution(keras.layers.Layer):
    """Base of the 3D convolutions: (batch, z, y, x, channels) in and out.

    Args:
        filters: Number of output channels.
        padding: "valid", "circular" or "zeros", as described for each layer.
        use_bias: Whether to add a bias per channel.
        kernel_initializer: Initialiser of the kernel.

    Raises:
        ValueError: if ``padding`` or ``filters`` is none of these.
    """

    def __init__(
        self,
        filters: int,
        padding: str = "valid",
        use_bias: bool = False,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_filters(filters)
        self.padding = check_padding(padding)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the shape of the kernel for an input of ``channels`` channels."""
        raise NotImplementedError

    def convolve(self, inputs: Any, bias: Any) -> Any:
        """Compute the output; ``bias`` is None or of the inputs' type."""
        raise NotImplementedError

    def output_length(self, n: int) -> int:
        """Return the number of output voxels along an axis for ``n`` input voxels."""
        raise NotImplementedError

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=self.kernel_shape(input_shape[-1]), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        return self.convolve(inputs, None if self.bias is None else ops.cast(self.bias, inputs.dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        lengths = (None if n is None else self.output_length(n) for n in input_shape[1:4])
        return (input_shape[0], *lengths, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
