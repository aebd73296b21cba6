"""How fast chains forget: autocorrelation of a statistic, and the integrated autocorrelation time

    tau = 1 + 2 sum_t rho(t)

by which the variance of a chain's mean is larger than that of as many independent draws (Sokal 1997, section 3).
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import start_states
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.sampling import method_for
from fastdbn.evaluate.ais import rows_of
from fastdbn.evaluate.models import Model, of_tables, rbm_of
from fastdbn.maths import rng
from fastdbn.sampling import METHODS
from fastdbn.sampling.exchange import Exchange
from fastdbn.sampling.sampler import Task
from fastdbn.support import checks
from fastdbn.support.types import Array, Doubles, Rows, Seed

WINDOW = 5.0
"""The sum ends at the first lag beyond so many tau, because later terms are more noise than correlation (Sokal 1997, equation
3.20)."""
DIRECTIONS = 3
"""Directions of the states that are measured beside the free energy."""


class Mixing(NamedTuple):
    """What `mixing` measured.

    Attributes
    ----------
    values : (n_steps, n_chains) float64 array
        the statistic of each chain after each step.
    autocorrelation : (n_steps // 2 + 1,) float64 array
        by lag.
    time : float
        integrated autocorrelation time, in steps. Trust it if n_steps is at least 50 times as large.
    seconds : float
        seconds for an independent draw: those of a step of one chain, times `time`.
    step_seconds : float
        seconds of a step of all chains together.
    acceptance : (n_replicas - 1,) array or None
        shares of exchanges that neighbouring replicas made; None for Gibbs sampling, which has none.
    trips : int or None
        states that came from the replica that moves freely to the chain itself, in all chains together.
    """

    values: Doubles
    autocorrelation: Doubles
    time: float
    seconds: float
    step_seconds: float
    acceptance: Doubles | None
    trips: int | None


def autocorrelation(values: ArrayLike, max_lag: int | None = None) -> Doubles:
    """Autocorrelation of chains, by lag.

    Deviations are from the mean over all chains, so chains that stay in different regions show up.

    Parameters
    ----------
    values : (n_steps,) or (n_steps, n_chains) array
        a statistic after each step.
    max_lag : int or None, default None
        None is half of the steps.

    Returns
    -------
    (max_lag + 1,) float64 array
        From 1; all ones where the statistic never changes.

    Raises
    ------
    ValueError
        if values are not finite or max_lag is not less than the number of steps.
    """
    x = np.asarray(checks.unmasked(values, "values"))
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.size or x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise ValueError(f"values={checks.shown(values)}: give finite numbers, an array (n_steps,) or (n_steps, n_chains)")
    x = x.astype(np.float64)
    n = len(x)
    lags = n // 2 if max_lag is None else checks.integer(max_lag, "max_lag", 0)
    if lags >= n:
        raise ValueError(f"max_lag={max_lag}: give less than the {n} steps")
    x = x - x.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * n, axis=0)) ** 2  # padded, or the end of a chain would meet its beginning
    covariance = np.fft.irfft(spectrum.sum(axis=1), 2 * n)[: lags + 1] / (n - np.arange(lags + 1))
    return covariance / covariance[0] if covariance[0] > 0 else np.ones(lags + 1)


def integrated_time(values: ArrayLike) -> float:
    """The integrated autocorrelation time of chains, in steps.

    Parameters
    ----------
    values : (n_steps,) or (n_steps, n_chains) array

    Returns
    -------
    float
        Infinite where the correlation lasts longer than half of the chains.
    """
    times = 2 * np.cumsum(autocorrelation(values)) - 1
    enough = np.flatnonzero(np.arange(len(times)) >= WINDOW * times)
    return float(times[enough[0]]) if len(enough) else np.inf


@of_tables
def mixing(
    model: Model,
    statistic: Callable[[Array], ArrayLike] | None = None,
    n_chains: int = 100,
    n_steps: int = 1000,
    *,
    X: Rows | None = None,
    burn_in: int = 0,
    method: Literal["auto", "gibbs", "tempering", "stacked", "trajectory"] = "gibbs",
    layer: int = -1,
    random_state: Seed = None,
) -> Mixing:
    """Run chains of an RBM by a sampling method, and measure how fast they forget their past and what a draw costs.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN
        fitted.
    statistic : callable or None, default None
        Maps (n_chains, n_visible) visible states of the RBM, on the scale of its data, to (n_chains,) numbers. None measures the
        free energy, and the states along the three directions in which the weights are largest (the left singular vectors of
        W). The slowest of the four counts.
    n_chains : int, default 100
    n_steps : int, default 1000
    X : (n, n_features) array, CSR matrix or None, default None
        Chains start at rows of X. None starts them at draws that know the biases alone.
    burn_in : int, default 0
        Steps that are made and not counted first.
    method : {"auto", "gibbs", "tempering", "stacked", "trajectory"}, default "gibbs"
        As for `sample`.
    layer : int, default -1
        The RBM of a network.
    random_state : None, int, RandomState or Generator

    Returns
    -------
    Mixing

    References
    ----------
    Sokal 1997, "Monte Carlo methods in statistical mechanics".
    """
    n_chains, n_steps = checks.integer(n_chains, "n_chains"), checks.integer(n_steps, "n_steps")
    burn_in = checks.integer(burn_in, "burn_in", 0)
    checks.choice(method, "method", ("auto", *METHODS))
    checks.room(5 * n_steps * n_chains, "n_steps", n_steps)
    if not (statistic is None or callable(statistic)):
        raise ValueError(f"statistic={statistic!r}: give a callable of visible states, or None")
    rbm, machines, layer, states = _chains_of(model, layer, X, n_chains, seed := rng.seed_of(random_state))
    kind = method_for(method, machines, layer, X is not None)
    chains = kind(Task(machines, layer, np.arange(n_chains, dtype=np.uint32), seed, 0, rbm._ladder))
    measure = _leading(chains) if statistic is None else lambda v: _measured(statistic, rbm.scaling_.invert(v))
    values, seconds = [], np.empty(n_steps)
    backend = chains.machine.backend
    with backend.single_threaded():
        chains.start(states, X is not None)
        chains.run(0, burn_in)
        for t in range(n_steps):
            began = time.perf_counter()
            chains.run(burn_in + t, burn_in + t + 1)
            seconds[t] = time.perf_counter() - began
            values.append(measure(backend.to_host(chains.chain.v)))
    of_all = np.array(values, np.float64).transpose(1, 0, 2)
    times = [integrated_time(x) for x in of_all]
    slowest = int(np.argmax(times))
    of_exchange = None, None
    if isinstance(chains, Exchange):
        of_exchange = chains.accepted / np.maximum(chains.proposed, 1), chains.trips
    step = float(np.median(seconds))
    per_draw = step / n_chains * times[slowest]
    return Mixing(of_all[slowest], autocorrelation(of_all[slowest]), times[slowest], per_draw, step, *of_exchange)


def _leading(chains):
    """A function of visible states: their free energy, and the states along the leading left singular vectors of W, (4, n)."""
    machine = chains.machine
    directions = np.linalg.svd(machine.backend.to_host(machine.params.W), full_matrices=False)[0][:, :DIRECTIONS]

    def measure(v):
        energy = np.empty(len(v))
        machine.free_energy_block(chains.chain.v, energy)
        return np.vstack([energy, (v @ directions).T])

    return measure


def _measured(statistic, v):
    """A user's statistic of visible states, (1, n_chains)."""
    values = np.asarray(statistic(v))
    if values.shape != (len(v),) or values.dtype.kind not in "biuf":
        raise ValueError(f"statistic made {checks.shown(values)} of {len(v)} rows of states: let it give a number for each")
    return values.astype(np.float64)[None]


def _chains_of(model, layer, X, n_chains, seed):
    """(an RBM, the machines of its stack, its place there, host states of n chains)."""
    layer = checks.layer(layer, len(getattr(model, "layers_", "1")))
    stack = model if isinstance(model, DBN) and not isinstance(model, GenerativeDBNClassifier) else rbm_of(model)
    check_is_fitted(stack)
    rbm, machines = stack._stack()[layer], stack._machines()
    if X is None:
        return rbm, machines, layer, start_states(rbm, machines[layer], n_chains, seed, 0)
    X = later_rows(model, X)
    if layer == 0:
        return rbm, machines, layer, rows_of(rbm, X, n_chains, seed)
    chosen = rng.host_generator(seed, 1, rng.stream(rng.ANNEAL)).integers(0, X.shape[0], n_chains)
    return rbm, machines, layer, stack._draw_up(X[chosen], layer, seed, 0)
