"""The CPU kernels of back-propagation: dropout masks, the way back through a layer, losses; blocks as in kernels.py.

The way back is one pass over the weights. A block of rows of W gives the deltas of the units below; then, still in the cache, it
gets its gradient and its step. There is no buffer for whole gradients.
"""

import functools

import numpy as np
from numba import carray

from fastdbn.backends.cpu.binary import APART, count_ones, count_words, edge, pack_row
from fastdbn.backends.cpu.jit import inlinable, inlined, kernel
from fastdbn.backends.cpu.kernels import block, prepare_unit
from fastdbn.backends.cpu.lists import Lists, list_units
from fastdbn.backends.cpu.options import norm_factor
from fastdbn.backends.cpu.product import multiply, multiply_and_fetch
from fastdbn.backends.cpu.simd import ROW, add_whole_rows, stack_like
from fastdbn.backends.cpu.update import worth_listing
from fastdbn.maths import optim, rng, scalar

_ROW_SIZE = ROW // 4
TALLEST, CHUNK = 128, 256
"""Rows and columns of W at a time: with their states they stay in the second-level cache."""


@inlinable
def mask_block(x, rate, rows, key, out, r0, r1, j0, j1):
    """Units whose uniform is under the rate become 0, the others grow by 1 / (1 - rate); j0 is a multiple of 4."""
    zero, kept = x.dtype.type(0), x.dtype.type(1) / (x.dtype.type(1) - rate)
    noise = carray(stack_like(x, CHUNK), CHUNK)  # apart from out, so that the compiler vectorises both loops
    for i in range(r0, r1):
        for j in range(j0, j1, CHUNK):
            a, o = x[i, j : min(j + CHUNK, j1)], out[i, j : min(j + CHUNK, j1)]
            rng.uniforms_32(noise[: len(o)], j, rows[i], key)
            for e in range(len(o)):
                o[e] = zero if noise[e] < rate else a[e] * kept


@kernel
def mask(first, last, x, rate, rows, key, out):
    for t in range(first, last):
        r0, r1, j0, j1 = block(t, out.shape[0], out.shape[1], False)
        mask_block(x, rate, rows, key, out, r0, r1, j0, j1)


@functools.cache
def through_slope(unit):
    """Plain function (group, mean, out, r0, r1, i0, i1): deltas by weights become those of inputs of units, given means."""
    if unit is not None:
        prepare_unit(unit)
    slope = unit and unit.slope

    def units(group, mean, out, r0, r1, i0, i1):
        for r in range(r0, r1):
            o, m = out[r, i0:i1], mean[r, i0:i1]
            for j in range(len(o)):
                o[j] *= slope(m[j])

    def groups(group, mean, out, r0, r1, i0, i1):
        for r in range(r0, r1):
            for g in range(i0, i1, group):
                slope(mean[r, g : g + group], out[r, g : g + group], out[r, g : g + group])

    return inlinable(units if unit is None or unit.group == 1 else groups)


@functools.cache
def move_by(rule):
    """Plain function (p, g, first, second, hyper): the step of some parameters by their gradient; second is None where unused."""
    formula = inlined(optim.RULES[rule])

    def one(p, g, first, second, hyper):
        for j in range(len(p)):
            p[j], first[j], _ = formula(p[j], g[j], first[j], g[j], hyper)

    def two(p, g, first, second, hyper):
        for j in range(len(p)):
            p[j], first[j], second[j] = formula(p[j], g[j], first[j], second[j], hyper)

    return inlinable(two if optim.STATES[rule] == 2 else one)


@inlinable
def piece(x, i, j0, j1):
    """A piece of a row; None of None."""
    if x is None:
        return None
    else:
        return x[i, j0:j1]


@inlinable
def _list_inputs(x, n_out, wanted):
    """Whether deltas are added up by lists (if wanted, and worth it), and lists of the rows where each input is 1."""
    listed = wanted and n_out >= ROW // x.itemsize and worth_listing(count_ones(x), x.shape[0], x.shape[1])
    rows, n_in = (x.shape[0], x.shape[1]) if listed else (0, 0)
    lists = Lists(np.empty((n_in, rows + APART), np.uint16), np.zeros((n_in, 2), np.int32))
    words = np.empty((rows, count_words(n_in)), np.uint64)
    for r in range(rows):
        pack_row(x[r], words[r])
    list_units(words, rows, words, 0, lists, 0, words.shape[1])
    return listed, lists


