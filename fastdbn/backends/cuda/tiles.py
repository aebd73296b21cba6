"""Our own products by tiles in shared memory, and the kernels that are made of them: many minibatches, annealing.

Small layers are bound by launches: a minibatch of CD-1 is a dozen kernels, each of which takes less time than its launch. So one
kernel runs many minibatches (`steps`), or steps of annealing (`anneal`): its blocks are all on the GPU at once, share out the
tiles of each product, and wait for each other between one phase and the next (a cooperative launch). In the simulator, which has
no wait across blocks, there is one block. Large layers take cuBLAS, or without it the kernel `product`.

A thread computes 2 x 2 numbers of a tile. Sums run over the inputs in order, whatever the tiles are.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.kernels import prepare_unit
from fastdbn.backends.cuda.jit import SIDE, THREADS, device, kernel
from fastdbn.backends.cuda.kernels import LOADS, QUAD, activate_quad
from fastdbn.maths import rng

TILE, DEPTH = 2 * SIDE, 16
"""Rows and columns of a tile of the output, and the inputs read at a time."""
_SIZE = DEPTH, TILE + 1
"""Shared memory of one factor. It has one more column, because its writes would otherwise meet in one bank."""


def count_tiles(rows, columns):
    return -(-rows // TILE) * -(-columns // TILE)


@device
def _load(buffer, X, turned, i0, k0):
    """buffer[k, i] = X[i0 + i, k0 + k], or of X' where it is turned; zeros outside. Neighbouring threads read neighbours."""
    zero = X.dtype.type(0)
    for e in range(cuda.threadIdx.x, DEPTH * TILE, THREADS):
        if turned:
            k, i = e // TILE, e % TILE
            buffer[k, i] = X[k0 + k, i0 + i] if k0 + k < X.shape[0] and i0 + i < X.shape[1] else zero
        else:
            i, k = e // DEPTH, e % DEPTH
            buffer[k, i] = X[i0 + i, k0 + k] if i0 + i < X.shape[0] and k0 + k < X.shape[1] else zero


@device
def _tile(A, turn_A, B, turn_B, i0, j0, a, b):
    """This thread's numbers of the tile of op(A) op(B) that begins at (i0, j0): (0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE)."""
    ty, tx = cuda.threadIdx.x // SIDE, cuda.threadIdx.x % SIDE
    zero = A.dtype.type(0)
    s, t, u, w = zero, zero, zero, zero
    for k0 in range(0, A.shape[0] if turn_A else A.shape[1], DEPTH):
        _load(a, A, turn_A, i0, k0)
        _load(b, B, not turn_B, j0, k0)
        cuda.syncthreads()
        for k in range(DEPTH):
            a0, a1, b0, b1 = a[k, ty], a[k, ty + SIDE], b[k, tx], b[k, tx + SIDE]
            s += a0 * b0
            t += a0 * b1
            u += a1 * b0
            w += a1 * b1
        cuda.syncthreads()
    return s, t, u, w


@device
def _put(C, i, j, x, beta):
    if i < C.shape[0] and j < C.shape[1]:
        C[i, j] = x if beta == 0 else x + beta * C[i, j]


@device
def _put_tile(alpha, A, turn_A, B, turn_B, beta, C, i, j, a, b):
    """The tile of C = alpha op(A) op(B) + beta C that begins at (i, j); op transposes where `turn` is set."""
    ty, tx = cuda.threadIdx.x // SIDE, cuda.threadIdx.x % SIDE
    s, t, u, w = _tile(A, turn_A, B, turn_B, i, j, a, b)
    _put(C, i + ty, j + tx, alpha * s, beta)
    _put(C, i + ty, j + tx + SIDE, alpha * t, beta)
    _put(C, i + ty + SIDE, j + tx, alpha * u, beta)
    _put(C, i + ty + SIDE, j + tx + SIDE, alpha * w, beta)


