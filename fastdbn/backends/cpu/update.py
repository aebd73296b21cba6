"""The statistics of CD and the step of the parameters, in one pass over W: kernels over parts of its columns.

A phase of the gradient whose visible states are zeros and ones is added up: for each visible unit, the hidden means of the rows
where it is 1, copied strip by strip into the cache, those of the chains with a minus. The sum goes straight into the velocity
and the weight. A phase of real states is multiplied into the velocity by BLAS first.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import fast_weights, options, strips
from fastdbn.backends.cpu.binary import APART, MULTIPLY, count_ones, count_words, edge, pack_row
from fastdbn.backends.cpu.blas import gemm
from fastdbn.backends.cpu.centre import BLOCK, Slide, center_hidden, center_visible
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.lists import Lists, list_units
from fastdbn.backends.cpu.simd import LINE, STRIP, WORD, multiply_add, stack_like

COLLECT = 26.0
"""Picoseconds for a number added up; see binary.py for BLAS."""
LISTED = 1 << 15
"""A phase with lists has fewer rows, so that the numbers of both phases' rows fit 16 bits."""
SUMMED = 1 << 15
"""Rows that are added up at a time: a float32 sum of many more would lose small terms."""
NEAR = 1 << 20
"""Bytes of a strip of the hidden means that the second-level cache holds; of more rows a strip is one line wide."""
AHEAD = 8
"""Rows of W that are fetched before their turn."""
_STRIP_SIZE = STRIP // 4


class Summed(NamedTuple):
    """A phase of the gradient as the update reads it: states v, hidden means h, and whether lists of v stand for v."""

    v: Any
    h: Any
    listed: bool


class Step(NamedTuple):
    """The numbers of a step: scales of both phases, which include the learning rate, and the second over the first, the same at
    any rate; momentum; the rate times the decay; L1's threshold and the bound of max-norm, 0 where there is none."""

    positive: Any
    negative: Any
    ratio: Any
    momentum: Any
    decay: Any
    slide: Slide
    l1: Any
    longest: Any


@inlinable
def set_steps(positive, negative, step, steps, offsets):
    """The steps of some biases, and the moves of their offsets, by the sums of both phases' states."""
    for i in range(len(steps)):
        steps[i] = multiply_add(step.positive, positive[i], -(step.negative * negative[i]))
    slide = step.slide
    if slide.on:
        for i in range(len(steps)):
            offset = multiply_add(-slide.rate, offsets[i], offsets[i])
            offset = multiply_add(slide.positive, positive[i], offset)
            offsets[i] = multiply_add(slide.negative, negative[i], offset)


@inlinable
def _copy_strip(x, j, columns, strip):
    """Columns of x from j on into a strip, which is zero beyond them."""
    for e in range(len(strip)):
        strip[e] = x[j + e] if e < columns else 0


@inlinable
def worth_listing(ones, rows, nv):
    """Whether adding up a phase's hidden means is cheaper than BLAS; ones is negative where its states are not binary."""
    return ones >= 0 and rows < LISTED and COLLECT * ones <= MULTIPLY * rows * nv


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
        d[j] = multiply_add(-decay, w[j], d[j])
        w[j] += d[j]


@inlinable
def _move_plain(params, out, lists, packed, i0, i1, j, width, kept, step):
    """The step of a whole strip of columns by the sums of the listed rows: no more than that, because it is most of the work."""
    scale, decay = step.positive, step.decay
    stride, per_unit = out.W.strides[0] // out.W.itemsize, lists.index.shape[1]
    if width * out.W.itemsize == STRIP:
        for i in range(i0, i1):
            first, at = i * per_unit, i * stride + j
            last = first + lists.count[i, 0]
            strips.prefetch_strip(params.W, at + AHEAD * stride)
            strips.prefetch_strip(out.W, at + AHEAD * stride)
            strips.move_strip(packed, 0, width, lists.index, first, last, out.W, at, params.W, at, kept, scale, decay)
    else:
        for i in range(i0, i1):
            first, at = i * per_unit, i * stride + j
            last = first + lists.count[i, 0]
            strips.move_line(packed, 0, width, lists.index, first, last, out.W, at, params.W, at, kept, scale, decay)


