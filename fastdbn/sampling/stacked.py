"""Stacked tempering: the layers of a network exchange states (Fernandez-de-Cossio-Diaz, Roussel, Cocco, Monasson 2024).

Layer l has a chain (v_l, h_l) of its own RBM. The hidden units of a layer are the visible ones of the next, so h_l and
v_{l + 1} may change places. With v_l and h_{l + 1} summed out, the odds of the exchange of x = h_l and y = v_{l + 1} are

    p_l(y) p_{l + 1}(x) / (p_l(x) p_{l + 1}(y)) = exp(G(x) - G(y))
    G(h) = (b_{l + 1} - c_l).h + sum_k cgf(c_k + (h W_{l + 1})_k) - sum_i cgf(b_i + (W_l h)_i)

Both sides that were summed out are drawn anew after it. So every chain keeps the distribution of its own RBM. Upper layers are
small and mix fast, and bring new modes to the lower ones. A top of few hidden units draws these anew in each step, by their exact
distribution, so it has no modes that it cannot leave.
"""

import itertools

import numpy as np

from fastdbn.machine.enumeration import count_bits, hidden_law
from fastdbn.maths import rng
from fastdbn.sampling.exchange import WARM_UP, ByPairs, refusal_of_untied

BITS = 10
"""The top draws its hidden units anew if they have at most 2^10 states."""


class Stacked(ByPairs):
    """Chains of the RBMs of a stack, all of them, whichever's draws are wanted."""

    steps = 1000

    def __init__(self, task):
        machines, b, n, top = task.machines, task.machine.backend, len(task.rows), len(task.machines) - 1
        super().__init__(task, machines, 0 if task.layer == top else top, task.layer, [x.shape[1] for x in machines[:-1]])
        pairs = [*itertools.pairwise(machines)]
        self._toward = [b.constant(b.to_host(above.params.b) - b.to_host(below.params.c)) for below, above in pairs]
        self._fields = [[b.zeros(n, width) for width in (below.shape[0], above.shape[1])] for below, above in pairs]
        self._part, self._top = np.empty(n), None
        if count_bits(machines[top].hidden_unit, machines[top].shape[1]) <= BITS:
            states, logs = hidden_law(machines[top])
            self._top = states, np.cumsum(np.exp(logs - logs.max()))

    @classmethod
    def refusal(cls, machines, layer):
        if len(machines) < 2:
            return "is for networks of two layers or more: give 'tempering'"
        if machines[0].visible_unit.keeps_total:
            return "is not for visible units that count: give 'gibbs'"
        if hasattr(machines[-1], "n_labels"):
            return "is not for networks with labels: give 'tempering'"
        return refusal_of_untied(machines)

    def spread(self):
        """Gibbs steps of the top, from nothing, then draws of the layers below from those above them."""
        for i in reversed(range(self.n_replicas)):
            top = i + 1 == self.n_replicas
            if not top:
                self.backend.copy(self.chains[i + 1].v, self.chains[i].h)
            self.walk(i, 0 if top else 1, 2 * WARM_UP if top else 3)

    def restart(self, states):
        super().restart(states)
        self.machine.walk(self.chain, self.who, self.key_of(self._near), 2 * WARM_UP, 2 * WARM_UP + 1)

    def facing(self, i):
        return self.chains[i].h, self.chains[i + 1].v

    def log_ratio(self, i, x):
        """G of states between layers i and i + 1."""
        (below, above), b, out, part = self.machines[i : i + 2], self.backend, np.empty(len(x)), self._part
        down, up = self._fields[i]
        b.dot(x, self._toward[i], out)
        b.field(x, above.params.W, up)
        b.cgf(above.hidden_unit, above.params.c, up, part)
        out += part
        b.field(x, below.params.W, down, True)
        b.cgf(below.visible_unit, below.params.b, down, part)
        return out - part

    def move(self, i, t, partner):
        """A Gibbs step. It begins at the units that were exchanged: hidden ones with the layer above, else visible ones."""
        first = 4 * (WARM_UP + t) + (partner == i + 1)
        self.walk(i, first, first + 2)

    def walk(self, i, first, last, has_field=False):
        if self._top is not None and i + 1 == self.n_replicas:
            states, shares = self._top
            where = rng.row_uniforms(self.rows, self.key_of(i)(rng.HIDDEN, last // 2 - 1)) * shares[-1]
            chosen = np.searchsorted(shares[:-1], where, side="right").astype(np.uint32)
            self.backend.copy(states, self.chains[i].h, rows=self.backend.array(chosen))
            first = last - 1
        super().walk(i, first, last, has_field)
