"""Specks and holes: pieces of a phase, or of its complement, of only a few voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from kerasgan3d.checks import check_integer
from kerasgan3d.metrics._check import require_voxel_size
from kerasgan3d.metrics._count import count_voxels
from kerasgan3d.metrics._halo import check_image, with_halo
from kerasgan3d.metrics._measure import PER_PHASE, Measure, OnBlocks
from kerasgan3d.volume import Volume

SMALLER_THAN = 27  # voxels: a cube of three
_LIMIT = 1000  # voxels: as many around a periodic volume, or a block, must be looked at
# Of rare specks and holes, two halves of the cathode scan differ by a quarter to a third, as few as they are; of
# frequent ones by 1 % (docs/shapes.md). A generator's noise is several times what is real.
_BAR = 0.25


@dataclass(frozen=True, eq=False)
class Specks:
    """Specks and holes of n phases; made by `specks`.

    Attributes:
        number: (n,) in 1/µm³ (1/µm² in a slice): pieces of the phase.
        share: (n,): their voxels, as a fraction of the phase's; NaN for an absent phase.
        holes: (n,) in 1/µm³ (1/µm² in a slice): pieces of the phase's complement.
        hole_share: (n,): their voxels per voxel of the phase; NaN for a phase that is absent.
    """

    number: np.ndarray
    share: np.ndarray
    holes: np.ndarray
    hole_share: np.ndarray


def specks(
    volume: Volume | ArrayLike,
    smaller_than: int = SMALLER_THAN,
    *,
    voxel_size: float | None = None,
    periodic=None,
    n_phases: int | None = None,
) -> Specks:
    """Return the number of specks and holes of each phase per volume, and their fraction of the phase.

    A speck is a piece of the phase, a hole a piece of everything else, that has fewer than `smaller_than` voxels; the
    voxels of a piece, and those of a hole, share faces (pixels of a slice: edges). The eye perceives them as noise:
    specks of anything within NMC are the holes of NMC.

    Pieces continue across periodic faces. A piece that touches a face that is not periodic may be part of something
    larger and is not counted. This omits some true pieces: of those that are e voxels long along an axis of L voxels,
    (e + 1) / L. All numbers are per volume of the whole.

    In a slice most specks are sections of something larger. Compare slices with slices.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        smaller_than: Voxels that a piece must have to be none, 2 to 1000.
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        periodic: One bool, or three (z, y, x), or two for a slice; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        Specks.

    Raises:
        ValueError: If the voxel size is unknown, or an argument is invalid.
    """
    checked = check_image(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    size = require_voxel_size(checked)
    smaller_than = check_integer(smaller_than, "smaller_than", 2, _LIMIT)
    labels, own = with_halo(checked.labels, checked.periodic, smaller_than - 1)
    return specks_from(count_specks(labels, own, checked.phases, smaller_than), checked.labels.size, size**labels.ndim)


def count_specks(labels: np.ndarray, own: tuple[slice, ...], n_phases: int, smaller_than: int) -> np.ndarray:
    """Count the specks and holes of a block, and the voxels in them: exact numbers, which add up over blocks.

    A piece belongs to the block that has its first voxel; each voxel to its own.

    Args:
        labels: Integer array, of three or two dimensions: the block and what lies around it, `smaller_than` - 1 voxels
            on every side or as far as the volume goes.
        own: Slices of `labels` that are the block.
        n_phases: Number of phases n.
        smaller_than: As for `specks`.

    Returns:
        int64 array (5, n): specks, voxels in them, holes, voxels in them, and voxels of the phase.
    """
    found = []
    for phase in range(n_phases):
        inside = labels == phase
        found.append([*_small_pieces(inside, own, smaller_than), *_small_pieces(~inside, own, smaller_than)])
    return np.vstack([np.array(found, np.int64).T, count_voxels(labels[own], n_phases)])


def specks_from(counts: np.ndarray, voxels: int, voxel_volume: float) -> Specks:
    """Return Specks from the counts of `count_specks`, the number of all voxels, and the volume of one in µm³."""
    pieces, in_pieces, holes, in_holes, own = counts
    with np.errstate(invalid="ignore"):
        share, hole_share = in_pieces / own, in_holes / own
    return Specks(pieces / (voxels * voxel_volume), share, holes / (voxels * voxel_volume), hole_share)


def _small_pieces(mask: np.ndarray, own: tuple[slice, ...], smaller_than: int) -> tuple[int, int]:
    """Return the number of small pieces that begin among a window's own voxels, and of own voxels in any piece."""
    pieces = np.empty(mask.shape, np.int32)
    count = ndimage.label(mask, output=pieces)
    # In parts, as NumPy makes 64-bit integers of what it counts at once.
    sizes = np.zeros(count + 1, np.int64)
    for part in np.array_split(pieces, 8):
        sizes += np.bincount(part.ravel(), minlength=count + 1)
    small = sizes < smaller_than
    small[0] = False
    # At a face of the volume these may be parts of larger ones. At other sides of the window they are if they have own
    # voxels at all: it takes `smaller_than` voxels to go from there to here.
    for axis in range(mask.ndim):
        for end in (0, -1):
            small[pieces.take(end, axis)] = False
    places = np.flatnonzero(small[pieces])
    firsts = np.unique(pieces.ravel()[places], return_index=True)[1]
    coordinates = np.unravel_index(places, mask.shape)
    mine = np.all(
        [(part.start <= along) & (along < part.stop) for part, along in zip(own, coordinates, strict=True)], axis=0
    )
    return int(np.count_nonzero(mine[firsts])), int(np.count_nonzero(mine))


