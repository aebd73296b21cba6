"""Stacked tempering: the layers of a network exchange states (Fernandez-de-Cossio-Diaz, Roussel, Cocco, Monasson 2024).

Layer l has a chain (v_l, h_l) of its own RBM. The hidden units of a layer are the visible ones of the next, so h_l and
v_{l + 1} may change places. With v_l and h_{l + 1} summed out, the odds of the exchange of x = h_l and y = v_{l + 1} are

    p_l(y) p_{l + 1}(x) / (p_l(x) p_{l + 1}(y)) = exp(G(x) - G(y))
    G(h) = (b_{l + 1} - c_l).h + sum_k cgf(c_k + (h W_{l + 1})_k) - sum_i cgf(b_i + (W_l h)_i)

Both sides that were summed out are drawn anew after it. So every chain keeps the distribution of its own RBM. Upper layers are
small and mix fast, and bring new modes to the lower ones. A top of few hidden units draws these anew in each step, by their exact
distribution, so it has no modes that it cannot leave.
"""

import numpy as np

from fastdbn.machine.enumeration import count_bits, states_of
from fastdbn.maths import rng
from fastdbn.sampling.exchange import WARM_UP, Exchange, refusal_of_untied

BITS = 10
"""The top draws its hidden units anew if they have at most 2^10 states."""


class Stacked(Exchange):
    """Chains of the RBMs of a stack, all of them, whichever's draws are wanted."""

    steps = 1000

    def __init__(self, task):
        machines, b, n, m = task.machines, task.machine.backend, len(task.rows), len(task.machines)
        super().__init__(task, m, 0 if task.layer == m - 1 else m - 1, task.layer)
        self.machines, self.layer, self.chains = machines, task.layer, [x.new_chain(n) for x in machines]
        self.machine, self.chain = machines[task.layer], self.chains[task.layer]
        tops = zip(machines[1:], machines[:-1], strict=True)
        self._toward = [b.constant(b.to_host(above.params.b) - b.to_host(below.params.c)) for above, below in tops]
        self._fields = [[b.zeros(n, width) for width in (below.shape[0], above.shape[1])] for below, above in self._neighbours()]
        self._buffers = [[b.zeros(n, below.shape[1]) for _ in range(2)] for below, _ in self._neighbours()]
        self._part = np.empty(n)
        self._top = _Top.of(machines[-1])

    def _neighbours(self):
        return zip(self.machines[:-1], self.machines[1:], strict=True)

    @classmethod
    def refusal(cls, machines, layer):
        if len(machines) < 2:
            return "is for networks of two layers or more: give 'tempering'"
        if machines[0].visible_unit.keeps_total:
            return "is not for visible units that count: give 'gibbs'"
        if hasattr(machines[-1], "n_labels"):
            return "is not for networks with labels: give 'tempering'"
        return refusal_of_untied(machines)

    def spread(self, states):
        """Gibbs steps of the top, from nothing, then draws of the layers below from those above them."""
        for i in reversed(range(self.n_replicas)):
            top = i + 1 == self.n_replicas
            if not top:
                self.backend.copy(self.chains[i + 1].v, self.chains[i].h)
            self._walk(i, 0 if top else 1, 2 * WARM_UP if top else 3)

    def restart(self, states):
        self.machine.begin(self.chain, self.who, self.keys, None, states, True)
        self.machine.walk(self.chain, self.who, self.key_of(self.layer), 2 * WARM_UP, 2 * WARM_UP + 1)

    def log_odds(self, lower):
        return np.array([self._difference(self.chains[i].h, i) - self._difference(self.chains[i + 1].v, i) for i in lower])

    def exchange(self, lower, chosen):
        for i, of_pair in zip(lower, chosen, strict=True):
            rows = np.flatnonzero(of_pair)
            self.change_places(self.chains[i].h, self.chains[i + 1].v, self._buffers[i], rows, rows)

    def _difference(self, h, i):
        """G of states between layers i and i + 1."""
        (below, above), b, out, part = self.machines[i : i + 2], self.backend, np.empty(len(h)), self._part
        down, up = self._fields[i]
        b.dot(h, self._toward[i], out)
        b.field(h, above.params.W, up)
        b.cgf(above.hidden_unit, above.params.c, up, part)
        out += part
        b.field(h, below.params.W, down, True)
        b.cgf(below.visible_unit, below.params.b, down, part)
        return out - part

    def move(self, i, t, partner):
        """A Gibbs step. It begins at the units that were exchanged: hidden ones with the layer above, else visible ones."""
        first = 4 * (WARM_UP + t) + (partner == i + 1)
        self._walk(i, first, first + 2)

    def _walk(self, i, first, last):
        machine, chain, key = self.machines[i], self.chains[i], self.key_of(i)
        if self._top is not None and i + 1 == self.n_replicas:
            self._top.draw(chain.h, self.rows, key(rng.HIDDEN, last // 2 - 1))
            first = last - 1
        machine.walk(chain, self.who, key, first, last)


class _Top:
    """Exact draws of a machine's hidden units, which have few states.

    log p(h) = c.h - base(h) + sum_i cgf(b_i + (W h)_i), but for a constant.
    """

    @classmethod
    def of(cls, machine):
        """None for a machine of too many states."""
        bits = count_bits(machine.hidden_unit, machine.shape[1])
        return cls(machine, round(2**bits)) if bits <= BITS else None

    def __init__(self, machine, n_states):
        b, (W, bias, c), (nv, nh) = machine.backend, machine.params, machine.shape
        values = states_of(machine.hidden_unit, nh, 0, n_states)
        self.backend, self.states = b, b.states(machine.hidden_unit, *values.shape, values)
        log_p, part, field = np.empty(len(values)), np.empty(len(values)), b.zeros(len(values), nv)
        b.field(self.states, W, field, True)
        b.cgf(machine.visible_unit, bias, field, log_p)
        b.dot(self.states, c, part)
        log_p += part
        b.base(machine.hidden_unit, self.states, part)
        log_p -= part
        self.cumulative = np.cumsum(np.exp(log_p - log_p.max()))

    def draw(self, out, rows, key):
        """Hidden states of the chains of some numbers, by a uniform each."""
        where = rng.row_uniforms(rows, key) * self.cumulative[-1]
        chosen = np.searchsorted(self.cumulative[:-1], where, side="right")
        self.backend.copy(self.states, out, rows=self.backend.array(chosen.astype(np.uint32)))
