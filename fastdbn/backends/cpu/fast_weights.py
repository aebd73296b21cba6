"""Fast weights and the parameters that the chains run at, in the step of the parameters.

    fast = kept fast + scale gradient        then        chain = parameters + fast

The gradient is that of the step, not centred, so its sums are made once. The second half waits until nothing changes the
parameters any more. Where a kernel is compiled without options, `fast` is None and nothing happens.
"""

from typing import Any, NamedTuple

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.simd import multiply_add


class Fast(NamedTuple):
    """Whether there are fast weights; the `Params` that the chains run at; the fast weights, the scales of both phases, which
    include their learning rate, and what they keep, by the names of `update.Step`."""

    on: bool
    chain: Any
    fast: Any
    positive: Any
    negative: Any
    momentum: Any


@inlinable
def is_on(fast):
    if fast is None:
        return False
    return fast.on


@inlinable
def of_strips(fast, params, out, both):
    """What the step of strips of W needs: whether there are fast weights, these, the weights of the chains, the scale and what is
    kept, which is all where a phase was multiplied into them before; anything of these types where there are none.

    Loops take these arrays one by one, because a call with a whole `Fast` would count the references of all of its arrays.
    """
    if fast is None:
        return False, out.W, params.W, out.W.dtype.type(1), out.W.dtype.type(1)
    return fast.on, fast.fast.W, fast.chain.W, fast.positive, fast.momentum if both else out.W.dtype.type(1)


@inlinable
def add_rows(fast, params, i0, i1, j0, j1):
    """Those weights of the chains, once the parameters stay."""
    if fast is None:
        return
    if fast.on:
        for i in range(i0, i1):
            _add(params.W[i, j0:j1], fast.fast.W[i, j0:j1], fast.chain.W[i, j0:j1])


@inlinable
def _add(x, d, out):
    for i in range(len(out)):
        out[i] = x[i] + d[i]


@inlinable
def _follow(fast, d, positive, negative):
    for i in range(len(d)):
        d[i] = multiply_add(fast.momentum, d[i], multiply_add(fast.positive, positive[i], -(fast.negative * negative[i])))


@inlinable
def follow_hidden(fast, positive, negative, j0, j1):
    """The step of the fast weights of hidden biases j0 to j1 by the sums of both phases' means."""
    if fast is None:
        return
    if fast.on:
        _follow(fast, fast.fast.c[j0:j1], positive, negative)


@inlinable
def move_biases(fast, params, sums, i0, i1, j0, j1):
    """The visible biases i0 to i1 of the chains, with the step of their fast weights by the sums (2, nv) of both phases' states,
    and the hidden ones j0 to j1, once the parameters stay."""
    if fast is None:
        return
    if fast.on:
        _follow(fast, fast.fast.b[i0:i1], sums[0, i0:i1], sums[1, i0:i1])
        _add(params.b[i0:i1], fast.fast.b[i0:i1], fast.chain.b[i0:i1])
        _add(params.c[j0:j1], fast.fast.c[j0:j1], fast.chain.c[j0:j1])