@functools.cache
def backward_and_step(rule, unit):
    """The way back through the weights (rows: inputs, columns: outputs) above a layer of `unit`, or above the data if None."""
    move, through = move_by(rule), through_slope(unit)
    whole = unit is not None and unit.group != 1

    def run(first, last, group, x, delta, weights, hyper, bias_hyper, mean, below, rate, rows, key):
        W, bias = weights.W, weights.bias
        n_in, n_out = W.shape
        stride, wide = delta.strides[0] // delta.itemsize, ROW // W.itemsize
        buffer = np.empty((min(TALLEST, n_in), min(CHUNK, n_out)), W.dtype)
        sums = carray(stack_like(W, _ROW_SIZE), _ROW_SIZE)
        listed, lists = _list_inputs(x, n_out, below is None)
        for t in range(first, last):
            t0, t1 = 0 if whole else edge(t, n_in), n_in if whole else edge(t + 1, n_in)
            if listed:
                for i in range(t0, t1):
                    at = i * lists.index.shape[1]
                    for j0 in range(0, n_out, wide):
                        from_, j1 = min(j0, n_out - wide), min(j0 + wide, n_out)  # the last strip begins in the one before it
                        add_whole_rows(delta, from_, stride, lists.index, at, at + lists.count[i, 0], sums, 0, True)
                        second = piece(weights.second_W, i, j0, j1)
                        move(W[i, j0:j1], sums[j0 - from_ :], weights.first_W[i, j0:j1], second, hyper)
            else:
                for i0 in range(t0, t1, TALLEST):
                    i1 = min(i0 + TALLEST, t1)
                    for j0 in range(0, n_out, CHUNK):
                        j1 = min(j0 + CHUNK, n_out)
                        w, v = W[i0:i1, j0:j1], weights.first_W[i0:i1, j0:j1]
                        if below is not None:
                            multiply(False, True, delta[:, j0:j1], w, j0 > 0, below[:, i0:i1])
                        gradient = buffer[: i1 - i0, : j1 - j0]
                        multiply_and_fetch(True, False, x[:, i0:i1], delta[:, j0:j1], False, gradient, w, v)
                        for i in range(i0, i1):
                            # slices of rows of whole matrices: the compiler knows that they are contiguous
                            second = piece(weights.second_W, i, j0, j1)
                            move(W[i, j0:j1], buffer[i - i0], weights.first_W[i, j0:j1], second, hyper)
                if below is not None:
                    if rate > 0:
                        mask_block(below, rate, rows, key, below, 0, len(below), t0, t1)
                    through(group, mean, below, 0, len(below), t0, t1)
            if t1 == n_in:
                total = np.zeros(n_out, W.dtype)
                for r in range(len(delta)):
                    for j in range(n_out):
                        total[j] += delta[r, j]
                move(bias, total, weights.first_bias, weights.second_bias, bias_hyper)

    return kernel(run)


@inlinable
def softmax_row(s, answer, weight, scale, d):
    """weight * -log softmax(s)[answer] of a row; d = scale weight (softmax(s) - one-hot)."""
    top, partition, w = s[0], s.dtype.type(0), scale * weight
    for j in range(1, len(s)):
        top = max(top, s[j])
    for j in range(len(s)):
        d[j] = scalar.exp(s[j] - top)
        partition += d[j]
    # log of the mean itself would be -inf once it underflows, so: log-sum-exp
    loss = np.float64(weight) * np.float64(top + scalar.log(partition) - s[answer])
    for j in range(len(s)):
        d[j] *= w / partition
    d[answer] -= w
    return loss


@kernel
def softmax_loss(z, target, weight, scale, delta):
    """The sum of the rows' losses; target (B,) are class numbers."""
    total = 0.0
    for i in range(len(z)):
        total += softmax_row(z[i], target[i], weight[i], scale, delta[i])
    return total


@kernel
def squared_loss(z, target, weight, scale, delta):
    """Sum of weight * |z - target|^2 / 2; delta = scale weight (z - target)."""
    total = 0.0
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            d = z[i, j] - target[i, j]
            total += 0.5 * np.float64(weight[i]) * np.float64(d) * np.float64(d)
            delta[i, j] = scale * weight[i] * d
    return total


@functools.cache
def unit_loss_row(unit):
    """Plain function (group, s, x, w, d, first, step): the sum of -log p(x | s) of every step-th unit or group of a row, from
    `first` on; their d, which may be s, = w (mean(s) - x)."""
    prepare_unit(unit)
    mean, cgf, base = unit.mean, unit.cgf, unit.base

    def units(group, s, x, w, d, first, step):
        total = 0.0
        for j in range(first, len(s), step):
            total += np.float64(cgf(s[j]) + base(x[j]) - s[j] * x[j])
        for j in range(first, len(s), step):
            d[j] = w * (mean(s[j]) - x[j])
        return total

    def groups(group, s, x, w, d, first, step):
        total = 0.0
        for g in range(first * group, len(s), step * group):
            total += np.float64(cgf(s[g : g + group]) + base(x[g : g + group]))
        for g in range(first * group, len(s), step * group):
            for j in range(g, g + group):
                total -= np.float64(s[j] * x[j])
            mean(s[g : g + group], d[g : g + group])
            for j in range(g, g + group):
                d[j] = w * (d[j] - x[j])
        return total

    return inlinable(units if unit.group == 1 else groups)


@functools.cache
def unit_loss(unit):
    """Of columns that hold units of a type: rows' sums of weight * -log p(target | s = z) are added to `sums`, and delta, which
    may be z, = scale weight (mean(z) - target)."""
    loss = unit_loss_row(unit)

    def run(first, last, group, columns, z, target, weight, scale, delta, sums):
        j0, j1 = columns[0], columns[1]
        for i in range(first, last):
            total = loss(group, z[i, j0:j1], target[i, j0:j1], scale * weight[i], delta[i, j0:j1], 0, 1)
            sums[i] += np.float64(weight[i]) * total

    return kernel(run)


@inlinable
def limit_block(W, longest, squares, j0, j1):
    """`limit_columns` of columns j0 to j1; squares (j1 - j0,) is a buffer."""
    one = W.dtype.type(1)
    for j in range(len(squares)):
        squares[j] = 0
    for i in range(W.shape[0]):
        w = W[i, j0:j1]
        for j in range(len(w)):
            squares[j] += w[j] * w[j]
    for j in range(len(squares)):
        squares[j] = norm_factor(squares[j], longest, one)
    for i in range(W.shape[0]):
        w = W[i, j0:j1]
        for j in range(len(w)):
            w[j] *= squares[j]


@kernel
def limit_columns(W, longest, squares):
    """Scale down the columns of W whose norm is above longest; squares (n,) is a buffer for the sums."""
    limit_block(W, longest, squares, 0, W.shape[1])
