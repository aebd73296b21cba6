"""Back-propagation through a feed-forward network of unit means, in the words of the backend protocol.

    a_0 = x,  a_l = mean(a_{l-1} W_l + c_l),  output = a_L W + c (linear)
    delta_L = d loss / d output,  delta_{l-1} = (delta_l W_l') slope(a_{l-1}),  dW_l = a_{l-1}' delta_l

(Rumelhart, Hinton, Williams 1986.) Dropout multiplies inputs of a layer by a keyed mask (Srivastava et al. 2014), max-norm
bounds the incoming weights of every unit after each step.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Key, Weights
from fastdbn.maths import rng
from fastdbn.maths.optim import STATES, Optimizer, at_epoch, step_hyper
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


class Network:
    """A network and its training state on a backend.

    Parameters
    ----------
    backend : Backend
    visible : Unit
        of the inputs.
    units : list of Unit
        one for each hidden layer.
    coefs, intercepts : lists of host arrays
        weights (n_in, n_out) and biases of every layer, the linear output layer last.
    plan : Plan
    seed : int
    step : int
        minibatches seen so far; it keys the dropout masks.
    optimizer : Optimizer or None
        where the update rule stands. It begins anew with None, and with that of another rule.
    """

    def __init__(self, backend, visible, units, coefs, intercepts, plan, seed, step=0, optimizer=None):
        self.backend, self.plan, self.seed, self.step = backend, plan, seed, step
        self.units = [*units, get_unit(OUTPUT)]
        if optimizer is None or optimizer.solver != plan.solver:
            optimizer = Optimizer(plan.solver, 0, [(None,) * 2 * STATES[plan.solver]] * len(coefs))
        self.updates = optimizer.steps
        self.weights = [self._weights(*layer) for layer in zip(coefs, intercepts, optimizer.states, strict=True)]
        sizes = [len(coefs[0]), *map(len, intercepts)]
        rows = plan.batch_size
        self.inputs = backend.states(visible, rows, sizes[0])
        self.means = [backend.zeros(rows, n) for n in sizes[1:]]
        self.masked = [backend.zeros(rows, n) if p else None for n, p in zip(sizes, plan.dropout, strict=False)]
        self.deltas = [backend.zeros(rows, n) for n in sizes[1:]]
        self.room = [None if plan.max_norm is None else backend.zeros(n) for n in sizes[1:]]

    def _weights(self, W, bias, states):
        """A layer's buffers from host arrays; states of the rule that are None begin at zero."""
        b = self.backend
        shapes = (W.shape, bias.shape) * STATES[self.plan.solver]
        states = [b.zeros(*shape) if x is None else b.array(x) for x, shape in zip(states, shapes, strict=True)]
        return Weights(b.array(W), b.array(bias), *states, *[None] * (4 - len(states)))

    def _key(self, layer) -> Key:
        return rng.key(self.seed, self.step, rng.stream(rng.DROPOUT, layer))

    def minibatch(self, data, rows, target, weight, epoch, hyper):
        """A step on the weighted mean of losses of some rows; returns their weighted sum before it."""
        b, n, p = self.backend, len(rows), self.plan.dropout
        a = b.part(self.inputs, 0, n)
        b.load_rows(data, rows, rng.key(self.seed, epoch, rng.stream(rng.DATA)), a)
        target = a if target is None else target
        means, inputs = [], []
        for layer, weights in enumerate(self.weights):
            if p[layer]:
                kept = b.part(self.masked[layer], 0, n)
                b.mask(a, p[layer], rows, self._key(layer), kept)
                a = kept
            inputs.append(a)
            a = b.part(self.means[layer], 0, n)
            b.conditional(self.units[layer], inputs[-1], weights.W, weights.bias, a)
            means.append(a)
        delta = b.part(self.deltas[-1], 0, n)
        loss = b.loss(self.plan.loss, means[-1], target, weight, 1.0 / n, delta)
        for layer in range(len(self.weights) - 1, 0, -1):
            below, unit = b.part(self.deltas[layer - 1], 0, n), self.units[layer - 1]
            dropout = (p[layer], rows, self._key(layer)) if p[layer] else ()
            b.backward_and_step(
                self.plan.solver, hyper, inputs[layer], delta, self.weights[layer], unit, means[layer - 1], below, *dropout
            )
            delta = below
        b.backward_and_step(self.plan.solver, hyper, inputs[0], delta, self.weights[0])
        if self.plan.max_norm is not None:
            for weights, room in zip(self.weights, self.room, strict=True):
                b.limit_columns(weights.W, self.plan.max_norm, room)
        self.step += 1
        self.updates += 1
        return loss

    def train_epoch(self, data, order, target, weights, epoch):
        """One pass over the rows in `order`; the last batch may be short.

        Parameters
        ----------
        data : the backend's data
        order : (n,) uint32 host array of row numbers
        target : host array of class numbers (rows,) or of values (rows, n_outputs), for all rows of the data; None: the inputs
            themselves, as they are before dropout
        weights : (rows,) host array, mean about 1

        Returns
        -------
        float
            mean loss over the epoch.
        """
        b, plan, total = self.backend, self.plan, 0.0
        rate = at_epoch(plan.learning_rate, epoch, "learning_rate_init")
        momentum = at_epoch(plan.momentum, epoch, "momentum")
        target = None if target is None else b.array(target[order])
        weights, order = b.array(weights[order]), b.array(order)
        for start in range(0, len(order), plan.batch_size):
            edges = start, start + plan.batch_size
            y = None if target is None else b.part(target, *edges)
            rows, weight = b.part(order, *edges), b.part(weights, *edges)
            hyper = step_hyper(b.dtype, plan.solver, rate, plan.alpha, self.updates + 1, momentum)
            total += self.minibatch(data, rows, y, weight, epoch, hyper)
        return total / len(order)

    def finite(self):
        """Whether all parameters, and what the rule keeps for them, are finite."""
        return bool(np.isfinite(sum(self.backend.norm(x) for w in self.weights for x in w if x is not None)))

    def host(self):
        """Host copies of weights and biases, and the `Optimizer`."""
        get = self.backend.to_host
        states = [tuple(get(x) for x in w[2:] if x is not None) for w in self.weights]
        optimizer = Optimizer(self.plan.solver, self.updates, states)
        return [get(w.W) for w in self.weights], [get(w.bias) for w in self.weights], optimizer


def glorot(seed, layer, n_in, n_out, logistic):
    """Initial weights for training from labels alone: uniform within sqrt(6 / (n_in + n_out)), four times that if logistic.

    (Glorot and Bengio 2010, equation 16; the factor for logistic units is theirs.)
    """
    bound = (4.0 if logistic else 1.0) * np.sqrt(6.0 / (n_in + n_out))
    draw = rng.host_generator(seed, 1, rng.stream(rng.INIT, layer))
    return draw.uniform(-bound, bound, (n_in, n_out))
