"""Lists of ones, and the step of the weights that reads them, against NumPy at odd sizes."""

import itertools

import numpy as np
import pytest
from binary_states import both_types, close, inside, packed, states, weights

from fastdbn.backends.cpu import binary, blas
from fastdbn.backends.cpu.binary import APART, count_words, edge
from fastdbn.backends.cpu.centre import BLOCK, Slide, center_hidden, make_centre
from fastdbn.backends.cpu.jit import kernel
from fastdbn.backends.cpu.lists import list_bits, scan_bits
from fastdbn.backends.cpu.simd import STRIP, WORD
from fastdbn.backends.cpu.update import (
    Lists,
    Step,
    Summed,
    list_units,
    move_columns,
    move_hidden,
    multiply_rows,
    worth_listing,
)
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Phase


@kernel
def make_lists(positive, n_positive, negative, n_negative, lists, q0, q1):
    list_units(positive, n_positive, negative, n_negative, lists, q0, q1)


@kernel
def list_word(word, index):
    return list_bits(word, 500, index, 3)


@kernel
def scan_word(word, index):
    return scan_bits(word, 500, index, 3)


@kernel
def multiply_part(blas, params, out, positive, negative, nh, step, i0, i1):
    multiply_rows(blas, params, out, positive, negative, nh, step, None, i0, i1)


@kernel
def bias_part(params, out, positive, negative, step, centre, j0, j1):
    move_hidden(params, out, positive, negative, step, centre, None, j0, j1)


@kernel
def center_part(params, centre, j0, j1):
    center_hidden(params, centre, j0, j1)


@kernel
def move_part(params, out, positive, negative, lists, packed, step, centre, i0, i1, j0, j1, end):
    move_columns(params, out, positive, negative, lists, packed, step, centre, None, i0, i1, j0, j1, end)


def step_of(dtype, positive, negative, *numbers, centred=False):
    """A `Step` without penalties."""
    real, ratio = np.dtype(dtype).type, negative / positive if positive else 1
    slide = Slide(centred, *map(real, (0.1, 0.01, 0.02)))
    return Step(*map(real, (positive, negative, ratio, *numbers)), slide, real(0), real(0))


def test_lists_of_bits():
    """Both ways to list a word's bits, for processors that compress and others, fill the same places."""
    draw = np.random.default_rng(0)
    words = [
        0,
        1,
        1 << 63,
        2**64 - 1,
        *(draw.integers(0, 2**64, 20, dtype=np.uint64) & draw.integers(0, 2**64, 20, dtype=np.uint64)),
    ]
    for word in map(np.uint64, words):
        expected = 500 + np.flatnonzero(word >> np.arange(64, dtype=np.uint64) & np.uint64(1))
        for listed in (list_word, scan_word):
            index = np.full(3 + 64 + APART, 7, np.uint16)
            assert listed(word, index) == 3 + len(expected)
            assert np.array_equal(index[3 : 3 + len(expected)], expected)
            assert (index[:3] == 7).all()


@pytest.mark.parametrize("units", [1, 64, 90, 200])
@pytest.mark.parametrize("phases", [(37, 50), (37, 0), (0, 50), (0, 0)], ids=str)
def test_lists(units, phases):
    """The rows where each unit is 1, in order, chains after the data; the same for whatever words they are made."""
    n_positive, n_negative = phases
    positive, negative = states(37, units, 0.3, "float32"), states(50, units, 0.6, "float32", seed=1)
    words, chains = packed(positive).words, packed(negative).words
    found = []
    for edges in (range(count_words(units) + 1), (0, count_words(units))):
        lists = Lists(np.zeros((units, 37 + 50 + APART), np.uint16), np.full((units, 2), 99, np.int32))
        for q0, q1 in itertools.pairwise(edges):
            make_lists(words, n_positive, chains, n_negative, lists, q0, q1)
        for i in range(units):
            expected = [*np.flatnonzero(positive[:n_positive, i]), *n_positive + np.flatnonzero(negative[:n_negative, i])]
            assert list(lists.index[i, : lists.count[i, 0]]) == expected
            assert lists.count[i, 1] == positive[:n_positive, i].sum()
        found.append(lists.index.tobytes() + lists.count.tobytes())
    assert found[0] == found[1]


