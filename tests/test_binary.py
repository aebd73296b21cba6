"""Products and statistics of zeros and ones: every method against NumPy at odd sizes, and which method is chosen."""

import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from fastdbn.backends.cpu import binary, blas, kernels
from fastdbn.backends.cpu.binary import APART, BLAS, CODES, DIRECT, GATHER, TABLES, TILES, choose, count_words, edge, make_states
from fastdbn.backends.cpu.jit import kernel
from fastdbn.backends.cpu.lists import list_bits, scan_bits
from fastdbn.backends.cpu.lookup import has_registers
from fastdbn.backends.cpu.simd import LINE, STRIP, WORD
from fastdbn.backends.cpu.target import level as own_level
from fastdbn.backends.cpu.update import (
    Lists,
    Slide,
    Step,
    Summed,
    list_units,
    make_centre,
    move_columns,
    multiply_rows,
    worth_listing,
)
from fastdbn.backends.cpu.workspace import aligned
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Phase
from fastdbn.maths import rng
from fastdbn.units import get_unit

both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
METHODS = {"gather": GATHER, "direct": DIRECT, "tables": TABLES, "tables'": TABLES, "BLAS": BLAS, "BLAS'": BLAS}
METHODS |= {"tiles": TILES, "tiles'": TILES, "codes": CODES, "codes'": CODES}
"""The methods of a product; with ' that with the transpose of W."""


def skip_without(name, dtype):
    """Tables in registers need AVX-512 and float32."""
    if name.startswith("codes") and not has_registers(np.dtype(dtype)):
        pytest.skip("no registers for such tables")


every_method = pytest.mark.parametrize("name", METHODS)
SIZES = [(1, 1, 1), (2, 1, 70), (2, 31, 33), (3, 32, 31), (5, 33, 32), (2, 63, 64), (3, 64, 65), (4, 65, 63), (7, 500, 270)]
SIZES += [(3, 512, 17), (3, 513, 129), (2, 1025, 300), (2, 1600, 530), (141, 67, 21)]
"""Rows, inputs and outputs: around lines of the cache, words, panels, strips, segments and parts."""


@kernel
def multiply(method, blas, x, units, inputs, W, transpose, out, r0, r1, j0, j1):
    binary.prepare(method, x, units, r0, r1)
    binary.product(method, blas, x, inputs, W, transpose, out, r0, r1, j0, j1)


@kernel
def pack(x, words):
    for r in range(len(x)):
        binary.pack_row(x[r], words[r])


@kernel
def unpack(words, x):
    for r in range(len(x)):
        binary.unpack_row(words[r], x[r])


@kernel
def count(x):
    return binary.count_ones(x)


@kernel
def count_words_of(words):
    return binary.count_packed(words)


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
    multiply_rows(blas, params, out, positive, negative, nh, step, i0, i1)


@kernel
def move_part(params, out, positive, negative, lists, packed, step, centre, j0, j1, end):
    move_columns(params, out, positive, negative, lists, packed, step, centre, j0, j1, end)


def step_of(dtype, *numbers):
    """A `Step` that is not centred."""
    real = np.dtype(dtype).type
    return Step(*map(real, numbers), Slide(False, real(0), real(0), real(0)), real(0), real(0))


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


# ---- states


@both_types
@pytest.mark.parametrize("units", [1, 31, 63, 64, 65, 128, 200])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_words(units, density, dtype):
    """Bit l of word w is unit 64 w + l, nothing is on beyond the last unit, and words give the numbers back."""
    x = states(7, units, density, dtype)
    x[x == 0] *= -1  # minus zero is zero
    words = np.full((7, count_words(units)), 2**64 - 1, np.uint64)
    pack(x, words)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert np.array_equal(bits[:, :units], x == 1)
    assert not bits[:, units:].any()
    assert count_words_of(words) == count(x) == x.sum()
    again = np.full_like(x, np.nan)
    unpack(words, again)
    assert np.array_equal(again, x)


@both_types
@pytest.mark.parametrize("units", [1, 63, 64, 65, 200])
def test_what_is_not_binary(units, dtype):
    """The count is -1 for anything but zeros and ones, in whole words of 64 and in what is left over."""
    x = states(7, units, 0.4, dtype)
    for place in {0, units - 1}:
        for bad in (0.5, -1.0, 2.0, np.nan, np.inf, np.finfo(dtype).tiny):
            y = x.copy()
            y[3, place] = bad
            assert count(y) == -1


