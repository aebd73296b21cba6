"""Whole CD minibatches in one compiled call on any number of threads: take, positive phase, k Gibbs steps, update.

Every thread runs this kernel and takes its share of rows, of columns or of words; at a gate (gate.py) it waits for the others.
The blocks and the order of every sum are those of the composed operations (kernels.py, update.py), so results are the
same, bit for bit, as cd.py's own and at any number of threads. States of zeros and ones stay packed throughout, and weights lie
in a copy whose rows begin at lines of the cache.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu.binary import (
    BLAS,
    choose,
    count_ones,
    count_packed,
    count_parts,
    count_words,
    edge,
    pack_row,
    pack_word,
    prepare,
    product,
    reads_floats,
    unpack_row,
)
from fastdbn.backends.cpu.center import Slide, set_steps
from fastdbn.backends.cpu.gate import Team, share, wait
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.kernels import activate_block, block, count_blocks, noise_of
from fastdbn.backends.cpu.loading import ONES, PACKED, read_row, read_words
from fastdbn.backends.cpu.simd import WORD, stack_like
from fastdbn.backends.cpu.update import list_units, move_columns, move_visible, multiply_rows, sum_visible, worth_listing
from fastdbn.maths.rng import Key
from fastdbn.units.unit import Unit


class Run(NamedTuple):
    """One call's minibatches: their rows one after another, the batch size, and what is the same for all of them.

    slide, the rate at which offsets move, is 0 where the gradient is not centred; model_share is the chains' part in them.
    seed is a Key of which only the two halves count; data, hidden and visible are the layer's stream numbers at Gibbs step
    0, to which the step is added; step counts minibatches since the start of the fit.
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
    learning_rate: float
    momentum: float
    weight_decay: float
    slide: float
    model_share: float


@inlinable
def _copy_rows(source, target, r0, r1):
    for r in range(r0, r1):
        for j in range(min(source.shape[1], target.shape[1])):
            target[r, j] = source[r, j]


@inlinable
def _copy(source, target):
    for j in range(min(len(source), len(target))):
        target[j] = source[j]


@inlinable
def _exchange(team, params, velocity, offsets, workspace, back):
    """Copy parameters, velocity and offsets (none where they are not used) into the workspace, or back."""
    for outside, inside in ((params, workspace.params), (velocity, workspace.velocity)):
        source, target = (inside, outside) if back else (outside, inside)
        r0, r1 = share(team, outside.W.shape[0])
        _copy_rows(source.W, target.W, r0, r1)
        if team.thread == 0:
            _copy(source.b, target.b)
            _copy(source.c, target.c)
    if team.thread == 0:
        for outside, inside in ((offsets[0], workspace.centre.v), (offsets[1], workspace.centre.h)):
            source, target = (inside, outside) if back else (outside, inside)
            _copy(source, target)


def is_fused(unit):
    """Whether whole minibatches can have such a layer: one unit type, with noise that it is given."""
    return isinstance(unit, Unit) and unit.noise != "own"


def is_binary(unit):
    """Whether states of a unit type are zeros and ones, each of its own."""
    return unit.support == (0.0, 1.0) and unit.group == 1


@inlinable
def _key(run, step, stream, gibbs):
    return Key(run.seed.k0, run.seed.k1, np.uint32(step), np.uint32(stream + gibbs))


