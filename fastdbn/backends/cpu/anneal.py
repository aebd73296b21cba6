"""Steps of annealed importance sampling in one compiled call on any number of threads.

Every thread draws its share of the chains and computes its share of the columns of a product; at a gate (gate.py) it waits for
the others. Blocks and sums are those of the composed operations, so results are the same, bit for bit, as those of
`ais.Chains._anneal` and at any number of threads.
"""

import functools
from typing import Any, NamedTuple

from fastdbn.backends.cpu import binary
from fastdbn.backends.cpu.gate import Team, share, uncounted, wait
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.cpu.kernels import activate_block, block, count_blocks, inner, row_cgf, step_of
from fastdbn.backends.cpu.product import not_inlined
from fastdbn.backends.cpu.simd import WORD
from fastdbn.maths.rng import Key


class Layer(NamedTuple):
    """One layer of all chains.

    group : units that are drawn together
    bias (n,) : of the hidden units; those of the visible ones come with the steps
    W (n of the other layer, n); field (B, n), which turns into means
    states : their floats, and what products read of them if they are zeros and ones
    plain (B,) bool : whether a chain's states are zeros and ones
    stream : the number of the layer's noise
    """

    group: int
    bias: Any
    W: Any
    field: Any
    states: binary.States
    plain: Any
    stream: Any


class Steps(NamedTuple):
    """Steps (T,) of annealing: their numbers, the inverse temperatures of the weights and of the draws, 0 for none, and (T, nv)
    the biases over those."""

    number: Any
    upper: Any
    lower: Any
    down: Any
    bias: Any


@inlinable
def _pack(layer, r0, r1):
    for r in range(r0, r1):
        row = layer.states.floats[r]
        layer.plain[r] = binary.only_binary(row)
        if layer.plain[r]:
            binary.pack_row(row, layer.states.words[r])


@inlinable
def _field(team, turn, blas, given, layer, whole):
    """The layer's field from the states of the other, on all threads; returns the turn of the gate."""
    not_inlined()
    x, out, n, inputs = given.states, layer.field, len(given.plain), layer.W.shape[0]
    outputs = out.shape[1]
    method = binary.choose(
        binary.count_packed(x.words) if given.plain.all() else -1, n, inputs, outputs, False, binary.in_registers(layer.W)
    )
    if binary.reads_floats(method):
        first, last = share(team, count_blocks(n, outputs, whole))
        for t in range(first, last):
            r0, r1, j0, j1 = block(t, n, outputs, whole)
            for r in range(r0, r1, step_of(method)):
                binary.product(method, blas, x, inputs, layer.W, False, out, r, min(r + step_of(method), r1), j0, j1)
    else:
        binary.prepare(method, x, inputs, *share(team, n))
        turn = wait(team.gate, team.size, turn)
        q0, q1 = share(team, binary.count_words(outputs))
        for r in range(0, n, step_of(method)):
            end, j0, j1 = min(r + step_of(method), n), q0 * WORD, min(q1 * WORD, outputs)
            binary.product(method, blas, x, inputs, layer.W, False, out, r, end, j0, j1)
    return wait(team.gate, team.size, turn)


@functools.cache
def anneal(visible, hidden):
    """The kernel of a pair of unit types.

    Visible states move; what the log weights are made of is left in drop (T, B), the log normalisers' part, and along (T, B), the
    product of the states with `toward`. who (B,) numbers the chains, beta (B,) is a buffer.
    """
    draw_visible, draw_hidden, log_normaliser = activate_block(visible), activate_block(hidden), row_cgf(hidden)
    whole = visible.group != 1

    def run(thread, size, gate, blas, v, h, toward, who, seed, beta, steps, drop, along):
        gate, blas, v, h, toward, who = uncounted((gate, blas, v, h, toward, who))
        beta, steps, drop, along = uncounted((beta, steps, drop, along))
        team, turn, real = Team(thread, size, gate), 0, h.W.dtype.type
        nv, nh = h.W.shape
        r0, r1 = share(team, len(who))
        s = h.bias.copy()
        _pack(v, r0, r1)
        turn = wait(gate, size, turn)
        for t in range(len(steps.number)):
            turn = _field(team, turn, blas, v, h, False)
            upper, lower, down = real(steps.upper[t]), real(steps.lower[t]), real(steps.down[t])
            for r in range(r0, r1):
                x = h.field[r]
                for j in range(nh):
                    s[j] = (x[j] + h.bias[j]) * upper
                high = log_normaliser(h.group, s)
                for j in range(nh):
                    s[j] = (x[j] + h.bias[j]) * lower
                drop[t, r] = high - log_normaliser(h.group, s)
                along[t, r] = inner(v.states.floats[r], toward)
                beta[r] = down
            if down > 0:
                key = Key(seed.k0, seed.k1, steps.number[t], h.stream)
                draw_hidden(h.group, h.bias, h.field, h.states.floats, who, key, beta, 0, r0, r1, 0, nh)
                _pack(h, r0, r1)
                turn = wait(gate, size, turn)
                turn = _field(team, turn, blas, h, v, whole)
                key = Key(seed.k0, seed.k1, steps.number[t], v.stream)
                draw_visible(v.group, steps.bias[t], v.field, v.states.floats, who, key, beta, 0, r0, r1, 0, nv)
                _pack(v, r0, r1)
            turn = wait(gate, size, turn)

    return kernel(run)
