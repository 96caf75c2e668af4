"""Checks of common arguments: integers, sizes, axes, voxel sizes, seeds.

Each function returns the argument in its canonical form, or raises a ValueError that names it and its value.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasgan3d.texts import shown

AXES = "zyx"
Periodic = bool | str | Iterable[bool]  # the argument of `check_periodic`
MAX_SEED = 2**64 - 1


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_integer(value: Any) -> bool:
    """Tell whether a value is an integer; a bool is not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def check_integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Return an integer within low..high, both included; without an upper bound where `high` is None.

    Raises:
        ValueError: If it is no such integer.
    """
    if not is_integer(value) or value < low or (high is not None and value > high):
        rule = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
        raise ValueError(f"`{name}` must be {rule}. Received: {shown(value)}.")
    return operator.index(value)


def plain_array(array: Any) -> np.ndarray:
    """Return a value as a plain array without a mask.

    Raises:
        ValueError: If it is a masked array with masked voxels, whose labels have no meaning.
    """
    if isinstance(array, np.ma.MaskedArray) and np.ma.getmaskarray(array).any():
        raise ValueError(
            f"An array must hold a label everywhere. Received: a masked array, {np.ma.count_masked(array)} of "
            f"{array.size} voxels masked. Give masked voxels a label with `filled`, or crop them away."
        )
    return np.asarray(array)


def check_count(value: Any, name: str) -> int:
    """Return a positive integer.

    Raises:
        ValueError: If it is none.
    """
    if not is_integer(value) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {shown(value)}.")
    return operator.index(value)


def check_number(value: Any, name: str, low: float = 0.0, high: float = math.inf) -> float:
    """Return a finite number within low..high, both included.

    Raises:
        ValueError: If it is none.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not number or not math.isfinite(value) or not low <= float(value) <= high:
        rule = f"a number of at least {low:g}" if high == math.inf else f"a number from {low:g} to {high:g}"
        raise ValueError(f"`{name}` must be {rule}. Received: {value!r}.")
    return float(value)


def check_triple(value: Any, name: str, low: int | None = None) -> tuple[int, int, int]:
    """Return three integers (z, y, x) from one integer or a sequence of three.

    Args:
        value: The argument.
        name: Its name, for the message.
        low: The smallest allowed integer, 1 or None (any sign).

    Raises:
        ValueError: If it is neither.
    """
    values = (value,) * 3 if np.ndim(value) == 0 else tuple(value)
    if len(values) != 3 or not all(map(is_integer, values)) or (low is not None and min(values) < low):
        kind = "an integer" if low is None else "a positive integer"
        raise ValueError(f"`{name}` must be {kind} or three of them (z, y, x). Received: {shown(value)}.")
    z, y, x = map(operator.index, values)
    return z, y, x


def check_seed(seed: Any) -> int:
    """Return a seed, an integer from 0 to 2**64 - 1.

    Raises:
        ValueError: If it is none.
    """
    if not is_integer(seed) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"`seed` must be an integer from 0 to 2**64 - 1. Received: {shown(seed)}.")
    return operator.index(seed)


