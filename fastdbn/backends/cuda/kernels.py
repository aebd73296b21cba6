"""The formulas of single operations that have a thread for each item: draws, rows of the data, steps of parameters.

`each` makes a kernel of a formula. A thread goes on to further items where there are more. Noise comes for four units at a time,
as Philox makes it.
"""

import functools

import numpy as np
from numba import cuda  # noqa: F401  in the texts of kernels

from fastdbn.backends.cpu.jit import inlinable, inlined
from fastdbn.backends.cpu.kernels import noise_of, prepare_unit
from fastdbn.backends.cpu.simd import WORD
from fastdbn.backends.cuda.jit import kernel_of
from fastdbn.maths import optim, rng, scalar

QUAD = 4
"""Units whose noise is one Philox call."""


EACH = """
def make(formula):
    def run(n, ARGUMENTS):
        for e in range(cuda.grid(1), n, cuda.gridsize(1)):
            formula(e, ARGUMENTS)
    return run
"""
DRAWING = """
def make(formula, real):
    def run(n, ARGUMENTS):
        noise = cuda.local.array(QUAD, real)
        for e in range(cuda.grid(1), n, cuda.gridsize(1)):
            formula(e, noise, ARGUMENTS)
    return run
"""


@functools.cache
def each(formula, real=None):
    """The kernel (n, *arguments) of formula(e, *arguments) for every e below n. For formulas that draw, real is the type of their
    noise: formula(e, a buffer for that of a quad, *arguments)."""
    return kernel_of(formula, 1, EACH, globals()) if real is None else kernel_of(formula, 2, DRAWING, globals(), real)


def fill(e, x, value):
    x[e] = value


