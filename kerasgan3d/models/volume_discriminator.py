"""Critic of whole sub-volumes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from kerasgan3d.deprecation import renamed
from kerasgan3d.layers._critic import CriticConv3D
from kerasgan3d.layers._padding import check_filters
from kerasgan3d.models._model import Model
from kerasgan3d.models._process import check_settings
from kerasgan3d.models.architectures import fresh_initializer


@keras.saving.register_keras_serializable(package="kerasgan3d")
class VolumeDiscriminator(Model):
    """Critic that distinguishes real sub-volumes from generated ones.

    Five 4^3 convolutions with 16, 32, 64, 128 and 1 channels and LeakyReLU 0.2 (Gayon-Lombardo et al. 2020, Table 4):
    four of stride 2, the last over the 4^3 voxels that remain of 64^3. The output is logits: the paper's sigmoid is
    part of the loss here, which is numerically more stable.

    Args:
        n_phases: Number of phases, the channels of the input.
        widths: Channels after each convolution but the last.
        normalization: None, or "batch" for batch normalisation after each convolution but the first and the last.
        initializer: Initialiser of the kernels.

    Input shape: (batch, z, y, x, n_phases), 64^3 or more for four widths. Output shape: (batch,), the mean over the
    positions of the last convolution.

    Raises:
        ValueError: if an argument is invalid.
    """

    @renamed("phases", "n_phases")
    def __init__(
        self,
        n_phases: int = 3,
        widths: Sequence[int] = (16, 32, 64, 128),
        normalization: str | None = None,
        initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        check_settings()
        super().__init__(**kwargs)
        if normalization not in (None, "batch"):
            raise ValueError(f"`normalization` must be None or 'batch'. Received: {normalization!r}.")
        self.n_phases = check_filters(n_phases)
        self.widths = tuple(check_filters(width) for width in widths)
        self.normalization = normalization
        self.initializer = keras.initializers.get(initializer)
        options: dict[str, Any] = {"use_bias": normalization is None}
        self.convolutions = [
            CriticConv3D(
                f,
                4,
                2,
                "same",
                kernel_initializer=fresh_initializer(self.initializer),
                name=f"convolution_{i}",
                **options,
            )
            for i, f in enumerate(self.widths)
        ]
        self.normalizations = [
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"normalization_{i}")
            for i in range(1, len(self.widths) if normalization else 0)
        ]
        self.head = CriticConv3D(1, 4, kernel_initializer=fresh_initializer(self.initializer), name="head", **options)
        self.build((None, None, None, None, self.n_phases))

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the weights; the constructor calls this."""
        channels = input_shape[-1]
        for i, convolution in enumerate(self.convolutions):
            convolution.build((None, None, None, None, channels))
            channels = convolution.filters
            if i > 0 and self.normalizations:
                self.normalizations[i - 1].build((None, None, None, None, channels))
        self.head.build((None, None, None, None, channels))
        self.built = True

    def call(self, volumes: Any, training: bool = False) -> Any:
        x = volumes
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if i > 0 and self.normalizations:
                x = self.normalizations[i - 1](x, training=training)
            x = ops.leaky_relu(x, 0.2)
        return ops.mean(ops.cast(self.head(x), "float32"), axis=(1, 2, 3, 4))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0],)

    def compute_output_spec(self, volumes: Any, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(volumes.shape), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the hyper-parameters from which the constructor makes the same network."""
        return {
            **super().get_config(),
            "n_phases": self.n_phases,
            "widths": list(self.widths),
            "normalization": self.normalization,
            "initializer": keras.initializers.serialize(self.initializer),
        }
