"""A generator in pieces that can be sent to other processes, which put it together once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.sampling.job import SamplingJob
from kerasgan3d.sampling.plan import Window

_MADE: dict[str, Any] = {}  # by digest: what this process has put together
_LOCK = threading.Lock()


class Pieces(NamedTuple):
    """What makes a generator.

    Attributes:
        digest: The sha256 of what its labels depend on.
        make: From a configuration to a Generator.
        config: Its configuration.
        weights: Its weights.
    """

    digest: str
    make: Callable[[dict[str, Any]], Any]
    config: dict[str, Any]
    weights: list[np.ndarray]


def made(pieces: Pieces) -> Any:
    """The Generator of some pieces, put together where this process has not done so last."""
    with _LOCK:
        if pieces.digest not in _MADE:
            generator = pieces.make(pieces.config)
            generator.set_weights(pieces.weights)
            _MADE.clear()
            _MADE[pieces.digest] = generator
        return _MADE[pieces.digest]


def labels_of(pieces: Pieces, job: str, window: Window) -> np.ndarray:
    """The labels of a window (start, shape) of a SamplingJob, given as JSON: uint8 (z, y, x)."""
    return made(pieces).windows(SamplingJob.from_json(json.loads(job)))(*window)


def lazily_sent(pieces: Pieces) -> Any:
    """Pieces as one Dask object, which each worker is sent once."""
    from dask.delayed import delayed as lazy

    return lazy(pieces, name=f"generator-{pieces.digest}", traverse=False)


def delayed(pieces: Pieces, job: SamplingJob) -> Callable[..., Any]:
    """A function from (start, shape) to the labels of that part of a job's volume, as Dask objects."""
    from dask.delayed import delayed as lazy

    whole, compute, text = lazily_sent(pieces), lazy(labels_of, pure=True), json.dumps(job.to_json())
    if job.scan is not None:  # of megabytes: as one object, too
        text = lazy(text, name=f"job-{hashlib.sha256(text.encode()).hexdigest()}", traverse=False)
    return lambda *window: compute(whole, text, window)
