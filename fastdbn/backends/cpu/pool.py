"""Threads for kernels: serial `nogil` kernels on a pool of Python threads, each given a range of blocks.

Why not Numba's own parallel loops: its OpenMP layer ends a forked child, its workqueue layer aborts when two Python threads
use it at once, and either fights with BLAS's threads. This pool survives both, at 20 to 30 us for a parallel region, so a
region is only split when it has the work to pay for that. The blocks depend on the problem alone, the number of threads
only decides who computes which: results are the same bits at any number.
"""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from fastdbn.support.system import at_fork

WORK_PER_THREAD = 4_000_000
"""Floating-point operations that make a thread worth waking: about 40 us of BLAS, twice what waking one costs."""

PASS = 4
"""Operations that stand for one element of an elementwise pass, which memory limits."""

MOST_THREADS = 1024
"""More than any machine of today has a use for."""

_lock, _submission = threading.Lock(), threading.Lock()
_executor = None
_size = 0


def _reset():
    global _lock, _submission, _executor, _size
    _lock, _submission, _executor, _size = threading.Lock(), threading.Lock(), None, 0


at_fork(after_in_child=_reset)


def available_threads():
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads(n_jobs):
    """The number of threads that `n_jobs` stands for, as joblib has it: None and -1 all processors, -2 all but one, and so on.

    Raises
    ------
    ValueError
        if it is none of these, or more than MOST_THREADS.
    """
    if n_jobs is None:
        return available_threads()
    whole = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if not whole or n_jobs == 0 or n_jobs > MOST_THREADS:
        raise ValueError(
            f"n_jobs={n_jobs!r}: give None or -1 for all processors, -2 for all but one, or a number of threads from 1 to "
            f"{MOST_THREADS}"
        )
    return int(n_jobs) if n_jobs > 0 else max(1, available_threads() + 1 + int(n_jobs))


def _get_executor(n_threads):
    """A pool of at least n_threads - 1 workers; a smaller one ends by itself once its last caller lets go of it."""
    global _executor, _size
    with _lock:
        if _executor is None or _size < n_threads - 1:
            _executor, _size = ThreadPoolExecutor(n_threads - 1, thread_name_prefix="fastdbn"), n_threads - 1
        return _executor


@contextlib.contextmanager
def _open_on_failure(gate):
    """Nobody may wait at the gate for a thread that has failed."""
    try:
        yield
    except BaseException:
        gate[0] += 1 << 40
        raise


def team(n_threads, kernel, *arguments):
    """kernel(thread, n_threads, gate, *arguments) on n_threads threads at once, which wait for each other at the gate (gate.py).

    All are handed over in one go, so that two teams never each hold workers that the other waits for.
    """
    gate = np.zeros(1, np.int64)
    if n_threads <= 1:
        kernel(0, 1, gate, *arguments)
        return

    def member(thread):
        with _open_on_failure(gate):
            kernel(thread, n_threads, gate, *arguments)

    executor = _get_executor(n_threads)
    futures = []
    try:
        with _open_on_failure(gate), _submission:
            for t in range(1, n_threads):
                futures.append(executor.submit(member, t))
        member(0)
    finally:
        wait(futures)
    for future in futures:
        future.result()


def run(n_threads, kernel, n_blocks, work, *arguments):
    """kernel(first, last, *arguments) over blocks 0 to n_blocks, on up to n_threads threads.

    Parameters
    ----------
    n_threads : int
    kernel : compiled function of a range of blocks
    n_blocks : int
    work : float
        floating-point operations of the whole region
    """
    n_threads = min(n_threads, n_blocks) if work >= 2 * WORK_PER_THREAD else 1
    if n_threads <= 1:
        kernel(0, n_blocks, *arguments)
        return
    n_threads = min(n_threads, int(work // WORK_PER_THREAD))
    edges = [n_blocks * t // n_threads for t in range(n_threads + 1)]
    executor = _get_executor(n_threads)
    futures = [executor.submit(kernel, edges[t], edges[t + 1], *arguments) for t in range(1, n_threads)]
    try:
        kernel(edges[0], edges[1], *arguments)
    finally:
        wait(futures)  # also on Ctrl-C: nobody may still write into the buffers when the caller goes on
    for future in futures:
        future.result()
