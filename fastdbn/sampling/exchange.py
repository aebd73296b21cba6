"""Replica exchange: chains of several distributions side by side, of which neighbours exchange their states.

Replicas x and y of neighbours p and q change places with probability min(1, p(y) q(x) / (p(x) q(y))), which leaves p and q as
they are. Proposals alternate between even and odd pairs, so that a state that moves goes on in its direction (Okabe, Kawata,
Okamoto, Mikami 2001). It then crosses many replicas in a time that is linear in their number, not quadratic (Syed,
Bouchard-Côté, Deligiannidis, Doucet 2021).
"""

import abc

import numpy as np

from fastdbn.maths import rng
from fastdbn.sampling.sampler import Sampler

WARM_UP = 5
"""Gibbs steps of each replica before the first exchange."""
AT_ONCE = 1 << 14
"""Uniforms that one call makes, for some sweeps ahead. A call by itself costs as much as 3,000 of them."""


def refusal_of_untied(machines):
    """Why machines cannot exchange states, because one has two sets of weights; None if none has."""
    if any(machine.down is not machine.params.W for machine in machines):
        return "is not for layers whose weights were untied by up_down, because they are no RBM any more: give 'gibbs'"
    return None


class Exchange(Sampler):
    """Replicas of each of some chains.

    Parameters
    ----------
    task : Task
    machines : list of BlockMachine
        Those of the replicas, on one backend.
    far, near : int
        The replica that moves freely, and the one whose draws are wanted.

    Attributes
    ----------
    chains : list of Chain
        Those of the replicas.
    accepted, proposed : (n_replicas - 1,) arrays
        Sums of the probabilities of exchanges between neighbours, and their number.
    trips : int
        States that came to `near` from `far`, over all chains.
    ahead : int
        Sweeps whose uniforms are made together.
    """

    def __init__(self, task, machines, far, near):
        n_replicas, n = len(machines), len(task.rows)
        self.backend, self.rows, self.keys, self.n_replicas = machines[0].backend, task.rows, task.keys, n_replicas
        self.machines, self.chains = machines, [machine.new_chain(n) for machine in machines]
        self.machine, self.chain = machines[near], self.chains[near]
        self.who, self.at = self.backend.array(task.rows), [None] * n_replicas
        self.accepted, self.proposed, self.trips = np.zeros(n_replicas - 1), np.zeros(n_replicas - 1), 0
        self._far, self._near = far, near
        self._came = np.zeros((n_replicas, n), bool)
        self._came[far] = True
        self.ahead, self._ahead = max(1, AT_ONCE // (n_replicas * n)), {}

    def start(self, states, there):
        self.spread()
        if there:
            self.restart(states)

    def run(self, first, last):
        for t in range(first, last):
            self._sweep(t)

    def note(self, lower, log_odds, logs):
        """Count what the exchanges of pairs came to."""
        self.accepted[lower] += np.exp(np.minimum(log_odds, 0)).sum(axis=1)
        self.proposed[lower] += len(self.rows)
        self._follow(lower, logs < log_odds)

    def _sweep(self, t):
        """Propose exchanges between every other pair of neighbours, then move all replicas; t counts sweeps."""
        lower = self.lower(t)
        if len(lower):
            log_odds, logs = self.log_odds(lower), self.log_uniforms(t)
            self.exchange(lower, logs < log_odds)
            self.note(lower, log_odds, logs)
        for i in range(self.n_replicas):
            self.move(i, t, i + 1 if i in lower else i - 1 if i - 1 in lower else None)

    def lower(self, t):
        """The lower replicas of the pairs of sweep t."""
        return np.arange(t % 2, self.n_replicas - 1, 2)

    def log_uniforms(self, t):
        """The logarithm of a uniform for each proposal of sweep t, (pairs, B)."""
        if t not in self._ahead:
            n, sweeps = len(self.rows), range(t, t + self.ahead)
            steps = [sweep * self.n_replicas + self.lower(sweep) for sweep in sweeps]
            of_all = np.concatenate(steps).astype(np.uint32)
            key = self.keys(rng.SWAP, 0)._replace(step=np.repeat(of_all, n))
            logs = np.log1p(-rng.row_uniforms(np.tile(self.rows, len(of_all)), key)).reshape(-1, n)
            self._ahead = dict(zip(sweeps, np.split(logs, np.cumsum([len(x) for x in steps])), strict=False))
        return self._ahead[t]

    def _follow(self, lower, chosen):
        """Count the states that come to the replica whose draws are wanted from the one that moves freely."""
        came = self._came
        came[lower], came[lower + 1] = np.where(chosen, (came[lower + 1], came[lower]), (came[lower], came[lower + 1]))
        came[self._far] = True
        self.trips += int(came[self._near].sum())
        came[self._near] = False

    def spread(self):
        """Take every chain from one replica to the next, by some Gibbs steps at each; a replica stays at each."""
        for i, chain in enumerate(self.chains):
            if i:
                self.backend.copy(self.chains[i - 1].v, chain.v)
            self.walk(i, 0, 2 * WARM_UP)

    def restart(self, states):
        """Set the replica whose draws are wanted to host states of its visible units."""
        self.machine.begin(self.chain, self.who, self.keys, None, states, True)

    def move(self, i, t, partner):
        """Gibbs steps of a replica, after its exchange in sweep t with a partner, or without one (None)."""
        self.walk(i, 2 * (WARM_UP + t), 2 * (WARM_UP + t) + 2)

    def walk(self, i, first, last, has_field=False):
        """Half-steps of a replica, as `BlockMachine.walk` counts them."""
        machine, chain, beta = self.machines[i], self.chains[i], self.at[i]
        machine.walk(chain, self.who, self.key_of(i), first, last, beta=beta, has_field=has_field)

    def key_of(self, i):
        """The noise's keys of a replica: a function of (purpose, its own step)."""
        return lambda purpose, step: self.keys(purpose, step * self.n_replicas + i)

    @abc.abstractmethod
    def log_odds(self, lower):
        """(pairs, B) the logarithms of p(y) q(x) / (p(x) q(y)) for pairs of replicas: those of numbers `lower`, and the next."""

    @abc.abstractmethod
    def exchange(self, lower, chosen):
        """Let the chosen rows (pairs, B) of such pairs change places."""


class ByPairs(Exchange):
    """An exchange of which one pair of replicas is computed after the other.

    Parameters
    ----------
    task, machines, far, near : as for `Exchange`
    widths : list of int
        Units of the states that each pair exchanges.
    """

    def __init__(self, task, machines, far, near, widths):
        super().__init__(task, machines, far, near)
        b, n = self.backend, len(task.rows)
        self._widths, self._buffers = widths, {width: [b.zeros(n, width) for _ in range(2)] for width in widths}

    def log_odds(self, lower):
        return np.array([self.log_ratio(i, x) - self.log_ratio(i, y) for i in lower for x, y in [self.facing(i)]])

    def exchange(self, lower, chosen):
        b = self.backend
        for i, of_pair in zip(lower, chosen, strict=True):
            rows, (x, y) = b.array(np.flatnonzero(of_pair).astype(np.uint32)), self.facing(i)
            from_x, from_y = (b.part(buffer, 0, len(rows)) for buffer in self._buffers[self._widths[i]])
            b.copy(x, from_x, rows=rows)
            b.copy(y, from_y, rows=rows)
            b.copy(from_x, y, places=rows)
            b.copy(from_y, x, places=rows)

    @abc.abstractmethod
    def facing(self, i):
        """The states of replicas i and i + 1 that may change places."""

    @abc.abstractmethod
    def log_ratio(self, i, x):
        """log q(x) - log p(x) of states, (B,), but for a constant, where replica i has the distribution p, and i + 1 has q."""
