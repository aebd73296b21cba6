"""Gaussian visible units that learn their variances, by way of units of variance one on data scaled by what was learned so far.

    E(v, h) = sum (v - b)^2 / 2 sigma^2 - sum_ij v_i W_ij h_j / sigma_i^2 - c.h,    z = log sigma^2    (Cho, Raiko, Ilin 2011)

is, with y = v / sigma, the machine of variance one with weights W / sigma and biases b / sigma and c. It is this machine that is
kept and run; with G its gradient by weights and biases, and D<.> the difference of both phases, those of W, b, c and z are

    G_W / sigma,    G_b / sigma,    G_c,    D<y^2> / 2 - b_y G_b - sum_j W_y G_W          (by rows)

The last one has the data's derivative by y in it and, from log p(v) = log p(y) - sum z / 2, a minus one half, which is what the
model's side of D is for: there the mean of y^2 - b_y y - sum_j W_y y h is one. Steps are those of W and b, written for W_y and
b_y. The care is that of Liao et al. 2022: a bound on the norm of the gradient, variances bounded from below, and a rate of their
own. The gradient is a mean over the minibatch, so that neither the bound nor the step depends on its size.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Params

LOWEST = float(np.log(1e-8))
"""The least log variance, in units of the variance of the data (Liao et al. 2022)."""
SHARE = 0.1
"""The learning rate of the log variances as a part of that of the weights, where none is given."""
NAMES = "log_variance", "log_variance_velocity"
"""Names of what is kept of a fit, beside `BASE`."""
BASE = "base_scale"
"""Name of the scale of the data before it was divided by the deviations that were learned."""


class Variance(NamedTuple):
    """log_variance z and its velocity, (nv,) float64 host arrays that steps change; room for a gradient; clip, the bound of its
    norm; share, the learning rate of z as a part of that of W."""

    log: Any
    velocity: Any
    gradient: Params
    clip: float
    share: float


def learns(unit):
    """Whether a visible unit's variance is learned."""
    return "log_variance" in unit.parameters


def start(unit, scaling, binarize):
    """What is kept of a fit that begins: log variances of 0 on the given scaling, or nothing where none are learned."""
    if not learns(unit):
        return {}
    if binarize is not None:
        raise ValueError(f"visible={unit.name!r} learns the scale of reals, and binarize={binarize!r} leaves none: give None")
    zero = np.zeros(len(scaling.scale))
    return {NAMES[0]: zero, NAMES[1]: zero, BASE: scaling.scale}


def scaled(scaling, kept, learned=True):
    """A scaling with the deviations that were learned, or without them; as it is where none were."""
    if BASE not in kept:
        return scaling
    return scaling._replace(scale=kept[BASE] * np.exp(-0.5 * kept[NAMES[0]]) if learned else kept[BASE])


def check_hidden(unit):
    """Refuse hidden units that learn their variance."""
    if learns(unit):
        raise ValueError(f"hidden={unit.name!r}: variances are learned of visible units; give hidden='gaussian'")


def scale(backend, variance, v):
    """Visible states of the data's scale become those of the machine, in place."""
    backend.scale_columns(v, backend.array(np.exp(-0.5 * variance.log)))


def slopes(backend, params, gradient, positive, negative, positive_scale, negative_scale):
    """(nv,) float64: the gradient by the log variances, where `gradient` is that of the machine of variance one."""
    data, model, rows = (np.empty(len(params.b)) for _ in range(3))
    backend.square_sums(positive.v, positive.weight, data)
    backend.square_sums(negative.v, negative.weight, model)
    backend.dot(params.W, gradient.W, rows)
    biases = backend.to_host(params.b).astype(np.float64) * backend.to_host(gradient.b)
    return 0.5 * (positive_scale * data - negative_scale * model) - biases - rows


def update(backend, params, velocity, variance, positive, negative, positive_scale, negative_scale, hyper):
    """The step of one minibatch: parameters, velocities and log variances."""
    g, z = variance.gradient, variance.log
    backend.statistics(positive, negative, positive_scale, negative_scale, g)
    dz = slopes(backend, params, g, positive, negative, positive_scale, negative_scale)
    over = np.exp(-0.5 * z)

    def by_rows(factors, *buffers):
        for x in buffers:
            backend.scale_rows(x, backend.array(factors))

    by_rows(over, g.W, g.b)
    length = np.sqrt(sum(backend.norm(x) ** 2 for x in g) + dz @ dz)
    kept = min(1.0, variance.clip / max(length, 1e-30))
    by_rows(over * kept, g.W, g.b)
    by_rows(np.full(len(g.c), kept), g.c)
    backend.move(params, velocity, g, hyper)
    variance.velocity[:] = hyper.momentum * variance.velocity + variance.share * hyper.learning_rate * kept * dz
    after = np.maximum(z + variance.velocity, LOWEST)
    by_rows(np.exp(0.5 * (z - after)), params.W, params.b, velocity.W, velocity.b)
    z[:] = after
