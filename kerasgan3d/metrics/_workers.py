"""Parallel execution of independent tasks in Dask processes."""

import contextlib
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess

from kerasgan3d.checks import check_integer, cores

_MOST_THREADS = 4  # each has arrays as large as the image
# As many processes run as there are cores: one thread is enough for each.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def threads():
    """Return the number of threads that may share one image: one in a worker, beside which others have the cores."""
    return 1 if parent_process() is not None else min(_MOST_THREADS, cores())


def in_threads(function, *arguments):
    """Return what ``map`` does, as a list, in threads: for functions that release Python's lock most of the time."""
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(function, *arguments))


def side_by_side(function, tasks, workers=None, progress=None, lazy=False):
    """Return ``function(*task)`` for every task, in order.

    Processes, not threads: what is measured here holds Python's lock for half of the time, and two threads of it take
    longer than one.

    Args:
        function: A function of a module, which a new process can import.
        tasks: Tuples of arguments.
        workers: Processes; default: one per core. 1 starts none.
        progress: A function (tasks done, tasks in all).
        lazy: Whether there are arguments that Dask is to compute first. What several tasks need is computed once.

    Raises:
        ValueError: If `workers` is not a positive integer.
        ChildProcessError: If one of them was ended from outside.
    """
    workers = cores() if workers is None else check_integer(workers, "workers", 1, None)
    if workers == 1 and lazy:
        return _by_dask(function, tasks, progress, scheduler="synchronous")
    if min(workers, len(tasks)) == 1 and not lazy:
        results = []
        for done, task in enumerate(tasks, 1):
            results.append(function(*task))
            if progress is not None:
                progress(done, len(tasks))
        return results
    # Arguments that are computed first keep more workers busy than there are tasks.
    context, count = _Context(), workers if lazy else min(workers, len(tasks))
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            return _by_dask(function, tasks, progress, scheduler="processes", pool=pool, chunksize=1)
        except KeyboardInterrupt:
            # The pool would wait for what is being computed, for which nobody waits any more.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in context.started:
                process.terminate()
            raise
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f"one of {count} worker processes was ended from outside, as systems do that run out of memory. Fewer "
                "workers, or smaller blocks, need less."
            ) from error


def _end_with_parent():
    """End this process when the one that started it has ended, even if that was killed."""

    def watch(parent):
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=[parent_process()], daemon=True).start()


def where_dask_says(function, tasks, workers=None, progress=None, lazy=False):
    """Return what `side_by_side` does; by the Dask client or scheduler that is active, if there is one and no number.

    A client is what `dask.distributed` makes for a cluster; a scheduler is set by `dask.config`. A cluster tells nobody
    how far it is before it is done.
    """
    import dask.base

    if workers is None and dask.base.get_scheduler() is not None:
        return _by_dask(function, tasks, progress)
    return side_by_side(function, tasks, workers, progress, lazy)


def _by_dask(function, tasks, progress, **options):
    from dask.base import compute
    from dask.callbacks import Callback
    from dask.delayed import delayed

    calls = [delayed(function, pure=False)(*task) for task in tasks]
    keys = {call.key for call in calls}
    done = 0

    def count(key, *_):
        nonlocal done
        if key in keys:
            done += 1
            if progress is not None:
                progress(done, len(tasks))

    with Callback(posttask=count):
        try:
            return list(compute(*calls, optimize_graph=False, **options))
        except Exception as error:
            # What Dask's processes raise has the whole traceback in its text; what happened is within.
            raise getattr(error, "exception", error) from None


class _Process(SpawnProcess):
    def start(self):
        with _environment(_ONE_THREAD), _without_main_module():
            super().start()


class _Context(SpawnContext):
    """New interpreters, as forking one that runs threads is not safe."""

    def __init__(self):
        super().__init__()
        self.started = []

    def Process(self, *args, **options):
        self.started.append(_Process(*args, **options))
        return self.started[-1]


@contextlib.contextmanager
def _environment(values):
    """Set environment variables, and restore their previous values at the end."""
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