def check_periodic(periodic: Periodic, axes: str = AXES) -> tuple[bool, ...]:
    """Return one bool per axis: whether it is periodic.

    Args:
        periodic: One bool for all axes, one per axis, or the letters of the periodic ones, such as "yx".
        axes: The letters of all axes: "zyx", or "yx" for a slice.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(periodic, (bool, np.bool_)):
        return (bool(periodic),) * len(axes)
    if isinstance(periodic, str):
        if periodic and not set(periodic) - set(axes) and len(set(periodic)) == len(periodic):
            return tuple(axis in periodic for axis in axes)
        flags: tuple = ()
    else:
        try:
            flags = tuple(periodic)
        except TypeError:
            flags = ()
    if len(flags) != len(axes) or not all(isinstance(flag, (bool, np.bool_)) for flag in flags):
        raise ValueError(
            f"`periodic` must be one bool, or one per axis ({', '.join(axes)}), or letters of axes, such "
            f"as {axes[-2:]!r}. Received: {shown(periodic)}."
        )
    return tuple(map(bool, flags))


def check_voxel_size(voxel_size: Any) -> float | None:
    """Return a voxel size in µm as a float, or None.

    Raises:
        ValueError: If it is not one positive finite number.
    """
    if voxel_size is None:
        return None
    try:
        size = float(voxel_size) if not isinstance(voxel_size, (bool, str, bytes)) else math.nan
    except (TypeError, ValueError, OverflowError):
        size = math.nan
    if not (math.isfinite(size) and size > 0):
        raise ValueError(
            "`voxel_size` must be one positive number, the edge of a cubic voxel in µm, or None where it is unknown. "
            f"Received: {shown(voxel_size)}."
        )
    return size


def box_window(box: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return a box, one (start, stop) in voxels or None per axis, as a tuple of slices.

    Raises:
        ValueError: if it has another number of axes, or is empty or outside the data.
    """
    pairs = [(0, n) if pair is None else tuple(pair) for pair, n in zip(box, shape, strict=False)]
    fits = len(box) == len(shape) and all(
        len(pair) == 2 and 0 <= pair[0] < pair[1] <= n for pair, n in zip(pairs, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"a box must be one (start, stop) per axis within the data's {' x '.join(map(str, shape))} voxels. "
            f"Received: {box!r}."
        )
    return tuple(slice(*pair) for pair in pairs)


def index_window(key: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return the window that indices and slices select: one non-empty slice of step 1 per axis.

    Args:
        key: An integer, a slice or ``...``, or a tuple of them; an integer is the window of that one voxel.
        shape: Lengths of the axes.

    Raises:
        IndexError: If an integer lies outside its axis.
        ValueError: If the key is something else or has too many entries, a step is not 1, or the window is empty.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    places = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(places) == 1:
        parts[places[0] : places[0] + 1] = [slice(None)] * (len(shape) + 1 - len(parts))
    if not 1 <= len(parts) <= len(shape) or not all(is_integer(part) or isinstance(part, slice) for part in parts):
        raise ValueError(
            f"A volume takes one to {len(shape)} indices or slices, such as volume[0:64] or volume[3, :, 10:], or the "
            f"name of a phase. Received: {' '.join(shown(key).split())}. What else arrays take, volume.labels takes."
        )
    parts += [slice(None)] * (len(shape) - len(parts))
    return tuple(_axis_window(part, *axis) for part, axis in zip(parts, zip(shape, AXES, strict=False), strict=True))


def _axis_window(part, length, axis):
    if is_integer(part):
        index = operator.index(part)
        if not -length <= index < length:
            raise IndexError(
                f"An index along {axis} must lie within its {length} voxels, {-length} to {length - 1}. "
                f"Received: {index}."
            )
        return slice(index % length, index % length + 1)
    if part.step not in (None, 1):
        raise ValueError(
            f"Slices of a volume must have steps of 1. Received: {part.step} along {axis}. `resample` changes the "
            "voxel size, `flip` the direction, and volume.labels takes any step."
        )
    try:
        start, stop, _ = part.indices(length)
    except TypeError:
        raise ValueError(f"Slices of a volume must be of integers. Received: {shown(part)} along {axis}.") from None
    if stop <= start:
        raise ValueError(
            f"A crop must hold voxels. Received: {part.start}:{part.stop} along {axis}, which has {length}."
        )
    return slice(start, stop)


def check_axes(axes: Any) -> tuple[int, ...]:
    """Return axes as numbers in ascending order.

    Args:
        axes: Letters such as "z" or "yx", a number (0 is z, 1 is y, 2 is x), or a sequence of either.

    Raises:
        ValueError: If it is none of these, or names an axis twice.
    """
    parts = axes if np.iterable(axes) else (axes,)
    numbers: list[Any] = [AXES.find(part) if isinstance(part, str) and len(part) == 1 else part for part in parts]
    if not numbers or not all(is_integer(n) and 0 <= n <= 2 for n in numbers) or len(set(numbers)) != len(numbers):
        raise ValueError(
            f"`axes` must be letters of axes, such as 'z' or 'yx', or numbers from 0 to 2, each once. "
            f"Received: {shown(axes)}."
        )
    return tuple(sorted(map(operator.index, numbers)))


def check_memory(needed: int, advice: str) -> None:
    """Check that the machine's total memory, in use or not, is at least ``needed`` bytes.

    Args:
        needed: Bytes.
        advice: A sentence for the message that says what needs less.

    Raises:
        MemoryError: If the machine has less.
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return  # the system does not say
    if needed > there > 0:
        raise MemoryError(f"{needed} bytes are needed, and this machine has {there}. {advice}")


def axis_letters(periodic: Sequence[bool]) -> str:
    """Return the letters of the axes that are True of three (z, y, x) or two (y, x), such as "yx"."""
    return "".join(axis for axis, flag in zip(AXES[-len(periodic) :], periodic, strict=True) if flag)
