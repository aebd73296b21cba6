"""Host data as the kernels read it: arrays and CSR matrices, prepared row by row, or packed once.

Data that become zeros and ones whatever the epoch are packed when they are loaded for training: 64 units to a word, or for CSR
matrices with few ones the columns of the ones as they are.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn import rng
from fastdbn.backends.cpu_binary import only_binary, pack_row, unpack_row
from fastdbn.backends.jit import inlinable, kernel
from fastdbn.backends.simd import WORD

ROWS_TAKEN = 64
"""Rows of a minibatch gathered, or of data packed, in a block."""


@inlinable
def binarise(out, threshold, sample, row, key):
    """out = 1 where out > threshold, or 1 with probability out, else 0."""
    zero, one = out.dtype.type(0), out.dtype.type(1)
    if sample:
        whole = len(out) // 4
        for c in range(whole):
            words = rng.philox(np.uint32(c), row, key.step, key.stream, key.k0, key.k1)
            out[4 * c] = one if rng.uniform_32(words[0]) < out[4 * c] else zero
            out[4 * c + 1] = one if rng.uniform_32(words[1]) < out[4 * c + 1] else zero
            out[4 * c + 2] = one if rng.uniform_32(words[2]) < out[4 * c + 2] else zero
            out[4 * c + 3] = one if rng.uniform_32(words[3]) < out[4 * c + 3] else zero
        for j in range(4 * whole, len(out)):
            out[j] = one if rng.uniform_32(rng.philox_word(j, row, key)) < out[j] else zero
    else:
        for j in range(len(out)):
            out[j] = one if out[j] > threshold else zero


class Preparation(NamedTuple):
    """What `take` does to a row: x -> clip((x - shift) scale), then mode 0 nothing, 1 threshold, 2 sample.

    shift and scale are float64, for a column far from zero loses its digits in float32; empty for no scaling.
    """

    shift: Any
    scale: Any
    clip: bool
    mode: int
    threshold: Any


class Dense(NamedTuple):
    """Dense host data (rows, nv) and its preparation."""

    X: Any
    preparation: Preparation


class Sparse(NamedTuple):
    """CSR host data and its preparation."""

    values: Any
    columns: Any
    starts: Any
    preparation: Preparation


class Packed(NamedTuple):
    """Zeros and ones as words (rows, q) uint64: bit l of word w is unit 64 w + l."""

    words: Any


class Ones(NamedTuple):
    """Zeros and ones as the columns of the ones: those of row r from starts[r] on."""

    columns: Any
    starts: Any


@inlinable
def _prepare_row(out, preparation, row, key):
    """Clip and binarise one scaled row in place."""
    clip, mode, threshold = preparation.clip, preparation.mode, preparation.threshold
    if clip:
        zero, one = out.dtype.type(0), out.dtype.type(1)
        for j in range(len(out)):
            x = out[j]
            x = zero if x < zero else x
            out[j] = one if x > one else x
    if mode:
        binarise(out, threshold, mode == 2, row, key)


@inlinable
def _dense_row(data, row, key, out):
    """out = a row of dense data, prepared."""
    x, shift, scale = data.X[row], data.preparation.shift, data.preparation.scale
    if len(scale):
        for j in range(len(out)):
            out[j] = (x[j] - shift[j]) * scale[j]
    else:
        for j in range(len(out)):
            out[j] = x[j]
    _prepare_row(out, data.preparation, row, key)


@inlinable
def _sparse_row(data, row, key, out):
    """out = a row of CSR data, prepared; equal columns add up."""
    for j in range(len(out)):
        out[j] = 0
    for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
        out[data.columns[e]] += data.values[e]
    shift, scale = data.preparation.shift, data.preparation.scale
    for j in range(len(scale)):
        out[j] = (out[j] - shift[j]) * scale[j]
    _prepare_row(out, data.preparation, row, key)


@inlinable
def _packed_row(data, row, key, out):
    unpack_row(data.words[row], out)


@inlinable
def _ones_row(data, row, key, out):
    for j in range(len(out)):
        out[j] = 0
    for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
        out[data.columns[e]] = 1


READ_ROW = {Dense: _dense_row, Sparse: _sparse_row, Packed: _packed_row, Ones: _ones_row}
"""(data, row, key, out): a row of each kind of data as numbers."""


@inlinable
def _packed_words(data, row, words):
    from_ = data.words[row]
    for q in range(len(words)):
        words[q] = from_[q]


@inlinable
def _ones_words(data, row, words):
    for q in range(len(words)):
        words[q] = 0
    for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
        j = data.columns[e]
        words[j // WORD] |= np.uint64(1) << np.uint64(j % WORD)


READ_WORDS = {Packed: _packed_words, Ones: _ones_words}
"""(data, row, words): a row of packed data as words."""


@functools.cache
def take(kind):
    """The kernel of out = the given rows of data of a kind."""
    read = READ_ROW[kind]

    def run(first, last, data, rows, key, out):
        for i in range(first * ROWS_TAKEN, min(last * ROWS_TAKEN, len(rows))):
            read(data, rows[i], key, out[i])

    return kernel(run)


@functools.cache
def pack(kind):
    """The kernel of words = data of a kind, prepared; found[t] is 1 for each block of rows with anything but zeros and ones."""
    read = READ_ROW[kind]

    def run(first, last, data, key, like, words, found):
        row = np.empty(len(like), like.dtype)
        for t in range(first, last):
            for i in range(t * ROWS_TAKEN, min(t * ROWS_TAKEN + ROWS_TAKEN, len(words))):
                read(data, np.uint32(i), key, row)
                if not only_binary(row):
                    found[t] = 1
                    break
                pack_row(row, words[i])

    return kernel(run)


@kernel
def distinct(columns, starts):
    """Whether no row names a column twice; a row out of order counts as one that may."""
    for r in range(len(starts) - 1):
        for e in range(starts[r] + 1, starts[r + 1]):
            if columns[e] <= columns[e - 1]:
                return False
    return True
