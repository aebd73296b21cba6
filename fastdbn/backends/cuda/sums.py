"""The formulas of sums that have a block for each item: losses, log normalisers, products of rows, norms.

The threads of a block share an item. Sums are in float64 unless a kernel says otherwise; their order depends on shapes alone.
"""

import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.backprop import softmax_row, unit_loss_row
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.kernels import prepare_unit, row_base
from fastdbn.backends.cuda.jit import THREADS, device, kernel, kernel_of
from fastdbn.maths import scalar


@functools.cache
def _block_sum(real):
    """Device function: the sum of the numbers that the threads of a block hold, to all of them."""

    def run(part):
        buffer = cuda.shared.array(THREADS, real)
        t, half = cuda.threadIdx.x, THREADS // 2
        buffer[t] = part
        cuda.syncthreads()
        while half > 0:
            if t < half:
                buffer[t] += buffer[t + half]
            cuda.syncthreads()
            half //= 2
        total = buffer[0]
        cuda.syncthreads()
        return total

    return device(run)


_sum_64 = _block_sum(np.float64)


EACH = """
def make(formula):
    def run(out, ARGUMENTS):
        for i in range(cuda.blockIdx.x, len(out), cuda.gridDim.x):
            total = _sum_64(formula(i, cuda.threadIdx.x, ARGUMENTS))
            if cuda.threadIdx.x == 0:
                out[i] = total
    return run
"""


@functools.cache
def each(formula):
    """The kernel (out, *arguments): out[i] = the sum over a block's threads t of formula(i, t, *arguments)."""
    return kernel_of(formula, 2, EACH, globals())


def softmax_loss(i, t, z, target, weight, scale, delta):
    """The row's loss, delta as in `backprop.softmax_row`; by one thread, because classes are few."""
    return softmax_row(z[i], target[i], weight[i], scale, delta[i]) if t == 0 else 0.0


def squared_loss(i, t, z, target, weight, scale, delta):
    """weight |z - target|^2 / 2 of a row; delta = scale weight (z - target)."""
    part = 0.0
    for j in range(t, z.shape[1], THREADS):
        d = z[i, j] - target[i, j]
        part += 0.5 * np.float64(weight[i]) * np.float64(d) * np.float64(d)
        delta[i, j] = scale * weight[i] * d
    return part


LOSSES = {"softmax": softmax_loss, "squared": squared_loss}


@functools.cache
def unit_loss(unit):
    """weight times -log p(target | s = z) of columns start to stop of a row; delta, which may be z, = scale weight (mean - x)."""
    loss = unit_loss_row(unit)

    def run(i, t, group, start, stop, z, target, weight, scale, delta):
        s, x, d = z[i, start:stop], target[i, start:stop], delta[i, start:stop]
        return np.float64(weight[i]) * loss(group, s, x, scale * weight[i], d, t, THREADS)

    return run


@kernel
def add_up(x, out, slot):
    """out[slot] = the sum of a vector; one block."""
    part = 0.0
    for i in range(cuda.threadIdx.x, len(x), THREADS):
        part += x[i]
    total = _sum_64(part)
    if cuda.threadIdx.x == 0:
        out[slot] = total


@functools.cache
def cgf(unit, tempered, shifted, counted):
    """Sums of log normalisers of columns start to stop at field[r] + bias, times beta[r], or + step[r, i] W[i], for all r and i.

    Where `counted` it is times the total of the row's states. buffer has a row for each block.
    """
    prepare_unit(unit)
    cgf_of = unit.cgf

    @inlinable
    def input_of(field, bias, r, i, j, beta, W, step):
        s = field[r, j] + bias[j]
        if tempered:
            s = s * beta[r]
        if shifted:
            s = s + step[r, i] * W[i, j]
        return s

    def units(e, t, group, start, stop, field, bias, beta, W, step, states, buffer):
        across, part = step.shape[1] if shifted else 1, 0.0
        for j in range(start + t, stop, THREADS):
            part += np.float64(cgf_of(input_of(field, bias, e // across, e % across, j, beta, W, step)))
        return part

    def groups(e, t, group, start, stop, field, bias, beta, W, step, states, buffer):
        across, part, s = step.shape[1] if shifted else 1, 0.0, buffer[e % len(buffer)]
        for g in range(start + t * group, stop, THREADS * group):
            trials = 0.0 if counted else 1.0
            for j in range(g, g + group):
                s[j] = input_of(field, bias, e // across, e % across, j, beta, W, step)
                if counted:
                    trials += np.float64(states[e // across, j])
            part += np.float64(cgf_of(s[g : g + group])) * trials
        return part

    return units if unit.group == 1 else groups


@functools.cache
def base(unit):
    """The sum over columns start to stop of a row."""
    energy = row_base(unit)

    def run(i, t, group, start, stop, x):
        return energy(group, x[i, start:stop], t, THREADS)

    return run


def dot(i, t, x, y):
    """A row of x times the same row of y, or y's only row."""
    part, r = 0.0, min(i, y.shape[0] - 1)
    for j in range(t, x.shape[1], THREADS):
        part += np.float64(x[i, j]) * np.float64(y[r, j])
    return part


def square_sums(j, t, x, weight):
    """A column's sum of squares, by the rows' weights."""
    part = 0.0
    for i in range(t, x.shape[0], THREADS):
        part += np.float64(weight[i]) * (np.float64(x[i, j]) * np.float64(x[i, j]))
    return part


@functools.cache
def sparsify(real):
    """A part 1 / slow of the difference to the means of h enters activity; then cost (target - activity) is added to each row,
    and a share of it is taken from offset. Sums are in the precision of h, as the CPU's are."""
    total = _block_sum(real)

    def run(h, weight, activity, offset, slow, target, cost, share):
        for j in range(cuda.blockIdx.x, h.shape[1], cuda.gridDim.x):
            part, rows, before = real(0), real(0), activity[j]
            for i in range(cuda.threadIdx.x, h.shape[0], THREADS):
                part += weight[i] * h[i, j]
                rows += weight[i]
            now = before + (total(part) / total(rows) - before) / slow
            pull = cost * (target - now)
            if cuda.threadIdx.x == 0:
                activity[j] = now
                offset[j] -= share * pull
            for i in range(cuda.threadIdx.x, h.shape[0], THREADS):
                h[i, j] += pull

    return kernel(run)


@functools.cache
def limit_columns(real):
    """Scale down the columns of W whose norm is above longest. Sums are in the precision of W, as the CPU's are."""
    total = _block_sum(real)

    def run(W, longest):
        for j in range(cuda.blockIdx.x, W.shape[1], cuda.gridDim.x):
            part = real(0)
            for i in range(cuda.threadIdx.x, W.shape[0], THREADS):
                part += W[i, j] * W[i, j]
            norm = scalar.sqrt(total(part))
            if norm > longest:
                for i in range(cuda.threadIdx.x, W.shape[0], THREADS):
                    W[i, j] *= longest / norm

    return kernel(run)
