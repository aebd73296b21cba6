"""Contrastive divergence over shards.

Each shard has a run of `ContrastiveDivergence` of its own for a round. In "average" that has a seed of its own and trains on
minibatches of the shard. In "gradient" it computes both phases for its rows of a minibatch, with the noise that one machine would
draw for them, so the sum over shards is the gradient of one machine but for the order of its terms.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from fastdbn.backends.protocol import Params, Source
from fastdbn.dask import rounds
from fastdbn.dask.numbered import Numbered
from fastdbn.dask.rounds import Part, Work
from fastdbn.dask.shard import joined, seed_of_shard
from fastdbn.dask.shards import Shards
from fastdbn.estimators import parameters
from fastdbn.estimators.device import backend_for
from fastdbn.estimators.layer import run_of, split_rows
from fastdbn.estimators.rbm import RBM
from fastdbn.inputs import data
from fastdbn.maths.optim import at_epoch
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.layer import Layer, State
from fastdbn.training.monitors import WATCHED, WATCHED_NUMBERS
from fastdbn.training.options import missing_values
from fastdbn.training.options.centering import SLIDE, Centering
from fastdbn.training.options.l1 import L1
from fastdbn.training.options.learned_variances import base_scaling
from fastdbn.training.options.max_norm import MaxNorm
from fastdbn.training.options.missing_values import MissingValues
from fastdbn.training.options.row_weights import RowWeights
from fastdbn.training.options.sparsity import Sparsity
from fastdbn.training.options.totals import Totals
from fastdbn.training.order import order_of_epoch, shuffle_of
from fastdbn.units import get_unit

KNOWN = {
    "average": (Centering, L1, MaxNorm, MissingValues, RowWeights, Sparsity, Totals),
    "gradient": (Centering, L1, MaxNorm, RowWeights),
}
"""The training options whose state and part in a step the shards can share."""


class Job(NamedTuple):
    """What the tasks of an epoch have in common.

    rbm is an unfitted RBM with the numbers of the epoch, units are (visible, hidden), of_step what the step after a sum needs:
    Hyper, centering, L1 and max-norm.
    """

    rbm: Any
    units: tuple
    scaling: Any
    threshold: Any
    number: int
    seed: int
    epoch: int
    pieces: int
    of_step: tuple = ()


def _layer(backend, X, job, n_rows, weights, seed, rows, held_out=None, validation=None):
    """A `Layer` of host rows."""
    mask = None
    if job.rbm.missing is not None:
        X, mask = missing_values.split(X)
        mask = None if mask is None else backend.load(Source(mask), for_training=True)
    source = backend.load(data.training_source(X, job.scaling, job.threshold), for_training=True)
    shuffle = shuffle_of(job.rbm, X.shape[1])
    return Layer(*job.units, source, n_rows, weights, job.number, seed, rows, held_out, mask, validation, shuffle)


# ---- on a worker


def _run(shard, state, job, alone):
    """The shard's own run, at a state; `alone` if its noise and its minibatches are the shard's own."""

    def make():
        backend = backend_for(job.rbm) if alone else Numbered(backend_for(job.rbm), shard.first)
        seed = seed_of_shard(job.seed, shard.number) if alone else job.seed
        n = shard.X.shape[0] if shard.rows is None else len(shard.rows)
        return backend, _layer(backend, shard.X, job, n, shard.weights, seed, shard.rows if alone else None)

    backend, layer = shard.keep("layer", None, make)
    settings, first = parameters.settings(job.rbm, layer.visible), 0
    if state.chains is not None:
        chains = np.array_split(state.chains, job.pieces)
        first, chains = sum(map(len, chains[: shard.number])), chains[shard.number]
        state, settings = state._replace(chains=chains), settings._replace(n_chains=len(chains))
    run = ContrastiveDivergence(backend, layer, settings, state._replace(epoch=job.epoch))
    if state.chains is not None and not alone:
        numbers = np.arange(first, first + len(state.chains), dtype=np.uint32)
        run.problem = run.problem._replace(chain_rows=backend.array(numbers))
    run.begin_epoch()
    return run


def _trained(shard, state, job, does):
    """The shard's part in a round of averaging."""
    first, last, fraction = does
    run = _run(shard, state, job, True)
    layer, size = run.layer, run.settings.batch_size

    def order():
        order = order_of_epoch(layer.seed, layer.number, job.epoch, layer.n_rows, layer.shuffle)
        return order if layer.rows is None else layer.rows[order]

    rows = shard.keep("order", job.epoch, order)[first * size : last * size]
    with run.backend.single_threaded():
        run.steps(rows)
    after = run.state()
    arrays = [x * x.dtype.type(fraction) for x in (*after.params, *after.velocity, *_extras(after))]
    chains = {} if after.chains is None else {shard.number: after.chains}
    return Part(arrays, chains, after.step - state.step)


