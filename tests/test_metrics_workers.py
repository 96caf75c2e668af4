"""Worker processes that are killed, and those whose parent is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kerasgan3d.metrics._workers import side_by_side

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals")
PARENT = """
from kerasgan3d.metrics._workers import side_by_side
print("started", flush=True)
side_by_side(__import__("subprocess").run, [(["sh", "-c", "echo $PPID; sleep 30"],)] * 2, workers=2)
"""


def test_a_killed_worker_is_one_clear_error():
    with pytest.raises(OSError, match=r"one of 2 worker processes was ended from outside.* Fewer workers"):
        side_by_side(signal.raise_signal, [(signal.SIGKILL,), (0,)], workers=2)


def test_workers_end_with_a_parent_that_was_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        workers = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
        deadline = time.monotonic() + 20
        while any(map(running, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(running, workers))
        process.stdout.close()


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
