"""How kernels and the functions inside of them are compiled."""

import gc

import numpy as np
from numba.core.caching import NullCache

from fastdbn.backends.cpu.compiler import WIDEST
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.product import not_inlined


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


def test_llvm_knows_that_only_a_kernel_calls_what_is_inside():
    @inlinable
    def apart(x):
        not_inlined()
        for i in range(len(x)):
            x[i] *= x.dtype.type(2)

    @kernel
    def four_times(x):
        apart(x)
        apart(x)

    four_times._cache = NullCache()
    x = np.arange(9.0)
    four_times(x)
    assert np.array_equal(x, 4 * np.arange(9.0))
    text = "".join(four_times.inspect_llvm().values())
    assert "define internal" in text
    assert "define linkonce_odr" not in text


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
