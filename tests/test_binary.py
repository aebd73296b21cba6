"""Products of zeros and ones: every method against NumPy at odd sizes, and which method is chosen."""

import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from binary_states import both_types, close, inside, pack, packed, states, weights

from fastdbn.backends.cpu import binary, blas, kernels, simd
from fastdbn.backends.cpu.binary import BLAS, CODES, DIRECT, GATHER, TABLES, TILES, choose, count_words, edge
from fastdbn.backends.cpu.jit import kernel
from fastdbn.backends.cpu.lookup import has_registers
from fastdbn.backends.cpu.simd import LINE, WORD
from fastdbn.backends.cpu.target import level as own_level
from fastdbn.backends.cpu.workspace import aligned
from fastdbn.backends.devices import get_backend
from fastdbn.maths import rng
from fastdbn.units import get_unit

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
def unpack(words, x):
    for r in range(len(x)):
        binary.unpack_row(words[r], x[r])


@kernel
def count(x):
    return binary.count_ones(x)


@kernel
def count_words_of(words):
    return binary.count_packed(words)


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
    """Many rows and tiny layers by BLAS; minibatches, for which BLAS's packing does not pay, in tiles; single rows by what the
    processor's BLAS does with them."""
    for shape in SHAPES:
        assert {choose(-1, *shape, False), choose(-1, *shape, True)} <= {BLAS, TILES}
    for transpose in (False, True):
        assert choose(-1, 4096, 784, 500, transpose) == BLAS
        assert choose(-1, 1, 784, 500, transpose) == (BLAS if simd.WIDE_REGISTERS else TILES)
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
    """Digits are gathered, words of a text taken from W itself, hidden states looked up, and what is tiny multiplied if BLAS
    does not pack it."""
    assert choose(100 * 784 * 0.14, 100, 784, 500, False) == GATHER
    assert choose(100 * 100, 100, 20_000, 256, False) == DIRECT
    assert choose(100 * 784 * 0.5, 100, 784, 500, False) == TABLES
    assert choose(100 * 250, 100, 500, 784, True) == TABLES
    if simd.WIDE_REGISTERS:
        assert choose(12, 4, 6, 3, False) == choose(12, 4, 6, 3, True) == BLAS


def test_choice_where_tables_fit_registers():
    """Hidden states of minibatches, and dense visible ones, make codes; many rows still make tables."""
    assert choose(100 * 250, 100, 500, 784, True, True) == choose(100 * 784 * 0.5, 100, 784, 500, False, True) == CODES
    assert choose(100 * 784 * 0.14, 100, 784, 500, False, True) == GATHER
    assert choose(1000 * 250, 1000, 500, 784, True, True) == TABLES
    assert choose(-1, 100, 784, 500, False, True) == TILES


OTHER = """
from fastdbn.backends.cpu import simd
from fastdbn.backends.cpu.lists import list_bits, scan_bits
assert simd.WIDE_REGISTERS == {wide} and (list_bits is scan_bits) == (not {wide})
import test_binary, test_rng, test_statistics
for name in ("gather", "tables'"):
    test_binary.test_products(name, "float32")
test_statistics.test_lists(90, (37, 50))
test_rng.test_uniforms_follow_the_counter(131, 8)
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v4"])
def test_other_processors(level):
    """The same results where kernels are compiled without AVX-512, or for one that compresses long numbers alone."""
    if platform.machine() not in ("x86_64", "AMD64") or (level == "x86-64-v4" and own_level() != level):
        pytest.skip(f"this processor does not run {level}")
    other = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", OTHER.format(wide=level == "x86-64-v4")], env=os.environ | other, check=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "uint64"])
@pytest.mark.parametrize("shape", [(3,), (5, 7), (64, 64)], ids=str)
def test_aligned(shape, dtype):
    """Buffers begin at lines of the cache and are zero."""
    for _ in range(10):
        x = aligned(shape, dtype)
        assert x.ctypes.data % LINE == 0
        assert x.shape == shape
        assert not x.any()
