"""Products of states with weights; of zeros and ones faster than by multiplying.

Binary states are packed, 64 to a word. `choose` takes the cheapest of six methods of a product, by what was measured:

    gather   add up the rows of W that the ones name, from panels of W, 32 columns wide, copied into the first-level cache
    direct   the same from W itself: where the ones are too few to pay for the copy
    tables   for each four inputs the 16 sums of their rows of W, then one table row for four inputs: at any density
    codes    tables of five inputs in registers (lookup.py): the same for few rows, on AVX-512 in float32
    BLAS     multiply: for anything else than zeros and ones, and where the others do not pay
    tiles    multiply by our own product (product.py): the same, where rows are too few for BLAS to make good its packing

The choice depends on shapes and data, never on a clock, so one seed gives one result. The order of an element's sum does not
depend on which thread computes it.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import simd
from fastdbn.backends.cpu.blas import gemm
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.lists import list_bits
from fastdbn.backends.cpu.lookup import AT_ONCE, LANES, count_groups, in_registers, make_codes, multiply_codes, whole_vectors
from fastdbn.backends.cpu.product import ROWS, WIDE, lanes_of, multiply, transpose_square
from fastdbn.backends.cpu.simd import GROUPS, PANEL, ROW, SUMS, TABLE, WORD, stack_like

BLAS, GATHER, DIRECT, TABLES, TILES, CODES = 0, 1, 2, 3, 4, 5
SEGMENT = 512
"""Inputs of a panel of W at a time: 64 KB, which the first-level cache holds in part and the second whole."""
PART = 256
"""The most columns of a layer at a time: BLAS loses 3 to 6 % against the whole width, and over 10 % with 128."""
COLUMNS = PANEL // 4
"""Columns of a panel in float32; half as many in float64."""
ONCE = 2
"""What a product does once for each column, such as copying a panel, costs about as much as so many blocks of LANES rows."""
APART = 32
"""Every row is one cache line longer, because rows that are powers of two apart share places in the cache."""
_TABLE_SIZE = TABLE // 4
_PANEL_SIZE, _WORD_SIZE, _TABLES_SIZE = SEGMENT * COLUMNS, WORD * _TABLE_SIZE, GROUPS * SUMS * _TABLE_SIZE

MULTIPLY, PACK, SMALL, FEW = 20.0, 300.0, 1e6, 1200
"""BLAS: picoseconds for a multiplication, and for a weight that it packs: without AVX-512 always, even for a single row; with it
beyond so many multiplications, or beyond so many elements of a product with a transpose."""
PACK_TILES = 150.0
"""Tiles: picoseconds for a weight that is copied, once for each block of rows; a multiplication costs as much as BLAS's."""
ADD, COPY, ADD_ROW, LIST = 30.0, 110.0, 42.0, 1000.0
"""Gathering: picoseconds for a number added from a panel, for a weight copied into one, for a number added from W itself, and
for a one that is listed."""
LOOK_UP, MAKE = 8.4, 300.0
"""Tables: picoseconds for a pair of an input and an output, and for a weight put into tables."""
FIND, SPREAD = 5.5, 230.0
"""Codes: picoseconds for a pair, rows in whole vectors, and for a weight put into registers."""


class States(NamedTuple):
    """Buffers for the states of B rows of n units, and for what products read of them if they are zeros and ones.

    floats (B, n), for real states and for BLAS; words (B, q) uint64, bit l of word w for unit 64 w + l; index (B, 64 q or
    more) uint16, the ones of each segment of units counted from its beginning; starts (B, segments + 1) int32, where in index a
    segment's begin; offsets (B, 16 q or more) uint16, where the rows of the tables begin that four units name; codes (groups,
    B or more) int32, the numbers that five units make, of no rows where lookup.py has no tables.
    """

    floats: Any
    words: Any
    index: Any
    starts: Any
    offsets: Any
    codes: Any


@inlinable
def count_words(n):
    return (n + WORD - 1) // WORD


@inlinable
def count_parts(n):
    """Parts of at most PART columns of n."""
    return (n + PART - 1) // PART


