"""What of an image may not be used: boxes, and what lies outside a mask."""

import hashlib
import math

import numpy as np

from kerasgan3d import io
from kerasgan3d.data import box_window


class Excluded:
    """What lies in one of some boxes, or where a mask is 0; made for the crops that are asked for."""

    dtype = np.dtype(bool)

    def __init__(self, shape, boxes, mask):
        self.shape, self._boxes, self._mask = tuple(shape), boxes, mask
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    @classmethod
    def of(cls, image, exclude, mask, facts):
        """What is excluded of an image, or None; and note it."""
        boxes = [box_pairs(box) for box in exclude or ()]
        if boxes:
            facts["excluded"] = boxes
        windows = [box_window(box, image.shape) for box in boxes]
        if mask is None:
            return cls(image.shape, windows, None) if windows else None
        used = io.open_image(mask)
        if used.shape not in (image.shape, image.shape[1:]):
            raise ValueError(
                f"`mask` must have the shape of the data, {' x '.join(map(str, image.shape))}. Received: "
                f"{' x '.join(map(str, used.shape))} in {mask}."
            )
        facts["mask"] = {"file": io.source_name(mask), "sha256": digest(used)}
        return cls(image.shape, windows, used)

    def __getitem__(self, window):
        if self._mask is None:
            block = np.zeros([len(range(n)[part]) for n, part in zip(self.shape, _ranges(window), strict=True)], bool)
        else:
            used = np.asarray(self._mask[tuple(_ranges(window))[-len(self._mask.shape) :]]) != 0
            lengths = [len(range(n)[part]) for n, part in zip(self.shape, _ranges(window), strict=True)]
            block = ~np.broadcast_to(used, lengths)
        for box in self._boxes:
            inside = []
            for part, asked, n in zip(box, _ranges(window), self.shape, strict=True):
                first, stop, _ = asked.indices(n)
                inside.append(slice(max(0, part.start - first), max(0, min(part.stop, stop) - first)))
            block[tuple(inside)] = True
        return block[tuple(slice(None) if isinstance(part, slice) else 0 for part in window)]


def with_box(excluded, window, shape):
    """What is excluded, and a window too."""
    if window is None:
        return excluded
    box = Excluded(shape, [window], None)
    return box if excluded is None else _Union(excluded, box)


def box_pairs(box):
    """A box as lists, as JSON holds it."""
    return [None if pair is None else [int(end) for end in pair] for pair in box]


def digest(image):
    """The sha256 of an image's values in order."""
    digest = hashlib.sha256()
    for window in io.windows(image):
        digest.update(np.ascontiguousarray(image[window]))
    return digest.hexdigest()


class _Union:
    """What lies in one of two exclusions."""

    dtype = np.dtype(bool)

    def __init__(self, a, b):
        self._parts, self.shape, self.ndim, self.size = (a, b), a.shape, a.ndim, a.size

    def __getitem__(self, window):
        a, b = (part[window] for part in self._parts)
        return a | b


def _ranges(window):
    """The window with slices of one place where it has integers."""
    return [part if isinstance(part, slice) else slice(part, part + 1) for part in window]
