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
    n_replicas : int
    far, near : int
        The replica that moves freely, and the one whose draws are wanted.

    Attributes
    ----------
    accepted, proposed : (n_replicas - 1,) arrays
        Sums of the probabilities of exchanges between neighbours, and their number.
    trips : int
        States that came to `near` from `far`, over all chains.
    """

    def __init__(self, task, n_replicas, far, near):
        self.backend, self.rows, self.keys, self.n_replicas = task.machine.backend, task.rows, task.keys, n_replicas
        self.who = self.backend.array(task.rows)
        self.accepted, self.proposed, self.trips = np.zeros(n_replicas - 1), np.zeros(n_replicas - 1), 0
        self._far, self._near = far, near
        self._came = np.zeros((n_replicas, len(task.rows)), bool)
        self._came[far] = True

    def start(self, states, there):
        self.spread(states)
        if there:
            self.restart(states)

    def run(self, first, last):
        for t in range(first, last):
            self._sweep(t)

    def _sweep(self, t):
        """Propose exchanges between every other pair of neighbours, then move all replicas; t counts sweeps."""
        first = t % 2
        for i in range(first, self.n_replicas - 1, 2):
            log_odds = self.log_odds(i)
            key = self.keys(rng.SWAP, t * self.n_replicas + i)
            chosen = np.flatnonzero(np.log1p(-rng.row_uniforms(self.rows, key)) < log_odds)
            self.accepted[i] += np.exp(np.minimum(log_odds, 0)).sum()
            self.proposed[i] += len(log_odds)
            if len(chosen):
                self._exchange(i, chosen)
        for i in range(self.n_replicas):
            lower = (i - first) % 2 == 0
            partner = i + 1 if lower else i - 1
            self.move(i, t, partner if first <= partner < self.n_replicas else None)

    def key_of(self, i):
        """The noise's keys of a replica: a function of (purpose, its own step)."""
        return lambda purpose, step: self.keys(purpose, step * self.n_replicas + i)

    @abc.abstractmethod
    def spread(self, states):
        """Begin all replicas; host states hold totals of units that count."""

    @abc.abstractmethod
    def restart(self, states):
        """Set the replica whose draws are wanted to host states of its visible units."""

    @abc.abstractmethod
    def log_odds(self, i):
        """(B,) the logarithm of p(y) q(x) / (p(x) q(y)) for replicas i and i + 1."""

    @abc.abstractmethod
    def pairs(self, i):
        """Pairs of buffers whose rows change places where replicas i and i + 1 exchange, each with a pair of buffers to use."""

    @abc.abstractmethod
    def move(self, i, t, partner):
        """Gibbs steps of a replica, after its exchange in sweep t with a partner, or without one (None)."""

    def _exchange(self, i, chosen):
        b, places, n = self.backend, self.backend.array(chosen.astype(np.uint32)), len(chosen)
        for x, y, *buffers in self.pairs(i):
            of_x, of_y = (b.part(buffer, 0, n) for buffer in buffers)
            b.copy(x, of_x, rows=places)
            b.copy(y, of_y, rows=places)
            b.copy(of_x, y, places=places)
            b.copy(of_y, x, places=places)
        came = self._came
        came[i, chosen], came[i + 1, chosen] = came[i + 1, chosen], came[i, chosen]
        came[self._far] = True
        self.trips += int(came[self._near].sum())
        came[self._near] = False
