"""Particles of a phase, separated by a watershed, and particle sizes from slices."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse

from kerasgan3d.checks import Periodic, check_count, check_number
from kerasgan3d.files import replacing
from kerasgan3d.metrics._check import check_phase, require_voxel_size
from kerasgan3d.metrics._halo import check_image, with_halo
from kerasgan3d.metrics._measure import PER_PHASE, Measure
from kerasgan3d.metrics._tables import check_table, write_columns
from kerasgan3d.metrics._workers import in_threads, threads
from kerasgan3d.texts import json_text
from kerasgan3d.volume import Volume

# Shares of all directions that are nearest to those between neighbours along 1, 2 and 3 axes, for each of the 3, 6 and
# 4 (Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science, 2000, table 2.1).
_SHARES = {3: {1: 0.0915568, 2: 0.0739612, 3: 0.0703912}, 2: {1: 0.25, 2: 0.25}}


@dataclass(frozen=True, eq=False)
class Particles:
    """The particles of a phase, n of them, or of a slice their sections; made by `particles`.

    Attributes:
        labels: int32, of the image's shape: 1 to n, 0 outside the phase.
        volume: (n,) in µm³; of sections the area in µm².
        diameter: (n,) in µm, of the ball, or disc, of that volume.
        surface_area: (n,) in µm²; of sections the perimeter in µm.
        sphericity: (n,): the surface of the ball of that volume over the surface; of sections 4 pi A / P².
        centre: (n, axes) in µm, within the image.
        half_axes: (n, axes) in µm, longest first, of the ellipsoid with the same second moments.
        direction: (n, axes), a unit vector along the longest.
        contact: (n, phases) in µm² (sections: µm): the area of voxel faces towards each phase; towards the own one, the
            area shared with other particles.
        whole: (n,) bool: does not touch a face of the image that is not periodic.
        phases: Names of the image's phases, or their indices.
    """

    labels: np.ndarray
    volume: np.ndarray
    diameter: np.ndarray
    surface_area: np.ndarray
    sphericity: np.ndarray
    centre: np.ndarray
    half_axes: np.ndarray
    direction: np.ndarray
    contact: np.ndarray
    whole: np.ndarray
    phases: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.volume)

    def __repr__(self) -> str:
        return f"Particles({len(self)} in an image of {' x '.join(map(str, self.labels.shape))} voxels)"

    def table(self) -> dict[str, np.ndarray]:
        """Return the numbers of all particles as columns (n,), with units in their names: `pandas.DataFrame` takes it.

        Of sections `area_um2` and `perimeter_um` stand for volume and surface.
        """
        axes, edges = "zyx"[-self.labels.ndim :], range(1, self.labels.ndim + 1)
        size, surface, unit = {
            2: ("area_um2", "perimeter_um", "um"),
            3: ("volume_um3", "surface_area_um2", "um2"),
        }[self.labels.ndim]
        return {
            "particle": np.arange(1, len(self) + 1),
            size: self.volume,
            "diameter_um": self.diameter,
            surface: self.surface_area,
            "sphericity": self.sphericity,
            **{f"centre_{axis}_um": column for axis, column in zip(axes, self.centre.T, strict=True)},
            **{f"half_axis_{k}_um": column for k, column in zip(edges, self.half_axes.T, strict=True)},
            **{f"direction_{axis}": column for axis, column in zip(axes, self.direction.T, strict=True)},
            **{f"contact_{name}_{unit}": column for name, column in zip(self.phases, self.contact.T, strict=True)},
            "whole": self.whole,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `table` as .csv, .parquet or .json, a line per particle; .json holds a list per column.

        Raises:
            ValueError: Another suffix.
            MissingLibraryError: pyarrow is missing, which writes .parquet.
        """
        path, columns = check_table(path), {name: column.tolist() for name, column in self.table().items()}
        if path.suffix.lower() == ".json":
            with replacing(path) as temporary:
                temporary.write_text(json_text(columns, indent=2) + "\n", "utf-8")
        else:
            write_columns(path, columns)


