"""Interpretation of a file's metadata: which axis is which, and how large a voxel is.

A reader collects the metadata of its file, and `judged` decides what is read, or refuses it. Reading at once and window
by window use the same `Layout`, so that they cannot differ.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.io._common import FileError, Opened, check_array, micrometres, reading
from kerasgan3d.io._layout import PACKED, check_declared
from kerasgan3d.io.lazy import LazyArray

_AXES = {
    **dict.fromkeys(("z", "depth", "plane", "pln", "slice", "slices"), "z"),
    **dict.fromkeys(("y", "height", "row", "rows"), "y"),
    **dict.fromkeys(("x", "width", "column", "columns", "col"), "x"),
    **dict.fromkeys(("t", "time", "frame", "frames"), "t"),
    **dict.fromkeys(("c", "s", "channel", "channels", "sample", "samples"), "c"),
}
# Names that programs give to unnamed axes.
_UNNAMED = re.compile(r"[qi]?|(phony_)?(dim|axis|d)[_ ]?\d*|unknown|none")


class Layout(NamedTuple):
    """Layout of an image within a stored array.

    Attributes:
        kept: For each axis of the image, (z, y, x) or (y, x), the stored axis; None for an added axis of one voxel.
        shape: Shape of the image.
        spacing: Edges of a voxel along z, y and x in µm, or None where they are unknown.
        ratio: The same without a unit, where only that is stated and they differ; else None.
        step: Distance of slices along z in µm, where a single plane states it; else None.
    """

    kept: tuple[int | None, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    ratio: tuple[float, ...] | None
    step: float | None = None


def judged(
    path: Any,
    shape: Sequence[int],
    dtype: Any,
    axes: Sequence[str] = (),
    edges: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    record: Any = None,
    stored: int | None = None,
    densest: int = PACKED,
) -> Layout:
    """Interpret the metadata of an image before any of it is read.

    Args:
        path: Path of the file, for errors.
        shape, dtype: Shape and type of the stored array.
        axes: Its axes by name, as the file names them; empty where it does not.
        edges: Edge of a voxel and its unit for each axis (z, y, x) for which the file states them.
        record: kerasgan3d's note, which records axes of one voxel.
        stored, densest: Stored bytes and largest plausible compression, as for `check_declared`.

    Raises:
        FileError: if it is not an integer image with two or three spatial axes, or stores less than it declares.
    """
    shape, dtype = tuple(map(int, shape)), np.dtype(dtype)
    names = [_axis(name) for name in axes] if len(axes) == len(shape) else [None] * len(shape)
    if not {"z", "y", "x", "t", "c"} & set(names):
        names = [None] * len(shape)
    _check_axes(path, shape, names, axes)
    letters, kept = _kept(shape, names)
    image = tuple(shape[axis] for axis in kept)
    noted = record.get("shape") if isinstance(record, dict) else None
    if isinstance(noted, list) and len(noted) == 3 and [n for n in noted if n != 1] == [n for n in image if n != 1]:
        long = iter([axis for axis in kept if shape[axis] != 1])
        letters, kept = "zyx", tuple(None if n == 1 else next(long) for n in noted)
        image = tuple(noted)
    check_array(path, image, dtype)
    check_declared(path, image, dtype, stored, densest)
    lengths = {_axis(axis): edge for axis, edge in (edges or {}).items()}
    number, unit = lengths.get("z", (None, None))
    told = math.prod(image[:-2]) == 1 and _is_length(number) and micrometres(unit)
    return Layout(kept, image, *_edges(letters, image, lengths), float(number) * told if told else None)


def arranged(path: Any, kind: str, stored: Any, layout: Layout, *, whole: Any = None, meaning: Any = None) -> LazyArray:
    """Return a stored array as the image of a layout: a LazyArray.

    Args:
        path, kind: Path and kind of the file, for errors, as for `reading`.
        stored: An object with shape, dtype and basic indexing, and `chunks` where it is stored in chunks.
        layout: Result of `judged`.
        whole: A function that reads the whole array faster than by windows, or None.
        meaning: A function from stored values to grey values, or None where they are the same.
    """
    order = [axis for axis in layout.kept if axis is not None]
    order += [axis for axis in range(len(stored.shape)) if axis not in order]

    def image(block, lengths):
        block = np.asarray(block).transpose(order).reshape(lengths)
        return block if meaning is None else meaning(block)

    def read(window):
        places = {axis: part for axis, part in zip(layout.kept, window, strict=True) if axis is not None}
        with reading(path, kind):
            block = stored[tuple(places.get(axis, slice(0, 1)) for axis in range(len(stored.shape)))]
            return image(block, [part.stop - part.start for part in window])

    first = next((axis for axis in layout.kept if axis is not None), 0)
    depth = 1 if layout.kept[0] is None else (getattr(stored, "chunks", None) or (1,) * len(stored.shape))[first]
    at_once = whole and (lambda: np.ascontiguousarray(image(whole(), layout.shape)))
    dtype = stored.dtype if meaning is None else meaning(np.empty(0, stored.dtype)).dtype
    return LazyArray(layout.shape, dtype, read, depth=depth, whole=at_once)


def opened(array: LazyArray, layout: Layout, record: Any = None, **more: Any) -> Opened:
    """Return an image as an `Opened`."""
    return Opened(array, layout.spacing, record, ratio=layout.ratio, step=layout.step, **more)


def on_disk(path: Any) -> int | None:
    """Return the bytes that a file occupies on disk, without its holes; None where the system does not say."""
    return getattr(os.stat(path), "st_blocks", 0) * 512 or None


def _axis(name):
    """Return z, y, x, t or c for an axis; None where it has no name; else its name."""
    name = str(name or "").strip().lower()
    return _AXES.get(name, None if _UNNAMED.fullmatch(name) else name)


def _check_axes(path, shape, names, axes):
    spatial = [name for name in names if name in ("z", "y", "x")]
    if len(set(spatial)) < len(spatial):
        raise FileError(f"{path} must have each of the axes z, y, x once. Received: {', '.join(map(str, axes))}.")
    for name, length, given in zip(names, shape, axes or names, strict=True):
        if length > 1 and name == "t":
            raise FileError(
                f"{path} must hold a 2D or 3D image of one moment. Received: shape {shape}, axes "
                f"{', '.join(map(str, axes))}, of which {given} is time. If these are slices, say so in the file: in "
                "Fiji by Image > Properties, with as many slices as there are frames, and one frame."
            )
        if length > 1 and name not in (None, "z", "y", "x"):
            raise FileError(
                f"{path} must have the axes z, y, x. Received: {given} of {length} too, shape {shape}. Save one "
                "channel, as labels."
            )


def _kept(shape, names):
    """Return the letters of an image's axes and the corresponding stored axes."""
    if any(name in ("z", "y", "x") for name in names):
        place = {name: axis for axis, name in enumerate(names) if name in ("z", "y", "x")}
        nameless = [axis for axis, name in enumerate(names) if name is None and shape[axis] > 1]
        free = [letter for letter in "zyx" if letter not in place]
        place |= dict(zip(free[-len(nameless) :] if nameless else (), nameless, strict=False))
        kept = [place[letter] for letter in "zyx" if letter in place]
        kept += [axis for axis in nameless if axis not in kept]
        if len(kept) == 2 and names[0] is None and shape[0] == 1:  # a volume of one plane
            kept.insert(0, 0)
    else:
        kept = [axis for axis, length in enumerate(shape) if length != 1]
        if len(kept) == 2 and shape[0] == 1:
            kept.insert(0, 0)
        elif len(kept) < 2:
            kept = list(range(len(shape)))[-3:]
    return "zyx"[-len(kept) :], tuple(kept)


