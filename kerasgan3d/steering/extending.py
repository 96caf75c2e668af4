"""Extension of scans: known voxels are kept exactly, and a structure that continues them is generated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan3d.checks import AXES, check_count, check_seed, check_triple, plain_array
from kerasgan3d.phases import default_names
from kerasgan3d.progress import Told, reported
from kerasgan3d.sampling.job import Periodic, SamplingJob, Size
from kerasgan3d.sampling.scan import UNKNOWN, Scan
from kerasgan3d.steering.fit import Fit, State, fit_starts, kept_seed
from kerasgan3d.steering.joint import joint_statistics
from kerasgan3d.steering.source import as_generator
from kerasgan3d.volume import Volume

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kerasgan3d.models import Generator

_SAME_SIZE = 1e-3  # of voxels, by how much they may differ


@dataclass(frozen=True)
class Extension:
    """A scan with its generated continuation.

    Attributes:
        job: The SamplingJob of the whole, which holds the known voxels and what was fitted to them:
            ``generator.sample(extension.job)``, or ``stream`` or ``to_dask`` of it.
        report: What came of it, a dict that JSON can hold: "at", "starts" with the fit of each, "chosen" and "joint";
            see `extension`. The volume's provenance holds it too.
    """

    job: SamplingJob
    report: dict[str, Any]


def extend(
    source: Generator | str | os.PathLike[str],
    volume: Volume | ArrayLike,
    size: Size,
    *,
    progress: Told = None,
    **options: Any,
) -> Volume:
    """Continue a scan: keep its known voxels exactly, and generate the rest so that it fits them.

    Args:
        source: A Generator, or an argument of ``load_generator``.
        volume, size, progress, options: As for `extension`.

    Returns:
        Volume: of ``size``; its provenance says what is known, digests, and how well the parts fit together.

    Raises:
        ValueError, MemoryError: as `extension`.
    """
    generator = as_generator(source)
    return generator.sample(extension(generator, volume, size, progress=progress, **options).job)


def extension(
    source: Generator | str | os.PathLike[str],
    volume: Volume | ArrayLike,
    size: Size,
    *,
    periodic: Periodic = False,
    seed: int | None = None,
    unknown: Volume | ArrayLike | None = None,
    at: Sequence[int] | None = None,
    starts: int = 3,
    steps: int = 150,
    state: str | os.PathLike[str] | None = None,
    progress: Told = None,
) -> Extension:
    """Fit the structure of a seed to a scan, so that it continues the scan.

    The scan lies at the origin of the structure. The latents that its voxels near generated ones are made of are
    fitted, as are the conditions beside them; everywhere else the structure is the seed's. How much a known voxel
    counts falls with its distance from what is generated, to 1/e along an eighth of the generator's ``stride``; from
    a stride on it does not count.

    Args:
        source: A Generator, or an argument of ``load_generator``.
        volume: The scan: a Volume of the generator's phases, or an array of its labels (z, y, x); a slice (y, x) is one
            voxel thick along z.
        size: Voxels of the whole: an int, or (z, y, x). At least the scan's; along periodic axes a multiple of the
            generator's ``stride``, and larger unless the scan is periodic along them itself.
        periodic: Whether the whole continues itself: a bool, three, or letters of axes such as "yx".
        seed: Of what is generated; that of the state if None, or drawn.
        unknown: bool (z, y, x), or a Volume of labels that are not 0, where voxels of the scan are not known and are to
            be generated; None for nowhere.
        at: Position of the scan's first voxel in the whole (z, y, x); centred if None.
        starts: Number of independent fits, of which the best is taken.
        steps: Steps of each fit.
        state: A file, .npz, that holds the state of the fit. Repeating an interrupted call resumes from it, and a
            complete fit is not repeated.
        progress: A function (steps done, steps in all). None shows a bar where stderr is a terminal, and in notebooks;
            False shows none.

    Returns:
        Extension. Its report holds "at"; "starts", for each start the mean "cross_entropy" of the known voxels that
        count, and their "agreement" with what the generator makes without them, also of those "touching" what is
        generated, and "label_changes" across the joint; "chosen", which of them; "latents", mean and standard deviation
        of the fitted values; and "joint", the `joint_statistics` of the best.

    Raises:
        ValueError: if an argument is invalid, the scan is of other phases or another voxel size, or nothing of
            it is known, or nothing is to be generated; or the state is of another fit.
    """
    generator = as_generator(source)
    scan = _as_scan(volume, generator)
    labels = scan.labels if unknown is None else _masked(scan.labels, unknown)
    check_count(starts, "starts")
    check_count(steps, "steps")
    job = generator.job(size, periodic=periodic, seed=kept_seed(state) if seed is None else check_seed(seed))
    at = _placed(labels, job, at, scan.periodic)
    # Of the whole the scan's place is chosen by the window's: the structure, and its fit, are the same for any size.
    job = replace(job, offset=(-at[0], -at[1], -at[2])).seeded()
    period = job.plan.period
    field = job.field(generator.latent_channels, generator.conditions)
    fit = Fit(generator, field, labels, _beyond(labels, job, at), period, check_seed(job.seed))
    found = State(state, check_seed(job.seed), fit.digest(f"{generator.pieces().digest} {period} {starts} {steps}"))
    with reported(progress, "fitting", "steps") as report:
        fit_starts(fit, found, starts, steps, report)
    facts = {"at": list(at), **({"file": scan.provenance["file"]} if "file" in scan.provenance else {})}
    jobs = [replace(job, scan=Scan(labels, fit.points, each.values, border=each.border)) for each in found.done]
    joints = [_joint(generator, each, at) for each in jobs]
    chosen = min(range(starts), key=lambda i: found.done[i].loss)
    told = _told(found.done, joints, chosen, generator.latent_channels)
    best = Scan(labels, fit.points, found.done[chosen].values, {**facts, "fit": told}, found.done[chosen].border)
    return Extension(replace(job, scan=best), {**facts, "counted_voxels": fit.voxels, **told})


def _told(starts, joints, chosen, latents):
    """Return the results of the starts as a JSON-serialisable dict."""
    values = starts[chosen].values[:, :latents]
    rows = [
        {
            "cross_entropy": round(each.loss, 5),
            "agreement": round(each.agreement, 5),
            "touching": round(each.touching, 5),
            "label_changes": joint[0]["joint"],
        }
        for each, joint in zip(starts, joints, strict=True)
    ]
    normal = {"mean": round(float(values.mean()), 5), "deviation": round(float(values.std()), 5)}
    return {"starts": rows, "chosen": chosen, "latents": normal, "joint": joints[chosen]}


def _as_scan(volume: Any, generator: Generator) -> Volume:
    """Return a scan as a Volume of the generator's phases, in their order.

    Raises:
        ValueError: if it is of other phases, or of another voxel size.
    """
    if not isinstance(volume, Volume):
        labels = plain_array(volume)
        if labels.ndim not in (2, 3):
            raise ValueError(f"a scan must be a Volume, or labels (z, y, x) or (y, x). Received: shape {labels.shape}.")
        n = len(generator.phases)
        if labels.size and (labels.min() < 0 or labels.max() >= n):
            raise ValueError(
                f"a scan must hold labels from 0 to {n - 1}, of {', '.join(generator.phases)}. "
                f"Received: {labels.min()} to {labels.max()}."
            )
        return Volume(labels[np.newaxis] if labels.ndim == 2 else labels, generator.phases, generator.voxel_size)
    size, wanted = volume.voxel_size, generator.voxel_size
    if size is not None and wanted is not None and abs(size - wanted) > _SAME_SIZE * wanted:
        raise ValueError(
            f"a scan must have the generator's voxels, of {wanted:g} µm. Received: {size:g} µm. "
            "`volume.resample(generator.voxel_size)` changes it."
        )
    names = volume.phases
    unnamed = names == default_names(len(names))
    if len(names) != len(generator.phases) or (not unnamed and set(names) != set(generator.phases)):
        raise ValueError(
            f"a scan must be of the generator's phases, {', '.join(generator.phases)}. Received: {', '.join(names)}. "
            "`phases` or `mapping` of Volume.load name them."
        )
    if unnamed or names == generator.phases:
        return volume
    order = np.array([generator.phases.index(name) for name in names], "uint8")
    return Volume(order[volume.labels], generator.phases, size, volume.periodic, volume.provenance)


def _masked(labels, unknown):
    """Return labels with ``UNKNOWN`` where a mask is not 0.

    Raises:
        ValueError: if the mask has another shape.
    """
    mask = plain_array(unknown.labels if isinstance(unknown, Volume) else unknown) != 0
    mask = mask[np.newaxis] if mask.ndim == 2 else mask
    if mask.shape != labels.shape:
        raise ValueError(f"`unknown` must have the scan's shape, {labels.shape}. Received: {mask.shape}.")
    if mask.all():
        raise ValueError("`unknown` must leave something known. Received: a mask of all voxels of the scan.")
    return np.where(mask, np.uint8(UNKNOWN), labels)


def _placed(labels, job, at, continues):
    """Return the position of the scan's first voxel in the whole.

    Raises:
        ValueError: if it doesn't lie within it, or cannot be closed along a periodic axis.
    """
    shape = labels.shape
    if any(n < length for n, length in zip(job.size, shape, strict=True)):
        raise ValueError(f"`size` must be at least the scan's, {_by(shape)} voxels. Received: {_by(job.size)}.")
    for letter, n, length, wraps, closed in zip(AXES, job.size, shape, job.periodic, continues, strict=True):
        if wraps and n == length and not closed:
            raise ValueError(
                f"`size` must be larger than the scan along periodic axes, for what closes it. Received: {n} along "
                f"{letter} for {length}."
            )
    if at is None:
        at = [(n - length) // 2 for n, length in zip(job.size, shape, strict=True)]
    at = check_triple(at, "at")
    for letter, place, n, length, wraps in zip(AXES, at, job.size, shape, job.periodic, strict=True):
        if not wraps and not 0 <= place <= n - length:
            raise ValueError(f"`at` must be from 0 to {n - length} along {letter}. Received: {place}.")
    return at


def _beyond(labels, job, at):
    """Return for each axis whether there is something to generate below and above the scan.

    Raises:
        ValueError: if nothing is generated beside known voxels.
    """
    axes = zip(at, job.size, labels.shape, job.periodic, strict=True)
    beyond = [(n > m, n > m) if wraps else (place > 0, place + m < n) for place, n, m, wraps in axes]
    if not any(map(any, beyond)) and (labels != UNKNOWN).all():
        raise ValueError(
            f"there must be something to generate. Received: a scan of {_by(labels.shape)} voxels, all of them known, "
            "for as many. `size` makes room around it, `unknown` within it."
        )
    return beyond


def _joint(generator, job, at):
    """Return `joint_statistics` of the scan and the structure generated around it."""
    start, shape = [], []
    for place, n, length, wraps in zip(at, job.size, job.scan.labels.shape, job.periodic, strict=True):
        first, last = place - job.stride, place + length + job.stride
        whole = last - first >= n
        first, last = (0, n) if whole else (first, last) if wraps else (max(0, first), min(n, last))
        start.append(first)
        shape.append(last - first)
    labels = generator.windows(job)(tuple(start), tuple(shape))
    known = job.scan.known([a - b for a, b in zip(start, at, strict=True)], shape, job.period) != UNKNOWN
    return joint_statistics(labels, known, generator.phases, job.stride)


def _by(numbers):
    return " x ".join(map(str, numbers))
