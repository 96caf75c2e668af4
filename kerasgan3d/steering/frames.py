"""Sequences of volumes from one seed to the next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from kerasgan3d.checks import check_integer, check_seed
from kerasgan3d.sampling.conditions import Fractions
from kerasgan3d.sampling.job import Periodic, Size
from kerasgan3d.steering.source import as_generator
from kerasgan3d.volume import Volume

if TYPE_CHECKING:
    from kerasgan3d.models import Generator


def interpolate(
    source: Generator | str | os.PathLike[str],
    seeds: Sequence[int],
    frames: int = 25,
    size: Size = 64,
    *,
    periodic: Periodic = False,
    offset: Size = (0, 0, 0),
    fractions: Fractions | None = None,
    beyond: bool = False,
) -> Iterator[Volume]:
    """Generate a sequence of volumes from the structure of one seed to that of the next, each a valid sample.

    Args:
        source: A Generator, or an argument of ``load_generator``.
        seeds: Two or more; none follows itself. With the first again at the end the way is closed.
        frames: How many volumes, at equal steps of t; the first is that of the first seed, the last of the last.
        size, periodic, offset, fractions, beyond: As for ``Generator.sample``.

    Returns:
        An iterator of Volumes, each computed when it is asked for.

    Raises:
        ValueError: if an argument is invalid; before anything is computed.
    """
    seeds = [check_seed(seed) for seed in seeds]
    if len(seeds) < 2 or any(one == other for one, other in pairwise(seeds)):
        raise ValueError(f"`seeds` must be two or more, and none may follow itself. Received: {seeds}.")
    steps = check_integer(frames, "frames", 2) - 1
    generator = as_generator(source)
    options = {"periodic": periodic, "offset": offset, "fractions": fractions, "beyond": beyond}
    jobs = []
    for frame in range(frames):
        # The last frame is the end of the last way, t = 1, and begins no other.
        way = min(frame * (len(seeds) - 1) // steps, len(seeds) - 2)
        t = frame * (len(seeds) - 1) / steps - way
        jobs.append(generator.job(size, seed=seeds[way], blend=(seeds[way + 1], t), **options))
    return map(generator.sample, jobs)