def _edges(letters, shape, edges):
    """Return the edges of a voxel along z, y, x in µm or None, and their ratio where only that is known."""
    stated = {}
    for axis, length in zip(letters, shape, strict=True):
        number, unit = edges.get(axis, (None, None))
        if length > 1 and _is_length(number):
            stated[axis] = (float(number), micrometres(unit))
    numbers, units = ({part[k] for part in stated.values()} for k in range(2))
    if len(numbers) == 1 and None in units and len(units) == 2:  # the unit of one axis applies to all
        stated = dict.fromkeys(stated, (numbers.pop(), (units - {None}).pop()))
    elif None in units:
        return None, _uneven({axis: number for axis, (number, _) in stated.items()})
    lengths = {axis: number * unit for axis, (number, unit) in stated.items()}
    thin = [axis for axis, length in zip(letters, shape, strict=True) if length == 1 and axis != "z"]
    for axis in thin:
        lengths |= {axis: next(iter(lengths.values()))} if lengths else {}
    if "y" not in lengths or "x" not in lengths:
        return None, _uneven(lengths)
    return (lengths.get("z", lengths["x"]), lengths["y"], lengths["x"]), None


def _is_length(number):
    return isinstance(number, (int, float, np.number)) and math.isfinite(number) and number > 0


def _uneven(numbers):
    """Return numbers by axis as (z, y, x), or None where they are equal."""
    if not numbers or max(numbers.values()) <= min(numbers.values()) * 1.001:
        return None
    other = numbers.get("x", numbers.get("y", 1.0))
    return tuple(numbers.get(axis, other) for axis in "zyx")
