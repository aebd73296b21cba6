"""The parameters that training begins with, and whether parameters define a distribution at all."""

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.maths import rng

INIT_SCALE = 0.01
"""Standard deviation of the initial weights (Hinton 2010, section 8)."""
SMOOTHING = 0.05
"""How much the means of bounded units without weights are pulled to the middle of the range, because every state of a model must
be likely enough under them."""


def init_params(dtype, visible, nv, nh, seed, layer, visible_mean):
    """Initial parameters as host arrays: W ~ N(0, 0.01^2), b with the data's means, c = 0.

    Parameters
    ----------
    dtype : NumPy type
    visible : Unit
    nv, nh, seed, layer : int
    visible_mean : (nv,) array
        the data's column means, already inside the unit's range.
    """
    draw = rng.host_generator(seed, 0, rng.stream(rng.INIT, layer))
    W = draw.standard_normal((nv, nh)) * INIT_SCALE
    return Params(W.astype(dtype), visible.link(visible_mean).astype(dtype), np.zeros(nh, dtype))


def center(backend, visible, hidden, params):
    """Host parameters of the machine whose *centred* biases are b and c, and the offsets: the means at those biases.

    With offsets v and h the plain biases are b - W h and c - W' v (Melchior, Fischer, Wiskott 2016).

    Returns
    -------
    params : Params
    offsets : (v (nv,), h (nh,))
    """
    W, biases = backend.constant(params.W), params[1:]
    v, h = means = [backend.zeros(1, len(bias)) for bias in biases]
    fields = [backend.zeros(1, len(bias)) for bias in biases]
    for unit, bias, mean in zip((visible, hidden), biases, means, strict=True):
        backend.activate(unit, backend.constant(bias), mean)
    backend.field(h, W, fields[0], transpose=True)
    backend.field(v, W, fields[1])
    b, c = (bias - backend.to_host(field)[0] for bias, field in zip(biases, fields, strict=True))
    return Params(params.W, b, c), tuple(backend.to_host(mean)[0] for mean in means)


def middle(unit, n):
    """The middle of the range of n units; in groups the mean at which all of them are equally probable."""
    return 1 / unit.group_size(n) if unit.support == "one-of" else (unit.low + unit.high) / 2


def base_of_means(unit, mean, n):
    """Biases of units that have some means and no weights.

    Means of bounded units are pulled to the middle of the range by `SMOOTHING`, those of others as by `smoothed_mean`. So no
    state is improbable.

    Parameters
    ----------
    unit : Unit or Mixed
    mean : (n_units,) array
    n : int
        The rows that the means are of.

    Returns
    -------
    (n_units,) float64 array
    """
    mean = np.array(mean, np.float64)
    for part, start, stop, _ in unit.parts(len(mean)):
        own = mean[start:stop]
        if np.isfinite(part.low + part.high):
            mean[start:stop] = (1 - SMOOTHING) * own + SMOOTHING * middle(part, stop - start)
        else:
            mean[start:stop] = smoothed_mean(part, own, n)
    return unit.link(mean)


def log_z_without_weights(backend, visible, hidden, b, c):
    """log Z of a machine that has host biases b and c alone: the sum of their cgf."""
    total = 0.0
    for unit, bias in ((visible, b), (hidden, c)):
        out = np.empty(1)
        backend.cgf(unit, backend.constant(bias), backend.zeros(1, len(bias)), out)
        total += float(out[0])
    return total


def learns_variance(unit):
    """Whether a visible unit's variance is learned."""
    return "log_variance" in unit.parameters


def smoothed_mean(unit, mean, n):
    """Column means, pulled inside a unit's range by half a count at each end, so that the bias of a constant column is finite."""
    mean = np.array(mean, np.float64)
    for part, start, stop, _ in unit.parts(len(mean)):
        if np.isfinite(part.low):
            width = part.high - part.low if np.isfinite(part.high) else 1.0
            mean[start:stop] = part.low + width * ((mean[start:stop] - part.low) / width * n + 0.5) / (n + 1.0)
    return mean


def unbounded_norm(visible, hidden, W):
    """The spectral norm of the weights between units whose states nothing bounds; 0.0 where there are no such on one side.

    exp(-E) has a finite integral for any weights if the states of one side are bounded. Else, where base grows like x^2 / 2 on
    both sides (Gaussian and rectified units), it has one if this norm is below 1: v W h <= |W| (|v|^2 + |h|^2) / 2. Between
    Gaussian units that is necessary too.

    Parameters
    ----------
    visible, hidden : Unit
    W : (nv, nh) host array
    """
    rows = np.concatenate([np.full(stop - start, not unit.bounded) for unit, start, stop, _ in visible.parts(len(W))])
    if hidden.bounded or not rows.any():
        return 0.0
    between = W[rows].astype(np.float64)
    return float(np.linalg.norm(between, 2)) if np.isfinite(between).all() else np.inf
