"""Rounds of a ladder of machines in one compiled call: half-steps of all chains, then exchanges between neighbours.

Threads share the machines, and then the pairs of neighbours. Blocks and sums are those of the composed operations
(machine/ladder.py), so results are the same, bit for bit, and at any number of threads. Machines are found by the addresses of
their parameters, so their number is no part of the code. Binary states are words in between.
"""

import functools
import weakref
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import binary, pool
from fastdbn.backends.cpu.backprop_buffers import pointer
from fastdbn.backends.cpu.gate import Team, share, uncounted, wait
from fastdbn.backends.cpu.half_step import Layer, draw_layer, is_binary, is_fused
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.kernels import ROWS, block, count_blocks, inner, step_of
from fastdbn.backends.cpu.product import not_inlined
from fastdbn.backends.cpu.rows import copy_row, swap_rows
from fastdbn.backends.cpu.sweeps import AT_ONCE, log_normalisers
from fastdbn.backends.cpu.workspace import aligned
from fastdbn.backends.protocol import Params
from fastdbn.maths import rng
from fastdbn.maths.rng import Key


class Ladder(NamedTuple):
    """M machines: units of a group of both sides, (nv, nh), and (M, 3) addresses of W, b and c."""

    visible_group: int
    hidden_group: int
    shape: Any
    params: Any


class Places(NamedTuple):
    """n chains of each machine, and buffers.

    v (M n, nv) and their words (M n, q); own and cross (M n, nh), fields at the chains' machines and at their neighbours; who
    (M n,) numbers the chains. For each thread, h (n, nh) with their words, and mean (n, nv).
    """

    v: Any
    v_words: Any
    own: Any
    cross: Any
    who: Any
    h: Any
    h_words: Any
    mean: Any


class Run(NamedTuple):
    """Rounds, as `Rounds` has them.

    logs (count, M - 1, n) are named by the lower machine, and so are ratios (count, M - 1, 2, n), r of the states of both. kept
    takes the last machine's states, n rows a round, and begins anew at its end.
    """

    number: int
    first: int
    middle: int
    last: int
    still: int
    seed: Key
    hidden: Any
    visible: Any
    logs: Any
    ratios: Any
    kept: Any


def _words(rows, n):
    return aligned((rows, binary.count_words(n)), np.uint64)


def _arguments(chains, n_threads):
    """(ladder, places) of a protocol's `LadderChains`, for so many threads."""
    (nv, nh), n, of_all = chains.params[0].W.shape, chains.n, len(chains.v)
    groups = (unit.group_size(size) for unit, size in ((chains.visible, nv), (chains.hidden, nh)))
    at = np.array([[x.ctypes.data for x in params] for params in chains.params])
    h, mean = (x if n_threads == 1 else aligned((n_threads * n, x.shape[1]), x.dtype) for x in (chains.h, chains.mean))
    return Ladder(*groups, (nv, nh), at), Places(
        *(chains.v, _words(of_all, nv), chains.fields[:of_all], chains.fields[of_all:], chains.rows, h, _words(len(h), nh), mean)
    )


_known: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
"""The arguments of each `LadderChains`, by numbers of threads."""


