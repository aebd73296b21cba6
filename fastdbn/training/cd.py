"""Contrastive divergence and its persistent form: the gradient and the step of one minibatch.

    dW = <v h>_data - <v h>_chain,    db = <v>_data - <v>_chain,    dc = <h>_data - <h>_chain

The chain runs k full Gibbs steps; chains.py says from where. Hidden states are drawn while it runs; the statistics take hidden
means, which have less variance and the same expectation, and drawn visible states.
"""

import numpy as np

from fastdbn.backends.protocol import Phase
from fastdbn.maths import rng
from fastdbn.training import chains, missing, variance


def minibatch(backend, problem, rows, step, epoch, weights=None, mean_weight=1.0):
    """Both phases of the gradient of one minibatch, into the problem's buffers.

    Parameters
    ----------
    rows : (n,) row numbers, the backend's
    step, epoch : int
    weights : (n,) weights of the rows, the backend's, or None
    mean_weight : float
        their mean, which weighs persistent chains.

    Returns
    -------
    positive, negative : Phase
    positive_scale, negative_scale : float
        one over the number of rows and of chains.
    """
    p, n = problem.params, len(rows)

    def key(purpose, gibbs=0):
        return rng.key(problem.seed, step, rng.stream(purpose, problem.layer, gibbs))

    positive = Phase(backend.part(problem.positive.v, 0, n), backend.part(problem.positive.h, 0, n), weights)
    backend.load_rows(problem.data, rows, rng.key(problem.seed, epoch, rng.stream(rng.DATA, problem.layer)), positive.v)
    if problem.variance is not None:
        variance.scale(backend, problem.variance, positive.v)
    lost = None
    if problem.gaps is not None:
        lost = missing.complete(backend, problem.visible, problem.hidden, p, problem.gaps, positive.v, rows, rows, key)
    if problem.persistent:
        backend.conditional(problem.hidden, positive.v, p.W, p.c, positive.h)
        negative = chains.persistent(backend, problem, step, key)
    else:
        drawn = backend.part(problem.states, 0, n)
        backend.conditional(problem.hidden, positive.v, p.W, p.c, positive.h, drawn, rows, key(rng.HIDDEN))
        negative = Phase(backend.part(problem.negative.v, 0, n), backend.part(problem.negative.h, 0, n), weights)
        if problem.visible.keeps_total:  # those of the data: a draw keeps the total of the states that it replaces
            backend.load_rows(problem.data, rows, rng.key(problem.seed, epoch, rng.stream(rng.DATA, problem.layer)), negative.v)
        chains.from_data(backend, problem, negative, drawn, rows, key, lost)
    if problem.sparsity is not None and mean_weight > 0:
        backend.sparsify(positive.h, weights, *problem.sparsity, *_offsets_share(problem.centering))
    for phase in (positive, negative):
        if phase.weight is not None:
            backend.scale_rows(phase.h, phase.weight)
    return positive, negative, 1.0 / n, (mean_weight if problem.persistent else 1.0) / len(negative.v)


def _offsets_share(centering):
    """The hidden offsets, and by what part of a change of the data's hidden means they must move the other way beforehand, so
    that the next update, in which they follow those means, leaves them where the plain means would; nothing if not centred."""
    if centering is None:
        return ()
    return centering.h, centering.slide * (1 - centering.model_share) / (1 - centering.slide)


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
    others = problem.gaps, problem.variance, problem.sparsity, problem.fast, problem.tempering
    suits = weights is None and not (hyper.l1 or hyper.max_norm) and all(x is None for x in others)
    if suits and fused is not None and fused(problem, order, batch_size, step, epoch, hyper):
        return
    loaded = None if weights is None else backend.array(weights)
    n = len(problem.params.c)
    fixed = backend.array(np.ones(n, bool)) if problem.visible.support == "counts" else None
    for start in range(0, len(order), batch_size):
        edges = start, start + batch_size
        part, mean_weight = None, 1.0
        if weights is not None:
            part, mean_weight = backend.part(loaded, *edges), float(weights[slice(*edges)].mean())
        phases = minibatch(backend, problem, backend.part(order, *edges), step, epoch, part, mean_weight)
        if problem.variance is None:
            backend.update(problem.params, problem.velocity, *phases, hyper, problem.centering, mean_weight)
        else:
            variance.update(backend, problem.params, problem.velocity, problem.variance, *phases, hyper)
        if fixed is not None:  # the hidden biases are in the weights (units/replicated_softmax.py)
            backend.assign_where(problem.params.c, fixed)
        if hyper.l1:
            backend.shrink(problem.params.W, hyper.learning_rate * hyper.l1)
        if hyper.max_norm:
            backend.limit_columns(problem.params.W, hyper.max_norm, problem.workspace)
        if problem.fast is not None:
            chains.move_fast(backend, problem, phases)
        step += 1
