"""Exact sums over all states of a small machine: log Z, and independent draws from p(v).

With the units of the smaller side enumerated, those of the other side are summed (or integrated) out by their log normalisers:

    Z = sum_h exp(c.h - base(h) + sum_i cgf(b_i + (W h)_i))        or the same with visible and hidden exchanged

so that a Gaussian-visible machine with few hidden units is exact too.
"""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastdbn.backends import devices
from fastdbn.backends.protocol import Params
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.rbm import RBM
from fastdbn.inputs.data import block_rows
from fastdbn.machine import model
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.units import get_unit
from fastdbn.units.unit import Unit

BITS = 25
"""A side is enumerated up to 2^25 states: a minute or two against 784 units on the other."""


class Machine(NamedTuple):
    """What defines the distribution of an RBM: units and host parameters."""

    visible: Unit
    hidden: Unit
    params: Params


def rbm_of(model):
    """The fitted `RBM` that a model is, or that does its work.

    Raises
    ------
    ValueError
        for another estimator; the message says what to give.
    NotFittedError
        for one that is not fitted.
    """
    if isinstance(model, BernoulliRBM):
        return model._fitted()
    if not isinstance(model, RBM):
        raise ValueError(
            f"model={type(model).__name__}: give a fitted RBM or BernoulliRBM. Of a DBN that is its top_rbm(), of a network "
            "after back-propagation the top_rbm() of its dbn_"
        )
    check_is_fitted(model)
    return model


def machine_of(model):
    """The `Machine` of an RBM of `rbm_of`.

    Raises
    ------
    ValueError
        for visible units that count; the message says what to do.
    """
    if get_unit(model.visible_).keeps_total:
        raise ValueError(
            "model: visible units that count have no one Z, but one for every total of a row: compare free energies of rows of "
            "the same total"
        )
    params = Params(np.ascontiguousarray(model.components_.T), model.intercept_visible_, model.intercept_hidden_)
    return Machine(get_unit(model.visible_), get_unit(model.hidden_), params)


def _values(unit, n):
    """The values of a unit, or of a softmax group, a row each; None where they are not finitely many."""
    if unit.support == "one-of":
        return np.eye(unit.group_size(n))
    if unit.support == "integer" and unit.high < np.inf:
        return np.arange(unit.low, unit.high + 1)[:, None]
    return np.array(unit.support)[:, None] if isinstance(unit.support, tuple) else None


def count_bits(unit, n):
    """log2 of the number of states of n units; infinite where they cannot be enumerated."""
    bits = 0.0
    for part, start, stop, _ in unit.parts(n):
        values = _values(part, stop - start)
        bits += np.inf if values is None else (stop - start) // values.shape[1] * np.log2(len(values))
    return float(bits)


def states_of(unit, n, first, last):
    """States number first to last of n units, a row each, float64: the digits of a number name the values."""
    number, columns = np.arange(first, last)[:, None], []
    for part, start, stop, _ in unit.parts(n):
        values = _values(part, stop - start)
        digits = (stop - start) // values.shape[1]
        columns.append(values[number // len(values) ** np.arange(digits) % len(values)].reshape(last - first, stop - start))
        number = number // len(values) ** digits
    return np.hstack(columns)


class Enumeration:
    """All states of the smaller side of a machine, in blocks, in float64.

    Parameters
    ----------
    machine : Machine
    n_jobs : int or None

    Raises
    ------
    ValueError
        if both sides have too many states, or states without number.
    """

    def __init__(self, machine, n_jobs=None):
        (W, b, c), (nv, nh) = machine.params, machine.params.W.shape
        sides = count_bits(machine.visible, nv), count_bits(machine.hidden, nh)
        if min(sides) > BITS:
            found = ", ".join(
                f"{n} {unit.name} units {side} ({f'2^{bits:.0f} states' if bits < np.inf else 'not countable'})"
                for n, unit, side, bits in zip((nv, nh), machine[:2], ("visible", "hidden"), sides, strict=True)
            )
            raise ValueError(f"the model has {found}: log Z is exact up to 2^{BITS} states on one side; use fastdbn.evaluate.ais")
        self.by_hidden = sides[1] <= sides[0]
        self.backend = devices.get_backend(n_jobs, "float64")
        self.unit, self.other = machine[:2][:: -1 if self.by_hidden else 1]
        params = Params(np.ascontiguousarray(W.T), c, b) if self.by_hidden else machine.params
        self.params = Params(*(self.backend.constant(x.astype(np.float64)) for x in params))
        self.n, self.width = params.W.shape
        self.count = round(2 ** min(sides))
        self.rows = min(block_rows(max(params.W.shape)), self.count)
        self.room = self.backend.zeros(self.rows, self.width)
        self.n_blocks = -(-self.count // self.rows)

    def block(self, number):
        """(states, the logs of their unnormalised probabilities) of a block."""
        first = number * self.rows
        x = states_of(self.unit, self.n, first, min(first + self.rows, self.count))
        energy = np.empty(len(x))
        states = self.backend.states(self.unit, *x.shape, x)
        room = self.backend.part(self.room, 0, len(x))
        model.free_energy(self.backend, self.unit, self.other, self.params, states, room, energy)
        return x, -energy

    def block_logs(self):
        """The log of the sum of unnormalised probabilities of each block."""
        with self.backend.single_threaded():
            return np.array([np.logaddexp.reduce(self.block(number)[1]) for number in range(self.n_blocks)])

    def draw(self, n, seed):
        """n independent visible states from p(v), float64; noise of its own stream."""
        checks.room(2 * n * max(self.n, self.width), "n_samples", n)
        host, logs = rng.host_generator(seed, 0, rng.stream(rng.ANNEAL)), self.block_logs()
        chosen = []
        for number, count in enumerate(host.multinomial(n, _shares(logs))):
            if count:
                states, weights = self.block(number)
                chosen.append(states[host.choice(len(states), count, p=_shares(weights))])
        x = host.permutation(np.concatenate(chosen))
        if not self.by_hidden:
            return x
        b, shape = self.backend, (n, self.width)
        v, who = b.states(self.other, *shape), b.array(np.arange(n, dtype=np.uint32))
        key = rng.key(seed, 0, rng.stream(rng.ANNEAL, 1))
        with b.single_threaded():
            h = b.states(self.unit, *x.shape, x)
            b.conditional(self.other, h, self.params.W, self.params.c, b.zeros(*shape), v, who, key)
        return b.to_host(v)


def _shares(logs):
    shares = np.exp(logs - logs.max())
    return shares / shares.sum()
