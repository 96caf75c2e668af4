"""Colours of phases."""

import colorsys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

# Dark pores, mid-blue active material, light orange binder: three steps of lightness, so that the order survives any
# colour blindness and a grey-scale print. The others follow Okabe and Ito (2008), with adjusted lightness.
_PORE = "#24272d"
_SOLIDS = ("#4a82b4", "#f3b85c", "#0b8f6c", "#e3dccf", "#b8527f", "#a3d4ee", "#a8401d", "#efe35a")
_PORE_NAMES = ("pore", "pores", "void", "voids", "pore space", "electrolyte", "gas", "air")
_GOLDEN_RATIO = 0.6180339887498949


def phase_colors(phases: Iterable[str], colors: Mapping[str, Any] | Iterable[Any] | None = None) -> np.ndarray:
    """Return the colour of each phase.

    By default the first phase whose name denotes pore space ("pore", "void", "electrolyte", ...) is dark, or phase 0
    where there is none; the other phases take the other colours in order.

    Args:
        phases: Names of the phases, in the order of their labels; at most 255.
        colors: Colours to use instead, in any form that matplotlib reads: one per phase in order, or a dict from
            phase name to colour, for all or some phases.

    Returns:
        uint8 array (n, 3), red, green and blue.

    Raises:
        ValueError: if matplotlib does not know a colour, a name is not a phase, or the number of colours is wrong.
    """
    phases = tuple(phases)
    if not 1 <= len(phases) <= 255:
        raise ValueError(f"`phases` must hold 1 to 255 names. Received: {len(phases)}")
    if colors is None or isinstance(colors, Mapping):
        chosen = dict(colors or {})
        unknown = [name for name in chosen if name not in phases]
        if unknown:
            raise ValueError(f"`colors` must name phases of the volume ({', '.join(phases)}). Received: {unknown[0]!r}")
        values = [chosen.get(name, default) for name, default in zip(phases, _defaults(phases), strict=True)]
    else:
        values = [colors] if isinstance(colors, str) else list(colors)
        if len(values) != len(phases):
            raise ValueError(
                f"`colors` must hold one colour for each of the {len(phases)} phases ({', '.join(phases)}). "
                f"Received: {len(values)}"
            )
    return np.array([_rgb(value) for value in values], dtype=np.uint8)


def _defaults(phases):
    lowered = [str(name).strip().lower() for name in phases]
    pore = next((index for index, name in enumerate(lowered) if name in _PORE_NAMES), 0)
    solids = [_solid(index) for index in range(len(phases) - 1)]
    return [*solids[:pore], _PORE, *solids[pore:]]


def _solid(index):
    """Return the colour of the index-th solid phase: the fixed list first, then an endless cycle of hues."""
    if index < len(_SOLIDS):
        return _SOLIDS[index]
    index -= len(_SOLIDS)
    # Steps of the golden ratio never repeat a hue; lightness and saturation alternate to set neighbours apart.
    return colorsys.hls_to_rgb((index * _GOLDEN_RATIO) % 1, (0.38, 0.72, 0.55)[index % 3], (0.75, 0.5)[index % 2])


def _rgb(color):
    from matplotlib.colors import to_rgb  # imported here, since writing files and starting commands do not need it

    try:
        return np.rint(np.array(to_rgb(color)) * 255)
    except ValueError as error:
        raise ValueError(f"`colors` must hold colours such as 'black' or '#4a82b4'. Received: {color!r}") from error
