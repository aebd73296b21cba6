"""Half a Gibbs step of a minibatch on a team of threads: one layer's means and draws given the states of the other.

Binary units are drawn a word at a time and stay words. Other units, and groups, are floats.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import binary
from fastdbn.backends.cpu.gate import share, share_grid, wait
from fastdbn.backends.cpu.jit import inlinable, inlined
from fastdbn.backends.cpu.kernels import activate_block, block, count_blocks, factor_of, noise_of, tempered
from fastdbn.backends.cpu.lookup import LANES
from fastdbn.backends.cpu.simd import WORD, nonzero, stack_like
from fastdbn.units.unit import Unit

_DRAWN = 8 * WORD
"""Units of a row that are drawn at a time."""


class Given(NamedTuple):
    """The layer whose states are given: its `States`, its units, and whether the states are words; else floats are looked at."""

    states: Any
    n: int
    packed: bool


class Heat(NamedTuple):
    """Inverse temperatures beta (B,) of rows that are drawn, and (B, units or more) a buffer for the means of states that are
    floats, or of no rows. Where rows have temperatures, a draw leaves the fields as they are."""

    beta: Any
    means: Any


class Layer(NamedTuple):
    """The layer that is computed: units of a group, units, weights, whether these are transposed, biases, its `States`, and the
    `Heat` of its draws or None."""

    group: int
    n: int
    W: Any
    transpose: bool
    bias: Any
    states: Any
    heat: Any


def is_fused(unit):
    """Whether whole minibatches take such a layer: one unit type, which does not make its own noise."""
    return isinstance(unit, Unit) and unit.noise != "own"


def is_binary(unit):
    """Whether states of a unit type are zeros and ones, drawn one by one."""
    return unit.support == (0.0, 1.0) and unit.group == 1


@inlinable
def _betas(heat):
    return None if heat is None else heat.beta


def _put_mean(m, e, mean, factor):
    if factor is None:
        m[e] = mean


inlined(_put_mean)


@inlinable
def _for_means(heat, field, r0, r1, j0, j1):
    """Where the means of draws go: into the fields, or a copy of these where they stay."""
    if heat is None:
        return field
    for r in range(r0, r1):
        x, out = field[r, j0:j1], heat.means[r, j0:j1]
        for j in range(len(x)):
            out[j] = x[j]
    return heat.means


@inlinable
def _stays(heat, last):
    """Whether the fields of a half-step are wanted, as those of the last one are where rows have temperatures."""
    return False if heat is None else last


def _words_drawn(unit):
    """The activation of binary units, which are drawn word by word."""
    mean_of, draw, noise, rows_of = unit.mean, unit.draw, noise_of(unit), activate_block(unit)

    def run(layer, mean, drawn, rows, key, r0, r1, j0, j1):
        n = layer.n
        if not drawn:
            rows_of(layer.group, layer.bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)
            return
        buffer = carray(stack_like(mean, _DRAWN), _DRAWN)
        for r in range(r0, r1):
            factor = factor_of(_betas(layer.heat), r)
            for j in range(j0, j1, _DRAWN):
                end = min(j + _DRAWN, binary.count_words(j1) * WORD)
                m, b, x = mean[r, j:end], layer.bias[j:end], buffer[: end - j]
                noise(x, j, rows[r], key)
                for e in range(len(m)):
                    s = tempered(m[e] + b[e], factor)
                    mu = mean_of(s)
                    x[e] = draw(s, mu, x[e])
                    _put_mean(m, e, mu, factor)
                words = layer.states.words[r, j // WORD : end // WORD]
                for q in range(len(words)):
                    words[q] = nonzero(x, q * WORD)
                if end > n:  # beyond the last unit nothing is on
                    words[len(words) - 1] &= (np.uint64(1) << np.uint64(n % WORD)) - np.uint64(1)
                    for e in range(n - j, len(m)):
                        m[e] = 0

    return run


def _floats_drawn(unit):
    """That of other units, and of groups of units."""
    rows_of = activate_block(unit)

    def run(layer, mean, drawn, rows, key, r0, r1, j0, j1):
        if drawn:
            means, beta = _for_means(layer.heat, mean, r0, r1, j0, j1), _betas(layer.heat)
            rows_of(layer.group, layer.bias, means, layer.states.floats, rows, key, beta, 0, r0, r1, j0, j1)
        else:
            rows_of(layer.group, layer.bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)

    return run


@functools.cache
def draw_layer(unit):
    """Plain function (layer, mean, drawn, rows, key, r0, r1, j0, j1) of a unit type: fields become means, and with `drawn` states
    draws of them."""
    return inlinable(_words_drawn(unit) if is_binary(unit) else _floats_drawn(unit))


@functools.cache
def half_step(unit):
    """Plain function: the means and draws of a layer of a unit type given the states of the other, on all threads.

    Fields in mean become means, and where `drawn` is set the layer's states draws of them: in rows r0 to r1 and columns j0 to
    j1, edges of words, or all units for groups. `last` says whether this is the last half-step of a chain. Returns the turn of
    the gate, and how many ones the given states have, or -1.
    """
    activate, whole = draw_layer(unit), unit.group != 1

    def run(team, turn, blas, given, layer, mean, drawn, rows, key, last):
        x, inputs, count = given.states, given.n, len(rows)
        W, transpose, n = layer.W, layer.transpose, layer.n
        ones = binary.count_packed(x.words[:count]) if given.packed else binary.count_ones(x.floats[:count])
        method = binary.choose(ones, count, inputs, n, transpose, binary.in_registers(W))
        r0, r1 = share(team, count)
        if ones >= 0 and not given.packed:
            for r in range(r0, r1):
                binary.pack_row(x.floats[r], x.words[r])
        if ones >= 0 and (given.packed or not binary.reads_floats(method)):
            binary.prepare(method, x, inputs, r0, r1)
        turn = wait(team.gate, team.size, turn)
        after = whole and (not binary.reads_floats(method) or _stays(layer.heat, last))  # groups are drawn after all columns
        if binary.reads_floats(method):
            t0, t1 = share(team, count_blocks(count, n, whole and not after))
            for t in range(t0, t1):
                s0, s1, j0, j1 = block(t, count, n, whole and not after)
                binary.product(method, blas, x, inputs, W, transpose, mean, s0, s1, j0, j1)
                if not after:
                    activate(layer, mean, drawn, rows, key, s0, s1, j0, j1)
        else:  # in words, whole ones: weights beyond the last unit are zero
            q0, q1, b0, b1 = share_grid(team, binary.count_words(n), (count + LANES - 1) // LANES, binary.ONCE)
            s0, s1 = b0 * LANES, min(b1 * LANES, count)
            wide = inputs if method == binary.CODES else binary.count_words(inputs) * WORD
            binary.product(method, blas, x, wide, W, transpose, mean, s0, s1, q0 * WORD, q1 * WORD)
            if not after:
                activate(layer, mean, drawn, rows, key, s0, s1, q0 * WORD, min(q1 * WORD, n))
        if after:
            turn = wait(team.gate, team.size, turn)
            activate(layer, mean, drawn, rows, key, r0, r1, 0, n)
        return wait(team.gate, team.size, turn), ones

    return inlinable(run)
