"""Host data as the kernels read it: arrays and CSR matrices, prepared row by row, or packed once.

Data that become zeros and ones whatever the epoch are packed when they are loaded for training: 64 units to a word, or for CSR
matrices with few ones the columns of the ones as they are.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu.binary import only_binary, pack_row, unpack_row
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.simd import WORD
from fastdbn.maths import rng

ROWS_TAKEN = 64
"""Rows of a minibatch gathered, or of data packed, in a block."""


@inlinable
def threshold_row(x, threshold, out):
    """out = 1 where x > threshold, else 0."""
    zero, one = out.dtype.type(0), out.dtype.type(1)
    for j in range(len(out)):
        out[j] = one if x[j] > threshold else zero


@inlinable
def sample_row(out, row, key):
    """out = 1 with probability out, else 0."""
    zero, one = out.dtype.type(0), out.dtype.type(1)
    whole = len(out) // 4
    for c in range(whole):
        words = rng.philox(np.uint32(c), row, key.step, key.stream, key.k0, key.k1)
        out[4 * c] = one if rng.uniform_32(words[0]) < out[4 * c] else zero
        out[4 * c + 1] = one if rng.uniform_32(words[1]) < out[4 * c + 1] else zero
        out[4 * c + 2] = one if rng.uniform_32(words[2]) < out[4 * c + 2] else zero
        out[4 * c + 3] = one if rng.uniform_32(words[3]) < out[4 * c + 3] else zero
    for j in range(4 * whole, len(out)):
        out[j] = one if rng.uniform_32(rng.philox_word(j, row, key)) < out[j] else zero


class Preparation(NamedTuple):
    """What `take` does to a row: mode 1 compares x with the threshold; else x -> clip((x - shift) scale), and mode 2 samples.

    shift and scale are float64, because a column far from zero loses its digits in float32; empty for no scaling. The threshold
    is float64 too, and compares with the numbers as they are.
    """

    shift: Any
    scale: Any
    clip: bool
    mode: int
    threshold: Any


class Data(NamedTuple):
    """Host data of any kind in one type, so that kernels are compiled once for all of them.

    kind says which it is. values are arrays of every type that is read as it is, all but one of them empty: (rows, nv), or for
    CSR (1, ones). columns (ones,) int32 and starts (rows + 1,) int64 are those of CSR; words (rows, q) uint64 are packed states.
    """

    kind: int
    values: Any
    columns: Any
    starts: Any
    words: Any
    preparation: Preparation


DENSE, SPARSE, ONES, PACKED = range(4)
"""Kinds: an array; CSR; CSR that is known to hold ones, each column once in its row; words."""
TYPES = (np.float32, np.float64, np.uint8, np.int64, np.int32)
FINEST = 1e30
"""Where a column is multiplied by more, its differences in float32 are subnormal numbers, which kernels take for zeros."""


class _Holder:
    """An array's memory, said to be writable."""

    def __init__(self, array):
        self.array, interface = array, array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _writable(array):
    """The same memory in the type that kernels are compiled for, whether or not it may be written: they do not."""
    array = np.asarray(array)
    if array.flags.writeable:
        return array

    return np.asarray(_Holder(array))


def make_data(kind, preparation, values=None, columns=None, starts=None, words=None):
    """A `Data`; values of a type that is not in TYPES must have been converted."""
    empty = [np.empty((0, 0), t) for t in TYPES]
    if values is not None:
        values = values.view(np.uint8) if values.dtype == np.bool_ else values
        if values.dtype == np.float32 and preparation.scale.max(initial=0) > FINEST:
            values = values.astype(np.float64)
        empty[[np.dtype(t) for t in TYPES].index(values.dtype)] = _writable(values)
    return Data(
        kind,
        tuple(empty),
        np.empty(0, np.int32) if columns is None else _writable(columns.astype(np.int32, copy=False)),
        np.empty(0, np.int64) if starts is None else _writable(starts.astype(np.int64, copy=False)),
        np.empty((0, 0), np.uint64) if words is None else words,
        preparation,
    )


