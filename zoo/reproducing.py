"""Making a generated volume again, from the provenance in its file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan3d import __version__
from kerasgan3d.checks import AXES
from kerasgan3d.io import StoredVolume, open_volume
from kerasgan3d.progress import Told, reported
from kerasgan3d.sampling.job import DEFAULT_TILE, SamplingJob
from kerasgan3d.sampling.stream import parts
from kerasgan3d.texts import clipped, shown
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.hub_address import SCHEME, parse
from kerasgan3d.zoo.loading import info, list_presets, load_generator
from kerasgan3d.zoo.versions import versions

if TYPE_CHECKING:
    from kerasgan3d.models import Generator

_ORIGIN = ("name", "version", "sha256", "repo", "revision")


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A volume that was made again, beside the one that was given.

    Attributes:
        job: The SamplingJob, read from the provenance.
        generator: "name", "version", "sha256" (of the file of weights), "repo" and "revision" of the generator, where
            known.
        differing: Number of voxels that differ.
        first: The first of them (z, y, x); None where there are none.
        box: The smallest box that holds all of them, (start, stop) for z, y and x; None where there are none.
        written_by: Version of kerasgan3d that made the given volume, where it states it.
        volume: The Volume; None where it is too large for memory.
        path: Path of the file that was written, or None.
    """

    job: SamplingJob
    generator: dict[str, str]
    differing: int
    first: tuple[int, ...] | None
    box: tuple[tuple[int, int], ...] | None
    written_by: str | None
    volume: Volume | None
    path: Path | None

    @property
    def same(self) -> bool:
        """Whether all voxels are the same."""
        return self.differing == 0

    def __str__(self) -> str:
        if self.first is None or self.box is None:
            return "the same voxels"
        total = math.prod(self.job.size)
        box = ", ".join(f"{axis} {a}:{b}" for axis, (a, b) in zip(AXES, self.box, strict=True))
        text = f"{self.differing} of {total} voxels differ, the first at {self.first} (z, y, x), all of them in {box}"
        if self.written_by == __version__:
            return f"{text}: the file was changed after it was made"
        made = "an unknown kerasgan3d" if self.written_by is None else f"kerasgan3d {clipped(self.written_by, 40)}"
        return f"{text}: {made} made it, and this is {__version__}, or it was changed since"


def reproduce(
    source: str | os.PathLike[str] | Volume,
    output: str | os.PathLike[str] | None = None,
    *,
    generator: Generator | str | os.PathLike[str] | None = None,
    job: SamplingJob | None = None,
    overwrite: bool = False,
    progress: Told = None,
) -> Reproduction:
    """Make a volume again from its provenance, and compare it voxel by voxel with the given one.

        print(reproduce("cathode.tif"))

    The provenance states seed, place, requested fractions, blend, and the digest of the generator's weights, without
    which a seed names no structure. A generator with these weights is looked for among those that ship, then at the
    stated commit on the Hub. A volume larger than memory is made, and compared, part by part.

    Args:
        source: The path of a file that kerasgan3d wrote, or a Volume that it generated.
        output: A file for the volume that is made again, or None.
        generator: The generator, as for ``load_generator``, where it neither ships nor is on the Hub: the folder of a
            trained or tuned one. It must have the weights that the provenance states.
        job: The SamplingJob of a volume that continues a scan, since its provenance holds only digests of the scan.
        overwrite: Whether an existing output may be replaced.
        progress: A function (voxels done, total voxels); None shows a bar in terminals and in notebooks, False none.

    Returns:
        Reproduction; as a text, what came of it.

    Raises:
        ValueError: if the provenance does not suffice, or there is no generator with these weights here: the message
            says where they are. If the generator or the job is another than the one stated.
        OSError: if a file cannot be read or written, or the Hub cannot be reached.
    """
    given = source if isinstance(source, Volume) else open_volume(source)
    what = "the volume" if isinstance(source, Volume) else str(source)
    origin = _origin(given.provenance, what, job)
    if output is not None and Path(output).exists():
        if not isinstance(source, Volume) and Path(output).samefile(source):
            raise ValueError(f"`output` must be another file than the one that is made again. Received: {output}.")
        if not overwrite:
            raise FileExistsError(f"{output} exists already. `overwrite=True` replaces it.")
    found = _with_these_weights(generator, given.provenance, origin, what)
    if found.phases != given.phases:
        raise ValueError(
            f"{what} must have the phases of its generator, {', '.join(found.phases)}. "
            f"Received: {', '.join(given.phases)}."
        )
    job = found.job(_stated_job(given, found, what) if job is None else _checked_job(job, given, what))
    with reported(progress, "sampling", "voxels") as report:
        made, read = _made(found, job, output, overwrite, isinstance(given, StoredVolume), report)
        differing, first, box = _differences(given.labels, read, job)
    written = given.provenance.get("kerasgan3d")
    known = {key: found.card[key] for key in _ORIGIN if found.card.get(key)}
    path = None if output is None else Path(output)
    return Reproduction(job, known, differing, first, box, None if written is None else str(written), made, path)


