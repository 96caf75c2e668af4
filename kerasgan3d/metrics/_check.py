"""Checks of the input of all measures."""

from typing import NamedTuple

import numpy as np

from kerasgan3d.checks import AXES, check_integer, check_periodic, check_voxel_size, plain_array
from kerasgan3d.phases import MAX_PHASES
from kerasgan3d.volume import Volume


class Checked(NamedTuple):
    """A checked labelled image: uint8 `labels`, number of `phases`, `periodic` per axis, `voxel_size` in µm."""

    labels: np.ndarray
    phases: int
    periodic: tuple
    voxel_size: float | None


def check_volume(volume, *, phases=None, periodic=None, voxel_size=None):
    """Return a volume, or an integer array (z, y, x), as `Checked`; arguments override facts of the volume."""
    if isinstance(volume, Volume):
        phases = len(volume.phases) if phases is None else phases
        periodic = volume.periodic if periodic is None else periodic
        voxel_size = volume.voxel_size if voxel_size is None else voxel_size
        volume = volume.labels
    return _check_labels(volume, 3, phases=phases, periodic=periodic, voxel_size=voxel_size)


def check_slice(labels_2d, *, phases=None, periodic=None, voxel_size=None):
    """Return an integer array (y, x) as `Checked`."""
    return _check_labels(labels_2d, 2, phases=phases, periodic=periodic, voxel_size=voxel_size)


def require_voxel_size(checked):
    """Return the voxel size in µm; raise a ValueError that says how to give one if it is unknown."""
    if checked.voxel_size is None:
        raise ValueError("The voxel size is unknown and this measure has a unit: pass `voxel_size=` in µm.")
    return checked.voxel_size


def check_phase(volume, phase, count, name="phase"):
    """Return the index of a phase, given as an index or, where phases have names, as a name."""
    if not isinstance(phase, str):
        return check_integer(phase, name, 0, count - 1)
    names = volume.phases if isinstance(volume, Volume) else ()
    if phase not in names:
        rule = f"one of {', '.join(map(repr, names))}" if names else "an index, as an array has no names"
        raise ValueError(f"`{name}` must be {rule}. Received: {phase!r}.")
    return names.index(phase)


def check_axis(axis):
    """Return the index of an axis, given as an index or as a letter."""
    if isinstance(axis, str) and len(axis) == 1 and axis in AXES:
        return AXES.index(axis)
    if isinstance(axis, str):
        raise ValueError(f"`axis` must be 0, 1 or 2, or 'z', 'y' or 'x'. Received: {axis!r}.")
    return check_integer(axis, "axis", 0, 2)


def check_long_enough(checked, axis):
    """Refuse a volume that is one voxel thin along the direction of transport."""
    if checked.labels.shape[axis] < 2:
        raise ValueError(
            f"A volume must be at least two voxels long along the direction of transport. Received: shape "
            f"{checked.labels.shape}, axis {AXES[axis]}: choose another axis."
        )


def check_tolerance(tolerance):
    """Return the tolerance of a solver, a number from 1e-10 to 0.1."""
    try:
        value = float(tolerance) if not isinstance(tolerance, (bool, str, bytes)) else np.nan
    except (TypeError, ValueError):
        value = np.nan
    if not 1e-10 <= value <= 0.1:
        raise ValueError(f"`tolerance` must be a number from 1e-10 to 0.1. Received: {tolerance!r}.")
    return value


def check_stored(stored, *, phases=None, periodic=None, voxel_size=None):
    """Return stored labels as `Checked` without reading them: only their form is checked; `phases` is 0 if unknown.

    Args:
        stored: What has a shape (z, y, x), a dtype, and slicing.
        phases, periodic, voxel_size: As for `check_volume`.
    """
    _check_form(np.dtype(stored.dtype), tuple(stored.shape), 3)
    if isinstance(stored, np.ma.MaskedArray):
        stored = plain_array(stored)
    if isinstance(getattr(stored, "_meta", None), np.ma.MaskedArray):  # of Dask, what its chunks are
        raise ValueError("Labels must be there everywhere. Received: masked arrays. Fill what is masked with a label.")
    return Checked(
        labels=stored,
        phases=0 if phases is None else check_integer(phases, "n_phases", 1, MAX_PHASES),
        periodic=_periodic(periodic, 3),
        voxel_size=check_voxel_size(voxel_size),
    )


def check_part(labels, phases=None):
    """Return a part of stored labels as uint8, and the number of phases that it needs, after checking every voxel."""
    labels = plain_array(labels)
    boolean = labels.dtype.kind == "b"
    high = _check_range(labels)
    if phases is not None:
        _check_phases(phases, high)
    return labels.astype(np.uint8, copy=False), 2 if boolean else high + 1


def _check_labels(labels, ndim, *, phases, periodic, voxel_size):
    labels = plain_array(labels)
    _check_form(labels.dtype, labels.shape, ndim)
    labels, needed = check_part(labels, phases)
    return Checked(
        labels=labels,
        phases=needed if phases is None else int(phases),
        periodic=_periodic(periodic, ndim),
        voxel_size=check_voxel_size(voxel_size),
    )


def _check_form(dtype, shape, ndim):
    if dtype.kind not in "iub":
        raise ValueError(
            f"Labels must be integers, one phase index per voxel. Received dtype {dtype}: "
            "read a file with `Volume.load`, or turn grey values or probabilities into labels first."
        )
    if len(shape) != ndim:
        rule = (
            "a volume (z, y, x); one slice goes to `slice_statistics`"
            if ndim == 3
            else "one slice (y, x); take one from a volume, as in `labels[k]`"
        )
        raise ValueError(f"Labels must be {rule}. Received an array of shape {shape}.")
    if 0 in shape:
        raise ValueError(f"Labels must hold at least one voxel. Received an array of shape {shape}.")


def _check_range(labels):
    """Return the highest label."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MAX_PHASES:
        raise ValueError(
            f"Labels must be phase indices from 0 to {MAX_PHASES - 1}. Received values from {low} to {high}: "
            "grey values become labels with `PhaseMap.infer(image).encode(image)`."
        )
    return high


def _check_phases(phases, highest):
    phases = check_integer(phases, "n_phases", 1, MAX_PHASES)
    if phases <= highest:
        raise ValueError(
            "The number of phases must be more than the highest label. "
            f"Received {phases} with label {highest} present: pass at least {highest + 1}."
        )


def _periodic(periodic, ndim):
    return check_periodic(False if periodic is None else periodic, AXES[-ndim:])
