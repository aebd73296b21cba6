"""Up-down: contrastive wake-sleep learning of a whole network (Hinton, Osindero, Teh 2006, appendix B).

Below the top RBM recognition weights R (upwards) and generative weights G (downwards) part; each is a regression of its own.

    up     h_l ~ q(h_l | h_{l-1}) by R;  t ~ p(t | h_L, y) of the top RBM, which may see labels y beside the last states h_L
    top    k Gibbs steps from there:  n ~ p(h_L | t),  z ~ p(y | n),  t' ~ p(t | n, z)
    down   s_L = n;  s_{l-1} ~ p(s_{l-1} | s_l) by G, down to visible means
    wake   G += rate grad log p(h_{l-1} | h_l)                                      (all gradients before any step)
    top    P += top rate ((h_L, y)' E[t | h_L, y] - (n, z)' E[t' | n, z])
    sleep  R += rate grad log q(s_l | s_{l-1})

The chain begins at the states of the data, as in CD, so that the modes near them are learnt and not an average over all. With no
layer under the top RBM this is CD-k of an RBM with labels, which is how that is trained before. Statistics of the top take means
of t, as those of cd.py do. Labels are drawn with t summed out, in a Gibbs sampler whose blocks are h_L and (y, t). Where they are
drawn given t, as published, they hardly ever change, because t has seen them. CD-1 then learns little about which label is right:
on MNIST the error is 0.1 to 0.2 points higher after as many epochs.

A row without a label adds log p(x) to the objective, not log p(x, y): its label is one more hidden unit. The gradient averages
the positive phase over p(y | h_L), so a draw from this exact posterior takes the label's place (Larochelle and Bengio 2008).
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Hyper, Params, Phase
from fastdbn.machine.labelled import LabelledMachine
from fastdbn.maths import rng
from fastdbn.maths.optim import at_epoch, step_hyper, steps_at_epoch
from fastdbn.training.backprop import layer_weights
from fastdbn.training.order import order_of_epoch
from fastdbn.training.training import DivergenceError, Training, host
from fastdbn.units import get_unit

LINEAR = get_unit("gaussian")
"""The unit whose means are fields and biases."""
_APART = 1 << 18
"""Gibbs numbers of this noise, apart from those of pretraining with the same seed."""


class Directed(NamedTuple):
    """A conditional distribution of one layer given another: W (n_in, n_out), bias (n_out,)."""

    W: Any
    bias: Any


class Untied(NamedTuple):
    """Where training stands, as host arrays: recognition and generative weights from below, the top RBM and its velocity.

    The top's visible units are the last hidden ones under it, then the labels. epoch and step count epochs and minibatches.
    """

    recognition: list[Directed]
    generative: list[Directed]
    top: Params
    velocity: Params
    epoch: int
    step: int


class Schedule(NamedTuple):
    """The numbers of a run, checked; all but batch_size and n_iter may be schedules. momentum is the top's alone."""

    learning_rate: Any
    top_learning_rate: Any
    momentum: Any
    weight_decay: Any
    k: Any
    batch_size: int
    n_iter: int


