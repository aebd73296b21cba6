"""Draws of those visible units that a mask names, and what they change in the fields of the hidden units.

Of few units the whole products are not needed: a product of two rows gives a unit's field, and the change of its state times its
row of weights is added to the hidden units' fields, while that row is in the cache.
"""

import functools

import numpy as np
from numba import carray

from fastdbn.backends.cpu import simd
from fastdbn.backends.cpu.binary import count_words, pack_word
from fastdbn.backends.cpu.gate import uncounted
from fastdbn.backends.cpu.jit import kernel
from fastdbn.backends.cpu.kernels import noise_of, prepare_unit
from fastdbn.backends.cpu.pool import PASS
from fastdbn.backends.cpu.simd import LINE, WORD, lowest_bit, multiply_add, stack_like
from fastdbn.units.unit import Unit

ROWS = 8
"""Rows of a block."""
SHARED = 4
"""Units whose noise is made together."""


@functools.cache
def _drawn(unit):
    """Blocks of rows: states v (B, nv) that the mask names, drawn given the states h of the hidden units, whose fields follow."""
    prepare_unit(unit)
    mean_of, draw, fill = unit.mean, unit.draw, noise_of(unit)

    def run(first, last, h, W, bias, mask, rows, key, v, field):
        h, W, bias, mask, rows, v, field = uncounted((h, W, bias, mask, rows, v, field))
        noise, n, per = carray(stack_like(v, SHARED), SHARED), W.shape[1], LINE // W.itemsize
        whole, stride, stride_w = n // per, h.strides[0] // h.itemsize, W.strides[0] // W.itemsize
        for r in range(first * ROWS, min(last * ROWS, len(rows))):
            x, f, made = v[r], field[r], -1
            for q in range(count_words(len(x))):
                word = pack_word(mask[r], q)
                while word != 0:
                    i = q * WORD + lowest_bit(word)
                    word &= word - np.uint64(1)
                    s = simd.dot_lines(h, r * stride, W, i * stride_w, whole)
                    for j in range(whole * per, n):
                        s = multiply_add(h[r, j], W[i, j], s)
                    s += bias[i]
                    if i // SHARED != made:
                        made = i // SHARED
                        fill(noise, made * SHARED, rows[r], key)
                    new = draw(s, mean_of(s), noise[i % SHARED])
                    change, w = new - x[i], W[i]
                    x[i] = new
                    if change != 0:
                        for j in range(len(f)):
                            f[j] = multiply_add(change, w[j], f[j])

    return kernel(run)


@kernel
def _assign_rows(first, last, x, mask, values):
    """x = values, or 0 for None, where the mask is not zero, in rows."""
    zero = x.dtype.type(0)
    for r in range(first, last):
        row, m = x[r], mask[r]
        if values is None:
            for j in range(len(row)):
                row[j] = zero if m[j] != 0 else row[j]
        else:
            new = values[r]
            for j in range(len(row)):
                row[j] = new[j] if m[j] != 0 else row[j]


def redraw(run, unit, h, W, bias, mask, rows, key, v, field):
    """`Backend.redraw`, where all units are of one type and are drawn one by one from what their own field says.

    run : (kernel, number of blocks, work, *arguments) -> None
    """
    alone = isinstance(unit, Unit) and unit.group == 1 and unit.noise != "own" and not unit.keeps_total
    if alone and W.flags.c_contiguous:
        work = 4 * np.count_nonzero(mask) * W.shape[1]
        run(_drawn(unit), -(-len(v) // ROWS), work, h, W, bias, mask, rows, key, v, field)
        return True
    return False


def assign_where(run, x, mask, values):
    """`Backend.assign_where`; what missing values need is one loop."""
    if x.ndim == 2 and mask.dtype == x.dtype and mask.shape == x.shape:
        run(_assign_rows, len(x), PASS * x.size, x, mask, values)
    else:
        np.copyto(x, 0 if values is None else values, where=mask if mask.dtype == np.bool_ else mask != 0)
