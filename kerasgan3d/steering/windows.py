"""Search: windows of an endless structure, measured one by one and ranked by their deviation from targets."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from collections.abc import Generator as Yields
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan3d.checks import check_count, check_seed
from kerasgan3d.sampling.conditions import Fractions
from kerasgan3d.sampling.job import Periodic, SamplingJob, Size
from kerasgan3d.sampling.stream import computed_there, local_client
from kerasgan3d.steering.source import as_generator
from kerasgan3d.steering.table import Table
from kerasgan3d.steering.targets import Target, as_targets, measured

if TYPE_CHECKING:
    import distributed

    from kerasgan3d.models import Generator
    from kerasgan3d.models.remote import Pieces


@dataclass(frozen=True)
class FoundWindow:
    """A measured window.

    Attributes:
        number: Which of the windows of the search, from 0.
        values: What was measured of it, in the order of the targets.
        score: By how much it misses the targets, in standard deviations of the windows: the root of the mean square
            over the targets; infinite where a number does not exist.
        job: The SamplingJob of exactly this window: ``generator.sample(window.job)``.
    """

    number: int
    values: tuple[float, ...]
    score: float
    job: SamplingJob


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        targets: What was wanted.
        windows: All windows, the best first.
        mean, spread: Means and standard deviations of what was measured, over the windows; NaN where no window has it.
    """

    targets: tuple[Target, ...]
    windows: tuple[FoundWindow, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    @property
    def best(self) -> FoundWindow:
        """The best window."""
        return self.windows[0]

    def deviations(self, window: FoundWindow) -> tuple[float, ...]:
        """Return a window's values in standard deviations above the mean."""
        both = zip(window.values, self.mean, self.spread, strict=True)
        return tuple((value - mean) / spread if spread else 0.0 for value, mean, spread in both)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON-serialisable dict, with None for missing and infinite numbers."""
        windows = [
            {
                "window": window.number,
                "score": _plain(window.score),
                "seed": window.job.seed,
                "offset": list(window.job.offset),
                "values": {t.name: _plain(v) for t, v in zip(self.targets, window.values, strict=True)},
            }
            for window in self.windows
        ]
        targets = [
            {"target": str(target), "unit": target.unit, "mean": _plain(mean), "spread": _plain(spread)}
            for target, mean, spread in zip(self.targets, self.mean, self.spread, strict=True)
        ]
        job = self.best.job
        return {"size": list(job.size), "periodic": list(job.periodic), "targets": targets, "windows": windows}


def search(
    source: Generator | str | os.PathLike[str],
    targets: Any,
    size: Size,
    count: int = 100,
    *,
    seed: int = 0,
    offset: Size = (0, 0, 0),
    periodic: Periodic = False,
    fractions: Fractions | None = None,
    beyond: bool = False,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    client: distributed.Client | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> SearchResult:
    """Rank windows of an endless structure by their deviation from targets.

        found = search("nmc-cathode", ["D_rel.pore.z=0.2", "ssa.NMC>0.4"], size=128, count=1000, out="found.csv")
        volume = load_generator("nmc-cathode").sample(found.best.job)

    Windows follow one another along x, far enough apart that no two share latents; periodic ones have successive seeds.
    Each is measured on its own, and only as far as the targets require. Windows are ranked by their score, the root
    mean square deviation from the targets in standard deviations of all windows. Among windows that meet all targets,
    the one with the largest margin beyond its bounds comes first.

    Args:
        source: A Generator, or an argument of ``load_generator``.
        targets: One or several, each a text, "MEASURE.PHASE.AXIS=NUMBER", with < or > for numbers to stay below or to
            exceed, "+15%" for one relative to the mean over all windows; or (function, relation, number), the function
            from a Volume to a number, named for what it measures. See `kerasgan3d.steering.targets.as_targets`.
        size: Voxels of a window: an int, or (z, y, x).
        count: Number of windows.
        seed, offset: Seed and position of the first window, as for ``Generator.sample``.
        periodic, fractions, beyond: As for ``Generator.sample``; requested fractions span each window.
        out: A table, .csv, to which each window is added as it is measured. Repeating an interrupted call resumes from
            it, also with more windows, or other numbers for the same measures.
        overwrite: Whether a table of another search is replaced.
        workers: Processes on this machine among which a Dask cluster shares the work; this one alone if None.
        client: A ``dask.distributed.Client`` of any cluster that has kerasgan3d, instead of ``workers``.
        progress: A function (windows done, windows in all).

    Returns:
        SearchResult.

    Raises:
        ValueError: if an argument is invalid, or the table is of another search.
        OSError: if another process writes the table, or it cannot be written.
    """
    check_count(count, "count")
    if workers is not None:
        check_count(workers, "workers")
    generator = as_generator(source)
    wanted = as_targets(targets, generator.phases, generator.voxel_size)
    where = {"seed": seed, "offset": offset, "periodic": periodic}
    first = generator.job(size, **where, fractions=fractions, beyond=beyond)
    jobs = [_job(first, number) for number in range(count)]
    _ = jobs[-1].plan  # raises where it lies beyond the latents
    pieces = generator.pieces()
    names = [target.name for target in wanted]
    rows: dict[int, Sequence[float]] = {}
    with contextlib.ExitStack() as stack:
        table = None
        if out is not None:
            table = Table(out, names, _digest(pieces, generator.voxel_size, first, names), overwrite=overwrite)
            stack.callback(table.close)
            rows = {number: values for number, values in table.rows.items() if number < count}
        if workers and client is None:
            client = stack.enter_context(local_client(workers))
        todo = [(number, job) for number, job in enumerate(jobs) if number not in rows]
        found = _here(generator, wanted, todo) if client is None else _there(pieces, wanted, todo, client)
        for number, values in stack.enter_context(contextlib.closing(found)):
            rows[number] = values
            if table is not None:
                table.append(number, check_seed(jobs[number].seed), jobs[number].offset, values)
            if progress is not None:
                progress(len(rows), count)
        result = _ranked(wanted, rows, jobs)
        if table is not None:
            table.finish((w.score, w.number, check_seed(w.job.seed), w.job.offset, w.values) for w in result.windows)
    return result


def _job(first: SamplingJob, number: int) -> SamplingJob:
    """Return the job of a window: with another seed, or farther along x so that it shares no latents with others."""
    if any(first.periodic):
        return replace(first, seed=check_seed(first.seed) + number)
    step = first.stride * (first.cells[1][2] + sum(first.margin))
    z, y, x = first.offset
    return replace(first, offset=(z, y, x + number * step))


def _digest(pieces: Pieces, voxel_size: float | None, first: SamplingJob, names: Sequence[str]) -> str:
    """Return a digest of everything on which the measured values depend, for a table."""
    asked = {"generator": pieces.digest, "voxel_size": voxel_size, "first": first.to_json(), "measures": list(names)}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _here(
    generator: Generator, targets: Sequence[Target], todo: Sequence[tuple[int, SamplingJob]]
) -> Yields[Any, None, None]:
    for number, job in todo:
        yield number, measured(generator.sample(job), targets)


def _there(
    pieces: Pieces, targets: Sequence[Target], todo: Sequence[tuple[int, SamplingJob]], client: distributed.Client
) -> Yields[Any, None, None]:
    from dask.delayed import delayed as lazy

    from kerasgan3d.models.remote import lazily_sent  # with Keras, which refusals do not wait for

    whole, compute = lazily_sent(pieces), lazy(_values, pure=True)
    asked = ((number, json.dumps(job.to_json())) for number, job in todo)
    return computed_there(lambda number, job: compute(whole, job, tuple(targets)), asked, client)


def _values(pieces: Pieces, job: str, targets: Sequence[Target]) -> list[float]:
    """Sample and measure a window, in a worker."""
    from kerasgan3d.models.remote import made

    return measured(made(pieces).sample(SamplingJob.from_json(json.loads(job))), targets)


def _ranked(targets: tuple[Target, ...], rows: dict[int, Sequence[float]], jobs: Sequence[SamplingJob]) -> SearchResult:
    numbers = sorted(rows)
    values = np.array([rows[number] for number in numbers], float)
    there = [column[np.isfinite(column)] for column in values.T]
    mean = [float(column.mean()) if len(column) else np.nan for column in there]
    spread = [float(column.std()) if len(column) else np.nan for column in there]
    told = [target.of_mean(m) for target, m in zip(targets, mean, strict=True)]
    # Properties that are the same in all windows are listed separately.
    units = [s if s > 0 else abs(target.wanted) or 1.0 for s, target in zip(spread, told, strict=True)]
    columns = list(zip(told, values.T, units, strict=True))
    misses = np.stack([target.miss(column) / unit for target, column, unit in columns])
    scores = np.sqrt(np.mean(misses**2, axis=0))
    beyond = np.zeros(len(numbers))
    for target, column, unit in columns:
        if target.relation != "=":
            beyond += np.where(np.isfinite(column), target.beyond(column), -np.inf) / unit
    order = np.lexsort((np.array(numbers), -beyond, scores))
    windows = tuple(
        FoundWindow(numbers[i], tuple(map(float, values[i])), float(scores[i]), jobs[numbers[i]]) for i in order
    )
    return SearchResult(targets, windows, tuple(mean), tuple(spread))


def _plain(number: float) -> float | None:
    return number if np.isfinite(number) else None
