"""The statistics of CD and the step of the weights, in one pass over W: kernels over blocks of the rows of W.

A side of the gradient whose visible states are zeros and ones is added up by lists, where cpu_binary.py finds that cheaper, in
the very pass that moves W; else BLAS multiplies it into the velocity first.
"""

from typing import Any, NamedTuple

from numba import carray

from fastdbn.backends.blas import gemm
from fastdbn.backends.cpu_binary import LISTED, STARTS, list_rows
from fastdbn.backends.cpu_kernels import column_width
from fastdbn.backends.jit import inlinable, kernel
from fastdbn.backends.simd import STRIP, add_listed, stack_like, stack_shorts


class Listed(NamedTuple):
    """Room for one side's lists of rows, a list a visible unit (cpu_binary.list_rows), and for the sums of a strip of columns."""

    index: Any
    starts: Any
    sums: Any


@inlinable
def _make_room(W):
    return Listed(
        carray(stack_shorts(W, LISTED), LISTED),
        carray(stack_shorts(W, STARTS), STARTS),
        carray(stack_like(W, STRIP), STRIP),
    )


@inlinable
def _row_scale(scale, weight, r):
    if weight is None:
        return scale
    else:
        return scale * weight[r]


@inlinable
def _biases(side, scale, momentum, out, i0, i1):
    """Add scale times one side's sums to momentum times out: b[i0:i1], and with the last block c."""
    v, h = side.v, side.h
    b = out.b[i0:i1]
    for j in range(len(b)):
        b[j] *= momentum
    for r in range(v.shape[0]):
        w, x = _row_scale(scale, side.weight, r), v[r, i0:i1]
        for j in range(len(b)):
            b[j] += w * x[j]
    if i1 == len(out.b):
        c = out.c
        for j in range(len(c)):
            c[j] *= momentum
        for r in range(h.shape[0]):
            x = h[r]
            for j in range(len(c)):
                c[j] += scale * x[j]


@inlinable
def _move(w, d, decay):
    """The step of some weights w by their velocity d, less decay."""
    for j in range(len(w)):
        d[j] -= decay * w[j]
        w[j] += d[j]


@inlinable
def _weights(blas, params, out, plus, minus, plus_scale, minus_scale, momentum, decay, i0, i1, p, m):
    """Rows i0 to i1 of W: out = momentum out + plus_scale v'h of plus - minus_scale that of minus, and the step by it."""
    nh, kept = out.W.shape[1], momentum
    lists_p = list_rows(plus.v, i0, i1, nh, p.index, p.starts)
    lists_m = list_rows(minus.v, i0, i1, nh, m.index, m.starts)
    for e in range(STRIP):  # a side that is not listed adds nothing below
        p.sums[e] = 0
        m.sums[e] = 0
    if not lists_p:
        gemm(blas, True, False, plus_scale, plus.v[:, i0:i1], plus.h, kept, out.W[i0:i1])
        kept = out.W.dtype.type(1)
    if not lists_m:
        gemm(blas, True, False, -minus_scale, minus.v[:, i0:i1], minus.h, kept, out.W[i0:i1])
        kept = out.W.dtype.type(1)
    if lists_p or lists_m:
        row_p, row_m = plus.h.strides[0] // plus.h.itemsize, minus.h.strides[0] // minus.h.itemsize
        for j in range(0, nh, STRIP):
            at = min(j, nh - STRIP)  # the last strip overlaps the one before it, whose columns are done
            sums_p, sums_m = p.sums[j - at :], m.sums[j - at :]
            for i in range(i1 - i0):
                d = out.W[i0 + i, j : j + STRIP]
                if lists_p:
                    add_listed(plus.h[0], row_p, at, p.index, p.starts[i], p.starts[i + 1], p.sums)
                if lists_m:
                    add_listed(minus.h[0], row_m, at, m.index, m.starts[i], m.starts[i + 1], m.sums)
                for e in range(len(d)):
                    d[e] = kept * d[e] + (plus_scale * sums_p[e] - minus_scale * sums_m[e])
                if params is not None:
                    _move(params.W[i0 + i, j : j + STRIP], d, decay)
    elif params is not None:
        for i in range(i0, i1):
            _move(params.W[i], out.W[i], decay)


@inlinable
def update_blocks(first, last, blas, params, out, plus, minus, plus_scale, minus_scale, momentum, decay):
    """out = momentum out + plus_scale (plus) - minus_scale (minus), then params, unless None, move by it, less decay.

    In an update out is the velocity, the scales include the learning rate, and decay is rate times weight decay.
    """
    nv, one = out.W.shape[0], out.W.dtype.type(1)
    width = column_width(nv, False)
    p, m = _make_room(out.W), _make_room(out.W)
    for t in range(first, last):
        i0, i1 = t * width, min(t * width + width, nv)
        _weights(blas, params, out, plus, minus, plus_scale, minus_scale, momentum, decay, i0, i1, p, m)
        _biases(plus, plus_scale, momentum, out, i0, i1)
        _biases(minus, -minus_scale, one, out, i0, i1)
        if params is not None:
            for i in range(i0, i1):
                params.b[i] += out.b[i]
            if i1 == nv:
                for j in range(len(params.c)):
                    params.c[j] += out.c[j]


@kernel
def statistics(first, last, blas, plus, minus, plus_scale, minus_scale, out):
    zero = out.W.dtype.type(0)
    update_blocks(first, last, blas, None, out, plus, minus, plus_scale, minus_scale, zero, zero)


@kernel
def update(first, last, blas, params, velocity, plus, minus, plus_scale, minus_scale, momentum, decay):
    update_blocks(first, last, blas, params, velocity, plus, minus, plus_scale, minus_scale, momentum, decay)
