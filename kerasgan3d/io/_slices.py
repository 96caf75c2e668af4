"""Folders and patterns of 2D slices."""

import glob
import os
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasgan3d.io._common import FILLING, FileError, nearest_planes
from kerasgan3d.io._pictures import PICTURES, open_picture
from kerasgan3d.io._tiff import open_tiff
from kerasgan3d.io.lazy import LazyArray, lazy

_OPEN = {".tif": open_tiff, ".tiff": open_tiff, **dict.fromkeys(PICTURES, open_picture)}
# Forms of numbers in names: with a point or without, after a hyphen or with a sign, with a power of ten.
_NUMBERS = (r"[0-9]+", r"[0-9]+(?:[.,][0-9]+)?", r"[-+−]?[0-9]+", r"[-+−]?[0-9]+(?:[.,][0-9]+)?")
_POWER = r"(?<=[0-9])e[-+−]?[0-9]{1,3}(?![0-9])"
_SHOWN = 5


def open_slices(paths, source, fill_gaps=False):
    """Stack 2D slices along z by the numbers in their names, with the spacing that they state: an `Opened`.

    Where there are TIFF slices, other pictures are ignored. Equal size and type of the slices are checked here; they
    are read on demand. With `fill_gaps`, the nearest slice replaces a missing one.
    """
    paths = slices_among(paths)
    if not paths:
        raise FileError(
            f"There must be TIFF slices or pictures ({', '.join(_OPEN)}) to read. Received: {source}, where there are "
            "none."
        )
    if len(paths) == 1 and glob.has_magic(source):
        return _opened(paths[0])
    paths, places = _in_order(paths, source, fill_gaps)
    first = _slice(paths[0])
    shape, dtype = first.array.shape, first.array.dtype
    for path in paths:
        found = _slice(path)
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
        if found._replace(array=None, record=None, hint=None) != first._replace(array=None, record=None, hint=None):
            raise FileError(
                f"Slices must have one voxel size and palette. Received: another in {path.name} than in "
                f"{paths[0].name}, in {path.parent}."
            )

    def plane(path):
        # Opened anew for each plane: a stack may have more slices than a process may have open files.
        image = _slice(path).array
        if image.shape != shape:
            raise FileError(f"{path} must stay as it was. Received: a slice of shape {image.shape} by now.")
        return image

    def read(window):
        return np.stack([plane(path)[window[1:]] for path in paths[window[0]]])

    def whole():
        return np.stack([plane(path)[:] for path in paths])  # memory-mapped planes are not opened again

    nearest, filled = nearest_planes(places)
    spacing = first.spacing
    if spacing is not None and first.step is not None and len(paths) > 1:
        spacing = (first.step, *spacing[1:])
    paths = [paths[k] for k in nearest]
    array = LazyArray((len(paths), *shape), dtype, read, whole=whole)
    return first._replace(array=array, record=None, filled=filled, spacing=spacing)


def _opened(path):
    return _OPEN[path.suffix.lower()](path)


def _slice(path):
    """Open a slice, which may be a volume of one plane."""
    found = _opened(path)
    flat = found.array.ndim == 3 and found.array.shape[0] == 1
    return found._replace(array=lazy(found.array).plane(0)) if flat else found


def slices_among(paths: Iterable[Path]) -> list[Path]:
    """Return the files of a folder that are its slices: TIFF files, or else pictures."""
    paths = [p for p in paths if p.suffix.lower() in _OPEN and not p.name.startswith(".") and p.is_file()]
    return [path for path in paths if _OPEN[path.suffix.lower()] is open_tiff] or paths


class _Series(NamedTuple):
    """Order of names by their numbers: the order, the place of each in equal steps, and missing numbers."""

    order: list[int]
    places: list[Fraction]
    missing: list[str]


