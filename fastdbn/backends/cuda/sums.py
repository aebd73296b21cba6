"""The CUDA kernels of sums, which have a block for each item: losses, log normalisers, products of rows, norms.

The threads of a block share an item. Sums are in float64, in an order that shapes alone decide.
"""

import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.kernels import prepare_unit
from fastdbn.backends.cuda.jit import THREADS, device, kernel
from fastdbn.maths import scalar


@device
def block_sum(part):
    """The sum of the numbers that the threads of a block hold, to all of them."""
    buffer = cuda.shared.array(THREADS, np.float64)
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


@kernel
def squared_loss(z, target, weight, scale, delta, out):
    """out = the rows' losses, weight |z - target|^2 / 2; delta = scale weight (z - target)."""
    for i in range(cuda.blockIdx.x, z.shape[0], cuda.gridDim.x):
        part = 0.0
        for j in range(cuda.threadIdx.x, z.shape[1], THREADS):
            d = z[i, j] - target[i, j]
            part += 0.5 * np.float64(weight[i]) * np.float64(d) * np.float64(d)
            delta[i, j] = scale * weight[i] * d
        total = block_sum(part)
        if cuda.threadIdx.x == 0:
            out[i] = total


@functools.cache
def unit_loss(unit):
    """out = the rows' losses, weight times -log p(target | s = z) of columns start to stop; delta = scale weight (mean - x),
    and may be z.
    """
    prepare_unit(unit)
    mean, cgf, base = unit.mean, unit.cgf, unit.base

    def units(group, start, stop, z, target, weight, scale, delta, out):
        for i in range(cuda.blockIdx.x, z.shape[0], cuda.gridDim.x):
            part = 0.0
            for j in range(start + cuda.threadIdx.x, stop, THREADS):
                s, x = z[i, j], target[i, j]
                part += np.float64(cgf(s) + base(x) - s * x)
                delta[i, j] = scale * weight[i] * (mean(s) - x)
            total = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[i] = np.float64(weight[i]) * total

    def groups(group, start, stop, z, target, weight, scale, delta, out):
        for i in range(cuda.blockIdx.x, z.shape[0], cuda.gridDim.x):
            part = 0.0
            for g in range(start + cuda.threadIdx.x * group, stop, THREADS * group):
                s, x, d = z[i, g : g + group], target[i, g : g + group], delta[i, g : g + group]
                part += np.float64(cgf(s) + base(x))
                for j in range(group):
                    part -= np.float64(s[j] * x[j])
                mean(s, d)
                for j in range(group):
                    d[j] = scale * weight[i] * (d[j] - x[j])
            total = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[i] = np.float64(weight[i]) * total

    return kernel(units if unit.group == 1 else groups)


@kernel
def add_up(x, out, slot):
    """out[slot] = the sum of a vector; one block."""
    part = 0.0
    for i in range(cuda.threadIdx.x, len(x), THREADS):
        part += x[i]
    total = block_sum(part)
    if cuda.threadIdx.x == 0:
        out[slot] = total


@functools.cache
def cgf(unit, tempered, shifted, counted):
    """out[r, i] = the sum of log normalisers of columns start to stop at field[r] + bias, times beta[r], or + step[r, i] W[i].

    Where `counted` it is times the total of the row's states. buffer has a row for each block.
    """
    prepare_unit(unit)
    cgf_of = unit.cgf

    @inlinable
    def total(field, bias, r, i, j, beta, W, step):
        s = field[r, j] + bias[j]
        if tempered:
            s = s * beta[r]
        if shifted:
            s = s + step[r, i] * W[i, j]
        return s

    def units(group, start, stop, field, bias, beta, W, step, states, buffer, out):
        across = out.shape[1]
        for e in range(cuda.blockIdx.x, out.shape[0] * across, cuda.gridDim.x):
            r, i, part = e // across, e % across, 0.0
            for j in range(start + cuda.threadIdx.x, stop, THREADS):
                part += np.float64(cgf_of(total(field, bias, r, i, j, beta, W, step)))
            sum_ = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[r, i] = sum_

    def groups(group, start, stop, field, bias, beta, W, step, states, buffer, out):
        across, s = out.shape[1], buffer[cuda.blockIdx.x]
        for e in range(cuda.blockIdx.x, out.shape[0] * across, cuda.gridDim.x):
            r, i, part, trials = e // across, e % across, 0.0, 0.0
            for g in range(start + cuda.threadIdx.x * group, stop, THREADS * group):
                for j in range(g, g + group):
                    s[j] = total(field, bias, r, i, j, beta, W, step)
                    if counted:
                        trials += np.float64(states[r, j])
                part += np.float64(cgf_of(s[g : g + group]))
            sum_ = block_sum(part)
            if counted:
                sum_ *= block_sum(trials)
            if cuda.threadIdx.x == 0:
                out[r, i] = sum_

    return kernel(units if unit.group == 1 else groups)