def test_parts_are_whole_words_and_cover_every_column():
    """Parts of columns are not wider than they may be, begin at words, and meet."""
    for n in (1, 63, 64, 65, 255, 256, 257, 500, 513, 2000):
        parts = binary.count_parts(n)
        edges = [edge(p, n) for p in range(parts + 1)]
        assert edges[0] == 0
        assert edges[-1] == n
        assert all(a % WORD == 0 and a < b <= a + binary.PART for a, b in itertools.pairwise(edges))


# ---- products


@both_types
@every_method
def test_products(name, dtype):
    """x W or x W' to rounding by every method; nothing beyond the matrices is read, nothing beyond the result written."""
    skip_without(name, dtype)
    for (rows, inputs, outputs), density in itertools.product(SIZES, (0.0, 0.1, 0.6, 1.0)):
        method, transpose = METHODS[name], name.endswith("'")
        W, route = weights(inputs, outputs, dtype=dtype), blas.addresses(dtype)
        matrix = np.ascontiguousarray(W.T) if transpose else W
        matrix = inside(matrix, (matrix.shape[0] + 3, matrix.shape[1] + 5), np.nan)
        x, out = states(rows + 2, inputs, density, dtype), np.full((rows + 2, outputs + 40), 7, dtype)
        multiply(method, route, packed(x), inputs, inputs, matrix, transpose, out, 1, rows + 1, 0, outputs)
        assert close(out[1:-1, :outputs], x[1:-1].astype(float) @ W.astype(float), dtype)
        assert (out[[0, -1]] == 7).all()
        assert (out[:, outputs:] == 7).all()


@both_types
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method not in (BLAS, TILES)])
def test_products_in_whole_words(name, dtype):
    """With weights of zeros up to the ends of words, products run to those ends, to the same bits, and to zeros there."""
    skip_without(name, dtype)
    for size in ((1, 1, 1), (3, 65, 63), (7, 500, 270), (2, 1025, 130)):
        whole_words(*size, METHODS[name], name.endswith("'"), dtype)


def whole_words(rows, inputs, outputs, method, transpose, dtype):
    wide_in, wide_out = count_words(inputs) * WORD, count_words(outputs) * WORD
    x, W, route = states(rows, inputs, 0.4, dtype), weights(inputs, outputs, dtype=dtype), blas.addresses(dtype)
    buffer, results = packed(x), []
    for n_in, n_out in ((inputs, outputs), (wide_in, wide_out)):
        matrix = inside(W, (n_in, n_out), 0)
        matrix = np.ascontiguousarray(matrix.T) if transpose else matrix
        out = np.full((rows, wide_out + 16), 7, dtype)
        multiply(method, route, buffer, inputs, n_in, matrix, transpose, out, 0, rows, 0, n_out)
        results.append(out)
    one, two = results
    assert one[:, :outputs].tobytes() == two[:, :outputs].tobytes()
    assert (two[:, outputs:wide_out] == 0).all()
    assert (two[:, wide_out:] == 7).all()


@both_types
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method != BLAS])
def test_products_cut_anywhere_have_the_same_bits(name, dtype):
    """Rows and columns by themselves, from any word to any other, are those of the whole."""
    skip_without(name, dtype)
    (rows, inputs, outputs), method, transpose = (9, 700, 530), METHODS[name], name.endswith("'")
    x, W, route = packed(states(rows, inputs, 0.3, dtype)), weights(inputs, outputs, dtype=dtype), blas.addresses(dtype)
    W = np.ascontiguousarray(W.T) if transpose else W
    whole, cut = np.zeros((rows, outputs), dtype), np.zeros((rows, outputs), dtype)
    multiply(method, route, x, inputs, inputs, W, transpose, whole, 0, rows, 0, outputs)
    words = [min(WORD * q, outputs) for q in range(count_words(outputs) + 1)]
    for edges in (words, [0, *words[2:]], [0, 192, 448, 530], [0, 64, 530]):
        for row_edges in (range(rows + 1), (0, 4, 9)):
            cut[:] = np.nan
            for (r0, r1), (j0, j1) in itertools.product(itertools.pairwise(row_edges), itertools.pairwise(edges)):
                multiply(method, route, x, inputs, inputs, W, transpose, cut, r0, r1, j0, j1)
            assert cut.tobytes() == whole.tobytes()


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


