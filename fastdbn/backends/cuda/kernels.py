"""The CUDA kernels of single operations that have a thread for each item: draws, rows of the data, steps of parameters.

A thread goes on to further items where there are more. Noise comes for four units at a time, as Philox makes it.
"""

import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.backprop import softmax_row
from fastdbn.backends.cpu.jit import inlinable, inlined
from fastdbn.backends.cpu.kernels import noise_of, prepare_unit
from fastdbn.backends.cpu.simd import WORD
from fastdbn.backends.cuda.jit import kernel
from fastdbn.maths import optim, rng, scalar

QUAD = 4
"""Units whose noise is one Philox call."""


@kernel
def fill(x, value):
    for i in range(cuda.grid(1), len(x), cuda.gridsize(1)):
        x[i] = value


@functools.cache
def scale(columns):
    """Each row of x, or each column, times its weight."""

    def run(x, weight):
        n = x.shape[1]
        for e in range(cuda.grid(1), x.shape[0] * n, cuda.gridsize(1)):
            x[e // n, e % n] *= weight[e % n if columns else e // n]

    return kernel(run)


@functools.cache
def assign_where(emptied):
    """x = values, or with `emptied` 0, where held, numbers for each number or each row (B, 1), is not zero."""

    def run(x, values, held):
        n, across = x.shape[1], held.shape[1]
        for e in range(cuda.grid(1), x.shape[0] * n, cuda.gridsize(1)):
            i, j = e // n, e % n
            if held[i, min(j, across - 1)] != 0:
                x[i, j] = 0 if emptied else values[i, j]

    return kernel(run)


@kernel
def shrink(x, amount):
    """Numbers of a vector moved towards zero by an amount, and no further."""
    for i in range(cuda.grid(1), len(x), cuda.gridsize(1)):
        left = max(abs(x[i]) - amount, x.dtype.type(0))
        x[i] = left if x[i] > 0 else -left


@kernel
def place(x, out, start):
    """Columns of out from `start` on = x."""
    n = x.shape[1]
    for e in range(cuda.grid(1), x.shape[0] * n, cuda.gridsize(1)):
        out[e // n, start + e % n] = x[e // n, e % n]


@kernel
def scatter(x, rows, out):
    """The given rows of out = x."""
    n = x.shape[1]
    for e in range(cuda.grid(1), x.shape[0] * n, cuda.gridsize(1)):
        out[rows[e // n], e % n] = x[e // n, e % n]


@inlinable
def bit(words, row, j):
    """Unit j of a row of words."""
    return (words[row, j // WORD] >> np.uint64(j % WORD)) & np.uint64(1)


@kernel
def load_bits(words, rows, out):
    """out = the given rows of packed data."""
    n = out.shape[1]
    for e in range(cuda.grid(1), out.shape[0] * n, cuda.gridsize(1)):
        out[e // n, e % n] = bit(words, rows[e // n], e % n)


@kernel
def load_values(X, rows, out):
    """out = the given rows of X."""
    n = out.shape[1]
    for e in range(cuda.grid(1), out.shape[0] * n, cuda.gridsize(1)):
        out[e // n, e % n] = X[rows[e // n], e % n]


@inlinable
def draw_quad(p, noise, i, q, row, key, out):
    """out[i] = 1 with probability p, else 0, for the four units of quad q; noise is a buffer for four numbers."""
    rng.uniforms_32(noise, QUAD * q, row, key)
    for w in range(min(QUAD, out.shape[1] - QUAD * q)):
        j = QUAD * q + w
        out[i, j] = scalar.ONE if noise[w] < p[j] else scalar.ZERO


@functools.cache
def load_samples(real):
    """out = 1 with the given rows of X as probabilities."""

    def run(X, rows, key, out):
        noise = cuda.local.array(4, real)
        quads = (out.shape[1] + QUAD - 1) // QUAD
        for e in range(cuda.grid(1), out.shape[0] * quads, cuda.gridsize(1)):
            row = rows[e // quads]
            draw_quad(X[row], noise, e // quads, e % quads, row, key, out)

    return kernel(run)


@functools.cache
def activate_quad(unit, drawn, tempered):
    """Plain function: fields of up to four units from column j on become means, and states draws; `stop` ends the layer's part.

    first is the number of their noise, buffer has room for four numbers of it.
    """
    prepare_unit(unit)
    mean_of, draw, noise_into = unit.mean, unit.draw, noise_of(unit)

    def run(bias, mean, states, rows, key, beta, buffer, i, j, stop, first):
        if drawn:
            noise_into(buffer, first, rows[i], key)
        for w in range(min(QUAD, stop - j)):
            s = mean[i, j + w] + bias[j + w]
            if tempered:
                s = s * beta[i]
            mu = mean_of(s)
            if drawn:
                states[i, j + w] = draw(s, mu, buffer[w])
            mean[i, j + w] = mu

    return inlinable(run)


@functools.cache
def _activate_group(unit, drawn, tempered, counted):
    """The same for the units of a group that begins at column j. `counted`: states hold counts, whose sum is the trials."""
    prepare_unit(unit)
    mean_of, draw, noise_into = unit.mean, unit.draw, noise_of(unit)

    def means(m, bias, beta, i, j):
        for e in range(len(m)):
            m[e] += bias[j + e]
            if tempered:
                m[e] *= beta[i]
        mean_of(m, m)

    inlinable(means)

    def one_of(group, bias, mean, states, rows, key, beta, buffer, i, j, first):
        m = mean[i, j : j + group]
        means(m, bias, beta, i, j)
        if drawn:
            noise_into(buffer, first - first % QUAD, rows[i], key)
            draw(m, buffer[first % QUAD], states[i, j : j + group])

    def counts(group, bias, mean, states, rows, key, beta, buffer, i, j, first):
        m, x, total = mean[i, j : j + group], states[i, j : j + group], 0.0
        means(m, bias, beta, i, j)
        for e in range(group):
            total += np.float64(x[e])
        if drawn:
            draw(m, total, first, rows[i], key, buffer, x)
        for e in range(group):
            m[e] *= total

    return inlinable(counts if counted else one_of)


@functools.cache
def activate(unit, real, drawn, tempered, counted=False):
    """Activation of columns start to stop, whose noise begins at `number`; `counted` as in `_activate_group`."""
    if unit.group == 1:
        quad_of = activate_quad(unit, drawn, tempered)

        def run(group, start, stop, number, bias, mean, states, rows, key, beta):
            buffer = cuda.local.array(4, real)
            quads = (stop - start + QUAD - 1) // QUAD
            for e in range(cuda.grid(1), mean.shape[0] * quads, cuda.gridsize(1)):
                at = e % quads * QUAD
                quad_of(bias, mean, states, rows, key, beta, buffer, e // quads, start + at, stop, number + at)
    else:
        group_of = _activate_group(unit, drawn, tempered, counted)

        def run(group, start, stop, number, bias, mean, states, rows, key, beta):
            buffer = cuda.local.array(4, real)
            groups = (stop - start) // group
            for e in range(cuda.grid(1), mean.shape[0] * groups, cuda.gridsize(1)):
                at = e % groups * group
                group_of(group, bias, mean, states, rows, key, beta, buffer, e // groups, start + at, number + at)

    return kernel(run)


@functools.cache
def mask(real):
    def run(x, rate, rows, key, out):
        noise = cuda.local.array(4, real)
        zero, kept = x.dtype.type(0), x.dtype.type(1) / (x.dtype.type(1) - rate)
        quads = (out.shape[1] + QUAD - 1) // QUAD
        for e in range(cuda.grid(1), out.shape[0] * quads, cuda.gridsize(1)):
            i, q = e // quads, e % quads
            rng.uniforms_32(noise, QUAD * q, rows[i], key)
            for w in range(min(QUAD, out.shape[1] - QUAD * q)):
                j = QUAD * q + w
                out[i, j] = zero if noise[w] < rate else x[i, j] * kept

    return kernel(run)


@functools.cache
def slopes(unit):
    """out, deltas of units with the given means, becomes their deltas before the nonlinearity."""
    prepare_unit(unit)
    slope = unit.slope

    def units(group, mean, out):
        n = out.shape[1]
        for e in range(cuda.grid(1), out.shape[0] * n, cuda.gridsize(1)):
            out[e // n, e % n] *= slope(mean[e // n, e % n])

    def groups(group, mean, out):
        across = out.shape[1] // group
        for e in range(cuda.grid(1), out.shape[0] * across, cuda.gridsize(1)):
            i, g = e // across, e % across * group
            slope(mean[i, g : g + group], out[i, g : g + group], out[i, g : g + group])

    return kernel(units if unit.group == 1 else groups)


@kernel
def step(p, velocity, gradient, rate, momentum, decay):
    """velocity = momentum velocity + rate gradient - decay p, p += velocity, over vectors: the CPU's formula, term by term."""
    for i in range(cuda.grid(1), len(p), cuda.gridsize(1)):
        velocity[i] = (velocity[i] * momentum + gradient[i] * rate) - decay * p[i]
        p[i] += velocity[i]


@functools.cache
def move(rule):
    """The step of a rule of optim.py over vectors; second is first where the rule keeps one number alone."""
    formula, two = inlined(optim.RULES[rule]), optim.STATES[rule] == 2

    def run(p, gradient, first, second, hyper):
        for i in range(cuda.grid(1), len(p), cuda.gridsize(1)):
            moved, one, other = formula(p[i], gradient[i], first[i], second[i], hyper)
            p[i], first[i] = moved, one
            if two:
                second[i] = other

    return kernel(run)


@kernel
def softmax_loss(z, target, weight, scale, delta, out):
    """out = the rows' losses, delta as in `backprop.softmax_row`. A thread for each row, because classes are few."""
    for i in range(cuda.grid(1), z.shape[0], cuda.gridsize(1)):
        out[i] = softmax_row(z[i], target[i], weight[i], scale, delta[i])
