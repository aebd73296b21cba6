"""Binomial unit: x in 0..n, base = -log C(n, x), cgf = n log(1 + e^s), mean = n sigmoid(s); n tied Bernoulli units
(Teh and Hinton 2001).

A draw inverts the cumulative distribution with one uniform, from 0 upwards, of x or of n - x, whichever is likely to be smaller.
"""

import functools

import numpy as np

from fastdbn.maths.scalar import ZERO, exp, log_factorial, sigmoid, softplus
from fastdbn.units.unit import Unit

MOST = 1000
"""The largest n: float64 holds the least probability that a draw begins with, 2^-n."""


@functools.cache
def binomial(n):
    """Binomial units of n trials; the record of one n is always the same.

    Raises
    ------
    ValueError
        if n is not in 1..1000.
    """
    if not 1 <= n <= MOST:
        raise ValueError(f"binomial({n!r}): give a number of trials from 1 to {MOST}")
    trials, whole = np.float32(n), float(n)

    def mean(s):
        return trials * sigmoid(s)

    def draw(s, mean, noise):
        t, left, x = -abs(np.float64(s)), np.float64(noise), 0.0
        odds, p = exp(t), exp(-whole * softplus(t))
        while left >= p and x < whole:
            left -= p
            p *= odds * (whole - x) / (x + 1.0)
            x += 1.0
        return whole - x if s > ZERO else x

    def cgf(s):
        return trials * softplus(s)

    def base(x):
        return log_factorial(x) + log_factorial(whole - x) - log_factorial(whole)

    def slope(mean):
        return mean - mean * mean / trials

    def link(mean):
        return np.log(mean) - np.log(n - mean)

    return Unit(
        f"binomial:{n}", mean, draw, cgf, base, slope, link, support="integer", low=0.0, high=whole, learning_rate=0.05 / n
    )
