"""Exchanges of states between neighbours on a ladder of inverse temperatures: their order, and the logarithms that decide them.

The even rungs exchange with those above them first, then the odd ones. An exchange whose log odds exceed the logarithm of a
uniform is made. A training run draws those uniforms on the host, once for each minibatch.
"""

import numpy as np

from fastdbn.maths import rng


def lower_rungs(rungs):
    """The lower rung of each pair of neighbours, in the order in which they exchange."""
    return np.r_[0 : rungs - 1 : 2, 1 : rungs - 1 : 2]


def log_uniforms(seed, layer, step, rungs, chains):
    """(rungs - 1, chains): for each pair, in that order, and for each chain."""
    draw = rng.host_generator(seed, step, rng.stream(rng.SWAP, layer))
    return np.log1p(-draw.random((rungs - 1, chains)))
