"""Products with zeros and ones: every way against NumPy at odd sizes, and which way is chosen."""

import itertools

import numpy as np
import pytest
from numba import njit

from fastdbn import rng
from fastdbn.backends import Hyper, Params, Side, cpu_binary, get_backend
from fastdbn.units import get_unit

both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
count_ones, gather, tables, choose, list_rows, edges = (
    njit(getattr(cpu_binary, name)) for name in ("count_ones", "gather", "tables", "choose", "list_rows", "edges")
)


def states(rows, units, density, dtype, seed=0):
    return (np.random.default_rng(seed).random((rows, units)) < density).astype(dtype)


def weights(*shape, dtype="float32", seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def close(a, b, dtype):
    return np.allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * max(1.0, np.abs(b).max()))


@both_types
@pytest.mark.parametrize("units", [1, 63, 64, 65, 200])
def test_count_ones(units, dtype):
    """The number of ones; -1 for anything but zeros and ones, in whole words of 64 and in what is left over."""
    x = states(7, units, 0.4, dtype)
    assert count_ones(x) == x.sum()
    for place in {0, units - 1}:
        for bad in (0.5, -1.0, 2.0, np.nan, np.inf):
            y = x.copy()
            y[3, place] = bad
            assert count_ones(y) == -1


@both_types
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 2), (7, 33, 17), (9, 64, 32), (20, 100, 65), (3, 2100, 600)], ids=str)
@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 1.0])
def test_products(size, density, dtype):
    """Gathered, and by tables in both directions, are x W to rounding, and touch no row or column but their own."""
    rows, inputs, outputs = size
    x, W = states(rows, inputs, density, dtype), weights(inputs, outputs, dtype=dtype)
    expected = x.astype(float) @ W.astype(float)
    out = np.full((rows + 2, outputs), 7, dtype)
    gather(np.vstack((x, x[:2])), W, out, 0, rows)
    assert close(out[:rows], expected, dtype)
    assert (out[rows:] == 7).all()
    for matrix, transpose in ((W, False), (np.ascontiguousarray(W.T), True)):
        room = np.full((rows + 1, outputs + 40), 7, dtype)
        tables(x, matrix, transpose, room[:rows, :outputs], 0, rows, 0, outputs)
        assert close(room[:rows, :outputs], expected, dtype)
        assert (room[rows:] == 7).all()
        assert (room[:, outputs:] == 7).all()


def test_tables_for_more_states_than_fit_at_once():
    """Rows beyond the room for packed states are taken in turns."""
    inputs = 64 * cpu_binary.PACKED // 3
    x, W = states(5, inputs, 0.5, "float64"), weights(inputs, 3, dtype="float64")
    out = np.empty((5, 3))
    tables(x, W, False, out, 0, 5, 0, 3)
    assert close(out, x @ W, "float64")


@pytest.mark.parametrize("n", [1, 16, 31, 33, 270, 500, 784])
def test_edges_cover_every_column_once(n):
    """Wherever the blocks end, their columns as tables take them are those from 0 to n, in order."""
    for width in (16, 112, 144, 208):
        ends = [edges(j, min(j + width, n), n) for j in range(0, n, width)]
        assert ends[0][0] == 0
        assert ends[-1][1] == n
        assert all(a[1] == b[0] for a, b in itertools.pairwise(ends))


def test_choice_looks_at_states_and_shape():
    """Few ones are gathered, many looked up; real values are multiplied, and so is what is too small to gain."""
    real = weights(100, 784)
    assert choose(real, 500, False) == cpu_binary.BLAS
    assert choose(states(100, 784, 0.1, "float32"), 500, False) == cpu_binary.GATHER
    assert choose(states(100, 784, 0.1, "float32"), 500, True) == cpu_binary.TABLES
    assert choose(states(100, 784, 0.5, "float32"), 500, False) == cpu_binary.TABLES


@both_types
def test_lists(dtype):
    """The rows where each unit of a block is 1, in order; none for real values, dense ones, or too many ones."""
    x = states(37, 90, 0.1, dtype)
    index, starts = np.zeros(cpu_binary.LISTED, np.uint16), np.zeros(cpu_binary.STARTS, np.uint16)
    assert list_rows(x, 3, 80, 200, index, starts)
    for i in range(77):
        assert np.array_equal(index[starts[i] : starts[i + 1]], np.flatnonzero(x[:, 3 + i]))
    assert not list_rows(x * np.dtype(dtype).type(0.5), 3, 80, 200, index, starts)
    assert not list_rows(np.ones_like(x), 3, 80, 200, index, starts)
    assert not list_rows(states(9000, 90, 0.1, dtype), 0, 90, 200, index, starts)


@both_types
@pytest.mark.parametrize("which", ["both", "plus", "minus"])
@pytest.mark.parametrize("nh", [100, 128, 200])
def test_update_with_lists_on_either_side(which, nh, dtype):
    """The step is that of dense sides, whichever of the two is listed; blocks of visible units with and without lists."""
    draw, nv = np.random.default_rng(3), 300
    v0, vk = states(20, nv, 0.1, dtype), states(31, nv, 0.1, dtype, seed=5)
    v0[:, 200:] = states(20, 100, 0.9, dtype)  # too dense to list
    if which == "plus":
        vk *= np.dtype(dtype).type(0.5)
    if which == "minus":
        v0 *= np.dtype(dtype).type(0.5)
    h0, hk = draw.random((20, nh)).astype(dtype), draw.random((31, nh)).astype(dtype)
    W, d = weights(nv, nh, dtype=dtype), weights(nv, nh, dtype=dtype, seed=2)
    backend = get_backend(1, dtype)
    params = Params(W.copy(), backend.zeros(nv), backend.zeros(nh))
    velocity = Params(d.copy(), backend.zeros(nv), backend.zeros(nh))
    backend.update(params, velocity, Side(v0, h0, None), Side(vk, hk, None), 0.5, 0.25, Hyper(0.1, 0.9, 0.01))
    gradient = 0.5 * v0.astype(float).T @ h0 - 0.25 * vk.astype(float).T @ hk
    expected = 0.9 * d + 0.1 * (gradient - 0.01 * W)
    assert close(velocity.W, expected, dtype)
    assert close(params.W, W + expected, dtype)


@both_types
@pytest.mark.parametrize("density", [0.05, 0.5])
def test_conditional_of_binary_states(density, dtype, split_everything):
    """Means to rounding, and the same bits at 1, 2, 3 and 8 threads, up and down."""
    bernoulli, rows = get_unit("bernoulli"), np.arange(70, dtype=np.uint32)
    x, W, bias = states(70, 300, density, dtype), weights(300, 530, dtype=dtype) / 9, weights(530, dtype=dtype)
    for matrix, transpose in ((W, False), (np.ascontiguousarray(W.T), True)):
        results = set()
        for n_threads in (1, 2, 3, 8):
            backend = get_backend(n_threads, dtype)
            mean, drawn = backend.zeros(70, 530), backend.states(bernoulli, 70, 530)
            backend.conditional(bernoulli, x, matrix, bias, mean, drawn, rows, rng.key(5, 1, 2), transpose=transpose)
            results.add(mean.tobytes() + drawn.tobytes())
            assert close(mean, 1 / (1 + np.exp(-(x.astype(float) @ W + bias))), dtype)
        assert len(results) == 1
