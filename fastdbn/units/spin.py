"""Spin unit: x in {-1, 1}, base = 0, cgf = log(2 cosh s), mean = tanh(s)  (Ising)."""

import numpy as np

from fastdbn.maths.scalar import ONE, ZERO, softplus, tanh
from fastdbn.units.unit import Unit


def mean(s):
    return tanh(s)


def draw(s, mean, noise):
    return ONE if noise + noise - ONE < mean else -ONE


def cgf(s):
    return softplus(s + s) - s


def base(x):
    return ZERO


def slope(mean):
    return ONE - mean * mean


def link(mean):
    return np.arctanh(mean)


spin = Unit("spin", mean, draw, cgf, base, slope, link, support=(-1.0, 1.0), low=-1.0, high=1.0, learning_rate=0.02)
