"""Replicas of parallel tempering, as `Backend.tempered_sweeps` takes them: n chains at each of M inverse temperatures.

`tempered_sweeps(replicas, first, steps, logs)` makes sweeps of sampling/tempering.py from number `first` on. steps (T,) uint32
are numbers of replica 0's Gibbs steps. logs (pairs of all sweeps, n) are logarithms of uniforms, and it returns the log odds of
the exchanges, a host array of the same shape.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.units.mixed import Mixed
from fastdbn.units.unit import Unit


class Replicas(NamedTuple):
    """M replicas of n chains each.

    betas are host float64, at M buffers (n,) of them, bias M buffers of the visible units; W and c are of all. toward (nv,)
    is b less the base. v and mean (M n, nv), h and field (M n, nh) have one replica's rows after another's. rows (n,) number the
    chains; key is a callable of (purpose, Gibbs step).
    """

    visible: Unit | Mixed
    hidden: Unit
    W: Any
    c: Any
    bias: list
    betas: np.ndarray
    at: list
    toward: Any
    v: Any
    mean: Any
    h: Any
    field: Any
    rows: Any
    key: Any