def test_what_is_worth_listing():
    """A few ones; neither real values, nor nearly all ones, nor more rows than a list can number."""
    assert worth_listing(0, 100, 784)
    assert worth_listing(100 * 784 * 0.14, 100, 784)
    assert not worth_listing(100 * 784, 100, 784)
    assert not worth_listing(-1, 100, 784)
    assert not worth_listing(0, 1 << 15, 784)
    worth = [worth_listing(n, 100, 784) for n in range(0, 78_401, 784)]
    assert worth == sorted(worth, reverse=True)


SCALES = {"usual": (0.1 / 20, 0.1 / 31), "equal": (0.01, 0.01), "no rate": (0.0, 0.0), "no negative": (0.5, 0.0)}


def surrounded(x, end, stop):
    """x with zeros up to column `stop`, and then what may be neither read nor written."""
    x = inside(x, (*x.shape[:-1], stop), 0)
    return inside(x, (x.shape[0] + 2, end + 16) if x.ndim == 2 else (end + 16,), np.nan)


def untouched(x, rows, columns, stop):
    """Whether what surrounds (rows, columns) of an array is as it was made."""
    return np.isnan(x[rows:]).all() and np.isnan(x[:, stop:]).all() and (x[:rows, columns:stop] == 0).all()


@both_types
@pytest.mark.parametrize("listed", ["both", "positive", "negative", "neither"])
def test_step(listed, dtype):
    """The step is NumPy's, whichever phase is listed, to the last column or the end of its word; nothing else is touched."""
    for nh, scales in itertools.product((1, 10, 63, 64, 65, 100, 200, 270), SCALES.values()):
        check_step(nh, scales, listed in ("both", "positive"), listed in ("both", "negative"), dtype)


