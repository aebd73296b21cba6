"""Back-propagation through a feed-forward network of unit means, in the words of the backend protocol.

    a_0 = x,  a_l = mean(a_{l-1} W_l + c_l),  output = a_L W + c (linear)
    delta_L = d loss / d output,  delta_{l-1} = (delta_l W_l') slope(a_{l-1}),  dW_l = a_{l-1}' delta_l

(Rumelhart, Hinton, Williams 1986.) Dropout multiplies inputs of a layer by a keyed mask (Srivastava et al. 2014), max-norm
bounds the incoming weights of every unit after each step.
"""

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Below, Key, Network, Weights
from fastdbn.maths import rng
from fastdbn.maths.optim import STATES, Optimizer, StepHyper, at_epoch, step_hypers
from fastdbn.training.order import WHOLE, Shuffle, calls, order_of_epoch
from fastdbn.training.training import DivergenceError, Training, minibatches_per_call
from fastdbn.units import get_unit

OUTPUT = "gaussian"
"""The unit whose means are the linear outputs."""


class Plan(NamedTuple):
    """What back-propagation needs to know, checked; dropout has one rate for each weight layer's inputs.

    loss is a kind that the backend's `loss` knows.
    """

    loss: Any
    solver: str
    learning_rate: Any
    momentum: Any
    alpha: float
    dropout: tuple
    max_norm: float | None
    batch_size: int
    shuffle: Shuffle = WHOLE


class NetworkState(NamedTuple):
    """Where training stands, as host arrays: weights (n_in, n_out) and biases of every layer, the linear output layer last.

    optimizer is where the update rule stands, or None at the beginning. epoch and step count epochs and minibatches; step keys
    the masks of dropout.
    """

    coefs: list
    intercepts: list
    optimizer: Optimizer | None = None
    epoch: int = 0
    step: int = 0


class Buffers(NamedTuple):
    """What single operations work in: inputs, and for each layer means, masked inputs, deltas and norms, or None where unused."""

    inputs: Any
    means: list
    masked: list
    deltas: list
    norms: list


def layer_weights(backend, solver, W, bias, states=(None, None)):
    """A layer's buffers from host arrays; states of the rule that are None begin at zero."""
    shapes = (W.shape, bias.shape) * STATES[solver]
    states = [backend.zeros(*shape) if x is None else backend.array(x) for x, shape in zip(states, shapes, strict=True)]
    return Weights(backend.array(W), backend.array(bias), *states, *[None] * (4 - len(states)))