def run(most_threads, blas, chains, asked, logs, kept):
    """`Backend.ladder_rounds`. It leaves units that have no half-steps here, and work for more threads than machines move."""
    moving, products = len(chains.params) - asked.still, 2 + asked.halves[2] - asked.halves[0]
    work = 2.0 * moving * products * chains.mean.size * chains.h.shape[1]
    n_threads = max(1, min(most_threads, int(work // pool.WORK_PER_THREAD)))
    plain = all(x.flags.c_contiguous for params in chains.params for x in params)
    if not (plain and is_fused(chains.visible) and is_fused(chains.hidden)) or n_threads > moving:
        return None
    known = _known.setdefault(chains, {})
    if n_threads not in known:
        known[n_threads] = _arguments(chains, n_threads)
    ratios, kept = np.empty((*logs.shape[:2], 2, logs.shape[2])), chains.v[:0] if kept is None else kept
    numbers = Run(asked.number, *asked.halves, asked.still, rng.key(asked.seed, 0, 0), *asked.streams(), logs, ratios, kept)
    pool.team(n_threads, rounds(chains.visible, chains.hidden), blas, *known[n_threads], numbers)
    return ratios


@inlinable
def _params(ladder, i, like):
    at, (nv, nh) = ladder.params[i], ladder.shape
    return Params(carray(pointer(at[0], like), (nv, nh)), carray(pointer(at[1], like), nv), carray(pointer(at[2], like), nh))


@inlinable
def _rows(x, words, buffer, r0, r1):
    return binary.States(x[r0:r1], words[r0:r1], buffer.index, buffer.starts, buffer.offsets, buffer.codes)


@inlinable
def _product(blas, x, words, packed, buffer, W, transpose, out, whole):
    """out = x W, or x W'. The states are words where they are packed; else floats, and words are a buffer."""
    not_inlined()
    (count, n), inputs = out.shape, x.shape[1]
    ones = binary.count_packed(words) if packed else binary.count_ones(x)
    method, ready = binary.choose(ones, count, inputs, n, transpose, binary.in_registers(W)), -1
    for t in range(count_blocks(count, n, whole)):
        r0, r1, j0, j1 = block(t, count, n, whole)
        for r in range(r0, r1, step_of(method)):
            end = min(r + step_of(method), r1)
            states = _rows(x, words, buffer, r, end)
            if r > ready:
                if not packed and not binary.reads_floats(method):
                    for e in range(r, end):
                        binary.pack_row(x[e], words[e])
                if packed or not binary.reads_floats(method):
                    binary.prepare(method, states, inputs, 0, end - r)
                ready = r
            binary.product(method, blas, states, inputs, W, transpose, out[r:end], 0, end - r, j0, j1)


@functools.cache
def rounds(visible, hidden):
    """The kernel of a pair of unit types."""
    draw_visible, draw_hidden, normalisers = draw_layer(visible), draw_layer(hidden), log_normalisers(hidden)
    packed_v, packed_h, whole_visible = is_binary(visible), is_binary(hidden), visible.group != 1

    def field(blas, places, buffer, r0, r1, W, out):
        _product(blas, places.v[r0:r1], places.v_words[r0:r1], packed_v, buffer, W, False, out, False)

    field = inlinable(field)

    def move(blas, ladder, places, buffers, run, number, i, thread, first, last):
        """Half-steps of machine i. Fields of its chains are there before a hidden one, and after a visible one."""
        n, (nv, nh), (W, b, c) = run.logs.shape[2], ladder.shape, _params(ladder, i, places.v)
        (r0, r1), (h0, h1) = (i * n, (i + 1) * n), (thread * n, (thread + 1) * n)
        own, mean, who = places.own[r0:r1], places.mean[h0:h1], places.who[r0:r1]
        v, h = (
            _rows(places.v, places.v_words, buffers[0], r0, r1),
            _rows(places.h, places.h_words, buffers[1], h0, h1),
        )
        for half in range(first, last):
            step, t = np.uint32(run.number + number), np.uint32(half // 2)
            if half % 2 == 0:
                key = Key(run.seed.k0, run.seed.k1, step, run.hidden + t)
                draw_hidden(Layer(ladder.hidden_group, nh, W, False, c, h, None), own, True, who, key, 0, n, 0, nh)
            else:
                _product(blas, h.floats, h.words, packed_h, buffers[1], W, True, mean, whole_visible)
                key = Key(run.seed.k0, run.seed.k1, step, run.visible + t)
                draw_visible(Layer(ladder.visible_group, nv, W, True, b, v, None), mean, True, who, key, 0, n, 0, nv)
                field(blas, places, buffers[0], r0, r1, W, own)

    move = inlinable(move)

    def log_ratio(group, v, words, lower, upper, below, above, scratch, out):
        """out (n,) = r of states whose fields are `below` at the lower machine and `above` at the upper one."""
        not_inlined()
        toward, row, s, high, low = scratch
        one = toward.dtype.type(1)
        for r in range(0, len(out), AT_ONCE):
            end = min(r + AT_ONCE, len(out))
            normalisers(group, above[r:end], upper, one, s, high[: end - r])
            normalisers(group, below[r:end], lower, one, s, low[: end - r])
            for e in range(r, end):
                if packed_v:
                    binary.unpack_row(words[e], row)
                    along = inner(row, toward)
                else:
                    along = inner(v[e], toward)
                out[e] = (along - low[e - r]) + high[e - r]

    log_ratio = inlinable(log_ratio)

    def exchange(blas, ladder, places, buffer, scratch, run, number, lower):
        """Exchange states between a machine and the next one."""
        n, below, above = run.logs.shape[2], _params(ladder, lower, places.v), _params(ladder, lower + 1, places.v)
        r0, r1, r2 = lower * n, (lower + 1) * n, (lower + 2) * n
        field(blas, places, buffer, r0, r1, above.W, places.cross[r0:r1])
        field(blas, places, buffer, r1, r2, below.W, places.cross[r1:r2])
        toward = scratch[0]
        for j in range(len(toward)):
            toward[j] = above.b[j] - below.b[j]
        for up in range(2):
            a, b = (r1, r2) if up else (r0, r1)
            at = (places.cross[a:b], places.own[a:b]) if up else (places.own[a:b], places.cross[a:b])
            states = places.v[a:b], places.v_words[a:b]
            log_ratio(ladder.hidden_group, *states, below.c, above.c, *at, scratch, run.ratios[number, lower, up])
        of_lower, of_upper = run.ratios[number, lower]
        for e in range(n):
            if run.logs[number, lower, e] < of_lower[e] - of_upper[e]:
                if packed_v:
                    swap_rows(places.v_words[r0 + e], places.v_words[r1 + e])
                else:
                    swap_rows(places.v[r0 + e], places.v[r1 + e])
                copy_row(places.cross[r1 + e], places.own[r0 + e])
                copy_row(places.cross[r0 + e], places.own[r1 + e])

    exchange = inlinable(exchange)

    def steps(thread, size, gate, blas, ladder, places, run):
        gate, blas, ladder, places, run = uncounted((gate, blas, ladder, places, run))
        team, turn = Team(thread, size, gate), 0
        (count, pairs, n), (nv, nh), like = run.logs.shape, ladder.shape, places.v.dtype
        i0, i1 = share(team, pairs + 1)
        buffers = binary.make_states(places.v, min(n, ROWS)), binary.make_states(places.h, min(n, ROWS))
        scratch = np.empty(nv, like), np.empty(nv, like), np.empty(AT_ONCE * nh, like), np.empty(AT_ONCE), np.empty(AT_ONCE)
        if packed_v:
            for r in range(i0 * n, i1 * n):
                binary.pack_row(places.v[r], places.v_words[r])
        if packed_h and run.first % 2 == 1:
            for r in range(thread * n, (thread + 1) * n):
                binary.pack_row(places.h[r], places.h_words[r])
        for i in range(i0, i1):
            if i < run.still or run.first % 2 == 0:
                W, r0, r1 = _params(ladder, i, places.v).W, i * n, (i + 1) * n
                field(blas, places, buffers[0], r0, r1, W, places.own[r0:r1])
        for number in range(count):
            for part in range(2):
                first, last = (run.middle, run.last) if part else (run.first, run.middle)
                for i in range(max(i0, run.still), i1):
                    move(blas, ladder, places, buffers, run, number, i, thread, first, last)
                if part == 0:
                    turn = wait(gate, size, turn)
                    for odd in range(2):
                        p0, p1 = share(team, (pairs + 1 - odd) // 2)
                        for p in range(p0, p1):
                            exchange(blas, ladder, places, buffers[0], scratch, run, number, 2 * p + odd)
                        turn = wait(gate, size, turn)
            if thread == size - 1 and len(run.kept) > 0:
                at = (run.number + number) * n % len(run.kept)
                for e in range(n):
                    if packed_v:
                        binary.unpack_row(places.v_words[pairs * n + e], run.kept[at + e])
                    else:
                        copy_row(places.v[pairs * n + e], run.kept[at + e])
        if packed_v:
            for r in range(i0 * n, i1 * n):
                binary.unpack_row(places.v_words[r], places.v[r])
        if packed_h and run.last % 2 == 1:
            for r in range(thread * n, (thread + 1) * n):
                binary.unpack_row(places.h_words[r], places.h[r])

    return kernel(steps)
