"""Architectures of the generator by name, and the bounds of its hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from kerasgan3d.checks import check_integer, is_integer
from kerasgan3d.phases import PhaseMap, default_names

_OURS = {"latent_channels": 64, "upsampling": "resize", "output_bias": True, "initializer": "he_normal"}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "compact": {**_OURS, "widths": (192, 96, 48, 24)},
    # Gayon-Lombardo et al., npj Comput. Mater. 6:82 (2020), Table 4; initial weights of DCGAN (Radford et al. 2016).
    "paper": {
        "latent_channels": 100,
        "widths": (512, 256, 128, 64),
        "upsampling": "transposed",
        "output_bias": False,
        "initializer": {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.02, "seed": None}},
    },
    # As many multiplications as `compact`, but more of them at low resolution.
    "deep": {**_OURS, "widths": (160, 80, 40, 20), "depths": (2, 1, 0, 0)},
}
_GONE = {"wide": "deep"}  # names of earlier versions, and what to use instead
LIMITS = {"phases": 255, "latent_channels": 4096, "widths": 4096, "layers": 8, "depths": 16, "weights": 2**28}


def architecture(name: str) -> dict[str, Any]:
    """Return the hyper-parameters of an architecture by its name.

    Raises:
        ValueError: if no architecture has that name.
    """
    if isinstance(name, str) and name in _GONE:
        raise ValueError(f"architecture {name!r} is of an earlier version. Use {_GONE[name]!r} instead.")
    return ARCHITECTURES[check_one_of(name, "name", tuple(ARCHITECTURES))]


def check_phase_names(phases: Any) -> tuple[str, ...]:
    """Return the names of a generator's phases, given names, a PhaseMap or their number."""
    if is_integer(phases):
        n, names = int(phases), None
    else:
        names = PhaseMap(phases).names
        n = len(names)
    if not 2 <= n <= LIMITS["phases"]:
        raise ValueError(f"`phases` must number 2 to {LIMITS['phases']}. Received: {n}.")
    return names or default_names(n)


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return the checked channels after each layer but the last."""
    if not isinstance(widths, list | tuple) or not 1 <= len(widths) <= LIMITS["layers"]:
        raise ValueError(f"`widths` must hold 1 to {LIMITS['layers']} channel counts. Received: {widths!r}.")
    return tuple(check_integer(width, "widths", 1, LIMITS["widths"]) for width in widths)


def check_depths(depths: Sequence[int], widths: Sequence[int], upsampling: str) -> tuple[int, ...]:
    """Return the checked number of residual convolutions of each level; () for none."""
    if not isinstance(depths, list | tuple) or len(depths) not in (0, len(widths)):
        raise ValueError(f"`depths` must hold one number per width, {len(widths)}, or none. Received: {depths!r:.200}.")
    depths = tuple(check_integer(depth, "depths", 0, LIMITS["depths"]) for depth in depths)
    if sum(depths) > LIMITS["depths"]:
        raise ValueError(f"`depths` must add up to at most {LIMITS['depths']}. Received: {depths}.")
    if any(depths) and upsampling != "resize":
        raise ValueError(f"`depths` other than 0 need upsampling='resize'. Received: {depths} and {upsampling!r}.")
    return depths if any(depths) else ()


def kernel_weights(channels: Sequence[int], taps: int, depths: Sequence[int] = ()) -> int:
    """Count the weights in the kernels of a network.

    Args:
        channels: Channels of the latents, after each layer, and of the output.
        taps: Taps of a kernel along an axis.
        depths: Residual convolutions after each layer but the last; () for none.
    """
    residual = sum(n * width * width for n, width in zip(depths, channels[1:], strict=False))
    return taps * (sum(a * b for a, b in pairwise(channels)) + residual)


def check_weights(channels: Sequence[int], taps: int, depths: Sequence[int] = ()) -> None:
    """Check that a network is not too large; arguments as for ``kernel_weights``."""
    weights = kernel_weights(channels, taps, depths)
    if weights > LIMITS["weights"]:
        raise ValueError(
            f"`widths` and `latent_channels` must make at most {LIMITS['weights']} weights. Received: {weights}."
        )


def check_one_of(value: Any, name: str, allowed: Sequence[Any]) -> Any:
    """Return a value if it is one of those allowed; raise a ValueError otherwise."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {value!r}.")
    return value


def fresh_initializer(initializer: Any) -> Any:
    """Return a new initialiser of the same kind: Keras warns if one unseeded instance is used twice."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
