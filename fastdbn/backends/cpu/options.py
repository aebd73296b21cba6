"""What training options do within a minibatch: sparsity, weights of rows, L1 and max-norm, for composed and whole minibatches.

Of chains at several temperatures there is only their record here; tempering.py has the rest.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu.fast_weights import Fast
from fastdbn.backends.cpu.jit import inlinable, kernel, rounded
from fastdbn.backends.cpu.simd import WORD, stack_like

SLOW = 20
"""Minibatches over which the activity of hidden units is averaged (Hinton 2010, section 11)."""


class Extras(NamedTuple):
    """What training options beside centring add to the minibatches of a call; None stands for no option.

    weights (rows of the call,), or none; l1, the threshold, and max_norm, 0 for none; activity (nh,), or none, with the numbers
    of `protocol.Sparsity`; whether there are fast weights, what they keep, the `Params` that the chains run at, and the fast
    weights; the `tempering.Rungs` of the chains or None, for which the kernel is compiled apart.
    """

    weights: Any
    l1: float
    max_norm: float
    activity: Any
    target: float
    cost: float
    share: float
    has_fast: bool
    kept: float
    chain: Any
    fast: Any
    rungs: Any


DATA, CHAINS, RATIO, SLIDE, FAST, TOTAL, MEAN = 0, 1, 2, 3, 6, 8, 9
"""Places of the numbers of a minibatch: the rates times the scales of both phases, and the second scale over the first; three of
`centre.Slide`; the rates of fast weights times both scales; the sum and the mean of its rows' weights, or how many rows there are
and 1."""


def extras_of(problem, order, hyper, rungs):
    """The `Extras` of the minibatches of the rows in `order`."""
    if problem._replace(centering=None).is_plain:
        return None
    dtype, sparsity, fast = problem.params.W.dtype, problem.sparsity, problem.fast
    none = np.zeros(0, dtype)
    return Extras(
        none if problem.weights is None else problem.weights[order].astype(dtype),
        *(float(hyper.learning_rate * problem.l1), float(problem.max_norm)),
        *((none, 0.0, 0.0, 0.0) if sparsity is None else sparsity),
        *((False, 0.0, problem.params, problem.velocity) if fast is None else (True, fast.kept, fast.params, fast.fast)),
        rungs,
    )


def numbers_of(problem, order, batch_size, hyper):
    """(minibatches, 10) float64: the numbers of each, as the composed operations get them."""
    starts = range(0, len(order), batch_size)
    rows = np.minimum(batch_size, len(order) - np.arange(0, len(order), batch_size))
    total, mean = rows, np.ones(len(rows))
    if problem.weights is not None:
        given = problem.weights[order]
        weights = given.astype(problem.params.W.dtype)
        total = np.array([weights[start : start + batch_size].sum() for start in starts])
        mean = np.array([given[start : start + batch_size].mean() for start in starts])
    data = 1.0 / rows
    rungs = 1 if problem.tempering is None else len(problem.tempering.betas)
    chains = mean / (len(problem.chain_rows) // rungs) if problem.persistent else data
    slides = np.zeros((3, len(rows)))
    if problem.centering is not None:
        share, some = problem.centering.model_share, np.where(mean > 0, mean, 1.0)
        moved = np.where(mean > 0, problem.centering.slide, 0.0)
        slides = np.array([moved, moved * ((1 - share) * data) / some, moved * (share * chains) / some])
    rate, fast_rate = hyper.learning_rate, 0.0 if problem.fast is None else problem.fast.learning_rate
    numbers = np.array([rate * data, rate * chains, chains / data, *slides, fast_rate * data, fast_rate * chains, total, mean])
    return np.ascontiguousarray(numbers.T)


@inlinable
def has_fast(extras):
    if extras is None:
        return False
    return extras.has_fast


@inlinable
def penalties(extras):
    """L1's threshold and the bound of max-norm."""
    if extras is None:
        return 0.0, 0.0
    return extras.l1, extras.max_norm


@inlinable
def weights_of(extras, start, rows):
    if extras is None:
        return None
    return extras.weights[start : start + rows]


@inlinable
def chain_of(extras, workspace):
    """The parameters that the chains run at, in the workspace."""
    if extras is None:
        return workspace.params
    return workspace.chain


@inlinable
def rungs_of(extras):
    """The `tempering.Rungs` of the chains, or None."""
    if extras is None:
        return None
    return extras.rungs


@inlinable
def fast_outside(extras, params, velocity):
    """What the chains run at and the fast weights, outside of the workspace."""
    if extras is None:
        return params, velocity
    return extras.chain, extras.fast


