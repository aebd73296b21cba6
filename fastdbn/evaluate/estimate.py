"""What annealed importance sampling found: log Z, and an interval that covers it in about 95 of 100 runs, also with few chains.

The interval joins two, so it is right where either is. The first is Student's for the mean weight, by the delta method, with a
longer upper arm where the weights are skewed to the right (Chen 1995). It is right for weights that vary little, and for log
weights with a tail to the left. The second is that of a lognormal mean (Zou, Taleban and Huo 2009), for n log weights of mean m
and variance s^2:

    m + s^2 / 2   minus   sqrt(t^2 s^2 / n + (s^2 / 2 (1 - (n - 1) / chi^2_0.975))^2)
                  plus    sqrt(t^2 s^2 / n + (s^2 / 2 ((n - 1) / chi^2_0.025 - 1))^2)

It is right where few weights dominate. Log weights that are themselves skewed to the right add a sixth of their third cumulant
to its upper end. A mean weight is 40 times its expectation once in 40 runs at most (Markov), so the lower end is at most log 40
away.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtri, stdtrit

from fastdbn.support.report import EstimateWarning, warn
from fastdbn.support.types import Doubles

TAIL = 0.025
"""The probability of either side of the interval."""
FEW = 0.25
"""Few chains count if the effective sample size is below this fraction of them. Two runs of 100 chains whose sizes were 14 and
18 differed by two nats."""


class Estimate(NamedTuple):
    """log Z, estimated or exact.

    Attributes
    ----------
    log_z : float
    std_error : float
        Standard error of log_z, by the delta method; NaN for a single chain. `interval` says more where weights are skewed.
    interval : (float, float)
        Covers log Z in about 95 of 100 runs, if the chains have seen all regions that matter. The upper end, in reverse the
        lower one, is infinite for a single chain.
    ess : float
        Effective sample size, (sum w)^2 / sum w^2, from 1 to the number of chains; infinite where log_z is exact.
    log_weights : (n_chains,) float64 array
        log w of each chain; forward, log_z = log Z_0 + log mean w, reverse, log_z = log Z_0 - log mean 1/w. Empty where log_z is
        exact.
    is_bound : bool
        Whether log_z is a bound in expectation: a lower bound for forward chains, an upper bound for reverse chains.
    burn_in : int
        Gibbs steps before reverse chains begin; 0 for exact starts.
    n_steps : int
        Inverse temperatures of the chains; 0 where log_z is exact.
    is_exact : bool
        Whether log_z was computed by enumeration, so that there were no chains.
    """

    log_z: float
    std_error: float
    interval: tuple[float, float]
    ess: float
    log_weights: Doubles
    is_bound: bool
    burn_in: int
    n_steps: int
    is_exact: bool = False

    @property
    def half_width(self) -> float:
        """Half of the interval, in nats."""
        return (self.interval[1] - self.interval[0]) / 2


def exactly(log_z):
    """The `Estimate` of an exact log Z."""
    return Estimate(log_z, 0.0, (log_z, log_z), np.inf, np.empty(0), True, 0, 0, True)


def estimate(log_z_0, log_weights, sign, is_bound, burn_in, n_steps):
    """The `Estimate` of log weights; sign is 1 forward and -1 in reverse, where 1 / w is averaged."""
    logs, n = sign * log_weights, len(log_weights)
    w = np.exp(logs - logs.max())
    error = float(w.std(ddof=1) / np.sqrt(n) / w.mean()) if n > 1 else np.nan
    log_mean = float(np.log(w.mean()) + logs.max())
    low, high = sorted(float(log_z_0 + sign * end) for end in _interval(logs, log_mean, error))
    ess = float(w.sum() ** 2 / (w * w).sum())
    return Estimate(float(log_z_0 + sign * log_mean), error, (low, high), ess, log_weights, is_bound, burn_in, n_steps)


def _interval(logs, log_mean, error):
    """The interval of the log of the expected weight, from the log of the mean weight and its standard error."""
    n, lowest = len(logs), log_mean + np.log(TAIL)
    if n == 1:
        return lowest, np.inf
    t, variance = stdtrit(n - 1, 1 - TAIL), logs.var(ddof=1)
    centre, half, chance = logs.mean() + variance / 2, variance / 2, t * np.sqrt(variance / n)
    below, above = (half * ((n - 1) / chdtri(n - 1, tail) - 1) for tail in (TAIL, 1 - TAIL))
    a = _skewness(np.exp(logs - logs.max())) / (6 * np.sqrt(n))
    t_above = t + a * (1 + 2 * t**2) + 4 * a**2 * (t + 2 * t**3)
    tail = _skewness(logs) * variance**1.5 / 6
    low = min(log_mean - t * error, centre - np.hypot(chance, below))
    high = max(log_mean + t_above * error, centre + tail + np.hypot(chance, above))
    return max(low, lowest), high


def _skewness(x):
    """The skewness of some numbers, 0 where it is to the left."""
    deviations = x - x.mean()
    return max(0.0, float(np.mean(deviations**3) / max(np.mean(deviations**2), 1e-300) ** 1.5))


def warn_of_few_chains(found):
    """Warn if few chains of an estimate count."""
    n = len(found.log_weights)
    if found.ess < FEW * n:
        warn(
            f"only {found.ess:.1f} of {n} chains count (ess). log Z is between {found.interval[0]:.2f} and "
            f"{found.interval[1]:.2f}, or outside if all chains miss a region. Raise n_steps (it was {found.n_steps}), or give "
            "training rows as X",
            EstimateWarning,
        )
