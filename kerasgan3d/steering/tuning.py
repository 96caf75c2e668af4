"""Tuning: another mean of a generator's noise, so that its volumes have target properties on average."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan3d.checks import check_count, check_integer, check_triple
from kerasgan3d.files import check_folder
from kerasgan3d.folder import IDENTITY, REFERENCE, read_json
from kerasgan3d.sampling.job import SamplingJob, Size
from kerasgan3d.seeds import JUDGING, TUNING
from kerasgan3d.steering.descent import (
    ROUGH,
    TOLERANCE,
    Evolution,
    check_evolution,
    descend,
    misses,
    objective,
)
from kerasgan3d.steering.journal import Journal, partial
from kerasgan3d.steering.source import as_generator
from kerasgan3d.steering.targets import Target, as_kept, as_targets, measured
from kerasgan3d.texts import printable

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_ORIGIN = ("name", *IDENTITY)
# Measurements of a generator that do not hold for a tuned one.
_MEASURED = ("fidelity", "samples", "large_volumes", "comparison", "two_point_correlation", "granulometry", "held_out")
_SHARES = ("volume_fraction", "connected_fraction", "relative_diffusivity")
_PATIENCE = 10  # generations without a better one, once all targets are met
_DESCENT = 2  # another number where the parts of the work are others, which a journal lists
_MORE = 8  # times as many volumes whose fractions are measured
_JUDGING = 2  # parts of the work in progress reports: one for each side


@dataclass(frozen=True)
class TunedMeasure:
    """Effect of tuning on a measure that was targeted or kept, on new seeds.

    Attributes:
        target: What was wanted, as it was asked.
        unit: "1" where it has none.
        wanted: The number; of a relative target that of the source's mean.
        before, after: Means over windows of the source and of the tuned generator.
        before_std, after_std: Standard deviations of one window.
    """

    target: str
    unit: str
    wanted: float
    before: float
    after: float
    before_std: float
    after_std: float

    @property
    def change(self) -> float:
        """Relative change of the mean."""
        return self.after / self.before - 1 if self.before else float("nan")


@dataclass(frozen=True)
class TuneResult(os.PathLike):
    """A tuned generator in a folder; usable wherever the folder's path is.

    Attributes:
        folder: The preset folder.
        name: The generator's name.
        shift: Mean of the noise: the latents, and then what local fractions are drawn from.
        cost: |shift|^2 / 2, by which a lattice point has more information than one of the source.
        measures: What was wanted and kept, before and after.
        shapes: From the name of a measure of shape to its unit and its means: {"unit", "before", "after"}.
        classifier: {"score", "standard_error"} of telling source and tuned apart; None where it was not asked.
        size, count: Voxels (z, y, x) and number of the windows by which it was judged.
    """

    folder: Path
    name: str
    shift: tuple[float, ...]
    cost: float
    measures: tuple[TunedMeasure, ...]
    shapes: dict[str, dict[str, Any]]
    classifier: dict[str, float] | None
    size: tuple[int, int, int]
    count: int

    def __fspath__(self) -> str:
        return str(self.folder)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON-serialisable dict, with None for missing and infinite numbers."""
        found = {**asdict(self), "folder": str(self.folder), "shift": list(self.shift), "size": list(self.size)}
        return {**found, "measures": [_plain(asdict(row)) for row in self.measures]}