@functools.cache
def base(unit):
    """out = the rows' sums over columns start to stop."""
    prepare_unit(unit)
    base_of = unit.base

    def units(group, start, stop, x, out):
        for i in range(cuda.blockIdx.x, x.shape[0], cuda.gridDim.x):
            part = 0.0
            for j in range(start + cuda.threadIdx.x, stop, THREADS):
                part += np.float64(base_of(x[i, j]))
            total = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[i] = total

    def groups(group, start, stop, x, out):
        for i in range(cuda.blockIdx.x, x.shape[0], cuda.gridDim.x):
            part = 0.0
            for g in range(start + cuda.threadIdx.x * group, stop, THREADS * group):
                part += np.float64(base_of(x[i, g : g + group]))
            total = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[i] = total

    return kernel(units if unit.group == 1 else groups)


@kernel
def dot(x, y, out):
    """out = each row of x times the same row of y, or y's only row."""
    for i in range(cuda.blockIdx.x, x.shape[0], cuda.gridDim.x):
        part, r = 0.0, min(i, y.shape[0] - 1)
        for j in range(cuda.threadIdx.x, x.shape[1], THREADS):
            part += np.float64(x[i, j]) * np.float64(y[r, j])
        total = block_sum(part)
        if cuda.threadIdx.x == 0:
            out[i] = total


@kernel
def square_sums(x, out):
    """out = as many partial sums of squares of a vector as there are blocks."""
    part = 0.0
    for i in range(cuda.grid(1), len(x), cuda.gridsize(1)):
        part += np.float64(x[i]) * np.float64(x[i])
    total = block_sum(part)
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x] = total


@functools.cache
def column_squares(weighted):
    """out = the columns' sums of squares, rows weighted where `weighted`."""

    def run(x, weight, out):
        for j in range(cuda.blockIdx.x, x.shape[1], cuda.gridDim.x):
            part = 0.0
            for i in range(cuda.threadIdx.x, x.shape[0], THREADS):
                square = np.float64(x[i, j]) * np.float64(x[i, j])
                part += np.float64(weight[i]) * square if weighted else square
            total = block_sum(part)
            if cuda.threadIdx.x == 0:
                out[j] = total

    return kernel(run)


@kernel
def sparsify(h, weight, activity, offset, slow, target, cost, share):
    """activity moves by a part `slow` towards the means of the columns of h; then cost (target - activity) joins each row, and a
    share of it is taken from offset."""
    for j in range(cuda.blockIdx.x, h.shape[1], cuda.gridDim.x):
        part, rows, before = 0.0, 0.0, activity[j]
        for i in range(cuda.threadIdx.x, h.shape[0], THREADS):
            part += np.float64(weight[i]) * np.float64(h[i, j])
            rows += np.float64(weight[i])
        mean = h.dtype.type(block_sum(part) / block_sum(rows))
        now = before + slow * (mean - before)
        if cuda.threadIdx.x == 0:
            activity[j] = now
            offset[j] -= share * cost * (target - now)
        for i in range(cuda.threadIdx.x, h.shape[0], THREADS):
            h[i, j] += cost * (target - now)


@kernel
def limit_columns(W, longest):
    """Scale down the columns of W whose norm is above longest."""
    for j in range(cuda.blockIdx.x, W.shape[1], cuda.gridDim.x):
        part = 0.0
        for i in range(cuda.threadIdx.x, W.shape[0], THREADS):
            part += np.float64(W[i, j]) * np.float64(W[i, j])
        norm = scalar.sqrt(block_sum(part))
        if norm > longest:
            for i in range(cuda.threadIdx.x, W.shape[0], THREADS):
                W[i, j] *= longest / norm