@inlinable
def fast_of(extras, workspace, numbers):
    """The `Fast` of a minibatch, by its numbers."""
    if extras is None:
        return None
    real = workspace.chain.W.dtype.type
    scales = real(numbers[FAST]), real(numbers[FAST + 1]), real(extras.kept)
    return Fast(extras.has_fast, workspace.chain, workspace.fast, *scales)


@rounded
def divide(x, y):
    """x / y. A sign belongs to x: negating the quotient would let the compiler multiply by the reciprocal of y again."""
    return x / y


@rounded
def norm_factor(square, longest, one):
    """What brings a column's norm, whose square is given, to `longest` if it is above it; else 1."""
    norm = np.sqrt(square)
    return longest / norm if norm > longest else one


@inlinable
def sparsify(h, weight, total, activity, target, cost, offset, share):
    """Change hidden means h (B, up to 64 columns) so that their gradient pulls `activity` to a target.

    The rows' mean, by weights (B,), if there are any, whose sum is total, enters the running mean. Then cost (target - activity)
    joins each row, and a share of it leaves offset (n,), if there is one. One loop for each operation, so that each is rounded.
    """
    n, slow = h.shape[1], h.dtype.type(SLOW)
    pull, product = carray(stack_like(h, WORD), WORD)[:n], carray(stack_like(h, WORD), WORD)[:n]
    for j in range(len(pull)):
        pull[j] = 0
    for r in range(h.shape[0]):
        row = h[r]
        if len(weight) == 0:
            for j in range(len(pull)):
                pull[j] += row[j]
        else:
            w = weight[r]
            for j in range(len(product)):
                product[j] = w * row[j]
            for j in range(len(pull)):
                pull[j] += product[j]
    for j in range(len(pull)):
        pull[j] = divide(pull[j], total) - activity[j]
    for j in range(len(pull)):
        activity[j] += divide(pull[j], slow)
    for j in range(len(pull)):
        pull[j] = cost * (target - activity[j])
    for r in range(h.shape[0]):
        row = h[r]
        for j in range(len(row)):
            row[j] += pull[j]
    for j in range(len(offset)):
        product[j] = share * pull[j]
    for j in range(len(offset)):
        offset[j] -= product[j]


@inlinable
def shrink_row(w, amount):
    """Weights moved towards zero by an amount, and no further."""
    zero = w.dtype.type(0)
    for j in range(len(w)):
        left = abs(w[j]) - amount
        w[j] = zero if left < 0 else np.copysign(left, w[j])


@inlinable
def add_squares(w, squares):
    for j in range(len(w)):
        squares[j] += w[j] * w[j]


@inlinable
def constrain_row(w, l1, squares):
    """L1's threshold, if there is one, and the squares that max-norm sums up, if there are any, of a part of a row of weights."""
    if l1 != 0:
        shrink_row(w, l1)
    add_squares(w[: len(squares)], squares)


@inlinable
def constrain(W, j0, j1, l1, longest):
    """L1 and max-norm on columns j0 to j1; 0 where there is none."""
    squares = carray(stack_like(W, WORD), WORD)
    for j in range(j0, j1, WORD):
        end = min(j + WORD, j1)
        sums = squares[: end - j if longest > 0 else 0]
        for e in range(len(sums)):
            sums[e] = 0
        for i in range(W.shape[0]):
            constrain_row(W[i, j:end], l1, sums)
        limit(W, j, sums, longest)


@inlinable
def limit(W, j, squares, longest):
    """Scale down those of the columns from j on whose norm is above `longest`; squares are their sums of squares."""
    one, found = W.dtype.type(1), False
    for e in range(len(squares)):
        squares[e] = norm_factor(squares[e], longest, one)
        found |= squares[e] != one
    if found:
        for i in range(W.shape[0]):
            w = W[i, j : j + len(squares)]
            for e in range(len(w)):
                w[e] *= squares[e]


@kernel
def shrink(first, last, W, amount):
    """Rows of W moved towards zero by an amount, and no further."""
    for i in range(first, last):
        shrink_row(W[i], amount)


@kernel
def sparsify_columns(first, last, h, weight, total, activity, target, cost, offset, share):
    """`sparsify` of words of columns."""
    for q in range(first, last):
        j0, j1 = q * WORD, min(q * WORD + WORD, h.shape[1])
        sparsify(h[:, j0:j1], weight, total, activity[j0:j1], target, cost, offset[j0:j1], share)