@inlinable
def _prepare_row(out, preparation, row, key):
    """Clip one scaled row, and draw zeros and ones from it, in place."""
    if preparation.clip:
        zero, one = out.dtype.type(0), out.dtype.type(1)
        for j in range(len(out)):
            x = out[j]
            x = zero if x < zero else x
            out[j] = one if x > one else x
    if preparation.mode == 2:
        sample_row(out, row, key)


@inlinable
def _add_values(values, data, row, raw):
    """raw += a row of dense or CSR values, if they are of this type; equal columns add up."""
    if values.size == 0:
        return
    if data.kind == DENSE:
        x = values[row]
        for j in range(len(raw)):
            raw[j] += x[j]
    else:
        for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
            raw[data.columns[e]] += values[0, e]


@inlinable
def read_row(data, row, key, raw, out):
    """out = a row of data, prepared, as numbers; raw (nv,) is a buffer for them as they are, in float64."""
    if data.kind == PACKED:
        unpack_row(data.words[row], out)
        return
    shift, scale = data.preparation.shift, data.preparation.scale
    mode, threshold = data.preparation.mode, data.preparation.threshold
    if data.kind == DENSE and data.values[0].size != 0 and len(scale) == 0:  # the usual case, without the way through float64
        x = data.values[0][row]
        if mode == 1:
            threshold_row(x, data.values[0].dtype.type(threshold), out)  # which loses nothing: see `CPU.load`
            return
        for j in range(len(out)):
            out[j] = x[j]
        _prepare_row(out, data.preparation, row, key)
        return
    for j in range(len(raw)):
        raw[j] = 0
    if data.kind == ONES:
        for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
            raw[data.columns[e]] = 1
    else:
        _add_values(data.values[0], data, row, raw)
        _add_values(data.values[1], data, row, raw)
        _add_values(data.values[2], data, row, raw)
        _add_values(data.values[3], data, row, raw)
        _add_values(data.values[4], data, row, raw)
    if mode == 1:
        threshold_row(raw, threshold, out)
        return
    for j in range(len(scale)):
        raw[j] = (raw[j] - shift[j]) * scale[j]
    for j in range(len(out)):
        out[j] = raw[j]
    _prepare_row(out, data.preparation, row, key)


@inlinable
def read_words(data, row, words):
    """words = a row of packed data."""
    if data.kind == PACKED:
        source = data.words[row]
        for q in range(len(words)):
            words[q] = source[q]
    else:
        for q in range(len(words)):
            words[q] = 0
        for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
            j = data.columns[e]
            words[j // WORD] |= np.uint64(1) << np.uint64(j % WORD)


@kernel
def load_rows(first, last, data, rows, key, out):
    """out = the given rows of data."""
    raw = np.empty(out.shape[1])
    for i in range(first * ROWS_TAKEN, min(last * ROWS_TAKEN, len(rows))):
        read_row(data, rows[i], key, raw, out[i])


@kernel
def pack(first, last, data, start, key, like, words, found):
    """words = rows of data from `start` on; found[t] is 1 for each block of rows with anything but zeros and ones."""
    row, raw = np.empty(len(like), like.dtype), np.empty(len(like))
    for t in range(first, last):
        for i in range(t * ROWS_TAKEN, min(t * ROWS_TAKEN + ROWS_TAKEN, len(words))):
            read_row(data, np.uint32(start + i), key, raw, row)
            if not only_binary(row):
                found[t] = 1
                break
            pack_row(row, words[i])


@kernel
def distinct(columns, starts):
    """Whether no row names a column twice; a row out of order counts as one that may."""
    for r in range(len(starts) - 1):
        for e in range(starts[r] + 1, starts[r + 1]):
            if columns[e] <= columns[e - 1]:
                return False
    return True
