"""Whole CD minibatches in one compiled call on any number of threads: take, positive phase, k Gibbs steps, update.

Every thread runs this kernel and takes its share of rows, columns or words. At a gate (gate.py) it waits for the others.
The blocks and the order of every sum are those of the composed operations (kernels.py, update.py), so results are the
same, bit for bit, as cd.py's own and at any number of threads. States of zeros and ones stay packed throughout, and weights lie
in a copy whose rows begin at lines of the cache.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu import binary, fast_weights, options, update
from fastdbn.backends.cpu.centre import BLOCK, Slide, center_hidden
from fastdbn.backends.cpu.gate import Team, share, share_grid, uncounted, wait
from fastdbn.backends.cpu.half_step import Given, Layer, half_step, is_binary
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.loading import ONES, PACKED, read_row, read_words
from fastdbn.backends.cpu.options import CHAINS, DATA, MEAN, RATIO, SLIDE, TOTAL
from fastdbn.backends.cpu.simd import WORD
from fastdbn.backends.cpu.tempering import chains_at_one, exchange, heat_of
from fastdbn.maths.rng import Key


class Run(NamedTuple):
    """One call's minibatches: their rows one after another, the batch size, and what is the same for all of them.

    seed is a Key of which only the two halves count; data, hidden and visible are the layer's stream numbers at Gibbs step
    0, to which the step is added; step counts minibatches since the start of the fit. decay is the learning rate times the
    weight decay; numbers (minibatches, 10) float64 are those of each minibatch, at the places DATA to MEAN (options.py).
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
        _copy_both(team, options.fast_outside(extras, params, velocity), (workspace.chain, workspace.fast), back)
    if team.thread == 0:
        for outside, inside in ((offsets[0], workspace.centre.v), (offsets[1], workspace.centre.h)):
            source, target = (inside, outside) if back else (outside, inside)
            _copy(source, target)


@inlinable
def _key(run, step, stream, gibbs):
    return Key(run.seed.k0, run.seed.k1, np.uint32(step), np.uint32(stream + gibbs))


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
def _move(team, turn, blas, workspace, positive, negative, step, fast):
    """The step of all parameters and fast weights by both phases' statistics."""
    params, velocity = workspace.params, workspace.velocity
    nv, nh = positive.v.shape[1], workspace.h.floats.shape[1]
    lists, centre, words = workspace.lists, workspace.centre, binary.count_words(nh)
    (q0, q1), (w0, w1) = share(team, binary.count_words(nv)), share(team, words)
    i0, i1, j0, j1 = q0 * WORD, min(q1 * WORD, nv), w0 * WORD, min(w1 * WORD, nh)
    update.set_steps(workspace.sums[0, i0:i1], workspace.sums[1, i0:i1], step, centre.step_v[i0:i1], centre.v[i0:i1])
    update.move_hidden(params, velocity, positive, negative, step, centre, fast, j0, j1)
    if step.slide.on:
        turn = wait(team.gate, team.size, turn)
    if not (positive.listed and negative.listed):
        for p in range(*share(team, binary.count_parts(nv))):
            rows = binary.edge(p, nv), binary.edge(p + 1, nv)
            update.multiply_rows(blas, params, velocity, positive, negative, nh, step, fast, *rows)
        turn = wait(team.gate, team.size, turn)
    tall = nv if step.longest > 0 else BLOCK  # max-norm adds up whole columns
    c0, c1, r0, r1 = share_grid(team, words, (nv + tall - 1) // tall, 1)
    part = r0 * tall, min(r1 * tall, nv), c0 * WORD, min(c1 * WORD, nh), c1 * WORD
    update.move_columns(params, velocity, positive, negative, lists, workspace.packed[team.thread], step, centre, fast, *part)
    if step.slide.on:
        turn = wait(team.gate, team.size, turn)
        center_hidden(params, centre, j0, j1)
    update.move_visible(params, velocity, step, centre, i0, i1)
    fast_weights.move_biases(fast, params, workspace.sums, i0, i1, j0, j1)
    return wait(team.gate, team.size, turn)


@inlinable
def _update(team, turn, blas, workspace, n, chains, ones, packed, run, extras, numbers, weight):
    """The step of all parameters and fast weights; ones and packed are those of each phase's visible states."""
    nv, real, both = workspace.v0.floats.shape[1], workspace.means_h.dtype.type, not run.persistent
    positive = update.Summed(workspace.v0.floats[:n], workspace.means_h[:n], update.worth_listing(ones[0], n, nv))
    hk = workspace.means_h[n : n + chains]
    negative = update.Summed(workspace.vk.floats[:chains], hk, update.worth_listing(ones[1], chains, nv))
    _change_hidden(team, workspace, n, chains, extras, numbers, weight, both)
    turn = _gather_statistics(team, turn, workspace, positive, negative, packed, weight, both)
    slide = Slide(run.centred, real(numbers[SLIDE]), real(numbers[SLIDE + 1]), real(numbers[SLIDE + 2]))
    l1, longest = options.penalties(extras)
    scales = real(numbers[DATA]), real(numbers[CHAINS]), real(numbers[RATIO])
    step = update.Step(*scales, real(run.momentum), real(run.decay), slide, real(l1), real(longest))
    return _move(team, turn, blas, workspace, positive, negative, step, options.fast_of(extras, workspace, numbers))


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
    given_hidden, given_visible, exchanged = half_step(visible), half_step(hidden), exchange(visible, hidden)
    packed_v, packed_h = is_binary(visible), is_binary(hidden)

    def steps(thread, size, gate, blas, groups, data, params, velocity, offsets, chain_rows, workspace, run, extras):
        gate, blas, data, params, velocity = uncounted((gate, blas, data, params, velocity))
        offsets, chain_rows, workspace, run, extras = uncounted((offsets, chain_rows, workspace, run, extras))
        team, turn, packed_data = Team(thread, size, gate), 0, data.kind == PACKED or data.kind == ONES
        (nv, nh), plain, chain = params.W.shape, workspace.params, options.chain_of(extras, workspace)
        rungs = options.rungs_of(extras)
        heat = heat_of(rungs)
        up = Layer(groups[1], nh, plain.W, False, plain.c, workspace.h, heat)
        up_chain = Layer(groups[1], nh, chain.W, False, chain.c, workspace.h, heat)
        down = Layer(groups[0], nv, chain.W, True, chain.b, workspace.vk, heat)
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
                turn, ones_k = given_visible(team, turn, blas, Given(v, nv, packed), layer, h, drawn, whose, key, t == run.k)
                ones_0 = ones_0 if t else ones_k
                if t < run.k:
                    key = _key(run, now, run.visible, t)
                    turn, _ = given_hidden(team, turn, blas, Given(workspace.h, nh, packed_h), down, mean, True, who, key, False)
                elif t == run.k:
                    turn, ones_k = exchanged(rungs, number, team, turn, up_chain, down, hk, who, ones_k, fast)
                    chains = chains_at_one(rungs, chains)
                    who, hk = who[:chains], hk[:chains]
            ones, words = (ones_0, ones_k), (packed_data, packed_v)
            turn = _update(team, turn, blas, workspace, n, chains, ones, words, run, extras, run.numbers[number], weight)
        if run.persistent and packed_h and thread == 0:
            for r in range(len(chain_rows)):
                binary.unpack_row(workspace.h.words[r], workspace.h.floats[r])
        _exchange(team, params, velocity, offsets, workspace, extras, True)

    return kernel(steps)