@functools.cache
def product(real):
    """C = alpha op(A) op(B) + beta C, a block for each tile."""

    def run(alpha, A, turn_A, B, turn_B, beta, C):
        a = cuda.shared.array(_SIZE, real)
        b = cuda.shared.array(_SIZE, real)
        across = (C.shape[1] + TILE - 1) // TILE
        for e in range(cuda.blockIdx.x, (C.shape[0] + TILE - 1) // TILE * across, cuda.gridDim.x):
            _put_tile(alpha, A, turn_A, B, turn_B, beta, C, e // across * TILE, e % across * TILE, a, b)

    return kernel(run)


class Run(NamedTuple):
    """The numbers of a run of minibatches: sizes, what makes the keys of its noise, and those of the step, in the precision.

    seed is a Key of which only the two halves count. decay is the learning rate times the weight decay.
    """

    batch_size: int
    k: int
    seed: rng.Key
    step: int
    epoch: int
    hidden: np.uint32
    visible: np.uint32
    data: np.uint32
    rate: Any
    momentum: Any
    decay: Any


@functools.cache
def _layer(unit, drawn, tempered=False):
    """Device function: means, and draws where `drawn`, of a layer given the states x of the other, tile by tile."""
    quad_of = activate_quad(unit, drawn, tempered)

    def run(x, W, turned, bias, mean, states, rows, key, beta, a, b, noise):
        n_rows, n, zero, one = mean.shape[0], mean.shape[1], W.dtype.type(0), W.dtype.type(1)
        across = (n + TILE - 1) // TILE
        for e in range(cuda.blockIdx.x, (n_rows + TILE - 1) // TILE * across, cuda.gridDim.x):
            i, j = e // across * TILE, e % across * TILE
            _put_tile(one, x, False, W, turned, zero, mean, i, j, a, b)
            cuda.syncthreads()
            for f in range(cuda.threadIdx.x, TILE * (TILE // QUAD), THREADS):
                r, at = i + f // (TILE // QUAD), j + f % (TILE // QUAD) * QUAD
                if r < n_rows and at < n:
                    quad_of(1, bias, mean, states, rows, key, beta, noise, r, at, n, at)

    return device(run)


@device
def _move(p, velocity, i, j, gradient, run):
    if i < p.shape[0] and j < p.shape[1]:
        velocity[i, j] = (velocity[i, j] * run.momentum + gradient * run.rate) - run.decay * p[i, j]
        p[i, j] += velocity[i, j]


@device
def _move_bias(p, velocity, positive, negative, positive_scale, negative_scale, run):
    """The step of a bias by the sums of the columns of both phases."""
    for j in range(cuda.grid(1), len(p), cuda.gridsize(1)):
        s, t = p.dtype.type(0), p.dtype.type(0)
        for r in range(positive.shape[0]):
            s += positive[r, j]
        for r in range(negative.shape[0]):
            t += negative[r, j]
        velocity[j] = velocity[j] * run.momentum + (positive_scale * s - negative_scale * t) * run.rate
        p[j] += velocity[j]


@device
def _update(W, velocity, v, h, chain_v, chain_h, positive_scale, negative_scale, run, a, b):
    """The step of W by both phases of the gradient, tile by tile."""
    ty, tx = cuda.threadIdx.x // SIDE, cuda.threadIdx.x % SIDE
    across = (W.shape[1] + TILE - 1) // TILE
    for e in range(cuda.blockIdx.x, (W.shape[0] + TILE - 1) // TILE * across, cuda.gridDim.x):
        i, j = e // across * TILE, e % across * TILE
        s, t, u, w = _tile(v, True, h, False, i, j, a, b)
        s_, t_, u_, w_ = _tile(chain_v, True, chain_h, False, i, j, a, b)
        _move(W, velocity, i + ty, j + tx, positive_scale * s - negative_scale * s_, run)
        _move(W, velocity, i + ty, j + tx + SIDE, positive_scale * t - negative_scale * t_, run)
        _move(W, velocity, i + ty + SIDE, j + tx, positive_scale * u - negative_scale * u_, run)
        _move(W, velocity, i + ty + SIDE, j + tx + SIDE, positive_scale * w - negative_scale * w_, run)


@functools.cache
def steps(visible, hidden, real, kind, persistent):
    """CD-k, or with `persistent` PCD-k, on the minibatches of the rows in `order`, as cd.py says it.

    params and velocity are `Params`. The phases are pairs of visible states and hidden means. chains are hidden states, their
    visible means, and their numbers.
    """
    (load, width), means = LOADS[kind], _layer(hidden, False)
    inlinable(load)
    draw_hidden, draw_visible = _layer(hidden, True), _layer(visible, True)

    def run(X, order, params, velocity, positive, negative, chains, p):
        (W, b, c), seed = params, p.seed
        left = cuda.shared.array(_SIZE, real)
        right = cuda.shared.array(_SIZE, real)
        noise = cuda.local.array(QUAD, real)
        grid = cuda.cg.this_grid()
        for s in range((len(order) + p.batch_size - 1) // p.batch_size):
            rows = order[s * p.batch_size : min((s + 1) * p.batch_size, len(order))]
            v, h, step = positive[0][: len(rows)], positive[1][: len(rows)], np.uint32(p.step + s)
            key = rng.Key(seed.k0, seed.k1, np.uint32(p.epoch), p.data)
            for e in range(cuda.grid(1), len(rows) * ((v.shape[1] + width - 1) // width), cuda.gridsize(1)):
                load(e, noise, X, rows, key, v)
            grid.sync()
            who = chains[2] if persistent else rows
            chain, mean = chains[0][: len(who)], chains[1][: len(who)]
            chain_v, chain_h = negative[0][: len(who)], negative[1][: len(who)]
            key = rng.Key(seed.k0, seed.k1, step, p.hidden)
            if persistent:
                means(v, W, False, c, h, h, rows, key, c, left, right, noise)
            else:
                draw_hidden(v, W, False, c, h, chain, rows, key, c, left, right, noise)
            grid.sync()
            for t in range(p.k):
                key = rng.Key(seed.k0, seed.k1, step, np.uint32(p.visible + t))
                draw_visible(chain, W, True, b, mean, chain_v, who, key, c, left, right, noise)
                grid.sync()
                key = rng.Key(seed.k0, seed.k1, step, np.uint32(p.hidden + t + 1))
                if persistent or t + 1 < p.k:
                    draw_hidden(chain_v, W, False, c, chain_h, chain, who, key, c, left, right, noise)
                else:
                    means(chain_v, W, False, c, chain_h, chain_h, who, key, c, left, right, noise)
                grid.sync()
            positive_scale, negative_scale = real(1) / real(len(rows)), real(1) / real(len(who))
            _update(W, velocity.W, v, h, chain_v, chain_h, positive_scale, negative_scale, p, left, right)
            _move_bias(b, velocity.b, v, chain_v, positive_scale, negative_scale, p)
            _move_bias(c, velocity.c, h, chain_h, positive_scale, negative_scale, p)
            grid.sync()

    return kernel(run)


@functools.cache
def anneal(visible, hidden, real):
    """Steps of annealed importance sampling, as ais.py says them: chains move, and their log weights are added up in parts.

    toward is the difference of the machine's visible biases to the base's. chains are the states of both layers, buffers for the
    means of the visible and the fields of the hidden units, the chains' numbers, a buffer for their inverse temperatures, and the
    parts (B, THREADS) of their log weights. steps are those of `cpu.anneal.Steps`. Of the Key seed only the halves count.
    """
    prepare_unit(hidden)
    cgf, draw_hidden, draw_visible = hidden.cgf, activate_quad(hidden, True, True), _layer(visible, True, True)
    of_visible, of_hidden = (rng.stream(rng.ANNEAL, layer) for layer in (4, 3))

    def run(params, toward, chains, steps, seed):
        W, _, c = params
        v, h, mean, field, who, beta, parts = chains
        number, upper, lower, down, bias = steps
        left = cuda.shared.array(_SIZE, real)
        right = cuda.shared.array(_SIZE, real)
        noise = cuda.local.array(QUAD, real)
        grid, me = cuda.cg.this_grid(), cuda.threadIdx.x
        n, nv, nh = v.shape[0], v.shape[1], field.shape[1]
        across = (nh + TILE - 1) // TILE
        for t in range(len(number)):
            for e in range(cuda.blockIdx.x, (n + TILE - 1) // TILE * across, cuda.gridDim.x):
                _put_tile(real(1), v, False, W, False, real(0), field, e // across * TILE, e % across * TILE, left, right)
            for i in range(cuda.grid(1), n, cuda.gridsize(1)):
                beta[i] = down[t]
            grid.sync()
            key = rng.Key(seed.k0, seed.k1, number[t], of_hidden)
            for r in range(cuda.blockIdx.x, n, cuda.gridDim.x):
                part = 0.0
                for i in range(me, nv, THREADS):
                    part += np.float64(v[r, i]) * np.float64(toward[i])
                part *= upper[t] - lower[t]
                for j in range(QUAD * me, nh, QUAD * THREADS):
                    for i in range(j, min(j + QUAD, nh)):
                        s = field[r, i] + c[i]
                        part += np.float64(cgf(s * real(upper[t]))) - np.float64(cgf(s * real(lower[t])))
                    if down[t] > 0:
                        draw_hidden(1, c, field, h, who, key, beta, noise, r, j, nh, j)
                parts[r, me] += part
            if down[t] > 0:
                grid.sync()
                key = rng.Key(seed.k0, seed.k1, number[t], of_visible)
                draw_visible(h, W, True, bias[t], mean, v, who, key, beta, left, right, noise)
            grid.sync()

    return kernel(run)