def scale(e, x, weight, columns):
    """Each row of x, or each column, times its weight."""
    n = x.shape[1]
    x[e // n, e % n] *= weight[e % n if columns else e // n]


def assign_where(e, x, values, mask, emptied):
    """x = values, or with `emptied` 0, where the mask, numbers for each number or each row (B, 1), is not zero."""
    n = x.shape[1]
    if mask[e // n, min(e % n, mask.shape[1] - 1)] != 0:
        x[e // n, e % n] = x.dtype.type(0) if emptied else values[e // n, e % n]


def shrink(e, x, amount):
    """Numbers of a vector moved towards zero by an amount, and no further."""
    left = max(abs(x[e]) - amount, x.dtype.type(0))
    x[e] = left if x[e] > 0 else -left


def place(e, x, out, start):
    """Columns of out from `start` on = x."""
    n = x.shape[1]
    out[e // n, start + e % n] = x[e // n, e % n]


def gather(e, x, rows, out):
    """out = the given rows of x."""
    n = out.shape[1]
    out[e // n, e % n] = x[rows[e // n], e % n]


def scatter(e, x, rows, out):
    """The given rows of out = x."""
    n = x.shape[1]
    out[rows[e // n], e % n] = x[e // n, e % n]


# ---- rows of the data: out = the given rows of X


def load_bits(e, noise, X, rows, key, out):
    """X is packed."""
    i, j = e // out.shape[1], e % out.shape[1]
    out[i, j] = (X[rows[i], j // WORD] >> np.uint64(j % WORD)) & np.uint64(1)


def load_values(e, noise, X, rows, key, out):
    """X holds visible states."""
    n = out.shape[1]
    out[e // n, e % n] = X[rows[e // n], e % n]


def load_samples(e, noise, X, rows, key, out):
    """X holds probabilities, from which quad e is drawn."""
    n = out.shape[1]
    quads = (n + QUAD - 1) // QUAD
    i, first = e // quads, e % quads * QUAD
    rng.uniforms_32(noise, first, rows[i], key)
    for w in range(min(QUAD, n - first)):
        out[i, first + w] = scalar.ONE if noise[w] < X[rows[i], first + w] else scalar.ZERO


BITS, VALUES, SAMPLES = range(3)
"""Kinds of data: packed words; numbers; numbers that are probabilities."""
LOADS = (load_bits, 1), (load_values, 1), (load_samples, QUAD)
"""For each kind the formula of its rows, and the units that one call makes."""


# ---- layers


@functools.cache
def activate_quad(unit, drawn, tempered):
    """Plain function: fields of up to four units from column j on become means, and states draws; `stop` ends the layer's part.

    first is the number of their noise, noise a buffer for four numbers of it. A group is one unit.
    """
    prepare_unit(unit)
    mean_of, draw, noise_into = unit.mean, unit.draw, noise_of(unit)

    def run(group, bias, mean, states, rows, key, beta, noise, i, j, stop, first):
        if drawn:
            noise_into(noise, first, rows[i], key)
        for w in range(min(QUAD, stop - j)):
            s = mean[i, j + w] + bias[j + w]
            if tempered:
                s = s * beta[i]
            mu = mean_of(s)
            if drawn:
                states[i, j + w] = draw(s, mu, noise[w])
            mean[i, j + w] = mu

    return inlinable(run)


@functools.cache
def _activate_group(unit, drawn, tempered, counted):
    """The same for the units of a group that begins at column j. `counted`: states hold counts, whose sum is the trials."""
    prepare_unit(unit)
    mean_of, draw, noise_into = unit.mean, unit.draw, noise_of(unit)

    def means(m, bias, beta, i, j):
        for w in range(len(m)):
            m[w] += bias[j + w]
            if tempered:
                m[w] *= beta[i]
        mean_of(m, m)

    inlinable(means)

    def one_of(group, bias, mean, states, rows, key, beta, noise, i, j, stop, first):
        m = mean[i, j : j + group]
        means(m, bias, beta, i, j)
        if drawn:
            noise_into(noise, first - first % QUAD, rows[i], key)
            draw(m, noise[first % QUAD], states[i, j : j + group])

    def counts(group, bias, mean, states, rows, key, beta, noise, i, j, stop, first):
        m, x, total = mean[i, j : j + group], states[i, j : j + group], 0.0
        means(m, bias, beta, i, j)
        for w in range(group):
            total += np.float64(x[w])
        if drawn:
            draw(m, total, first, rows[i], key, noise, x)
        for w in range(group):
            m[w] *= total

    return inlinable(counts if counted else one_of)


@functools.cache
def activate(unit, drawn, tempered, counted=False):
    """Activation of columns start to stop, whose noise begins at `number`, by quads, or by groups of `width`; `counted` as in
    `_activate_group`."""
    single = unit.group == 1
    some = activate_quad(unit, drawn, tempered) if single else _activate_group(unit, drawn, tempered, counted)

    def run(e, noise, width, start, stop, number, bias, mean, states, rows, key, beta):
        across = (stop - start + width - 1) // width
        at = e % across * width
        some(width, bias, mean, states, rows, key, beta, noise, e // across, start + at, stop, number + at)

    return run


# ---- back-propagation and steps


def mask(e, noise, x, rate, rows, key, out):
    """Units of quad e whose uniform is under the rate become 0, the others grow by 1 / (1 - rate)."""
    n = out.shape[1]
    quads = (n + QUAD - 1) // QUAD
    i, first = e // quads, e % quads * QUAD
    zero, kept = x.dtype.type(0), x.dtype.type(1) / (x.dtype.type(1) - rate)
    rng.uniforms_32(noise, first, rows[i], key)
    for w in range(min(QUAD, n - first)):
        out[i, first + w] = zero if noise[w] < rate else x[i, first + w] * kept


@functools.cache
def slopes(unit):
    """out, deltas of units with the given means, becomes their deltas before the nonlinearity."""
    prepare_unit(unit)
    slope = unit.slope

    def units(e, group, mean, out):
        n = out.shape[1]
        out[e // n, e % n] *= slope(mean[e // n, e % n])

    def groups(e, group, mean, out):
        across = out.shape[1] // group
        i, j = e // across, e % across * group
        slope(mean[i, j : j + group], out[i, j : j + group], out[i, j : j + group])

    return units if unit.group == 1 else groups


def step(e, p, velocity, gradient, rate, momentum, decay):
    """velocity = momentum velocity + rate gradient - decay p, p += velocity, over vectors: the CPU's formula, term by term."""
    velocity[e] = (velocity[e] * momentum + gradient[e] * rate) - decay * p[e]
    p[e] += velocity[e]


@functools.cache
def move(rule):
    """The step of a rule of optim.py over vectors; second is first where the rule keeps one number alone."""
    formula, two = inlined(optim.RULES[rule]), optim.STATES[rule] == 2

    def run(e, p, gradient, first, second, hyper):
        moved, one, other = formula(p[e], gradient[e], first[e], second[e], hyper)
        p[e], first[e] = moved, one
        if two:
            second[e] = other

    return run
