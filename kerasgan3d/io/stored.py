"""Labels that stay in their file and are read crop by crop."""

import math
import os
from dataclasses import dataclass, field

import numpy as np

from kerasgan3d.io._common import about

_BLOCK_BYTES = 1 << 26


class StoredLabels:
    """Labels of a file that is larger than one wants to read: what a crop holds is read when the crop is taken.

    Args:
        stored: The opened file: shape, dtype, and basic indexing with one slice or integer per axis.
        phase_map: The PhaseMap from its grey values to labels.
        path: Path of the file, for errors.

    Indexing ``labels[0:64, 10, 5:69]`` gives uint8 arrays and takes one slice of step 1 or one integer per axis. A grey
    value of no phase is an error, as everywhere. What goes to another process is the path: the file is opened again
    there.
    """

    dtype = np.dtype(np.uint8)
    reopens = True

    def __init__(self, stored, phase_map, path):
        self._stored, self._phase_map, self._path = stored, phase_map, path
        self.shape = tuple(stored.shape)
        self.depth = getattr(stored, "depth", 1)

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of voxels."""
        return math.prod(self.shape)

    def __getitem__(self, window):
        with about(self._path):
            return self._phase_map.encode(np.asarray(self._stored[window]))

    def __array__(self, dtype=None, copy=None):
        return np.array(self[(slice(None),) * self.ndim], dtype=dtype)

    # Without this, Python would iterate by asking for one integer at a time.
    __iter__ = None

    def __reduce__(self):
        from kerasgan3d.io.reading import reopened  # here, as reading opens what is stored

        return reopened, (os.path.abspath(os.fspath(self._path)), self._phase_map)


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A `Volume` whose labels stay in their file.

    Attributes:
        labels: StoredLabels (z, y, x).
        phases: The names of the phases, in the order of the labels.
        voxel_size: The edge of a voxel in µm, or None where it is unknown.
        periodic: Whether the volume is periodic along z, y and x: three bools.
        provenance: Where the volume came from: a dict that JSON can hold.
    """

    labels: StoredLabels
    phases: tuple
    voxel_size: float | None
    periodic: tuple
    provenance: dict = field(default_factory=dict)

    @property
    def shape(self):
        """The number of voxels along z, y and x."""
        return self.labels.shape


def windows(array):
    """Cut an array, stored or not, into windows of whole planes of some 64 MB, in order, for what is done in passes.

    Args:
        array: What has a shape and a dtype, and, where it is stored in chunks, their `depth` along the first axis.

    Returns:
        List of tuples of slices that cover the array.
    """
    plane = max(1, math.prod(array.shape[1:]) * np.dtype(array.dtype).itemsize)
    depth = getattr(array, "depth", 1)
    step = max(1, _BLOCK_BYTES // plane // depth) * depth
    rest = tuple(slice(0, n) for n in array.shape[1:])
    return [(slice(first, min(first + step, array.shape[0])), *rest) for first in range(0, array.shape[0], step)]
