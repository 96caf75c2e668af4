"""Volumes computed part by part: streamed to disk, or as lazy Dask arrays."""

from __future__ import annotations

import collections
import contextlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasgan3d.checks import check_seed, cores
from kerasgan3d.io import VolumeWriter, blocks
from kerasgan3d.io.streaming import BLOCK
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.sampling.generate import Progress
from kerasgan3d.sampling.job import DEFAULT_TILE, SamplingJob
from kerasgan3d.sampling.plan import Window

if TYPE_CHECKING:
    import dask.array
    import distributed

Parts = Generator[tuple[tuple[int, ...], np.ndarray], None, None]  # start and labels of each
_MOST_CHUNKS = 10**6  # some 2 GB of Dask's graph
_AHEAD = 2  # parts waiting to be written, or for each worker being computed or transferred


class Streamed(NamedTuple):
    """Summary of a volume that was streamed to a file.

    Attributes:
        path: Path of the file.
        seed: The seed of the volume.
        fractions: Volume fractions, in the order of the phases.
        checksum: sha256 of its content, see `kerasgan3d.io.checksum`.
        voxels: Number of voxels computed by this call, without those of an earlier, interrupted run.
        seconds: Duration in seconds.
    """

    path: Path
    seed: int
    fractions: tuple[float, ...]
    checksum: str
    voxels: int
    seconds: float


def part_edges(size: Sequence[int], tile: Sequence[int]) -> tuple[int, ...]:
    """Return the edges in voxels of the parts in which a volume is computed: tiles rounded up to blocks of 128."""
    return tuple(-(-min(t, n) // BLOCK) * BLOCK for t, n in zip(tile, size, strict=True))


def parts(size: Sequence[int], tile: Sequence[int]) -> Iterator[Window]:
    """Yield the parts (start, shape) in which a volume is computed and written, in order."""
    return blocks(size, part_edges(size, tile))


def stream(
    job: SamplingJob,
    compute: Callable[..., Any],
    path: str | os.PathLike[str],
    record: VolumeRecord,
    *,
    identity: str,
    resume: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
    client: distributed.Client | None = None,
) -> Streamed:
    """Compute a volume part by part, writing each part when it is ready.

    Parts are the job's tiles, rounded up to whole blocks of 128; without tiles they have 256 voxels per side, and half
    of that along z where workers share the memory.

    Args:
        job: The SamplingJob, with its seed.
        compute: A function (start, shape) that returns labels, uint8 (z, y, x); with a `client`, a Dask object of them.
        path, record, identity, resume, overwrite: As for `kerasgan3d.io.VolumeWriter`.
        progress: A function (voxels done, total voxels), called after each part; voxels of an interrupted run count as
            done.
        client: A dask.distributed.Client that computes; the caller's threads if None.

    Returns:
        Streamed.

    Raises:
        ValueError, OSError: as for `VolumeWriter`.
    """
    began, seed = time.perf_counter(), check_seed(job.seed)
    tile = job.tile or (DEFAULT_TILE if client is None else DEFAULT_TILE // 2, DEFAULT_TILE, DEFAULT_TILE)
    total = job.plan.bytes_output  # one a voxel
    writer = VolumeWriter(path, record, identity=identity, resume=resume, overwrite=overwrite)
    done = writer.voxels
    left = total - done
    todo = (missing for part in parts(job.size, tile) for missing in writer.missing(*part))
    source = _computed_here(compute, todo) if client is None else computed_there(compute, todo, client)
    # Writing and compressing continue while the next part is computed.
    with contextlib.closing(writer), ThreadPoolExecutor(1) as pool, contextlib.closing(source):
        waiting = collections.deque()

        def settle(count):
            nonlocal done
            while len(waiting) > count:
                future, voxels = waiting.popleft()
                future.result()
                done += voxels
                if progress is not None:
                    progress(done, total)

        for start, labels in source:
            waiting.append((pool.submit(writer.write, start, labels), labels.size))
            settle(_AHEAD - 1)
        settle(0)
        fractions = tuple(writer.fractions.tolist())
        return Streamed(writer.path, seed, fractions, writer.finish(), left, time.perf_counter() - began)


def _computed_here(compute: Callable[..., np.ndarray], todo: Iterable[Window]) -> Parts:
    for start, shape in todo:
        yield start, compute(start, shape)


def computed_there(compute: Callable[..., Any], todo: Iterable[tuple[Any, Any]], client: Any) -> Generator:
    """Yield the results of workers as they finish, each with the first of its two arguments.

    Only a few tasks are submitted at a time, and those of a lost worker go to another.

    Args:
        compute: A function of two arguments that returns a Dask object.
        todo: Pairs of arguments.
        client: A dask.distributed.Client.
    """
    from distributed import as_completed

    todo, places = iter(todo), {}

    def submit():
        for start, shape in todo:
            future = client.compute(compute(start, shape), retries=3)
            places[future.key] = start
            return future
        return None

    workers = max(1, sum(client.nthreads().values()))
    first = [future for future in (submit() for _ in range(_AHEAD * workers)) if future is not None]
    running = as_completed(first, with_results=True)
    try:
        for future, labels in running:
            start = places.pop(future.key)
            future.release()
            another = submit()
            if another is not None:
                running.add(another)
            yield start, labels
    finally:
        client.cancel(list(running.futures))


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[distributed.Client]:
    """Yield a distributed.Client of a Dask cluster of ``workers`` processes that share this machine's cores."""
    from distributed import Client, LocalCluster

    threads = str(max(1, cores() // workers))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {**dict.fromkeys(names, threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        LocalCluster(
            workers,
            threads_per_worker=1,
            env=environment,
            dashboard_address=None,  # pyright: ignore[reportArgumentType] None serves no dashboard
            silence_logs=50,
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def lazily(job: SamplingJob, compute: Callable[..., Any]) -> dask.array.Array:
    """Return a volume's labels as a dask.array, uint8 (z, y, x), whose chunks are computed on demand.

    Args:
        job: The SamplingJob; its tiles are the chunks, of 256 voxels per side where the job gives none.
        compute: A function (start, shape) that returns a Dask object of labels.

    Raises:
        ValueError: if there would be more chunks than Dask can list.
    """
    import dask.array

    edges = job.tile or (DEFAULT_TILE,) * 3
    size = job.plan.size
    counts = [-(-n // edge) for n, edge in zip(size, edges, strict=True)]
    if math.prod(counts) > _MOST_CHUNKS:
        raise ValueError(
            f"Dask lists all chunks of an array, at most {_MOST_CHUNKS} here. Received: {math.prod(counts)} of {edges} "
            f"voxels in {size}. Choose larger `chunks`, or take part of the volume (`size` and `offset`)."
        )
    grid = np.empty(counts, object)
    for index, (start, shape) in zip(np.ndindex(*grid.shape), blocks(size, edges), strict=True):
        grid[index] = dask.array.from_delayed(compute(start, shape), shape, np.uint8)
    return dask.array.block(grid.tolist())
