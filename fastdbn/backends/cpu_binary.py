"""Products with a factor of zeros and ones, faster than multiplying.

Three ways to x W, of which `choose` takes the cheapest by what was measured:

    gather   add up the rows of W that the ones of x name: good where few are 1 and W's rows are contiguous
    tables   for each four inputs the 16 sums of their rows of W, then one table row for four inputs: at any density
    BLAS     multiply: for anything else than zeros and ones, and where the others do not pay

and for the statistics x' h of a block of units, lists of the rows where each unit is 1. The choice looks at shapes and data
alone, never at a clock, so one seed gives one result; an element's sum runs in an order of its own, whatever the blocks.
"""

import numpy as np
from numba import carray

from fastdbn.backends.jit import inlinable
from fastdbn.backends.simd import (
    GROUPS,
    LANES,
    LINE,
    STRIP,
    SUMS,
    WORD,
    add_table_rows,
    count_bits,
    lowest_bit,
    make_tables,
    nonzero,
    not_binary,
    stack_like,
    stack_shorts,
    stack_words,
    transpose_tile,
)

BLAS, GATHER, TABLES = 0, 1, 2
INPUTS = 32
"""Inputs whose tables are made at once: eight groups of four."""
PANEL, TABLE = INPUTS * LANES, GROUPS * SUMS * LANES
PACKED = 8192
"""Words of packed states on the stack."""
SPAN, WIDTH = 2048, 512
"""Inputs of a row that are listed, and columns that are added up, at a time."""
LISTED, UNITS = 32768, 256
"""Ones that are listed, and units of a block, at most."""
STARTS = UNITS + 2

MULTIPLY, PACK = 12.0, 260.0
"""BLAS: nanoseconds for a thousand multiplications, and for a thousand weights that it packs."""
ADD, ADD_FAR, NEAR, LIST = 60.0, 130.0, 1 << 21, 400.0
"""Gathering: nanoseconds for a thousand numbers added where W has at most NEAR bytes, and where it has more; for a thousand
inputs looked at."""
CHOOSE, MAKE = 8.5, 230.0
"""Tables: nanoseconds for a thousand pairs of an input and an output, and for a thousand weights put into tables."""
COLLECT = 40.0
"""Statistics: nanoseconds for a thousand numbers added."""


@inlinable
def _word(row, q):
    """Where the 64 elements of a row from 64 q on, or as many as there are, are not zero."""
    if (q + 1) * WORD <= len(row):
        return nonzero(row, q * WORD)
    word = np.uint64(0)
    for j in range(q * WORD, len(row)):
        word |= np.uint64(row[j] != 0) << np.uint64(j - q * WORD)
    return word


@inlinable
def _count_words(n):
    return (n + WORD - 1) // WORD


@inlinable
def count_ones(x):
    """How many ones a matrix of zeros and ones has; -1 where it holds anything else."""
    ones = 0
    whole = x.shape[1] // WORD
    for r in range(x.shape[0]):
        row, other = x[r], np.uint64(0)
        for q in range(whole):
            other |= not_binary(row, q * WORD)
            ones += count_bits(nonzero(row, q * WORD))
        for j in range(whole * WORD, len(row)):
            other |= np.uint64((row[j] != 0) & (row[j] != 1))
            ones += row[j] != 0
        if other != 0:
            return -1
    return ones


