"""The sampling methods of a generator: each makes a SamplingJob and runs it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from kerasgan3d.checks import check_count, check_seed
from kerasgan3d.io import VolumeRecord, partial_record
from kerasgan3d.models._sampler import Sampler
from kerasgan3d.models.estimate import Estimate, estimate
from kerasgan3d.models.remote import Pieces, delayed
from kerasgan3d.progress import Told, reported
from kerasgan3d.sampling.blend import asked_blend
from kerasgan3d.sampling.conditions import Conditions, Fractions
from kerasgan3d.sampling.job import Periodic, SamplingJob, Size
from kerasgan3d.sampling.plan import TilePlan
from kerasgan3d.sampling.stream import Streamed, lazily, local_client, stream
from kerasgan3d.upward import upward
from kerasgan3d.volume import Volume

if TYPE_CHECKING:
    import dask.array
    import distributed
    from numpy.typing import ArrayLike

Blend = tuple[int, Any]  # another seed, and t
_UNSAID = {"periodic": False, "seed": None, "offset": (0, 0, 0), "tile": None, "batch": None}


class SamplingMethods:
    """Sampling methods of a generator, which rely on the attributes and methods of its network declared here."""

    phases: tuple[str, ...]
    voxel_size: float | None
    card: dict[str, Any]
    padding: str
    latent_channels: int
    conditions: Conditions | None
    stride: int
    margin: tuple[int, int]
    bytes_per_voxel: float
    sampler: Callable[[], Sampler]
    pieces: Callable[[], Pieces]

    def job(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
    ) -> SamplingJob:
        """Return the job that ``sample`` would run with these arguments, as plain data. Nothing is computed.

        A SamplingJob in place of the size replaces all other arguments, except for fractions and a blend where it has
        none; it is returned with the stride of this generator.

        Raises:
            ValueError: as for ``sample``.
        """
        if self.padding == "zeros":
            raise ValueError(
                "sampling needs a generator without boundary effects. Received: padding='zeros'. "
                "Use generator.with_padding('valid'), which has the same weights."
            )
        network = {"stride": self.stride, "margin": self.margin, "bytes_per_voxel": self.bytes_per_voxel}
        said = {"periodic": periodic, "seed": seed, "offset": offset, "tile": tile, "batch": batch}
        if not isinstance(size, SamplingJob):
            return self._steered(SamplingJob(size, **said, **network), fractions, beyond, blend)
        if said != _UNSAID:
            raise ValueError(f"a SamplingJob says {', '.join(_UNSAID)} itself. Received: both.")
        if fractions is not None and size.conditions is not None:
            raise ValueError("a SamplingJob with conditions says its fractions itself. Received: both.")
        if blend is not None and size.blend is not None:
            raise ValueError("a SamplingJob with a blend says it itself. Received: both.")
        if size.conditions is not None and self.conditions is None:
            raise ValueError(f"this generator takes no conditions. Received: {size.conditions!r:.200}.")
        if size.scan is not None:
            size.scan.check_labels(len(self.phases))
        fitted = replace(size, **network)
        if self.conditions is not None and fitted.conditions is not None:
            self.conditions.check_stated(fitted.conditions, fitted.cells[1])
        return self._steered(size if size == fitted else fitted, fractions, beyond, blend)

    def _steered(self, job: SamplingJob, fractions: Fractions | None, beyond: bool, blend: Blend | None) -> SamplingJob:
        """Return the job with requested volume fractions and a blend, if any."""
        if blend is not None:
            job = replace(job, blend=asked_blend(blend, job.size, job.cells[1], job.periodic))
        if fractions is None:
            return job
        if self.conditions is None:
            raise ValueError(
                "`fractions` need a generator that was trained on local volume fractions, which this one was not. "
                f"Received: {fractions!r:.200}."
            )
        wish = self.conditions.asked(fractions, self.phases, job.cells[1], job.periodic, beyond=beyond)
        return replace(job, conditions={"fractions": wish.round(6).tolist(), **({"beyond": True} if beyond else {})})

    def plan(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
    ) -> TilePlan:
        """Return the TilePlan by which ``sample`` would compute a volume, as plain integers. Nothing is computed.

        Raises:
            ValueError: as for ``sample``.
        """
        options = {"periodic": periodic, "offset": offset, "tile": tile, "batch": batch}
        return self.job(size, **options, fractions=fractions, beyond=beyond, blend=blend).plan

    @overload
    def sample(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        progress: Told = None,
    ) -> Volume: ...

    @overload
    def sample(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: Iterable[int],
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        progress: Told = None,
    ) -> list[Volume]: ...

    def sample(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | Iterable[int] | None = None,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        progress: Told = None,
    ) -> Volume | list[Volume]:
        """Generate a volume of labels.

        The volume is a window on the infinite random structure of ``seed``: the same seed gives the same voxels at the
        same coordinates, regardless of window, tiles and batch.

        Args:
            size: Voxels: an int, or (z, y, x). Any positive numbers; a multiple of ``stride`` along periodic axes. Or
                a SamplingJob, which replaces all arguments but ``progress``.
            periodic: Axes along which the volume is periodic: a bool, three (z, y, x), or letters of axes such as "yx".
            seed: A non-negative int below 2**64; None draws one. It is recorded in the volume's provenance. Several,
                such as ``range(20)`` or ``[3, 1, 4]``, give a list of volumes, one for each seed in order.
            offset: Start of the window in voxels (z, y, x). Along a periodic axis this rolls the volume by minus the
                offset.
            tile: Voxels per side that are computed at once: an int or (z, y, x). Has no effect on the result.
            batch: Tiles that are computed at once. Has no effect on the result.
            fractions: Requested local volume fractions, a dict from names of phases to a number, a profile along z (a
                list), one along another axis ({"x": [...]}), or a coarse field, an array (z, y, x); see
                ``kerasgan3d.sampling.Conditions.asked``. They span the window, wherever it is: ``offset`` moves the
                structure relative to them. None draws fractions that vary as in the material.
            beyond: Whether fractions may lie outside the range that training covered; recorded in the provenance.
            blend: (another seed, t), a structure between those of ``seed``, where t is 0, and of the other, where t is
                1: z = cos(t pi / 2) z_A + sin(t pi / 2) z_B, and likewise for random conditions. t is a number from 0
                to 1 or spans the window as fractions do: a list is a profile along z, {"x": [...]} one along another
                axis. Where it stays at 0 or 1 over more than the network's receptive field, the voxels are those of
                one seed.
            progress: A function (voxels done, total voxels), called after each step. None shows a bar in terminals
                (on stderr) and in notebooks; False shows none.

        Returns:
            Volume: labels (z, y, x), uint8; or a list of them, where `seed` holds several.

        Raises:
            ValueError: if an argument is invalid, or the generator is not conditional and fractions are given.
            MemoryError: if the volume needs more memory than the machine has.
        """
        several = isinstance(seed, Iterable)
        seeds = [check_seed(each) for each in seed] if isinstance(seed, Iterable) else [seed]
        if not seeds:
            raise ValueError("`seed` must be an int, None, or several ints. Received: none.")
        options = {"periodic": periodic, "seed": None if several else seed, "offset": offset, "tile": tile}
        job = self.job(size, **options, batch=batch, fractions=fractions, beyond=beyond, blend=blend)
        jobs = [replace(job, seed=each) for each in seeds] if several else [job.seeded()]
        job.check_memory(len(jobs))
        sampler, volumes = self.sampler(), []
        with reported(progress, "sampling", "voxels") as report:
            for job in jobs:
                labels = self._run(job, sampler, sampler.labels, progress=_part(report, len(volumes), len(jobs)))
                volumes.append(self._record(job).volume(labels))
        return volumes if several else volumes[0]

    def sample_probabilities(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        progress: Told = None,
    ) -> np.ndarray:
        """Generate the probabilities of the phases, the paper's confidence maps. Arguments as for ``sample``.

        Returns:
            float32 array (z, y, x, phases); its argmax is the result of ``sample``.
        """
        options = {"periodic": periodic, "seed": seed, "offset": offset, "tile": tile, "batch": batch}
        job = self.job(size, **options, fractions=fractions, beyond=beyond, blend=blend).seeded()
        sampler, voxel_bytes = self.sampler(), 4 * len(self.phases)
        with reported(progress, "probabilities", "voxels") as report:
            return self._run(job, sampler, sampler.probabilities, voxel_bytes=voxel_bytes, progress=report)

    def stream(
        self,
        path: str | os.PathLike[str],
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        resume: bool = True,
        overwrite: bool = False,
        workers: int | None = None,
        client: distributed.Client | None = None,
        progress: Told = None,
    ) -> Streamed:
        """Generate a volume of any size into a file, part by part, in the memory of a few tiles.

        The voxels are those of ``sample``. Unfinished data lie next to ``path``, in a folder of the same name with the
        suffix ``.partial``; the file appears when it is complete. Repeating a call resumes an interrupted one, whatever
        interrupted it, even with other tiles, workers or ``seed=None``.

        Args:
            path: The output file: .zarr (OME-Zarr with a pyramid), or .tif (BigTIFF above 4 GB).
            size, periodic, seed, offset, fractions, beyond, blend: As for ``sample``. With ``seed=None`` an interrupted
                volume keeps its seed.
            tile: Voxels per side that are computed at once, rounded up to a multiple of 128: an int or (z, y, x).
                256 if None, and half of that along z where workers share the memory.
            resume: Whether to resume an interrupted call; False starts over.
            overwrite: Whether an existing file may be replaced.
            workers: Processes on this machine among which a Dask cluster shares the work; this one alone if None.
            client: A ``dask.distributed.Client`` of any cluster that has kerasgan3d, instead of ``workers``.
            progress: A function (voxels done, total voxels), called as parts are written. None shows a bar in
                terminals (on stderr) and in notebooks; False shows none.

        Returns:
            Streamed: path, seed, volume fractions, checksum of the content, voxels computed and seconds.

        Raises:
            ValueError: as for ``sample``, or if an unfinished, different volume lies at the path.
            OSError: if the file exists, or cannot be written.
        """
        if workers is not None:
            check_count(workers, "workers")
        options = {"periodic": periodic, "seed": seed, "offset": offset, "tile": tile}
        job = self.job(size, **options, fractions=fractions, beyond=beyond, blend=blend)
        old = partial_record(path) if resume else None
        job = job.seeded(old.provenance.get("seed") if old else None)
        pieces, record = self.pieces(), self._record(job)
        if old is not None and _but_origin(old) == _but_origin(record):
            record = old  # `identity` tells weights apart; a card may state more than it did
        options = {"identity": pieces.digest, "resume": resume, "overwrite": overwrite}
        with (
            reported(progress, "sampling", "voxels") as report,
            local_client(workers) if workers and client is None else contextlib.nullcontext(client) as client,
        ):
            compute = self.windows(job) if client is None else delayed(pieces, job)
            return stream(job, compute, path, record, client=client, progress=report, **options)

    def extend(
        self,
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
    ) -> Volume:
        """Continue a scan: keep its known voxels exactly, and generate the rest so that it fits them.

        Args:
            volume: The scan: a Volume of the generator's phases, or labels (z, y, x); (y, x) for a slice.
            size: Voxels of the whole: an int, or (z, y, x). At least the scan's; along periodic axes a multiple of
                ``stride`` and larger, with room for the part that closes the structure onto itself.
            periodic, seed: As for ``sample``.
            unknown: bool (z, y, x), or a Volume: mask of unknown voxels of the scan; None where all are known.
            at: Position of the scan's first voxel in the whole (z, y, x); the scan is centred if None.
            starts: Number of independent fits, of which the best is taken.
            steps: Steps of each fit.
            state: A file, .npz, from which the same call resumes after an interruption.
            progress: A function (steps done, total steps); None and False as for ``sample``.

        Returns:
            Volume: its provenance records how well the parts fit together. For volumes larger than memory,
            ``kerasgan3d.steering.extension`` returns the job, which ``stream`` takes.

        Raises:
            ValueError: if an argument is invalid, the scan has other phases or another voxel size, or nothing is
                known or nothing is left to generate.
            MemoryError: if the volume needs more memory than the machine has.
        """
        fitting = {"starts": starts, "steps": steps, "state": state, "progress": progress}
        where = {"periodic": periodic, "seed": seed, "unknown": unknown, "at": at}
        return upward("steering", "extend")(self, volume, size, **where, **fitting)

    def estimate(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        offset: Size = (0, 0, 0),
        tile: Size | None = None,
        batch: int | None = None,
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        path: str | os.PathLike[str] | None = None,
        streams: bool = False,
    ) -> Estimate:
        """Estimate the cost of ``sample``, or of ``stream`` if ``streams``, by computing one tile.

        Args:
            size, periodic, offset, tile, batch, fractions, beyond, blend: As for ``sample``.
            path: The output file, or None.
            streams: Whether it will be written part by part.

        Returns:
            Estimate: seconds, and bytes of memory and of disk.

        Raises:
            ValueError: as for ``sample``.
        """
        options = {"periodic": periodic, "offset": offset, "tile": tile, "batch": batch}
        job = self.job(size, **options, fractions=fractions, beyond=beyond, blend=blend).seeded()
        return estimate(job, self.windows(job), self._record(job), path, streams=streams)

    def to_dask(
        self,
        size: Size | SamplingJob,
        *,
        periodic: Periodic = False,
        seed: int | None = None,
        offset: Size = (0, 0, 0),
        fractions: Fractions | None = None,
        beyond: bool = False,
        blend: Blend | None = None,
        chunks: Size | None = None,
    ) -> dask.array.Array:
        """Return the volume that ``sample`` would generate as a lazy Dask array, whose chunks are generated on demand.

        Any Dask scheduler can compute it, on one machine or many; each process builds the generator once.

        Args:
            size, periodic, seed, offset, fractions, beyond, blend: As for ``sample``.
            chunks: Voxels per side of a chunk: an int or (z, y, x); 256 if None.

        Returns:
            dask.array, uint8 (z, y, x).

        Raises:
            ValueError: as for ``sample``.
        """
        options = {"periodic": periodic, "seed": seed, "offset": offset, "tile": chunks}
        job = self.job(size, **options, fractions=fractions, beyond=beyond, blend=blend).seeded()
        return lazily(job, delayed(self.pieces(), job))

    def windows(self, job: SamplingJob) -> Callable[[tuple[int, ...], tuple[int, ...]], np.ndarray]:
        """Return a function from (start, shape) to labels of that part of a job's volume, with the current weights."""
        sampler = self.sampler()
        return lambda start, shape: self._run(job, sampler, sampler.labels, window=(start, shape))

    def _run(self, job: SamplingJob, sampler: Sampler, function: Callable, **options: Any) -> np.ndarray:
        return job.run(function, self.latent_channels, conditions=self.conditions, stem=sampler.stem, **options)

    def _record(self, job: SamplingJob) -> VolumeRecord:
        return job.record(self.phases, self.voxel_size, self.card)


def _part(report, done, count):
    """Return a progress function for one of `count` equal tasks after `done` others; None without `report`."""
    return report and (lambda voxels, total: report(done * total + voxels, count * total))


def _but_origin(record: VolumeRecord) -> VolumeRecord:
    """Return the record of a volume without what it states of its generator."""
    provenance = {key: value for key, value in record.provenance.items() if key != "generator"}
    return replace(record, provenance=provenance)
