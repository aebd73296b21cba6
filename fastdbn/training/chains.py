"""The model's phase of the gradient: where the chains come from, at which parameters they run, and how they mix.

CD-k    begins at the data anew in each minibatch (Hinton 2002)
PCD     goes on from the last minibatch (Tieleman 2008)
FPCD    goes on at W + fast weights, which follow the gradient at a rate of their own and forget a 20th of themselves in each
        step: they drive chains out of where they have been (Tieleman and Hinton 2009)
PT      runs each chain at several inverse temperatures, between neighbours of which states are exchanged, so that the hot ones
        carry the one at 1 from mode to mode (Desjardins, Courville, Bengio, Vincent, Delalleau 2010; Cho, Raiko, Ilin 2010)
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Hyper, Params, Phase
from fastdbn.maths import rng

FAST = "fast_W", "fast_b", "fast_c"
"""Names in `State.kept` of the fast weights."""
KEEP = 19 / 20


class Fast(NamedTuple):
    """Fast weights: params is W + fast, what chains run at; weights the fast ones; and their learning rate."""

    params: Params
    weights: Params
    learning_rate: float


class Tempering(NamedTuple):
    """Inverse temperatures (M,), falling from 1; the chains at one after another, n of each; swaps (2, M - 1): how many were
    made and how many proposed between neighbours, counted up; rooms for all states, visible and hidden."""

    betas: np.ndarray
    beta: Any
    n: int
    swaps: np.ndarray
    rooms: tuple[Any, Any]


def make_fast(backend, params, kept, rate):
    """`Fast` weights, those kept or zeros; None without a rate."""
    if rate is None:
        return None
    shapes = [backend.to_host(x).shape for x in params]
    weights = [backend.array(kept[name]) if name in kept else backend.zeros(*s) for name, s in zip(FAST, shapes, strict=True)]
    total = [backend.array(backend.to_host(p) + backend.to_host(f)) for p, f in zip(params, weights, strict=True)]
    return Fast(Params(*total), Params(*weights), rate)


def make_tempering(backend, betas, visible, hidden, shape, n):
    """The `Tempering` of n chains at each of the inverse temperatures; None without any."""
    if betas is None:
        return None
    rows, betas = n * len(betas), np.asarray(betas, np.float64)
    rooms = backend.states(visible, rows, shape[0]), backend.states(hidden, rows, shape[1])
    return Tempering(betas, backend.array(np.repeat(betas, n)), n, np.zeros((2, len(betas) - 1)), rooms)


def from_data(backend, problem, phase, drawn, rows, key, lost):
    """The phase of CD-k: chains that begin at the hidden states drawn from the data, one for each row."""
    _gibbs(backend, problem, problem.params, phase, drawn, rows, key, False, lost)


def persistent(backend, problem, step, key):
    """The phase of PCD and its kin: the chains that go on, those at inverse temperature 1 alone."""
    params = problem.params if problem.fast is None else problem.fast.params
    phase, chain, tempering = problem.negative, problem.states, problem.tempering
    _gibbs(backend, problem, params, phase, chain, problem.chain_rows, key, True, None, tempering and tempering.beta)
    if tempering is not None:
        _swap(backend, problem, params, step)
        phase = Phase(backend.part(phase.v, 0, tempering.n), backend.part(phase.h, 0, tempering.n), None)
    if problem.fast is not None or tempering is not None:
        p = problem.params  # hidden means given the states, at the parameters whose gradient this is
        backend.conditional(problem.hidden, phase.v, p.W, p.c, phase.h)
    return phase


def _gibbs(backend, problem, params, phase, chain, who, key, go_on, lost, beta=None):
    """k steps down and up from the chains' hidden states; go_on: the last step draws hidden states too."""
    mean = backend.part(problem.work, 0, len(who))
    for t in range(problem.k):
        down, up = key(rng.VISIBLE, t), key(rng.HIDDEN, t + 1)
        backend.conditional(problem.visible, chain, params.W, params.b, mean, phase.v, who, down, transpose=True, beta=beta)
        if lost is not None:
            backend.assign_where(phase.v, lost)
        if go_on or t + 1 < problem.k:
            backend.conditional(problem.hidden, phase.v, params.W, params.c, phase.h, chain, who, up, beta=beta)
        else:
            backend.conditional(problem.hidden, phase.v, params.W, params.c, phase.h)


def _swap(backend, problem, params, step):
    """Exchange states between neighbouring temperatures: first between the even and those above them, then the odd.

    A chain at beta has p(x) proportional to e^(beta U(x) - base(x)), U = b.v + c.h + v W h, so states x and y at beta and
    beta' change places with probability min(1, e^((beta - beta') (U(y) - U(x)))).
    """
    t, v, h = problem.tempering, problem.negative.v, problem.states
    goodness, part = np.zeros(len(v)), np.empty(len(v))
    backend.field(v, params.W, problem.negative.h)
    for x, y in ((h, problem.negative.h), (h, params.c), (v, params.b)):
        backend.dot(x, y, part)
        goodness += part
    goodness, place = goodness.reshape(-1, t.n), np.arange(len(v), dtype=np.uint32).reshape(-1, t.n)
    draw = rng.host_generator(problem.seed, step, rng.stream(rng.SWAP, problem.layer))
    for first in (0, 1):
        for i in range(first, len(t.betas) - 1, 2):
            log_odds = (t.betas[i] - t.betas[i + 1]) * (goodness[i + 1] - goodness[i])
            swapped = np.log1p(-draw.random(t.n)) < log_odds
            for x in (goodness, place):
                x[i], x[i + 1] = np.where(swapped, x[i + 1], x[i]), np.where(swapped, x[i], x[i + 1])
            t.swaps[:, i] += swapped.sum(), t.n
    order = backend.array(place.ravel())
    for x, room in zip((v, h), t.rooms, strict=True):
        backend.gather(x, order, room)
        backend.copy(room, x)


def move_fast(backend, problem, phases):
    """The step of the fast weights, after that of the parameters, by the same gradient, not centred; sparsity's pull is in it."""
    fast = problem.fast
    for source, target in zip(problem.params, fast.params, strict=True):
        backend.copy(source, target)
    # fast weights are the velocity of their sum with the parameters: its momentum is what they keep
    backend.update(fast.params, fast.weights, *phases, Hyper(fast.learning_rate, KEEP, 0.0))


def swap_rate(tempering):
    """The share of swaps made between the two neighbours that swapped least since it was last asked; NaN without temperatures.

    Below 0.2 or so the hot chains hardly reach the one at 1: add temperatures.
    """
    if tempering is None:
        return np.nan
    made, proposed = tempering.swaps
    rate = float(np.min(made / np.maximum(proposed, 1)))
    tempering.swaps[:] = 0
    return rate