def _in_order(paths, source, fill_gaps):
    """Return the paths of slices in the order of the numbers in their names, and the planes that they belong to.

    Names define an order if they differ only in numbers that follow one another in equal steps, integers in steps of
    one. A number may have a point and a sign, which the steps disambiguate, and a power of ten.

    Raises:
        FileError: if the names define no order; the message says what is missing or ambiguous.
    """
    if len(paths) == 1:
        return paths, [0]
    names = [os.path.splitext(path.name)[0].lower() for path in paths]
    found = [_series(names, paths, pattern) for pattern in _NUMBERS]
    powers = [power for name in names for power in re.findall(_POWER, name)]
    by_power = [_series(names, paths, f"{pattern}(?:{_POWER})?") for pattern in _NUMBERS[1::2] if powers]
    by_power = [each for each in by_power if isinstance(each, _Series)]
    problems = [each if isinstance(each, str) else f"no slice {_listed(each.missing)}" for each in by_power + found]
    fits = [not each.missing or (fill_gaps and _fillable(each)) for each in by_power]
    if any(fits) and any(power[1] in "-+−" for power in powers):
        found = by_power  # 5e-4 and 1e-3 are one number each
    told = [each for each in found if isinstance(each, _Series)]
    fitting = [each for each in told if not each.missing] or [each for each in told if fill_gaps and _fillable(each)]
    # After a hyphen, integers are not negative: scan-1, scan-2. Other numbers may be.
    known = fitting[:1] if found[0] in fitting and found is not by_power else fitting
    orders = [each.order for each in known + by_power[:1]] if known else []
    if other := next((order for order in orders if order != orders[0]), None):
        first, second = (", ".join(paths[k].name for k in order[:3]) for order in (orders[0], other))
        problems, fitting = [f"names of two orders, {first} and {second}"], []
    if not fitting:
        problem = min(problems, key=lambda text: not text.startswith("no slice"))
        raise FileError(
            f"Slices must be numbered one after the other, 1, 2, 3 or 0.0, 0.5, 1.0, in names that are the same but "
            f"for that. Received: {problem}, in {source}. Add what is missing, take away what is no slice, or name the "
            f"slices anew.{FILLING if problem.startswith('no slice') else ''}"
        )
    return [paths[k] for k in fitting[0].order], [int(place) for place in fitting[0].places]


def _fillable(series):
    """Tell whether slices lie at places in equal steps, at least half of which have a slice."""
    return all(place.denominator == 1 for place in series.places) and series.places[-1] < 2 * len(series.places)


def _series(names, paths, pattern):
    """Return the `_Series` of the numbers in names, or a text that says why they form none."""
    texts = [re.split(pattern, name) for name in names]
    usual = max(texts, key=texts.count)
    strange = [paths[k].name for k, text in enumerate(texts) if text != usual]
    if strange:
        return f"{_listed(strange)} among {len(names)} slices such as {paths[texts.index(usual)].name}"
    numbers = [[_value(number) for number in re.findall(pattern, name)] for name in names]
    columns = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if not columns:
        return f"{paths[0].name} and {paths[1].name}, which have the same number"
    order = sorted(range(len(names)), key=columns[-1].__getitem__)
    for column in columns:
        pairs = [(order[k], order[k + 1]) for k in range(len(order) - 1) if column[order[k]] >= column[order[k + 1]]]
        if pairs:
            first, second = (paths[k].name for k in pairs[0])
            return f"{first} and {second}, whose numbers do not say which comes first"
    placed = [_placed([column[k] for k in order], "." in pattern) for column in columns]
    return _Series(order, *min(placed, key=lambda each: len(each[1])))


def _value(text):
    return Fraction(text.replace(",", ".").replace("−", "-"))


def _placed(values, fractional):
    """Return the places of ascending numbers in equal steps, from 0, and the numbers that are missing."""
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    step = min(steps) if fractional and any(value.denominator > 1 for value in values) else 1
    missing = []
    for value, wide in zip(values, steps, strict=False):
        missing += [f"{float(value + k * step):g}" for k in range(1, min(-(-wide // step), _SHOWN + 2))]
    return [(value - values[0]) / step for value in values], missing


def _listed(texts):
    return ", ".join(texts[:_SHOWN]) + (" and others" if len(texts) > _SHOWN else "")