def test_more_rows_than_a_block(split_everything):
    """States are packed anew for every block of rows."""
    rows = binary.PART * 5
    x, W = states(rows, 100, 0.1, "float32"), weights(100, 300)
    for n_threads in (1, 3):
        out = np.zeros((rows, 300), np.float32)
        get_backend(n_threads).field(x, W, out)
        assert close(out, x @ W.astype(float), "float32")


def test_many_rows(split_everything):
    """So many rows that blocks are taller: multiplied or added up, to the same bits at 1 and 3 threads."""
    rows = kernels.BLOCKS * kernels.ROWS * 2 + 77
    W = weights(70, 40)
    for x in (states(rows, 70, 0.1, "float32"), np.random.default_rng(1).random((rows, 70), dtype=np.float32)):
        results = []
        for n_threads in (1, 3):
            out = np.zeros((rows, 40), np.float32)
            get_backend(n_threads).conditional(get_unit("gaussian"), x, W, np.zeros(40, np.float32), out)
            results.append(out)
        assert close(results[0], x @ W.astype(float), "float32")
        assert results[0].tobytes() == results[1].tobytes()


# ---- the choice


SHAPES = list(itertools.product((1, 10, 100, 1000), (1, 6, 64, 784, 20_000), (1, 4, 64, 500, 2000)))


def test_real_values_are_multiplied():
    """Many rows, single ones and tiny layers by BLAS; minibatches, for which BLAS's packing does not pay, in tiles."""
    for shape in SHAPES:
        assert {choose(-1, *shape, False), choose(-1, *shape, True)} <= {BLAS, TILES}
    for transpose in (False, True):
        assert choose(-1, 1, 784, 500, transpose) == choose(-1, 4096, 784, 500, transpose) == BLAS
        assert choose(-1, 4, 6, 3, transpose) == choose(-1, 100, 2000, 10, transpose) == BLAS
        assert choose(-1, 10, 784, 500, transpose) == choose(-1, 100, 784, 500, transpose) == TILES


def test_choice_by_density():
    """The more ones, the less a method may depend on them: from W itself, by panels, then as if all were ones."""
    for rows, inputs, outputs in SHAPES:
        ones = [int(share * rows * inputs) for share in (0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8, 1)]
        methods = [choose(n, rows, inputs, outputs, False) for n in ones]
        assert methods[0] == DIRECT
        ranks = [{DIRECT: 0, GATHER: 1}.get(method, 2) for method in methods]
        assert ranks == sorted(ranks)
        assert len({method for method in methods if method in (TABLES, BLAS, TILES)}) <= 1


