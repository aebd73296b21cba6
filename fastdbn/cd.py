"""Contrastive divergence and its persistent form: the gradient and the step of one minibatch.

    dW = <v h>_data - <v h>_chain,    db = <v>_data - <v>_chain,    dc = <h>_data - <h>_chain

The chain starts at the data (CD-k, Hinton 2002) or goes on from the last minibatch (PCD, Tieleman 2008), and runs k full
Gibbs steps. Hidden states are drawn while the chain runs; the statistics take hidden means, which have less variance and the
same expectation, and drawn visible states.
"""

import numpy as np

from fastdbn import missing, rng, variance


def minibatch(backend, problem, rows, step, epoch, weights=None, mean_weight=1.0):
    """Both sides of the gradient of one minibatch, into the problem's buffers.

    Parameters
    ----------
    rows : (n,) row numbers, the backend's
    step, epoch : int
    weights : (n,) weights of the rows, the backend's, or None
    mean_weight : float
        their mean, which weighs persistent chains.

    Returns
    -------
    plus, minus : Side
    plus_scale, minus_scale : float
        one over the number of rows and of chains.
    """
    p, n = problem.params, len(rows)

    def key(purpose, gibbs=0):
        return rng.key(problem.seed, step, rng.stream(purpose, problem.layer, gibbs))

    plus = type(problem.plus)(backend.part(problem.plus.v, 0, n), backend.part(problem.plus.h, 0, n), weights)
    backend.take(problem.data, rows, rng.key(problem.seed, epoch, rng.stream(rng.DATA, problem.layer)), plus.v)
    if problem.variance is not None:
        variance.scale(backend, problem.variance, plus.v)
    lost = None
    if problem.gaps is not None:
        lost = missing.complete(backend, problem.visible, problem.hidden, p, problem.gaps, plus.v, rows, rows, key)
    if problem.persistent:
        who, chain, minus = problem.chain_rows, problem.states, problem.minus
        backend.conditional(problem.hidden, plus.v, p.W, p.c, plus.h)
    else:
        who, chain = rows, backend.part(problem.states, 0, n)
        minus = type(plus)(backend.part(problem.minus.v, 0, n), backend.part(problem.minus.h, 0, n), plus.weight)
        backend.conditional(problem.hidden, plus.v, p.W, p.c, plus.h, chain, rows, key(rng.HIDDEN))
        if problem.visible.keeps_total:  # those of the data: a draw keeps the total of the states that it replaces
            backend.take(problem.data, rows, rng.key(problem.seed, epoch, rng.stream(rng.DATA, problem.layer)), minus.v)
    mean = backend.part(problem.work, 0, len(who))
    for t in range(problem.k):
        backend.conditional(problem.visible, chain, p.W, p.b, mean, minus.v, who, key(rng.VISIBLE, t), transpose=True)
        if lost is not None:
            backend.hold(minus.v, None, lost)
        if problem.persistent or t + 1 < problem.k:
            backend.conditional(problem.hidden, minus.v, p.W, p.c, minus.h, chain, who, key(rng.HIDDEN, t + 1))
        else:
            backend.conditional(problem.hidden, minus.v, p.W, p.c, minus.h)
    for side in (plus, minus):
        if side.weight is not None:
            backend.scale_rows(side.h, side.weight)
    return plus, minus, 1.0 / n, (mean_weight if problem.persistent else 1.0) / len(who)


def steps(backend, problem, order, weights, batch_size, step, epoch, hyper):
    """Train on the minibatches of the rows in `order`, one after another; the last may be short.

    A backend's `cd_steps` is taken where it has one and the problem suits it.

    Parameters
    ----------
    order : (n,) row numbers, the backend's
    weights : (n,) host array of those rows' weights, or None
    step : int
        number of the first minibatch since the start of the fit.
    epoch : int
    hyper : Hyper
    """
    fused = getattr(backend, "cd_steps", None)
    suits = weights is None and problem.gaps is None and problem.variance is None
    if suits and fused is not None and fused(problem, order, batch_size, step, epoch, hyper):
        return
    loaded = None if weights is None else backend.array(weights)
    n = len(problem.params.c)
    fixed = (backend.zeros(n), backend.array(np.ones(n, bool))) if problem.visible.support == "counts" else None
    for start in range(0, len(order), batch_size):
        edges = start, start + batch_size
        weighting = ()
        if weights is not None:
            weighting = backend.part(loaded, *edges), float(weights[slice(*edges)].mean())
        sides = minibatch(backend, problem, backend.part(order, *edges), step, epoch, *weighting)
        if problem.variance is None:
            backend.update(problem.params, problem.velocity, *sides, hyper, problem.centering, *weighting[1:])
        else:
            variance.update(backend, problem.params, problem.velocity, problem.variance, *sides, hyper)
        if fixed is not None:  # the hidden biases are in the weights (units/replicated_softmax.py)
            backend.hold(problem.params.c, *fixed)
        step += 1
