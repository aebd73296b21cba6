"""Back-propagation over shards, in the rounds of rounds.py.

In "gradient" a shard makes a step of size one from zero velocity: its velocity is then minus the gradient.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.devices import get_backend
from fastdbn.dask import rounds
from fastdbn.dask.numbered import Numbered
from fastdbn.dask.rounds import Part, Work
from fastdbn.dask.shard import joined, seed_of_shard
from fastdbn.dask.shards import Shards
from fastdbn.estimators.device import precision_of
from fastdbn.estimators.fine_tuning import run_of
from fastdbn.estimators.rows import binarize_of
from fastdbn.inputs import data
from fastdbn.maths.optim import RULES, Optimizer, at_epoch, step_hyper
from fastdbn.training.backprop import BackPropagation, NetworkState
from fastdbn.training.order import order_of_epoch


class Job(NamedTuple):
    """What the tasks of an epoch have in common. The plan has the numbers of the epoch; computes are arguments of get_backend."""

    computes: tuple
    units: list
    scaling: Any
    threshold: Any
    plan: Any
    seed: int


class Progress(NamedTuple):
    """Where the network stands in an epoch, and the sum of the losses so far."""

    network: NetworkState
    loss: float


def _run(shard, state, job, plan, alone):
    """The shard's own run, at a state; `alone` if its noise and its minibatches are the shard's own."""

    def make():
        backend = get_backend(*job.computes)
        backend = backend if alone else Numbered(backend, shard.first)
        return backend, backend.load(data.source(shard.X, job.scaling, job.threshold))

    backend, source = shard.keep("data", None, make)
    seed = seed_of_shard(job.seed, shard.number) if alone else job.seed
    run = BackPropagation(backend, job.units, source, shard.rows, shard.target, shard.weights, plan, seed, state)
    run.rate = plan.learning_rate
    return run


def _trained(shard, progress, job, does):
    """The shard's part in a round of averaging."""
    first, last, fraction = does
    run = _run(shard, progress.network, job, job.plan, True)
    size = job.plan.batch_size
    numbers = run.seed, 127, run.epochs, len(shard.rows), job.plan.shuffle
    order = shard.keep("order", run.epochs, lambda: shard.rows[order_of_epoch(*numbers)])
    loss = 0.0
    with run.backend.single_threaded():
        for rows, target, weight in run.minibatches(
            order[first * size : last * size], size * (last - first), shard.target, shard.weights
        ):
            loss = run.steps(rows, target, weight, job.plan.momentum, loss)
    after = run.state()
    return Part([x * x.dtype.type(fraction) for x in _arrays(after)], {shard.number: loss}, after.step - progress.network.step)


def _arrays(state):
    """All arrays of a network's state, in a fixed order."""
    return [*state.coefs, *state.intercepts, *(x for states in state.optimizer.states for x in states)]


def _averaged(progress, job, round_, part):
    """The state after a round of averaging."""
    before, arrays = progress.network, iter(part.arrays)
    coefs, intercepts = ([next(arrays) for _ in layers] for layers in (before.coefs, before.intercepts))
    states = [tuple(next(arrays) for _ in states) for states in before.optimizer.states]
    optimizer = Optimizer(job.plan.solver, before.optimizer.steps + part.steps, states)
    return Progress(NetworkState(coefs, intercepts, optimizer, before.epoch, before.step + part.steps), _loss(progress, part))


def _loss(progress, part):
    return progress.loss + sum(part.others[i] for i in sorted(part.others))


def _seen(progress):
    """What a gradient needs of a state."""
    return progress.network._replace(optimizer=None)


def _gradient(shard, state, job, does):
    """The shard's part of a gradient: sums over its rows."""
    rows, target, weights = does[0], shard.target, shard.weights
    run = _run(shard, state, job, job.plan._replace(solver="sgd", max_norm=None, batch_size=len(rows)), False)
    b = run.backend
    hyper = step_hyper(b.dtype, "sgd", 1.0, 0.0, 1, momentum=0.0)
    numbers = b.array((rows + shard.first).astype(np.uint32))
    with b.single_threaded():
        loss = run.minibatch(numbers, b.array(target[rows]), b.array(weights[rows]), hyper)
    minus = b.dtype.type(-len(rows))  # of a mean
    return Part([minus * b.to_host(x) for w in run.weights for x in (w.first_W, w.first_bias)], {shard.number: float(loss)}, 1)


