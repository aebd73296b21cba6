"""Sweeps of parallel tempering in one compiled call: exchanges between neighbours, then a Gibbs step of every replica.

Blocks and sums are those of the composed operations (sampling/tempering.py), so results are the same, bit for bit. A call
runs on one thread: where there is work for more, the composed operations share it out.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu.gate import uncounted
from fastdbn.backends.cpu.jit import inlinable, kernel, rounded
from fastdbn.backends.cpu.kernels import activate_block, count_blocks, field_blocks, inner, row_cgf, total_of
from fastdbn.backends.cpu.product import not_inlined
from fastdbn.backends.cpu.rows import swap_rows
from fastdbn.maths import rng
from fastdbn.maths.rng import Key

AT_ONCE = 64
"""Rows whose log normalisers are computed together: a row of few units does not fill vectors."""


class Model(NamedTuple):
    """The machine: units of a group, W as it lies and whether that is W', hidden biases, and toward (nv,), b less the base."""

    visible_group: int
    hidden_group: int
    W: Any
    turned: bool
    c: Any
    toward: Any


class Places(NamedTuple):
    """M replicas of n chains: b (M, nv) visible biases, beta (M, n), up (M - 1,) float64 by how much beta rises to the next one.

    v and mean (M n, nv), h and field (M n, nh) have one replica's rows after another's; who (n,) numbers the chains.
    """

    b: Any
    beta: Any
    up: Any
    v: Any
    mean: Any
    h: Any
    field: Any
    who: Any


class Sweeps(NamedTuple):
    """Sweeps (T,): the number of the first, of which the parity counts, and numbers of the Gibbs steps of replica 0.

    logs (pairs of all sweeps, n) are the logarithms of uniforms; odds, of the same shape, are filled in. Of the Key seed
    only the halves count.
    """

    first: int
    steps: Any
    logs: Any
    odds: Any
    seed: Key
    hidden: Any
    visible: Any


def arguments(replicas, W, turned):
    """(model, places, noise) of a protocol's `Replicas`."""
    sides = (replicas.visible, len(replicas.toward)), (replicas.hidden, len(replicas.c))
    model = Model(*(unit.group_size(n) for unit, n in sides), W, turned, replicas.c, replicas.toward)
    of_all = np.stack(replicas.bias), np.stack(replicas.at), np.diff(replicas.betas)
    places = Places(*of_all, replicas.v, replicas.mean, replicas.h, replicas.field, replicas.rows)
    hidden, visible = (replicas.key(purpose, 0) for purpose in (rng.HIDDEN, rng.VISIBLE))
    return model, places, (hidden, hidden.stream, visible.stream)


@inlinable
def _product(blas, x, W, transpose, out, whole):
    not_inlined()
    field_blocks(0, count_blocks(out.shape[0], out.shape[1], whole), blas, x, W, transpose, out, whole)


@rounded
def _step_up(along, difference, above, below):
    return (along * difference + above) - below


@rounded
def _less(x, y):
    return x - y


@functools.cache
def log_normalisers(unit):
    """Plain function (group, field, bias, beta, s, out): out = what `cgf` gives at an inverse temperature; s is a buffer."""
    of_row, cgf_of = row_cgf(unit), unit.cgf

    def single(group, field, bias, beta, s, out):
        n = len(bias)
        for r in range(len(out)):
            x, y = field[r], s[r * n : (r + 1) * n]
            for j in range(n):
                y[j] = (x[j] + bias[j]) * beta
        whole = s[: len(out) * n]
        for e in range(len(whole)):
            whole[e] = cgf_of(whole[e])
        for r in range(len(out)):
            out[r] = total_of(s[r * n : (r + 1) * n])

    def grouped(group, field, bias, beta, s, out):
        n = len(bias)
        for r in range(len(out)):
            x = field[r]
            for j in range(n):
                s[j] = (x[j] + bias[j]) * beta
            out[r] = of_row(group, s[:n])

    return inlinable(single if unit.group == 1 else grouped)


@functools.cache
def sweeps(visible, hidden):
    """The kernel of a pair of unit types."""
    draw_visible, draw_hidden, normalisers = activate_block(visible), activate_block(hidden), log_normalisers(hidden)
    whole_visible, whole_hidden = visible.group != 1, hidden.group != 1

    def step_up(model, places, lower, r0, r1, s, above, below, out):
        """out = log p_{lower + 1} - log p_lower of states of one of the two, but for a constant."""
        n = places.beta.shape[1]
        for r in range(r0, r1, AT_ONCE):
            end = min(r + AT_ONCE, r1)
            x, size = places.field[r:end], end - r
            normalisers(model.hidden_group, x, model.c, places.beta[lower + 1, 0], s, above[:size])
            normalisers(model.hidden_group, x, model.c, places.beta[lower, 0], s, below[:size])
            for e in range(size):
                along = inner(places.v[r + e], model.toward)
                out[(r + e) % n] = _step_up(along, places.up[lower], above[e], below[e])

    step_up = inlinable(step_up)

    def run(blas, model, places, do):
        blas, model, places, do = uncounted((blas, model, places, do))
        n_replicas, n = places.beta.shape
        nv, nh = places.v.shape[1], places.field.shape[1]
        s, above, below = np.empty(AT_ONCE * nh, model.W.dtype), np.empty(AT_ONCE), np.empty(AT_ONCE)
        of_lower, of_upper, pair = np.empty(n), np.empty(n), 0
        for t in range(len(do.steps)):
            odd = (do.first + t) % 2
            pairs = (n_replicas - odd) // 2
            if pairs > 0:
                r0, r1 = odd * n, (odd + 2 * pairs) * n
                _product(blas, places.v[r0:r1], model.W, model.turned, places.field[r0:r1], False)
            for lower in range(odd, odd + 2 * pairs, 2):
                middle = (lower + 1) * n
                step_up(model, places, lower, middle - n, middle, s, above, below, of_lower)
                step_up(model, places, lower, middle, middle + n, s, above, below, of_upper)
                for r in range(n):
                    do.odds[pair, r] = _less(of_lower[r], of_upper[r])
                    if do.logs[pair, r] < do.odds[pair, r]:
                        swap_rows(places.v[middle - n + r], places.v[middle + r])
                        swap_rows(places.field[middle - n + r], places.field[middle + r])
                pair += 1
            for i in range(n_replicas):
                r0, r1 = i * n, (i + 1) * n
                v, mean, h, field = places.v[r0:r1], places.mean[r0:r1], places.h[r0:r1], places.field[r0:r1]
                if i < odd or i >= odd + 2 * pairs:
                    _product(blas, v, model.W, model.turned, field, whole_hidden)
                step = np.uint32(do.steps[t] + np.uint32(i))
                key = Key(do.seed.k0, do.seed.k1, step, do.hidden)
                draw_hidden(model.hidden_group, model.c, field, h, places.who, key, places.beta[i], 0, 0, n, 0, nh)
                _product(blas, h, model.W, not model.turned, mean, whole_visible)
                key = Key(do.seed.k0, do.seed.k1, step, do.visible)
                draw_visible(model.visible_group, places.b[i], mean, v, places.who, key, places.beta[i], 0, 0, n, 0, nv)

    return kernel(run)