def check_step(nh, scales, listed_p, listed_m, dtype):
    n, chains, nv, wide, results = 20, 31, 290, count_words(nh) * WORD, set()
    vp, vm, draw = states(n, nv, 0.2, dtype), states(chains, nv, 0.4, dtype, seed=5), np.random.default_rng(3)
    hp, hm = draw.random((n, nh)).astype(dtype), draw.random((chains, nh)).astype(dtype)
    W, d, c, e = (weights(*shape, dtype=dtype, seed=i) for i, shape in enumerate(((nv, nh), (nv, nh), (nh,), (nh,))))
    b, parts, route = np.full(nv, np.nan, dtype), binary.count_parts(nh), blas.addresses(dtype)
    lists = Lists(np.zeros((nv, n + chains + APART), np.uint16), np.zeros((nv, 2), np.int32))
    make_lists(packed(vp).words, n * listed_p, packed(vm).words, chains * listed_m, lists, 0, count_words(nv))
    gradient = scales[0] * vp.astype(float).T @ hp - scales[1] * vm.astype(float).T @ hm
    new_d, new_e = 0.9 * d + gradient - 0.01 * W, 0.9 * e + scales[0] * hp.sum(axis=0) - scales[1] * hm.sum(axis=0)
    for stop in {nh, wide}:
        params, out = (Params(surrounded(x, wide, stop), b, surrounded(y, wide, stop)) for x, y in ((W, c), (d, e)))
        positive = Summed(vp, surrounded(hp, wide, stop)[:n], listed_p)
        negative = Summed(vm, surrounded(hm, wide, stop)[:chains], listed_m)
        step, centre = step_of(dtype, *scales, 0.9, 0.01), make_centre(nv, nh, np.dtype(dtype))
        buffer = np.full((n + chains) * STRIP // 4, np.nan, dtype)
        for p in reversed(range(binary.count_parts(nv))):
            multiply_part(route, params, out, positive, negative, nh, step, edge(p, nv), edge(p + 1, nv))
        for p in reversed(range(parts)):
            j0, j1 = edge(p, nh), edge(p + 1, nh)
            end = stop if p == parts - 1 else j1
            bias_part(params, out, positive, negative, step, centre, j0, j1)
            move_part(params, out, positive, negative, lists, buffer, step, centre, 0, nv, j0, j1, end)
        for x, target in ((out.W, new_d), (params.W, W + new_d)):
            assert close(x[:nv, :nh], target, dtype)
            assert untouched(x, nv, nh, stop)
        for x, target in ((out.c, new_e), (params.c, c + new_e)):
            assert close(x[:nh], target, dtype)
            assert untouched(x[None], 1, nh, stop)
        results.add(out.W[:nv, :nh].tobytes() + params.W[:nv, :nh].tobytes())
    assert len(results) == 1


def edges(n, size):
    """Edges of parts of so many of n things."""
    return [*range(0, n, size), n]


@both_types
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("listed", [(True, True), (False, True)], ids=["both", "negative"])
def test_any_division_has_the_same_bits(listed, centred, dtype):
    """All that moves, in columns cut at words and rows cut at blocks, to the last column or the end of its word."""
    for nv, nh in ((1, 1), (17, 63), (70, 65), (33, 200)):
        results = set()
        for across, down, whole in itertools.product((64, 128, 256), (nv, BLOCK, 2 * BLOCK), (False, True)):
            params, out, rows = divided_step(nv, nh, edges(nh, across), edges(nv, down), whole, listed, centred, dtype)
            results.add(b"".join(x[..., :nh].tobytes() for x in (params.W, params.c, out.W, out.c)) + rows.tobytes())
        assert len(results) == 1


def divided_step(nv, nh, across, down, whole, listed, centred, dtype):
    """Parameters and velocity after a step in parts, and what it takes from visible biases; columns lie to the end of a word."""
    n, wide = 12, count_words(nh) * WORD

    def padded(*shape, seed):
        return inside(weights(*shape, dtype=dtype, seed=seed), (*shape[:-1], wide), 0)

    vp, vm, hp, hm = states(n, nv, 0.3, dtype), states(n, nv, 0.3, dtype, seed=1), padded(n, nh, seed=0), padded(n, nh, seed=4)
    lists = Lists(np.zeros((nv, 2 * n + APART), np.uint16), np.zeros((nv, 2), np.int32))
    make_lists(packed(vp).words, n * listed[0], packed(vm).words, n, lists, 0, count_words(nv))
    params, out = (Params(padded(nv, nh, seed=i), np.zeros(nv, dtype), padded(nh, seed=i)) for i in (1, 2))
    phases = Summed(vp, hp, listed[0]), Summed(vm, hm, listed[1])
    step, buffer = step_of(dtype, 0.1, 0.2, 0.3, 1e-3, centred=centred), np.zeros(2 * n * STRIP // 4, dtype)
    centre = make_centre(nv, wide, np.dtype(dtype))
    for x, size, seed in zip(centre[:3], (nv, nh, nv), (5, 6, 7), strict=True):
        x[:size] = weights(size, dtype=dtype, seed=seed)
    for j0, j1 in itertools.pairwise(across):
        bias_part(params, out, *phases, step, centre, j0, j1)
    multiply_part(blas.addresses(dtype), params, out, *phases, nh, step, 0, nv)
    for (j0, j1), (i0, i1) in itertools.product(itertools.pairwise(across), itertools.pairwise(down)):
        end = wide if whole and j1 == nh else j1
        move_part(params, out, *phases, lists, buffer, step, centre, i0, i1, j0, j1, end)
    if centred:
        center_part(params, centre, 0, nh)
    return params, out, centre.rows


@both_types
def test_step_by_thousands_of_rows(dtype):
    """So many rows that strips are one line wide, and the last one is not whole."""
    n, nv, nh = 2100, 5, 70
    vp, vm, draw = states(n, nv, 0.3, dtype), states(n, nv, 0.3, dtype, seed=1), np.random.default_rng(3)
    hp, hm = draw.random((n, nh)).astype(dtype), draw.random((n, nh)).astype(dtype)
    lists = Lists(np.zeros((nv, 2 * n + APART), np.uint16), np.zeros((nv, 2), np.int32))
    make_lists(packed(vp).words, n, packed(vm).words, n, lists, 0, count_words(nv))
    W, d = weights(nv, nh, dtype=dtype), weights(nv, nh, dtype=dtype, seed=2)
    params, out = (Params(x.copy(), np.zeros(nv, dtype), np.zeros(nh, dtype)) for x in (W, d))
    fixed = np.zeros(2 * n * STRIP // 4, dtype), step_of(dtype, 1 / n, 1 / n, 0.5, 1e-3), make_centre(nv, nh, np.dtype(dtype))
    move_part(params, out, Summed(vp, hp, True), Summed(vm, hm, True), lists, *fixed, 0, nv, 0, nh, nh)
    expected = 0.5 * d - 1e-3 * W + (vp.astype(float).T @ hp - vm.astype(float).T @ hm) / n
    assert close(out.W, expected, dtype)
    assert close(params.W, W + expected, dtype)


@both_types
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("which", ["both", "positive", "negative", "neither"])
@pytest.mark.parametrize("nh", [10, 100, 530])
def test_update_with_lists_on_either_side(nh, which, weighted, dtype, split_everything):
    """The operation's step is that of dense phases, whichever of the two is listed, and the same bits at any thread count."""
    draw, nv, chains, results = np.random.default_rng(3), 300, 20 if weighted else 31, set()
    v0, vk = states(20, nv, 0.1, dtype), states(chains, nv, 0.1, dtype, seed=5)
    v0[:, 200:], vk[:, :100] = states(20, 100, 0.9, dtype), 1  # some units nearly always on
    if which in ("positive", "neither"):
        vk *= np.dtype(dtype).type(0.5)
    if which in ("negative", "neither"):
        v0 *= np.dtype(dtype).type(0.5)
    h0, hk = draw.random((20, nh)).astype(dtype), draw.random((chains, nh)).astype(dtype)
    weight = draw.random(20).astype(dtype) if weighted else None
    W, d, b = weights(nv, nh, dtype=dtype), weights(nv, nh, dtype=dtype, seed=2), weights(nv, dtype=dtype)
    for n_threads in (1, 2, 3, 8):
        backend = get_backend(n_threads, dtype)
        params = Params(W.copy(), b.copy(), backend.zeros(nh))
        velocity = Params(d.copy(), backend.zeros(nv), backend.zeros(nh))
        backend.update(params, velocity, Phase(v0, h0, weight), Phase(vk, hk, weight), (0.5, 0.25), Hyper(0.1, 0.9, 0.01))
        results.add(b"".join(x.tobytes() for x in (*params, *velocity)))
    assert len(results) == 1
    gradient = 0.5 * v0.astype(float).T @ h0 - 0.25 * vk.astype(float).T @ hk
    expected = 0.9 * d + 0.1 * (gradient - 0.01 * W)
    assert close(velocity.W, expected, dtype)
    assert close(params.W, W + expected, dtype)
    w0, wk = (weight.astype(float), weight.astype(float)) if weighted else (np.ones(20), np.ones(chains))
    assert close(params.b, b + 0.1 * (0.5 * w0 @ v0 - 0.25 * wk @ vk), dtype)
    assert close(params.c, 0.1 * (0.5 * h0.sum(axis=0) - 0.25 * hk.sum(axis=0)), dtype)


@both_types
def test_statistics_of_chains_alone(dtype):
    """A worker that got no rows has the chains' part of a gradient, whose states are listed."""
    v0, vk, draw = states(1, 70, 0.1, dtype), states(31, 70, 0.1, dtype, seed=5), np.random.default_rng(3)
    h0, hk = draw.random((1, 65)).astype(dtype), draw.random((31, 65)).astype(dtype)
    backend = get_backend(1, dtype)
    out = Params(backend.zeros(70, 65), backend.zeros(70), backend.zeros(65))
    backend.statistics(Phase(v0, h0, None), Phase(vk, hk, None), (0.0, 0.25), out)
    assert close(out.W, -0.25 * vk.astype(float).T @ hk, dtype)
    assert close(out.b, -0.25 * vk.sum(axis=0), dtype)
    assert close(out.c, -0.25 * hk.sum(axis=0), dtype)
