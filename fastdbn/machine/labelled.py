"""An RBM whose last visible units are labels: one softmax group beside the states of the layer below.

Summing out the hidden units leaves, exactly,

    p(y | v)  proportional to  exp(l_y + sum_j cgf(c_j + (v W)_j + L_yj))

Its Gibbs step draws labels from this distribution, given the new states but not the hidden units. So its blocks are v and (y,
h). If labels are drawn given h, as published, they hardly ever change, because h has seen them.
"""

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine, Chain
from fastdbn.maths import rng
from fastdbn.units import get_unit, visible_unit

LABELS = get_unit("softmax")
"""The unit of the labels: one group."""


class LabelledMachine(BlockMachine):
    """An RBM of states and labels.

    Parameters
    ----------
    backend : Backend
    unit, hidden : Unit
        Of the states and of the hidden units.
    params : Params
        The backend's; the last rows of W and numbers of b belong to the labels.
    n_labels : int
        0 for none: then it is a plain RBM, whose visible states are copied.
    rows : int
        The most rows at once.
    labels : (rows, n_labels) buffer or None
        Labels that are held; None lets them run.
    beta : float
        Inverse temperature of the chains, by which the draws of labels go; `walk` takes it for all else.
    """

    lag = 1

    def __init__(self, backend, unit, hidden, params, n_labels, rows, labels=None, beta=1.0):
        super().__init__(backend, unit, hidden, params)
        n = len(params.b) - n_labels
        self.below = BlockMachine(
            backend, unit, hidden, Params(backend.part(params.W, 0, n), backend.part(params.b, 0, n), params.c)
        )
        self.n_labels, self.labels, self.beta = n_labels, labels, beta
        self.states, self.means = backend.states(unit, rows, n), backend.zeros(rows, n)
        if n_labels:
            self.L, self.bias, self.c = backend.part(params.W, n, None), backend.part(params.b, n, None), params.c
            if beta != 1:
                self.L, self.bias, self.c = (self._cooled(x) for x in (self.L, self.bias, self.c))
                self.betas = backend.constant(np.full(rows, beta))
            self.drawn, self.scores = (backend.zeros(rows, n_labels) for _ in range(2))
            self.field, self.ones = backend.zeros(rows, len(params.c)), backend.array(np.ones((rows, n_labels)))

    def chain(self, v, h, h_mean):
        """The chain of visible states v, which hold states and labels; its draws are of the states alone."""
        return Chain(v, h, self.backend.part(self.means, 0, len(v)), h_mean, self.backend.part(self.states, 0, len(v)))

    @property
    def joint_unit(self):
        """The units of states and labels."""
        n = len(self.params.b) - self.n_labels
        parts = [(unit, slice(start, stop)) for unit, start, stop, _ in self.visible_unit.parts(n)]
        return visible_unit([*parts, (LABELS, slice(n, len(self.params.b)))], len(self.params.b))

    def _cooled(self, x):
        return self.backend.array(self.backend.to_host(x) * self.beta)

    def begin(self, chain, rows, keys, key, states, there):
        """As for `BlockMachine`, but that chains which begin nowhere begin at hidden states."""
        if there:
            self.start_joint(chain, states, rows, keys(rng.INIT, 0))
            return 0
        self.start_hidden(chain.h_mean, chain.h, rows, keys(rng.INIT, 0))
        return 1

    def tempered(self, beta, base):
        params, of_states = self._biased(beta, base), (self.backend, self.below.visible_unit, self.hidden_unit)
        return LabelledMachine(*of_states, params, self.n_labels, len(self.means), self.labels, beta)

    def new_chain(self, n):
        b, (nv, nh) = self.backend, self.shape
        chain = self.chain(b.zeros(n, nv), b.states(self.hidden_unit, n, nh), b.zeros(n, nh))
        if self.labels is not None:
            b.join(chain.v, chain.drawn, self.labels)
        return chain

    def start_joint(self, chain, states, rows, key):
        """Start chains at host states, beside labels that are held or drawn given them."""
        b = self.backend
        b.copy(b.states(self.below.visible_unit, *states.shape, states), chain.drawn)
        b.join(chain.v, chain.drawn, self.draw_labels(chain.drawn, rows, key) if self.labels is None else self.labels)

    def _visible_half(self, chain, rows, key, t, beta, clamp):
        """Draw states, then labels given these."""
        self.below._visible_half(chain, rows, key, t, beta, clamp)
        labels = self.labels
        if self.n_labels and labels is None:
            labels = self.draw_labels(chain.drawn, rows, key(rng.SCORE, t))
        self.backend.join(chain.v, chain.drawn, *(() if labels is None else (labels,)))

    def draw_labels(self, states, rows, key):
        """Labels drawn given states, with the hidden units summed out."""
        b, n = self.backend, len(rows)
        labels, scores, field, ones = (b.part(x, 0, n) for x in (self.drawn, self.scores, self.field, self.ones))
        b.field(states, self.below.params.W, field)
        if self.beta != 1:
            b.scale(field, b.part(self.betas, 0, n))
        b.cgf_shifted(self.hidden_unit, self.c, field, self.L, ones, scores)
        b.activate(LABELS, self.bias, scores, labels, rows, key)
        return labels