def _stepped(progress, job, round_, part):
    """The state after the step of a whole minibatch."""
    before, plan, n = progress.network, job.plan, round_[0]
    steps, real = before.optimizer.steps + 1, before.coefs[0].dtype.type
    hyper = step_hyper(real, plan.solver, plan.learning_rate, plan.alpha, steps, plan.momentum)
    gradients, moved = iter(part.arrays), []
    for W, bias, states in zip(before.coefs, before.intercepts, before.optimizer.states, strict=True):
        for i, (p, decay) in enumerate(((W, hyper.weight_decay), (bias, real(0)))):
            own = (*states[i::2], p)[:2]  # rules with one number ignore the second
            moved.append(RULES[plan.solver](p, next(gradients) * real(1 / n), *own, hyper._replace(weight_decay=decay)))
    numbers = len(before.optimizer.states[0]) // 2
    coefs, intercepts = [x[0] for x in moved[::2]], [x[0] for x in moved[1::2]]
    if plan.max_norm is not None:
        norms = [np.maximum(np.sqrt(np.square(W).sum(axis=0)), real(1e-30)) for W in coefs]
        coefs = [W * np.minimum(1, real(plan.max_norm) / norm) for W, norm in zip(coefs, norms, strict=True)]
    pairs = zip(moved[::2], moved[1::2], strict=True)
    states = [tuple(x[1 + i] for i in range(numbers) for x in pair) for pair in pairs]
    optimizer = Optimizer(plan.solver, steps, states)
    return Progress(NetworkState(coefs, intercepts, optimizer, before.epoch, before.step + 1), _loss(progress, part))


WORKS = {"average": Work(_trained, _averaged), "gradient": Work(_gradient, _stepped, _seen)}


class Rounds(BackPropagation):
    """A run whose epochs are rounds over shards.

    Parameters
    ----------
    shards, joined : Shards
        The rows of the fit, and the same with what belongs to them in this run.
    job : Job
        Its plan has the schedules.
    backend, units, rows, weights, state, score
        As of `BackPropagation`.
    """

    def __init__(self, shards, joined, job, backend, units, rows, weights, state, score):
        super().__init__(backend, units, None, rows, None, weights, job.plan, job.seed, state, score)
        self.shards, self.joined, self.job = shards, joined, job

    def epoch(self):
        shards, plan = self.shards, self.plan
        self.rate = at_epoch(plan.learning_rate, self.epochs, "learning_rate_init")
        momentum = at_epoch(plan.momentum, self.epochs, "momentum")
        job = self.job._replace(plan=plan._replace(learning_rate=self.rate, momentum=momentum))

        def order(n):
            return order_of_epoch(self.seed, 127, self.epochs, n, plan.shuffle)

        some = rounds.of_epoch(shards, self.rows, order, plan.batch_size, self.row_weights)
        state, loss = rounds.carried_out(shards, self.joined, WORKS[shards.sync.kind], Progress(self.state(), 0.0), job, some)
        layers = zip(state.coefs, state.intercepts, state.optimizer.states, strict=True)
        for weights, (W, bias, states) in zip(self.weights, layers, strict=True):
            kept = [x for x in weights if x is not None]
            for values, buffer in zip((W, bias, *states), kept, strict=True):
                self.backend.copy(self.backend.array(values), buffer)
        self.updates, self.step, self.loss = state.optimizer.steps, state.step, loss / len(self.rows)
        self.epochs += 1


@run_of.register
def _(X: Shards, network, backend, units, rows, target, weights, plan, state, score, noise, first=0):
    rounds.check_size(X.sync, plan.batch_size, "batch_size")
    computes = network.n_jobs or 1, network.dtype, network.device, precision_of(network)
    job = Job(computes, units, network.scaling_, binarize_of(network._layers()[0]), plan, network.seed_)
    run = X.derived(joined, X.split_numbers(rows), X.split(weights), X.split(target))
    return Rounds(X, run, job, backend, units, rows, weights, state, score)
