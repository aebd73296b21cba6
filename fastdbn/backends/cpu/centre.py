"""What a centred step keeps beside the parameters, and what it takes from the biases at its end.

Where the gradient is centred, offsets mu (visible) and la (hidden) follow the means of both layers. With the steps s_v and s_h
that the gradient gives to the biases,

    velocity_W -= mu s_h' + s_v la'        then        b -= velocity_W la,    c -= velocity_W' mu

The second half keeps the parameters those of a plain machine: with W alone moving, the biases of the centred energy
(v - mu)' W (h - la) + (v - mu)' b~ + (h - la)' c~ would stay. (Montavon and Mueller 2012; Melchior, Fischer, Wiskott 2016.)
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.simd import STRIP

BLOCK = 16
"""Visible units whose part of a sum over a column of W is added up apart; threads share out W by so many rows. A thread copies
strips of the hidden means in about the time of a block's step."""


class Slide(NamedTuple):
    """Whether the update is centred, and how offsets move: -rate offset + positive (sum of data) + negative (sum of chains)."""

    on: bool
    rate: Any
    positive: Any
    negative: Any


class Centre(NamedTuple):
    """Offsets v (nv,) and h (nh,), the biases' steps step_v and step_h before momentum, and what the velocity of W takes from
    them: rows (strips, nv), each strip of columns from the visible biases, and columns (blocks, nh), each block of `BLOCK` rows
    from the hidden biases."""

    v: Any
    h: Any
    step_v: Any
    step_h: Any
    rows: Any
    columns: Any


def make_centre(nv, nh, dtype, offsets=None, zeros=np.zeros):
    """A `Centre` for layers of so many units, around offsets (v, h) where they are given."""
    v, h = (zeros(nv, dtype), zeros(nh, dtype)) if offsets is None else offsets
    rows, columns = zeros((-(-nh * dtype.itemsize // STRIP), nv), dtype), zeros((-(-nv // BLOCK), nh), dtype)
    return Centre(v, h, zeros(nv, dtype), zeros(nh, dtype), rows, columns)


@inlinable
def _take(parts, first, x):
    """x less the columns from `first` on of each of the parts, one after the other."""
    for s in range(len(parts)):
        part = parts[s, first : first + len(x)]
        for i in range(len(x)):
            x[i] -= part[i]


@inlinable
def center_visible(params, centre, i0, i1):
    """What a centred step takes from the visible biases i0 to i1, after the step of all of W."""
    _take(centre.rows, i0, params.b[i0:i1])


@inlinable
def center_hidden(params, centre, j0, j1):
    """What it takes from the hidden biases j0 to j1, after the step of all of W."""
    _take(centre.columns, j0, params.c[j0:j1])
