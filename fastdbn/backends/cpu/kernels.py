"""The CPU kernels: loops over blocks of rows and columns, compiled for a unit type.

Every kernel takes a range of blocks (first, last). Blocks depend on shapes alone, a block's result on the block alone, and sums
run in a fixed order. So results are the same bits however the blocks are shared out.
Shapes: B rows, n units of the layer computed, W row-major; `blas` holds the addresses of backends/blas.py.
"""

import functools

import numpy as np

from fastdbn.backends.cpu import binary
from fastdbn.backends.cpu.jit import address_of, call, inlinable, inlined, kernel
from fastdbn.maths import rng

ROWS, TALL, BLOCKS = 512, 2048, 8
"""Rows of a block of a layer; its columns are a part of them (binary.py), or all where there are many such rows. Of more
rows than that fill so many blocks, blocks are taller: BLAS packs the weights for each."""

_CHUNK = 64
"""Numbers of noise that units which make their own get a buffer for."""


@inlinable
def _count_across(rows, n, whole):
    return 1 if whole or rows > 2 * ROWS else binary.count_parts(n)


@inlinable
def _height(rows):
    return max(ROWS, min(TALL, rows // (BLOCKS * ROWS) * ROWS))


@inlinable
def count_blocks(rows, n, whole):
    """Blocks of a layer's (rows, n) matrix: rows by parts of the columns, or by all of them where `whole` is set."""
    height = _height(rows)
    return (rows + height - 1) // height * _count_across(rows, n, whole)


blocks_of = functools.lru_cache(1024)(count_blocks)
"""The same from Python, which counts the blocks of a few shapes again and again."""


@inlinable
def block(t, rows, n, whole):
    """The edges r0, r1, j0, j1 of block t."""
    across, height = _count_across(rows, n, whole), _height(rows)
    r0, p = t // across * height, t % across
    return r0, min(r0 + height, rows), 0 if across == 1 else binary.edge(p, n), n if across == 1 else binary.edge(p + 1, n)


@inlinable
def begin_field(x, n, transpose):
    """The method of a product of states with weights to n outputs, and the buffers that it needs."""
    method = binary.choose(binary.count_ones(x), x.shape[0], x.shape[1], n, transpose, binary.in_registers(x))
    return method, binary.make_states(x, 0 if binary.reads_floats(method) else min(x.shape[0], ROWS))


@inlinable
def step_of(method):
    """Rows of a block that are multiplied together: those of words stay in the cache."""
    return TALL if binary.reads_floats(method) else ROWS


@inlinable
def field_block(method, buffer, ready, blas, x, W, transpose, out, r0, r1, j0, j1):
    """A block of out = x W, or x W'; ready is the first row of those that were prepared last, and the new one is returned."""
    rows = r1 - r0
    states = binary.States(x[r0:r1], buffer.words, buffer.index, buffer.starts, buffer.offsets, buffer.codes)
    if not binary.reads_floats(method) and r0 != ready:
        for r in range(rows):
            binary.pack_row(x[r0 + r], buffer.words[r])
        binary.prepare(method, states, x.shape[1], 0, rows)
    binary.product(method, blas, states, x.shape[1], W, transpose, out[r0:r1], 0, rows, j0, j1)
    return r0


@kernel
def field_rows(method, buffer, ready, blas, x, W, transpose, out, r0, r1, j0, j1):
    """`field_block` for kernels that call it by its address."""
    return field_block(method, buffer, ready, blas, x, W, transpose, out, r0, r1, j0, j1)


_addresses: dict = {}


def field_at(blas, x, W, out):
    """(address of the code of `field_rows` for arrays of these types, blas)."""
    key = x.dtype.num, x.flags.num, W.flags.num, out.flags.num
    if key not in _addresses:
        arguments = binary.BLAS, binary.make_states(x, 0), 0, blas, x, W, False, out, 0, 0, 0, 0
        _addresses[key] = address_of(field_rows, *arguments)
    return _addresses[key], blas


@inlinable
def field_blocks(first, last, blas, x, W, transpose, out, whole):
    """Blocks of out = x W, or x W', each while what its rows were prepared to is in the cache."""
    method, buffer = begin_field(x, out.shape[1], transpose)
    ready = -1
    for t in range(first, last):
        r0, r1, j0, j1 = block(t, out.shape[0], out.shape[1], whole)
        for r in range(r0, r1, step_of(method)):
            end = min(r + step_of(method), r1)
            ready = field_block(method, buffer, ready, blas, x, W, transpose, out, r, end, j0, j1)


@inlinable
def _nothing(out, first, row, key):
    pass


def noise_of(unit):
    """The function (out, first unit, row, key) that writes the noise that draws of a unit type take."""
    return {"uniform": rng.uniforms, "normal": rng.normals}.get(unit.noise, _nothing)


def prepare_unit(unit):
    for function in (unit.mean, unit.draw, unit.cgf, unit.base, unit.slope):
        inlined(function)


@inlinable
def factor_of(beta, i):
    """The inverse temperature of a row, or None."""
    return None if beta is None else beta[i]


def tempered(s, beta):
    """A field at an inverse temperature, or at 1 for None."""
    return s if beta is None else s * beta


inlined(tempered)


@inlinable
def _add_up(s, t):
    """The sum of two rows of four numbers, one after the other."""
    return (((((((0.0 + s[0]) + s[1]) + s[2]) + s[3]) + t[0]) + t[1]) + t[2]) + t[3]


@inlinable
def total_of(x):
    """The sum of a vector in float64: eight sums side by side, as vectors have them, then their sum."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0  # an array of eight would be memory that is asked for
    whole = len(x) // 8 * 8
    for j in range(0, whole, 8):
        a = x[j : j + 8]
        s0 += np.float64(a[0])
        s1 += np.float64(a[1])
        s2 += np.float64(a[2])
        s3 += np.float64(a[3])
        s4 += np.float64(a[4])
        s5 += np.float64(a[5])
        s6 += np.float64(a[6])
        s7 += np.float64(a[7])
    total = _add_up((s0, s1, s2, s3), (s4, s5, s6, s7))
    for j in range(whole, len(x)):
        total += np.float64(x[j])
    return total


@inlinable
def _trials(states, i, start, stop):
    return 1.0 if states is None else total_of(states[i, start:stop])


@functools.cache
def activate_block(unit):
    """Plain function (group, bias, mean, states, rows, key, beta, shift, r0, r1, j0, j1): fields become means, states draws.

    The noise of column j has number j + shift. It is written into the states and then replaced by the draws.
    """
    prepare_unit(unit)
    mean_of, draw, fill = unit.mean, unit.draw, noise_of(unit)

    def single(group, bias, mean, states, rows, key, beta, shift, r0, r1, j0, j1):
        b = bias[j0:j1]  # slices, because the compiler vectorises loops whose indices begin at zero
        for i in range(r0, r1):
            m, factor = mean[i, j0:j1], factor_of(beta, i)
            if states is None:
                for j in range(len(m)):
                    m[j] = mean_of(tempered(m[j] + b[j], factor))
            else:
                x = states[i, j0:j1]
                fill(x, j0 + shift, rows[i], key)
                for j in range(len(m)):
                    s = tempered(m[j] + b[j], factor)
                    mu = mean_of(s)
                    x[j] = draw(s, mu, x[j])
                    m[j] = mu

    def grouped(group, bias, mean, states, rows, key, beta, shift, r0, r1, j0, j1):
        b = bias[j0:j1]
        for i in range(r0, r1):
            m, factor = mean[i, j0:j1], factor_of(beta, i)
            for j in range(len(m)):
                m[j] = tempered(m[j] + b[j], factor)
            for g in range(0, len(m), group):
                mean_of(m[g : g + group], m[g : g + group])
            if states is not None:
                x = states[i, j0:j1]
                fill(x, j0 + shift, rows[i], key)
                for g in range(0, len(m), group):
                    draw(m[g : g + group], x[g], x[g : g + group])

    def counted(group, bias, mean, states, rows, key, beta, shift, r0, r1, j0, j1):
        b, noise = bias[j0:j1], np.empty(_CHUNK, mean.dtype)
        for i in range(r0, r1):
            m, factor = mean[i, j0:j1], factor_of(beta, i)
            for j in range(len(m)):
                m[j] = tempered(m[j] + b[j], factor)
            mean_of(m, m)
            if states is not None:
                x = states[i, j0:j1]
                total = total_of(x)
                if key is not None:
                    draw(m, total, j0 + shift, rows[i], key, noise, x)
                for j in range(len(m)):
                    m[j] *= total

    return inlinable(single if unit.group == 1 else counted if unit.keeps_total else grouped)


@functools.cache
def activate(unit):
    """Activation of columns (start, stop, number of the first one's noise) of a layer, by blocks of them alone."""
    rows_of, whole = activate_block(unit), unit.group != 1

    def run(first, last, group, columns, bias, mean, states, rows, key, beta):
        start, stop, number = columns
        for t in range(first, last):
            r0, r1, j0, j1 = block(t, mean.shape[0], stop - start, whole)
            rows_of(group, bias, mean, states, rows, key, beta, number - start, r0, r1, start + j0, start + j1)

    return kernel(run)


@functools.cache
def conditional(unit):
    """Field of a range of blocks, and if `activates` its activation, each block while it is still in the cache.

    The field's code is called at its place (`field_at`), because one serves all unit types.
    """
    rows_of, whole = activate_block(unit), unit.group != 1

    def run(first, last, place, blas, group, x, W, transpose, bias, mean, states, rows, key, beta, activates):
        method, buffer = begin_field(x, mean.shape[1], transpose)
        ready = -1
        for t in range(first, last):
            r0, r1, j0, j1 = block(t, mean.shape[0], mean.shape[1], whole)
            for r in range(r0, r1, step_of(method)):
                end = min(r + step_of(method), r1)
                ready = call(place, (method, buffer, ready, blas, x, W, transpose, mean, r, end, j0, j1))
                if activates:
                    rows_of(group, bias, mean, states, rows, key, beta, 0, r, end, j0, j1)

    return kernel(run)


@kernel
def scale_rows(x, weight):
    for i in range(len(weight)):
        for j in range(x.shape[1]):
            x[i, j] *= weight[i]


@inlinable
def inner(x, y):
    """The product of two vectors in float64, summed as `total_of` does."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = len(x) // 8 * 8
    for j in range(0, whole, 8):
        a, b = x[j : j + 8], y[j : j + 8]
        s0 += np.float64(a[0]) * np.float64(b[0])
        s1 += np.float64(a[1]) * np.float64(b[1])
        s2 += np.float64(a[2]) * np.float64(b[2])
        s3 += np.float64(a[3]) * np.float64(b[3])
        s4 += np.float64(a[4]) * np.float64(b[4])
        s5 += np.float64(a[5]) * np.float64(b[5])
        s6 += np.float64(a[6]) * np.float64(b[6])
        s7 += np.float64(a[7]) * np.float64(b[7])
    total = _add_up((s0, s1, s2, s3), (s4, s5, s6, s7))
    for j in range(whole, len(x)):
        total += np.float64(x[j]) * np.float64(y[j])
    return total


@functools.cache
def row_cgf(unit):
    """Plain function (group, s): the sum of the log normalisers of a row of inputs s, which is spent; in float64."""
    prepare_unit(unit)
    cgf_of = unit.cgf

    def single(group, s):
        for j in range(len(s)):
            s[j] = cgf_of(s[j])
        return total_of(s)

    def grouped(group, s):
        total = 0.0
        for g in range(0, len(s), group):
            total += np.float64(cgf_of(s[g : g + group]))
        return total

    return inlinable(single if unit.group == 1 else grouped)


@functools.cache
def cgf(unit):
    """out += the rows' sums over columns (start, stop), times the totals of states where these are given."""
    log_normaliser = row_cgf(unit)

    def run(first, last, group, columns, field, bias, states, out, beta):
        start, stop, _ = columns
        s, b = np.empty(stop - start, field.dtype), bias[start:stop]
        for i in range(first, last):
            x, factor = field[i, start:stop], factor_of(beta, i)
            for j in range(len(s)):
                s[j] = tempered(x[j] + b[j], factor)
            out[i] += log_normaliser(group, s) * _trials(states, i, start, stop)

    return kernel(run)


@functools.cache
def cgf_shifted(unit):
    log_normaliser = row_cgf(unit)

    def run(first, last, group, field, bias, W, step, out):
        n = field.shape[1]
        start, s = np.empty(n, field.dtype), np.empty(n, field.dtype)
        for r in range(first, last):
            x = field[r]
            for j in range(n):
                start[j] = x[j] + bias[j]
            for i in range(W.shape[0]):
                w, a = W[i], step[r, i]
                for j in range(n):
                    s[j] = start[j] + a * w[j]
                out[r, i] = log_normaliser(group, s)

    return kernel(run)


@functools.cache
def row_base(unit):
    """Plain function (group, x, first, step): the sum in float64 of the base measure's energies of every step-th unit or group of
    a row, from `first` on."""
    prepare_unit(unit)
    base_of = unit.base

    def single(group, x, first, step):
        total = 0.0
        for j in range(first, len(x), step):
            total += np.float64(base_of(x[j]))
        return total

    def grouped(group, x, first, step):
        total = 0.0
        for g in range(first * group, len(x), step * group):
            total += np.float64(base_of(x[g : g + group]))
        return total

    return inlinable(single if unit.group == 1 else grouped)


@functools.cache
def base(unit):
    """out += the rows' sums over columns (start, stop)."""
    energy = row_base(unit)

    def run(first, last, group, columns, x, out):
        start, stop, _ = columns
        for i in range(first, last):
            out[i] += energy(group, x[i, start:stop], 0, 1)

    return kernel(run)


@kernel
def dot(first, last, x, vector, out):
    for i in range(first, last):
        out[i] = inner(x[i], vector)


@kernel
def dot_rows(first, last, x, y, out):
    for i in range(first, last):
        out[i] = inner(x[i], y[i])


@kernel
def square_sum(x):
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i]) * np.float64(x[i])
    return total
