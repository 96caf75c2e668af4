"""Volumes computed part by part: written to disk as they come, or held by Dask until they are asked for."""

import collections
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from kerasgan3d.io import VolumeWriter, blocks
from kerasgan3d.io.streaming import BLOCK

_AHEAD = 2  # parts that wait to be written, or for each worker are computed or on their way


class Streamed(NamedTuple):
    """What was written.

    Attributes:
        path: Path of the file.
        seed: The seed of the volume.
        fractions: Volume fractions, in the order of the phases.
        checksum: sha256 of its content, see `kerasgan3d.io.checksum`.
        voxels: Voxels that were computed; those of an interrupted run that were there already do not count.
        seconds: How long it took.
    """

    path: object
    seed: int
    fractions: tuple
    checksum: str
    voxels: int
    seconds: float


def parts(size, tile):
    """The parts (start, shape) in which a volume is computed and written: tiles rounded up to whole blocks of 128."""
    edges = tuple(-(-min(t, n) // BLOCK) * BLOCK for t, n in zip(tile, size, strict=True))
    return list(blocks(size, edges))


def stream(compute, path, record, tile, *, identity, resume=True, overwrite=False, progress=None, client=None):
    """Compute a volume part by part and write it as it comes.

    Args:
        compute: A function (start, shape) to labels, uint8 (z, y, x); with a `client`, one that returns a Dask object
            of them.
        path, record, identity, resume, overwrite: As for `kerasgan3d.io.VolumeWriter`.
        tile: Voxels (z, y, x) of a part, rounded up to whole blocks of 128.
        progress: A function (voxels done, voxels in all), called after each part; what an interrupted run did counts.
        client: A dask.distributed.Client that computes; the caller's threads if None.

    Returns:
        Streamed.

    Raises:
        ValueError, OSError: as `VolumeWriter`.
    """
    began = time.perf_counter()
    writer = VolumeWriter(path, record, identity=identity, resume=resume, overwrite=overwrite)
    size = tuple(record["shape"])
    total = int(np.prod(size, dtype=object))
    todo = [missing for part in parts(size, tile) for missing in writer.missing(*part)]
    left = sum(int(np.prod(shape, dtype=object)) for _, shape in todo)
    done = total - left
    source = _computed_here(compute, todo) if client is None else _computed_there(compute, todo, client)
    # Writing, and what it compresses, goes on while the next part is computed.
    with ThreadPoolExecutor(1) as pool, contextlib.closing(source):
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
    fractions, seed = tuple(writer.fractions.tolist()), record["provenance"].get("seed")
    return Streamed(writer.path, seed, fractions, writer.finish(), left, time.perf_counter() - began)


def _computed_here(compute, todo):
    for start, shape in todo:
        yield start, compute(start, shape)


def _computed_there(compute, todo, client):
    """The parts as workers finish them; a few are on their way at a time, and those of a lost worker go to another."""
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
def local_client(workers):
    """A Dask cluster of so many processes on this machine, which share its cores: a distributed.Client."""
    from distributed import Client, LocalCluster

    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {**dict.fromkeys(names, threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        LocalCluster(
            workers, threads_per_worker=1, env=environment, dashboard_address=None, silence_logs=50, memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def lazily(compute, size, chunks):
    """A dask.array of a volume's labels, uint8 (z, y, x), each chunk computed when it is asked for.

    Args:
        compute: A function (start, shape) to a Dask object of labels.
        size: Voxels (z, y, x).
        chunks: Voxels per side of a chunk, an int or (z, y, x).
    """
    import dask.array

    edges = (chunks,) * 3 if np.ndim(chunks) == 0 else tuple(chunks)
    grid = np.empty([-(-n // edge) for n, edge in zip(size, edges, strict=True)], object)
    for index, (start, shape) in zip(np.ndindex(*grid.shape), blocks(size, edges), strict=True):
        grid[index] = dask.array.from_delayed(compute(start, shape), shape, np.uint8)
    return dask.array.block(grid.tolist())
