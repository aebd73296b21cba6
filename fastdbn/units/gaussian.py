"""Gaussian unit of variance one: x real, base = x^2 / 2 + log(2 pi) / 2, cgf = s^2 / 2, mean = s  (Welling et al. 2004).

Data of another scale are standardised first. The learning rate is small, because nothing bounds a reconstruction
(Hinton 2010, section 13.2).
"""

import numpy as np

from fastdbn.maths.scalar import HALF, LOG_2PI, ONE
from fastdbn.units.unit import Unit

_HIGH = np.float32(LOG_2PI / 2)
_LOW = np.float32(LOG_2PI / 2 - float(_HIGH))  # together they are exact in float64 and do not widen float32


def mean(s):
    return s


def draw(s, mean, noise):
    return mean + noise


def cgf(s):
    return HALF * s * s


def base(x):
    return HALF * x * x + _LOW + _HIGH


def slope(mean):
    return ONE


def link(mean):
    return mean


gaussian = Unit("gaussian", mean, draw, cgf, base, slope, link, noise="normal", learning_rate=0.005)
gaussian_variance = gaussian._replace(name="gaussian-variance", parameters=("log_variance",))
"""Visible units that learn their variances (variance.py); once data are scaled by these, they are the units above."""
