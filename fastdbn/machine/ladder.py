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

from fastdbn.backends.ladders import LadderChains
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
    h : (n, n_hidden) buffer or None
        Hidden states of the last machine's chains, if these are to go on from there.
    rows : (len(machines) n,) buffer or None
        Numbers of the chains, if they are not to be counted from 0.

    Attributes
    ----------
    v : buffer
        The visible states of all chains.
    swaps : (2, len(machines) - 1) array
        Exchanges made and proposed between neighbours.
    """

    def __init__(self, machines, n, states, h=None, rows=None):
        self.machines, self.n, self.backend = list(machines), n, machines[0].backend
        b, first, (nv, nh), of_all = self.backend, machines[0], machines[0].shape, len(machines) * n
        self.v, self._spare = (b.states(first.visible_unit, of_all, nv, states) for _ in range(2))
        self._h, self._mean = b.states(first.hidden_unit, n, nh) if h is None else h, b.zeros(n, nv)
        self._fields, self._moved = b.zeros(2 * of_all, nh), b.zeros(of_all, nh)
        self._rows = b.array(np.arange(of_all, dtype=np.uint32)) if rows is None else rows
        units, params = (first.visible_unit, first.hidden_unit), [machine.params for machine in machines]
        self._chains = LadderChains(*units, params, n, self.v, self._rows, self._h, self._mean, self._fields)
        self.swaps = np.zeros((2, len(machines) - 1))

    def extended(self, machine, states):
        """A ladder with one more machine on top, whose chains start at host states (n, n_visible)."""
        return Ladder([*self.machines, machine], self.n, np.concatenate([self.backend.to_host(self.v), states]))

    def part(self, x, i):
        """Rows of machine i."""
        return self.backend.part(x, i * self.n, (i + 1) * self.n)

    def run(self, rounds, logs, kept=None):
        """Half-steps of the chains, then exchanges between neighbours: 0 and 1, 2 and 3, and so on, then 1 and 2, and so on.

        Parameters
        ----------
        rounds : Rounds
            How many, and what names their noise.
        logs : (count, len(machines) - 1, n) array
            Logarithms of uniforms, for each machine but the last.
        kept : buffer or None
            Takes the last machine's states after each round: those of round t in rows t n on, modulo its length.

        Returns
        -------
        (count, len(machines) - 1, 2, n) float64 array
            r of the states that were at each machine but the last when they were to be exchanged, and of those at the next one.
        """
        ratios = self.backend.ladder_rounds(self._chains, rounds, logs, kept)
        if ratios is None:
            ratios = self._compose(rounds, logs, kept)
        self.swaps[0] += (logs < log_odds(ratios)).sum(axis=(0, 2))
        self.swaps[1] += len(logs) * self.n
        return ratios

    def _compose(self, rounds, logs, kept):
        (first, middle, last), b, n = rounds.halves, self.backend, self.n
        of_all, ratios = range(len(self.machines)), np.zeros((*logs.shape[:2], 2, n))
        towards = [_toward(*self.machines[i : i + 2]) for i in of_all[:-1]]
        for i in of_all:
            if i < rounds.still or first % 2 == 0:
                self._field(i, i)
        for t in range(rounds.sweeps):
            key = rounds.key(rounds.number + t)
            for i in of_all[rounds.still :]:
                self._move(i, key, first, middle)
            for odd in (0, 1):
                lower = of_all[odd:-1:2]
                for i in lower:
                    ratios[t, i] = self._log_ratios(i, towards[i])
                self._exchange(lower, logs[t] < log_odds(ratios[t]))
            for i in of_all[rounds.still :]:
                self._move(i, key, middle, last)
            if kept is not None:
                start = (rounds.number + t) * n % len(kept)
                b.copy(self.part(self.v, of_all[-1]), b.part(kept, start, start + n))
        return ratios

    def _field(self, i, at, cross=0):
        """The fields of machine i's chains at a machine, in the first or the second half of the buffer."""
        out = self.part(self._fields, cross * len(self.machines) + i)
        self.backend.field(self.part(self.v, i), self.machines[at].params.W, out)
        return out

    def _move(self, i, key, first, last):
        """Half-steps of machine i's chains, whose fields are there before a hidden one, and after a visible one."""
        chain = Chain(self.part(self.v, i), self._h, self._mean, self.part(self._fields, i))
        for half in range(first, last):
            self.machines[i].walk(chain, self.part(self._rows, i), key, half, half + 1, has_field=half % 2 == 0)
            if half % 2:
                self._field(i, i)

    def _log_ratios(self, i, toward):
        """r of machine i's states and of those at the next one, (2, n)."""
        machines, found = self.machines[i : i + 2], np.empty((2, self.n))
        for j, out in zip((i, i + 1), found, strict=True):
            own, cross = self.part(self._fields, j), self._field(j, 2 * i + 1 - j, 1)
            _log_ratio(*machines, toward, self.part(self.v, j), *((own, cross) if j == i else (cross, own)), out)
        return found

    def _exchange(self, lower, chosen):
        """Let the chosen chains (len(machines) - 1, n) of some lower machines and of the next ones change places."""
        b, n, of_all = self.backend, self.n, len(self.v)
        here = np.arange(of_all, dtype=np.uint32).reshape(-1, n)
        place, field = here.copy(), here.copy()
        for i in lower:
            for j, other in ((i, i + 1), (i + 1, i)):
                place[j] = np.where(chosen[i], here[other], here[j])
                field[j] = np.where(chosen[i], here[other] + np.uint32(of_all), here[j])
        for x, out, rows in ((self.v, self._spare, place), (self._fields, self._moved, field)):
            b.copy(x, out, rows=b.array(rows.ravel()))
            b.copy(out, b.part(x, 0, of_all))


def log_odds(ratios):
    """Log odds of exchanges (..., n) by what `Ladder.run` returns."""
    with np.errstate(invalid="ignore"):  # of a model that has diverged, as the end of the epoch will tell
        return ratios[..., 0, :] - ratios[..., 1, :]


def log_ratio(a, b, v):
    """r(v) of two machines over the same visible units, (B,) float64."""
    backend, out = a.backend, np.empty(len(v))
    below, above = (backend.zeros(len(v), a.shape[1]) for _ in range(2))
    for machine, field in ((a, below), (b, above)):
        backend.field(v, machine.params.W, field)
    _log_ratio(a, b, _toward(a, b), v, below, above, out)
    return out


def _toward(a, b):
    """The difference of the visible biases."""
    backend = a.backend
    return backend.array(backend.to_host(b.params.b) - backend.to_host(a.params.b))


def _log_ratio(a, b, toward, v, below, above, out):
    """out (B,) = r of states with their fields at both machines."""
    part = np.empty(len(out))
    a.backend.dot(v, toward, out)
    for machine, field, sign in ((a, below, -1), (b, above, 1)):
        machine.backend.cgf(machine.hidden_unit, machine.params.c, field, part)
        out += sign * part


def sum_f(t):
    """The sums of f(t) over the last axis, positive numbers."""
    return expit(t).sum(axis=-1) + np.finfo(np.float64).tiny
