"""Contrastive divergence and its persistent form: the gradient and the step of one minibatch.

    dW = <v h>_data - <v h>_chain,    db = <v>_data - <v>_chain,    dc = <h>_data - <h>_chain

The chain starts at the data (CD-k, Hinton 2002) or goes on from the last minibatch (PCD, Tieleman 2008), and runs k full
Gibbs steps. Hidden states are drawn while the chain runs; the statistics take hidden means, which have less variance and the
same expectation, and drawn visible states.
"""

from fastdbn import rng


def minibatch(backend, problem, rows, step, epoch, weights=None):
    """Both sides of the gradient of one minibatch, into the problem's buffers.

    Parameters
    ----------
    rows : (n,) row numbers, the backend's
    step, epoch : int
    weights : (n,) host array or None
        weights of the rows; with persistent chains their mean weighs the chains.

    Returns
    -------
    plus, minus : Side
    plus_scale, minus_scale : float
        one over the number of rows and of chains.
    """
    p, n = problem.params, len(rows)
    chain_weight = 1.0
    if weights is not None:
        problem = problem._replace(plus=problem.plus._replace(weight=backend.array(weights)))
        chain_weight = float(weights.mean()) if problem.persistent else 1.0

    def key(purpose, gibbs=0):
        return rng.key(problem.seed, step, rng.stream(purpose, problem.layer, gibbs))

    plus = problem.plus._replace(v=backend.head(problem.plus.v, n), h=backend.head(problem.plus.h, n))
    backend.take(problem.data, rows, rng.key(problem.seed, epoch, rng.stream(rng.DATA, problem.layer)), plus.v)
    if problem.persistent:
        who, chain, minus = problem.chain_rows, problem.states, problem.minus
        backend.conditional(problem.hidden, plus.v, p.W, p.c, plus.h)
    else:
        who, chain = rows, backend.head(problem.states, n)
        minus = type(plus)(backend.head(problem.minus.v, n), backend.head(problem.minus.h, n), plus.weight)
        backend.conditional(problem.hidden, plus.v, p.W, p.c, plus.h, chain, rows, key(rng.HIDDEN))
    mean = backend.head(problem.work, len(who))
    for t in range(problem.k):
        backend.conditional(problem.visible, chain, p.W, p.b, mean, minus.v, who, key(rng.VISIBLE, t), transpose=True)
        if problem.persistent or t + 1 < problem.k:
            backend.conditional(problem.hidden, minus.v, p.W, p.c, minus.h, chain, who, key(rng.HIDDEN, t + 1))
        else:
            backend.conditional(problem.hidden, minus.v, p.W, p.c, minus.h)
    for side in (plus, minus):
        if side.weight is not None:
            backend.scale_rows(side.h, side.weight)
    return plus, minus, 1.0 / n, chain_weight / len(who)


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
    if weights is None and fused is not None and fused(problem, order, batch_size, step, epoch, hyper):
        return
    for start in range(0, len(order), batch_size):
        batch = slice(start, start + batch_size)
        part = None if weights is None else weights[batch]
        sides = minibatch(backend, problem, order[batch], step, epoch, part)
        backend.update(problem.params, problem.velocity, *sides, hyper)
        step += 1
