"""The one way up: what a class of a lower room offers, and a room above it does, such as ``volume.plot()``.

Methods of one line hand on what they are asked for; nothing else of their room needs the rooms above.
"""

import importlib
from typing import Any


def upward(module: str, name: str) -> Any:
    """Return what a module of kerasgan3d calls by this name; it is imported now, when it is asked for."""
    return getattr(importlib.import_module(f"kerasgan3d.{module}"), name)