def _origin(provenance: dict[str, Any], what: str, job: SamplingJob | None) -> dict[str, Any]:
    """Return the facts about the generator in a provenance, after checking that it describes a generated volume."""
    if provenance.get("seed") is None:
        raise ValueError(f"{what} does not state how it was generated: its provenance has no seed.")
    if provenance.get("history"):
        raise ValueError(
            f"{what} was changed after it was generated ({shown(provenance['history'])}). Give the volume that it was "
            "made from."
        )
    if provenance.get("scan") is not None and job is None:
        raise ValueError(
            f"{what} continues a scan, of which its provenance holds only digests. Pass the SamplingJob as `job`: that "
            "of kerasgan3d.steering.extension with the same scan, seed and options."
        )
    origin = provenance.get("generator") or {}
    if not isinstance(origin, dict) or not all(isinstance(origin.get(key, ""), str) for key in _ORIGIN):
        raise ValueError(f"{what} must state its generator as kerasgan3d does. Received: {shown(origin)}.")
    return origin


def _with_these_weights(
    given: Generator | str | os.PathLike[str] | None, provenance: dict[str, Any], origin: dict[str, Any], what: str
) -> Generator:
    """Return the generator with the stated weights: the given one, a shipped one, or one on the Hub.

    Raises:
        ValueError: if there is none here; the message says where it is.
    """
    wanted = origin.get("sha256")
    if given is not None:
        found = load_generator(given) if isinstance(given, str | os.PathLike) else given
        have = found.card.get("sha256")
        if wanted is not None and have != wanted:
            raise ValueError(f"`generator` must have the weights that made {what}, {wanted}. Received: {have}.")
        return found
    shipped = [name for name in list_presets() if wanted == (info(name).get("weights") or {}).get("sha256")]
    if wanted is not None and shipped:
        return load_generator(origin["name"] if origin.get("name") in shipped else shipped[0])
    if (address := parse(origin.get("repo"), origin.get("revision"))) is not None and address.revision is not None:
        found = load_generator(f"{SCHEME}{address}")
        if wanted is not None and found.card.get("sha256") != wanted:
            raise ValueError(f"{address} does not hold the weights that made {what}, {wanted}.")
        return found
    raise ValueError(f"{_where(provenance, origin, what)} Pass a folder, or org/name on the Hub, as `generator`.")


def _where(provenance: dict[str, Any], origin: dict[str, Any], what: str) -> str:
    """Say which generator made a volume, and where its weights are."""
    name, wanted = clipped(origin.get("name") or "a generator without a name", 100), origin.get("sha256")
    if wanted is None:
        return f"{what} was made by {name}, whose weights its provenance does not state."
    version = f", version {clipped(origin['version'], 40)}" if origin.get("version") else ""
    text = f"{what} was made by {name}{version}, whose weights ({clipped(wanted, 80)}) are not here."
    if isinstance(origin.get("tuned_from"), dict):
        return f"{text} It was tuned from {shown(origin['tuned_from'].get('name'))}."
    if name in list_presets():
        text += f" {name} ships here in version {info(name).get('version')}."
    entry = next((entry for entry in versions(name) if entry.sha256 == wanted), None)
    if entry is not None and entry.place:
        return f"{text} They are in {entry.place}."
    release = provenance.get("kerasgan3d")
    return f"{text} The volume was made with kerasgan3d {shown(release)}." if release else text