class BackPropagation(Training):
    """A run of back-propagation.

    Parameters
    ----------
    backend : Backend
    units : list of Unit
        of the inputs and of each hidden layer.
    data : the backend's data
    rows : (n,) uint32 host array
        the rows of the data that are trained on.
    target : host array or None
        class numbers (rows of the data,) or values (rows of the data, n_outputs). None: the inputs themselves, as they are
        before dropout.
    weights : (rows of the data,) host array
        Their mean is about 1.
    plan : Plan
    seed : int
    state : NetworkState
        An optimizer of another rule than the plan's begins anew.
    score : callable of (coefs, intercepts) or None
        It gives the measures of rows that are not trained on, a dict.
    noise : Inputs or None
        It makes the inputs that the network sees (noise.py). A target of None is the clean ones.
    stored : Stored or None
        Where the rows of the data lie, if that is a file.
    """

    title = "fine-tuning"

    def __init__(self, backend, units, data, rows, target, weights, plan, seed, state, score=None, noise=None, stored=None):
        super().__init__(backend, state.epoch)
        self.data, self.rows, self.target, self.row_weights = data, rows, target, weights
        self.plan, self.seed, self.step, self.score, self.noise = plan, seed, state.step, score, noise
        self.stored = stored
        self.visible, self.units, optimizer = units[0], [*units[1:], get_unit(OUTPUT)], state.optimizer
        if optimizer is None or optimizer.solver != plan.solver:
            optimizer = Optimizer(plan.solver, 0, [(None,) * 2 * STATES[plan.solver]] * len(state.coefs))
        self.updates = optimizer.steps
        layers = zip(state.coefs, state.intercepts, optimizer.states, strict=True)
        self.weights = [layer_weights(backend, plan.solver, *layer) for layer in layers]
        self.sizes = [len(state.coefs[0]), *map(len, state.intercepts)]
        numbers = plan.dropout, plan.loss, plan.solver, plan.max_norm, plan.batch_size
        self.network = Network(self.units, self.weights, *numbers, seed)

    @functools.cached_property
    def buffers(self):
        """The `Buffers` of single operations."""
        backend, plan, n = self.backend, self.plan, self.plan.batch_size
        return Buffers(
            backend.states(self.visible, n, self.sizes[0]),
            [backend.zeros(n, size) for size in self.sizes[1:]],
            [backend.zeros(n, size) if p else None for size, p in zip(self.sizes, plan.dropout, strict=False)],
            [backend.zeros(n, size) for size in self.sizes[1:]],
            [None if plan.max_norm is None else backend.zeros(size) for size in self.sizes[1:]],
        )

    # ---- epochs

    def epoch(self):
        plan, total = self.plan, 0.0
        order = self.rows[order_of_epoch(self.seed, 127, self.epochs, len(self.rows), plan.shuffle)]
        self.rate = at_epoch(plan.learning_rate, self.epochs, "learning_rate_init")
        momentum = at_epoch(plan.momentum, self.epochs, "momentum")
        work = 6.0 * sum(map(math.prod, itertools.pairwise(self.sizes)))
        per_call = plan.batch_size * minibatches_per_call(plan.batch_size, work)
        for part in calls(order, per_call, self.stored, plan.shuffle.window):
            for rows, target, weight in self.minibatches(part, per_call, self.target, self.row_weights):
                total = self.steps(rows, target, weight, momentum, total)
        self.loss = total / len(order)
        self.epochs += 1

    def steps(self, rows, target, weight, momentum, total):
        """Train on minibatches of some rows, one after another; the last may be short. Returns the total with their losses."""
        b, plan, size, n = self.backend, self.plan, self.plan.batch_size, len(rows)
        hypers = step_hypers(b.dtype, plan.solver, self.rate, plan.alpha, self.updates + 1, -(-n // size), momentum)
        whole = self.network, self.data, rows, target, weight, hypers, self.epochs, self.step
        losses = b.backprop_steps(*whole) if self.noise is None else None
        if losses is not None:
            self.step += len(hypers)
            self.updates += len(hypers)
            for start in range(0, n, size):  # each sum in the order in which `loss` takes it
                part = losses[start : start + size]
                total += float(part.cumsum()[-1] if isinstance(plan.loss, str) else part.sum())
            return total
        for start, hyper in zip(range(0, n, size), hypers, strict=True):
            edges = start, start + size
            y = None if target is None else b.part(target, *edges)
            total += self.minibatch(b.part(rows, *edges), y, b.part(weight, *edges), StepHyper(*hyper))
        return total

    def check(self):
        norms = sum(self.backend.norm(x) for w in self.weights for x in w if x is not None)
        if not np.isfinite(self.loss + norms):
            raise DivergenceError(
                f"back-propagation diverged in epoch {self.epochs}: the loss is {self.loss:g}. Use a smaller "
                f"learning_rate_init (it was {self.rate:g}) or scale the data"
            )

    def measure(self):
        """``loss``, the mean over the epoch, and those of rows that are not trained on."""
        if self.score is None:
            return {"loss": self.loss}
        coefs, intercepts, *_ = self.state()
        return {"loss": self.loss} | self.score(coefs, intercepts)

    def words(self, metrics):
        return ", ".join(f"{name.replace('_', ' ')} {value:.5f}" for name, value in metrics.items() if name != "seconds")

    def state(self):
        get = self.backend.to_host
        states = [tuple(get(x) for x in w[2:] if x is not None) for w in self.weights]
        optimizer = Optimizer(self.plan.solver, self.updates, states)
        return NetworkState(
            [get(w.W) for w in self.weights], [get(w.bias) for w in self.weights], optimizer, self.epochs, self.step
        )

    # ---- minibatches

    def _key(self, layer) -> Key:
        return rng.key(self.seed, self.step, rng.stream(rng.DROPOUT, layer))

    def minibatch(self, rows, target, weight, hyper):
        """A step on the weighted mean of losses of some rows; returns their weighted sum before it."""
        b, n, p, buffers = self.backend, len(rows), self.plan.dropout, self.buffers
        a = b.part(buffers.inputs, 0, n)
        b.load_rows(self.data, rows, rng.key(self.seed, self.epochs, rng.stream(rng.DATA)), a)
        target = a if target is None else target
        if self.noise is not None:
            a = self.noise(a, rows, self.epochs, self.step)
        means, inputs = [], []
        for layer, weights in enumerate(self.weights):
            if p[layer]:
                kept = b.part(buffers.masked[layer], 0, n)
                b.mask(a, p[layer], rows, self._key(layer), kept)
                a = kept
            inputs.append(a)
            a = b.part(buffers.means[layer], 0, n)
            b.conditional(self.units[layer], inputs[-1], weights.W, weights.bias, a)
            means.append(a)
        delta = b.part(buffers.deltas[-1], 0, n)
        loss = b.loss(self.plan.loss, means[-1], target, weight, 1.0 / n, delta)
        for layer in range(len(self.weights) - 1, 0, -1):
            dropout = (p[layer], rows, self._key(layer)) if p[layer] else ()
            below = Below(self.units[layer - 1], means[layer - 1], b.part(buffers.deltas[layer - 1], 0, n), *dropout)
            b.backward_and_step(self.plan.solver, hyper, inputs[layer], delta, self.weights[layer], below)
            delta = below.delta
        b.backward_and_step(self.plan.solver, hyper, inputs[0], delta, self.weights[0])
        if self.plan.max_norm is not None:
            for weights, norms in zip(self.weights, buffers.norms, strict=True):
                b.limit_columns(weights.W, self.plan.max_norm, norms)
        self.step += 1
        self.updates += 1
        return loss


def glorot(seed, layer, n_in, n_out, logistic):
    """Initial weights for training from labels alone: uniform within sqrt(6 / (n_in + n_out)), four times that if logistic.

    (Glorot and Bengio 2010, equation 16; the factor for logistic units is theirs.)
    """
    bound = (4.0 if logistic else 1.0) * np.sqrt(6.0 / (n_in + n_out))
    draw = rng.host_generator(seed, 1, rng.stream(rng.INIT, layer))
    return draw.uniform(-bound, bound, (n_in, n_out))