def _extras(state):
    return [state.extras[name] for name in sorted(state.extras)]


def _averaged(state, job, round_, part):
    """The state after a round of averaging."""
    params, velocity, extras = part.arrays[:3], part.arrays[3:6], part.arrays[6:]
    return State(
        Params(*params),
        Params(*velocity),
        _chains(state, job, part),
        state.epoch,
        state.step + part.steps,
        dict(zip(sorted(state.extras), extras, strict=True)),
    )


def _chains(state, job, part):
    """The chains of all shards; a shard that did nothing has its own as they were."""
    if state.chains is None:
        return None
    return np.concatenate([part.others.get(i, x) for i, x in enumerate(np.array_split(state.chains, job.pieces))])


def _seen(state):
    """What a gradient needs of a state."""
    return state._replace(velocity=None, extras={})


def _gradient(shard, state, job, does):
    """The shard's part of a gradient: sums over its rows, and of persistent chains what a sum over `n` rows would be."""
    (rows, n, mean_weight), weights = does, shard.weights
    run = _run(shard, state._replace(velocity=state.params), job, False)
    b, persistent, some = run.backend, run.settings.persistent, float(len(rows) > 0)
    rows = rows if some else np.zeros(1, np.uint32)  # the chains go on in any case
    sums, of_chains = Params(*(b.zeros(*np.shape(x)) for x in state.params)), 1.0
    if persistent:
        of_chains = n * mean_weight / len(state.chains)
    with b.single_threaded():
        batch = run.minibatch(rows, b.array((rows + shard.first).astype(np.uint32)))
        b.statistics(batch.positive, batch.negative, (some, of_chains), sums)
    v, h = (b.to_host(x).astype(np.float64) for x in batch.positive[:2])
    v = v if weights is None else v * weights[rows][:, None]
    means = [some * x.sum(axis=0).astype(b.dtype) for x in (v, h)]
    return Part([*map(b.to_host, sums), *means], {shard.number: run.state().chains} if persistent else {}, 1)


def _stepped(state, job, round_, part):
    """The state after the step of a whole minibatch, as the backend's `update` makes it, on the host."""
    (n, weight), (hyper, share, l1, longest) = round_, job.of_step
    real = state.params.W.dtype.type
    sums = [x * real(1 / n) for x in part.arrays]
    gradient, data_means = Params(*sums[:3]), sums[3:]
    rate, momentum, decay = map(real, hyper)
    steps, extras = Params(*(rate * x for x in gradient)), dict(state.extras)
    velocity = Params(*(momentum * v + step for v, step in zip(state.velocity, steps, strict=True)))
    velocity.W[...] -= rate * decay * state.params.W
    b, c = velocity.b, velocity.c
    if share is not None:
        slide, weight = real(SLIDE if weight > 0 else 0.0), real(weight or 1.0)
        for name, mean, g in zip(("offset_v", "offset_h"), data_means, gradient[1:], strict=True):
            middle = mean - real(share) * g  # of the data's means and the chains', which are less by the gradient
            extras[name] = extras[name] + slide * (middle / weight - extras[name])
        v, h = extras["offset_v"], extras["offset_h"]
        velocity.W[...] -= np.outer(v, steps.c) + np.outer(steps.b, h)
        b, c = b - velocity.W.dot(h), c - v.dot(velocity.W)
    W = state.params.W + velocity.W
    if l1:
        W = np.sign(W) * np.maximum(np.abs(W) - rate * real(l1), real(0))
    if longest:
        W = W * np.minimum(1, real(longest) / np.maximum(np.sqrt(np.square(W).sum(axis=0)), real(1e-30)))
    params = Params(W, state.params.b + b, state.params.c + c)
    return State(params, velocity, _chains(state, job, part), state.epoch, state.step + 1, extras)


WORKS = {"average": Work(_trained, _averaged), "gradient": Work(_gradient, _stepped, _seen)}


# ---- on the client