def _stated_job(given: Volume | StoredVolume, generator: Generator, what: str) -> SamplingJob:
    """Return the job that a provenance states."""
    provenance = given.provenance
    network = {key: getattr(generator, key) for key in ("stride", "margin", "bytes_per_voxel")}
    stated = {key: provenance.get(key) for key in ("seed", "conditions", "blend")}
    try:
        return SamplingJob(
            given.shape, periodic=given.periodic, offset=provenance.get("offset", (0, 0, 0)), **stated, **network
        )
    except ValueError as error:
        raise ValueError(f"{what} does not state a volume of its generator: {error}") from error


def _checked_job(job: SamplingJob, given: Volume | StoredVolume, what: str) -> SamplingJob:
    """Return a job after checking that it is the one that a volume states."""
    told = {"seed": job.seed, "offset": list(job.offset), "size": list(job.size), "periodic": list(job.periodic)}
    told |= {"scan": None if job.scan is None else job.scan.digest, "conditions": job.conditions, "blend": job.blend}
    facts = given.provenance
    scan = facts.get("scan")
    stated = {"seed": facts["seed"], "offset": facts.get("offset"), "size": list(given.shape)}
    stated |= {"periodic": list(given.periodic), "scan": scan.get("sha256") if isinstance(scan, dict) else None}
    stated |= {key: facts.get(key) for key in ("conditions", "blend")}
    wrong = [f"{key} {shown(told[key])}, not {shown(stated[key])}" for key in told if told[key] != stated[key]]
    if wrong:
        raise ValueError(f"`job` must be that of {what}. Received: {'; '.join(wrong)}.")
    return job


def _made(
    generator: Generator, job: SamplingJob, output: Any, overwrite: bool, large: bool, report: Any
) -> tuple[Volume | None, Callable[..., np.ndarray]]:
    """Make a volume: the Volume where it fits in memory, and a function from (start, shape) to its labels."""
    if not large:
        volume = generator.sample(job, progress=report or False)
        if output is not None:
            volume.save(output, overwrite=overwrite)
        return volume, lambda start, shape: volume.labels[_slices(start, shape)]
    if output is None:
        return None, _counted(generator.windows(job), math.prod(job.size), report)
    generator.stream(output, job, overwrite=overwrite, progress=report or False)
    written = open_volume(output).labels
    return None, lambda start, shape: written[_slices(start, shape)]


def _counted(read: Callable[..., np.ndarray], total: int, report: Any) -> Callable[..., np.ndarray]:
    """Return a function of (start, shape) that reports its progress."""
    done = 0

    def counted(start, shape):
        nonlocal done
        labels = read(start, shape)
        done += labels.size
        if report is not None:
            report(done, total)
        return labels

    return counted


def _differences(labels: Any, read: Callable[..., np.ndarray], job: SamplingJob) -> tuple[int, Any, Any]:
    """Compare labels with those of a function of (start, shape): number of differences, the first, and their box."""
    count, first, low, high = 0, None, None, None
    for start, shape in parts(job.size, (DEFAULT_TILE,) * 3):
        differs = np.asarray(labels[_slices(start, shape)]) != read(start, shape)
        if not differs.any():
            continue
        count += int(np.count_nonzero(differs))
        places = [np.flatnonzero(differs.any(axis=tuple({0, 1, 2} - {axis}))) + start[axis] for axis in range(3)]
        here = np.unravel_index(int(differs.argmax()), differs.shape)
        here = tuple(int(n) + at for n, at in zip(here, start, strict=True))
        first = here if first is None else min(first, here)
        ends = [[int(each[0]) for each in places], [int(each[-1]) + 1 for each in places]]
        low = ends[0] if low is None else list(map(min, low, ends[0]))
        high = ends[1] if high is None else list(map(max, high, ends[1]))
    return count, first, None if low is None or high is None else tuple(zip(low, high, strict=True))


def _slices(start: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
