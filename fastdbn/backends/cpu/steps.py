"""Whole CD minibatches in one compiled call on any number of threads: take, positive phase, k Gibbs steps, update.

Every thread runs this kernel and takes its share of rows, columns or words. At a gate (gate.py) it waits for the others.
The blocks and the order of every sum are those of the composed operations (kernels.py, update.py), so results are the
same, bit for bit, as cd.py's own and at any number of threads. States of zeros and ones stay packed throughout, and weights lie
in a copy whose rows begin at lines of the cache.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import binary, options, update
from fastdbn.backends.cpu.gate import Team, share, share_grid, uncounted, wait
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.kernels import activate_block, block, count_blocks, noise_of
from fastdbn.backends.cpu.loading import ONES, PACKED, read_row, read_words
from fastdbn.backends.cpu.lookup import LANES
from fastdbn.backends.cpu.options import DATA, FAST, MEAN, SLIDE, TOTAL
from fastdbn.backends.cpu.simd import WORD, nonzero, stack_like
from fastdbn.maths.rng import Key
from fastdbn.units.unit import Unit

_DRAWN = 8 * WORD
"""Units of a row that are drawn at a time."""


class Run(NamedTuple):
    """One call's minibatches: their rows one after another, the batch size, and what is the same for all of them.

    seed is a Key of which only the two halves count; data, hidden and visible are the layer's stream numbers at Gibbs step
    0, to which the step is added; step counts minibatches since the start of the fit. decay is the learning rate times the
    weight decay; numbers (minibatches, 9) float64 are those of each minibatch, at the places DATA to MEAN (options.py).
    """

    order: Any
    batch_size: int
    k: int
    persistent: bool
    seed: Key
    step: int
    epoch: int
    data: np.uint32
    hidden: np.uint32
    visible: np.uint32
    momentum: float
    decay: float
    centred: bool
    numbers: Any


class Given(NamedTuple):
    """The layer whose states are given: its `States`, its units, and whether the states are words; else floats are looked at."""

    states: Any
    n: int
    packed: bool


class Layer(NamedTuple):
    """The layer that is computed: units of a group, units, weights, whether these are transposed, biases, and its `States`."""

    group: int
    n: int
    W: Any
    transpose: bool
    bias: Any
    states: Any


@inlinable
def _copy(source, target):
    for j in range(min(len(source), len(target))):
        target[j] = source[j]


@inlinable
def _copy_params(team, source, target):
    r0, r1 = share(team, min(len(source.W), len(target.W)))
    for r in range(r0, r1):
        _copy(source.W[r], target.W[r])
    if team.thread == 0:
        _copy(source.b, target.b)
        _copy(source.c, target.c)


@inlinable
def _copy_both(team, outside, inside, back):
    for number in range(2):
        if back:
            _copy_params(team, inside[number], outside[number])
        else:
            _copy_params(team, outside[number], inside[number])


@inlinable
def _exchange(team, params, velocity, offsets, workspace, extras, back):
    """Copy parameters, velocity, offsets (none where they are not used) and fast weights into the workspace, or back."""
    _copy_both(team, (params, velocity), (workspace.params, workspace.velocity), back)
    if options.has_fast(extras):
        _copy_both(team, options.fast_of(extras, params, velocity), (workspace.chain, workspace.fast), back)
    if team.thread == 0:
        for outside, inside in ((offsets[0], workspace.centre.v), (offsets[1], workspace.centre.h)):
            source, target = (inside, outside) if back else (outside, inside)
            _copy(source, target)


def is_fused(unit):
    """Whether the fused kernel takes such a layer: one unit type, which does not make its own noise."""
    return isinstance(unit, Unit) and unit.noise != "own"


def is_binary(unit):
    """Whether states of a unit type are zeros and ones, drawn one by one."""
    return unit.support == (0.0, 1.0) and unit.group == 1


@inlinable
def _key(run, step, stream, gibbs):
    return Key(run.seed.k0, run.seed.k1, np.uint32(step), np.uint32(stream + gibbs))


def _words_drawn(unit):
    """`_activate` for binary units, which are drawn word by word."""
    mean_of, draw, noise, rows_of = unit.mean, unit.draw, noise_of(unit), activate_block(unit)

    def run(layer, mean, drawn, rows, key, r0, r1, j0, j1):
        n = layer.n
        if not drawn:
            rows_of(layer.group, layer.bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)
            return
        buffer = carray(stack_like(mean, _DRAWN), _DRAWN)
        for r in range(r0, r1):
            for j in range(j0, j1, _DRAWN):
                end = min(j + _DRAWN, binary.count_words(j1) * WORD)
                m, b, x = mean[r, j:end], layer.bias[j:end], buffer[: end - j]
                noise(x, j, rows[r], key)
                for e in range(len(m)):
                    s = m[e] + b[e]
                    mu = mean_of(s)
                    x[e] = draw(s, mu, x[e])
                    m[e] = mu
                words = layer.states.words[r, j // WORD : end // WORD]
                for q in range(len(words)):
                    words[q] = nonzero(x, q * WORD)
                if end > n:  # beyond the last unit nothing is on
                    words[len(words) - 1] &= (np.uint64(1) << np.uint64(n % WORD)) - np.uint64(1)
                    for e in range(n - j, len(m)):
                        m[e] = 0

    return run


def _floats_drawn(unit):
    """`_activate` for other units, and for groups of units."""
    rows_of = activate_block(unit)

    def run(layer, mean, drawn, rows, key, r0, r1, j0, j1):
        if drawn:
            rows_of(layer.group, layer.bias, mean, layer.states.floats, rows, key, None, 0, r0, r1, j0, j1)
        else:
            rows_of(layer.group, layer.bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)

    return run


@functools.cache
def _conditional(unit):
    """Plain function: the means and draws of a layer of a unit type given the states of the other, on all threads.

    Fields in mean become means, and where `drawn` is set the layer's states draws of them: in rows r0 to r1 and columns j0 to
    j1, edges of words, or all units for groups. Returns the turn of the gate, and how many ones the given states have, or -1.
    """
    activate, whole = inlinable(_words_drawn(unit) if is_binary(unit) else _floats_drawn(unit)), unit.group != 1

    def run(team, turn, blas, given, layer, mean, drawn, rows, key):
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
        if binary.reads_floats(method):
            t0, t1 = share(team, count_blocks(count, n, whole))
            for t in range(t0, t1):
                r0, r1, j0, j1 = block(t, count, n, whole)
                binary.product(method, blas, x, inputs, W, transpose, mean, r0, r1, j0, j1)
                activate(layer, mean, drawn, rows, key, r0, r1, j0, j1)
        else:  # in words, whole ones: weights beyond the last unit are zero
            q0, q1, b0, b1 = share_grid(team, binary.count_words(n), (count + LANES - 1) // LANES, binary.ONCE)
            s0, s1 = b0 * LANES, min(b1 * LANES, count)
            wide = inputs if method == binary.CODES else binary.count_words(inputs) * WORD
            binary.product(method, blas, x, wide, W, transpose, mean, s0, s1, q0 * WORD, q1 * WORD)
            if whole:
                turn = wait(team.gate, team.size, turn)
                activate(layer, mean, drawn, rows, key, r0, r1, 0, n)
            else:
                activate(layer, mean, drawn, rows, key, s0, s1, q0 * WORD, min(q1 * WORD, n))
        return wait(team.gate, team.size, turn), ones

    return inlinable(run)


@inlinable
def _weighted_sums(phase, lists, negative, first_row, weight, out, i0, i1):
    """`_visible_sums` where rows have weights."""
    sums, count = out[i0:i1], lists.count[i0:i1]
    if not phase.listed:
        update.sum_visible(phase.v[:, i0:i1], weight, sums)
        return
    for i in range(len(sums)):
        first, last = (count[i, 1], count[i, 0]) if negative else (0, count[i, 1])
        rows, total = lists.index[i0 + i, first:last], out.dtype.type(0)
        for q in range(len(rows)):
            total += weight[np.int64(rows[q]) - first_row]
        sums[i] = total


@inlinable
def _visible_sums(phase, lists, negative, first_row, weight, out, i0, i1):
    """out = how often each of the visible units i0 to i1 of a phase, 0 or 1, is 1, or the sums of its states; rows weighted, if
    there are weights. Lists call the phase's first row first_row."""
    sums, count = out[i0:i1], lists.count[i0:i1]
    if weight is not None and len(weight) > 0:
        _weighted_sums(phase, lists, negative, first_row, weight, out, i0, i1)
    elif not phase.listed:
        update.sum_visible(phase.v[:, i0:i1], None, sums)
    elif negative:
        for i in range(len(sums)):
            sums[i] = count[i, 0] - count[i, 1]
    else:
        for i in range(len(sums)):
            sums[i] = count[i, 1]


