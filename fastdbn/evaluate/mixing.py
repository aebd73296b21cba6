"""How fast Gibbs chains forget: autocorrelation of a statistic, and the integrated autocorrelation time

    tau = 1 + 2 sum_t rho(t)

by which the variance of a chain's mean is larger than that of as many independent draws (Sokal 1997, section 3).
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.estimators.layer import free_energies
from fastdbn.evaluate.ais import Chains, base_biases, checked_rbm
from fastdbn.maths import rng
from fastdbn.support import checks

WINDOW = 5.0
"""The sum ends at the first lag beyond so many tau, because later terms are more noise than correlation (Sokal 1997, equation
3.20)."""


class Mixing(NamedTuple):
    """What `mixing` measured.

    Attributes
    ----------
    values : (n_steps, n_chains) float64 array
        the statistic of each chain after each step.
    autocorrelation : (n_steps // 2 + 1,) float64 array
        by lag.
    time : float
        integrated autocorrelation time, in Gibbs steps. Trust it if n_steps is at least 50 times as large.
    """

    values: Any
    autocorrelation: Any
    time: float


def autocorrelation(values, max_lag=None):
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
    x = np.asarray(checks.unmasked(values, "values"), np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError("values: give a finite array of (n_steps,) or (n_steps, n_chains)")
    n = len(x)
    lags = n // 2 if max_lag is None else checks.integer(max_lag, "max_lag", 0)
    if lags >= n:
        raise ValueError(f"max_lag={max_lag}: give less than the {n} steps")
    x = x - x.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * n, axis=0)) ** 2  # padded, or the end of a chain would meet its beginning
    covariance = np.fft.irfft(spectrum.sum(axis=1), 2 * n)[: lags + 1] / (n - np.arange(lags + 1))
    return covariance / covariance[0] if covariance[0] > 0 else np.ones(lags + 1)


def integrated_time(values):
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


def mixing(model, statistic=None, n_chains=100, n_steps=1000, *, X=None, burn_in=0, random_state=None):
    """Run Gibbs chains of an RBM and measure how fast a statistic of them forgets its past.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted.
    statistic : callable or None, default None
        Maps (n_chains, n_features) visible states, on the scale of the data, to (n_chains,) numbers. None is the free energy.
    n_chains : int, default 100
    n_steps : int, default 1000
    X : (n, n_features) array, CSR matrix or None, default None
        Chains start at rows of X. None starts them at draws from the visible biases alone.
    burn_in : int, default 0
        Steps that are made and not counted first.
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
    checks.room(2 * n_steps * n_chains, "n_steps", n_steps)
    if not (statistic is None or callable(statistic)):
        raise ValueError(f"statistic={statistic!r}: give a callable of visible states, or None")
    model, X = checked_rbm(model, X)
    measure = (lambda v: free_energies(model, v)) if statistic is None else statistic
    chains = Chains(model, base_biases(model), n_chains, rng.seed_of(random_state))
    values = np.empty((n_steps, n_chains))
    with chains.backend.single_threaded():
        chains.start(model, X)
        chains.gibbs(0, burn_in)
        for t in range(n_steps):
            chains.gibbs(burn_in + t, burn_in + t + 1)
            values[t] = measure(model.scaling_.invert(chains.backend.to_host(chains.v)))
    return Mixing(values, autocorrelation(values), integrated_time(values))
