"""Every CUDA kernel compiles for a GPU, without one: for that numba-cuda and NVVM are enough (`pip install "numba-cuda[cu13]"`).

The simulator runs kernels as Python, and so sees nothing of types. Left out where either is lacking.
"""

import importlib.util
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fastdbn.backends.protocol import Params
from fastdbn.maths import optim, rng
from fastdbn.units import UNITS, get_unit

CAPABILITY = (8, 0)
REALS = [np.float32, np.float64]
EVERY = {**UNITS, "binomial:5": get_unit("binomial:5")}


SINGLE = [name for name, unit in EVERY.items() if unit.group == 1]


@pytest.fixture
def compiled(monkeypatch):
    """(kernel, argument types) -> PTX."""
    if importlib.util.find_spec("numba_cuda") is None or os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        pytest.skip("needs numba-cuda, and not the simulator")
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import nvvm

    if not nvvm.is_available():
        pytest.skip("needs NVVM")
    # what Numba asks the GPU for while it compiles functions that kernels call
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=CAPABILITY))
    return lambda kernel, signature: cuda.compile(kernel.py_func, signature, cc=CAPABILITY, device=False, abi="numba")[0]


def named(real):
    """Numba's types by short names: r a number, v a vector, m a matrix, f one turned, rows, key, i, out and out2 in float64."""
    from numba import typeof, types

    r = types.float32 if real is np.float32 else types.float64
    return SimpleNamespace(
        r=r,
        v=r[::1],
        m=r[:, ::1],
        f=r[::1, :],
        i=types.int64,
        rows=types.uint32[::1],
        words=types.uint64[:, ::1],
        classes=types.int64[::1],
        flag=types.boolean,
        flags=types.boolean[:, ::1],
        key=typeof(rng.key(1, 2, 3)),
        hyper=typeof(optim.step_hyper(real, "adam", 0.1, 0.1, 1)),
        out=types.float64[::1],
        out2=types.float64[:, ::1],
    )


def of(record, *kinds):
    """Numba's type of a record of arrays."""
    from numba import types

    return types.NamedTuple(kinds, record)


def tuple_of(*kinds):
    from numba import types

    return types.BaseTuple.from_types(kinds)


def simple(real):
    """Kernels that know no unit, with their arguments."""
    from fastdbn.backends.cuda import kernels as k
    from fastdbn.backends.cuda import sums as s
    from fastdbn.backends.cuda import tiles as t

    a = named(real)
    r, v, m, i = a.r, a.v, a.m, a.i
    items = [(k.fill, v, r), (k.scale, m, v, a.flag), (k.place, m, m, i), (k.gather, m, a.rows, m), (k.scatter, m, a.rows, m)]
    items += [(k.assign_where, m, m, mask, a.flag) for mask in (m, a.flags)]
    items += [(k.shrink, v, r), (k.step, v, v, v, r, r, r), *((k.move(rule), v, v, v, v, a.hyper) for rule in optim.RULES)]
    yield from [(k.each(formula), (i, *given)) for formula, *given in items]
    draws = [(load, a.words if load is k.load_bits else m, a.rows, a.key, m) for load, _ in k.LOADS]
    yield from [(k.each(formula, real), (i, *given)) for formula, *given in (*draws, (k.mask, m, r, a.rows, a.key, m))]
    sums = [(s.softmax_loss, m, a.classes, v, r, m), (s.squared_loss, m, m, v, r, m), (s.dot, m, m)]
    yield from [(s.each(formula), (a.out, *given)) for formula, *given in (*sums, (s.square_sums, m, v))]
    yield from [(s.add_up, (a.out, a.out, i)), (s.limit_columns(real), (m, r)), (s.sparsify(real), (m, v, v, v, r, r, r, r))]
    yield from [(t.product(real), (r, m, a.flag, other, a.flag, r, m)) for other in (m, a.f)]


def of_unit(real, unit):
    """The kernels of a unit type, with their arguments."""
    from fastdbn.backends.cuda import kernels as k
    from fastdbn.backends.cuda import sums as s

    a = named(real)
    v, m, i = a.v, a.m, a.i
    for drawn in (False, True):
        given = i, i, i, i, v, m, m, a.rows, a.key, v
        yield k.each(k.activate(unit, drawn, True, unit.keeps_total), real), (i, *given)
    yield k.each(k.slopes(unit)), (i, i, m, m)
    sums = [(s.unit_loss(unit), i, i, i, m, m, v, a.r, m), (s.base(unit), i, i, i, m)]
    for formula in (s.cgf(unit, True, False, unit.keeps_total), s.cgf(unit, False, True, False)):
        sums.append((formula, i, i, i, m, v, v, m, m, m, m))
    yield from [(s.each(formula), (a.out, *given)) for formula, *given in sums]


@pytest.mark.parametrize("real", REALS)
def test_simple_kernels(real, compiled):
    """All of them compile, the whole of each into one function."""
    for kernel, signature in simple(real):
        assert ".entry" in compiled(kernel, signature)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", EVERY)
def test_kernels_of_units(name, real, compiled):
    """All units compile, and what means and draws of float32 need has no float64, which most cards lack units for."""
    for kernel, signature in of_unit(real, EVERY[name]):
        assert ".entry" in compiled(kernel, signature)
    if real is np.float32 and EVERY[name].support not in ("counts", "integer"):
        kernel, signature = next(of_unit(real, EVERY[name]))
        assert not re.search(r"\.f64\s", compiled(kernel, signature))


def minibatches(compiled, visible, hidden, real, kind, persistent):
    """PTX of the kernel of many minibatches."""
    from numba import typeof

    from fastdbn.backends.cuda import kernels, tiles

    a, one = named(real), np.uint32(1)
    run = typeof(tiles.Run(4, 1, rng.key(1, 2, 3), 1, 2, one, one, one, real(1), real(1), real(1)))
    kernel = tiles.steps(EVERY[visible], EVERY[hidden], real, kind, persistent)
    data = a.words if kind == kernels.BITS else a.m
    params, phase = of(Params, a.m, a.v, a.v), tuple_of(a.m, a.m)
    return compiled(kernel, (data, a.rows, params, params, phase, phase, tuple_of(a.m, a.m, a.rows), run))


def annealing(compiled, visible, hidden, real):
    """PTX of the kernel of annealing."""
    from fastdbn.backends.cuda import tiles

    a = named(real)
    chains = tuple_of(*(a.m,) * 4, a.rows, a.v, a.out2)
    signature = of(Params, a.m, a.v, a.v), a.v, chains, tuple_of(a.rows, *(a.out,) * 3, a.m), a.key
    return compiled(tiles.anneal(EVERY[visible], EVERY[hidden], real), signature)


@pytest.mark.parametrize("real", REALS)
def test_annealing(real, compiled):
    """In either precision."""
    assert ".entry" in annealing(compiled, "gaussian", "bernoulli", real)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", range(3))
def test_minibatches(real, persistent, kind, compiled):
    """The kernel of many minibatches, of every kind of data: it waits for the whole grid."""
    assert "cudaCGSynchronize" in minibatches(compiled, "gaussian", "bernoulli", real, kind, persistent)


@pytest.mark.parametrize("visible", SINGLE)
@pytest.mark.parametrize("hidden", SINGLE)
def test_pairs(visible, hidden, compiled):
    """The same for every pair of units that it takes, and annealing of each."""
    assert ".entry" in minibatches(compiled, visible, hidden, np.float32, 1, False)
    assert "cudaCGSynchronize" in annealing(compiled, visible, hidden, np.float32)
