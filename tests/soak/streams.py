"""Kill streams at random moments, damage what they leave, and go on, until time is up; count what is lost.

    python tests/soak/streams.py --seconds 300 --json docs/benchmarks/soak-streams.json

Each volume is streamed by one process after another, in blocks as large as ever, of labels that are known. A process is
killed (SIGKILL) after a random time; then, half of the times, something in the folder that it left is flipped, cut off,
deleted, written over or swapped. The next one goes on. Where it refuses by name what is there, the next starts afresh.
Lost is a file that is not the volume, a checksum that is not the file's, or an end that names nothing.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile  # noqa: F401  here once, so that no process has to
import zarr  # noqa: F401

from kerasgan3d import io
from kerasgan3d.sampling import SamplingJob
from kerasgan3d.sampling.stream import stream

SIZE = (520, 140, 36)
NAMES = ("a.tif", "a.ome.tif", "a.zarr")
DONE, REFUSED, LOST = 0, 3, 4
LONGEST = 100  # starts of one volume


def main(arguments=None):
    """Print the counts, and write them as JSON if asked to; the exit code is 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="when to stop, once a volume is finished")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts to this file as well")
    options = parser.parse_args(arguments)
    end, counts, volume = time.monotonic() + options.seconds, collections.Counter(), 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            soak(Path(folder) / NAMES[volume % len(NAMES)], options.seed + volume, counts)
        volume += 1
    damages = {name.removeprefix("damage: "): n for name, n in sorted(counts.items()) if name.startswith("damage: ")}
    found = {name: counts[name] for name in ("volumes", "kills", "right", "refused", "lost")} | {"damages": damages}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if counts["lost"] else 0)


def soak(path, seed, counts):
    """Stream one volume through kills and damage, and count them."""
    rng, resume = random.Random(seed), True
    counts["volumes"] += 1
    for start in range(LONGEST):
        # The later, the longer, so that it comes to an end.
        ended = run(path, seed, resume, patience=rng.uniform(0, 0.3 + 0.03 * start))
        resume = ended != REFUSED
        if ended is None:
            counts["kills"] += 1
            if rng.random() < 0.5:
                counts.update(damage(path.with_name(f"{path.name}.partial"), rng))
        elif ended == REFUSED:
            counts["refused"] += 1
        else:
            counts["right" if ended == DONE else "lost"] += 1
            return
    counts["lost"] += 1  # it never ended


def run(path, seed, resume, patience):
    """One process that streams the volume; its exit code, None where it had to be killed."""
    pid = os.fork()
    if not pid:
        code = LOST
        try:
            code = streamed(path, seed, resume)
        except BaseException as error:
            print(f"{path.name}, seed {seed}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if status == -signal.SIGKILL else status


def streamed(path, seed, resume):
    """Go on with a volume, and look at the file that comes of it; an exit code."""
    labels = np.random.default_rng(seed).integers(0, 2, SIZE).astype("uint8")
    record = io.VolumeRecord(SIZE, ("a", "b"), 1.0, (False,) * 3, {"seed": seed})
    job = SamplingJob(SIZE, seed=seed, tile=128)

    def compute(start, shape):
        time.sleep(0.01)
        return labels[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]

    if resume and io.checksum(labels) == finished(path):
        return DONE  # it was killed behind the end
    try:
        found = stream(job, compute, path, record, identity="soak", resume=resume)
    except ValueError as error:
        return REFUSED if "resume=False" in str(error) else LOST
    right = io.checksum(labels) == found.checksum == finished(path)
    return DONE if right and os.listdir(path.parent) == [path.name] else LOST


def finished(path):
    """The checksum of a file that is there, with nothing left beside it; None where it is not."""
    return io.checksum(io.read(path).labels) if os.listdir(path.parent) == [path.name] else None


def damage(folder, rng):
    """Do something to one of the files in a folder, if there are any; yields what is to be counted."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if not files:
        return
    file, kind = rng.choice(files), rng.choice(("flip", "cut off", "delete", "write over", "swap"))
    content = bytearray(file.read_bytes())
    if kind == "flip" and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
    elif kind == "cut off":
        os.truncate(file, rng.randrange(len(content) + 1))
    elif kind == "delete":
        file.unlink()
    elif kind == "write over":
        start = rng.randrange(len(content) + 1)
        content[start : start + 512] = rng.randbytes(min(512, len(content) - start))
        file.write_bytes(content)
    else:
        shutil.copy(rng.choice(files), file.with_name(f"{file.name}.new"))
        os.replace(file.with_name(f"{file.name}.new"), file)
    yield f"damage: {kind}"


if __name__ == "__main__":
    main()
