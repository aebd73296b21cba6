"""The inverse temperatures of `Tempering`, found for a target acceptance, and its base.

Short runs with few chains measure how often neighbours refuse an exchange. The sum of these rates from 0 to beta hardly depends
on where the rungs are. So rungs at equal distances of that sum have equal rates, and their number follows from the target
(Syed, Bouchard-Côté, Deligiannidis, Doucet 2021, algorithm 2). The biases of the base become those at which its means are the
model's. Of all machines without weights this one is nearest to the model (Surjanovic, Syed, Bouchard-Côté, Campbell 2022).
"""

import functools
from typing import NamedTuple

import numpy as np

from fastdbn.machine.initial import base_of_means, middle
from fastdbn.sampling.sampler import Task
from fastdbn.sampling.tempering import Tempering

ACCEPTANCE = 0.5
"""Share of the proposed exchanges that neighbours should make."""
LOWEST = 1e-3
"""The lowest inverse temperature: a Gibbs step there draws anew but for a thousandth of the fields."""
CHAINS = 32
ROUNDS = (5, 10, 20, 20, 40)
"""Sweeps of each run."""
NEW_BASE = 2
"""The run that finds the means of the base. Until then the base is flat where it can be: from there chains find all modes, so
that none is left out of the means."""
MOST = 128
"""Rungs."""


class Ladder(NamedTuple):
    """betas (M,) rise to 1; base (n_visible,) are the biases of the machine that the lowest one stands for; acceptance (M - 1,)
    shares of exchanges that the last run measured."""

    betas: np.ndarray
    base: np.ndarray
    acceptance: np.ndarray


def find(machine, acceptance=ACCEPTANCE):
    """The ladder of a machine. It depends on the machine alone, because its noise has a seed of its own."""
    b, unit = machine.backend, machine.joint_unit
    base = flat(unit, b.to_host(machine.params.b))
    betas, rows = np.linspace(LOWEST, 1, 16), np.arange(CHAINS, dtype=np.uint32)
    for number, sweeps in enumerate(ROUNDS):
        run = Tempering(Task([machine], 0, rows, 0, number, functools.partial(Ladder, betas, base, None)))
        run.spread()
        means = np.zeros((CHAINS, len(base)))
        for t in range(sweeps):
            run.run(t, t + 1)
            means += b.to_host(run.chain.v) / sweeps
        accepted = run.accepted / run.proposed
        if number == NEW_BASE:
            base = base_of_means(unit, certain(unit, means), CHAINS)
        if number + 1 < len(ROUNDS):
            betas = equalised(betas, 1 - accepted, acceptance)
    return Ladder(betas, base, accepted)


def certain(unit, means):
    """Means of units over chains, (n_units,), less what may be chance: they are pulled to the middle of a bounded range, the more
    the less the chains agree.

    A small error in the same direction in all units would close the way to a mode in the other direction.

    Parameters
    ----------
    unit : Unit or Mixed
    means : (n_chains, n_units) array
    """
    mean, variance = means.mean(axis=0), means.var(axis=0, ddof=1) / len(means)
    for part, start, stop, _ in unit.parts(len(mean)):
        if np.isfinite(part.low + part.high):
            center = middle(part, stop - start)
            square = np.square(mean[start:stop] - center)
            sure = np.maximum(square - 4 * variance[start:stop], 0) / np.maximum(square, 1e-12)  # of two standard errors
            mean[start:stop] = center + sure * (mean[start:stop] - center)
    return mean


def flat(unit, bias):
    """Biases at which units of a bounded range are in its middle; others keep their own."""
    base = np.array(bias, np.float64)
    for part, start, stop, _ in unit.parts(len(base)):
        if np.isfinite(part.low + part.high):
            base[start:stop] = part.link(np.full(stop - start, middle(part, stop - start)))
    return base


def equalised(betas, refused, acceptance):
    """Rungs between which exchanges are refused equally often: as many as the target needs.

    Parameters
    ----------
    betas : (M,) array, rising to 1
    refused : (M - 1,) array
        Shares of exchanges that neighbours refused.
    acceptance : float
        The target.

    Returns
    -------
    (M',) float64 array
    """
    barrier = np.r_[0.0, np.cumsum(np.maximum(refused, 1e-3))]
    n = int(np.clip(np.ceil(barrier[-1] / (1 - acceptance)), 1, MOST - 1))
    rungs = np.interp(np.linspace(0, barrier[-1], n + 1), barrier, betas)
    rungs[0], rungs[-1] = betas[0], 1.0
    return rungs
