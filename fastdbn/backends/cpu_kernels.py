"""The CPU kernels: loops over blocks of rows and columns, compiled for a unit type.

Every kernel takes a range of blocks (first, last). The blocks depend on the shapes alone, a block's result on nothing
outside of it, and sums run in a fixed order, so that results are the same bits however the blocks are shared out.
Shapes: B rows, n units of the layer computed, W row-major; `blas` holds the addresses of backends/blas.py.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn import rng
from fastdbn.backends import cpu_binary
from fastdbn.backends.cpu_product import multiply
from fastdbn.backends.jit import inlinable, inlined, kernel

ROWS, COLUMNS = 512, 256
"""A block of a layer: BLAS loses 3 to 6 % with 256 columns against the whole width, and over 10 % with 128."""
ROWS_TAKEN = 64
"""Rows of a minibatch gathered in a block."""


@inlinable
def column_width(n, whole):
    """The width of a block of columns of n: equal parts of at most COLUMNS, multiples of 16; n where whole is set."""
    if whole:
        return n
    parts = (n + COLUMNS - 1) // COLUMNS
    return max((n + 16 * parts - 1) // (16 * parts) * 16, 16)


@inlinable
def count_blocks(rows, n, whole):
    """Blocks of a layer's (rows, n) matrix."""
    width = column_width(n, whole)
    return (rows + ROWS - 1) // ROWS * ((n + width - 1) // width)


@inlinable
def block(t, rows, n, whole):
    """The edges r0, r1, j0, j1 of block t."""
    width = column_width(n, whole)
    across = (n + width - 1) // width
    r0, j0 = t // across * ROWS, t % across * width
    return r0, min(r0 + ROWS, rows), j0, min(j0 + width, n)


@inlinable
def field_block(blas, way, t, x, W, transpose, out, whole):
    """One block of out = x W, or x W', in one of the ways of cpu_binary.py; returns the block's edges.

    Gathering takes rows, whole ones, and there are as many blocks as otherwise.
    """
    rows, n = out.shape
    r0, r1, j0, j1 = block(t, rows, n, whole)
    if way == cpu_binary.GATHER:
        blocks = count_blocks(rows, n, whole)
        r0, r1, j0, j1 = rows * t // blocks, rows * (t + 1) // blocks, 0, n
        cpu_binary.gather(x, W, out, r0, r1)
    elif way == cpu_binary.TABLES:
        j0, j1 = cpu_binary.edges(j0, j1, n)
        cpu_binary.tables(x, W, transpose, out, r0, r1, j0, j1)
    elif transpose:
        multiply(False, True, x[r0:r1], W[j0:j1], False, out[r0:r1, j0:j1])
    else:
        multiply(False, False, x[r0:r1], W[:, j0:j1], False, out[r0:r1, j0:j1])
    return r0, r1, j0, j1


@kernel
def field(first, last, blas, x, W, transpose, out):
    way = cpu_binary.choose(x, out.shape[1], transpose)
    for t in range(first, last):
        field_block(blas, way, t, x, W, transpose, out, False)


@functools.cache
def _noise(kind):
    def nothing(out, first, row, key):
        pass

    return {"uniform": rng.uniforms, "normal": rng.normals, "none": inlinable(nothing)}[kind]


def prepare(unit):
    for function in (unit.mean, unit.draw, unit.cgf, unit.base, unit.slope):
        inlined(function)


@functools.cache
def activate_block(unit):
    """Plain function (group, bias, mean, states, rows, key, r0, r1, j0, j1): fields in mean become means, states draws.

    The noise is written into the states first and replaced by the draws, so no other buffer is needed.
    """
    prepare(unit)
    mean_of, draw, fill = unit.mean, unit.draw, _noise(unit.noise)

    def single(group, bias, mean, states, rows, key, r0, r1, j0, j1):
        b = bias[j0:j1]  # slices, for indices from zero are what the compiler vectorises
        for i in range(r0, r1):
            m = mean[i, j0:j1]
            if states is None:
                for j in range(len(m)):
                    m[j] = mean_of(m[j] + b[j])
            else:
                x = states[i, j0:j1]
                fill(x, j0, rows[i], key)
                for j in range(len(m)):
                    s = m[j] + b[j]
                    mu = mean_of(s)
                    x[j] = draw(s, mu, x[j])
                    m[j] = mu

    def grouped(group, bias, mean, states, rows, key, r0, r1, j0, j1):
        for i in range(r0, r1):
            m = mean[i]
            for j in range(len(m)):
                m[j] += bias[j]
            for g in range(0, len(m), group):
                mean_of(m[g : g + group], m[g : g + group])
            if states is not None:
                x = states[i]
                fill(x, 0, rows[i], key)
                for g in range(0, len(m), group):
                    draw(m[g : g + group], x[g], x[g : g + group])

    return inlinable(single if unit.group == 1 else grouped)


