"""Periodic padding of volumes."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasgan3d.layers._padding import pad_circular


@keras.saving.register_keras_serializable(package="kerasgan3d")
class CircularPad3D(keras.layers.Layer):
    """Continue a volume periodically at its six faces: ``1234 -> 34 1234 12``.

    With this layer in front of a convolution without padding, the output is periodic too: a cyclic shift of the input
    shifts the output by the same amount.

    Args:
        padding: Number of voxels to add. An int: on every side. Three ints (z, y, x): on both sides of each axis; 0
            leaves an axis unchanged. Three pairs: ((z before, z after), (y before, y after), (x before, x after)).

    Input shape: (batch, z, y, x, channels). Output shape: the same, each spatial axis longer by its padding. A
    padding wider than the volume repeats it as often as necessary.

    Raises:
        ValueError: if ``padding`` has another form or a negative number, or the input does not have five axes.

    Example:
        >>> CircularPad3D((0, 1, 2))(np.zeros((1, 8, 8, 8, 3))).shape
        (1, 8, 10, 12, 3)
    """

    def __init__(self, padding: int | Sequence[int] | Sequence[Sequence[int]] = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = _canonical(padding)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        return pad_circular(inputs, self.padding)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        spatial = [None if n is None else n + sum(pair) for n, pair in zip(input_shape[1:4], self.padding, strict=True)]
        return (input_shape[0], *spatial, input_shape[4])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": [list(pair) for pair in self.padding]}


def _canonical(padding: Any) -> tuple[tuple[int, int], ...]:
    """Return three pairs of non-negative ints from any of the accepted forms."""
    triple = (padding,) * 3 if isinstance(padding, int) else padding
    try:
        pairs = tuple((n, n) if isinstance(n, int) else tuple(n) for n in triple)
    except TypeError:
        pairs = ()
    good = len(pairs) == 3 and all(
        len(pair) == 2 and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in pair)
        for pair in pairs
    )
    if not good:
        raise ValueError(
            "`padding` must be a non-negative int, three of them (z, y, x), or three pairs (before, after). "
            f"Received: {padding!r}."
        )
    return pairs