@inlinable
def _change_hidden(team, workspace, n, chains, extras, numbers, weight, both):
    """Sparsity, and the weights of rows, if there are any and with `both` of the chains too, in the hidden means."""
    if extras is None:
        return
    means, activity, real = workspace.means_h, extras.activity, workspace.means_h.dtype.type
    if len(activity) > 0 and numbers[MEAN] > 0:
        q0, q1 = share(team, binary.count_words(len(activity)))
        for q in range(q0, q1):
            j0, j1 = q * WORD, min(q * WORD + WORD, len(activity))
            given = activity[j0:j1], real(extras.target), real(extras.cost)
            offset = workspace.centre.h[j0 : j1 if extras.share != 0 else j0]
            options.sparsify(means[:n, j0:j1], weight, real(numbers[TOTAL]), *given, offset, real(extras.share))
    if len(weight) > 0:
        q0, q1 = share(team, binary.count_words(workspace.h.floats.shape[1]))
        for r in range(n + chains if both else n):
            row, w = means[r, q0 * WORD : q1 * WORD], weight[r if r < n else r - n]
            for j in range(len(row)):
                row[j] *= w


@inlinable
def _part(weight, all_):
    """All weights, or none of them."""
    if weight is None:
        return None
    return weight[: len(weight) if all_ else 0]


