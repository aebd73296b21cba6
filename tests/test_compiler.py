"""Every function that is compiled asks for the widest vectors, those that kernels inline among them."""

import numpy as np

from fastdbn.backends.cpu.compiler import WIDEST
from fastdbn.backends.cpu.jit import inlinable, kernel


@inlinable
def _twice(x):
    for i in range(len(x)):
        x[i] *= x.dtype.type(2)


@kernel
def twice(x):
    _twice(x)


def test_every_function_asks_for_the_widest_vectors():
    x = np.arange(9.0)
    twice(x)
    assert np.array_equal(x, 2 * np.arange(9.0))
    text = "".join(twice.inspect_llvm().values())
    assert WIDEST in text
