"""The statistics of CD and the step of the parameters, in one pass over W: kernels over parts of its columns.

A phase of the gradient whose visible states are zeros and ones is added up: for each visible unit, the hidden means of the rows
where it is 1, copied strip by strip into the cache, those of the chains with a minus. The sum goes straight into the velocity
and the weight. A phase of real states is multiplied into the velocity by BLAS first.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu.binary import APART, MULTIPLY, count_ones, count_words, edge, lowest_bit, pack_row
from fastdbn.backends.cpu.blas import gemm
from fastdbn.backends.cpu.center import copy_strip, set_steps
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.simd import STRIP, WORD, center_strip, move_strip, prefetch_strip, stack_like

COLLECT = 26.0
"""Picoseconds for a number added up; see binary.py for BLAS."""
LISTED = 1 << 15
"""Rows of a phase that has lists are fewer: both phases' numbers fit 16 bits."""
SUMMED = 1 << 15
"""Rows that are added up at a time: a float32 sum of many more would lose what each row adds."""
AHEAD = 8
"""Rows of W that are fetched before their turn."""
_STRIP_SIZE = STRIP // 4


class Lists(NamedTuple):
    """For each visible unit the rows where it is 1: index (nv, listed rows of both phases) uint16, rows of the chain counted on
    from those of the data, or from 0 if the data are not listed; count (nv, 2) int32, how many there are, and how many of them
    are data."""

    index: Any
    count: Any


@inlinable
def worth_listing(ones, rows, nv):
    """Whether adding up a phase's hidden means is cheaper than BLAS; ones is negative where its states are not binary."""
    return ones >= 0 and rows < LISTED and COLLECT * ones <= MULTIPLY * rows * nv


@inlinable
def _append(words, rows, first, i0, q, lists):
    index, count = lists
    for r in range(rows):
        word = words[r, q]
        while word != 0:
            i = i0 + lowest_bit(word)
            index[i, count[i, 0]] = first + r
            count[i, 0] += 1
            word &= word - np.uint64(1)


@inlinable
def list_units(positive, n_positive, negative, n_negative, lists, q0, q1):
    """The lists of the units of words q0 to q1 from so many rows of either phase's words, 0 where a phase is not listed."""
    count = lists.count
    for q in range(q0, q1):
        i0, i1 = q * WORD, min(q * WORD + WORD, count.shape[0])
        for i in range(i0, i1):
            count[i, 0] = 0
        _append(positive, n_positive, 0, i0, q, lists)
        for i in range(i0, i1):
            count[i, 1] = count[i, 0]
        _append(negative, n_negative, n_positive, i0, q, lists)


@inlinable
def _pack_strip(h, factor, first, j, columns, width, packed):
    for r in range(h.shape[0]):
        row, to = h[r, j : j + columns], (first + r) * width
        strip = packed[to : to + width]
        for e in range(len(row)):
            strip[e] = factor * row[e]
        for e in range(columns, width):
            strip[e] = 0


@inlinable
def _move(w, d, decay):
    """The step of some weights w by their velocity d, less decay."""
    for j in range(len(w)):
        d[j] -= decay * w[j]
        w[j] += d[j]


