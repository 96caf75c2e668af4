"""Euler characteristics, from the arrangements of phases around the corners of voxels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasgan3d.metrics._check import require_voxel_size
from kerasgan3d.metrics._halo import check_image
from kerasgan3d.metrics._measure import PER_PHASE, Measure, OnBlocks
from kerasgan3d.volume import Volume

_CONNECTIVITIES = {2: (4, 8), 3: (6, 26)}  # dimensions -> neighbours across faces, and across corners too


def euler_characteristic(
    volume: Volume | ArrayLike,
    connectivity: int | None = None,
    *,
    voxel_size: float | None = None,
    periodic=None,
    n_phases: int | None = None,
) -> np.ndarray:
    """Return the Euler characteristic of each phase per volume: pieces - tunnels + cavities.

    χ = N_0 - N_1 + N_2 - N_3 of the phase's cubical complex. A ball has 1, a torus 0, a hollow ball 2, and each link
    more of a network -1 (Ohser and Mücklich, Statistical Analysis of Microstructures in Materials Science, 2000,
    chapter 3; Ohser and Schladitz, 3D Images of Materials Structures, 2009, section 4.2).

    **Connectivity** comes in pairs. With 6, voxels of the phase are joined if they share a face, as in
    `connected_fractions`, and those of all other phases together if they share as much as a corner; N_0 are voxels, N_1
    pairs that share a face, N_2 squares of four, N_3 cubes of eight. With 26 it is the other way round, and N_0 are
    the corners, N_1 the edges, N_2 the faces and N_3 the cubes of the voxels. In a periodic volume χ of a phase by
    either is χ of everything else by the other. In a slice the pair is 4 and 8, χ = pieces - holes, and χ of a phase
    by either is -χ of everything else by the other.

    **The boundary.** χ is a sum over the corners of voxels of what the 8 voxels around each contribute: 256 possible
    arrangements. Only corners within the volume are counted, and χ is divided by the volume that belongs to them,
    (N_z - 1)(N_y - 1)(N_x - 1) a³, with N instead of N - 1 along a periodic axis. So it is free of bias, and not the χ
    of the pieces that the faces cut out; a body that does not touch a face that is not periodic has its own χ.

    χ of slices is not that of the volume. For isotropic material it tells the integral of mean curvature of the
    phase's surface, M_V = 2 π χ_A (Ohser and Mücklich), of which the volume's χ is independent.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        connectivity: Neighbours of a voxel of the phase: 6 or 26; 4 or 8 for a slice. Default: 6, and 4.
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        periodic: One bool, or three (z, y, x), or two for a slice; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float64 array (n,), in 1/µm³, or 1/µm² for a slice; NaN for an image of one voxel along an axis that is not
        periodic.

    Raises:
        ValueError: If the voxel size is unknown, there is no such connectivity, or an argument is invalid.

    Example:
        >>> import numpy as np
        >>> shell = np.zeros((7, 7, 7), int)
        >>> shell[2:5, 2:5, 2:5] = 1
        >>> shell[3, 3, 3] = 0
        >>> (euler_characteristic(shell, voxel_size=1, periodic=True) * 7**3).round(9)  # a hollow cube
        array([2., 2.])
    """
    checked = check_image(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    size = require_voxel_size(checked)
    labels, n, wraps, _ = checked
    connectivity = check_connectivity(connectivity, labels.ndim)
    ahead = np.pad(labels, [(0, int(axis)) for axis in wraps], mode="wrap")
    return euler_from(count_arrangements(ahead, n), labels.shape, wraps, size, connectivity)


def check_connectivity(connectivity: int | None, dimensions: int) -> int:
    """Return the neighbours of a voxel: 6 or 26 in three dimensions, 4 or 8 in two; the lower if None.

    Raises:
        ValueError: If it is neither.
    """
    allowed = _CONNECTIVITIES[dimensions]
    if connectivity is None:
        return allowed[0]
    if connectivity not in allowed:
        raise ValueError(f"`connectivity` must be {allowed[0]} or {allowed[1]} neighbours. Received: {connectivity!r}.")
    return connectivity


def count_arrangements(labels: np.ndarray, n_phases: int) -> np.ndarray:
    """Count the arrangements of each phase in windows of 2 x 2 (x 2) voxels: exact numbers, which add up over blocks.

    Args:
        labels: Integer array, of three or two dimensions: a block, with one more voxel along each axis where the volume
            goes on.
        n_phases: Number of phases n.

    Returns:
        int64 array (n, 256), or (n, 16) in two dimensions. Bit 4 z + 2 y + x of an arrangement's number says whether
        the voxel (z, y, x) of the window is of the phase.
    """
    kinds = 2**2**labels.ndim
    counts = np.zeros((n_phases, kinds), np.int64)
    if min(labels.shape) < 2:
        return counts
    for phase in range(n_phases):
        codes = (labels == phase).view(np.uint8)
        for bits, axis in enumerate(reversed(range(labels.ndim))):
            before, after = codes.swapaxes(0, axis)[:-1], codes.swapaxes(0, axis)[1:]
            codes = (before | after << 2**bits).swapaxes(0, axis)
        for plane in codes:  # bincount works on a copy that takes eight times the memory
            counts[phase] += np.bincount(plane.ravel(), minlength=kinds)
    return counts


def euler_from(
    counts: np.ndarray, shape: Sequence[int], periodic: Sequence[bool], voxel_size: float, connectivity: int
) -> np.ndarray:
    """Return χ per volume, (n,), from the arrangements that `count_arrangements` counted in an image of that shape."""
    dimensions = len(shape)
    parts = counts @ _contributions(dimensions, connectivity)
    corners = int(np.prod([size - (not wraps) for size, wraps in zip(shape, periodic, strict=True)]))
    with np.errstate(invalid="ignore"):
        return parts / (2**dimensions * np.float64(corners) * voxel_size**dimensions)


@functools.cache
def _contributions(dimensions: int, connectivity: int) -> np.ndarray:
    """Return the contribution of each arrangement to χ, in units of 1 / 2^dimensions: int64 (kinds,)."""
    kinds = 2**2**dimensions
    window = (np.arange(kinds)[:, None] >> np.arange(2**dimensions) & 1).reshape(-1, *(2,) * dimensions)
    total = np.zeros(kinds, np.int64)
    for number in range(dimensions + 1):
        for axes in combinations(range(1, dimensions + 1), number):
            # Voxels, pairs, squares, cubes along some axes; each of them lies in 2^(dimensions - number) windows.
            whole = window.min(axis=axes, keepdims=True) if axes else window
            total += (-1) ** number * 2**number * whole.reshape(kinds, -1).sum(axis=1)
    if connectivity == _CONNECTIVITIES[dimensions][0]:
        return total
    # The closed voxels of a phase leave the open ones of everything else: the same with its sign, but for that of the
    # plane.
    return total[::-1] * (-1) ** (dimensions + 1)


def _of(subject: Any) -> np.ndarray:
    return euler_characteristic(subject.labels, voxel_size=subject.voxel_size, **subject.options)


EULER_CHARACTERISTIC = Measure(
    key="euler_characteristic",
    name="Euler characteristic",
    unit="1/µm³",
    unit_of_slice="1/µm²",
    shape=PER_PHASE,
    method="Pieces less tunnels plus cavities, per volume of the whole; voxels of the phase are joined by faces, those "
    "of everything else by corners. Of slices, pieces less holes, per area.",
    of_volume=_of,
    of_slice=_of,
    on_blocks=OnBlocks(
        count=lambda part: count_arrangements(part.core, part.n_phases),
        value=lambda counts, whole: euler_from(
            counts, whole.shape, whole.periodic, whole.voxel_size, check_connectivity(None, 3)
        ),
    ),
    cost=12,
    whole=True,
    # Two halves of the cathode scan differ by 8 and 11 % in pores and NMC, by 1 % in CBD (docs/shapes.md). Near zero,
    # where pieces and tunnels balance, a share of it says little: there what real is from real raises the limit.
    bar=0.1,
    headline=False,
    monitored=True,
    section="structure",
    figure="Euler characteristics",
)
