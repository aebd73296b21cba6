"""Parallel tempering of a fitted RBM: replicas at inverse temperatures between a base without weights and the model.

    p_beta(v) proportional to exp(v.((1 - beta) a + beta b) - sum base(v) + sum_j cgf(beta (c_j + (v W)_j)))

as in annealed importance sampling: beta = 1 is the model, and at 0 units are independent with biases a. Close to 0 every Gibbs
step draws anew, and exchanges carry these draws up to the model (Swendsen and Wang 1986; Desjardins et al. 2010). Hidden units
are summed out of the odds of an exchange.
"""

import numpy as np

from fastdbn.sampling.exchange import WARM_UP, Exchange, refusal_of_untied


class Tempering(Exchange):
    """Chains of a machine at the inverse temperatures of a ladder. A machine with labels may hold them or let them run."""

    steps = 100

    def __init__(self, task):
        ladder, n, machine = task.ladder(), len(task.rows), task.machine
        betas, base, b = ladder.betas, ladder.base, machine.backend
        super().__init__(task, len(betas), 0, len(betas) - 1)
        self.machines = [machine.tempered(beta, base) for beta in betas]
        self.chains = [x.new_chain(n) for x in self.machines]
        self.machine, self.chain = self.machines[-1], self.chains[-1]
        self.betas, self._at = betas, [b.constant(np.full(n, beta)) for beta in betas]
        self._toward = b.constant(b.to_host(machine.params.b).astype(np.float64) - base)
        self._buffers = [[b.zeros(n, width) for _ in range(2)] for width in (len(base), machine.shape[1])]
        self._part = np.empty(n)

    @classmethod
    def refusal(cls, machines, layer):
        machine = machines[layer]
        if machine.visible_unit.keeps_total:
            return "is not for visible units that count, which have no base of one law: give 'gibbs'"
        return refusal_of_untied(machines[layer : layer + 1])

    def spread(self, states):
        """Anneal every chain from the base up the ladder, by some Gibbs steps at each rung; a replica stays at each."""
        for i, (machine, chain) in enumerate(zip(self.machines, self.chains, strict=True)):
            if i:
                self.backend.copy(self.chains[i - 1].v, chain.v)
            machine.walk(chain, self.who, self.key_of(i), 0, 2 * WARM_UP, beta=self._at[i])

    def restart(self, states):
        self.machine.begin(self.chain, self.who, self.keys, None, states, True)

    def log_odds(self, i):
        below, above = (self._step_up(x, i) for x in (i, i + 1))
        return below - above

    def _step_up(self, replica, i):
        """log p_{i + 1}(v) - log p_i(v), but for a constant, of a replica's states; their fields stay in its h_mean."""
        b, out, part, chain = self.backend, np.empty(len(self.rows)), self._part, self.chains[replica]
        W, _, c = self.machine.params
        b.field(chain.v, W, chain.h_mean)
        b.dot(chain.v, self._toward, out)
        out *= self.betas[i + 1] - self.betas[i]
        for at, sign in ((self._at[i + 1], 1), (self._at[i], -1)):
            b.cgf(self.machine.hidden_unit, c, chain.h_mean, part, at)
            out += sign * part
        return out

    def pairs(self, i):
        x, y = self.chains[i], self.chains[i + 1]
        return (x.v, y.v, *self._buffers[0]), (x.h_mean, y.h_mean, *self._buffers[1])

    def move(self, i, t, partner):
        """A Gibbs step; after an exchange the fields are there already."""
        first, has_field = 2 * (WARM_UP + t), partner is not None
        self.machines[i].walk(self.chains[i], self.who, self.key_of(i), first, first + 2, beta=self._at[i], has_field=has_field)
