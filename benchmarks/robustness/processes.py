"""Children of fork, spawn and loky, and forks in the midst of another thread's fit, give the bits of the parent."""

import hashlib
import multiprocessing
import threading

from joblib import Parallel, delayed

from benchmarks.robustness import threads

COUNT, OF, STEP = 60, "child processes", 12
METHODS = "fork", "fork in the midst of a fit", "spawn", "loky"


def work(i):
    """A hash of a fit and of what it predicts, made in another process."""
    return hashlib.sha256(threads.fit(i)).hexdigest()


def _report(queue, i):
    queue.put(work(i))


def children(method, numbers):
    """What each child gives; None for one that hangs or fails."""
    if method == "loky":
        return Parallel(n_jobs=2, backend="loky", timeout=600)(delayed(work)(i) for i in numbers)
    context, found = multiprocessing.get_context(method.split()[0]), []
    done, busy = threading.Event(), None
    if "midst" in method:
        busy = threading.Thread(target=lambda: [threads.fit(0) for _ in iter(done.is_set, True)], daemon=True)
        busy.start()
    for i in numbers:
        queue = context.SimpleQueue()
        process = context.Process(target=_report, args=(queue, i), daemon=True)
        process.start()
        process.join(300)
        found.append(None if process.is_alive() or queue.empty() else queue.get())
        process.kill()
    done.set()
    if busy:
        busy.join()
    return found


def run(first, count):
    alone = [work(i) for i in range(len(threads.MODELS))]
    for start in range(first, first + count, STEP):
        figures, failures = {}, []
        for method in METHODS:
            numbers = [i % len(alone) for i in range(start, start + STEP // len(METHODS))]
            found = children(method, numbers)
            figures[method] = sum(x == alone[i] for i, x in zip(numbers, found, strict=True))
            failures += [f"{method}: {found}"] * (figures[method] < len(numbers))
        yield STEP, figures, failures
