"""Convolutions of critics: Keras's own, with gradients that are as fast on a CPU."""

from typing import Any

from keras import layers

from kerasgan3d.layers._gradient import convolve


def _convolution_op(self: Any, inputs: Any, kernel: Any) -> Any:
    """Compute the convolution alone, to which Keras's layer adds bias and activation."""
    return convolve(inputs, kernel, self.strides[0], self.padding)


class CriticConv2D(layers.Conv2D):
    """A 2D convolution with the same stride along both axes."""

    convolution_op = _convolution_op


class CriticConv3D(layers.Conv3D):
    """A 3D convolution with the same stride along all axes."""

    convolution_op = _convolution_op
