"""Triple-phase boundaries."""

from collections.abc import Sequence
from itertools import combinations

from numpy.typing import ArrayLike

from kerasgan3d.checks import Periodic
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import check_phase, check_volume, require_voxel_size
from kerasgan3d.metrics._count import count_junctions
from kerasgan3d.metrics._measure import SCALAR, Measure, OnBlocks
from kerasgan3d.metrics.connectivity import percolating_voxels
from kerasgan3d.volume import Volume

# A voxelised line in the direction of the unit vector (x, y, z) takes |x| + |y| + |z| times its length; the mean of
# |x| over the unit sphere is the integral of u from 0 to 1, that is 1/2.
STAIRCASE_3D = 3 / 2
PERCOLATING = "percolating"  # in `Subject.once`: the mask of voxels that percolate


@renamed("phases", "n_phases")
def triple_phase_boundary_density(
    volume: Volume | ArrayLike,
    active: bool = False,
    *,
    phases_triple: Sequence[int | str] | None = None,
    staircase_correction: bool = False,
    voxel_size: float | None = None,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> float:
    """Return the length of triple-phase boundaries per volume of the image: L_V = N_edges a / (N a^3).

    N voxels have the edge length a. The lines are voxel edges: an edge counts, with the length of a voxel, if at least
    three distinct phases are among the four voxels around it. For three phases these are the edges that TauFactor
    counts (Cooper et al., SoftwareX 5, 2016, 203-210), which reports their share of all edges instead of a length.
    Edges in the outer boundary have fewer than four voxels around and are not counted; across a periodic axis they are,
    once.

    **Staircase correction.** Voxel edges follow a smooth line in steps along the axes. A line in the direction of a
    unit vector (x, y, z) so becomes |x| + |y| + |z| times as long. The mean of |x| over the unit sphere, where x is
    uniform in -1..1, is 1/2: over all directions the factor is 3/2 on average, and `staircase_correction=True` divides
    by it. That is right for lines that are isotropic and smooth on the scale of a voxel; lines along the axes need no
    correction.

    **Active** boundary is what transport can reach: only voxels in clusters that percolate count as any phase. A
    cluster, of voxels that share faces, percolates if it touches both ends of the volume along at least one axis
    (`percolating_voxels`; periodic side faces are joined). So an edge is active if each of at least three phases has a
    percolating voxel among the four around it.

    Args:
        volume: Volume, or integer array (z, y, x) of labels 0..n-1.
        active: Count only edges where the phases that meet percolate.
        phases_triple: Three phases that must all meet at an edge: indices, or names where `volume` is a Volume;
            default: any three.
        staircase_correction: Divide by 3/2.
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        periodic: One bool, or three (z, y, x); default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        float, in µm of line per µm³, 1/µm²; 0 where fewer than three phases are present.

    Raises:
        ValueError: If the voxel size is unknown, `phases_triple` does not name three phases, or an argument is not as
            above.
    """
    checked = check_volume(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    size = require_voxel_size(checked)
    candidates = (
        range(checked.phases) if phases_triple is None else _check_triple(volume, phases_triple, checked.phases)
    )
    within = percolating_voxels(checked.labels, periodic=checked.periodic) if active else None
    edges = _edges(checked.labels, candidates, checked.periodic, within)
    length = edges / STAIRCASE_3D if staircase_correction else edges
    return density_from(length, checked.labels.size, size)


def _edges(labels, candidates, periodic, within):
    planes = combinations(range(3), 2)
    return sum(count_junctions(labels, candidates, plane, periodic, within) for plane in planes)


def density_from(edges: float, voxels: int, voxel_size: float) -> float:
    """Return the length of lines per volume, in 1/µm², from the numbers of voxel edges and of all voxels."""
    return edges / (voxels * voxel_size**2)


def _check_triple(volume, phases_triple, phases):
    triple = tuple(phases_triple) if isinstance(phases_triple, (tuple, list)) else ()
    triple = tuple(check_phase(volume, phase, phases, "phases_triple") for phase in triple)
    if len(set(triple)) != 3 or len(triple) != 3:
        raise ValueError(
            f"`phases_triple` must be three different phases, as in (0, 1, 2). Received: {phases_triple!r}."
        )
    return triple


def _density(subject, active=False):
    def found():
        return percolating_voxels(subject.labels, periodic=subject.periodic)

    within = subject.once(found, PERCOLATING) if active else None
    edges = _edges(subject.labels, range(subject.n_measured), subject.periodic, within)
    return density_from(edges, subject.labels.size, subject.voxel_size)


def triple_point_density(subject):
    """Return the pixel corners where three phases meet, per area of a slice: in 1/µm²."""
    points = count_junctions(subject.labels, range(subject.n_measured), (0, 1), subject.periodic)
    return points / (subject.labels.size * subject.voxel_size**2)


def _count_edges(part):
    """Count the edges of a block and those to the voxels ahead of it, of percolating voxels where these are known."""
    edges = 0
    for plane in combinations(range(3), 2):
        within = None if part.within is None else part.reaching(plane, part.within)
        edges += count_junctions(part.reaching(plane), range(part.n_measured), plane, (False,) * 3, within)
    return edges


def _density_of_blocks(edges, whole):
    return density_from(edges, whole.voxels, whole.voxel_size)


TRIPLE_PHASE_BOUNDARY_DENSITY = Measure(
    key="triple_phase_boundary_density",
    name="triple-phase boundary",
    unit="1/µm²",
    shape=SCALAR,
    method="The length of voxel edges where three or more phases meet, per volume of the whole.",
    of_volume=_density,
    # See `slice_statistics`.
    of_slice=lambda subject: 3 * triple_point_density(subject),
    stereology=True,
    on_blocks=OnBlocks(count=_count_edges, value=_density_of_blocks),
    within=lambda values, inside: values["triple_phase_boundary_density"] / inside.share,
    needs=frozenset({"three phases"}),
    label="triple-phase boundary density, voxel edges",
    whole=True,
    bar=0.05,
    monitored=True,
    section="structure",
    figure="Triple-phase boundaries",
)
ACTIVE_TRIPLE_PHASE_BOUNDARY_DENSITY = Measure(
    key="active_triple_phase_boundary_density",
    name="active triple-phase boundary",
    unit="1/µm²",
    shape=SCALAR,
    method="The part of it where each of the phases that meet is connected through the volume.",
    of_volume=lambda subject: _density(subject, active=True),
    on_blocks=OnBlocks(count=_count_edges, value=_density_of_blocks, active=True),
    within=lambda values, inside: values["active_triple_phase_boundary_density"] / inside.share,
    needs=frozenset({"three phases", "percolation"}),
    cost=15,
    label="  of it active",
    bar=0.1,
    section="structure",
    figure="Triple-phase boundaries",
)
