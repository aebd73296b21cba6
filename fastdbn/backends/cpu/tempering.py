"""Chains at several inverse temperatures in whole minibatches: what follows their last draws of hidden states.

Neighbours exchange states; the n chains at 1 then get their visible states and hidden means. All rungs of one chain are the work
of one thread, so there is no gate on the way. `training/options/tempering.py` says the same in the words of the protocol.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu import binary
from fastdbn.backends.cpu.gate import share, wait
from fastdbn.backends.cpu.half_step import Heat, is_binary
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.kernels import activate_block, inner
from fastdbn.backends.cpu.rows import copy_row, swap_rows
from fastdbn.maths.exchanges import log_uniforms, lower_rungs
from fastdbn.maths.rng import Key


class Rungs(NamedTuple):
    """The chains of a call's minibatches: n of each of M inverse temperatures betas, n at a time.

    heat : that of all rows
    lower (M - 1,) : the lower rung of each pair, in the order of exchanges
    logs (minibatches, M - 1, n) : logarithms of uniforms, in that order
    goodness, place (M, n) : buffers for U of each state, and for the rung where it was
    made (threads, M - 1) : exchanges that each thread made
    """

    betas: Any
    heat: Heat
    lower: Any
    logs: Any
    goodness: Any
    place: Any
    made: Any


def rungs_of(problem, step, minibatches, n_threads):
    """The `Rungs` of minibatches from number `step` on; None where all chains are at 1."""
    if problem.tempering is None:
        return None
    (betas, beta, _), chains, dtype = problem.tempering, len(problem.chain_rows), problem.params.W.dtype
    rungs, floats = len(betas), not (is_binary(problem.visible) and is_binary(problem.hidden))
    n, wide = chains // rungs, max(problem.params.W.shape)
    draws = [log_uniforms(problem.seed, problem.layer, step + number, rungs, n) for number in range(minibatches)]
    return Rungs(
        *(betas, Heat(beta, np.empty((chains if floats else 0, wide), dtype)), lower_rungs(rungs), np.array(draws)),
        *(np.zeros((rungs, n)), np.zeros((rungs, n), np.int64), np.zeros((n_threads, rungs - 1), np.int64)),
    )


def count_exchanges(problem, rungs):
    """Add the exchanges that a call made and proposed to those of the problem."""
    if rungs is not None:
        problem.tempering.swaps[0] += rungs.made.sum(axis=0)
        problem.tempering.swaps[1] += rungs.logs.shape[0] * rungs.logs.shape[2]


@inlinable
def heat_of(rungs):
    return None if rungs is None else rungs.heat


@inlinable
def chains_at_one(rungs, chains):
    return chains if rungs is None else rungs.place.shape[1]


@functools.cache
def exchange(visible, hidden):
    """Plain function of a pair of unit types, after a chain's last half-step up has drawn hidden states and left their fields.

    up, down : the layers of hidden and visible units, as the chains run at them
    field (chains, nh) : the chains' fields; the first n rows become hidden means, unless they are to be those at `other` weights
    ones : of the visible states
    Returns the turn of the gate, and how many ones the first n rows of visible states have, or -1.
    """
    means_of, packed_v, packed_h = activate_block(hidden), is_binary(visible), is_binary(hidden)

    def measure(rungs, up, down, field, c):
        """U of the states of chain c at all temperatures."""
        n, h, v = rungs.place.shape[1], up.states, down.states
        for i in range(len(rungs.betas)):
            r = i * n + c
            if packed_h:
                binary.unpack_row(h.words[r], h.floats[r])
            if packed_v:
                binary.unpack_row(v.words[r], v.floats[r])
            goodness = inner(h.floats[r], field[r, : up.n])
            goodness += inner(h.floats[r], up.bias[: up.n])
            rungs.goodness[i, c] = goodness + inner(v.floats[r], down.bias[: down.n])
            rungs.place[i, c] = i

    def swap(rungs, number, thread, h, c):
        """Exchange the hidden states of chain c, and note where the others belong."""
        n = rungs.place.shape[1]
        goodness, place = rungs.goodness[:, c], rungs.place[:, c]
        for p in range(len(rungs.lower)):
            i = rungs.lower[p]
            if rungs.logs[number, p, c] < (rungs.betas[i] - rungs.betas[i + 1]) * (goodness[i + 1] - goodness[i]):
                goodness[i], goodness[i + 1] = goodness[i + 1], goodness[i]
                place[i], place[i + 1] = place[i + 1], place[i]
                rungs.made[thread, i] += 1
                r = i * n + c
                if packed_h:
                    swap_rows(h.words[r], h.words[r + n])
                else:
                    swap_rows(h.floats[r], h.floats[r + n])

    measure, swap = inlinable(measure), inlinable(swap)

    def run(rungs, number, team, turn, up, down, field, who, ones, other):
        if rungs is None:
            return turn, ones
        n, v = rungs.place.shape[1], down.states
        c0, c1 = share(team, n)
        for c in range(c0, c1):
            measure(rungs, up, down, field, c)
            swap(rungs, number, team.thread, up.states, c)
            r = rungs.place[0, c] * n + c
            if r != c:
                if packed_v:
                    copy_row(v.words[r], v.words[c])
                else:
                    copy_row(v.floats[r], v.floats[c])
                copy_row(field[r], field[c])
            if not packed_v:  # zeros and ones that are floats, such as those of groups, are listed by their words
                binary.pack_row(v.floats[c], v.words[c])
        if not other:
            key = Key(np.uint32(0), np.uint32(0), np.uint32(0), np.uint32(0))
            means_of(up.group, up.bias, field, None, who, key, None, 0, c0, c1, 0, up.n)
        turn = wait(team.gate, team.size, turn)
        return turn, binary.count_packed(v.words[:n]) if packed_v else binary.count_ones(v.floats[:n])

    return inlinable(run)