@inlinable
def edge(p, n):
    """Where part p of n columns begins: parts are as equal as words allow."""
    return min(count_words(n) * p // count_parts(n) * WORD, n)


@inlinable
def count_segments(n):
    return (n + SEGMENT - 1) // SEGMENT


@inlinable
def make_states(floats, rows):
    """A `States` for that many rows, without floats of its own."""
    n = count_words(floats.shape[1])
    return States(
        floats,
        np.empty((rows, n), np.uint64),
        np.empty((rows, n * WORD + APART), np.uint16),
        np.empty((rows, count_segments(floats.shape[1]) + 1), np.int32),
        np.empty((rows, n * GROUPS + APART), np.uint16),
        np.empty((count_groups(n) if in_registers(floats) else 0, whole_vectors(rows) + LANES), np.int32),
    )


@inlinable
def pack_word(row, q):
    """Where the 64 elements of a row from 64 q on, or as many as there are, are not zero."""
    if (q + 1) * WORD <= len(row):
        return simd.nonzero(row, q * WORD)
    word = np.uint64(0)
    for j in range(q * WORD, len(row)):
        word |= np.uint64(row[j] != 0) << np.uint64(j - q * WORD)
    return word


@inlinable
def pack_row(row, words):
    for q in range(len(words)):
        words[q] = pack_word(row, q)


@inlinable
def unpack_row(words, row):
    zero, one = row.dtype.type(0), row.dtype.type(1)
    for q in range(len(words)):
        word, part = words[q], row[q * WORD : (q + 1) * WORD]
        for j in range(len(part)):
            part[j] = one if (word >> np.uint64(j)) & np.uint64(1) else zero


@inlinable
def count_ones(x):
    """How many ones a matrix of zeros and ones has; -1 where it holds anything else."""
    ones = 0
    whole = x.shape[1] // WORD
    for r in range(x.shape[0]):
        row = x[r]
        if not only_binary(row):
            return -1
        for q in range(whole):
            ones += simd.count_bits(simd.nonzero(row, q * WORD))
        for j in range(whole * WORD, len(row)):
            ones += row[j] != 0
    return ones


@inlinable
def only_binary(row):
    """Whether a row holds zeros and ones alone."""
    other, whole = np.uint64(0), len(row) // WORD * WORD
    for j in range(0, whole, WORD):
        other |= simd.not_binary(row, j)
    for j in range(whole, len(row)):
        other |= np.uint64((row[j] != 0) & (row[j] != 1))
    return other == 0


@inlinable
def count_packed(words):
    ones = 0
    for r in range(words.shape[0]):
        for q in range(words.shape[1]):
            ones += simd.count_bits(words[r, q])
    return ones


@inlinable
def reads_floats(method):
    """Whether a method multiplies numbers, and does not read words."""
    return method in (BLAS, TILES)


@inlinable
def choose(ones, rows, inputs, outputs, transpose, registers=False):
    """The cheapest method of the product of states with weights.

    ones : how many of the states are 1; negative where they are not zeros and ones
    transpose : whether W is stored with its outputs as rows
    registers : whether tables fit registers
    """
    pairs, weights, added = 1.0 * rows * inputs * outputs, 1.0 * inputs * outputs, 1.0 * ones * outputs
    packs = not simd.WIDE_REGISTERS or (rows > 1 and (pairs > SMALL or (transpose and rows * outputs > FEW)))
    method, cost = BLAS, MULTIPLY * pairs + (PACK * weights if packs else 0.0)
    whole, blocks = (outputs + WIDE - 1) // WIDE * WIDE, (rows + ROWS - 1) // ROWS
    tiles = MULTIPLY * rows * inputs * whole + PACK_TILES * weights * blocks
    if tiles < cost:
        method, cost = TILES, tiles
    if ones < 0:
        return method
    tables = LOOK_UP * pairs + MAKE * weights
    if tables < cost:
        method, cost = TABLES, tables
    codes = FIND * whole_vectors(rows) * weights + SPREAD * weights * ((rows + AT_ONCE - 1) // AT_ONCE)
    if registers and rows <= 2 * AT_ONCE and codes < cost:
        method, cost = CODES, codes
    if not transpose:
        gather, direct = ADD * added + COPY * weights + LIST * ones, ADD_ROW * added + LIST * ones
        if gather < cost:
            method, cost = GATHER, gather
        if direct < cost:
            method = DIRECT
    return method


@inlinable
def prepare(method, x, n, r0, r1):
    """Make of the words of some rows what a method reads; n units."""
    if reads_floats(method):
        for r in range(r0, r1):
            unpack_row(x.words[r], x.floats[r, :n])
    elif method == CODES:
        make_codes(x.words, x.codes, r0, r1)
    elif method == TABLES:
        columns = TABLE // x.floats.itemsize
        for r in range(r0, r1):
            words, offsets = x.words[r], x.offsets[r]
            for q in range(len(words)):
                word, part = words[q], offsets[q * GROUPS : (q + 1) * GROUPS]
                for g in range(GROUPS):
                    bits = np.int64(word >> np.uint64(4 * g)) & (SUMS - 1)
                    part[g] = (g * SUMS + bits) * columns
    else:
        for r in range(r0, r1):
            _list_ones(x.words[r], x.index[r], x.starts[r])


@inlinable
def _list_ones(words, index, starts):
    n, per = 0, SEGMENT // WORD
    for s in range(len(starts) - 1):
        starts[s] = n
        for q in range(s * per, min(s * per + per, len(words))):
            n = list_bits(words[q], (q - s * per) * WORD, index, n)
    starts[len(starts) - 1] = n


@inlinable
def _fill_panel(W, transpose, i0, rows, j0, columns, panel, width):
    """panel (rows, width) = `rows` inputs from i0 on by `columns` outputs from j0 on; zero beyond the columns."""
    tile = lanes_of(W)
    stride = W.strides[0] // W.itemsize
    if not transpose and columns == width:
        for i in range(rows):
            simd.copy_panel_row(W, (i0 + i) * stride + j0, panel, i * width)
    elif not transpose:
        for i in range(rows):
            w, p = W[i0 + i, j0 : j0 + columns], panel[i * width : i * width + columns]
            for j in range(len(w)):
                p[j] = w[j]
            for j in range(columns, width):
                panel[i * width + j] = 0
    else:
        whole = rows // tile * tile if columns == width else 0
        for i in range(0, whole, tile):
            for j in range(0, width, tile):
                transpose_square(W, (j0 + j) * stride + i0 + i, stride, panel, i * width + j, width)
        for i in range(whole, rows):
            for j in range(columns):
                panel[i * width + j] = W[j0 + j, i0 + i]
            for j in range(columns, width):
                panel[i * width + j] = 0


@inlinable
def _gather(x, inputs, W, out, r0, r1, j0, j1):
    width = PANEL // W.itemsize
    panel, sums = carray(stack_like(W, _PANEL_SIZE), _PANEL_SIZE), carray(stack_like(W, COLUMNS), COLUMNS)
    per_row, stride = x.index.shape[1], out.strides[0] // out.itemsize
    for j in range(j0, j1, width):
        columns = min(width, j1 - j)
        for s in range(count_segments(inputs)):
            i = s * SEGMENT
            _fill_panel(W, False, i, min(SEGMENT, inputs - i), j, columns, panel, width)
            for r in range(r0, r1):
                first, last = r * per_row + x.starts[r, s], r * per_row + x.starts[r, s + 1]
                if columns == width:
                    simd.add_panel_rows(panel, 0, width, x.index, first, last, out, r * stride + j, s == 0)
                else:
                    simd.add_panel_rows(panel, 0, width, x.index, first, last, sums, 0, True)
                    o = out[r, j:j1]
                    for e in range(len(o)):
                        o[e] = sums[e] if s == 0 else o[e] + sums[e]


@inlinable
def _direct(x, inputs, W, out, r0, r1, j0, j1):
    segments, width, wide = count_segments(inputs), PANEL // W.itemsize, ROW // W.itemsize
    sums = carray(stack_like(W, COLUMNS), COLUMNS)
    per_row, stride, stride_w = x.index.shape[1], out.strides[0] // out.itemsize, W.strides[0] // W.itemsize
    for j in range(j0, j1, wide):
        for r in range(r0, r1):
            for s in range(segments):
                first, last = r * per_row + x.starts[r, s], r * per_row + x.starts[r, s + 1]
                base, end, at = s * SEGMENT * stride_w, min(j + wide, j1), j
                if end - at == wide:
                    simd.add_whole_rows(W, base + at, stride_w, x.index, first, last, out, r * stride + at, s == 0)
                    at = end
                while end - at >= width:
                    simd.add_panel_rows(W, base + at, stride_w, x.index, first, last, out, r * stride + at, s == 0)
                    at += width
                if at < end and end >= width:  # a panel that ends where the columns do
                    simd.add_panel_rows(W, base + end - width, stride_w, x.index, first, last, sums, 0, True)
                    o = out[r, at:end]
                    for e in range(len(o)):
                        total = sums[width - len(o) + e]
                        o[e] = total if s == 0 else o[e] + total
                elif at < end:
                    _few_columns(x.index[r, x.starts[r, s] : x.starts[r, s + 1]], W, s * SEGMENT, out[r, at:end], at, s == 0)


@inlinable
def _few_columns(index, W, first, out, at, begin):
    """Fewer columns than a panel has: even and odd terms apart, as there."""
    for e in range(len(out)):
        even, odd = W.dtype.type(0), W.dtype.type(0)
        for q in range(0, len(index) - 1, 2):
            even += W[first + index[q], at + e]
            odd += W[first + index[q + 1], at + e]
        if len(index) % 2:
            even += W[first + index[len(index) - 1], at + e]
        out[e] = even + odd if begin else out[e] + (even + odd)


@inlinable
def _tables(x, inputs, W, transpose, out, r0, r1, j0, j1):
    width = TABLE // W.itemsize
    panel, sums = carray(stack_like(W, _WORD_SIZE), _WORD_SIZE), carray(stack_like(W, _TABLE_SIZE), _TABLE_SIZE)
    tables = carray(stack_like(W, _TABLES_SIZE), _TABLES_SIZE)
    per_row, stride = x.offsets.shape[1], out.strides[0] // out.itemsize
    for j in range(j0, j1, width):
        columns = min(width, j1 - j)
        for q in range(count_words(inputs)):
            i = q * WORD
            rows = min(WORD, inputs - i)
            _fill_panel(W, transpose, i, rows, j, columns, panel, width)
            for e in range(rows * width, WORD * width):
                panel[e] = 0
            simd.make_tables(panel, tables)
            for r in range(r0, r1):
                at = r * per_row + q * GROUPS
                if columns == width:
                    simd.add_table_rows(tables, x.offsets, at, out, r * stride + j, q == 0)
                else:
                    simd.add_table_rows(tables, x.offsets, at, sums, 0, True)
                    o = out[r, j:j1]
                    for e in range(len(o)):
                        o[e] = sums[e] if q == 0 else o[e] + sums[e]


@inlinable
def product(method, blas, x, inputs, W, transpose, out, r0, r1, j0, j1):
    """out[r0:r1, j0:j1] = those rows of x W, or x W', by a method that the rows were prepared for.

    j0 and j1 are edges of words. BLAS rounds differently for blocks of another size.
    """
    if method == GATHER:
        _gather(x, inputs, W, out, r0, r1, j0, j1)
    elif method == DIRECT:
        _direct(x, inputs, W, out, r0, r1, j0, j1)
    elif method == TABLES:
        _tables(x, inputs, W, transpose, out, r0, r1, j0, j1)
    elif method == CODES:
        multiply_codes(x.codes, inputs, W, transpose, out, r0, r1, j0, j1)
    else:
        one, zero, states = W.dtype.type(1), W.dtype.type(0), x.floats[r0:r1, :inputs]
        weights = W[j0:j1, :inputs] if transpose else W[:inputs, j0:j1]
        if method == TILES:
            multiply(False, transpose, states, weights, False, out[r0:r1, j0:j1])
        else:
            gemm(blas, False, transpose, one, states, weights, zero, out[r0:r1, j0:j1])