@inlinable
def choose(x, n, transpose):
    """The cheapest way to the product of x with a matrix of weights to n outputs."""
    ones = count_ones(x)
    if ones < 0:
        return BLAS
    weights, pairs = x.shape[1] * n, x.size * n
    way, cost = BLAS, MULTIPLY * pairs + PACK * weights
    if _count_words(x.shape[1]) <= PACKED:
        tables = CHOOSE * pairs + MAKE * weights * (1 + x.shape[0] // (PACKED // _count_words(x.shape[1])))
        if tables < cost:
            way, cost = TABLES, tables
    add = ADD if weights * x.itemsize <= NEAR else ADD_FAR
    if not transpose and add * ones * n + LIST * x.size < cost:
        way = GATHER
    return way


@inlinable
def _list_ones(x, index):
    """index[:n] = where x, of at most SPAN zeros and ones, is 1; returns n."""
    n = 0
    for q in range(_count_words(len(x))):
        word = _word(x, q)
        while word != 0:
            index[n] = q * WORD + lowest_bit(word)
            n += 1
            word &= word - np.uint64(1)
    return n


@inlinable
def _add_rows(out, W, j0, index, n):
    """out += W[i, j0 : j0 + len(out)] for the i in index[:n]."""
    j1, whole = j0 + len(out), n // 8 * 8
    for q in range(0, whole, 8):
        a, b, c, d = W[index[q], j0:j1], W[index[q + 1], j0:j1], W[index[q + 2], j0:j1], W[index[q + 3], j0:j1]
        e, f, g, h = W[index[q + 4], j0:j1], W[index[q + 5], j0:j1], W[index[q + 6], j0:j1], W[index[q + 7], j0:j1]
        for j in range(len(out)):
            out[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
    for q in range(whole, n - 1, 2):
        a, b = W[index[q], j0:j1], W[index[q + 1], j0:j1]
        for j in range(len(out)):
            out[j] += a[j] + b[j]
    if n % 2:
        a = W[index[n - 1], j0:j1]
        for j in range(len(out)):
            out[j] += a[j]


@inlinable
def gather(x, W, out, r0, r1):
    """out[r0:r1] = x[r0:r1] W."""
    index = carray(stack_shorts(W, SPAN), SPAN)
    for j0 in range(0, out.shape[1], WIDTH):
        for r in range(r0, r1):
            o = out[r, j0 : j0 + WIDTH]
            for j in range(len(o)):
                o[j] = 0
            for s in range(0, x.shape[1], SPAN):
                n = _list_ones(x[r, s : s + SPAN], index)
                _add_rows(o, W[s : s + SPAN], j0, index, n)


@inlinable
def _fill_panel(W, transpose, i0, j0, n, panel):
    """panel = 32 inputs from i0 on by LANES outputs from j0 on, of n, zero beyond the edges."""
    inputs = W.shape[1] if transpose else W.shape[0]
    rows, columns = min(INPUTS, inputs - i0), min(LANES, n - j0)
    tile = LINE // W.itemsize
    if rows < INPUTS or columns < LANES:
        for e in range(PANEL):
            panel[e] = 0
    if not transpose:
        for i in range(rows):
            w, p = W[i0 + i, j0 : j0 + columns], panel[i * LANES : i * LANES + columns]
            for j in range(len(w)):
                p[j] = w[j]
    elif rows == INPUTS and columns == LANES:
        for j in range(0, LANES, tile):
            for i in range(0, INPUTS, tile):
                transpose_tile(W[j0 + j], i0 + i, W.strides[0] // W.itemsize, panel, i * LANES + j)
    else:
        for j in range(columns):
            w = W[j0 + j, i0 : i0 + rows]
            for i in range(len(w)):
                panel[i * LANES + j] = w[i]


@inlinable
def tables(x, W, transpose, out, r0, r1, j0, j1):
    """out[r0:r1, j0:j1] = x[r0:r1] W, or W'; j0 and j1 are multiples of LANES, or the last column's end."""
    inputs, words = x.shape[1], _count_words(x.shape[1])
    bits = carray(stack_words(W, PACKED), PACKED)
    panel, sums = carray(stack_like(W, PANEL), PANEL), carray(stack_like(W, TABLE), TABLE)
    for s0 in range(r0, r1, PACKED // words):
        s1 = min(s0 + PACKED // words, r1)
        for r in range(s0, s1):
            packed, row = bits[(r - s0) * words : (r - s0 + 1) * words], x[r]
            for q in range(words):
                packed[q] = _word(row, q)
        for j in range(j0, j1, LANES):
            for i in range(0, inputs, INPUTS):
                _fill_panel(W, transpose, i, j, out.shape[1], panel)
                make_tables(panel, sums)
                q, shift = i // WORD, np.uint64(i % WORD)
                for r in range(s0, s1):
                    add_table_rows(sums, bits[(r - s0) * words + q] >> shift, out[r], j, j1 - j, i == 0)


@inlinable
def edges(j0, j1, n):
    """A block's columns, moved to where tables begin."""
    half = LANES // 2
    return min((j0 + half) // LANES * LANES, n), n if j1 == n else min((j1 + half) // LANES * LANES, n)


@inlinable
def list_rows(x, i0, i1, columns, index, starts):
    """Lists of the rows r where x[r, i], i0 <= i < i1, is 1: index[starts[i - i0] : starts[i - i0 + 1]].

    Returns whether adding up rows of `columns` numbers by them is cheaper than BLAS; if not, nothing is listed.
    """
    if columns < STRIP or i1 - i0 > UNITS or x.shape[0] >= 1 << 16:
        return False
    ones = count_ones(x[:, i0:i1])
    cost = MULTIPLY * x.shape[0] * (i1 - i0) * columns
    if ones < 0 or ones > LISTED or COLLECT * ones * columns + LIST * x.shape[0] * (i1 - i0) > cost:
        return False
    n = i1 - i0
    for i in range(n + 2):
        starts[i] = 0
    for r in range(x.shape[0]):
        row = x[r, i0:i1]
        for q in range(_count_words(n)):
            word = _word(row, q)
            while word != 0:
                starts[q * WORD + lowest_bit(word) + 2] += 1
                word &= word - np.uint64(1)
    for i in range(2, n + 2):
        starts[i] += starts[i - 1]
    for r in range(x.shape[0]):
        row = x[r, i0:i1]
        for q in range(_count_words(n)):
            word = _word(row, q)
            while word != 0:
                i = q * WORD + lowest_bit(word) + 1
                index[starts[i]] = r
                starts[i] += 1
                word &= word - np.uint64(1)
    return True
