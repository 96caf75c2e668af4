"""Comparison of generated with real microstructures: measures of many sub-volumes, and further tests."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasgan3d import __version__
from kerasgan3d.checks import AXES, check_integer
from kerasgan3d.crops import middle_sections
from kerasgan3d.deprecation import renamed
from kerasgan3d.metrics._check import Checked
from kerasgan3d.metrics._measure import Subject
from kerasgan3d.metrics.ensemble import LAGS, measure_samples
from kerasgan3d.metrics.registry import COMPARED_CURVES, MEASURES, sampled_value
from kerasgan3d.metrics.transport import relative_diffusivity
from kerasgan3d.report.classifier import classifier_score
from kerasgan3d.report.comparison import Comparison
from kerasgan3d.report.leaning import leaning_statistics
from kerasgan3d.report.nearest import SYMMETRIES, NearestWindow
from kerasgan3d.report.record import (
    Classifier,
    ComparisonRecord,
    CurveSide,
    GeneratedSide,
    Lattice,
    Leaning,
    LeaningSide,
    Nearest,
    Samples,
    Seam,
    SeamRow,
    Side,
    Windows,
    distances,
    plain,
)
from kerasgan3d.report.seam import lattice_statistics, lattice_swing, seam_statistics
from kerasgan3d.report.sources import Generated, Images, Reference, agree, generated_source, real_source
from kerasgan3d.report.statistics import (
    correlation_record,
    delta_ssa,
    measure_rows,
    reference_values,
    volume_record,
)
from kerasgan3d.report.verdict import verdicts_of
from kerasgan3d.upward import upward

_SIZE = 64
_PICTURES = 4
# Seconds per unit of work on two cores, for roughly even progress: a sub-volume of 64^3, a sample ...
_SECONDS = {
    "sampling": 0.05,
    "measuring": 0.1,
    "volumes": 0.1,
    "classifier": 60,
    "nearest": 3,
    "seam": 0.4,
}


@renamed("periodic", "periodic_volumes")
def compare(
    real: Any,
    generated: Any,
    *,
    count: int = 100,
    size: int | None = None,
    seed: int = 0,
    phases: Any = None,
    mapping: Mapping[int, str] | None = None,
    voxel_size: float | None = None,
    tolerance: int | None = None,
    fill_gaps: bool = False,
    transport: bool = True,
    particles: bool = False,
    classifier: bool = True,
    nearest: int = 8,
    symmetries: str = "flips",
    periodic_volumes: int = 16,
    workers: int | None = None,
    exclude: Any = None,
    progress: Callable[[float, float, str], None] | None = None,
) -> Comparison:
    """Compare generated microstructures with a real one.

    Random sub-volumes of the real image and as many generated ones are measured in the same way, each as if nothing lay
    around it. A real slice is compared with slices of generated volumes, three of each, normal to z, y and x, and with
    the volumes themselves; values of volumes are then estimated by stereology, which holds for isotropic materials.

    Args:
        real: Volume, integer array (z, y, x) or (y, x), path of an image, or statistics alone: a generator's name or
            folder, its ``reference.json``, or the content of that file.
        generated: A generator or its name or folder, from which independent volumes are drawn; or a Volume, an array,
            the path of a volume, a list of these, or the path of a folder of volumes, from which sub-volumes are drawn.
        count: Number of sub-volumes on each side; fewer where there is no room for so many.
        size: Their edge length in voxels; default: 64, or that of the statistics.
        seed: Non-negative int, the seed of all random choices.
        phases: Names of the phases, where the real image does not name them.
        mapping: Dict of grey value to name, for files.
        voxel_size: Edge of a voxel in µm, where neither the real image nor the generated volumes state it.
        tolerance, fill_gaps: For files, as for `kerasgan3d.io.read`.
        transport: Whether to compute relative diffusivities.
        particles: Whether to separate particles as well (median diameters, sphericities, contacts), and to compare
            lineal paths and the spread of profiles: several times the work of everything else except transport.
        classifier: Whether to train a classifier to distinguish real from generated (`classifier_score`), on
            sub-volumes of one half of the real image, and score it on those of the other half.
        nearest: Number of generated sub-volumes whose most similar window in the real image is searched (0: none), to
            detect copies of training data; the same is done for real ones, among windows that do not overlap them.
        symmetries: Mirror images included in that search: "flips", "all" or "none", see `NearestWindow`.
        periodic_volumes: Number of periodic volumes, of twice the edge length, that a generator samples, to test for
            visible seams (`seam_statistics`) and for traces of its lattice (`lattice_statistics`); 2 or more, 0 for
            none.
        workers: Number of processes that measure in parallel; default: one per core. 1 starts none. The values do not
            depend on it.
        exclude: Boxes of the real image that no sub-volume may touch, one (start, stop) in voxels per axis; for a
            volume, two ranges (y, x) hold for every z.
        progress: A function (done, total, what): the finished and the total work in estimated seconds on two cores, and
            the current stage.

    Returns:
        Comparison.

    Raises:
        ValueError: If phases or voxel sizes of both sides do not agree, sub-volumes do not fit, or an argument is none
            of these.
        OSError: If a file cannot be read.

    Example:
        >>> from kerasgan3d import compare, load_generator
        >>> result = compare("scan.tif", load_generator("nmc-cathode"), count=20)  # doctest: +SKIP
        >>> result.measure("volume_fraction", "pore").relative_difference  # doctest: +SKIP
        -0.01753
        >>> result.save("report.html")  # doctest: +SKIP
    """
    count, seed = check_integer(count, "count", 2), check_integer(seed, "seed", 0)
    nearest = check_integer(nearest, "nearest", 0)
    periodic_volumes = check_integer(periodic_volumes, "periodic_volumes", 0)
    if periodic_volumes == 1:
        raise ValueError("`periodic_volumes` must be 2 or more, to tell what is chance, or 0 for none. Received: 1.")
    if symmetries not in SYMMETRIES:
        raise ValueError(f"`symmetries` must be one of {', '.join(map(repr, SYMMETRIES))}. Received: {symmetries!r}.")
    if workers is not None:
        check_integer(workers, "workers", 1)
    sources = {"phases": phases, "mapping": mapping, "voxel_size": voxel_size}
    sources |= {"tolerance": tolerance, "fill_gaps": fill_gaps}
    real, generated = named(real, "path"), named(generated, "load_generator")
    sides = real_source(real, exclude=exclude, **sources), generated_source(generated, **sources)
    subject = _Subject(*sides, count, size, seed, bool(transport), bool(particles), workers)
    # Statistics alone hold no image to train on or to search, and only generators make periodic volumes.
    image, generator = isinstance(subject.real, Images), isinstance(subject.generated, Generated)
    wanted = {
        "classifier": bool(classifier) and image,
        "nearest": nearest if image else 0,
        "seam": periodic_volumes if generator else 0,
    }
    subject.begin(progress, wanted)
    found: dict[str, Any] = {}
    if subject.solid:
        found["volumes"] = subject.measured_volumes()
    if wanted["classifier"]:
        found["classifier"] = _classifier(subject)
    if wanted["nearest"]:
        found["nearest"] = _nearest(subject, nearest, symmetries)
    if wanted["seam"]:
        found |= _periodic(subject, periodic_volumes)
    record = subject.record(found, periodic_checked=wanted["seam"] > 0)
    return Comparison(dataclasses.replace(record, verdicts=verdicts_of(record)), subject.pictures())


def named(source, what):
    """Resolve the name of a generator by the zoo; return anything else unchanged."""
    if isinstance(source, (str, os.PathLike)) and upward("zoo", "is_generator")(source):
        return upward("zoo", what)(source)
    return source


class _Subject:
    """Data of a comparison: two compatible sides, their sub-volumes, and their measurements."""

    def __init__(self, real, generated, count, size, seed, transport, particles, workers):
        self.real, self.generated, self.count, self.seed = real, generated, count, seed
        self.phases, self.voxel_size, self.notes = agree(real, generated)
        self.size = _checked_size(real, generated, size)
        self.only_statistics, self.flat = isinstance(real, Reference), real.dimensions == 2
        self.solid = self.flat and generated.dimensions == 3
        self.transport, self._particles, self._workers = transport, particles, workers

    @property
    def n_phases(self):
        return len(self.phases)

    def begin(self, progress, wanted):
        """Draw the sub-volumes of both sides, and measure them."""
        sides = 1 if self.only_statistics else 2
        # Computing time grows with the number of voxels.
        self.run = run = _Run(progress, scale=(self.size / _SIZE) ** 3)
        run.plan(
            sampling=self.count,
            measuring=self.count * sides * ((6 if self._conducts else 1) + 2 * self._particles),
            volumes=self.count * (6 if self.transport else 1) * self.solid,
            classifier=wanted["classifier"],
            nearest=2 * wanted["nearest"],
            seam=wanted["seam"],
        )
        with run.stage("sampling"):
            self.real_samples = [] if self.only_statistics else self.real.draw(self.count, self.size, self.seed)
            self.volumes = self.generated.draw(self.count, self.size, self.seed, progress=run)
            self.samples = middle_sections(self.volumes) if self.flat else self.volumes
        with run.stage("measuring"):
            measured = self._measured([*self.real_samples, *self.samples], self._conducts)
            self.whole = None if self.only_statistics else self._whole({k: r for k, r in MEASURES.items() if r.whole})
        split = len(self.real_samples)
        self.of_real = {key: values[:split] for key, values in measured.items()}
        self.of_generated = {key: values[split:] for key, values in measured.items()}
        self.halves = []
        if self.only_statistics:
            statistics = self.real.statistics
            self.of_real = reference_values(statistics, self.voxel_size)
            self.correlation = np.array(statistics["mean"]["two_point_correlation"], float)
            self.whole = {key: np.array(values, float) for key, values in (statistics.get("bulk") or {}).items()}
            return
        self.correlation = self.of_real["two_point_correlation"]
        self.halves = _halves(self.real.corners(self.count, self.size, self.seed))

    @property
    def _conducts(self):
        return self.transport and not self.flat

    def _measured(self, samples, transport):
        options = {"voxel_size": self.voxel_size, "particles": self._particles}
        options |= {"workers": self._workers, "progress": self.run}
        return measure_samples(samples, n_phases=self.n_phases, transport=transport, **options)

    def _whole(self, rows):
        return _whole(self.real, self.n_phases, self.voxel_size, self.size, rows)

    def measured_volumes(self):
        """Compare generated volumes with estimates for volumes from a real slice."""
        with self.run.stage("volumes"):
            measured = self._measured(self.volumes, self.transport)
        if self.only_statistics:
            windows, whole = self.real.count, self.whole
        else:
            windows = len(self.real.side_by_side(self.size))
            # Measures that are not means over windows, such as a mean chord, are best taken from the whole slice.
            whole = self._whole({key: row for key, row in MEASURES.items() if row.stereology})
        return volume_record(self.of_real, measured, self.correlation, self.phases, self.size, windows, whole)

    def pictures(self):
        """Return the pictures of the report: slices of each side, and the flux through one sub-volume."""
        drawn = {"real": self.real_samples[:_PICTURES], "generated": self.volumes[:_PICTURES]}
        pictures: dict[str, Any] = {side: _slices(samples) for side, samples in drawn.items()}
        first = {side: samples[0] for side, samples in drawn.items() if len(samples) and samples[0].ndim == 3}
        pictures["volumes"] = first
        if self._conducts:
            firsts = {"real": self.real_samples[:1], "generated": self.samples[:1]}
            pictures["flux"] = {side: _flux(first[0], self.phases) for side, first in firsts.items() if first}
        return pictures

    def record(self, found, periodic_checked):
        """Return the record, with the results of tests."""
        correlation = self.of_generated["two_point_correlation"]
        if self.only_statistics and self.real.directed:
            correlation = _along_axes(correlation)
        rows = measure_rows(
            self.of_real,
            self.of_generated,
            self.phases,
            dimensions=self.real.dimensions,
            estimated=self.flat,
            halves=self.halves,
            whole=self.whole,
        )
        leaning = {"generated": self.volumes, "real": self.real_samples}
        number = self.real.count if self.only_statistics else len(self.real_samples)
        return ComparisonRecord(
            version=__version__,
            real=Side(**self._about(self.real)),
            generated=GeneratedSide(**self._about(self.generated), periodic_checked=periodic_checked),
            samples=Samples(number, len(self.samples), self.size, self.real.dimensions, self.seed),
            windows=None
            if self.only_statistics
            else Windows("random", **self.real.layout(self.count, self.size, self.seed)),
            measures=rows,
            two_point_correlation=correlation_record(
                self.correlation,
                correlation,
                AXES[-self.correlation.shape[-2] :],
                halves=self.halves,
                whole=(self.whole or {}).get("two_point_correlation"),
            ),
            curves=_known_curves(self.real.statistics, self.of_generated)
            if self.only_statistics
            else _curves(self.of_real, self.of_generated, self.halves),
            leaning=Leaning(
                **{
                    side: LeaningSide(**plain(leaning_statistics(samples, self.n_phases)))
                    for side, samples in leaning.items()
                    if samples
                }
            ),
            delta_ssa=delta_ssa(rows, self.phases),
            notes=self.notes,
            seconds=self.run.seconds,
            **found,
        )

    def _about(self, source):
        return {
            "name": source.name,
            "kind": source.kind,
            "shape": source.shape,
            "phases": list(self.phases),
            "voxel_size": self.voxel_size,
        }


class _Run:
    """Progress over stages of work, with the duration of each."""

    def __init__(self, progress, scale):
        self._progress, self._scale, self._weights = progress, scale, {}
        self.seconds = {}

    def plan(self, **units):
        self._weights = {stage: number * _SECONDS[stage] * self._scale for stage, number in units.items()}

    def stage(self, name):
        self._name, self._before = name, sum(self._weights[other] for other in self.seconds)
        return self

    def __enter__(self):
        self._began = time.perf_counter()
        self(0, 1)

    def __exit__(self, *_):
        self.seconds[self._name] = round(time.perf_counter() - self._began, 2)

    def __call__(self, done, total):
        if self._progress is not None:
            whole = self._before + self._weights[self._name] * done / max(1, total)
            self._progress(whole, sum(self._weights.values()), self._name)


def _checked_size(real, generated, size):
    if isinstance(real, Reference):
        if size is not None and size != real.size:
            raise ValueError(
                f"`size` must be that which the statistics of {real.name} are of, {real.size}. Received: {size!r}."
            )
        size = real.size
    size = check_integer(_SIZE if size is None else size, "size", 4, None)
    dimensions = {real.dimensions, generated.dimensions}
    if generated.dimensions < real.dimensions:
        raise ValueError(
            f"Generated images must be volumes where the real one is. Received: {sorted(dimensions)} dimensions."
        )
    if generated.dimensions == 2 and isinstance(real, Reference) and real.directed:
        raise ValueError(
            f"Generated images must be volumes where {real.name} is of slices in three directions. Received: slices."
        )
    for side in (real, generated):
        if isinstance(side, Images):
            for image in side.images:
                if min(image.shape) < size:
                    raise ValueError(
                        f"`size` must be at most the smallest dimension of the images. Received: {size} voxels, and "
                        f"{' x '.join(map(str, image.shape))} of {side.name}: pass a smaller `size`."
                    )
    return size


def _slices(samples):
    """Return the middle slice of each volume, normal to z, y and x in turn; slices as they are."""
    return [
        sample if sample.ndim == 2 else np.take(sample, sample.shape[k % 3] // 2, axis=k % 3)
        for k, sample in enumerate(samples)
    ]


def _along_axes(correlation):
    """Return the curves of `middle_sections` (sections, n, 2, lags) along z, y and x: (volumes, n, 3, lags)."""
    of_z, of_y, of_x = (correlation[normal::3] for normal in range(3))
    pairs = (of_y[:, :, 0], of_x[:, :, 0]), (of_z[:, :, 0], of_x[:, :, 1]), (of_z[:, :, 1], of_y[:, :, 1])
    return np.stack([(one + other) / 2 for one, other in pairs], axis=2)


def _flux(labels, phases):
    """Return the flux along z through each phase that percolates, in the middle slice normal to x."""
    maps = {}
    for index, phase in enumerate(phases):
        value, field = relative_diffusivity(labels, index, 0, "mirror", True, n_phases=len(phases))
        if value > 0:
            middle = labels.shape[2] // 2
            maps[phase] = np.where(labels[..., middle] == index, field.flux[..., middle], np.nan)
    return maps


def _curves(real, generated, halves):
    """Compare all curves except the two-point correlation."""
    return {
        key: correlation_record(_by_axis(real[key]), _by_axis(generated[key]), _axes(generated[key]), halves=halves)
        for key in COMPARED_CURVES
        if key != "two_point_correlation" and key in generated
    }


def _by_axis(curves):
    """Return curves of sub-volumes (samples, n, ...) with an axis dimension, of length one for curves without axes."""
    return curves if curves.ndim == 4 else curves[:, :, None]


def _axes(curves):
    return list(AXES[-curves.shape[2] :]) if curves.ndim == 4 else ["all"]


def _known_curves(statistics, generated):
    """Compare all curves except the two-point correlation with those of stored statistics."""
    found = {}
    for key in COMPARED_CURVES:
        if key != "two_point_correlation" and key in generated and key in statistics["mean"]:
            ours = _by_axis(generated[key])
            mean = _by_axis(np.array([statistics["mean"][key]], float))[0]
            if mean.shape[1] != ours.shape[2]:  # one side from slices, the other from volumes
                continue
            curves = correlation_record(mean, ours, _axes(generated[key]))
            bands = (statistics.get("bands") or {}).get(key) or {}
            sides = [side for side in ("low", "high") if bands.get(side)]
            bands = {side: plain(_by_axis(np.array([bands[side]], float))[0]) for side in sides}
            found[key] = dataclasses.replace(curves, real=CurveSide(plain(mean), **bands))
    return found


def _halves(corners):
    """Return ways to split real sub-volumes in two by position: bool arrays, one per axis, and one by image."""
    places = np.array([(number, *corner) for number, corner in corners])
    halves = [column > np.median(column) for column in places.T]
    # A deviation needs two on either side.
    return [half for half in halves if 2 <= half.sum() <= len(half) - 2]


def _whole(real, phases, voxel_size, size, rows):
    """Return some measures of the whole real image.

    With excluded regions, they are means over all adjacent sub-volumes that touch none; None if there are none.
    """
    parts = real.images if real.excluded is None else real.side_by_side(size)
    found = []
    for part in parts:
        checked = Checked(np.ascontiguousarray(part), phases, (False,) * part.ndim, voxel_size)
        values = Subject(checked, rows, max_lag=min(LAGS, size // 2)).measured()
        found.append({key: sampled_value(rows[key], value) for key, value in values.items()})
    if not found:
        return None
    weights = [part.size for part in parts]
    return {key: np.average([values[key] for values in found], axis=0, weights=weights) for key in found[0]}


def _classifier(subject):
    halves = [subject.real.halves(subject.real_samples, subject.size, subject.seed), None]
    if halves[0] is not None and len(subject.volumes) > 3:
        halves[1] = subject.generated.halves(subject.volumes, subject.size, subject.seed)
    if None in halves:
        return None
    if subject.flat:
        halves[1] = (*(middle_sections(half) for half in halves[1][:2]), halves[1][2])
    with subject.run.stage("classifier"):
        train, test, independent = zip(*halves, strict=True)
        options = {"seed": subject.seed, "independent": independent, "progress": subject.run}
        result = classifier_score(train, test, subject.n_phases, **options)
    note = "Real samples to learn from and to score on are of different halves of the image."
    return Classifier(**plain(result), note=note)


def _nearest(subject, number, symmetries):
    real, size, run = subject.real, subject.size, subject.run
    with run.stage("nearest"):
        (image,) = real.images
        search = NearestWindow(image, subject.n_phases, symmetries=symmetries, excluded=real.excluded)
        found = {"generated": [], "real": []}
        corners = [corner for _, corner in real.corners(number, size, subject.seed)]
        for done, sample in enumerate(subject.samples[:number]):
            run(done, 2 * number)
            found["generated"].append(search.distance(sample))
        for done, corner in enumerate(corners, number):
            run(done, 2 * number)
            window = image[tuple(slice(c, c + size) for c in corner)]
            found["real"].append(search.distance(window, apart_from=corner))
        run(1, 1)
    # None where every window of the image overlaps.
    found = {side: [float(value) for value in values if value is not None] for side, values in found.items()}
    return Nearest(
        **found,
        generated_distances=distances(found["generated"]),
        real_distances=distances(found["real"]),
        measure="share of voxels that differ",
        searched=f"{search.searched}; for real sub-volumes only where the image does not overlap them",
    )


def _periodic(subject, count):
    stride, size = subject.generated.stride, subject.size
    stride = stride if isinstance(stride, int) and stride > 1 else None
    step = stride or 1
    with subject.run.stage("seam"):
        edge = -(-2 * size // step) * step
        volumes = subject.generated.periodic(count, edge, subject.seed, progress=subject.run)
        seam = plain(seam_statistics(volumes, subject.phases, lag=max(1, size // 8)))
        result: dict[str, Any] = {"seam": Seam(**{**seam, "measures": [SeamRow(**row) for row in seam["measures"]]})}
        if stride:
            lattice = lattice_statistics(volumes, subject.phases, stride)
            if subject.real_samples and not subject.flat and size > stride:
                lattice["real_swing"] = lattice_swing(subject.real_samples, subject.n_phases, stride)
            result["lattice"] = Lattice(**plain(lattice))
    return result
