"""How kernels and the functions inside of them are compiled."""

import gc

import numpy as np
from numba.core.caching import NullCache

from fastdbn.backends.cpu.compiler import WIDEST
from fastdbn.backends.cpu.jit import inlinable, kernel


@inlinable
def _twice(x):
    for i in range(len(x)):
        x[i] *= x.dtype.type(2)


@kernel
def twice(x):
    _twice(x)


twice._cache = NullCache()  # one that is read from the cache has no text


def test_every_function_asks_for_the_widest_vectors():
    x = np.arange(9.0)
    twice(x)
    assert np.array_equal(x, 2 * np.arange(9.0))
    text = "".join(twice.inspect_llvm().values())
    assert WIDEST in text
    assert "cfunc" not in text  # what C would call


def test_the_garbage_collector_waits_only_while_a_kernel_is_compiled():
    seen = []

    @kernel
    def thrice(x):
        _twice(x)
        x[0] *= 3

    def watch(phase, info):
        seen.append(phase)

    gc.collect()
    gc.callbacks.append(watch)
    try:
        thrice(np.ones(3, np.float32))
    finally:
        gc.callbacks.remove(watch)
    assert gc.isenabled()
    assert len(seen) < 40  # some in what is done before and after
    gc.disable()
    try:
        thrice(np.ones(3))
        assert not gc.isenabled()
    finally:
        gc.enable()
