"""Parallel tempering of a fitted RBM: replicas at inverse temperatures between a base without weights and the model.

    p_beta(v) proportional to exp(v.((1 - beta) a + beta b) - sum base(v) + sum_j cgf(beta (c_j + (v W)_j)))

as in annealed importance sampling: beta = 1 is the model, and at 0 units are independent with biases a. Close to 0 every Gibbs
step draws anew, and exchanges carry these draws up to the model (Swendsen and Wang 1986; Desjardins et al. 2010). Hidden units
are summed out of the odds of an exchange.
"""

import numpy as np

from fastdbn.backends.replicas import Replicas
from fastdbn.machine.block import Chain
from fastdbn.sampling.exchange import WARM_UP, Exchange, refusal_of_untied


class Tempering(Exchange):
    """Chains of a machine at the inverse temperatures of a ladder. A machine with labels may hold them or let them run."""

    steps = 100

    def __init__(self, task):
        ladder, n, machine = task.ladder(), len(task.rows), task.machine
        betas, base, b = ladder.betas, ladder.base, machine.backend
        super().__init__(task, [machine.tempered(beta, base) for beta in betas], 0, len(betas) - 1)
        of_all, widths = len(betas) * n, machine.shape
        self._v, self._mean = b.states(machine.joint_unit, of_all, len(base)), b.zeros(of_all, widths[0])
        self._h, self._field = b.states(machine.hidden_unit, of_all, widths[1]), b.zeros(of_all, widths[1])
        self.chains = [self._part_of_all(i, chain) for i, chain in enumerate(self.chains)]
        self.chain = self.chains[-1]
        self.betas, self.at = betas, [b.constant(np.full(n, beta)) for beta in betas]
        self._toward = b.constant(b.to_host(machine.params.b).astype(np.float64) - base)
        self._buffers = [b.zeros(len(betas) // 2 * 2 * n, width) for width in (len(base), machine.shape[1])]
        self._pairs, self._replicas = [self._betas_of_pairs(first) for first in (0, 1)], None
        if self.chain.drawn is None:  # without labels
            (W, _, c), bias = machine.params, [x.params.b for x in self.machines]
            of_all = self._v, self._mean, self._h, self._field, self.who, self.keys
            units = machine.visible_unit, machine.hidden_unit
            self._replicas = Replicas(*units, W, c, bias, betas, self.at, self._toward, *of_all)

    def _part_of_all(self, i, chain):
        """The chain of a replica, with its visible states and hidden fields in the buffers of all replicas."""
        start, stop = i * len(self.rows), (i + 1) * len(self.rows)
        v, mean, h, field = (self.backend.part(x, start, stop) for x in (self._v, self._mean, self._h, self._field))
        self.backend.copy(chain.v, v)
        return Chain(v, h, mean if chain.drawn is None else chain.v_mean, field, chain.drawn)

    def _betas_of_pairs(self, first):
        """Inverse temperatures of the upper and the lower replica of its pair, for each row of all replicas in pairs."""
        lower, n = np.arange(first, self.n_replicas - 1, 2), len(self.rows)
        return [self.backend.constant(np.repeat(self.betas[lower + up], 2 * n)) for up in (1, 0)]

    @classmethod
    def refusal(cls, machines, layer):
        machine = machines[layer]
        if machine.visible_unit.keeps_total:
            return "is not for visible units that count, which have no base of one law: give 'gibbs'"
        return refusal_of_untied(machines[layer : layer + 1])

    def run(self, first, last):
        for start in range(first, last, self.ahead):
            sweeps = range(start, min(start + self.ahead, last))
            if self._replicas is None or not self._in_one_call(sweeps):
                super().run(sweeps.start, sweeps.stop)

    def _in_one_call(self, sweeps):
        """Sweeps by the backend's compiled call; False where it has none for them."""
        logs = [self.log_uniforms(t) for t in sweeps]
        steps = ((np.arange(sweeps.start, sweeps.stop) + WARM_UP) * self.n_replicas).astype(np.uint32)
        odds = self.backend.tempered_sweeps(self._replicas, sweeps.start, steps, np.concatenate(logs))
        if odds is None:
            return False
        for t, of_sweep in zip(sweeps, logs, strict=True):
            here, odds = odds[: len(of_sweep)], odds[len(of_sweep) :]
            if len(here):
                self.note(self.lower(t), here, of_sweep)
        return True

    def log_odds(self, lower):
        """By log p_{i + 1}(v) - log p_i(v), but for a constant, of the states of both. Their fields stay in the chains."""
        b, (W, _, c), n = self.backend, self.machine.params, len(self.rows)
        start, stop = lower[0] * n, (lower[-1] + 2) * n
        v, field = b.part(self._v, start, stop), b.part(self._field, start, stop)
        step_up, part = np.empty(len(v)), np.empty(len(v))
        b.field(v, W, field)
        b.dot(v, self._toward, step_up)
        step_up *= np.repeat(self.betas[lower + 1] - self.betas[lower], 2 * n)
        for at, sign in zip(self._pairs[lower[0] % 2], (1, -1), strict=True):
            b.cgf(self.machine.hidden_unit, c, field, part, at)
            step_up += sign * part
        below, above = step_up.reshape(-1, 2, n).transpose(1, 0, 2)
        return below - above

    def exchange(self, lower, chosen):
        b, n = self.backend, len(self.rows)
        pair, row = np.nonzero(chosen)
        below = (lower[pair] * n + row).astype(np.uint32)
        from_, to = (b.array(np.concatenate(x)) for x in ((below, below + np.uint32(n)), (below + np.uint32(n), below)))
        for x, buffer in zip((self._v, self._field), self._buffers, strict=True):
            moved = b.part(buffer, 0, len(from_))
            b.copy(x, moved, rows=from_)
            b.copy(moved, x, places=to)

    def move(self, i, t, partner):
        """A Gibbs step; after an exchange the fields are there already."""
        self.walk(i, 2 * (WARM_UP + t), 2 * (WARM_UP + t) + 2, has_field=partner is not None)
