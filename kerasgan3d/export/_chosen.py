"""Checks of all exports: phases by name or number, the edge of a voxel, names that solvers accept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from kerasgan3d.checks import check_integer, check_memory, is_integer
from kerasgan3d.texts import shown
from kerasgan3d.volume import Volume

UNITS = {"um": 1.0, "m": 1e-6}  # one µm in each unit


def chosen_phases(volume: Volume, phases: Iterable[int | str] | int | str | None) -> list[int]:
    """Return the labels of phases given by name or label, increasing; all labels for None.

    Raises:
        ValueError: If there is no such phase, or the volume holds no voxel of it.
    """
    if phases is None:
        wanted = list(range(len(volume.phases)))
    else:
        given = [phases] if isinstance(phases, (str, int, np.integer)) else list(phases)
        wanted = sorted({chosen_phase(volume, phase) for phase in given})
    if not np.isin(volume.labels, wanted).any():
        names = ", ".join(volume.phases[label] for label in wanted) or "no phase"
        raise ValueError(f"`phases` must name phases that the volume holds. Received: {names}, which no voxel is of.")
    return wanted


def asked_of_surfaces(
    volume: Volume, phases: Iterable[int | str] | int | str | None, unit: str, smoothing: int, bytes_: tuple[int, int]
) -> tuple[list[int], float]:
    """Check the arguments of surfaces; return the labels of the requested phases and the edge of a voxel.

    Args:
        volume, phases, unit, smoothing: As for `surface_mesh`.
        bytes_: Bytes of memory per voxel, and per pair of unlike neighbours.

    Raises:
        ValueError: If there is no such phase or unit, or the voxel size is unknown.
        MemoryError: If the machine has too little memory.
    """
    wanted, edge = chosen_phases(volume, phases), edge_length(volume, unit)
    check_integer(smoothing, "smoothing", 0)
    unlike = sum(int(np.count_nonzero(np.diff(volume.labels, axis=axis))) for axis in range(3))
    check_memory(bytes_[0] * volume.labels.size + bytes_[1] * unlike, "Crop or resample the volume.")
    return wanted, edge


def chosen_phase(volume: Volume, phase: int | str) -> int:
    """Return the label of a phase from its name or label.

    Raises:
        ValueError: If there is no such phase.
    """
    if isinstance(phase, str) and phase in volume.phases:
        return volume.phases.index(phase)
    text = str(phase)
    if (is_integer(phase) or text.isdecimal()) and 0 <= int(text) < len(volume.phases):
        return int(text)
    raise ValueError(
        f"A phase must be one of {', '.join(volume.phases)}, or a label from 0 to {len(volume.phases) - 1}. "
        f"Received: {shown(phase)}."
    )


def edge_length(volume: Volume, unit: str) -> float:
    """Return the edge of a voxel in a unit, "um" or "m".

    Raises:
        ValueError: If the unit is unknown, or the volume has no voxel size.
    """
    if unit not in UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(map(repr, UNITS))}. Received: {shown(unit)}.")
    if volume.voxel_size is None:
        raise ValueError(
            "The voxel size of the volume is unknown, but the exported file contains lengths: give the edge of a voxel "
            "in µm as `voxel_size` of the Volume."
        )
    return volume.voxel_size * UNITS[unit]


def solver_names(names: Sequence[str]) -> list[str]:
    """Return names of letters, digits and underscores that begin with a letter and differ even ignoring case."""
    plain = [re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") for name in names]
    plain = [name if name[:1].isalpha() else f"phase_{name or label}" for label, name in enumerate(plain)]
    capitals = [name.upper() for name in plain]
    return [name if capitals.count(name.upper()) == 1 else f"{name}_{label}" for label, name in enumerate(plain)]
