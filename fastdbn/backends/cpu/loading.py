"""Host data as the kernels read it: arrays and CSR matrices, prepared row by row, or packed once.

Data that become zeros and ones whatever the epoch are packed when they are loaded for training: 64 units to a word, or for CSR
matrices with few ones the columns of the ones as they are.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray
from scipy import sparse

from fastdbn.backends.cpu.binary import only_binary, pack_row, unpack_row
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.noise import uniforms_32
from fastdbn.backends.cpu.pool import PASS
from fastdbn.backends.cpu.simd import WORD, stack_like
from fastdbn.maths import rng

ROWS_TAKEN = 64
"""Rows of a minibatch gathered, or of data packed, in a block."""
DENSE, SPARSE, ONES, PACKED = range(4)
"""Kinds of data: an array; CSR; CSR that is known to hold ones, each column once in its row; words."""
TYPES = tuple(map(np.dtype, ("float32", "float64", "uint8", "int64", "int32")))
"""Types of values that kernels read as they are; booleans are read as uint8, others are converted once."""
FINEST = 1e30
"""Where a column is multiplied by more, its differences in float32 are subnormal numbers, which kernels take for zeros."""
FEW = 32
"""CSR data of fewer ones than one in so many stay lists: a list has 32 bits for each."""
AT_ONCE = 1 << 24
"""Numbers that are packed at a time; packing ends with the first of these that are not binary."""
_NOISE = 256
"""Uniforms that are drawn at a time."""
_NO_KEY = rng.key(0, 0, 0)
_NO_VALUES, _NO_NUMBERS = tuple(np.empty((0, 0), t) for t in TYPES), np.empty(0)
_NO_COLUMNS, _NO_STARTS, _NO_WORDS = np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 0), np.uint64)


@inlinable
def threshold_row(x, threshold, out):
    """out = 1 where x > threshold, else 0."""
    zero, one = out.dtype.type(0), out.dtype.type(1)
    for j in range(len(out)):
        out[j] = one if x[j] > threshold else zero


@inlinable
def sample_row(out, row, key):
    """out = 1 with probability out, else 0."""
    zero, one, noise = out.dtype.type(0), out.dtype.type(1), carray(stack_like(out, _NOISE), _NOISE)
    for j in range(0, len(out), _NOISE):
        x = out[j : j + _NOISE]
        uniforms_32(noise[: len(x)], j, row, key)
        for e in range(len(x)):
            x[e] = one if noise[e] < x[e] else zero


class Preparation(NamedTuple):
    """What is done to a row: mode 1 compares x with the threshold; else x -> clip((x - shift) scale), and mode 2 samples.

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


class _Holder:
    """An array's memory, said to be writable."""

    def __init__(self, array):
        self.array, interface = array, array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def writable(array):
    """The same memory in the type that kernels are compiled for, whether or not it may be written: they do not."""
    array = np.asarray(array)
    if array.flags.writeable:
        return array

    return np.asarray(_Holder(array))


def make_data(kind, preparation, values=None, columns=None, starts=None, words=None):
    """A `Data`; values are of one of the TYPES."""
    of_type = [*_NO_VALUES]
    if values is not None:
        of_type[TYPES.index(values.dtype)] = writable(values)
    return Data(
        *(kind, tuple(of_type)),
        _NO_COLUMNS if columns is None else writable(columns.astype(np.int32, copy=False)),
        _NO_STARTS if starts is None else writable(starts.astype(np.int64, copy=False)),
        _NO_WORDS if words is None else words,
        preparation,
    )


def load(source, dtype, for_training, run):
    """The `Data` of a source; packed, if they are read often and become zeros and ones whatever the epoch.

    Parameters
    ----------
    source : Source
    dtype : of visible states
    for_training : bool
    run : (kernel, number of blocks, work, *arguments) -> None
    """
    X, is_sparse, scaled = source.X, sparse.issparse(source.X), source.scale is not None
    values = np.asarray(X.data if is_sparse else X)
    values = values.view(np.uint8) if values.dtype == np.bool_ else values
    values = values if values.dtype in TYPES else values.astype(dtype)
    mode = 2 if source.threshold == "sample" else int(source.threshold is not None)
    threshold = float(source.threshold if mode == 1 else 0)
    if values.dtype == np.float32:
        threshold = float(np.float32(threshold))  # as NumPy compares
    shift, scale = (np.asarray(x, np.float64) if scaled else _NO_NUMBERS for x in (source.shift, source.scale))
    if values.dtype == np.float32 and scale.max(initial=0) > FINEST:
        values = values.astype(np.float64)
    preparation = Preparation(shift, scale, bool(source.clip), mode, threshold)
    if is_sparse:
        data = make_data(SPARSE, preparation, values.reshape(1, -1), X.indices, X.indptr)
    else:
        data = make_data(DENSE, preparation, values)
    return _pack(data, X.shape, dtype, run) if for_training and mode != 2 else data


def _pack(data, shape, dtype, run):
    """Data in packed form if they are zeros and ones once they are prepared; else as they are."""
    rows, units = shape
    if data.kind == SPARSE and len(data.columns) * FEW < rows * units and _are_ones(data):
        return data._replace(kind=ONES)
    most, across, like = max(ROWS_TAKEN, AT_ONCE // units), -(-units // WORD), np.empty(units, dtype)
    words = np.empty((min(most, rows), across), np.uint64)
    for start in range(0, rows, most):
        if start == most:  # memory for all of them once the first have shown that they are binary
            first, words = words, np.empty((rows, across), np.uint64)
            words[:most] = first
        part = words[start : start + most]
        found = np.zeros(-(-len(part) // ROWS_TAKEN), np.uint8)
        run(pack, len(found), PASS * len(part) * units, data, start, _NO_KEY, like, part, found)
        if found.any():
            return data
    return make_data(PACKED, data.preparation, words=words)


def _are_ones(data):
    """Whether CSR data are ones, each column once in its row, with nothing done to them."""
    done = data.preparation
    as_given = not len(done.scale) and (done.mode == 0 or 0 <= done.threshold < 1)
    return as_given and all((x == 1).all() for x in data.values) and distinct(data.columns, data.starts)


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
    if data.kind == DENSE and data.values[0].size != 0 and len(scale) == 0:  # the usual case, without float64 between
        x = data.values[0][row]
        if mode == 1:
            threshold_row(x, data.values[0].dtype.type(threshold), out)  # which loses nothing: see `load`
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
