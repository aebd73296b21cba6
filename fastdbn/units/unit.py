"""The Unit record and the law that every unit type obeys.

With s = field + bias, the total input of a unit, a unit type is an exponential family

    p(x | s) = exp(s x - base(x) - cgf(s))        cgf(s) = log sum_x exp(s x - base(x)),  mean(s) = cgf'(s)

so that for any pair of unit types

    E(v, h) = sum base(v) + sum base(h) - b.v - c.h - v W h
    F(v)    = sum base(v) - b.v - sum_j cgf(c_j + (v W)_j)

and the gradients of W, b and c are the same for all. A unit type is one `Unit`: a few scalar functions written with
`fastdbn.maths.scalar`, which the backends compile. (Welling, Rosen-Zvi, Hinton 2004, "Exponential family harmoniums".)
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Columns start to stop of a layer, of one unit type; number is the number of the first one's noise, a multiple of 4."""

    unit: "Unit"
    start: int
    stop: int
    number: int = 0


class Unit(NamedTuple):
    """One unit type.

    With ``group == 1`` the functions act on one unit, on scalars. With a larger group they act on the vectors of a group
    of that many units (``group == 0``: the whole layer is one group) and write vectors into ``out``, which may be the input.

    Attributes
    ----------
    name : str
    mean : (s) -> mean, or (s, out) for groups
    draw : (s, mean, noise) -> state, or (mean, noise, out) for groups, where noise is one number; of units that make their own
        noise (mean, total, first, row, key, buffer, out), first the number of the group's noise, buffer 4 n numbers
    cgf : (s) -> log normaliser
    base : (x) -> base measure's energy of a state
    slope : (mean) -> d mean / d s, or (mean, delta, out) for groups: out = delta times the Jacobian; for back-propagation
    link : (mean array, clipped inside the range) -> s with that mean, in NumPy, for the initial visible bias
    noise : "uniform", "normal" or "none": what `draw` is given; "own": a row number and a key
    group : units in a group
    support : tuple of the two values that states take, or "real", "half-line", "integer", "one-of", "counts": tells a backend
        what it may keep as bits
    low, high : data outside of this range are refused for this unit
    learning_rate : customary learning rate of an RBM with such visible units (Hinton 2010, section 7)
    parameters : names of the unit's own parameters
    exact : False for approximate units, which the tests of the law skip
    """

    name: str
    mean: Callable
    draw: Callable
    cgf: Callable
    base: Callable
    slope: Callable
    link: Callable
    noise: str = "uniform"
    group: int = 1
    support: tuple[float, float] | str = "real"
    low: float = -np.inf
    high: float = np.inf
    learning_rate: float = 0.05
    parameters: tuple[str, ...] = ()
    exact: bool = True

    @property
    def keeps_total(self) -> bool:
        """True for count data: sampling preserves each row's total. Without states, means are per trial."""
        return self.support == "counts"

    @property
    def bounded(self) -> bool:
        """Whether states are bounded, so that the log normaliser grows no faster than s, and any pair with this unit has a Z."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high)) or self.keeps_total

    def parts(self, n: int) -> tuple[Part, ...]:
        """The one `Part` of a layer of n units."""
        return (Part(self, 0, n),)

    def group_size(self, n: int) -> int:
        """The units of one group in a layer of n."""
        return n if self.group == 0 else self.group
