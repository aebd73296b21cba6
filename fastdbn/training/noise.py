"""Noisy inputs of back-propagation. A network that undoes the noise is a denoising autoencoder (Vincent et al. 2008, 2010).

    masking            x_j = 0                 with probability level
    salt-and-pepper    x_j = low_j or high_j   with probability level / 2 each
    gaussian           x_j = x_j + level e     e ~ N(0, 1)

These act on visible states, that is on the data after their scaling. So a level of 0.25 is a quarter of the range of data that
are scaled to [0, 1], and a quarter of the standard deviation of standardised columns.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastdbn.inputs.data import Scaling
from fastdbn.maths import rng
from fastdbn.support.checks import shown

ALWAYS = 2**32 - 1
"""A step that no minibatch has: that of noise which does not change."""


def _masking(x, level, low, high, draw):
    return np.where(draw.random(x.shape, np.float32) < level, x.dtype.type(0), x)


def _salt_and_pepper(x, level, low, high, draw):
    u = draw.random(x.shape, np.float32)
    return np.where(u < level, np.where(u < level / 2, low, high), x)


def _gaussian(x, level, low, high, draw):
    return x + level * draw.standard_normal(x.shape, np.float32)


KINDS = {"masking": _masking, "salt-and-pepper": _salt_and_pepper, "gaussian": _gaussian}
"""Noise by name: functions of states (n, nv), a level, the ends of all columns (nv,) each, and a NumPy generator."""


class ByName(NamedTuple):
    """Noise of `KINDS`: a function of visible states and a NumPy generator. low and high are the ends of the columns."""

    kind: str
    level: float
    low: np.ndarray
    high: np.ndarray

    def __call__(self, x, draw):
        return KINDS[self.kind](x, self.level, self.low, self.high, draw)


class ByFunction(NamedTuple):
    """Noise of the user's own: function (rows on the scale of the data, NumPy generator) -> rows."""

    function: Callable
    scaling: Scaling

    def __call__(self, x, draw):
        noisy = np.asarray(self.function(self.scaling.invert(x), draw))
        if noisy.shape != x.shape or noisy.dtype.kind not in "fiub" or not np.isfinite(noisy).all():
            raise ValueError(
                f"noise={shown(self.function)} made rows of shape {noisy.shape} and type {noisy.dtype} of {x.shape} rows: let it "
                "return finite numbers, one for each that it was given"
            )
        return noisy if self.scaling.scale is None else (noisy - self.scaling.shift) * self.scaling.scale


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

    def __init__(self, backend, unit, width, seed):
        self.backend, self.unit, self.width, self.seed = backend, unit, width, seed

    @abc.abstractmethod
    def __call__(self, clean, rows, epoch, step):
        """A buffer of the noisy inputs of a minibatch, given the clean ones and the rows' numbers, all of them the backend's."""

    def held_out(self, data, rows):
        """Noisy inputs of some rows of the clean data, a host array: the same in every epoch."""
        b, clean = self.backend, self.backend.states(self.unit, len(rows), self.width)
        numbers = b.array(rows)
        b.load_rows(data, numbers, rng.key(self.seed, 0, rng.stream(rng.DATA)), clean)
        return b.to_host(self(clean, numbers, 0, ALWAYS))


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

    def __init__(self, backend, unit, width, seed, corrupt, ends):
        super().__init__(backend, unit, width, seed)
        self.corrupt, self.ends = corrupt, ends

    def __call__(self, clean, rows, epoch, step):
        x = self.backend.to_host(clean)
        noisy = self.corrupt(x, rng.host_generator(self.seed, step, rng.stream(rng.DROPOUT)))
        return self.backend.states(self.unit, *x.shape, np.clip(noisy, *self.ends).astype(x.dtype))


class Given(Inputs):
    """Inputs that are the backend's data, a noisy row for each clean one.

    Parameters
    ----------
    backend, unit, width, seed : as for `Inputs`
    data : the backend's data
    """

    def __init__(self, backend, unit, width, seed, data):
        super().__init__(backend, unit, width, seed)
        self.data = data

    def __call__(self, clean, rows, epoch, step):
        noisy = self.backend.states(self.unit, len(rows), self.width)
        self.backend.load_rows(self.data, rows, rng.key(self.seed, epoch, rng.stream(rng.DATA)), noisy)
        return noisy