@inlinable
def _move_listed(params, out, lists, packed, j, columns, width, kept, scale, decay, centre, centred):
    """The step of a strip of columns by the sums of the listed rows, and by what centring takes."""
    stride, per_unit, nv = out.W.strides[0] // out.W.itemsize, lists.index.shape[1], lists.count.shape[0]
    old_w, old_d = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE), carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    steps, offsets = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE), carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    taken = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    for x in (old_w, old_d, taken):
        for e in range(len(x)):
            x[e] = 0
    if centred:
        copy_strip(centre.step_h, j, columns, steps)
        copy_strip(centre.h, j, columns, offsets)
        rows = centre.rows[j // width]
    for i in range(nv):
        first, at = i * per_unit, i * stride + j
        last = first + lists.count[i, 0]
        if columns == width:
            prefetch_strip(params.W, at + AHEAD * stride)
            prefetch_strip(out.W, at + AHEAD * stride)
            move_strip(packed, 0, width, lists.index, first, last, out.W, at, params.W, at, kept, scale, decay)
            if centred:
                rows[i] = center_strip(out.W, at, params.W, at, centre.v[i], centre.step_v[i], steps, offsets, taken)
        else:
            w, d = params.W[i, j : j + columns], out.W[i, j : j + columns]
            for e in range(len(w)):
                old_w[e], old_d[e] = w[e], d[e]
            move_strip(packed, 0, width, lists.index, first, last, old_d, 0, old_w, 0, kept, scale, decay)
            if centred:
                rows[i] = center_strip(old_d, 0, old_w, 0, centre.v[i], centre.step_v[i], steps, offsets, taken)
            for e in range(len(w)):
                w[e], d[e] = old_w[e], old_d[e]
    if centred:
        for e in range(columns):
            params.c[j + e] -= taken[e]


@inlinable
def _sum_columns(x, weight, j0, sums):
    """sums = the sums of up to WORD columns of x from j0 on, rows weighted where weight is not None."""
    part = carray(stack_like(x, WORD), WORD)[: len(sums)]
    for j in range(len(sums)):
        sums[j] = 0
    for r0 in range(0, x.shape[0], SUMMED):
        for j in range(len(part)):
            part[j] = 0
        for r in range(r0, min(r0 + SUMMED, x.shape[0])):
            row = x[r, j0 : j0 + len(part)]
            if weight is None:
                for j in range(len(part)):
                    part[j] += row[j]
            else:
                w = weight[r]
                for j in range(len(part)):
                    part[j] += w * row[j]
        for j in range(len(part)):
            sums[j] += part[j]


@inlinable
def _move_hidden(params, out, hp, hm, scales, momentum, centre, slide, j0, j1):
    """The step of the hidden biases j0 to j1, and their offsets' moves."""
    positive, negative = carray(stack_like(out.W, WORD), WORD), carray(stack_like(out.W, WORD), WORD)
    for j in range(j0, j1, WORD):
        end = min(j + WORD, j1)
        c, d, steps = params.c[j:end], out.c[j:end], centre.step_h[j:end]
        p, m = positive[: len(c)], negative[: len(c)]
        _sum_columns(hp, None, j, p)
        _sum_columns(hm, None, j, m)
        set_steps(p, m, scales, slide, steps, centre.h[j:end])
        for e in range(len(c)):
            d[e] = momentum * d[e] + steps[e]
            c[e] += d[e]


@inlinable
def multiply_rows(blas, params, out, vp, hp, listed_p, vm, hm, listed_m, nh, scales, momentum, decay, centred, i0, i1):
    """Rows i0 to i1 of W: out = momentum out + positive_scale v'h - negative_scale that of the negative phase, where not
    listed; if neither is, and the step is not centred, params move by it."""
    positive_scale, negative_scale = scales
    one, kept = out.W.dtype.type(1), momentum
    if not listed_p:
        gemm(blas, True, False, positive_scale, vp[:, i0:i1], hp[:, :nh], kept, out.W[i0:i1, :nh])
        kept = one
    if not listed_m:
        gemm(blas, True, False, -negative_scale, vm[:, i0:i1], hm[:, :nh], kept, out.W[i0:i1, :nh])
    if not (listed_p or listed_m or centred):
        for i in range(i0, i1):
            _move(params.W[i, :nh], out.W[i, :nh], decay)


@inlinable
def move_columns(params, out, hp, listed_p, hm, listed_m, lists, packed, scales, momentum, decay, centre, slide, j0, j1, end):
    """Columns j0 to j1: the sums of the phases that are listed, and the step; after `multiply_rows` of all rows.

    packed : a buffer for a strip of the hidden means of both phases
    scales : (positive_scale, negative_scale)
    centre, slide : where the step is centred, the visible units' steps are set already
    end : j1, or where whole words end beyond the last column, if the arrays are that wide
    """
    positive_scale, negative_scale = scales
    _move_hidden(params, out, hp, hm, scales, momentum, centre, slide, j0, j1)
    if listed_p or listed_m or slide.on:
        one = out.W.dtype.type(1)
        kept = momentum if listed_p and listed_m else one
        factor = -one if positive_scale == 0 else -(negative_scale / positive_scale)
        width = STRIP // out.W.itemsize
        for j in range(j0, end, width):
            columns = min(width, end - j)
            if listed_p:
                _pack_strip(hp, one, 0, j, columns, width, packed)
            if listed_m:
                _pack_strip(hm, factor, hp.shape[0] if listed_p else 0, j, columns, width, packed)
            _move_listed(params, out, lists, packed, j, columns, width, kept, positive_scale, decay, centre, slide.on)


@inlinable
def sum_visible(v, weight, out):
    for i in range(0, len(out), WORD):
        _sum_columns(v, weight, i, out[i : i + WORD])


@inlinable
def move_visible(params, out, momentum, centre, centred, i0, i1):
    """The step of the visible biases i0 to i1; where it is centred after `move_columns` of all columns."""
    b, d, steps = params.b[i0:i1], out.b[i0:i1], centre.step_v[i0:i1]
    for i in range(len(b)):
        d[i] = momentum * d[i] + steps[i]
        b[i] += d[i]
    if centred:
        for s in range(len(centre.rows)):
            taken = centre.rows[s, i0:i1]
            for i in range(len(b)):
                b[i] -= taken[i]


@kernel
def begin(first, last, positive, negative, scales, centre, slide):
    """The visible units' steps and the moves of their offsets, before `multiply` and `update`."""
    sums_p, sums_m = np.empty_like(centre.step_v), np.empty_like(centre.step_v)
    sum_visible(positive.v, positive.weight, sums_p)
    sum_visible(negative.v, negative.weight, sums_m)
    set_steps(sums_p, sums_m, scales, slide, centre.step_v, centre.v)


@kernel
def finish(first, last, params, out, momentum, centre, centred):
    """The visible biases, after `update`."""
    move_visible(params, out, momentum, centre, centred, 0, len(params.b))


@kernel
def multiply(first, last, blas, params, out, positive, negative, scales, momentum, decay, centred):
    """`multiply_rows` of parts of the rows of W, where a phase is not worth listing."""
    nv, nh = out.W.shape
    listed_p = worth_listing(count_ones(positive.v), positive.v.shape[0], nv)
    listed_m = worth_listing(count_ones(negative.v), negative.v.shape[0], nv)
    for p in range(first, last):
        i0, i1 = edge(p, nv), edge(p + 1, nv)
        multiply_rows(
            blas,
            params,
            out,
            positive.v,
            positive.h,
            listed_p,
            negative.v,
            negative.h,
            listed_m,
            nh,
            scales,
            momentum,
            decay,
            centred,
            i0,
            i1,
        )


@kernel
def update(first, last, params, out, positive, negative, scales, momentum, decay, centre, slide):
    """out = momentum out + positive phase - negative phase; params then move by out less the decay; by parts of columns.

    After `begin` and `multiply`; `finish` does the visible biases. In an update out is the velocity, the scales include the
    learning rate, and decay is rate times decay.
    """
    (nv, nh), real = out.W.shape, out.W.dtype
    listed_p = worth_listing(count_ones(positive.v), positive.v.shape[0], nv)
    listed_m = worth_listing(count_ones(negative.v), negative.v.shape[0], nv)
    n, m = positive.v.shape[0] if listed_p else 0, negative.v.shape[0] if listed_m else 0
    lists = Lists(np.empty((nv, n + m + APART), np.uint16), np.zeros((nv, 2), np.int32))
    packed = np.empty((n + m) * STRIP // 4, real)
    words_p, words_m = np.empty((n, count_words(nv)), np.uint64), np.empty((m, count_words(nv)), np.uint64)
    for r in range(n):
        pack_row(positive.v[r], words_p[r])
    for r in range(m):
        pack_row(negative.v[r], words_m[r])
    if listed_p or listed_m:
        list_units(words_p, n, words_m, m, lists, 0, words_p.shape[1])
    for p in range(first, last):
        j0, j1 = edge(p, nh), edge(p + 1, nh)
        move_columns(
            params,
            out,
            positive.h,
            listed_p,
            negative.h,
            listed_m,
            lists,
            packed,
            scales,
            momentum,
            decay,
            centre,
            slide,
            j0,
            j1,
            j1,
        )


@kernel
def shrink(first, last, W, amount):
    """Rows of W moved towards zero by an amount, and no further."""
    zero = W.dtype.type(0)
    for i in range(first, last):
        for j in range(W.shape[1]):
            w = W[i, j]
            left = abs(w) - amount
            W[i, j] = zero if left < 0 else np.copysign(left, w)


@kernel
def move(first, last, p, velocity, gradient, rate, momentum, decay):
    """velocity = momentum velocity + rate gradient - decay p, then p += velocity, of rows; the gradient is written over.

    A loop for each operation, so that each is rounded: of a sum of two products the compiler may fuse either.
    """
    for i in range(first, last):
        x, v, g = p[i], velocity[i], gradient[i]
        for j in range(len(v)):
            v[j] *= momentum
            g[j] *= rate
        for j in range(len(v)):
            v[j] += g[j]
            g[j] = decay * x[j]
        for j in range(len(v)):
            v[j] -= g[j]
            x[j] += v[j]
