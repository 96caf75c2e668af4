"""Critic of plane sections."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasgan3d.deprecation import renamed
from kerasgan3d.layers._critic import CriticConv2D
from kerasgan3d.layers._padding import check_filters
from kerasgan3d.models._model import Model
from kerasgan3d.models._process import check_settings


@keras.saving.register_keras_serializable(package="kerasgan3d")
class SliceDiscriminator(Model):
    """Critic that distinguishes real 2D slices from slices of generated volumes, for training on micrographs.

    4^2 convolutions of stride 2 with LeakyReLU 0.2, a 3^2 convolution to one channel, and the mean over its positions;
    no normalisation, so that slices of a batch do not affect each other, as the R1 penalty requires. Slice critics
    along three axes: Kench & Cooper, Nat. Mach. Intell. 3 (2021) 299, doi 10.1038/s42256-021-00322-1.

    Args:
        n_phases: Number of phases, the channels of the input.
        widths: Channels after each convolution of stride 2.

    Input shape: (batch, rows, columns, n_phases). Output shape: (batch,), logits.

    Raises:
        ValueError: if an argument is invalid.
    """

    @renamed("phases", "n_phases")
    def __init__(self, n_phases: int = 3, widths: Sequence[int] = (32, 64, 128, 256), **kwargs: Any) -> None:
        check_settings()
        super().__init__(**kwargs)
        self.n_phases = check_filters(n_phases)
        self.widths = tuple(check_filters(width) for width in widths)
        self.convolutions = [
            CriticConv2D(f, 4, 2, "same", kernel_initializer="glorot_uniform", name=f"convolution_{i}")
            for i, f in enumerate(self.widths)
        ]
        self.head = CriticConv2D(1, 3, padding="same", name="head")
        self.build((None, None, None, self.n_phases))

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the weights; the constructor calls this."""
        channels = input_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, channels))
            channels = convolution.filters
        self.head.build((None, None, None, channels))
        self.built = True

    def call(self, slices: Any, training: bool = False) -> Any:
        x = slices
        for convolution in self.convolutions:
            x = ops.leaky_relu(convolution(x), 0.2)
        return ops.mean(ops.cast(self.head(x), "float32"), axis=(1, 2, 3))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0],)

    def compute_output_spec(self, slices: Any, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(slices.shape), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the hyper-parameters from which the constructor makes the same network."""
        return {**super().get_config(), "n_phases": self.n_phases, "widths": list(self.widths)}