def _found(subject: Any) -> Specks:
    return subject.once(lambda: specks(subject.labels, voxel_size=subject.voxel_size, **subject.options), specks)


def _count_of_block(part: Any) -> np.ndarray:
    labels, own = part.around(SMALLER_THAN - 1)
    return count_specks(labels, own, part.n_phases, SMALLER_THAN)


def _found_on_blocks(whole: Any) -> Specks:
    return specks_from(whole.totals["speck_density"], whole.voxels, whole.voxel_size**3)


SPECK_DENSITY = Measure(
    key="speck_density",
    name="specks",
    label="specks, fewer than 27 voxels",
    label_of_slice="specks, fewer than 27 pixels",
    unit="1/µm³",
    unit_of_slice="1/µm²",
    shape=PER_PHASE,
    method="Pieces of the phase of fewer than 27 voxels that share faces, per volume of the whole; of "
    "slices, of pixels that share edges, per area.",
    of_volume=lambda subject: _found(subject).number,
    of_slice=lambda subject: _found(subject).number,
    on_blocks=OnBlocks(
        count=_count_of_block, value=lambda _, whole: _found_on_blocks(whole).number, margin=SMALLER_THAN - 1
    ),
    needs=frozenset({"shapes"}),
    cost=60,
    bar=_BAR,
    headline=False,
    monitored=True,
    section="structure",
    figure="Specks and holes",
)
HOLE_DENSITY = Measure(
    key="hole_density",
    name="holes",
    label="holes, fewer than 27 voxels",
    label_of_slice="holes, fewer than 27 pixels",
    unit="1/µm³",
    unit_of_slice="1/µm²",
    shape=PER_PHASE,
    method="Pieces of everything else of fewer than 27 voxels that share faces, per volume of the whole; of "
    "slices, of pixels that share edges, per area.",
    of_volume=lambda subject: _found(subject).holes,
    of_slice=lambda subject: _found(subject).holes,
    on_blocks=OnBlocks(value=lambda _, whole: _found_on_blocks(whole).holes),
    needs=frozenset({"shapes"}),
    cost=0,
    bar=_BAR,
    headline=False,
    monitored=True,
    section="structure",
    figure="Specks and holes",
)
