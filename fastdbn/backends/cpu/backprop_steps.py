"""Whole minibatches of back-propagation in one compiled call on any number of threads: forward, loss, way back, step.

Every thread runs this kernel and takes its share of rows, columns or weights; at a gate (gate.py) it waits for the others. The
order of every sum is that of the composed operations (kernels.py, backprop.py), so results are the same, bit for bit, as
backprop.py's own and at any number of threads. The number of layers is no part of the code: weights are found by their addresses,
and the buffers of all levels lie one after another. Level 0 are the inputs, level l the units that weight layer l - 1 computes.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import binary, tiles
from fastdbn.backends.cpu.backprop import CHUNK, limit_block, move_by, piece, through_slope
from fastdbn.backends.cpu.backprop_buffers import inputs_of, level_of, matrix, states_of, turned_of, weights_of_rule
from fastdbn.backends.cpu.backprop_losses import softmax_loss, squared_loss, unit_loss
from fastdbn.backends.cpu.binary import BLAS, MULTIPLY, TILES, count_words
from fastdbn.backends.cpu.gate import Team, share, share_grid, uncounted, wait
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.kernels import activate_block, block, count_blocks
from fastdbn.backends.cpu.lists import list_units
from fastdbn.backends.cpu.loading import read_row
from fastdbn.backends.cpu.lookup import LANES
from fastdbn.backends.cpu.product import DEPTH, TALL, WIDE, not_inlined
from fastdbn.backends.cpu.simd import ROW, WORD, add_whole_rows, stack_like
from fastdbn.backends.cpu.update import worth_listing
from fastdbn.maths import rng
from fastdbn.maths.optim import StepHyper
from fastdbn.maths.rng import Key

_GRADIENT = (WORD + TALL) * (CHUNK + WIDE)
FEWEST_ROWS = 80
"""Rows of a minibatch from which threads pay: for fewer, weights would go from one's cache to the other's for too little work."""
FACTOR = 40.0
"""Picoseconds for a number added up times a factor; see binary.py for products."""


class Run(NamedTuple):
    """One call's minibatches: their rows one after another, the batch size, and what is the same for all of them.

    seed is a Key of which only the two halves count; step counts minibatches since the start of the fit. hyper (minibatches, 8)
    has the numbers of each step. target and weight are those of the rows, or target is empty where inputs are the targets.
    losses (rows,) receives the rows' losses.
    """

    order: Any
    batch_size: int
    seed: Key
    data: np.uint32
    epoch: int
    step: int
    hyper: Any
    target: Any
    weight: Any
    losses: Any


@functools.cache
def _one_of(functions):
    """Plain function (number, ...): the function of that number, called."""
    first = functions[0]

    def only(number, *arguments):
        first(*arguments)

    if len(functions) == 1:
        return inlinable(only)
    rest = _one_of(functions[1:])

    def choose(number, *arguments):
        if number == 0:
            first(*arguments)
        else:
            rest(number - 1, *arguments)

    return inlinable(choose)


@inlinable
def _share_words(team, n):
    """The thread's part of n columns, in whole words: the last few of a loop may be rounded otherwise than whole vectors."""
    q0, q1 = share(team, count_words(n))
    return q0 * WORD, min(q1 * WORD, n)