def _words_drawn(unit):
    """`_activate` for binary units, which are drawn word by word."""
    mean_of, draw, noise, rows_of = unit.mean, unit.draw, noise_of(unit), activate_block(unit)

    def run(group, bias, mean, states, drawn, rows, key, n, r0, r1, j0, j1):
        if not drawn:
            rows_of(group, bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)
            return
        x = carray(stack_like(mean, WORD), WORD)
        for r in range(r0, r1):
            for j in range(j0, j1, WORD):
                m, b = mean[r, j : j + WORD], bias[j : j + WORD]
                noise(x, j, rows[r], key)
                for e in range(WORD):
                    s = m[e] + b[e]
                    mu = mean_of(s)
                    x[e] = draw(s, mu, x[e])
                    m[e] = mu
                word = pack_word(x, 0)
                if n - j < WORD:  # beyond the last unit nothing is on
                    word &= (np.uint64(1) << np.uint64(n - j)) - np.uint64(1)
                    for e in range(n - j, WORD):
                        m[e] = 0
                states.words[r, j // WORD] = word

    return run


def _units_drawn(unit):
    """`_activate` for other units, each of its own."""
    rows_of = activate_block(unit)

    def run(group, bias, mean, states, drawn, rows, key, n, r0, r1, j0, j1):
        if drawn:
            rows_of(group, bias, mean, states.floats, rows, key, None, 0, r0, r1, j0, j1)
        else:
            rows_of(group, bias, mean, None, rows, key, None, 0, r0, r1, j0, j1)

    return run


def _groups_drawn(unit):
    """`_activate` for units in groups: whole rows."""
    rows_of = activate_block(unit)

    def run(group, bias, mean, states, drawn, rows, key, n, r0, r1, j0, j1):
        if drawn:
            rows_of(group, bias, mean[:, :n], states.floats, rows, key, None, 0, r0, r1, 0, n)
        else:
            rows_of(group, bias, mean[:, :n], None, rows, key, None, 0, r0, r1, 0, n)

    return run


@functools.cache
def _activate(unit):
    """Plain function: fields in mean become means, and where `drawn` is set states draws of them, in rows r0 to r1 and columns
    j0 to j1, edges of words, or all n for units in groups."""
    make = _groups_drawn if unit.group != 1 else _words_drawn if is_binary(unit) else _units_drawn
    return inlinable(make(unit))


@functools.cache
def _conditional(unit):
    """Plain function: the means and draws of a layer of a unit type given the states x of the other, on all threads.

    packed : whether x holds words; else its floats are looked at
    Returns the turn of the gate, and how many ones x has, or -1.
    """
    activate, whole = _activate(unit), unit.group != 1

    def run(team, turn, blas, group, x, inputs, packed, W, transpose, bias, n, mean, drawn, states, rows, key):
        count = len(rows)
        ones = count_packed(x.words[:count]) if packed else count_ones(x.floats[:count])
        method = choose(ones, count, inputs, n, transpose)
        r0, r1 = share(team, count)
        if ones >= 0 and not packed:
            for r in range(r0, r1):
                pack_row(x.floats[r], x.words[r])
        if ones >= 0 and (packed or not reads_floats(method)):
            prepare(method, x, inputs, r0, r1)
        turn = wait(team.gate, team.size, turn)
        if reads_floats(method):
            t0, t1 = share(team, count_blocks(count, n, whole))
            for t in range(t0, t1):
                r0, r1, j0, j1 = block(t, count, n, whole)
                product(method, blas, x, inputs, W, transpose, mean, r0, r1, j0, j1)
                activate(group, bias, mean, states, drawn, rows, key, n, r0, r1, j0, j1)
        else:  # in words, whole ones: weights beyond the last unit are zero
            q0, q1 = share(team, count_words(n))
            product(method, blas, x, count_words(inputs) * WORD, W, transpose, mean, 0, count, q0 * WORD, q1 * WORD)
            if whole:
                turn = wait(team.gate, team.size, turn)
                activate(group, bias, mean, states, drawn, rows, key, n, r0, r1, 0, n)
            else:
                activate(group, bias, mean, states, drawn, rows, key, n, 0, count, q0 * WORD, min(q1 * WORD, n))
        return wait(team.gate, team.size, turn), ones

    return inlinable(run)


@inlinable
def _visible_sums(v, listed, count, phase, out, i0, i1):
    """out = how often each of the visible units i0 to i1 of a phase is 1, or the sums of its states."""
    count, out = count[i0:i1], out[i0:i1]
    if not listed:
        sum_visible(v[:, i0:i1], None, out)
    elif phase == 0:
        for i in range(len(out)):
            out[i] = count[i, 1]
    else:
        for i in range(len(out)):
            out[i] = count[i, 0] - count[i, 1]


@inlinable
def _update(team, turn, blas, workspace, n, chains, ones, packed_data, packed_v, scales, momentum, decay, slide):
    """The step of all parameters by both phases' statistics; `ones` of each phase, as _conditional returns them."""
    nv, nh = workspace.v0.floats.shape[1], workspace.h.floats.shape[1]
    listed_p, listed_m = worth_listing(ones[0], n, nv), worth_listing(ones[1], chains, nv)
    lists, v0, vk, centre = workspace.lists, workspace.v0, workspace.vk, workspace.centre
    r0, r1 = share(team, n)
    if packed_data and not listed_p:
        prepare(BLAS, v0, nv, r0, r1)
    r0, r1 = share(team, chains)
    if packed_v and not listed_m:
        prepare(BLAS, vk, nv, r0, r1)
    q0, q1 = share(team, count_words(nv))
    if listed_p or listed_m or slide.on:
        list_units(v0.words, n if listed_p else 0, vk.words, chains if listed_m else 0, lists, q0, q1)
    turn = wait(team.gate, team.size, turn)
    i0, i1 = q0 * WORD, min(q1 * WORD, nv)
    _visible_sums(v0.floats[:n], listed_p, lists.count, 0, workspace.sums[0], i0, i1)
    _visible_sums(vk.floats[:chains], listed_m, lists.count, 1, workspace.sums[1], i0, i1)
    set_steps(workspace.sums[0, i0:i1], workspace.sums[1, i0:i1], scales, slide, centre.step_v[i0:i1], centre.v[i0:i1])
    if slide.on:
        turn = wait(team.gate, team.size, turn)
    hp, hm = workspace.means_h[:n], workspace.means_h[n : n + chains]
    if not (listed_p and listed_m):
        p0, p1 = share(team, count_parts(nv))
        for p in range(p0, p1):
            multiply_rows(
                blas,
                workspace.params,
                workspace.velocity,
                v0.floats[:n],
                hp,
                listed_p,
                vk.floats[:chains],
                hm,
                listed_m,
                nh,
                scales,
                momentum,
                decay,
                slide.on,
                edge(p, nv),
                edge(p + 1, nv),
            )
        turn = wait(team.gate, team.size, turn)
    parts, packed = count_parts(nh), workspace.packed[team.thread]
    p0, p1 = share(team, parts)
    for p in range(p0, p1):
        j0, j1 = edge(p, nh), edge(p + 1, nh)
        end = j1 if p + 1 < parts else count_words(nh) * WORD
        move_columns(
            workspace.params,
            workspace.velocity,
            hp,
            listed_p,
            hm,
            listed_m,
            lists,
            packed,
            scales,
            momentum,
            decay,
            centre,
            slide,
            j0,
            j1,
            end,
        )
    if slide.on:
        turn = wait(team.gate, team.size, turn)
    move_visible(workspace.params, workspace.velocity, momentum, centre, slide.on, i0, i1)
    return wait(team.gate, team.size, turn)


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

    def steps(thread, size, gate, blas, group_v, group_h, data, params, velocity, offsets, chain_rows, workspace, run):
        team, turn, packed_data = Team(thread, size, gate), 0, data.kind == PACKED or data.kind == ONES
        nv, nh = params.W.shape
        W, b, c, real = workspace.params.W, workspace.params.b, workspace.params.c, workspace.params.W.dtype.type
        momentum, decay = real(run.momentum), real(run.learning_rate * run.weight_decay)
        step = run.step
        _exchange(team, params, velocity, offsets, workspace, False)
        if run.persistent and packed_h and thread == 0:
            for r in range(len(chain_rows)):
                pack_row(workspace.h.floats[r], workspace.h.words[r])
        for start in range(0, len(run.order), run.batch_size):
            rows = run.order[start : start + run.batch_size]
            n = len(rows)
            r0, r1 = share(team, n)
            _take(data, packed_data, rows, _key(run, run.epoch, run.data, 0), workspace.v0, r0, r1)
            turn = wait(gate, size, turn)
            chains, who = (len(chain_rows), chain_rows) if run.persistent else (n, rows)
            h0, hk, mean = workspace.means_h[:n], workspace.means_h[n : n + chains], workspace.means_v[:chains]
            ones_0, ones_k = -1, -1
            for t in range(run.k + 1):  # up from the data, then down and up again
                key = _key(run, step, run.hidden, t)
                v, h, whose, packed = (workspace.vk, hk, who, packed_v) if t else (workspace.v0, h0, rows, packed_data)
                drawn = t > 0 if run.persistent else t < run.k
                turn, ones_k = given_visible(
                    team, turn, blas, group_h, v, nv, packed, W, False, c, nh, h, drawn, workspace.h, whose, key
                )
                if t == 0:
                    ones_0 = ones_k
                if t < run.k:
                    key = _key(run, step, run.visible, t)
                    turn, _ = given_hidden(
                        team, turn, blas, group_v, workspace.h, nh, packed_h, W, True, b, nv, mean, True, workspace.vk, who, key
                    )
            scales = real(run.learning_rate / n), real(run.learning_rate / chains)
            slide = Slide(
                run.slide > 0,
                real(run.slide),
                real(run.slide * (1 - run.model_share) * (1.0 / n)),
                real(run.slide * run.model_share * (1.0 / chains)),
            )
            ones = ones_0, ones_k
            turn = _update(team, turn, blas, workspace, n, chains, ones, packed_data, packed_v, scales, momentum, decay, slide)
            step += 1
        if run.persistent and packed_h and thread == 0:
            for r in range(len(chain_rows)):
                unpack_row(workspace.h.words[r], workspace.h.floats[r])
        _exchange(team, params, velocity, offsets, workspace, True)

    return kernel(steps)
