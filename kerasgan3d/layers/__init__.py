"""Layers: periodic padding, and up-sampling without checkerboard or boundary artefacts."""

import kerasgan3d.quiet  # noqa: F401 before Keras
from kerasgan3d.layers.circular_pad3d import CircularPad3D
from kerasgan3d.layers.conv3d import PaddedConv3D
from kerasgan3d.layers.transposed_conv3d import TransposedConv3D
from kerasgan3d.layers.upsample_conv3d import UpsampleConv3D

__all__ = ["CircularPad3D", "PaddedConv3D", "TransposedConv3D", "UpsampleConv3D"]
