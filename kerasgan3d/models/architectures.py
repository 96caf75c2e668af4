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
    # More than twice the weights.
    "wide": {**_OURS, "widths": (320, 160, 64, 32)},
    # Gayon-Lombardo et al., npj Comput. Mater. 6:82 (2020), Table 4; weights drawn as for DCGAN (Radford et al. 2016).
    "paper": {
        "latent_channels": 100,
        "widths": (512, 256, 128, 64),
        "upsampling": "transposed",
        "output_bias": False,
        "initializer": {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.02, "seed": None}},
    },
}
LIMITS = {"phases": 255, "latent_channels": 4096, "widths": 4096, "layers": 8, "weights": 2**28}


def architecture(name: str) -> dict[str, Any]:
    """Return the hyper-parameters of an architecture.

    Raises:
        ValueError: if there is none of that name.
    """
    return ARCHITECTURES[check_one_of(name, "name", tuple(ARCHITECTURES))]


def check_phase_names(phases: Any) -> tuple[str, ...]:
    """Return the names of the phases of a generator, from names, a PhaseMap or their number."""
    if is_integer(phases):
        n, names = int(phases), None
    else:
        names = PhaseMap(phases).names
        n = len(names)
    if not 2 <= n <= LIMITS["phases"]:
        raise ValueError(f"`phases` must number 2 to {LIMITS['phases']}. Received: {n}.")
    return names or default_names(n)


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return the channels after each layer but the last."""
    if not isinstance(widths, list | tuple) or not 1 <= len(widths) <= LIMITS["layers"]:
        raise ValueError(f"`widths` must hold 1 to {LIMITS['layers']} channel counts. Received: {widths!r}.")
    return tuple(check_integer(width, "widths", 1, LIMITS["widths"]) for width in widths)


def check_weights(channels: Sequence[int], taps: int) -> None:
    """Check that a network of so many channels, kernels of so many taps, is not too large."""
    weights = taps * sum(a * b for a, b in pairwise(channels))
    if weights > LIMITS["weights"]:
        raise ValueError(
            f"`widths` and `latent_channels` must make at most {LIMITS['weights']} weights. Received: {weights}."
        )


def check_one_of(value: Any, name: str, allowed: Sequence[Any]) -> Any:
    """Return a value that is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {value!r}.")
    return value


def fresh_initializer(initializer: Any) -> Any:
    """Return a fresh initialiser of the same kind: Keras warns when one unseeded instance serves twice."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
