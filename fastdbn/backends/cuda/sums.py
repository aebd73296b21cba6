"""The CUDA kernels of sums, which have a block for each item: losses, log normalisers, products of rows, norms.

The threads of a block share an item. Sums are in float64 unless a kernel says otherwise; their order depends on shapes alone.
"""

import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.backprop import unit_loss_row
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.kernels import prepare_unit, row_base
from fastdbn.backends.cuda.jit import THREADS, device, kernel
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


block_sum = _block_sum(np.float64)


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
    """out = the rows' losses, weight times -log p(target | s = z) of columns start to stop; delta, which may be z, = scale weight
    (mean - x)."""
    loss = unit_loss_row(unit)

    def run(group, start, stop, z, target, weight, scale, delta, out):
        for i in range(cuda.blockIdx.x, z.shape[0], cuda.gridDim.x):
            s, x, d = z[i, start:stop], target[i, start:stop], delta[i, start:stop]
            total = block_sum(loss(group, s, x, scale * weight[i], d, cuda.threadIdx.x, THREADS))
            if cuda.threadIdx.x == 0:
                out[i] = np.float64(weight[i]) * total

    return kernel(run)


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
    energy = row_base(unit)

    def run(group, start, stop, x, out):
        for i in range(cuda.blockIdx.x, x.shape[0], cuda.gridDim.x):
            total = block_sum(energy(group, x[i, start:stop], cuda.threadIdx.x, THREADS))
            if cuda.threadIdx.x == 0:
                out[i] = total

    return kernel(run)


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