def tune(
    source: Generator | str | os.PathLike[str],
    targets: Any,
    out: str | os.PathLike[str],
    *,
    keep: Any = (),
    size: Size = 64,
    count: int = 16,
    steps: int = 12,
    generations: int = 60,
    seed: int = 0,
    judge_size: Size | None = None,
    classifier: bool = True,
    name: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
    say: Callable[[str], object] | None = None,
) -> TuneResult:
    """Shift the mean of a generator's noise until its volumes have target properties on average.

        tune("nmc-cathode", "D_rel.pore.z=+15%", "open-cathode", keep="volume_fraction")
        volume = load_generator("open-cathode").sample(128, periodic=True, seed=0)

    One shift m of all latents, per channel, is found that reaches the targets at the least cost |m|^2 / 2. It is stored
    as a constant of the network's first layer, so that the result is an ordinary preset: endless, periodic, streamed.
    For a conditional generator, random fractions shift as well, while requested ones keep their meaning.

    The mean is taken over periodic volumes of the same seeds for every m. Differentiable targets are met by
    Gauss-Newton steps, with measures of labels and gradients of `kerasgan3d.differentiable`. Each step takes these from
    other volumes and averages them, so that m does not adapt to peculiarities of a few volumes; with other targets,
    CMA-ES continues from there for all of them.
    Both sides are then measured on larger windows of unused seeds.

    Args:
        source: A Generator, or an argument of ``load_generator``.
        targets: As for ``search``; a number such as "+15%" is relative to the source's mean. "=" is met, "<" and ">"
            are bounds.
        out: Folder of the preset.
        keep: Names of measures, such as "volume_fraction" or "ssa.NMC", that keep the source's mean.
        size: Voxels of the volumes: an int, or (z, y, x), multiples of the generator's stride.
        count: Volumes to measure, as many to take gradients of in each step, and as many windows to judge by; eight
            times as many volumes where only volume fractions are measured. Evolution measures every second one.
        steps: Gauss-Newton steps, at most.
        generations: Generations of CMA-ES, at most, where a target has no gradient.
        seed: Which volumes, and which random numbers of evolution: from 0 to 65535.
        judge_size: Voxels of the windows by which it is judged; half as long again as the volumes if None.
        classifier: Whether to train a classifier to tell both sides apart.
        name: Of the generator; the source's and "-tuned" if None.
        overwrite: Whether a folder that exists, or the beginning of other work, is replaced.
        progress: A function (parts done, parts in all).
        say: A function that is called with a text about the expected duration.

    Returns:
        TuneResult. Repeating an interrupted call resumes it.

    Raises:
        ValueError: if an argument is invalid, a target needs a library that is missing, or the source has no
            mean of it.
        OSError: if the folder exists, another process makes it, or it cannot be written.
    """
    generator = as_generator(source)
    wanted = as_targets(targets, generator.phases, generator.voxel_size)
    wanted += as_kept(keep, wanted, generator.phases, generator.voxel_size)
    _check_targets(wanted)
    size = check_triple(size, "size", 1)
    first = check_integer(seed, "seed", 0, 2**16 - 1) * 2**16
    check_integer(count, "count", 1, 2**15 // _MORE)

    def jobs(begin: int, number: int) -> list[SamplingJob]:
        return [generator.job(size, periodic=True, seed=TUNING + first + begin + i) for i in range(number)]

    used = _MORE * count
    volumes = jobs(0, count), jobs(count, used - count)
    others = (jobs(used + part * count % (2**16 - used), count) for part in itertools.count())
    limits = {"steps": check_count(steps, "steps"), "generations": check_count(generations, "generations")}
    judged = check_triple(tuple(-(-3 * n // 2) for n in size) if judge_size is None else judge_size, "judge_size", 1)
    asked = {"size": size, "count": count, "seed": seed, "judge_size": judged, "classifier": bool(classifier), **limits}
    folder = _checked_folder(Path(out), generator, overwrite)
    title = f"{generator.card.get('name') or 'generator'}-tuned" if name is None else name
    if not isinstance(title, str) or not title.strip():
        raise ValueError(f"`name` must be a text. Received: {name!r:.200}.")
    journal = Journal(folder, _digest(generator, wanted, asked), restart=overwrite)
    try:
        course = _Course(generator, wanted, volumes, others, journal, limits, progress, say)
        m = course.run(seed)
        fresh = [JUDGING + first + i for i in range(count)]
        result = _judged(course, m, folder, title, judged, fresh, classifier)
        _write(generator, result, wanted, asked)
        journal.close(done=True)
    finally:
        journal.close()
    return result


class _Course:
    """Search from the source for the mean of the noise that reaches the targets.

    Args:
        generator: The source.
        targets: What is wanted and kept.
        volumes: Jobs of the volumes that are measured, and of those whose volume fractions are.
        others: Iterator of lists of jobs: those of which a step takes gradients.
        journal: Where the parts of the work are recorded.
        limits: "steps" and "generations".
        progress, say: As in `tune`.
    """

    def __init__(self, generator, targets, volumes, others, journal, limits, progress, say):
        from kerasgan3d.models.shift import Shifted  # with Keras, which refusals do not wait for
        from kerasgan3d.steering.slopes import has_slope

        self.generator, self.targets, self.journal = generator, targets, journal
        (self._jobs, self._further), self._others, self._limits = volumes, others, limits
        self._few = self._jobs[::2]
        self._moved, self._progress, self._say = Shifted(generator), progress, None if journal.begun else say
        self._smooth = [target for target in targets if has_slope(target)]
        self._rough = len(self._smooth) < len(targets)
        self._total = limits["steps"] * bool(self._smooth) + limits["generations"] * self._rough + 1 + _JUDGING

    def run(self, seed):
        """Return the mean of the noise: (channels,)."""
        began = time.perf_counter()
        source = np.array(self.journal.once(lambda: self._measured(np.zeros(self._moved.channels), self._jobs)))
        self._seconds = time.perf_counter() - began
        for target, column in zip(self.targets, source.T, strict=True):
            if not np.isfinite(column).all():
                self.journal.close(done=True)
                raise ValueError(
                    f"{target.name} must have a mean to be tuned. Received: none of {(~np.isfinite(column)).sum()} of "
                    f"{len(column)} volumes of the source, in which it does not exist or nothing conducts. Larger ones "
                    "(size) may have it."
                )
        self.tell(1)
        m = np.zeros(self._moved.channels)
        if self._smooth:
            m = self._descended(source)
        if self._rough:
            self._estimate(0.0)
            m = self._evolved(source, m, Evolution(m, seed))
        return m

    def tell(self, done):
        """Report the progress of the work."""
        if self._progress is not None:
            self._progress(done, self._total)

    def judged_part(self, part):
        """Report that a side was judged."""
        self.tell(self._total - _JUDGING + part)

    def _measured(self, m, jobs, targets=None):
        """Measure the target properties of each volume at a mean of the noise: (volumes, targets)."""
        self._moved.move(m)
        return [measured(self._moved.generator.sample(job), targets or self.targets) for job in jobs]

    def _means(self, m, rows):
        """Return the means of target properties with gradients; those of fractions are means over further volumes too.

        A fraction is soon measured. With few volumes, m would keep it in these alone.

        Args:
            m: The mean of the noise.
            rows: The properties of each of the measured volumes at m: (volumes, targets).
        """
        values = np.mean(rows, axis=0)
        shares = [i for i, target in enumerate(self._smooth) if target.key == "volume_fraction"]
        if shares:
            further = np.mean(self._measured(m, self._further, [self._smooth[i] for i in shares]), axis=0)
            values[shares] += (further - values[shares]) * (1 - 1 / _MORE)
        return values.tolist()

    def _descended(self, source):
        from kerasgan3d.steering.slopes import Slopes

        slopes = Slopes(self._moved, self._smooth)
        columns = [i for i, target in enumerate(self.targets) if target in self._smooth]
        began, nowhere = time.perf_counter(), np.zeros(self._moved.channels)
        first = self.journal.once(lambda: self._means(nowhere, source[:, columns]))
        self._seconds += time.perf_counter() - began
        fixed = [target.of_mean(mean) for target, mean in zip(self._smooth, first, strict=True)]

        def values(m):
            if not m.any():
                return first
            return self.journal.once(lambda: self._means(m, self._measured(m, self._jobs, self._smooth)))

        def gradients(m, found):
            others = next(self._others)

            def compute():
                began = time.perf_counter()
                self._moved.move(m)
                rows = slopes(others, found)
                self._estimate(time.perf_counter() - began)
                return rows.tolist()

            return np.array(self.journal.once(compute))

        best = (np.inf, nowhere)
        steps = self._limits["steps"]
        way = descend(values, gradients, fixed, best[1], steps)
        for number, (m, found) in enumerate(way):
            reached = objective(m, found, fixed, TOLERANCE)
            best = (reached, m) if reached < best[0] else best
            self.tell(1 + number)
        self.tell(1 + steps)
        return best[1]

    def _evolved(self, source, m, evolution):
        means = source[::2].mean(0)
        fixed = [target.of_mean(mean) for target, mean in zip(self.targets, means, strict=True)]

        def values(many):
            return self.journal.once(lambda: [np.mean(self._measured(m, self._few), axis=0).tolist() for m in many])

        (found,) = values([m])
        best, waited = (objective(m, found, fixed, ROUGH), m, found), 0
        for number in range(self._limits["generations"]):
            many = evolution.ask()
            rows = values(many)
            reached = [objective(each, row, fixed, ROUGH) for each, row in zip(many, rows, strict=True)]
            evolution.tell(many, reached)
            i = int(np.argmin(reached))
            waited = 0 if reached[i] < best[0] else waited + 1
            best = (reached[i], many[i], rows[i]) if reached[i] < best[0] else best
            self.tell(self._total - _JUDGING - self._limits["generations"] + number + 1)
            met = bool((misses(best[2], fixed) <= ROUGH).all())
            if met and waited >= _PATIENCE:
                break
        return best[1]

    def _estimate(self, of_slopes):
        """Report the expected duration once, estimated from the first parts."""
        if self._say is None:
            return
        steps = self._limits["steps"] * (self._seconds + of_slopes) if self._smooth else 0.0
        evolved = self._limits["generations"] * Evolution(np.zeros(self._moved.channels), 0).size if self._rough else 0
        seconds = steps + evolved * self._seconds * len(self._few) / len(self._jobs) + 8 * self._seconds
        self._say(f"at most about {max(1, round(seconds / 60))} min, as this machine is now")
        self._say = None


def _judged(course, m, folder, title, size, seeds, classifier):
    """Measure both sides on new windows; return all results for the tuned generator."""
    from kerasgan3d.models.shift import shifted
    from kerasgan3d.steering.judging import measured_side, score, unit_of_shape

    source, sides, apart = course.generator, [], None
    tuned = shifted(source, m)
    for part, side in enumerate((source, tuned), start=1):
        sides.append(course.journal.once(lambda side=side: measured_side(side, course.targets, size, seeds)))
        course.judged_part(part)
    if classifier and len(seeds) > 1:
        apart = course.journal.once(lambda: score(source, tuned, size, seeds))
    (before, before_std), (after, after_std) = (
        (values.mean(0), values.std(0)) for values in (np.array(side["values"], float) for side in sides)
    )
    rows = tuple(
        TunedMeasure(str(target), target.unit, target.of_mean(b).wanted, b, a, b_std, a_std)
        for target, b, a, b_std, a_std in zip(
            course.targets, *(each.tolist() for each in (before, after, before_std, after_std)), strict=True
        )
    )
    there, then = (side["shapes"] for side in sides)
    shapes = {
        key: {"unit": unit_of_shape(key, source.voxel_size), "before": there[key], "after": then[key]} for key in there
    }
    cost = float(np.sum(np.square(m)) / 2)
    return TuneResult(folder, title, tuple(m.tolist()), cost, rows, shapes, apart, size, len(seeds))


def _write(source, result, targets, asked):
    """Write the preset folder."""
    from kerasgan3d.models.preset import save_preset
    from kerasgan3d.models.shift import shifted
    from kerasgan3d.zoo import complete

    fractions = [result.shapes[f"volume_fraction.{phase}"]["after"] for phase in source.phases]
    tuned = shifted(source, np.array(result.shift), np.array(fractions))
    origin = {key: source.card[key] for key in _ORIGIN if key in source.card}
    named = source.card.get("name") or "a generator"
    moved = [str(target) for target in targets if target.wanted or not target.relative]
    card = {
        **{key: value for key, value in source.card.items() if key not in (*_MEASURED, *_ORIGIN)},
        "name": result.name,
        "description": f"{named}, tuned: {', '.join(moved)}.",
        "tuned_from": {**origin, "digest": source.pieces().digest},
        "tuning": {
            "targets": list(map(str, targets)),
            "shift": list(result.shift),
            "cost": result.cost,
            **{key: asked[key] for key in ("size", "count", "seed")},
            "judged": {"size": list(result.size), "count": result.count},
            "measures": {row.target: _plain(asdict(row)) for row in result.measures},
            "shapes": result.shapes,
            **({} if result.classifier is None else {"classifier": result.classifier}),
        },
    }
    reference = None if source.preview is None else source.preview.with_name(REFERENCE)
    known = read_json(reference) if reference is not None and reference.is_file() else None
    complete(save_preset(tuned, result.folder, card, known))


def _check_targets(targets: Sequence[Target]) -> None:
    """Check that targets are reachable, as far as is known before anything is computed.

    Raises:
        ValueError: if one cannot, or what it needs is missing.
    """
    for target in targets:
        if target.key in _SHARES and target.relation == "=" and not (target.relative or 0 <= target.wanted <= 1):
            raise ValueError(f"{target.name} must be from 0 to 1. Received: {target}.")
    shares = [t.wanted for t in targets if t.key == "volume_fraction" and t.relation == "=" and not t.relative]
    if sum(shares) > 1 + 1e-6:
        raise ValueError(f"volume fractions must add up to at most 1. Received: {sum(shares):.4g}.")
    from kerasgan3d.backend import backend
    from kerasgan3d.steering.slopes import has_slope

    if not all(map(has_slope, targets)):
        check_evolution()
    if any(map(has_slope, targets)):
        backend()  # raises where it has no gradients


def _checked_folder(out: Path, generator: Generator, overwrite: bool) -> Path:
    """Return the output folder after checking that it may be written."""
    check_folder(out)
    if generator.preview is not None and out.resolve() == generator.preview.parent.resolve():
        raise ValueError(f"`out` must be another folder than the source's, which would be replaced. Received: {out}.")
    if out.exists() and not overwrite and not partial(out).exists():
        raise FileExistsError(f"{out} exists already; choose another name, or replace it with `overwrite=True`")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder to make {printable(out.name)} in must exist. Received: {out.parent}.")
    return out


def _digest(generator: Generator, targets: Sequence[Target], asked: dict[str, Any]) -> str:
    """Return a digest of everything that the result depends on."""
    what = {"generator": generator.pieces().digest, "voxel_size": generator.voxel_size}
    what |= {"targets": list(map(str, targets)), "descent": _DESCENT, **asked}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(v, float) and not np.isfinite(v) else v for key, v in row.items()}
