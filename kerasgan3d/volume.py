"""`Volume`: labels with all the facts needed to interpret them.

The class is defined in `kerasgan3d.io`, because it reads and writes its own files.
"""

from kerasgan3d.io.volume import Volume

__all__ = ["Volume"]
