"""Whole CD minibatches in one compiled call: take, positive phase, k Gibbs steps, update, for dense data on one thread.

It runs the very blocks of the composed operations (backends/cpu_kernels.py) in the order of cd.py, so its results are
theirs, bit for bit; what it saves is the calls, which are most of what a minibatch of a small layer costs.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu_kernels import conditional_blocks, count_blocks, prepare_rows
from fastdbn.backends.cpu_update import update_blocks
from fastdbn.backends.jit import inlinable, kernel
from fastdbn.rng import Key


class Run(NamedTuple):
    """One call's minibatches: their rows one after another, the batch size, and what is the same for all of them.

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


@inlinable
def _key(run, step, stream, gibbs):
    return Key(run.seed.k0, run.seed.k1, np.uint32(step), np.uint32(stream + gibbs))


@functools.cache
def cd_steps(visible, hidden):
    """The kernel of a pair of unit types; `cd.minibatch` is the same in the words of the protocol."""
    visible_blocks, hidden_blocks = conditional_blocks(visible), conditional_blocks(hidden)
    whole_v, whole_h = visible.group != 1, hidden.group != 1

    def steps(blas, group_v, group_h, data, params, velocity, plus, minus, states, work, chain_rows, run):
        W, b, c = params.W, params.b, params.c
        nv, nh = W.shape
        real = W.dtype.type
        momentum, decay = real(run.momentum), real(run.learning_rate * run.weight_decay)
        step = run.step
        for start in range(0, len(run.order), run.batch_size):
            rows = run.order[start : start + run.batch_size]
            n = len(rows)
            v0, h0 = plus.v[:n], plus.h[:n]
            prepare_rows(0, n, data, rows, _key(run, run.epoch, run.data, 0), v0)
            blocks = count_blocks(n, nh, whole_h)
            chains = len(chain_rows) if run.persistent else n
            chain, who = states[:chains], (chain_rows if run.persistent else rows)
            vk, hk, mean = minus.v[:chains], minus.h[:chains], work[:chains]
            if run.persistent:
                hidden_blocks(0, blocks, blas, group_h, v0, W, False, c, h0, None, None, None)
            else:
                key = _key(run, step, run.hidden, 0)
                hidden_blocks(0, blocks, blas, group_h, v0, W, False, c, h0, chain, rows, key)
            blocks_v, blocks_h = count_blocks(chains, nv, whole_v), count_blocks(chains, nh, whole_h)
            for t in range(run.k):
                key = _key(run, step, run.visible, t)
                visible_blocks(0, blocks_v, blas, group_v, chain, W, True, b, mean, vk, who, key)
                if run.persistent or t + 1 < run.k:
                    key = _key(run, step, run.hidden, t + 1)
                    hidden_blocks(0, blocks_h, blas, group_h, vk, W, False, c, hk, chain, who, key)
                else:
                    hidden_blocks(0, blocks_h, blas, group_h, vk, W, False, c, hk, None, None, None)
            update_blocks(
                0,
                count_blocks(1, nv, False),
                blas,
                params,
                velocity,
                type(plus)(v0, h0, None),
                type(minus)(vk, hk, None),
                real(run.learning_rate / n),
                real(run.learning_rate / chains),
                momentum,
                decay,
            )
            step += 1

    return kernel(steps)
