"""`Volume`: labels with everything that is needed to make sense of them.

It lives with its files, since it reads and writes itself.
"""

from kerasgan3d.io.volume import Volume

__all__ = ["Volume"]
