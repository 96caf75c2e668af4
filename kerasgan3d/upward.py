"""Calls from lower packages to higher ones, such as ``volume.plot()``.

A class of a lower package may offer a one-line method that a higher package implements; nothing else goes upward.
"""

import importlib
from typing import Any


def upward(module: str, name: str) -> Any:
    """Return an object of a kerasgan3d module by name, importing the module now."""
    return getattr(importlib.import_module(f"kerasgan3d.{module}"), name)
