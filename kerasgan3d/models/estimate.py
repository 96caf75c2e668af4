"""Estimates of time, memory and disk space for a volume, from one tile of it."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasgan3d import io
from kerasgan3d.io.volume import VolumeRecord
from kerasgan3d.sampling.job import SamplingJob
from kerasgan3d.sampling.stream import part_edges
from kerasgan3d.volume import Volume

_WAITING = 3  # parts of a stream in memory: one is computed, one waits, one is written


class Estimate(NamedTuple):
    """Estimated cost of a volume on this machine in its present state.

    Attributes:
        seconds: Computing time in seconds.
        memory: Peak memory in bytes, including libraries; None where the system does not report it.
        disk: Size of the file in bytes; None without a file, or where its format's compression is not known.
    """

    seconds: float
    memory: int | None
    disk: int | None


def estimate(
    job: SamplingJob,
    compute: Callable[..., np.ndarray],
    record: VolumeRecord,
    path: str | os.PathLike[str] | None = None,
    *,
    streams: bool = False,
) -> Estimate:
    """Compute one tile of a volume twice, and estimate from it the cost of the whole volume.

    Args:
        job: The SamplingJob.
        compute: A function (start, shape) that returns the labels of that part.
        record: The volume's VolumeRecord.
        path: The output file, or None.
        streams: Whether it will be written part by part (`Generator.stream`).

    Returns:
        Estimate.
    """
    plan = job.plan
    start, edges = (0, 0, 0), part_edges(plan.size, plan.tile_shape) if streams else plan.tile_shape
    shape = tuple(map(min, edges, plan.size))
    compute(start, shape)  # compiles
    began = time.perf_counter()
    labels = compute(start, shape)
    seconds = (time.perf_counter() - began) * math.prod(plan.size) / math.prod(shape)
    peak = _peak_memory()
    if peak is not None:
        peak += _WAITING * labels.nbytes if streams else plan.bytes_output
    return Estimate(seconds, peak, None if path is None else _disk(record, Path(path).suffix.lower(), labels))


def _disk(record: VolumeRecord, suffix: str, labels: np.ndarray) -> int | None:
    """Estimate the size of a volume's file from a tile of its labels; None where its compression is not known."""
    if suffix in (".tif", ".tiff", ".npy"):
        return math.prod(record.shape)
    if suffix != ".zarr":
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tile.zarr"
        io.write(Volume(labels, record.phases, record.voxel_size), path)
        used = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return int(used * math.prod(record.shape) / labels.size)


def _peak_memory() -> int | None:
    """Return the peak memory of this process so far, in bytes."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used
