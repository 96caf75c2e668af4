"""Networks: the generator, and the critics for its training."""

from __future__ import annotations

import warnings
from typing import Any

import kerasgan3d.quiet  # noqa: F401 before Keras
from kerasgan3d.models.architectures import ARCHITECTURES
from kerasgan3d.models.generator import Generator
from kerasgan3d.models.slice_discriminator import SliceDiscriminator
from kerasgan3d.models.volume_discriminator import VolumeDiscriminator

__all__ = ["ARCHITECTURES", "Generator", "SliceDiscriminator", "VolumeDiscriminator"]


def __getattr__(name: str) -> Any:
    """Return the architectures by their deprecated name."""
    if name == "PRESETS":
        warnings.warn("PRESETS is now called ARCHITECTURES.", DeprecationWarning, stacklevel=2)
        return ARCHITECTURES
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
