"""The buffers in which whole minibatches of back-propagation are trained, and the views of them that kernels take.

Weights are found by their addresses, and the buffers of all levels lie one after another, so the number of layers is no part of
any type. Level 0 are the inputs, level l the units that weight layer l - 1 computes.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray
from numba.core import types
from numba.extending import intrinsic

from fastdbn.backends.cpu.binary import APART, States, count_words
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.lists import Lists
from fastdbn.backends.cpu.lookup import LANES, count_groups, has_registers, in_registers, whole_vectors
from fastdbn.backends.cpu.product import DEPTH, TALL, WIDE
from fastdbn.backends.cpu.simd import GROUPS, WORD
from fastdbn.backends.cpu.workspace import aligned
from fastdbn.backends.protocol import Weights
from fastdbn.maths import optim, rng


class Buffers(NamedTuple):
    """The network: what its levels are, and the buffers of a minibatch.

    sizes, widths and starts (levels,): units, columns of a row of a buffer, and columns of all levels before. units, groups and
    whole (levels,): the unit type's number in the kernel, units of a group, and whether groups are computed whole. rates and
    streams (levels,): dropout and its noise. weights (layers, 6): addresses of what a `Weights` holds. parts (n, 3): units of a
    group, start and stop of the columns whose loss is of one unit type. longest bounds norms of incoming weights, if not 0.

    means, deltas, masked and kept are flat: (batch, width) numbers for each level; kept says which units were not dropped. turned
    has the deltas again: (width, rows) for each level. For each thread, below (WORD + TALL, rows) is what a block of weights
    gives to the units below, and sums (widest) the gradient of a row. words, index, segments, offsets and codes are those of
    `States`, for the widest level. lists name the rows in which inputs are not zero; counts (batch, 2) how many such inputs a
    row has, and whether all are ones.
    """

    batch: int
    sizes: Any
    widths: Any
    starts: Any
    units: Any
    groups: Any
    whole: Any
    rates: Any
    streams: Any
    weights: Any
    parts: Any
    longest: Any
    means: Any
    deltas: Any
    masked: Any
    kept: Any
    rows: int
    widest: int
    turned: Any
    below: Any
    sums: Any
    words: Any
    index: Any
    segments: Any
    offsets: Any
    codes: Any
    lists: Lists
    counts: Any


def _flat(size, dtype):
    return aligned((max(size, 1),), dtype)


def make_buffers(network, kinds, n_threads):
    """The `Buffers` of a protocol's `Network` whose units are numbered by `kinds`, for so many threads."""
    first, batch = network.weights[0].W, network.batch_size
    dtype, line = first.dtype, 64 // first.dtype.itemsize
    sizes = np.array([len(first), *(len(w.bias) for w in network.weights)])
    widths = -(-sizes // WORD) * WORD + line  # one line of the cache more keeps rows apart
    starts = np.concatenate([[0], np.cumsum(widths)])
    units, rates = [None, *network.units], np.array([*network.dropout, 0.0], dtype)
    whole = np.array([unit is not None and unit.group != 1 for unit in units])
    groups = np.array([1 if unit is None else unit.group_size(n) for unit, n in zip(units, sizes.tolist(), strict=True)])
    widest, total = int(sizes.max()), starts[-1] * (batch + TALL)
    lines = -(-(-(-batch // WIDE) * WIDE) // line) + 1
    rows = (lines | 1) * line  # an odd number of lines: rows of turned deltas begin in all sets of the cache
    words, dropped = count_words(widest), total if rates.any() else 0
    loss = network.loss
    parts = [] if isinstance(loss, str) else [(u.group_size(j1 - j0), j0, j1) for u, j0, j1, _ in loss.parts(int(sizes[-1]))]
    return Buffers(
        *(batch, sizes, widths, starts),
        np.array([0 if unit is None else kinds.index(unit) for unit in units]),
        *(groups, whole, rates),
        np.array([rng.stream(rng.DROPOUT, level) for level in range(len(sizes))], np.uint32),
        np.array([[0 if x is None else x.ctypes.data for x in w] for w in network.weights]),
        np.array(parts, np.int64).reshape(-1, 3),
        dtype.type(network.max_norm or 0),
        *(_flat(total, dtype), _flat(total, dtype), _flat(dropped, dtype), _flat(dropped, np.uint8)),
        *(rows, int(widths.max())),
        _flat(starts[-1] * rows, dtype),
        _flat(n_threads * (WORD + TALL) * rows, dtype),
        _flat(n_threads * int(widths.max()), dtype),
        np.empty(batch * words, np.uint64),
        np.empty(batch * (words * WORD + APART), np.uint16),
        np.empty(batch * (words + 1), np.int32),
        np.empty(batch * (words * GROUPS + APART), np.uint16),
        np.empty(count_groups(words) * (whole_vectors(batch) + LANES) if has_registers(dtype) else 0, np.int32),
        Lists(np.empty((len(first), batch + APART), np.uint16), np.zeros((len(first), 2), np.int32)),
        np.zeros((batch, 2), np.int64),
    )


@intrinsic
def pointer(typing, address, like):
    """The pointer of an address to numbers of an array's type."""

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_data_type(like.dtype).as_pointer())

    return types.CPointer(like.dtype)(types.int64, like), generate


@intrinsic
def _place(typing, x, at):
    """The pointer to x[at], x a vector."""

    def generate(context, builder, signature, args):
        return builder.gep(context.make_array(x)(context, builder, args[0]).data, [args[1]])

    return types.CPointer(x.dtype)(x, types.int64), generate


@inlinable
def matrix(flat, at, rows, width):
    """The matrix that begins at flat[at]."""
    return carray(_place(flat, at), (rows, width))


@functools.cache
def weights_of_rule(rule):
    """Plain function: the `Weights` of a layer, their states by a rule."""

    def one(net, layer):
        at, shape = net.weights[layer], (net.sizes[layer], net.sizes[layer + 1])
        W, bias = carray(pointer(at[0], net.means), shape), carray(pointer(at[1], net.means), shape[1])
        return Weights(W, bias, carray(pointer(at[2], net.means), shape), carray(pointer(at[3], net.means), shape[1]), None, None)

    def two(net, layer):
        at, shape = net.weights[layer], (net.sizes[layer], net.sizes[layer + 1])
        W, bias = carray(pointer(at[0], net.means), shape), carray(pointer(at[1], net.means), shape[1])
        first_W, first_bias = carray(pointer(at[2], net.means), shape), carray(pointer(at[3], net.means), shape[1])
        second_W, second_bias = carray(pointer(at[4], net.means), shape), carray(pointer(at[5], net.means), shape[1])
        return Weights(W, bias, first_W, first_bias, second_W, second_bias)

    return inlinable(two if optim.STATES[rule] == 2 else one)


@inlinable
def level_of(flat, net, level, n):
    """The buffer of a level, for n rows."""
    return matrix(flat, (net.batch + TALL) * net.starts[level], n, net.widths[level])


@inlinable
def turned_of(net, level):
    """The deltas of a level, a row for each unit."""
    return matrix(net.turned, net.starts[level] * net.rows, net.widths[level], net.rows)


@inlinable
def inputs_of(net, layer, n):
    """What a weight layer multiplies."""
    return level_of(net.masked if net.rates[layer] > 0 else net.means, net, layer, n)


@inlinable
def states_of(net, x, inputs):
    """`States` around the inputs of a weight layer."""
    n, words, segments = len(x), count_words(inputs), (inputs + DEPTH - 1) // DEPTH + 1
    wide, offsets = words * WORD + APART, words * GROUPS + APART
    return States(
        x,
        matrix(net.words, 0, n, words),
        matrix(net.index, 0, n, wide),
        matrix(net.segments, 0, n, segments),
        matrix(net.offsets, 0, n, offsets),
        matrix(net.codes, 0, count_groups(words) if in_registers(x) else 0, whole_vectors(n) + LANES),
    )