class Rounds(ContrastiveDivergence):
    """A run whose epochs are rounds over shards; it watches some rows, which are here.

    Parameters
    ----------
    shards : Shards
    joined : Shards
        With the rows, and the weights, of this run.
    job : Job
    rows, weights : arrays or None
        Rows that are trained on, and weights of all.
    backend, layer, settings, state, last
        As of `ContrastiveDivergence`; the layer has the watched rows.
    """

    def __init__(self, shards, joined, job, rbm, rows, weights, backend, layer, settings, state, last):
        super().__init__(backend, layer, settings, state, last)
        self.shards, self.joined, self.job, self.rbm, self.rows, self.of_rows = shards, joined, job, rbm, rows, weights

    def epoch(self):
        self.begin_epoch()
        shards, kind, epoch = self.shards, self.shards.sync.kind, self.epochs
        l1 = at_epoch(self.rbm.l1, epoch, "l1")
        numbers = {**self.hyper._asdict(), "k": self.problem.k, "l1": l1}
        job = self.job._replace(epoch=epoch, of_step=())
        if kind == "gradient":
            share = None if self.problem.centering is None else self.problem.centering.model_share
            job = job._replace(of_step=(self.hyper, share, l1, self.rbm.max_norm))
            numbers |= {"l1": 0.0, "max_norm": None, "centering": None}
        job = job._replace(rbm=clone(job.rbm).set_params(**numbers))

        def order(n):
            return order_of_epoch(self.layer.seed, self.layer.number, epoch, n, self.layer.shuffle)

        some = rounds.of_epoch(shards, self.rows, order, self.settings.batch_size, self.of_rows, self.settings.persistent)
        self._take(rounds.carried_out(shards, self.joined, WORKS[kind], self.state(), job, some))
        self.epochs += 1

    def _take(self, state):
        """Go on from a state."""
        b, p = self.backend, self.problem
        pairs = [*zip(state.params, p.params, strict=True), *zip(state.velocity, p.velocity, strict=True)]
        pairs += [] if state.chains is None else [(state.chains, p.states)]
        for option in self.options:
            pairs += [(state.extras[name], x) for name, x in zip(option.keeps, option.arrays, strict=True)]
        for values, buffer in pairs:
            b.copy(b.array(values), buffer)
        self.step = state.step


@run_of.register
def _(X: Shards, rbm, backend, weights, threshold, validation, settings, state, last, first=0):
    _check(X, rbm, settings)
    n = X.shape[0]
    rows, held_out, weights = split_rows(rbm, n, weights)
    units, scaling = (get_unit(rbm.visible_), get_unit(rbm.hidden_)), base_scaling(rbm.scaling_, rbm._extras)
    plain = _unfitted(rbm)
    pieces = len(X.sizes)
    many = pieces if X.sync.kind == "average" and settings.persistent else 1
    settings = settings._replace(n_chains=many * settings.n_chains)
    job = Job(plain, units, scaling, threshold, rbm.layer_, rbm.seed_, 0, pieces)
    watched = _spread(np.arange(n, dtype=np.uint32) if rows is None else rows, X.shape[1])
    apart = np.empty(0, np.uint32) if held_out is None else _spread(held_out, X.shape[1])
    both = np.concatenate([watched, apart])
    places = np.arange(len(both), dtype=np.uint32)
    if validation is not None:
        validation = _layer(backend, validation, job, validation.shape[0], None, rbm.seed_, None)
    layer = _layer(
        backend,
        X[both],
        job,
        len(watched),
        None if weights is None else weights[both],
        rbm.seed_,
        places[: len(watched)],
        None if held_out is None else places[len(watched) :],
        validation,
    )
    own = None if rows is None else X.split_numbers(rows)
    run = X.derived(joined, own, X.split(weights), None)
    return Rounds(X, run, job, rbm, rows, weights, backend, layer, settings, state, last)


def _unfitted(rbm):
    """An unfitted RBM with the parameters of another, to be sent; a task has a thread of its worker."""
    own = {name: getattr(rbm, name) for name in RBM().get_params()}
    return RBM(**own | {"callbacks": None, "n_jobs": rbm.n_jobs or 1, "warm_start": False, "random_state": 0, "verbose": 0})


def _spread(rows, width):
    """The rows that monitors watch of some."""
    few = min(WATCHED, len(rows), max(1, WATCHED_NUMBERS // width))
    return rows[np.unique(np.linspace(0, len(rows) - 1, few).astype(np.uint32))]


def _check(shards, rbm, settings):
    """Refuse what shards cannot share, and warn of rounds that take longer than their steps."""
    kind = shards.sync.kind
    unknown = [type(option).__name__ for option in settings.options if not isinstance(option, KNOWN[kind])]
    unknown += ["MissingValues"] if kind == "average" and rbm.missing == "sample" else []
    if unknown:
        raise ValueError(
            f"sync={kind!r} cannot share what {', '.join(unknown)} keeps among shards: leave that option out, or train on one "
            f"machine. Shards can share {', '.join(option.__name__ for option in KNOWN[kind])}"
        )
    rounds.check_size(shards.sync, rbm.batch_size, "batch_size of the RBM")
    if kind == "gradient" and settings.persistent and settings.n_chains < len(shards.sizes):
        raise ValueError(
            f"n_chains={settings.n_chains}: sync='gradient' shares chains among {len(shards.sizes)} shards: give more"
        )
