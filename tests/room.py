"""Memory: what a block may take, a lack on demand, and all that an estimator holds, to compare."""

import contextlib
import tracemalloc

import numpy as np
from sklearn.base import BaseEstimator


@contextlib.contextmanager
def at_most(limit):
    """Check that NumPy and Python never hold more than so many bytes in the block, beyond those held before."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def no_room(monkeypatch, backend, after, error=MemoryError):
    """There is no memory for buffers once so many were made, or another error; gives a list of one number, how many were."""
    count = [0]

    def limited(make):
        def run(*arguments, **options):
            count[0] += 1
            if count[0] > after:
                raise error("no room")
            return make(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        for name in ("array", "zeros", "states"):
            patch.setattr(backend, name, limited(getattr(backend, name)))
        yield count


def contents(x):
    """All that an estimator holds, as values that can be compared."""
    if isinstance(x, np.ndarray):
        return x.dtype.str, x.shape, x.tobytes()
    if isinstance(x, dict):
        return {key: contents(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [contents(value) for value in x]
    return contents(vars(x)) if isinstance(x, BaseEstimator) else x
