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
        self._ahead = {}

    def start(self, states, there):
        self.spread(states)
        if there:
            self.restart(states)

    def run(self, first, last):
        for t in range(first, last):
            self._sweep(t)

    def _sweep(self, t):
        """Propose exchanges between every other pair of neighbours, then move all replicas; t counts sweeps."""
        lower = self._lower(t)
        if len(lower):
            log_odds = self.log_odds(lower)
            chosen = self._log_uniforms(t) < log_odds
            self.accepted[lower] += np.exp(np.minimum(log_odds, 0)).sum(axis=1)
            self.proposed[lower] += len(self.rows)
            self.exchange(lower, chosen)
            self._follow(lower, chosen)
        for i in range(self.n_replicas):
            self.move(i, t, i + 1 if i in lower else i - 1 if i - 1 in lower else None)

    def _lower(self, t):
        """The lower replicas of the pairs of sweep t."""
        return np.arange(t % 2, self.n_replicas - 1, 2)

    def _log_uniforms(self, t):
        """The logarithm of a uniform for each proposal of sweep t, (pairs, B)."""
        if t not in self._ahead:
            n, sweeps = len(self.rows), range(t, t + max(1, AT_ONCE // (self.n_replicas * len(self.rows))))
            steps = [sweep * self.n_replicas + self._lower(sweep) for sweep in sweeps]
            of_all = np.concatenate(steps).astype(np.uint32)
            key = self.keys(rng.SWAP, 0)._replace(step=np.repeat(of_all, n))
            logs = np.log1p(-rng.row_uniforms(np.tile(self.rows, len(of_all)), key)).reshape(-1, n)
            self._ahead = dict(zip(sweeps, np.split(logs, np.cumsum([len(x) for x in steps])), strict=False))
        return self._ahead.pop(t)

    def _follow(self, lower, chosen):
        """Count the states that come to the replica whose draws are wanted from the one that moves freely."""
        came = self._came
        came[lower], came[lower + 1] = np.where(chosen, (came[lower + 1], came[lower]), (came[lower], came[lower + 1]))
        came[self._far] = True
        self.trips += int(came[self._near].sum())
        came[self._near] = False

    def change_places(self, x, y, buffers, of_x, of_y):
        """Exchange some rows of x with as many of y; two buffers have room for them."""
        b, n = self.backend, len(of_x)
        x_rows, y_rows = b.array(of_x.astype(np.uint32)), b.array(of_y.astype(np.uint32))
        from_x, from_y = (b.part(buffer, 0, n) for buffer in buffers)
        b.copy(x, from_x, rows=x_rows)
        b.copy(y, from_y, rows=y_rows)
        b.copy(from_x, y, places=y_rows)
        b.copy(from_y, x, places=x_rows)

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
    def log_odds(self, lower):
        """(pairs, B) the logarithms of p(y) q(x) / (p(x) q(y)) for pairs of replicas: those of numbers `lower`, and the next."""

    @abc.abstractmethod
    def exchange(self, lower, chosen):
        """Let the chosen rows (pairs, B) of such pairs change places."""

    @abc.abstractmethod
    def move(self, i, t, partner):
        """Gibbs steps of a replica, after its exchange in sweep t with a partner, or without one (None)."""