@functools.cache
def activate(unit):
    rows_of, whole = activate_block(unit), unit.group != 1

    def run(first, last, group, bias, mean, states, rows, key):
        for t in range(first, last):
            r0, r1, j0, j1 = block(t, mean.shape[0], mean.shape[1], whole)
            rows_of(group, bias, mean, states, rows, key, r0, r1, j0, j1)

    return kernel(run)


@functools.cache
def conditional_blocks(unit):
    """Plain function: field and activation of a range of blocks, each block while it is still in the cache."""
    rows_of, whole = activate_block(unit), unit.group != 1

    def run(first, last, blas, group, x, W, transpose, bias, mean, states, rows, key):
        way = cpu_binary.choose(x, mean.shape[1], transpose)
        for t in range(first, last):
            r0, r1, j0, j1 = field_block(blas, way, t, x, W, transpose, mean, whole)
            rows_of(group, bias, mean, states, rows, key, r0, r1, j0, j1)

    return inlinable(run)


@functools.cache
def conditional(unit):
    blocks = conditional_blocks(unit)

    def run(first, last, blas, group, x, W, transpose, bias, mean, states, rows, key):
        blocks(first, last, blas, group, x, W, transpose, bias, mean, states, rows, key)

    return kernel(run)


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
def prepare_rows(first, last, data, rows, key, out):
    """out[first:last] = those rows of dense data, prepared."""
    for i in range(first, last):
        row = rows[i]
        x, o = data.X[row], out[i]
        shift, scale = data.preparation.shift, data.preparation.scale
        if len(scale):
            for j in range(len(o)):
                o[j] = (x[j] - shift[j]) * scale[j]
        else:
            for j in range(len(o)):
                o[j] = x[j]
        _prepare_row(o, data.preparation, row, key)


@kernel
def take_dense(first, last, data, rows, key, out):
    for t in range(first, last):
        prepare_rows(t * ROWS_TAKEN, min(t * ROWS_TAKEN + ROWS_TAKEN, len(rows)), data, rows, key, out)


@kernel
def take_sparse(first, last, data, rows, key, out):
    for t in range(first, last):
        for i in range(t * ROWS_TAKEN, min(t * ROWS_TAKEN + ROWS_TAKEN, len(rows))):
            row, o = rows[i], out[i]
            for j in range(len(o)):
                o[j] = 0
            for e in range(data.starts[row], data.starts[row + np.uint32(1)]):
                o[data.columns[e]] += data.values[e]
            shift, scale = data.preparation.shift, data.preparation.scale
            for j in range(len(scale)):
                o[j] = (o[j] - shift[j]) * scale[j]
            _prepare_row(o, data.preparation, row, key)


@kernel
def scale_rows(x, weight):
    for i in range(len(weight)):
        for j in range(x.shape[1]):
            x[i, j] *= weight[i]


@functools.cache
def cgf(unit):
    prepare(unit)
    cgf_of = unit.cgf

    def run_groups(first, last, group, field, bias, out):
        for i in range(first, last):
            total = 0.0
            for j in range(field.shape[1]):
                field[i, j] += bias[j]
            for g in range(0, field.shape[1], group):
                total += np.float64(cgf_of(field[i, g : g + group]))
            out[i] = total

    def run_units(first, last, group, field, bias, out):
        for i in range(first, last):
            total = 0.0
            for j in range(field.shape[1]):
                total += np.float64(cgf_of(field[i, j] + bias[j]))
            out[i] = total

    return kernel(run_units if unit.group == 1 else run_groups)


@functools.cache
def base(unit):
    prepare(unit)
    base_of = unit.base

    def run_groups(first, last, group, x, out):
        for i in range(first, last):
            total = 0.0
            for g in range(0, x.shape[1], group):
                total += np.float64(base_of(x[i, g : g + group]))
            out[i] = total

    def run_units(first, last, group, x, out):
        for i in range(first, last):
            total = 0.0
            for j in range(x.shape[1]):
                total += np.float64(base_of(x[i, j]))
            out[i] = total

    return kernel(run_units if unit.group == 1 else run_groups)


@kernel
def dot(first, last, x, vector, out):
    for i in range(first, last):
        total = 0.0
        for j in range(x.shape[1]):
            total += np.float64(x[i, j]) * np.float64(vector[j])
        out[i] = total


@kernel
def dot_rows(first, last, x, y, out):
    for i in range(first, last):
        total = 0.0
        for j in range(x.shape[1]):
            total += np.float64(x[i, j]) * np.float64(y[i, j])
        out[i] = total


@kernel
def square_sum(x):
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i]) * np.float64(x[i])
    return total
