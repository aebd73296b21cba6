"""A ladder of machines over the same visible units: chains at each of them, and neighbours exchange states.

Visible states x and y at machines a and b change places with probability min(1, e^(r(x) - r(y))), r(v) = F_a(v) - F_b(v). Hidden
units are summed out, so the machines may differ in all of their parameters. Chains at a machine that is easy to sample carry the
others from mode to mode.

The same r gives the ratio of the partition functions, by a bridge between both machines (Bennett 1976). For any number s

    Z_b / Z_a = e^s  E_a[f(r(v) - s)] / E_b[f(s - r(v))],    f(t) = 1 / (1 + e^-t)

It is most exact where s is log(Z_b / Z_a).
"""

import numpy as np
from scipy.special import expit

from fastdbn.machine.block import Chain


class Ladder:
    """Machines of one shape, and n chains at each of them, one machine's after another's.

    Parameters
    ----------
    machines : list of BlockMachine
        All on one backend.
    n : int
        Chains at each machine.
    states : (len(machines) n, n_visible) host array
        Visible states at which the chains start.

    Attributes
    ----------
    v : buffer
        The visible states of all chains.
    swaps : (2, len(machines) - 1) array
        Exchanges made and proposed between neighbours.
    """

    def __init__(self, machines, n, states):
        self.machines, self.n, self.backend = list(machines), n, machines[0].backend
        nv, nh = machines[0].shape
        b = self.backend
        self.h, self.v_mean, self.h_mean = b.states(machines[0].hidden_unit, n, nh), b.zeros(n, nv), b.zeros(n, nh)
        self._begin(states)

    def _begin(self, states):
        b, unit = self.backend, self.machines[0].visible_unit
        self.v, self.spare = (b.states(unit, *states.shape, states) for _ in range(2))
        self.chain_rows = b.array(np.arange(len(states), dtype=np.uint32))
        self.swaps = np.zeros((2, len(self.machines) - 1))

    def append(self, machine, states):
        """Put a machine on top, whose chains start at host states (n, n_visible). The counts of exchanges begin anew."""
        self.machines.append(machine)
        self._begin(np.concatenate([self.backend.to_host(self.v), states]))

    def top(self):
        """The visible states of the last machine."""
        return self.backend.part(self.v, len(self.v) - self.n, len(self.v))

    def gibbs(self, key, n_steps):
        """Gibbs steps of all chains; key is a callable of (purpose, Gibbs step)."""
        b, n = self.backend, self.n
        for i, machine in enumerate(self.machines):
            v, who = (b.part(x, i * n, (i + 1) * n) for x in (self.v, self.chain_rows))
            machine.walk(Chain(v, self.h, self.v_mean, self.h_mean), who, key, 0, 2 * n_steps)

    def exchange(self, odd, draw):
        """Exchange states between machines 0 and 1, 2 and 3, and so on; with `odd` between 1 and 2, and so on.

        Parameters
        ----------
        odd : bool
        draw : numpy Generator

        Returns
        -------
        dict
            For the lower number of each pair: r of the states that were at that machine, and at the one above, (n,) each.
        """
        n, ratios = self.n, {}
        place = np.arange(len(self.v), dtype=np.uint32).reshape(-1, n)
        for i in range(odd, len(self.machines) - 1, 2):
            r = log_ratio(*self.machines[i : i + 2], self.backend.part(self.v, i * n, (i + 2) * n))
            ratios[i] = below, above = r[:n], r[n:]
            swapped = np.log1p(-draw.random(n)) < below - above
            place[i], place[i + 1] = np.where(swapped, place[i + 1], place[i]), np.where(swapped, place[i], place[i + 1])
            self.swaps[:, i] += swapped.sum(), n
        self.backend.copy(self.v, self.spare, rows=self.backend.array(place.ravel()))
        self.v, self.spare = self.spare, self.v
        return ratios


def log_ratio(a, b, v):
    """r(v) of two machines over the same visible units, (B,) float64."""
    backend, field, total, part = a.backend, a.backend.zeros(len(v), a.shape[1]), np.empty(len(v)), np.empty(len(v))
    backend.dot(v, backend.array(backend.to_host(b.params.b) - backend.to_host(a.params.b)), total)
    for machine, sign in ((a, -1), (b, 1)):
        backend.field(v, machine.params.W, field)
        backend.cgf(machine.hidden_unit, machine.params.c, field, part)
        total += sign * part
    return total


def sum_f(t):
    """The sum of f(t), a positive number."""
    return expit(t).sum() + np.finfo(np.float64).tiny
