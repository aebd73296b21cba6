"""Exchanges of states between neighbours on a ladder of inverse temperatures: their order, and the logarithms that decide them.

The even rungs exchange with those above them first, then the odd ones. An exchange whose log odds exceed the logarithm of a
uniform is made. A training run draws those uniforms on the host, once for each minibatch.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.maths import rng


class Tempering(NamedTuple):
    """Persistent chains at inverse temperatures `betas` (M,), which fall from 1.

    beta (M n,) has those of all rows of chains: n at 1, then n at the next. swaps (2, M - 1) counts exchanges between neighbours,
    made and proposed. betas and swaps are host arrays, beta is a backend's.
    """

    betas: np.ndarray
    beta: Any
    swaps: np.ndarray


def lower_rungs(rungs):
    """The lower rung of each pair of neighbours, in the order in which they exchange."""
    return np.r_[0 : rungs - 1 : 2, 1 : rungs - 1 : 2]


def log_uniforms(seed, layer, step, rungs, chains):
    """(rungs - 1, chains): for each pair, in that order, and for each chain."""
    draw = rng.host_generator(seed, step, rng.stream(rng.SWAP, layer))
    return np.log1p(-draw.random((rungs - 1, chains)))
