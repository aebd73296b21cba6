"""Trajectory tempering of a fitted RBM: replicas at the frozen machines of its fit, and at the model.

The first of them has no weights, so each of its Gibbs steps draws anew. Exchanges carry these draws up to the model, through
earlier versions of it (training/options/trajectory.py; machine/ladder.py has the odds).
"""

import numpy as np

from fastdbn.machine.ladder import log_ratio
from fastdbn.sampling.exchange import WARM_UP, Exchange, refusal_of_untied


class Trajectory(Exchange):
    """Chains of a machine that knows its trajectory."""

    steps = 100

    def __init__(self, task):
        machine, b, n = task.machine, task.machine.backend, len(task.rows)
        self.machines = [*machine.trajectory, machine]
        super().__init__(task, len(self.machines), 0, len(self.machines) - 1)
        self.chains = [x.new_chain(n) for x in self.machines]
        self.machine, self.chain = machine, self.chains[-1]
        self._buffers = [b.zeros(n, machine.shape[0]) for _ in range(2)]

    @classmethod
    def refusal(cls, machines, layer):
        if not machines[layer].trajectory:
            return "is for RBMs that were trained with trajectory: give 'tempering'"
        return refusal_of_untied(machines[layer : layer + 1])

    def spread(self, states):
        """Take every chain up the ladder, by some Gibbs steps at each machine; a replica stays at each."""
        for i, (machine, chain) in enumerate(zip(self.machines, self.chains, strict=True)):
            if i:
                self.backend.copy(self.chains[i - 1].v, chain.v)
            machine.walk(chain, self.who, self.key_of(i), 0, 2 * WARM_UP)

    def restart(self, states):
        self.machine.begin(self.chain, self.who, self.keys, None, states, True)

    def log_odds(self, lower):
        return np.array([self._step_up(i, i) - self._step_up(i + 1, i) for i in lower])

    def _step_up(self, replica, i):
        """log p_{i + 1}(v) - log p_i(v), but for a constant, of a replica's states."""
        return log_ratio(*self.machines[i : i + 2], self.chains[replica].v)

    def exchange(self, lower, chosen):
        for i, of_pair in zip(lower, chosen, strict=True):
            rows = np.flatnonzero(of_pair)
            self.change_places(self.chains[i].v, self.chains[i + 1].v, self._buffers, rows, rows)

    def move(self, i, t, partner):
        first = 2 * (WARM_UP + t)
        self.machines[i].walk(self.chains[i], self.who, self.key_of(i), first, first + 2)
