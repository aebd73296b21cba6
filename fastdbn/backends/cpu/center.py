"""Centring of the update: offsets that follow the means of both layers, and what they take from the step.

With offsets mu (visible) and la (hidden), and the steps s_v and s_h that the gradient gives to the biases,

    velocity_W -= mu s_h' + s_v la'        then        b -= velocity_W la,    c -= velocity_W' mu

The second half keeps the parameters those of a plain machine: with W alone moving, the biases of the centred energy
(v - mu)' W (h - la) + (v - mu)' b~ + (h - la)' c~ would stay. (Montavon and Mueller 2012; Melchior, Fischer, Wiskott 2016.)
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.simd import STRIP


class Centre(NamedTuple):
    """Offsets v (nv,) and h (nh,), the biases' steps step_v and step_h before momentum, and rows (strips, nv): what each strip
    of columns takes from the visible biases."""

    v: Any
    h: Any
    step_v: Any
    step_h: Any
    rows: Any


class Slide(NamedTuple):
    """Whether the update is centred, and how offsets move: -rate offset + positive (sum of data) + negative (sum of chains)."""

    on: bool
    rate: Any
    positive: Any
    negative: Any


def make_centre(nv, nh, dtype, offsets=None, buffer=np.zeros):
    """A `Centre` for layers of so many units, around offsets (v, h) where they are given."""
    v, h = (buffer(nv, dtype), buffer(nh, dtype)) if offsets is None else offsets
    return Centre(v, h, buffer(nv, dtype), buffer(nh, dtype), buffer((-(-nh * dtype.itemsize // STRIP), nv), dtype))


@inlinable
def set_steps(positive, negative, scales, slide, steps, offsets):
    """The steps of some biases, and the moves of their offsets, by the sums of both phases' states."""
    positive_scale, negative_scale = scales
    for i in range(len(steps)):
        steps[i] = positive_scale * positive[i] - negative_scale * negative[i]
    if slide.on:
        for i in range(len(steps)):
            offset = offsets[i] - slide.rate * offsets[i]
            offset += (
                slide.positive * positive[i]
            )  # one product a sum: of two the compiler may fuse either, which rounds differently
            offsets[i] = offset + slide.negative * negative[i]


@inlinable
def copy_strip(x, j, columns, strip):
    """Columns of x from j on into a strip, which is zero beyond them."""
    for e in range(len(strip)):
        strip[e] = 0
    for e in range(columns):
        strip[e] = x[j + e]
