"""A generator as plain data that other processes receive and rebuild once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kerasgan3d.sampling.job import SamplingJob
from kerasgan3d.sampling.plan import Window

_MADE: dict[str, Any] = {}  # by digest: the generator that this process has built
_LOCK = threading.Lock()


class Pieces(NamedTuple):
    """All data from which a generator is rebuilt.

    Attributes:
        digest: The sha256 of everything that its labels depend on.
        make: Function from a configuration to a Generator.
        config: Its configuration.
        weights: Its weights.
    """

    digest: str
    make: Callable[[dict[str, Any]], Any]
    config: dict[str, Any]
    weights: list[np.ndarray]


def made(pieces: Pieces) -> Any:
    """Return the Generator of some pieces; the last one that this process built is reused."""
    with _LOCK:
        if pieces.digest not in _MADE:
            generator = pieces.make(pieces.config)
            generator.set_weights(pieces.weights)
            _MADE.clear()
            _MADE[pieces.digest] = generator
        return _MADE[pieces.digest]


def labels_of(pieces: Pieces, job: str, window: Window) -> np.ndarray:
    """Compute the labels of a window (start, shape) of a SamplingJob, given as JSON: uint8 (z, y, x)."""
    return made(pieces).windows(SamplingJob.from_json(json.loads(job)))(*window)


def lazily_sent(pieces: Pieces) -> Any:
    """Return pieces as one Dask object, which is sent to each worker once."""
    from dask.delayed import delayed as lazy

    return lazy(pieces, name=f"generator-{pieces.digest}", traverse=False)


def delayed(pieces: Pieces, job: SamplingJob) -> Callable[..., Any]:
    """Return a function from (start, shape) to the labels of that part of a job's volume, as Dask objects."""
    from dask.delayed import delayed as lazy

    whole, compute, text = lazily_sent(pieces), lazy(labels_of, pure=True), json.dumps(job.to_json())
    if job.scan is not None:  # megabytes of data: also sent as one object
        text = lazy(text, name=f"job-{hashlib.sha256(text.encode()).hexdigest()}", traverse=False)
    return lambda *window: compute(whole, text, window)
