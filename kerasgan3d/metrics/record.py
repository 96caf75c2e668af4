"""`Measurement`: the record of all measures of a volume or a slice."""

from __future__ import annotations

import dataclasses
import math
import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasgan3d.checks import check_integer
from kerasgan3d.folder import RENAMED
from kerasgan3d.metrics._check import check_part, check_slice, check_stored, check_volume
from kerasgan3d.metrics._inside import Inside, excluded_last
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics._record_json import from_json, to_json, units_of
from kerasgan3d.metrics._record_text import record_text
from kerasgan3d.metrics.blocks import BLOCK, highest_phases, measure_blocks
from kerasgan3d.metrics.confidence import LEVEL, WITHIN, Confidence, check_level, check_within, confidence_of
from kerasgan3d.metrics.registry import ALL, MEASURES, ON_REQUEST
from kerasgan3d.phases import MAX_PHASES, PhaseMap, check_dense, default_names
from kerasgan3d.upward import upward

MAX_LAG = 32  # voxels: with 0.4 µm each beyond the size of a cathode's particles, and still cheap
# Voxels. All measures of a volume that is in memory take some 100 bytes each: 13 GB for this many.
IN_MEMORY = 512**3
_PAIRS = ("two_point_correlation",)


_VALUES = [(key, Any, dataclasses.field(default=None)) for key in MEASURES]
# Beside what every record has: no fields.
_VALUES += [(key, dataclasses.InitVar[Any], dataclasses.field(default=None)) for key in ON_REQUEST]
_Values = dataclasses.make_dataclass("_Values", _VALUES, frozen=True, eq=False, repr=False, kw_only=True)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Measurement(_Values):
    """Result of `measure` for n phases; axes are in the order z, y, x, lengths in µm.

    Every measure is an attribute, and ``record[key]``. Measures that a slice does not give, that do not exist or were
    not requested are None. Within an array, NaN marks a value that was not computed or does not exist, and inf the
    resistance of a phase that does not conduct.

    Attributes:
        phases: The n names.
        voxel_size: Edge of a voxel in µm, or None where it is unknown: measures that have a unit are None then.
        shape: Voxels along z, y, x; along y, x for a slice.
        periodic: Whether the image continues at its opposite faces, one bool per axis.
        stereology: Keys of those that are estimates of a volume's values, made from a slice by stereology.
        excluded: Share of the image that was left out, where all else is of the rest; None where nothing was.
        confidence: How sure the numbers are as those of the material, `Confidence`; None where it was not asked for.
        volume_fraction: (n,).
        specific_surface_area: (n,) in 1/µm, of voxel faces.
        specific_surface_area_marching_cubes: (n,) in 1/µm, of a mesh; None for a slice, and block by block.
        interfacial_area: (n, n) in 1/µm, of voxel faces.
        triple_phase_boundary_density: In 1/µm², of voxel edges; None where there are fewer than three phases.
        active_triple_phase_boundary_density: In 1/µm²; None for a slice, and where there are fewer than three phases.
        granulometry: (n, radii), the fraction of each phase in balls (in a slice: discs) of 0, 1, 2 ... voxels that fit
            into it; None without shapes.
        mean_chord_length: (n, axes) in µm, along each axis.
        euler_characteristic: (n,) in 1/µm³, voxels of the phase joined by faces; of a slice in 1/µm², pieces - holes.
        speck_density, hole_density: (n,) in 1/µm³, of a slice in 1/µm²: pieces of fewer than 27 voxels of the phase,
            and of everything else; None without shapes.
        connected_fraction: (n, 3), the fraction of each phase that percolates; None for a slice.
        relative_diffusivity: (n, 3); None for a slice, without transport, and block by block.
        tortuosity_factor: (n, 3), volume fraction / relative diffusivity; None as before.
        macmullin_number: (n, 3), 1 / relative diffusivity; None as before.
        bruggeman_exponent: (n, 3), ln(relative diffusivity) / ln(volume fraction); None as before.
        two_point_correlation: (n, axes, lags), S2 along each axis at `distances`.
        radial_two_point_correlation: (n, lags), S2 averaged over all directions; None for a slice, and block by
            block.
        particle_diameter: (n,) in µm, the median by volume of the particles' equivalent diameters; this and the
            following measures are None, and not in JSON, unless they were requested.
        particle_sphericity: (n,), the mean by volume.
        particle_contact_area: (n,) in 1/µm, of voxel faces between particles of the phase.
        lineal_path: (n, axes, lags), along each axis at `distances`.
        fraction_profile_spread: (n, 3), the standard deviation of the phase's fraction over slices; None for a slice.
        permeability: (n, 3) in µm²; None for a slice.
    """

    phases: tuple[str, ...]
    voxel_size: float | None
    shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    stereology: tuple[str, ...] = ()
    excluded: float | None = None
    # Beside the numbers, which have units: no field.
    confidence: dataclasses.InitVar[Confidence | None] = None

    def __post_init__(self, *values: Any) -> None:
        for name, value in zip((*ON_REQUEST, "confidence"), values, strict=True):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        key = RENAMED.get(name)
        if key is None:
            raise AttributeError(f"a Measurement has no measure {name!r}; there are {', '.join(ALL)}.")
        warnings.warn(f"`{name}` of a Measurement is now `{key}`.", DeprecationWarning, stacklevel=2)
        return getattr(self, key)

    def __getitem__(self, key: str) -> Any:
        """Return a measure by its key.

        Raises:
            KeyError: If there is no such measure.
        """
        if key not in ALL:
            raise KeyError(key)
        return getattr(self, key)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each number, "1" for dimensionless ones: dict of attribute to text."""
        asked = [key for key in ON_REQUEST if self[key] is not None]
        return {**units_of(len(self.shape)), **{key: ON_REQUEST[key].unit for key in asked}}

    @property
    def distances(self) -> np.ndarray:
        """Distances of the two-point correlations, 0, 1, 2 ... voxels, in µm: (lags,).

        Raises:
            ValueError: If the voxel size is unknown.
        """
        if self.voxel_size is None:
            raise ValueError("The voxel size is unknown: distances in µm need `voxel_size=`, when it is measured.")
        return np.arange(self.two_point_correlation.shape[-1]) * self.voxel_size

    def to_dict(self) -> dict[str, Any]:
        """Return the record as a JSON-serialisable dict.

        Since JSON has no infinity or NaN, inside an array inf is the text "inf", and NaN is null. Both become numbers
        again by `numpy.asarray(values, float)`. An attribute that is None is null as a whole.
        """
        return to_json(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Measurement:
        """Read a record of `to_dict`, of this or an earlier version.

        Raises:
            ValueError: If it is not such a record: an entry is missing, or has another form.
        """
        return cls(**from_json(record))

    def __str__(self) -> str:
        return record_text(self)

    def _repr_html_(self) -> str:
        return upward("report.displays", "measurement_html")(self)

    def __repr__(self) -> str:
        shape, element = " x ".join(map(str, self.shape)), "pixels" if len(self.shape) == 2 else "voxels"
        edge = "unknown size" if self.voxel_size is None else f"{self.voxel_size:g} µm"
        return f"Measurement({shape} {element} of {edge}, phases {'/'.join(self.phases)})"


def measure(
    volume: Any,
    *,
    voxel_size: float | None = None,
    phases: Any = None,
    periodic: Any = None,
    transport: Any = True,
    shapes: bool = True,
    particles: bool = False,
    permeability: Any = False,
    max_lag: int | None = None,
    block: int | None = None,
    workers: int | None = None,
    mask: Any = None,
    exclude: Any = (),
    confidence: float | bool = False,
    within: float = WITHIN,
    progress: Callable[[float, float, str], None] | None = None,
) -> Measurement:
    """Compute all measures of a volume, or of a slice together with estimates for its volume.

    The measures are those of `kerasgan3d.metrics`, whose functions define them. Diffusion continues through periodic
    side faces. A slice gives stereological estimates, valid for isotropic materials (`slice_statistics`,
    `chord_lengths`), and its own shapes, but no connectivity and transport.

    A volume larger than memory is measured **block by block**: a `StoredVolume` that `kerasgan3d.io.open_volume`
    opened, a dask.array, a memory map, or anything else with a shape, a dtype and slices. All counts, including
    connectivity, then equal those in memory bit for bit, for any blocks and any number of workers. Measures that are
    not counts are None: the mesh, the radial correlation, transport. Memory is a few hundred MB per worker, tables of
    the clusters that reach the faces of blocks, and for a dask.array the chunks that Dask keeps, since it computes each
    of them once and its neighbours come later.

    **A part** of an image is measured where `mask` or `exclude` leave something out, such as the surroundings of a
    round sample: fractions refer to the remaining voxels, areas and lengths to their volume, and boundaries to excluded
    voxels are not surfaces; pairs of voxels, and neighbours, count where both remain. Excluded voxels block transport,
    which is computed along axes whose slices all remain at the same places, per their area, and is NaN along others.
    Mesh, radial correlation, Euler characteristics, granulometry, specks and holes are None.

    **Without a voxel size** measures that have a unit are None.

    Args:
        volume: Volume, or integer array of labels 0..n-1: a volume (z, y, x) or a slice (y, x); or a stored volume, as
            above.
        voxel_size: Edge of a voxel in µm; default: the volume's.
        phases: Names of the phases, or their number n; default: the volume's, or the highest label + 1, for which a
            stored volume is read once more.
        periodic: One bool, or one per axis; default: the volume's, or False for an array.
        transport: Whether to compute relative diffusivity, which takes the most time; or its phases: a name, an index,
            or several.
        shapes: Whether to measure granulometry, specks and holes, which for a large volume take several times as long
            as everything else except transport. Mean chord lengths and Euler characteristics are always measured.
        particles: Whether to separate particles (median diameter, sphericity, contacts) and to measure lineal paths and
            the spread of profiles: as slow as shapes. For a slice only the lineal path.
        permeability: Whether to compute it, or its phases as for `transport`: per phase and axis it takes some ten
            times as long as relative diffusivity. Sides that are not periodic are walls. Needs a voxel size.
        max_lag: Largest distance of the two-point correlations in voxels, less than the smallest dimension; default:
            32, or half the smallest dimension where that is less.
        block: Edge of blocks in voxels, to measure block by block. Default: volumes in memory, and stored ones of up to
            512³ voxels, are measured at once, larger ones in blocks of 256. For a volume that is stored in chunks, a
            multiple of their edge is best.
        mask: Mask of the measured part: bool or integers, not 0, of the volume's shape, or of one slice for all z.
        exclude: Excluded parts: boxes, of one (start, stop) in voxels or None per axis, and phases by name or index.
        confidence: The confidence level of intervals, or True for 0.95: for volume fractions from the two-point
            statistics of the image (`volume_fraction_interval`); for surfaces, interfaces, triple-phase boundaries and
            relative diffusivities from its 8 parts (of a slice 4), which doubles the time of measuring these. Each
            axis must have 16 voxels. Not available block by block, nor for a part.
        within: The relative half width for which the record gives the necessary image size.
        workers: Processes that work on blocks; default: the active Dask client or scheduler, or else one per core. 1
            starts none.
        progress: A function that is called with (done, total, next step) before every step, and at the end.

    Returns:
        Measurement.

    Raises:
        ValueError: If an argument is invalid.
    """
    names, count = _names_and_count(phases)
    if hasattr(volume, "labels"):
        names, count = names or volume.phases, len(volume.phases) if count is None else count
        voxel_size = volume.voxel_size if voxel_size is None else voxel_size
        periodic = volume.periodic if periodic is None else periodic
        volume = volume.labels
    if not isinstance(shapes, (bool, np.bool_)):
        raise ValueError(f"`shapes` must be a bool. Received: {shapes!r}.")
    given = {"voxel_size": voxel_size, "phases": count, "periodic": periodic}
    block = _block(volume, block)
    if block is None and _lies_elsewhere(volume):
        volume = np.asarray(volume[(slice(None),) * len(volume.shape)])
    if not isinstance(particles, (bool, np.bool_)):
        raise ValueError(f"`particles` must be a bool. Received: {particles!r}.")
    options = {"shapes": bool(shapes), "max_lag": max_lag, "block": block, "workers": workers, "progress": progress}
    partly = mask is not None or isinstance(exclude, str | numbers.Integral) or len(exclude)
    asked = {"particles": particles, "permeability": permeability}
    asked = {name: value for name, value in asked.items() if value is not False and value is not None}
    if asked and (partly or block is not None):
        raise ValueError(
            f"`{next(iter(asked))}` must be left out where a part of an image is measured, or block by block. "
            f"Received: {next(iter(asked.values()))!r}: crop the image."
        )
    options |= asked
    if confidence is not False and confidence is not None:
        level, within = LEVEL if confidence is True else check_level(confidence), check_within(within)
        if partly or block is not None:
            raise ValueError(
                "`confidence` must be left out where a part of an image is measured, or block by block. "
                f"Received: {confidence}: crop the image."
            )
        options["sure"] = (level, within)
    if partly:
        return _measure_inside(volume, given, names, transport, mask, exclude, options)
    return _measure(volume, given, names, transport, **options)


def _measure(volume, given, names, transport, *, block, workers, **options):
    """Return the Measurement of all labels, at once or block by block."""
    if block is not None:
        return _measure_blocks(volume, given, names, transport, block=block, workers=workers, **options)
    return _measure_at_once(volume, given, names, transport, **options)


def _measure_at_once(
    volume,
    given,
    names,
    transport,
    *,
    shapes,
    max_lag,
    progress,
    particles=False,
    permeability=False,
    excluding=False,
    keys=ALL,
    sure=None,
):
    """Return the Measurement of labels in memory; `sure` is the confidence level and the requested half width."""
    flat = np.ndim(volume) == 2
    checked = (check_slice if flat else check_volume)(volume, **given)
    if given["phases"] is None:
        check_dense(checked.labels, checked.phases - 1)
    names = (*names, *default_names(checked.phases)[len(names) :])[: checked.phases]
    if flat and not isinstance(transport, (bool, np.bool_)):
        raise ValueError(f"`transport` must be a bool for a slice, which does not tell it. Received: {transport!r}.")
    if permeability is not False and (flat or checked.voxel_size is None):
        what = "a slice, which does not tell it" if flat else "a volume whose voxel size is unknown"
        raise ValueError(f"`permeability` must be left out for {what}. Received: {permeability!r}.")
    subject = Subject(
        checked,
        {key: ALL[key] for key in keys},
        max_lag=_max_lag(max_lag, checked.labels.shape),
        conducting=() if flat else _conducting(transport, names),
        shapes=shapes,
        particles=particles,
        flowing=_conducting(permeability, names, "permeability"),
        units=checked.voxel_size is not None,
        excluding=excluding,
        progress=progress,
    )
    values = subject.measured()
    confidence = None if sure is None else confidence_of(checked, values, subject.conducting, *sure)
    return Measurement(
        phases=names,
        voxel_size=checked.voxel_size,
        shape=checked.labels.shape,
        periodic=checked.periodic,
        stereology=tuple(key for key in values if ALL[key].stereology) if flat else (),
        confidence=confidence,
        **values,
    )


def _measure_blocks(
    stored, given, names, transport, *, shapes, max_lag, block, workers, progress, excluding=False, keys=MEASURES
):
    """Return the Measurement of labels that are read block by block."""
    if len(stored.shape) == 2:
        raise ValueError(f"`block` must be left out for a slice, which is measured at once. Received: {block}.")
    if not isinstance(transport, (bool, np.bool_)):
        raise ValueError(
            "`transport` must be a bool where a volume is measured block by block, which does not tell it. "
            f"Received: {transport!r}: measure a part of the volume."
        )
    checked = check_stored(stored, **given)
    max_lag = _max_lag(max_lag, stored.shape)
    if workers is not None:
        check_integer(workers, "workers", 1, None)
    if not checked.phases:
        checked = checked._replace(phases=highest_phases(stored, block, workers))
    n = checked.phases
    return Measurement(
        phases=(*names, *default_names(n)[len(names) :])[:n],
        voxel_size=checked.voxel_size,
        shape=tuple(map(int, stored.shape)),
        periodic=checked.periodic,
        **measure_blocks(checked, max_lag, block, workers, progress, shapes, excluding=excluding, keys=keys),
    )


def _measure_inside(labels, given, names, transport, mask, exclude, options):
    """Return the Measurement of the part of labels that a mask, boxes and phases leave."""
    n = given["phases"] or (
        highest_phases(labels, options["block"], options["workers"]) if options["block"] else int(np.max(labels)) + 1
    )
    names = (*names, *default_names(n)[len(names) :])[:n]
    labels = labels if options["block"] else check_part(labels, n)[0]
    labels, names = excluded_last(labels, names, mask, exclude)
    n = len(names)
    if options["block"] is None and labels.ndim == 3:
        transport = _conducting(transport, names)
    given = {**given, "phases": n + 1}
    options = {**options, "shapes": False}
    # The pairs of voxels that are measured are those of one phase, of which all that is measured is one.
    kept = labels != n if isinstance(labels, np.ndarray) else labels.map(lambda part: part != n, bool)
    alone = {**given, "phases": 2}
    pairs = _measure(kept, alone, (), False, **{**options, "progress": None}, keys=_PAIRS).two_point_correlation[1]
    if not pairs[0, 0]:
        raise ValueError("`mask` and `exclude` must leave something to measure. Received: ones that leave nothing.")
    everything = _measure(labels, given, (*names, ""), transport, **options, excluding=True)
    straight = ()
    if isinstance(kept, np.ndarray):
        straight = tuple(bool((kept == kept.take([0], axis)).all()) for axis in range(kept.ndim))
    inside = Inside(n, pairs[0, 0], pairs, straight)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            key: row.within(everything, inside)
            for key, row in MEASURES.items()
            if row.within is not None and everything[key] is not None
        }
    facts = {name: getattr(everything, name) for name in ("voxel_size", "shape", "periodic")}
    stereology = tuple(key for key in everything.stereology if values.get(key) is not None)
    return Measurement(phases=names, **facts, stereology=stereology, excluded=1 - float(pairs[0, 0]), **values)


def _block(volume, block):
    """Return the edge of the measured blocks, or None to measure all at once."""
    if block is not None:
        if not hasattr(volume, "shape"):
            raise ValueError(f"`block` is for arrays, with a shape and slices. Received: {type(volume).__name__}.")
        return check_integer(block, "block", 1, None)
    return BLOCK if _lies_elsewhere(volume) and math.prod(volume.shape) > IN_MEMORY else None


def _lies_elsewhere(volume):
    """Tell whether labels are not an array in memory but an object that is read by slices."""
    sliced = all(hasattr(volume, name) for name in ("shape", "dtype", "__getitem__")) and len(volume.shape) in (2, 3)
    return sliced and (not isinstance(volume, np.ndarray) or isinstance(volume, np.memmap))


def _max_lag(max_lag, shape):
    smallest = min(shape)
    return check_integer(min(MAX_LAG, smallest // 2) if max_lag is None else max_lag, "max_lag", 0, smallest - 1)


def _names_and_count(phases):
    """Return the names of the phases, () if none are given, and their number or None."""
    if phases is None or isinstance(phases, numbers.Integral):
        return (), None if phases is None else check_integer(phases, "phases", 1, MAX_PHASES)
    names = PhaseMap(phases).names
    return names, len(names)


def _conducting(transport, names, name="transport"):
    """Return the indices of the phases whose transport, or permeability, is requested."""
    if isinstance(transport, (bool, np.bool_)):
        return tuple(range(len(names))) if transport else ()
    asked = [transport] if isinstance(transport, (str, numbers.Integral)) else transport
    try:
        last = len(names) - 1
        return tuple(
            names.index(phase) if isinstance(phase, str) else check_integer(phase, "phase", 0, last) for phase in asked
        )
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a bool, or phases by name or index: {', '.join(names)}; 0 to {len(names) - 1}. "
            f"Received: {transport!r}."
        ) from None