@inlinable
def _move_listed(params, out, lists, packed, i0, i1, j, columns, width, both, step, centre, fast):
    """The step of rows i0 to i1 of W in a strip of columns by the sums of the listed rows, by what centring takes, and what L1
    and max-norm make of it. Where there are fast weights, strips are whole."""
    scale, decay, centred, constrained = step.positive, step.decay, step.slide.on, step.l1 > 0 or step.longest > 0
    kept = step.momentum if both else out.W.dtype.type(1)
    has_fast, fast_W, chain_W, scale_fast, kept_fast = fast_weights.of_strips(fast, params, out, both)
    if columns == width and not centred and not constrained and not has_fast:
        _move_plain(params, out, lists, packed, i0, i1, j, width, kept, step)
        return
    stride, per_unit = out.W.strides[0] // out.W.itemsize, lists.index.shape[1]
    old_w, old_d = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE), carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    steps, offsets = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE), carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    taken, squares = carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE), carray(stack_like(out.W, _STRIP_SIZE), _STRIP_SIZE)
    squares = squares[: columns if step.longest > 0 else 0]
    for x in (old_w, old_d, squares):
        for e in range(len(x)):
            x[e] = 0
    if centred:
        _copy_strip(centre.step_h, j, columns, steps)
        _copy_strip(centre.h, j, columns, offsets)
        rows = centre.rows[j // width]
    for start in range(i0, i1, BLOCK):
        for e in range(len(taken)):
            taken[e] = 0
        for i in range(start, min(start + BLOCK, i1)):
            first, at = i * per_unit, i * stride + j
            last = first + lists.count[i, 0]
            if columns == width:
                strips.prefetch_strip(params.W, at + AHEAD * stride)
                strips.prefetch_strip(out.W, at + AHEAD * stride)
                if has_fast:
                    strips.prefetch_strip(fast_W, at + AHEAD * stride)
                    strips.prefetch_strip(chain_W, at + AHEAD * stride)
                    more = fast_W, at, kept_fast, scale_fast
                    strips.move_both(
                        packed, 0, width, lists.index, first, last, out.W, at, params.W, at, kept, scale, decay, *more
                    )
                else:
                    strips.move_strip(packed, 0, width, lists.index, first, last, out.W, at, params.W, at, kept, scale, decay)
                if centred:
                    rows[i] = strips.center_strip(out.W, at, params.W, at, centre.v[i], centre.step_v[i], steps, offsets, taken)
            else:
                w, d = params.W[i, j : j + columns], out.W[i, j : j + columns]
                for e in range(len(w)):
                    old_w[e], old_d[e] = w[e], d[e]
                strips.move_strip(packed, 0, width, lists.index, first, last, old_d, 0, old_w, 0, kept, scale, decay)
                if centred:
                    rows[i] = strips.center_strip(old_d, 0, old_w, 0, centre.v[i], centre.step_v[i], steps, offsets, taken)
                for e in range(len(w)):
                    w[e], d[e] = old_w[e], old_d[e]
            if constrained:
                options.constrain_row(params.W[i, j : j + columns], step.l1, squares)
            if has_fast and step.longest == 0:
                strips.add_strip(params.W, at, fast_W, at, chain_W, at)
        if centred:
            sums = centre.columns[start // BLOCK, j : j + columns]
            for e in range(len(sums)):
                sums[e] = taken[e]
    if step.longest > 0:
        options.limit(params.W[i0:i1], j, squares, step.longest)
        fast_weights.add_rows(fast, params, i0, i1, j, j + columns)


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
def move_hidden(params, out, positive, negative, step, centre, fast, j0, j1):
    """The step of the hidden biases j0 to j1, from a word on, and their offsets' moves."""
    sums_p, sums_m = carray(stack_like(out.W, WORD), WORD), carray(stack_like(out.W, WORD), WORD)
    for j in range(j0, j1, WORD):
        end = min(j + WORD, j1)
        c, d, steps = params.c[j:end], out.c[j:end], centre.step_h[j:end]
        p, m = sums_p[: len(c)], sums_m[: len(c)]
        _sum_columns(positive.h, None, j, p)
        _sum_columns(negative.h, None, j, m)
        set_steps(p, m, step, steps, centre.h[j:end])
        for e in range(len(c)):
            d[e] = multiply_add(step.momentum, d[e], steps[e])
            c[e] += d[e]
        fast_weights.follow_hidden(fast, p, m, j, end)


@inlinable
def _add_products(blas, out, positive, negative, nh, step, i0, i1):
    one, kept = out.dtype.type(1), step.momentum
    if not positive.listed:
        gemm(blas, True, False, step.positive, positive.v[:, i0:i1], positive.h[:, :nh], kept, out[i0:i1, :nh])
        kept = one
    if not negative.listed:
        gemm(blas, True, False, -step.negative, negative.v[:, i0:i1], negative.h[:, :nh], kept, out[i0:i1, :nh])


@inlinable
def multiply_rows(blas, params, out, positive, negative, nh, step, fast, i0, i1):
    """Rows i0 to i1 of W: out = momentum out + v'h of the phases without lists, with their scales; and so for fast weights.

    If neither has lists, and the step is not centred, params move by it.
    """
    _add_products(blas, out.W, positive, negative, nh, step, i0, i1)
    if fast is not None and fast.on:
        _add_products(blas, fast.fast.W, positive, negative, nh, fast, i0, i1)
    if not (positive.listed or negative.listed or step.slide.on):
        for i in range(i0, i1):
            _move(params.W[i, :nh], out.W[i, :nh], step.decay)


@inlinable
def move_columns(params, out, positive, negative, lists, packed, step, centre, fast, i0, i1, j0, j1, end):
    """Rows i0 to i1, columns j0 to j1 of W: the sums of the phases with lists, and the step; after `multiply_rows` of all rows.

    Rows are all of them where max-norm adds up whole columns, else they begin with a block.

    packed : a buffer for a strip of the hidden means of both phases
    centre : where the step is centred, the biases' steps are set already
    end : j1, or where whole words end beyond the last column, if the arrays are that wide
    """
    listed = positive.listed or negative.listed
    if listed or step.slide.on:
        one, n = out.W.dtype.type(1), len(positive.h) if positive.listed else 0
        both, factor = positive.listed and negative.listed, -step.ratio
        rows = n + len(negative.h) if negative.listed else n
        wide, line = STRIP // out.W.itemsize, LINE // out.W.itemsize
        alone = not (step.slide.on or step.l1 > 0 or step.longest > 0 or fast_weights.is_on(fast))
        narrow = rows * STRIP > NEAR and alone
        j = j0
        while j < end:
            width = line if narrow and end - j >= line else wide
            columns = min(width, end - j)
            if positive.listed:
                _pack_strip(positive.h, one, 0, j, columns, width, packed)
            if negative.listed:
                _pack_strip(negative.h, factor, n, j, columns, width, packed)
            _move_listed(params, out, lists, packed, i0, i1, j, columns, width, both, step, centre, fast)
            j += width
    elif step.l1 > 0 or step.longest > 0:
        options.constrain(params.W[i0:i1], j0, j1, step.l1, step.longest)
    if not (listed or step.slide.on):
        fast_weights.add_rows(fast, params, i0, i1, j0, j1)


@inlinable
def sum_visible(v, weight, out):
    for i in range(0, len(out), WORD):
        _sum_columns(v, weight, i, out[i : i + WORD])


@inlinable
def move_visible(params, out, step, centre, i0, i1):
    """The step of the visible biases i0 to i1; where it is centred after `move_columns` of all of W."""
    b, d, steps = params.b[i0:i1], out.b[i0:i1], centre.step_v[i0:i1]
    for i in range(len(b)):
        d[i] = multiply_add(step.momentum, d[i], steps[i])
        b[i] += d[i]
    if step.slide.on:
        center_visible(params, centre, i0, i1)


@kernel
def begin(first, last, positive, negative, step, centre):
    """The visible units' steps and the moves of their offsets, before `multiply` and `update`."""
    sums_p, sums_m = np.empty_like(centre.step_v), np.empty_like(centre.step_v)
    sum_visible(positive.v, positive.weight, sums_p)
    sum_visible(negative.v, negative.weight, sums_m)
    set_steps(sums_p, sums_m, step, centre.step_v, centre.v)


@kernel
def finish(first, last, params, out, step, centre):
    """The visible biases, and the hidden ones of a centred step, after `update`."""
    move_visible(params, out, step, centre, 0, len(params.b))
    if step.slide.on:
        center_hidden(params, centre, 0, len(params.c))


@inlinable
def _summed(phase):
    return Summed(phase.v, phase.h, worth_listing(count_ones(phase.v), phase.v.shape[0], phase.v.shape[1]))


@kernel
def multiply(first, last, blas, params, out, positive, negative, step):
    """`multiply_rows` of parts of the rows of W, where a phase is not worth listing."""
    nv, nh = out.W.shape
    data, chains = _summed(positive), _summed(negative)
    for p in range(first, last):
        multiply_rows(blas, params, out, data, chains, nh, step, None, edge(p, nv), edge(p + 1, nv))


@kernel
def update(first, last, params, out, positive, negative, step, centre):
    """out = momentum out + positive phase - negative phase; params then move by out less the decay; by parts of columns.

    After `begin` and `multiply`; `finish` does the biases. In an update out is the velocity.
    """
    (nv, nh), real = out.W.shape, out.W.dtype
    data, chains = _summed(positive), _summed(negative)
    n, m = len(data.v) if data.listed else 0, len(chains.v) if chains.listed else 0
    lists = Lists(np.empty((nv, n + m + APART), np.uint16), np.zeros((nv, 2), np.int32))
    packed = np.empty((n + m) * STRIP // 4, real)
    words_p, words_m = np.empty((n, count_words(nv)), np.uint64), np.empty((m, count_words(nv)), np.uint64)
    for r in range(n):
        pack_row(data.v[r], words_p[r])
    for r in range(m):
        pack_row(chains.v[r], words_m[r])
    list_units(words_p, n, words_m, m, lists, 0, words_p.shape[1])
    for p in range(first, last):
        j0, j1 = edge(p, nh), edge(p + 1, nh)
        move_hidden(params, out, data, chains, step, centre, None, j0, j1)
        move_columns(params, out, data, chains, lists, packed, step, centre, None, 0, nv, j0, j1, j1)


@kernel
def move(first, last, p, velocity, gradient, rate, momentum, decay):
    """velocity = momentum velocity + rate gradient - decay p, then p += velocity, of rows; the gradient is written over.

    One loop for each operation, so that each is rounded: in a sum of two products the compiler may fuse either.
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