def particles(
    volume: Volume | ArrayLike,
    phase: int | str,
    depth: float = 1.0,
    *,
    voxel_size: float | None = None,
    periodic: Periodic | None = None,
    n_phases: int | None = None,
) -> Particles:
    """Separate the particles of a phase at their necks, and measure each.

    The watershed of the distance to other phases (Beucher and Meyer, in: Mathematical Morphology in Image Processing,
    1993, 433-481): a particle is the basin of one maximum, after maxima that stand out from their saddles by less
    than `depth` were joined. SNOW separates pores in this way (Gostick, Phys. Rev. E 96, 2017, 023307). A particle that
    extends across periodic faces is one.

    **Surfaces** are those of the Crofton formula: changes between neighbours are counted along 13 directions (of slices
    4), each weighed by its share of all directions and the density of its lines. Unlike voxel faces they have no
    staircase: the surface of a ball of radius 8 voxels is within 3 % of what it should be. Where a particle is cut at
    the image's face, that is no surface.

    **Contacts** are counted as voxel faces, on average 1.5 times the area of a smooth surface. The specific contact
    areas of a particle are its `contact` divided by its `volume`.

    Args:
        volume: Volume, or integer array (z, y, x) or (y, x) of labels 0..n-1.
        phase: Its index, or its name where `volume` is a Volume.
        depth: By how many voxels the distance must fall between two particles. Small values cut more.
        voxel_size: Edge length of a voxel in µm; default: the volume's.
        periodic: One bool, or one per axis; default: the volume's, or False for an array.
        n_phases: Number of phases n; default: the volume's, or the highest label + 1 of an array.

    Returns:
        Particles in the order of their first voxels; none for an absent phase.

    Raises:
        ValueError: If the phase fills the image, the voxel size is unknown, or an argument is invalid.
    """
    checked = check_image(volume, voxel_size=voxel_size, periodic=periodic, phases=n_phases)
    index, size = check_phase(volume, phase, checked.phases), require_voxel_size(checked)
    depth = check_number(depth, "depth", 0.01)
    mask = checked.labels == index
    if mask.all():
        raise ValueError("A phase that fills the image has no particles. Received: nothing else in it.")
    separated = _separated(mask, checked.periodic, depth)
    names = volume.phases if isinstance(volume, Volume) else range(checked.phases)
    return replace(_measured(separated, checked, size), phases=tuple(map(str, names)))


