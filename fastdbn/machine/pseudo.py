"""The pseudo-likelihood: log p(v_i | all other visible units), summed over the visible units (Besag 1975; Hyvarinen 2006).

It needs no Z: with v' the other states of unit i, or of the softmax group i,

    log p(v_i | v_-i) = -log sum_v' exp(F(v) - F(v')),    v' = v among them.

The stochastic form takes one unit, or one group, of each row, times how many there are: an unbiased estimate at the cost of one
free energy for each state that a unit has.
"""

import numpy as np


def is_two_valued(unit):
    """Whether a unit's states are two numbers."""
    return isinstance(unit.support, tuple)


def count_states(unit, n):
    """How many states a unit, or a group, of a visible layer of n has.

    Raises
    ------
    ValueError
        if they are not few and finite.
    """
    if is_two_valued(unit):
        return 2
    if unit.support == "one-of":
        return unit.group_size(n)
    raise ValueError(
        f"visible={unit.name!r}: the pseudo-likelihood is for units of two values and for softmax units; compare free energies, "
        "or use fastdbn.evaluate.ais"
    )


def _shares(unit, v, rows, chosen):
    """(states, B): the probability of each state of the chosen unit, or group, of each row. It is 0 or 1, except for means."""
    if unit.support == "one-of":
        return v.reshape(len(v), -1, unit.group_size(v.shape[1]))[rows, chosen].T
    low, high = unit.support
    share = (v[rows, chosen] - low) / (high - low)
    return np.stack([1 - share, share])


def _put(unit, v, rows, chosen, state):
    """v in place, with the chosen unit, or group, of each row in its state of that number."""
    if unit.support == "one-of":
        size = unit.group_size(v.shape[1])
        v.reshape(len(v), -1, size)[rows, chosen] = np.eye(size)[state]
    else:
        v[rows, chosen] = unit.support[state]


def stochastic(machine, v, chosen):
    """log p(v_i | v_-i) of one unit, or group, i of each row, times their number.

    Where v_i is a mean of its states, it is their expectation.

    Parameters
    ----------
    machine : BlockMachine
    v : (B, nv) states
    chosen : (B,) host array of integers
        the unit of each row, or its group.

    Returns
    -------
    (B,) float64 array
    """
    b, visible, (nv, nh), rows = machine.backend, machine.visible_unit, machine.shape, np.arange(len(v))
    host, field, states = b.to_host(v), b.zeros(len(v), nh), count_states(visible, nv)
    shares, energies = _shares(visible, host, rows, chosen).astype(np.float64), np.empty((states, len(v)))
    for state in range(states):
        _put(visible, host, rows, chosen, state)
        machine.free_energy_block(b.states(visible, *host.shape, host), energies[state], field)
    return -count_units(visible, nv) * ((shares * energies).sum(axis=0) + np.logaddexp.reduce(-energies))


def count_units(unit, n):
    """How many units a visible layer of n has, or how many groups."""
    return n if unit.group == 1 else n // unit.group_size(n)


def expected(machine, v):
    """log p(v_i | v_-i) of each unit i of two values, where v may hold means: then it is the expectation over that unit.

    Parameters
    ----------
    machine : BlockMachine
    v : (B, nv) states or means

    Returns
    -------
    (B, nv) float64 array
    """
    backend, visible, hidden, params = machine.backend, machine.visible_unit, machine.hidden_unit, machine.params
    low, high = visible.support
    host, bias = backend.to_host(v).astype(np.float64), backend.to_host(params.b).astype(np.float64)
    field, at_low, at_high = backend.zeros(len(v), len(params.c)), np.empty(host.shape), np.empty(host.shape)
    backend.field(v, params.W, field)
    for value, out in ((low, at_low), (high, at_high)):
        backend.cgf_shifted(hidden, params.c, field, params.W, backend.constant(value - host), out)
    base = np.empty(2)
    backend.base(visible, backend.states(visible, 2, 1, np.array(visible.support)[:, None]), base)
    log_odds = at_high - at_low + (high - low) * bias - (base[1] - base[0])
    return (host - low) / (high - low) * log_odds - np.logaddexp(0, log_odds)


def _exact_groups(machine, v):
    backend, visible, hidden, params = machine.backend, machine.visible_unit, machine.hidden_unit, machine.params
    host, bias = backend.to_host(v), backend.to_host(params.b).astype(np.float64)
    size, total = visible.group_size(host.shape[1]), np.zeros(len(v))
    field, ones = backend.zeros(len(v), len(params.c)), backend.constant(np.ones((len(v), size)))
    for start in range(0, host.shape[1], size):
        group, s = slice(start, start + size), np.empty((len(v), size))
        rest = host.copy()
        rest[:, group] = 0
        backend.field(backend.states(visible, *rest.shape, rest), params.W, field)
        backend.cgf_shifted(hidden, params.c, field, backend.part(params.W, start, start + size), ones, s)
        s += bias[group]
        total += (s * host[:, group]).sum(axis=1) - np.logaddexp.reduce(s, axis=1)
    return total


def log_likelihood(machine, v, draw=None):
    """The log pseudo-likelihood of each row: stochastic with the NumPy generator `draw`, else exact.

    Parameters
    ----------
    machine : BlockMachine
    v : (B, nv) states
    draw : numpy.random.Generator or None

    Returns
    -------
    (B,) float64 array
    """
    unit, n = machine.visible_unit, machine.shape[0]
    count_states(unit, n)
    if draw is None:
        return _exact_groups(machine, v) if unit.support == "one-of" else expected(machine, v).sum(axis=1)
    return stochastic(machine, v, draw.integers(0, count_units(unit, n), len(v)))
