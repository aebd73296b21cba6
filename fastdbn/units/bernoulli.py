"""Bernoulli unit: x in {0, 1}, base = 0, cgf = log(1 + e^s), mean = sigmoid(s)  (Smolensky 1986)."""

import numpy as np

from fastdbn.maths.scalar import ONE, ZERO, sigmoid, softplus
from fastdbn.units.unit import Unit


def mean(s):
    return sigmoid(s)


def draw(s, mean, noise):
    return ONE if noise < mean else ZERO


def cgf(s):
    return softplus(s)


def base(x):
    return ZERO


def slope(mean):
    return mean - mean * mean


def link(mean):
    return np.log(mean) - np.log1p(-mean)


bernoulli = Unit("bernoulli", mean, draw, cgf, base, slope, link, support=(0.0, 1.0), low=0.0, high=1.0)