def saltykov(
    diameters: ArrayLike, area: float, n_classes: int = 10, largest: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the number of balls per volume by diameter, from the diameters of their sections.

    For classes of width w, sections of class i come from balls of class j >= i, taken to have the diameter j w, with
    N_A,i = w sum_j N_V,j (sqrt(j² - (i - 1)²) - sqrt(j² - i²)) per area, which is solved (Saltykov, Stereometric
    Metallurgy, 1958; Russ and Dehoff, Practical Stereology, 2000, chapter 11). This is exact for balls; with few
    sections in a large class the numbers of smaller ones scatter, even below zero.

    Args:
        diameters: Of sections that lie in the slices as a whole, such as `Particles.diameter`, in µm.
        area: Of all the slices, in µm².
        n_classes: How many classes.
        largest: The upper end of the last class; default: the largest diameter.

    Returns:
        The upper ends of the classes in µm, and the number of balls in each in 1/µm³: two arrays (n_classes,).

    Raises:
        ValueError: If there are no diameters, or an argument is invalid.
    """
    found = np.asarray(diameters, float)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or found.min() <= 0:
        raise ValueError(f"`diameters` must be positive numbers, one at least. Received: {diameters!r:.100}.")
    area, n_classes = check_number(area, "area"), check_count(n_classes, "n_classes")
    largest = float(found.max()) if largest is None else check_number(largest, "largest", float(found.max()))
    width = largest / n_classes
    classes = np.minimum(np.ceil(found / width * (1 - 1e-12)).astype(int), n_classes)
    counts = np.bincount(classes, minlength=n_classes + 1)[1:]
    i, j = np.arange(1, n_classes + 1)[:, None], np.arange(1, n_classes + 1)
    seen = np.where(j >= i, np.sqrt(np.maximum(j**2 - (i - 1) ** 2, 0)) - np.sqrt(np.maximum(j**2 - i**2, 0)), 0)
    return width * j, np.linalg.solve(width * seen, counts / area)


def _separated(mask, periodic, depth):
    """Return the particles of a mask as labels 1..n in the order of their first voxels."""
    from skimage.segmentation import watershed  # here: nothing else needs it

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    squares = _squared_distances(mask, periodic)
    distance = np.sqrt(squares)
    seeds, levels = _seeds(distance, squares, periodic, depth)
    # Of what goes on at the other side, as much is looked at as may decide about a particle.
    reach = min(math.ceil(3 * distance.max()), max(mask.shape) // 2)
    around, reach = _flooded(levels, seeds, periodic, reach)
    (image, own), (markers, _) = (with_halo(each, periodic, reach) for each in (-distance, seeds))
    found = watershed(image, markers, mask=around)[own].ravel()
    firsts = np.empty(found.max() + 1, int)
    firsts[found[::-1]] = np.arange(found.size)[::-1]  # of several, the last that is written stays
    firsts[0] = -1
    ranks = np.empty(len(firsts), np.int32)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    return ranks[found].reshape(mask.shape)


def _flooded(levels, seeds, periodic, reach):
    """Mark the voxels over which a flood from seeds may come to those of an image, across periodic faces too.

    It comes to a voxel from the neighbour to which it came at the highest level, or from one of several such, and
    starts at seeds. Nothing else that lies around the image decides about its voxels.

    Args:
        levels: Level at which the flood comes to a voxel, in any unit; 0 where it does not.
        seeds: Not 0 where it starts.
        periodic: One bool per axis.
        reach: How many voxels beyond periodic faces are looked at.

    Returns:
        bool array of the image with its halo, and how many voxels the halo is wide.
    """
    shape, low, wide = np.array(levels.shape), np.where(periodic, reach, 0), 0
    around, going = np.zeros(shape + 2 * low, bool), (levels > 0) & (seeds == 0)
    around[tuple(map(slice, low, low + shape))] = levels > 0
    faces = np.ones(levels.shape, bool)
    faces[tuple(slice(1, -1) if wraps else slice(None) for wraps in periodic)] = False
    steps = np.concatenate([np.eye(levels.ndim, dtype=int), -np.eye(levels.ndim, dtype=int)])
    front = np.argwhere(going & faces)
    while len(front):
        beside = front[:, np.newaxis] + steps
        inside = ((beside >= -low) & (beside < shape + low)).all(axis=-1)
        heights = np.where(inside, levels[tuple(np.moveaxis(beside % shape, -1, 0))], 0)
        higher = (beside[inside & (heights == heights.max(axis=1, keepdims=True))] + low).T
        found = np.unique(np.ravel_multi_index(tuple(higher[:, ~around[tuple(higher)]]), around.shape))
        around.reshape(-1)[found] = True
        front = np.stack(np.unravel_index(found, around.shape), axis=1) - low
        wide = max(wide, -front.min(initial=0), (front - shape).max(initial=-1) + 1)
        front = front[going[tuple((front % shape).T)]]
    return around[tuple(map(slice, low - wide * (low > 0), low + shape + wide))], wide


def _squared_distances(mask, periodic):
    """Return the squares of distances to what is outside the mask, across periodic faces too: int64, voxels²."""
    reach = _reach(mask)
    around, own = with_halo(mask, periodic, min(reach, max(mask.shape) // 2))  # half a period: the next is no nearer
    found = np.empty(mask.shape, np.int64)
    slabs = max(1, min(threads(), len(mask) // reach))
    ends = np.linspace(0, len(mask), slabs + 1).astype(int)

    def work(start: int, stop: int) -> None:
        first, last = start + own[0].start, stop + own[0].start
        low = max(first - reach, 0)
        slab = around[low : last + reach]
        nearest = ndimage.distance_transform_edt(slab, return_distances=False, return_indices=True)
        inner = (slice(first - low, last - low), *own[1:])
        places = np.indices(slab.shape, np.int32, sparse=True)
        found[start:stop] = sum((there - here)[inner] ** 2 for there, here in zip(nearest, places, strict=True))

    in_threads(work, ends[:-1], ends[1:])
    return found


def _reach(mask):
    """Return a number of voxels that no distance to what is outside the mask exceeds, by few in most images.

    Of cubes of four voxels, those that lie in the mask as a whole are that far from the others: two voxels are further
    apart than their cubes by at most three steps along each axis.
    """
    edges = [(size + 3) // 4 for size in mask.shape]
    padded = np.pad(mask, [(0, 4 * edge - size) for edge, size in zip(edges, mask.shape, strict=True)], "edge")
    cubes = padded.reshape([n for edge in edges for n in (edge, 4)]).all(axis=tuple(range(1, 2 * mask.ndim, 2)))
    return math.ceil(4 * ndimage.distance_transform_edt(cubes).max() + 3 * math.sqrt(mask.ndim))


def _seeds(distance, squares, periodic, depth):
    """Number the maxima of the distance that stand out from their saddles by more than `depth`.

    Of a maximum of height M they are the voxels that are connected to it at M - depth and above, where nothing is
    higher than M: the regional maxima of the reconstruction of distance - depth under the distance (Vincent, IEEE
    Trans. Image Process. 2, 1993, 176-201). From each voxel a way over highest neighbours leads up to a top, whose
    slope it belongs to. The lowest point of the highest way between tops lies where two slopes meet (Cousty et al.,
    IEEE Trans. Pattern Anal. Mach. Intell. 31, 2009, 1362-1374), so that these passes tell what is connected.

    Returns:
        The numbers: int32, 0 elsewhere; and the level at which a flood from these voxels comes to each: its distance,
        or that of the lowest voxel on the way to it.
    """
    # Of equal voxels the later is taken as the higher, so that each has one way up.
    heights = squares * squares.size + np.arange(squares.size).reshape(squares.shape)
    modes = ["wrap" if wraps else "nearest" for wraps in periodic]
    up = np.maximum.reduce([ndimage.maximum_filter1d(heights, 3, axis, mode=mode) for axis, mode in enumerate(modes)])
    mask = squares > 0
    inside = np.flatnonzero(mask)
    places = np.empty(mask.size, np.intp)
    places[inside] = np.arange(len(inside))
    up = places[up.ravel()[inside] % mask.size]
    while not np.array_equal(further := up[up], up):
        up = further
    own = np.flatnonzero(up == np.arange(len(up)))
    tops, numbers = inside[own], np.empty(len(up), np.intp)
    numbers[own] = np.arange(len(own))
    slopes = np.full(mask.shape, -1)
    slopes[mask] = numbers[up]
    levels = distance.ravel()[tops]
    highest, stands, entries = _connected(levels, _passes(slopes, squares, periodic), depth)
    numbers = np.where(stands, np.cumsum(stands), 0)[highest]
    seeds = np.where(mask & (distance >= (levels[highest] - depth)[slopes]), numbers[slopes], 0).astype(np.int32)
    return seeds, np.where(mask & (seeds == 0), np.minimum(distance, entries[slopes]), distance)


def _passes(slopes, squares, periodic):
    """List passes between slopes, the highest first, that connect without a circle: (level, one, other)."""
    count, above = int(slopes.max()) + 1, int(squares.max()) + 1

    def met(shift):
        """Return a number for each pair of slopes and level at which they meet, smaller at a higher level."""
        here, there = _neighbours(slopes, shift, periodic)
        meet = (here != there) & (here >= 0) & (there >= 0)
        one, other = np.sort([here[meet], there[meet]], axis=0)
        level = np.minimum(*(side[meet] for side in _neighbours(squares, shift, periodic)))
        return np.unique((one * count + other) * (above + 1) + above - level)

    found = in_threads(met, np.eye(slopes.ndim, dtype=int))
    pairs, below = np.divmod(np.unique(np.concatenate(found)), above + 1)
    pairs, highest = np.unique(pairs, return_index=True)
    graph = sparse.csr_array((below[highest], np.divmod(pairs, count)), (count, count))
    tree = sparse.csgraph.minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.data)
    return zip(*(each[order].tolist() for each in (np.sqrt(above - tree.data), *tree.coords)), strict=True)


def _connected(levels, passes, depth):
    """Tell which tops are connected.

    Returns:
        The highest top that each is connected to at `depth` below that; which tops stand out so far; and the level at
        which a flood from those comes to the slope of each, infinite for their own.
    """
    count = len(levels)
    heads, highest, stands = np.arange(count).tolist(), np.arange(count), np.ones(count, bool)
    into, entries = np.arange(count), np.full(count, np.inf)
    for level, *sides in passes:
        low, high = sorted((_head(heads, side) for side in sides), key=levels.__getitem__)
        heads[low], stands[low] = high, level < levels[low] - depth
        if level >= levels[high] - depth:
            highest[low] = high
        if not stands[low]:
            into[low], entries[low] = high, level
    while not np.array_equal(further := highest[highest], highest):
        highest = further
    while not np.array_equal(further := into[into], into):
        into, entries = further, np.minimum(entries, entries[into])
    return highest, stands, entries


def _head(heads, one):
    """Return what one leads to, and shorten the way there."""
    while heads[one] != one:
        heads[one] = heads[heads[one]]
        one = heads[one]
    return one


def _measured(labels, checked, size):
    """Return the Particles of labels."""
    count, dimensions = int(labels.max()), labels.ndim
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(float)

    def changes(shift):
        """Return the changes between neighbours at a displacement that count for each, and the contacts of faces."""
        here, there = _neighbours(labels, shift, checked.periodic)
        unlike = here != there
        along = int(np.count_nonzero(shift))
        # Lines along a direction have one voxel's volume per step: their density is the step over it.
        weight = _SHARES[dimensions][along] / math.sqrt(along)
        sides = [one[unlike] for one in (here, there)]
        contacts = np.zeros((count + 1, checked.phases))
        if along == 1:
            beyond = (one[unlike] for one in _neighbours(checked.labels, shift, checked.periodic)[::-1])
            for side, phase in zip(sides, beyond, strict=True):
                np.add.at(contacts, (side, phase), 1)
        return weight * sum(np.bincount(side, minlength=count + 1) for side in sides), contacts

    counted = zip(*in_threads(changes, _directions(dimensions)), strict=True)
    crossings, contact = (np.add.reduce(parts) for parts in counted)
    # The mean of |cos| over all directions is 1/2 in space, 2 / pi in the plane.
    surface = (2 if dimensions == 3 else math.pi / 2) * crossings[1:]
    ball = math.pi ** (1 / 3) * (6 * voxels) ** (2 / 3) if dimensions == 3 else 2 * np.sqrt(math.pi * voxels)
    centre, half_axes, direction = _moments(labels, voxels, checked.periodic)
    return Particles(
        labels=labels,
        volume=voxels * size**dimensions,
        diameter=(6 * voxels / math.pi) ** (1 / 3) * size if dimensions == 3 else np.sqrt(4 * voxels / math.pi) * size,
        surface_area=surface * size ** (dimensions - 1),
        sphericity=(ball / surface) ** (1 if dimensions == 3 else 2),
        centre=centre * size,
        half_axes=half_axes * size,
        direction=direction,
        contact=contact[1:] * size ** (dimensions - 1),
        whole=~np.isin(np.arange(1, count + 1), _at_faces(labels, checked.periodic)),
    )


def _directions(dimensions):
    """List the displacements to neighbours, one of each pair of opposites."""
    return [shift for shift in itertools.product((-1, 0, 1), repeat=dimensions) if shift > (0,) * dimensions]


def _neighbours(labels, shift, periodic):
    """Return the labels of both voxels of every pair at a displacement: two arrays of one shape."""
    there = np.roll(labels, [-step for step in shift], range(labels.ndim))
    inside = tuple(
        slice(None) if wraps or not step else slice(None, -1) if step > 0 else slice(1, None)
        for step, wraps in zip(shift, periodic, strict=True)
    )
    return labels[inside], there[inside]


def _moments(labels, voxels, periodic):
    """Return centres, half axes of the ellipsoids of the same second moments, and the longest of their directions."""
    count, shape = len(voxels), np.array(labels.shape)
    places = np.argwhere(labels)
    numbers = labels[tuple(places.T)] - 1
    firsts = places[np.unique(numbers, return_index=True)[1]]
    offsets = places - firsts[numbers]
    # Across a periodic face the nearer way; a particle is less than half the image from its first voxel.
    offsets = np.where(periodic, (offsets + shape // 2) % shape - shape // 2, offsets)
    means = np.stack([np.bincount(numbers, part, count) for part in offsets.T], axis=1) / voxels[:, None]
    rest = offsets - means[numbers]
    second, rest = np.empty((labels.ndim, labels.ndim, count)), np.ascontiguousarray(rest.T)
    for i, j in itertools.combinations_with_replacement(range(labels.ndim), 2):
        second[i, j] = second[j, i] = np.bincount(numbers, rest[i] * rest[j], count) / voxels
    # A voxel is a cube: 1/12 along each axis.
    values, vectors = np.linalg.eigh(np.moveaxis(second, -1, 0) + np.eye(labels.ndim) / 12)
    return (firsts + means + 0.5) % shape, np.sqrt((labels.ndim + 2) * values[:, ::-1]), vectors[:, :, -1]


def _at_faces(labels, periodic):
    """List the labels at faces of the image that are not periodic."""
    faces = [labels.take(end, axis).ravel() for axis, wraps in enumerate(periodic) if not wraps for end in (0, -1)]
    return np.unique(np.concatenate(faces)) if faces else np.empty(0, int)


def _of_phases(subject: Any) -> list[Particles | None]:
    """Return the particles of each phase of a Subject; None where it is absent or fills the image."""

    def found() -> list[Particles | None]:
        given = {"voxel_size": subject.voxel_size, **subject.options}
        shares = subject["volume_fraction"]
        return [particles(subject.labels, k, **given) if 0 < share < 1 else None for k, share in enumerate(shares)]

    return subject.once(found, "particles")


def _over_phases(number: Any) -> Any:
    """Return the function of a Subject that gives a number of the particles of each phase: 0 without any, NaN alone."""

    def of_volume(subject: Any) -> np.ndarray:
        none = np.where(subject["volume_fraction"] == 1, np.nan, 0.0)
        found = enumerate(_of_phases(subject))
        return np.array([none[k] if each is None else number(each, k, subject) for k, each in found])

    return of_volume


def _median_diameter(found: Particles, *_: Any) -> float:
    order = np.argsort(found.volume)
    half = np.searchsorted(np.cumsum(found.volume[order]), found.volume.sum() / 2)
    return float(found.diameter[order[half]])


def _mean_sphericity(found: Particles, _: int, subject: Any) -> float:
    ends = [
        found.labels.take(end, axis).ravel()
        for axis, wraps in enumerate(subject.periodic)
        if not wraps
        for end in (0, -1)
    ]
    cut = sum((np.bincount(end, minlength=len(found) + 1)[1:] for end in ends), np.zeros(len(found)))
    surface = found.surface_area + cut * subject.voxel_size**2
    return float(np.average(math.pi * found.diameter**2 / surface, weights=found.volume))


def _contact_area(found: Particles, phase: int, subject: Any) -> float:
    # Either side of a contact counts it.
    return float(found.contact[:, phase].sum() / 2 / (subject.labels.size * subject.voxel_size**3))


PARTICLE_DIAMETER = Measure(
    key="particle_diameter",
    name="median particle diameter",
    unit="µm",
    shape=PER_PHASE,
    method="Of the particles into which a watershed of the distance to other phases separates the phase, the diameter "
    "of the ball of that volume: half of the phase is in particles not larger. What the image cuts counts as it is.",
    of_volume=_over_phases(_median_diameter),
    needs=frozenset({"particles"}),
    cost=600,
    bar=0.1,
    headline=False,
    section="structure",
    figure="Median particle diameters",
)
PARTICLE_SPHERICITY = Measure(
    key="particle_sphericity",
    name="particle sphericity",
    unit="1",
    shape=PER_PHASE,
    method="The surface of the ball of a particle's volume over the particle's, by Crofton's formula, with contacts "
    "and what the image cuts; mean over the phase's volume.",
    of_volume=_over_phases(_mean_sphericity),
    needs=frozenset({"particles"}),
    cost=10,
    decimals=3,
    bar=0.05,
    headline=False,
    section="structure",
    figure="Sphericities of particles",
)
PARTICLE_CONTACT_AREA = Measure(
    key="particle_contact_area",
    name="contact area of particles",
    unit="1/µm",
    shape=PER_PHASE,
    method="The area of voxel faces between particles of the phase, per volume of the whole.",
    of_volume=_over_phases(_contact_area),
    needs=frozenset({"particles"}),
    cost=10,
    bar=0.15,
    headline=False,
    section="structure",
    figure="Contact areas between particles",
)
