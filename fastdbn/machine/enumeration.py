"""All states of a small machine: its exact sums, and independent draws from p(v).

The states of the smaller side are enumerated. Those of the other side are summed (or integrated) out by their log normalisers:

    Z = sum_h exp(c.h - base(h) + sum_i cgf(b_i + (W h)_i))        or the same with visible and hidden exchanged

So a machine with Gaussian visible units and few hidden units is exact too.
"""

import numpy as np
from scipy.special import softmax

from fastdbn.backends import devices
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine, block_rows
from fastdbn.maths import rng
from fastdbn.support import checks

BITS = 25
"""A side is enumerated up to 2^25 states: a minute or two against 784 units on the other."""


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


def flipped(machine):
    """The machine whose visible units are the hidden ones of a machine, and the reverse."""
    b, (W, bias, c) = machine.backend, machine.params
    params = Params(b.constant(np.ascontiguousarray(b.to_host(W).T)), c, bias)
    return BlockMachine(b, machine.hidden_unit, machine.visible_unit, params)


def hidden_law(machine):
    """All states of a machine's hidden units, a buffer, and the logs of their unnormalised probabilities, (n_states,) float64."""
    b, unit, n = machine.backend, machine.hidden_unit, machine.shape[1]
    values = states_of(unit, n, 0, round(2 ** count_bits(unit, n)))
    states, energy = b.states(unit, *values.shape, values), np.empty(len(values))
    flipped(machine).free_energy_block(states, energy)
    return states, -energy


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
        units, names = (machine.visible_unit, machine.hidden_unit), ("visible", "hidden")
        bits = [count_bits(*side) for side in zip(units, machine.shape, strict=True)]
        if min(bits) > BITS:
            found = ", ".join(
                f"{n} {unit.name} units {side} ({f'2^{size:.0f} states' if size < np.inf else 'not countable'})"
                for n, unit, side, size in zip(machine.shape, units, names, bits, strict=True)
            )
            raise ValueError(f"the model has {found}: log Z is exact up to 2^{BITS} states on one side; use fastdbn.evaluate.ais")
        self.by_hidden = bits[1] <= bits[0]
        self.backend = devices.get_backend(n_jobs, "float64")
        arrays = (machine.backend.to_host(x).astype(np.float64) for x in machine.params)
        exact = BlockMachine(self.backend, *units, Params(*(self.backend.constant(np.ascontiguousarray(x)) for x in arrays)))
        self.machine = flipped(exact) if self.by_hidden else exact  # its visible units are those that are enumerated
        self.n, self.width = self.machine.shape
        self.count = round(2 ** min(bits))
        self.rows = min(block_rows(max(self.machine.shape)), self.count)
        self.field = self.backend.zeros(self.rows, self.width)
        self.n_blocks = -(-self.count // self.rows)

    def block(self, number):
        """(states, the logs of their unnormalised probabilities) of a block."""
        first, unit = number * self.rows, self.machine.visible_unit
        x = states_of(unit, self.n, first, min(first + self.rows, self.count))
        energy = np.empty(len(x))
        self.machine.free_energy_block(self.backend.states(unit, *x.shape, x), energy, self.backend.part(self.field, 0, len(x)))
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
        for number, count in enumerate(host.multinomial(n, softmax(logs))):
            if count:
                states, weights = self.block(number)
                chosen.append(states[host.choice(len(states), count, p=softmax(weights))])
        x = host.permutation(np.concatenate(chosen))
        if not self.by_hidden:
            return x
        b, unit = self.backend, self.machine.hidden_unit
        v, who = b.states(unit, n, self.width), b.array(np.arange(n, dtype=np.uint32))
        with b.single_threaded():
            h = b.states(self.machine.visible_unit, *x.shape, x)
            self.machine.hidden_given(h, b.zeros(n, self.width), v, who, rng.key(seed, 0, rng.stream(rng.ANNEAL, 1)))
        return b.to_host(v)
