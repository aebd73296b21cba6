"""States of zeros and ones, weights, and comparisons, for tests of products and of statistics."""

import numpy as np
import pytest

from fastdbn.backends.cpu import binary
from fastdbn.backends.cpu.binary import make_states
from fastdbn.backends.cpu.jit import kernel

both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@kernel
def pack(x, words):
    for r in range(len(x)):
        binary.pack_row(x[r], words[r])


def states(rows, units, density, dtype, seed=0):
    return (np.random.default_rng(seed).random((rows, units)) < density).astype(dtype)


def weights(*shape, dtype="float32", seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def inside(x, shape, value):
    """A larger array that begins with x and holds a value elsewhere."""
    out = np.full(shape, value, x.dtype)
    out[tuple(slice(n) for n in x.shape)] = x
    return out


def packed(x):
    """`States` of zeros and ones as words, floats unset."""
    buffer = make_states(np.full_like(x, np.nan), len(x))
    pack(x, buffer.words)
    return buffer


def close(a, b, dtype):
    return np.allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * max(1.0, np.abs(b).max(initial=0)))
