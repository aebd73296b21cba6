"""Softmax unit: a group of K of which exactly one is on, base = 0, cgf = log sum_k e^s_k, mean = softmax(s).

A draw inverts the cumulative distribution with one uniform (Salakhutdinov, Mnih, Hinton 2007).
"""

import numpy as np

from fastdbn.maths import scalar
from fastdbn.maths.scalar import ONE, ZERO, logsumexp
from fastdbn.units.unit import Unit


def mean(s, out):
    scalar.softmax(s, out)


def draw(mean, noise, out):
    left = noise
    chosen = len(mean) - 1
    for k in range(len(mean)):
        left -= mean[k]
        if left < ZERO:
            chosen = k
            break
    for k in range(len(mean)):
        out[k] = ONE if k == chosen else ZERO


def cgf(s):
    return logsumexp(s)


def base(x):
    return ZERO


def slope(mean, delta, out):
    inner = ZERO * mean[0]
    for k in range(len(mean)):
        inner += mean[k] * delta[k]
    for k in range(len(mean)):
        out[k] = mean[k] * (delta[k] - inner)


def link(mean):
    return np.log(mean)


def softmax(group=0):
    """Softmax units in groups of `group` neighbouring columns; 0 makes the whole layer one group.

    Raises
    ------
    ValueError
        for groups of one, which is always on.
    """
    if group == 1 or group < 0:
        raise ValueError(f"softmax({group!r}): give groups of at least 2 units, of which one is on")
    name = f"softmax:{group}" if group else "softmax"
    return Unit(name, mean, draw, cgf, base, slope, link, group=group, support="one-of", low=0.0, high=1.0)
