"""Independent tasks side by side, in processes that Dask feeds."""

import contextlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess

from kerasgan3d.metrics._check import check_integer

# As many processes run as there are cores: one thread is enough for each.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def side_by_side(function, tasks, workers=None, progress=None):
    """Return ``function(*task)`` of every task, in their order.

    Processes, not threads: what is measured here holds Python's lock for half of the time, and two threads of it take
    longer than one.

    Args:
        function: A function of a module, which a new process can import.
        tasks: Tuples of arguments.
        workers: Processes; default: one per core. 1 starts none.
        progress: A function (tasks done, tasks in all).

    Raises:
        ValueError: If `workers` is not a positive integer.
    """
    workers = _cores() if workers is None else check_integer(workers, "workers", 1, None)
    done = 0

    def count(*_):
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(tasks))

    if min(workers, len(tasks)) == 1:
        results = []
        for task in tasks:
            results.append(function(*task))
            count()
        return results
    import dask
    from dask.callbacks import Callback

    delayed = [dask.delayed(function, pure=False)(*task) for task in tasks]
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=_Context()) as pool, Callback(posttask=count):
        return list(dask.compute(*delayed, scheduler="processes", pool=pool, chunksize=1, optimize_graph=False))


class _Process(SpawnProcess):
    def start(self):
        with _environment(_ONE_THREAD), _without_main_module():
            super().start()


class _Context(SpawnContext):
    """New interpreters, as forking one that runs threads is not safe."""

    Process = _Process


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _environment(values):
    """Set environment variables, and put back what they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_main_module():
    """Keep a process that starts now from running the user's script again, which need not be guarded against that.

    What it is to run lies in this package: it has no use for the script.
    """
    main = vars(sys.modules["__main__"])
    hidden = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
