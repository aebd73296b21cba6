"""Noisy inputs of back-propagation. A network that undoes the noise is a denoising autoencoder (Vincent et al. 2008, 2010).

    masking            x_j = 0                 with probability level
    salt-and-pepper    x_j = low_j or high_j   with probability level / 2 each
    gaussian           x_j = x_j + level e     e ~ N(0, 1)

These act on visible states, that is on the data after their scaling. So a level of 0.25 is a quarter of the range of data that
are scaled to [0, 1], and a quarter of the standard deviation of standardised columns.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdbn.maths import rng
from fastdbn.support.checks import shown
from fastdbn.units.unit import Unit

ALWAYS = 2**32 - 1
"""A step that no minibatch has: that of noise which does not change."""


def _masking(x, draw, level, low, high):
    return np.where(draw.random(x.shape, np.float32) < level, x.dtype.type(0), x)


def _salt_and_pepper(x, draw, level, low, high):
    u = draw.random(x.shape, np.float32)
    return np.where(u < level, np.where(u < level / 2, low, high), x)


def _gaussian(x, draw, level, low, high):
    return x + level * draw.standard_normal(x.shape, np.float32)


KINDS = {"masking": _masking, "salt-and-pepper": _salt_and_pepper, "gaussian": _gaussian}
"""Noise by name: functions of states (n, nv), a NumPy generator, a level, and the ends of all columns (nv,) each."""


def by_function(x, draw, function, scaling):
    """Noise of the user's own: function (rows on the scale of the data, NumPy generator) -> rows."""
    noisy = np.asarray(function(scaling.invert(x), draw))
    if noisy.shape != x.shape or noisy.dtype.kind not in "fiub" or not np.isfinite(noisy).all():
        raise ValueError(
            f"noise={shown(function)} made rows of shape {noisy.shape} and type {noisy.dtype} of {x.shape} rows: let it "
            "return finite numbers, one for each that it was given"
        )
    return noisy if scaling.scale is None else (noisy - scaling.shift) * scaling.scale


@dataclass
class Inputs(abc.ABC):
    """Noisy inputs for clean ones.

    Parameters
    ----------
    backend : Backend
    unit : Unit
        of the inputs.
    width : int
        Number of inputs.
    seed : int
    """

    backend: Any
    unit: Unit
    width: int
    seed: int

    @abc.abstractmethod
    def __call__(self, clean, rows, epoch, step):
        """A buffer of the noisy inputs of a minibatch, given the clean ones and the rows' numbers, all of them the backend's."""

    def held_out(self, data, rows):
        """Noisy inputs of some rows of the clean data, a host array: the same in every epoch."""
        b, clean = self.backend, self.backend.states(self.unit, len(rows), self.width)
        numbers = b.array(rows)
        b.load_rows(data, numbers, rng.key(self.seed, 0, rng.stream(rng.DATA)), clean)
        return b.to_host(self(clean, numbers, 0, ALWAYS))


@dataclass
class Drawn(Inputs):
    """Inputs that a function makes of clean ones, anew in each minibatch.

    Parameters
    ----------
    backend, unit, width, seed : as for `Inputs`
    corrupt : callable of (states (n, width), NumPy generator)
        It returns states (n, width).
    ends : (low, high), numbers or (width,) arrays
        What lies outside is clipped, as it is where a fitted model is used.
    """

    corrupt: Callable
    ends: Any

    def __call__(self, clean, rows, epoch, step):
        x = self.backend.to_host(clean)
        noisy = self.corrupt(x, rng.host_generator(self.seed, step, rng.stream(rng.DROPOUT)))
        return self.backend.states(self.unit, *x.shape, np.clip(noisy, *self.ends).astype(x.dtype))


@dataclass
class Given(Inputs):
    """Inputs that are the backend's data, a noisy row for each clean one.

    Parameters
    ----------
    backend, unit, width, seed : as for `Inputs`
    data : the backend's data
    """

    data: Any

    def __call__(self, clean, rows, epoch, step):
        noisy = self.backend.states(self.unit, len(rows), self.width)
        self.backend.load_rows(self.data, rows, rng.key(self.seed, epoch, rng.stream(rng.DATA)), noisy)
        return noisy
