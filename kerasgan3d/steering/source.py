"""The generator that is steered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kerasgan3d.zoo import load_generator

if TYPE_CHECKING:
    from kerasgan3d.models import Generator


def as_generator(source: Generator | str | os.PathLike[str]) -> Generator:
    """Return a generator unchanged, or load the one with that name.

    Raises:
        ValueError, OSError: as ``load_generator``.
    """
    return load_generator(source) if isinstance(source, (str, os.PathLike)) else source