@inlinable
def _share_cells(team, rows, tall, columns, wide, extra):
    """The thread's part of a matrix in cells of tall x wide, the last ones smaller: r0, r1, j0, j1; see `share_grid`."""
    c0, c1, r0, r1 = share_grid(team, (columns + wide - 1) // wide, (rows + tall - 1) // tall, extra)
    return r0 * tall, min(r1 * tall, rows), c0 * wide, min(c1 * wide, columns)


@inlinable
def _share_inputs(team, n):
    """Whether the thread's part of n inputs is in lines of the cache because words are too few, and that part.

    Words are better, because loops over units want whole ones. Else these loops come after a gate.
    """
    words, lines = count_words(n), (n + LANES - 1) // LANES
    most, fewest = (words + team.size - 1) // team.size * WORD, (lines + team.size - 1) // team.size * LANES
    if team.size == 1 or 10 * most <= 11 * fewest:
        i0, i1 = _share_words(team, n)
        return False, i0, i1
    l0, l1 = share(team, lines)
    return True, l0 * LANES, min(l1 * LANES, n)


@inlinable
def _drop(net, level, n, rows, key, r0, r1, j0, j1):
    """Mask a block of a level, and note which units are kept; j0 is a multiple of 4."""
    not_inlined()
    x, out, kept = level_of(net.means, net, level, n), level_of(net.masked, net, level, n), level_of(net.kept, net, level, n)
    rate = net.rates[level]
    zero, scale = x.dtype.type(0), x.dtype.type(1) / (x.dtype.type(1) - rate)
    noise = carray(stack_like(x, CHUNK), CHUNK)
    for i in range(r0, r1):
        for j in range(j0, j1, CHUNK):
            end = min(j + CHUNK, j1)
            a, o, k = x[i, j:end], out[i, j:end], kept[i, j:end]
            rng.uniforms_32(noise[: len(o)], j, rows[i], key)
            for e in range(len(o)):
                o[e] = zero if noise[e] < rate else a[e] * scale
            for e in range(len(k)):
                k[e] = noise[e] >= rate


@inlinable
def _drop_deltas(net, level, n, r0, r1, j0, j1):
    """Deltas below weights become those of the units before they were masked."""
    out, kept, rate = level_of(net.deltas, net, level, n), level_of(net.kept, net, level, n), net.rates[level]
    zero, scale = out.dtype.type(0), out.dtype.type(1) / (out.dtype.type(1) - rate)
    for i in range(r0, r1):
        o, k = out[i, j0:j1], kept[i, j0:j1]
        for e in range(len(o)):
            o[e] = o[e] * scale if k[e] else zero


@inlinable
def _key(run, step, net, level):
    return Key(run.seed.k0, run.seed.k1, np.uint32(step), net.streams[level])


@inlinable
def _load(team, net, data, run, rows, key):
    """The thread's share of the rows, masked where inputs are dropped; their ones are counted, others than ones too."""
    n, size = len(rows), net.sizes[0]
    x, raw = level_of(net.means, net, 0, n), np.empty(size)
    r0, r1 = share(team, n)
    for r in range(r0, r1):
        read_row(data, rows[r], Key(run.seed.k0, run.seed.k1, np.uint32(run.epoch), run.data), raw, x[r, :size])
    if net.rates[0] > 0:
        _drop(net, 0, n, rows, key, r0, r1, 0, size)
    x = inputs_of(net, 0, n)
    words = states_of(net, x, size).words
    for r in range(r0, r1):
        binary.pack_row(x[r], words[r])
        net.counts[r, 0], net.counts[r, 1] = binary.count_packed(words[r : r + 1]), binary.only_binary(x[r])


@inlinable
def _count_inputs(net, n):
    """How many of the inputs are not zero, and whether these are all ones."""
    total, ones = 0, True
    for r in range(n):
        total += net.counts[r, 0]
        ones &= net.counts[r, 1] != 0
    return total, ones


@inlinable
def _worth_factors(W, some, n, inputs, outputs):
    """Whether inputs that are not zero, so many of them, are cheaper to multiply one by one."""
    return tiles.strip_of(W, outputs) > 0 and FACTOR * some <= MULTIPLY * n * inputs


@inlinable
def _listing(net, W, n):
    """Whether the lowest weights' gradient is added up by lists; how many inputs are not zero; this, or -1 if not all ones."""
    inputs, outputs = W.shape
    some, only_ones = _count_inputs(net, n)
    if only_ones:
        return outputs >= ROW // W.itemsize and worth_listing(some, n, inputs), some, some
    return n <= DEPTH and _worth_factors(W, some, n, inputs, outputs), some, -1


@functools.cache
def _forward(units):
    """Plain function: the means of a weight layer's units, on all threads, masked where they are dropped."""
    activate = _one_of(tuple(activate_block(unit) for unit in units))

    def run(team, turn, blas, net, weights, layer, rows, key):
        n, inputs, outputs, whole = len(rows), net.sizes[layer], net.sizes[layer + 1], net.whole[layer + 1]
        W, x, out = weights.W, states_of(net, inputs_of(net, layer, n), inputs), level_of(net.means, net, layer + 1, n)
        ones, sparse = -1, False
        if layer == 0:
            listed, some, ones = _listing(net, W, n)
            if listed:
                q0, q1 = share(team, count_words(inputs))
                list_units(x.words, n, x.words, 0, net.lists, q0, q1)
        else:
            ones = binary.count_ones(x.floats)
        method = binary.choose(ones, n, inputs, outputs, False, binary.in_registers(W))
        if layer == 0 and method == TILES:
            sparse = _worth_factors(W, some, n, inputs, outputs)
        if not binary.reads_floats(method):
            r0, r1 = share(team, n)
            for r in range(r0, r1):
                binary.pack_row(x.floats[r], x.words[r])
            binary.prepare(method, x, inputs, r0, r1)
            turn = wait(team.gate, team.size, turn)
        elif sparse:
            r0, r1 = share(team, n)
            for r in range(r0, r1):
                tiles.list_inputs(x.words[r], x.index[r], x.starts[r])
            turn = wait(team.gate, team.size, turn)
        r0, r1, j0, j1 = 0, n, 0, outputs
        t0, t1 = 0, 1
        if method == BLAS:
            t0, t1 = share(team, count_blocks(n, outputs, whole))
        else:
            tall, extra = (TALL, 0) if binary.reads_floats(method) else (LANES, binary.ONCE)
            wide = outputs if whole else max(WORD, tiles.strip_of(W, outputs) if sparse else 0)
            r0, r1, j0, j1 = _share_cells(team, n, tall, outputs, wide, extra)
        for t in range(t0, t1):
            if method == BLAS:
                r0, r1, j0, j1 = block(t, n, outputs, whole)
            if r0 < r1 and j0 < j1:
                if sparse:
                    tiles.forward_listed(x.floats, x.index, x.starts, W, out, r0, r1, j0, j1)
                elif method == TILES and n > 1:
                    tiles.forward(x.floats, W, out, r0, r1, j0, j1)
                else:
                    binary.product(method, blas, x, inputs, W, False, out, r0, r1, j0, j1)
                number, group = net.units[layer + 1], net.groups[layer + 1]
                activate(number, group, weights.bias, out, None, rows, key, None, 0, r0, r1, j0, j1)
                if net.rates[layer + 1] > 0:
                    _drop(net, layer + 1, n, rows, key, r0, r1, j0, j1)
        return wait(team.gate, team.size, turn)

    return inlinable(run)


@functools.cache
def _backward(rule, units):
    """Plain function: the way back through a weight layer and its step, on all threads."""
    formula, through = move_by(rule), _one_of(tuple(through_slope(unit) for unit in units))

    def apart(p, g, first, second, hyper):
        not_inlined()
        formula(p, g, first, second, hyper)

    move = inlinable(apart)

    def run(team, turn, net, weights, layer, n, hyper, bias_hyper):
        W, bias, first_W, first_bias, second_W, second_bias = weights
        inputs, outputs = W.shape
        x, delta, listed, ones = inputs_of(net, layer, n), level_of(net.deltas, net, layer + 1, n), False, -1
        stride = delta.shape[1]
        t0, t1, c0, c1, apart = 0, inputs, 0, outputs, False
        buffer = carray(stack_like(W, _GRADIENT), (WORD + TALL, CHUNK + WIDE))
        if layer == 0:  # mostly the same columns as on the way forward: they stay in the thread's cache
            listed, _, ones = _listing(net, W, n)
            t0, t1, c0, c1 = _share_cells(team, inputs, 1, outputs, max(WORD, ROW // W.itemsize), 0)
        else:
            apart, t0, t1 = _share_inputs(team, inputs)
        if listed:
            index, count, wide, step = net.lists.index, net.lists.count, ROW // W.itemsize, x.shape[1]
            sums, strip = matrix(net.sums, team.thread * net.widest, 1, net.widest)[0], tiles.strip_of(W, outputs)
            factors, deltas, entries = x.reshape(-1), delta.reshape(-1), index.reshape(-1)
            for i in range(t0, t1):
                first = i * index.shape[1]
                last = first + count[i, 0]
                if ones >= 0:
                    for j0 in range(c0, c1, wide):
                        from_, j1 = min(j0, outputs - wide), min(j0 + wide, c1)  # the last strip begins in the one before it
                        add_whole_rows(delta, from_, stride, index, first, last, sums, 0, True)
                        move(W[i, j0:j1], sums[j0 - from_ :], first_W[i, j0:j1], piece(second_W, i, j0, j1), hyper)
                else:
                    for j in range(c0, c1, strip):
                        at = min(j, outputs - strip)
                        tiles.add_factored(factors, i, step, deltas, at, stride, entries, first, last, sums, at, True, strip)
                    for j0 in range(c0, c1, CHUNK):
                        j1 = min(j0 + CHUNK, c1)
                        move(W[i, j0:j1], sums[j0:j1], first_W[i, j0:j1], piece(second_W, i, j0, j1), hyper)
        else:
            turned, above = (
                turned_of(net, layer + 1),
                matrix(net.below, team.thread * (WORD + TALL) * net.rows, WORD + TALL, net.rows),
            )
            for i0 in range(t0, t1, WORD):
                i1 = min(i0 + WORD, t1)
                for j0 in range(c0, c1, CHUNK):
                    j1 = min(j0 + CHUNK, c1)
                    if layer > 0:
                        tiles.back(W, turned, n, above, i0, i1, j0, j1)
                    tiles.gradient(x, delta, n, buffer, i0, i1, j0, j1, W, first_W, second_W)
                    for i in range(i0, i1):
                        move(W[i, j0:j1], buffer[i - i0], first_W[i, j0:j1], piece(second_W, i, j0, j1), hyper)
                if layer > 0:
                    tiles.turn(above, 0, i1 - i0, 0, n, level_of(net.deltas, net, layer, n), i0)
        j0, j1 = _share_words(team, outputs)
        for j in range(j0, j1, CHUNK):
            end = min(j + CHUNK, j1)
            total = buffer[0, : end - j]
            _add_deltas(delta, n, j, end, total)
            move(bias[j:end], total, first_bias[j:end], _slice(second_bias, j, end), bias_hyper)
        if layer > 0:
            r0, r1 = 0, n
            if net.whole[layer] or apart:
                turn = wait(team.gate, team.size, turn)
                r0, r1, t0, t1 = _share_cells(team, n, LANES, inputs, inputs if net.whole[layer] else WORD, 0)
            if net.rates[layer] > 0:
                _drop_deltas(net, layer, n, r0, r1, t0, t1)
            below = level_of(net.deltas, net, layer, n)
            through(net.units[layer], net.groups[layer], level_of(net.means, net, layer, n), below, r0, r1, t0, t1)
            if layer > 1:
                tiles.turn(below, r0, r1, t0, t1, turned_of(net, layer), 0)
        return wait(team.gate, team.size, turn)

    return inlinable(run)


@inlinable
def _add_deltas(delta, n, j0, j1, total):
    """total = the sums of columns j0 to j1 of n rows of deltas."""
    for e in range(len(total)):
        total[e] = 0
    for r in range(n):
        d = delta[r, j0:j1]
        for e in range(len(total)):
            total[e] += d[e]


@inlinable
def _slice(x, j0, j1):
    if x is None:
        return None
    else:
        return x[j0:j1]


@functools.cache
def backprop_steps(rule, units, loss):
    """The kernel of a rule, the distinct unit types of all levels above the inputs, and a loss or the unit types of its parts."""
    forward, backward, weights_of = _forward(units), _backward(rule, units), weights_of_rule(rule)
    named = {"softmax": softmax_loss, "squared": squared_loss}
    losses_of = named[loss] if isinstance(loss, str) else unit_loss(loss)
    of_classes = loss == "softmax"

    def targets(net, run, start, n):
        if len(run.target) == 0:
            return level_of(net.means, net, 0, n)
        return run.target[start : start + n]

    def classes(net, run, start, n):
        return run.target[start : start + n]

    target_of = inlinable(classes if of_classes else targets)

    def steps(thread, size, gate, blas, data, net, run):
        data, net, run = uncounted(data), uncounted(net), uncounted(run)
        team, turn, layers = Team(thread, size, gate), 0, len(net.weights)
        real = net.means.dtype.type
        number = run.step
        for start in range(0, len(run.order), run.batch_size):
            rows = run.order[start : start + run.batch_size]
            n, h = len(rows), run.hyper[start // run.batch_size]
            hyper = StepHyper(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7])
            bias_hyper = StepHyper(h[0], real(0), h[2], h[3], h[4], h[5], h[6], h[7])
            _load(team, net, data, run, rows, _key(run, number, net, 0))
            turn = wait(gate, size, turn)
            for layer in range(layers):
                turn = forward(team, turn, blas, net, weights_of(net, layer), layer, rows, _key(run, number, net, layer + 1))
            target, end = target_of(net, run, start, n), start + n
            losses_of(team, net, n, target, run.weight[start:end], run.losses[start:end])
            if layers > 1:
                r0, r1 = share(team, n)
                delta = level_of(net.deltas, net, layers, n)
                tiles.turn(delta, r0, r1, 0, net.sizes[layers], turned_of(net, layers), 0)
            turn = wait(gate, size, turn)
            for layer in range(layers - 1, -1, -1):
                turn = backward(team, turn, net, weights_of(net, layer), layer, n, hyper, bias_hyper)
            if net.longest > 0:
                for layer in range(layers):
                    W = weights_of(net, layer).W
                    j0, j1 = _share_words(team, W.shape[1])
                    limit_block(W, net.longest, np.empty(j1 - j0, W.dtype), j0, j1)
                turn = wait(gate, size, turn)
            number += 1

    return kernel(steps)
