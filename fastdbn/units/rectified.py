"""Rectified unit, a Gaussian on the half-line: x >= 0, base = x^2 / 2, with phi and Phi of the standard normal

    cgf = log(sqrt(pi / 2) erfcx(-s / sqrt 2)) = s^2 / 2 + log(sqrt(2 pi) Phi(s)),    mean = s + phi(s) / Phi(s)

(Cho, Jin, Ning, Kan 2004, "Continuous restricted Boltzmann machine", and many since as the truncated Gaussian.) All is by
`scalar.excess`, so that nothing cancels or underflows where s is far below zero: there the unit is nearly exponential.
"""

import numpy as np
from scipy.special import erfcx

from fastdbn.maths.scalar import HALF, LOG_2PI, ONE, TWO, ZERO, density, excess, log, tail_quantile
from fastdbn.units.unit import Unit

_SMALL = np.float32(0.01)


def mean(s):
    t = abs(s)
    m = excess(t)
    phi = density(t)
    return s + phi / (ONE - phi / (m + t)) if s > ZERO else m


def draw(s, mean, noise):
    """Inversion of the cumulative distribution, in each half of the Gaussian from its middle outwards, for precision."""
    t = abs(s)
    tail = density(t) / (mean + t if s <= ZERO else excess(t) + t)  # Phi(-t)
    below = tail + noise * (ONE - tail)  # for s > 0, Phi(x - s)
    upper = below > ONE - below
    nearer = ONE - below if upper else below
    e = -log(ONE - noise if s <= ZERO else nearer + nearer)
    x = tail_quantile(t if s <= ZERO else t - t, max(e, e - e))
    x = x if s <= ZERO else (s + x if upper else s - x)
    return x if x > ZERO else x - x  # zero, but what is not a number stays so


def cgf(s):
    y = np.float64(s)
    t = abs(y)
    hazard = excess(t) + t
    return 0.5 * y * y + 0.5 * LOG_2PI + log(1.0 - density(t) / hazard) if y > 0.0 else -log(hazard)


def base(x):
    return HALF * x * x


def slope(mean):
    """1 + s mean - mean^2, where s has that mean, by three steps of Newton from what is right at both ends."""
    square = mean * mean
    s = mean - ONE / mean + mean / (ONE + square)
    for _ in range(3):
        t = abs(s)
        m, phi = excess(t), density(t)
        m = s + phi / (ONE - phi / (m + t)) if s > ZERO else m
        s -= (m - mean) / (ONE + s * m - m * m)
    return square - TWO * square * square if mean < _SMALL else ONE + s * mean - square


def link(mean):
    s = mean - 1.0 / mean + mean / (1.0 + mean * mean)
    for _ in range(4):
        m = s + np.sqrt(2.0 / np.pi) / erfcx(-s / np.sqrt(2.0))
        s = np.where(mean < _SMALL, s, s - (m - mean) / (1.0 + s * m - m * m))
    return s


rectified = Unit("rectified", mean, draw, cgf, base, slope, link, support="half-line", low=0.0, learning_rate=0.005)