@inlinable
def _gather_statistics(team, turn, workspace, positive, negative, packed, weight, both):
    """Make of both phases' visible states what the step reads: floats or lists, and the sums."""
    n, chains, nv, lists = len(positive.v), len(negative.v), positive.v.shape[1], workspace.lists
    if packed[0] and not positive.listed:
        binary.prepare(binary.BLAS, workspace.v0, nv, *share(team, n))
    if packed[1] and not negative.listed:
        binary.prepare(binary.BLAS, workspace.vk, nv, *share(team, chains))
    q0, q1 = share(team, binary.count_words(nv))
    counts = n if positive.listed else 0, chains if negative.listed else 0
    update.list_units(workspace.v0.words, counts[0], workspace.vk.words, counts[1], lists, q0, q1)
    turn = wait(team.gate, team.size, turn)
    i0, i1 = q0 * WORD, min(q1 * WORD, nv)
    _visible_sums(positive, lists, False, 0, weight, workspace.sums[0], i0, i1)
    _visible_sums(negative, lists, True, counts[0], _part(weight, both), workspace.sums[1], i0, i1)
    return turn


@inlinable
def _move(team, turn, blas, workspace, params, velocity, positive, negative, step):
    """The step of all parameters by both phases' statistics."""
    nv, nh = positive.v.shape[1], workspace.h.floats.shape[1]
    lists, centre, words = workspace.lists, workspace.centre, binary.count_words(nh)
    (q0, q1), (w0, w1) = share(team, binary.count_words(nv)), share(team, words)
    i0, i1, j0, j1 = q0 * WORD, min(q1 * WORD, nv), w0 * WORD, min(w1 * WORD, nh)
    update.set_steps(workspace.sums[0, i0:i1], workspace.sums[1, i0:i1], step, centre.step_v[i0:i1], centre.v[i0:i1])
    update.move_hidden(params, velocity, positive, negative, step, centre, j0, j1)
    if step.slide.on:
        turn = wait(team.gate, team.size, turn)
    if not (positive.listed and negative.listed):
        for p in range(*share(team, binary.count_parts(nv))):
            update.multiply_rows(blas, params, velocity, positive, negative, nh, step, binary.edge(p, nv), binary.edge(p + 1, nv))
        turn = wait(team.gate, team.size, turn)
    tall = nv if step.longest > 0 else update.BLOCK  # max-norm adds up whole columns
    c0, c1, r0, r1 = share_grid(team, words, (nv + tall - 1) // tall, 1)
    part = r0 * tall, min(r1 * tall, nv), c0 * WORD, min(c1 * WORD, nh), c1 * WORD
    update.move_columns(params, velocity, positive, negative, lists, workspace.packed[team.thread], step, centre, *part)
    if step.slide.on:
        turn = wait(team.gate, team.size, turn)
        update.center_hidden(params, centre, j0, j1)
    update.move_visible(params, velocity, step, centre, i0, i1)
    return wait(team.gate, team.size, turn)


@inlinable
def _update(team, turn, blas, workspace, n, chains, ones, packed, run, extras, numbers, weight):
    """The step of all parameters, and that of the fast weights; ones and packed are those of each phase's visible states."""
    nv, real, both = workspace.v0.floats.shape[1], workspace.means_h.dtype.type, not run.persistent
    positive = update.Summed(workspace.v0.floats[:n], workspace.means_h[:n], update.worth_listing(ones[0], n, nv))
    hk = workspace.means_h[n : n + chains]
    negative = update.Summed(workspace.vk.floats[:chains], hk, update.worth_listing(ones[1], chains, nv))
    _change_hidden(team, workspace, n, chains, extras, numbers, weight, both)
    turn = _gather_statistics(team, turn, workspace, positive, negative, packed, weight, both)
    slide = update.Slide(run.centred, real(numbers[SLIDE]), real(numbers[SLIDE + 1]), real(numbers[SLIDE + 2]))
    fast = options.has_fast(extras)
    for part in range(2 if fast else 1):
        second = fast and part == 1
        params, velocity = (workspace.chain, workspace.fast) if second else (workspace.params, workspace.velocity)
        rates, kept, decay = (FAST, options.kept_of(extras), 0.0) if second else (DATA, run.momentum, run.decay)
        l1, longest = (0.0, 0.0) if second else options.penalties(extras)
        slides = update.Slide(False, slide.rate, slide.positive, slide.negative) if second else slide
        fixed = real(kept), real(decay), slides, real(l1), real(longest)
        step = update.Step(real(numbers[rates]), real(numbers[rates + 1]), *fixed)
        if second:
            _copy_params(team, workspace.params, workspace.chain)
            turn = wait(team.gate, team.size, turn)
        turn = _move(team, turn, blas, workspace, params, velocity, positive, negative, step)
    return turn


@inlinable
def _take(data, packed, rows, key, v, r0, r1):
    """Rows of data into the first rows of visible states, as words where the data are packed."""
    if packed:
        for r in range(r0, r1):
            read_words(data, rows[r], v.words[r])
    else:
        raw = np.empty(v.floats.shape[1])
        for r in range(r0, r1):
            read_row(data, rows[r], key, raw, v.floats[r])


@functools.cache
def cd_steps(visible, hidden):
    """The kernel of a pair of unit types; `cd.minibatch` is the same in the words of the protocol."""
    given_hidden, given_visible = _conditional(visible), _conditional(hidden)
    packed_v, packed_h = is_binary(visible), is_binary(hidden)

    def steps(thread, size, gate, blas, groups, data, params, velocity, offsets, chain_rows, workspace, run, extras):
        gate, blas, data, params, velocity = uncounted((gate, blas, data, params, velocity))
        offsets, chain_rows, workspace, run, extras = uncounted((offsets, chain_rows, workspace, run, extras))
        team, turn, packed_data = Team(thread, size, gate), 0, data.kind == PACKED or data.kind == ONES
        (nv, nh), plain, chain = params.W.shape, workspace.params, options.chain_of(extras, workspace)
        up = Layer(groups[1], nh, plain.W, False, plain.c, workspace.h)
        up_chain = Layer(groups[1], nh, chain.W, False, chain.c, workspace.h)
        down = Layer(groups[0], nv, chain.W, True, chain.b, workspace.vk)
        fast = options.has_fast(extras)
        _exchange(team, params, velocity, offsets, workspace, extras, False)
        if run.persistent and packed_h and thread == 0:
            for r in range(len(chain_rows)):
                binary.pack_row(workspace.h.floats[r], workspace.h.words[r])
        for number in range(len(run.numbers)):
            start, now = number * run.batch_size, run.step + number
            rows, weight = run.order[start : start + run.batch_size], options.weights_of(extras, start, run.batch_size)
            n = len(rows)
            r0, r1 = share(team, n)
            _take(data, packed_data, rows, _key(run, run.epoch, run.data, 0), workspace.v0, r0, r1)
            turn = wait(gate, size, turn)
            chains, who = (len(chain_rows), chain_rows) if run.persistent else (n, rows)
            h0, hk, mean = workspace.means_h[:n], workspace.means_h[n : n + chains], workspace.means_v[:chains]
            ones_0, ones_k = -1, -1
            for t in range(run.k + 2 if fast else run.k + 1):  # up from the data, then down and up again
                v, h, whose, packed = (workspace.vk, hk, who, packed_v) if t else (workspace.v0, h0, rows, packed_data)
                drawn, key = 0 < t <= run.k if run.persistent else t < run.k, _key(run, now, run.hidden, t)
                layer = up_chain if fast and 0 < t <= run.k else up  # after the chain of fast weights its means at the parameters
                turn, ones_k = given_visible(team, turn, blas, Given(v, nv, packed), layer, h, drawn, whose, key)
                ones_0 = ones_0 if t else ones_k
                if t < run.k:
                    key = _key(run, now, run.visible, t)
                    turn, _ = given_hidden(team, turn, blas, Given(workspace.h, nh, packed_h), down, mean, True, who, key)
            ones, words = (ones_0, ones_k), (packed_data, packed_v)
            turn = _update(team, turn, blas, workspace, n, chains, ones, words, run, extras, run.numbers[number], weight)
        if run.persistent and packed_h and thread == 0:
            for r in range(len(chain_rows)):
                binary.unpack_row(workspace.h.words[r], workspace.h.floats[r])
        _exchange(team, params, velocity, offsets, workspace, extras, True)

    return kernel(steps)
