"""Back-propagation through a feed-forward network of unit means, in the words of the backend protocol.

    a_0 = x,  a_l = mean(a_{l-1} W_l + c_l),  output = a_L W + c (linear)
    delta_L = d loss / d output,  delta_{l-1} = (delta_l W_l') slope(a_{l-1}),  dW_l = a_{l-1}' delta_l

(Rumelhart, Hinton, Williams 1986.) Dropout multiplies inputs of a layer by a keyed mask (Srivastava et al. 2014), max-norm
bounds the incoming weights of every unit after each step.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn import rng
from fastdbn.backends import Key
from fastdbn.optim import at_epoch, step_hyper


class Plan(NamedTuple):
    """What back-propagation needs to know, checked; dropout has one rate for each weight layer's inputs."""

    loss: str
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
    """

    def __init__(self, backend, visible, units, coefs, intercepts, plan, seed, step=0):
        self.backend, self.units, self.plan, self.seed, self.step = backend, units, plan, seed, step
        self.W = [backend.array(w) for w in coefs]
        self.c = [backend.array(c) for c in intercepts]
        sizes = [w.shape[0] for w in coefs] + [coefs[-1].shape[1]]
        rows = plan.batch_size
        self.inputs = backend.states(visible, rows, sizes[0])
        self.means = [backend.zeros(rows, n) for n in sizes[1:-1]]
        self.masked = [backend.zeros(rows, n) if p else None for n, p in zip(sizes, plan.dropout, strict=False)]
        self.output = backend.zeros(rows, sizes[-1])
        self.deltas = [backend.zeros(rows, n) for n in sizes[1:]]
        self.gW = [backend.zeros(*w.shape) for w in coefs]
        self.gc = [backend.zeros(len(c)) for c in intercepts]
        self.state_W = [(backend.zeros(*w.shape), backend.zeros(*w.shape)) for w in coefs]
        self.state_c = [(backend.zeros(len(c)), backend.zeros(len(c))) for c in intercepts]

    def _key(self, layer) -> Key:
        return rng.key(self.seed, self.step, rng.stream(rng.DROPOUT, layer))

    def gradient(self, data, rows, target, weight, epoch):
        """Gradients of the weighted mean of losses of some rows, into gW and gc; returns their weighted sum."""
        b, n, p = self.backend, len(rows), self.plan.dropout
        a = b.part(self.inputs, 0, n)
        b.take(data, rows, rng.key(self.seed, epoch, rng.stream(rng.DATA)), a)
        means, acts = [], []
        for layer in range(len(self.W)):
            if p[layer]:
                kept = b.part(self.masked[layer], 0, n)
                b.mask(a, p[layer], rows, self._key(layer), kept)
                a = kept
            acts.append(a)
            if layer < len(self.units):
                a = b.part(self.means[layer], 0, n)
                b.conditional(self.units[layer], acts[-1], self.W[layer], self.c[layer], a)
                means.append(a)
        output, delta = b.part(self.output, 0, n), b.part(self.deltas[-1], 0, n)
        b.linear(acts[-1], self.W[-1], self.c[-1], output)
        loss = b.loss(self.plan.loss, output, target, weight, 1.0 / n, delta)
        for layer in range(len(self.W) - 1, -1, -1):
            b.gradient(acts[layer], delta, self.gW[layer], self.gc[layer])
            if layer:
                below = b.part(self.deltas[layer - 1], 0, n)
                key = self._key(layer)
                b.backward(self.units[layer - 1], means[layer - 1], delta, self.W[layer], below, p[layer], rows, key)
                delta = below
        return loss

    def train_epoch(self, data, order, target, weights, epoch):
        """One pass over the rows in `order`; the last batch may be short.

        Parameters
        ----------
        data : the backend's data
        order : (n,) uint32 host array of row numbers
        target : host array of class numbers (rows,) or of values (rows, n_outputs), for all rows of the data
        weights : (rows,) host array, mean about 1

        Returns
        -------
        float
            mean loss over the epoch.
        """
        b, plan, total = self.backend, self.plan, 0.0
        rate = at_epoch(plan.learning_rate, epoch, "learning_rate_init")
        momentum = at_epoch(plan.momentum, epoch, "momentum")
        target, weights, order = b.array(target[order]), b.array(weights[order]), b.array(order)
        for start in range(0, len(order), plan.batch_size):
            rows, y, weight = (b.part(x, start, start + plan.batch_size) for x in (order, target, weights))
            total += self.gradient(data, rows, y, weight, epoch)
            self.step += 1
            decay = step_hyper(b.dtype, plan.solver, rate, plan.alpha, self.step, momentum)
            no_decay = decay._replace(weight_decay=decay.weight_decay * 0)
            for layer in range(len(self.W)):
                b.step(plan.solver, self.W[layer], self.gW[layer], self.state_W[layer], decay)
                b.step(plan.solver, self.c[layer], self.gc[layer], self.state_c[layer], no_decay)
                if plan.max_norm is not None:
                    b.limit_columns(self.W[layer], plan.max_norm, self.gc[layer])
        return total / len(order)

    def finite(self):
        """Whether all parameters are finite."""
        return bool(np.isfinite(sum(self.backend.norm(x) for x in (*self.W, *self.c))))

    def host(self):
        """Host copies of weights and biases."""
        return [self.backend.to_host(w) for w in self.W], [self.backend.to_host(c) for c in self.c]


def glorot(seed, layer, n_in, n_out, logistic):
    """Initial weights for training from labels alone: uniform within sqrt(6 / (n_in + n_out)), four times that if logistic.

    (Glorot and Bengio 2010, equation 16; the factor for logistic units is theirs.)
    """
    bound = (4.0 if logistic else 1.0) * np.sqrt(6.0 / (n_in + n_out))
    draw = rng.host_generator(seed, 1, rng.stream(rng.INIT, layer))
    return draw.uniform(-bound, bound, (n_in, n_out))