class UpDown(Training):
    """A run of up-down; with no layer under the top one of CD-k of an RBM with labels.

    Parameters
    ----------
    backend : Backend
    units : list of Unit
        of all levels: visible, hidden ones, the top's hidden one.
    data : the backend's data
    n_rows : int
    labels : (n_rows, n_labels) host array of one-hot rows, or None
        A row of zeros has no label: one is drawn in each minibatch.
    schedule : Schedule
    seed, layer : int
        of the noise; `layer` is the top's number in its stack.
    state : Untied
    weights : (n_rows,) host array or None
        Weights of the rows in all gradients and losses; their mean is about 1.
    score : callable of Untied or None
        It gives the measures of rows that are not trained on, a dict.
    """

    def __init__(self, backend, units, data, n_rows, labels, schedule, seed, layer, state, weights=None, score=None):
        super().__init__(backend, state.epoch)
        self.units, self.data, self.n_rows, self.labels, self.schedule = units, data, n_rows, labels, schedule
        self.seed, self.layer, self.step, self.depth = seed, layer, state.step, len(state.recognition)
        missing = np.empty(0) if labels is None else ~labels.any(axis=1, keepdims=True)
        self.score = score
        self.weights, self.missing = weights, missing.astype(backend.dtype) if missing.any() else None
        self.title = "up-down" if self.depth else f"layer {layer + 1} with labels"
        ways = state.recognition, state.generative
        self.recognition, self.generative = ([layer_weights(backend, "sgd", *d) for d in way] for way in ways)
        self.top, self.velocity = (Params(*(backend.array(x) for x in p)) for p in (state.top, state.velocity))
        n_labels, rows, (nv, nh) = 0 if labels is None else labels.shape[1], min(schedule.batch_size, n_rows), state.top.W.shape
        sizes = [*(len(d.bias) for d in state.generative), nv - n_labels]
        self.wake = [backend.states(u, rows, n) for u, n in zip(units, sizes, strict=False)]
        self.means = [backend.zeros(rows, n) for n in sizes]
        self.asleep = [backend.states(units[i], rows, sizes[i]) if i else self.means[0] for i in range(self.depth)]
        self.wake_delta = [backend.zeros(rows, n) for n in sizes[:-1]]
        self.sleep_delta = [backend.zeros(rows, n) for n in sizes[1:]]
        self.labelled = LabelledMachine(backend, *units[self.depth :], self.top, n_labels, rows)
        self.positive = Phase(backend.zeros(rows, nv), backend.zeros(rows, nh), None)
        self.negative = Phase(backend.zeros(rows, nv), backend.zeros(rows, nh), None)
        self.chain = backend.states(units[-1], rows, nh)
        self.ones = backend.array(np.ones(rows))

    # ---- epochs

    def epoch(self):
        epoch = self.epochs
        order = order_of_epoch(self.seed, 64 + self.layer if self.depth else self.layer, epoch, self.n_rows)
        names = "learning_rate", "top_learning_rate", "momentum", "weight_decay"
        self.rate, *of_top = (at_epoch(getattr(self.schedule, name), epoch, name) for name in names)
        self.hyper = Hyper(*of_top)
        directed = step_hyper(self.backend.dtype, "sgd", self.rate, self.hyper.weight_decay, 1, 0.0)
        k, losses = steps_at_epoch(self.schedule.k, epoch, "k"), [0.0, 0.0]
        for *minibatch, missing in self.minibatches(order, len(self.ones), self.labels, self.weights, self.missing):
            more = self.minibatch(*minibatch, k, self.hyper, directed, missing)
            losses = [total + loss for total, loss in zip(losses, more, strict=True)]
        self.losses = [total / self.n_rows for total in losses]
        self.epochs += 1

    def check(self):
        arrays = [*self.top, *(x for w in (*self.recognition, *self.generative) for x in (w.W, w.bias))]
        if not np.isfinite(sum(self.backend.norm(x) for x in arrays)):
            raise DivergenceError(
                f"up-down diverged in epoch {self.epochs}: parameters are no longer finite. Use a smaller learning_rate (it was "
                f"{self.rate:g}, and {self.hyper.learning_rate:g} for the top)"
            )

    def measure(self):
        """``wake_loss`` and ``sleep_loss``, the means over rows of -log p(h_{l-1} | h_l) and -log q(s_l | s_{l-1}) summed over
        layers, and ``update_ratio`` of the top."""
        norm, (wake, sleep) = self.backend.norm, self.losses
        ratio = norm(self.velocity.W) / max(norm(self.top.W), 1e-30)
        metrics = {"wake_loss": float(wake), "sleep_loss": float(sleep), "update_ratio": ratio}
        return metrics if self.score is None else metrics | self.score(self.state())

    def words(self, metrics):
        losses = f"wake loss {metrics['wake_loss']:.3f}, sleep loss {metrics['sleep_loss']:.3f}, " if self.depth else ""
        return f"{losses}|dW|/|W| {metrics['update_ratio']:.1e}, {metrics['seconds']:.2f} s"

    def state(self):
        get = self.backend.to_host
        recognition, generative = ([Directed(get(w.W), get(w.bias)) for w in ws] for ws in (self.recognition, self.generative))
        top, velocity = (host(self.backend, p) for p in (self.top, self.velocity))
        return Untied(recognition, generative, top, velocity, self.epochs, self.step)

    # ---- minibatches

    def _key(self, purpose, level, gibbs=0):
        return rng.key(self.seed, self.step, rng.stream(purpose, self.layer - self.depth + level, _APART + gibbs))

    def minibatch(self, rows, labels, weights, k, hyper, directed_hyper, missing=None):
        """One step of all weights.

        Parameters
        ----------
        rows : (n,) row numbers, the backend's
        labels : (n, n_labels) one-hot rows, the backend's, or None
            Where labels are missing, those that are drawn are written into it.
        weights : (n,) the rows', the backend's, or None
        k : int
            Gibbs steps of the top.
        hyper : Hyper
            of the top.
        directed_hyper : StepHyper
            of all other weights.
        missing : (n, 1) buffer or None
            1 where a row has no label.

        Returns
        -------
        (float, float)
            the weighted sums over rows and layers of -log p(h_{l-1} | h_l) at wake, of -log q(s_l | s_{l-1}) at sleep.
        """
        b, n = self.backend, len(rows)
        positive, negative = (Phase(b.part(s.v, 0, n), b.part(s.h, 0, n), weights) for s in (self.positive, self.negative))
        key = rng.key(self.seed, self.epochs, rng.stream(rng.DATA, self.layer - self.depth))
        b.load_rows(self.data, rows, key, b.part(self.wake[0], 0, n))
        wake = self._up(rows)
        if missing is not None:
            b.assign_where(labels, missing, self.labelled.draw_labels(wake[-1], rows, self._key(rng.INIT, self.depth)))
        b.join(positive.v, wake[-1], *(() if labels is None else (labels,)))
        asleep = self._down(self._gibbs(positive, negative, rows, k), rows)
        weight = b.part(self.ones, 0, n) if weights is None else weights
        down = zip(self.generative, wake[1:], self.units, wake, self.wake_delta, strict=False)
        up = zip(self.recognition, asleep, self.units[1:], asleep[1:], self.sleep_delta, strict=False)
        (wake_loss, steps), (sleep_loss, more) = (self._regress(layers, weight) for layers in (down, up))
        for layer, given, delta in (*steps, *more):
            b.backward_and_step("sgd", directed_hyper, given, delta, layer)
        if weights is not None:
            for phase in (positive, negative):
                b.scale(phase.h, weights)
        b.update(self.top, self.velocity, positive, negative, (1.0 / n, 1.0 / n), hyper)
        self.step += 1
        return wake_loss, sleep_loss

    def _up(self, rows):
        """Wake states of all levels under the top, drawn from the data in the lowest."""
        b = self.backend
        wake = [b.part(x, 0, len(rows)) for x in self.wake]
        for level, R in enumerate(self.recognition):
            mean, key = b.part(self.means[level + 1], 0, len(rows)), self._key(rng.HIDDEN, level)
            b.conditional(self.units[level + 1], wake[level], R.W, R.bias, mean, wake[level + 1], rows, key)
        return wake

    def _gibbs(self, positive, negative, rows, k):
        """Both phases of the top's gradient, from the visible states in `positive`; returns the last states under the top."""
        hidden = self.backend.part(self.chain, 0, len(rows))
        self.labelled.hidden_given(positive.v, positive.h, hidden, rows, self._key(rng.HIDDEN, self.depth))
        chain = self.labelled.chain(negative.v, hidden, negative.h)
        self.labelled.walk(chain, rows, lambda purpose, t: self._key(purpose, self.depth, t), 1, 2 * k + 1, ends_in_mean=True)
        return chain.drawn

    def _down(self, states, rows):
        """Sleep states of all levels under the top, from those of the last; of the visible units their means."""
        b = self.backend
        asleep = [*(b.part(x, 0, len(rows)) for x in self.asleep), states]
        for level in range(self.depth - 1, -1, -1):
            G, mean = self.generative[level], b.part(self.means[level], 0, len(rows))
            drawn = (asleep[level], rows, self._key(rng.VISIBLE, level)) if level else ()
            b.conditional(self.units[level], asleep[level + 1], G.W, G.bias, mean, *drawn)
        return asleep

    def _regress(self, layers, weight):
        """-log p(target | given) of rows, summed by their weights, and (layer, given, delta) for the step of each layer."""
        b, n, loss, steps = self.backend, len(weight), 0.0, []
        for layer, given, unit, target, delta in layers:
            delta = b.part(delta, 0, n)
            b.conditional(LINEAR, given, layer.W, layer.bias, delta)
            loss += b.loss(unit, delta, target, weight, 1.0 / n, delta)
            steps.append((layer, given, delta))
        return loss, steps