def test_choice_transposed():
    """With outputs as rows of W there are no rows to add up: tables or numbers, by shape alone, tables for larger batches."""
    for rows, inputs, outputs in SHAPES:
        method = choose(rows * inputs // 3, rows, inputs, outputs, True)
        assert method in (TABLES, BLAS, TILES)
        assert all(choose(n, rows, inputs, outputs, True) == method for n in (0, 1, rows * inputs))
    for inputs, outputs in itertools.product((64, 500, 2000), repeat=2):
        methods = [choose(0, rows, inputs, outputs, True) == TABLES for rows in (1, 3, 10, 30, 100, 300, 1000)]
        assert methods == sorted(methods)
        assert methods[-1]


def test_choice_for_usual_layers():
    """Digits are gathered, words of a text taken from W itself, hidden states looked up, and what is tiny multiplied."""
    assert choose(100 * 784 * 0.14, 100, 784, 500, False) == GATHER
    assert choose(100 * 100, 100, 20_000, 256, False) == DIRECT
    assert choose(100 * 784 * 0.5, 100, 784, 500, False) == TABLES
    assert choose(100 * 250, 100, 500, 784, True) == TABLES
    assert choose(12, 4, 6, 3, False) == choose(12, 4, 6, 3, True) == BLAS


def test_choice_where_tables_fit_registers():
    """Hidden states of minibatches, and dense visible ones, make codes; many rows still make tables."""
    assert choose(100 * 250, 100, 500, 784, True, True) == choose(100 * 784 * 0.5, 100, 784, 500, False, True) == CODES
    assert choose(100 * 784 * 0.14, 100, 784, 500, False, True) == GATHER
    assert choose(1000 * 250, 1000, 500, 784, True, True) == TABLES
    assert choose(-1, 100, 784, 500, False, True) == TILES


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


# ---- statistics


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
            move_part(params, out, positive, negative, lists, buffer, step, centre, j0, j1, end)
        for x, target in ((out.W, new_d), (params.W, W + new_d)):
            assert close(x[:nv, :nh], target, dtype)
            assert untouched(x, nv, nh, stop)
        for x, target in ((out.c, new_e), (params.c, c + new_e)):
            assert close(x[:nh], target, dtype)
            assert untouched(x[None], 1, nh, stop)
        results.add(out.W[:nv, :nh].tobytes() + params.W[:nv, :nh].tobytes())
    assert len(results) == 1


@both_types
def test_listed_columns_cut_at_words_have_the_same_bits(dtype):
    """Where both phases are listed, columns are computed alike from any word on."""
    n, nv, nh = 12, 70, 200
    vp, vm = states(n, nv, 0.3, dtype), states(n, nv, 0.3, dtype, seed=1)
    hp, hm = weights(n, nh, dtype=dtype), weights(n, nh, dtype=dtype, seed=4)
    lists, results = Lists(np.zeros((nv, 2 * n + APART), np.uint16), np.zeros((nv, 2), np.int32)), set()
    make_lists(packed(vp).words, n, packed(vm).words, n, lists, 0, count_words(nv))
    for edges in ((0, 200), (0, 64, 128, 192, 200), (0, 128, 200)):
        params = Params(*(weights(*s, dtype=dtype) for s in ((nv, nh), (nv,), (nh,))))
        out = Params(*(weights(*s, dtype=dtype, seed=2) for s in ((nv, nh), (nv,), (nh,))))
        fixed = lists, np.zeros(2 * n * STRIP // 4, dtype), step_of(dtype, 0.1, 0.2, 0.5, 1e-3)
        for j0, j1 in itertools.pairwise(edges):
            centre = make_centre(nv, nh, np.dtype(dtype))
            move_part(params, out, Summed(vp, hp, True), Summed(vm, hm, True), *fixed, centre, j0, j1, j1)
        results.add(b"".join(x.tobytes() for x in (*params, *out)))
    assert len(results) == 1


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
    move_part(params, out, Summed(vp, hp, True), Summed(vm, hm, True), lists, *fixed, 0, nh, nh)
    expected = 0.5 * d - 1e-3 * W + (vp.astype(float).T @ hp - vm.astype(float).T @ hm) / n
    assert close(out.W, expected, dtype)
    assert close(params.W, W + expected, dtype)


OTHER = """
from fastdbn.backends.cpu import simd
from fastdbn.backends.cpu.lists import list_bits, scan_bits
assert simd.WIDE_REGISTERS == {wide} and (list_bits is scan_bits) == (not {wide})
import test_binary, test_rng
for name in ("gather", "tables'"):
    test_binary.test_products(name, "float32")
test_binary.test_lists(90, (37, 50))
test_rng.test_uniforms_follow_the_counter(131, 8)
"""


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v4"])
def test_other_processors(level):
    """The same results where kernels are compiled without AVX-512, or for one that compresses long numbers alone."""
    if platform.machine() not in ("x86_64", "AMD64") or (level == "x86-64-v4" and own_level() != level):
        pytest.skip(f"this processor does not run {level}")
    other = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", OTHER.format(wide=level == "x86-64-v4")], env=os.environ | other, check=True)


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


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "uint64"])
@pytest.mark.parametrize("shape", [(3,), (5, 7), (64, 64)], ids=str)
def test_aligned(shape, dtype):
    """Buffers begin at lines of the cache and are zero."""
    for _ in range(10):
        x = aligned(shape, dtype)
        assert x.ctypes.data % LINE == 0
        assert x.shape == shape
        assert not x.any()
