"""Noisy rectified linear unit: x = max(0, s + N(0, sigmoid(s))), an approximation  (Nair and Hinton 2010, section 2).

It stands for infinitely many Bernoulli units with the same weights and biases lower by 1/2, 3/2, 5/2, ..., whose number on has
about the mean softplus(s) and the cgf -Li2(-e^s), its integral. Only the draw is not theirs: its mean is lower by up to 0.42,
near s = 0. As visible units they get the base measure of `rectified`, which is right for large x.
"""

import numpy as np

from fastdbn.maths.scalar import HALF, ONE, ZERO, exp, sigmoid, softplus, softplus_integral, sqrt
from fastdbn.units.unit import Unit


def mean(s):
    return softplus(s)


def draw(s, mean, noise):
    x = s + noise * sqrt(sigmoid(s))
    return x if x > ZERO else x - x  # zero, but what is not a number stays so


def cgf(s):
    return softplus_integral(s)


def base(x):
    return HALF * x * x


def slope(mean):
    return ONE - exp(-mean)


def link(mean):
    return mean + np.log(-np.expm1(-mean))


noisy_relu = Unit(
    *("noisy-relu", mean, draw, cgf, base, slope, link),
    noise="normal",
    support="half-line",
    low=0.0,
    learning_rate=0.005,
    exact=False,
)
