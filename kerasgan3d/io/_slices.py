"""Folders and patterns of 2D slices."""

import glob
import os
import re
from fractions import Fraction

import numpy as np

from kerasgan3d.io._common import FileError
from kerasgan3d.io._pictures import PICTURES, open_picture
from kerasgan3d.io._tiff import open_tiff
from kerasgan3d.io.lazy import LazyArray

_OPEN = {".tif": open_tiff, ".tiff": open_tiff, **dict.fromkeys(PICTURES, open_picture)}
# How numbers may stand in names: with a point or without, after a hyphen or with a sign.
_NUMBERS = (r"[0-9]+", r"[0-9]+(?:[.,][0-9]+)?", r"[-+−]?[0-9]+", r"[-+−]?[0-9]+(?:[.,][0-9]+)?")
_SHOWN = 5


def open_slices(paths, source):
    """Stack 2D slices along z by the numbers in their names, with the spacing that they have: an `Opened`.

    Where there are TIFF slices, pictures beside them are none. That slices have one size and type is checked here; they
    are read when they are asked for.
    """
    paths = [p for p in paths if p.suffix.lower() in _OPEN and not p.name.startswith(".") and p.is_file()]
    tiffs = [path for path in paths if _OPEN[path.suffix.lower()] is open_tiff]
    paths = tiffs or paths
    if not paths:
        raise FileError(
            f"There must be TIFF slices or pictures ({', '.join(_OPEN)}) to read. Received: {source}, where there are "
            "none."
        )
    if len(paths) == 1 and glob.has_magic(source):
        return _opened(paths[0])
    paths = _in_order(paths, source)
    first = _opened(paths[0])
    shape, dtype = first.array.shape, first.array.dtype
    for path in paths:
        found = _opened(path)
        image = found.array
        if image.ndim != 2:
            raise FileError(
                f"Slices must be 2D images. Received: {path}, shape {image.shape}. To read a volume from one file, "
                "give the file itself."
            )
        if (image.shape, image.dtype) != (shape, dtype):
            raise FileError(
                f"Slices must have one size and type. Received: {paths[0].name}, {shape} {dtype}, but "
                f"{path.name}, {image.shape} {image.dtype}, in {path.parent}. Images that are no stack are given one "
                "by one."
            )
        if found._replace(array=None, record=None) != first._replace(array=None, record=None):
            raise FileError(
                f"Slices must have one voxel size and palette. Received: another in {path.name} than in "
                f"{paths[0].name}, in {path.parent}."
            )

    def plane(path):
        # Opened for each plane anew: a stack has more slices than a process may have files open.
        image = _opened(path).array
        if image.shape != shape:
            raise FileError(f"{path} must stay as it was. Received: a slice of shape {image.shape} by now.")
        return image

    def read(window):
        return np.stack([plane(path)[window[1:]] for path in paths[window[0]]])

    def whole():
        return np.stack([np.asarray(plane(path)) for path in paths])

    array = LazyArray((len(paths), *shape), dtype, read, whole=whole)
    return first._replace(array=array, record=None)


def _opened(path):
    return _OPEN[path.suffix.lower()](path)


def _in_order(paths, source):
    """Return the paths of slices by the numbers in their names.

    Names say their order where they differ in numbers alone, and these follow one another in equal steps, whole numbers
    in steps of one. A number may have a point and a sign; which it has is known by the steps.

    Raises:
        FileError: if they do not, with what is missing or ambiguous.
    """
    if len(paths) == 1:
        return paths
    names = [os.path.splitext(path.name)[0].lower() for path in paths]
    found = [_order(names, paths, pattern) for pattern in _NUMBERS]
    orders = [order for order, _ in found if order]
    problems = [problem for _, problem in found if problem]
    if any(order != orders[0] for order in orders) and not found[0][0]:
        # After a hyphen, whole numbers are no negative ones: scan-1, scan-2. Others may be.
        first, second = (", ".join(paths[k].name for k in order[:3]) for order in (orders[0], orders[-1]))
        problems, orders = [f"names of two orders, {first} and {second}"], []
    if not orders:
        problem = min(problems, key=lambda text: not text.startswith("no slice"))
        raise FileError(
            f"Slices must be numbered one after the other, 1, 2, 3 or 0.0, 0.5, 1.0, in names that are the same but "
            f"for that. Received: {problem}, in {source}. Add what is missing, take away what is no slice, or name the "
            "slices anew."
        )
    return [paths[k] for k in orders[0]]


def _order(names, paths, pattern):
    """Return the order of names by their numbers and None; or None and why they have none."""
    texts = [re.split(pattern, name) for name in names]
    usual = max(texts, key=texts.count)
    strange = [paths[k].name for k, text in enumerate(texts) if text != usual]
    if strange:
        return None, f"{_listed(strange)} among {len(names)} slices such as {paths[texts.index(usual)].name}"
    numbers = [[_value(number) for number in re.findall(pattern, name)] for name in names]
    columns = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if not columns:
        return None, f"{paths[0].name} and {paths[1].name}, which have the same number"
    order = sorted(range(len(names)), key=columns[-1].__getitem__)
    for column in columns:
        pairs = [(order[k], order[k + 1]) for k in range(len(order) - 1) if column[order[k]] >= column[order[k + 1]]]
        if pairs:
            first, second = (paths[k].name for k in pairs[0])
            return None, f"{first} and {second}, whose numbers do not say which comes first"
    gaps = [_gaps([column[k] for k in order], "." in pattern) for column in columns]
    return (order, None) if [] in gaps else (None, f"no slice {_listed(min(gaps, key=len))}")


def _value(text):
    return Fraction(text.replace(",", ".").replace("−", "-"))


def _gaps(values, fractional):
    """Return the numbers that are missing in an ascending series."""
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    step = min(steps) if fractional and any(value.denominator > 1 for value in values) else 1
    missing = []
    for value, wide in zip(values, steps, strict=False):
        missing += [f"{float(value + k * step):g}" for k in range(1, min(-(-wide // step), _SHOWN + 2))]
    return missing


def _listed(texts):
    return ", ".join(texts[:_SHOWN]) + (" and others" if len(texts) > _SHOWN else "")
