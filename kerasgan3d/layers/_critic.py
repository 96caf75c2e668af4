"""The convolutions of critics: Keras's own, with gradients that take no longer on a processor."""

from typing import Any

from keras import layers

from kerasgan3d.layers._gradient import convolve


class _Convolution:
    """What replaces ``convolution_op``, for both numbers of dimensions."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        strides, padding = self.strides[0], self.padding  # pyright: ignore[reportAttributeAccessIssue]
        return convolve(inputs, kernel, strides, padding)


class CriticConv2D(_Convolution, layers.Conv2D):
    """A 2D convolution of one stride along both axes."""


class CriticConv3D(_Convolution, layers.Conv3D):
    """A 3D convolution of one stride along all axes."""
