"""Gaussian visible units that learn their variances, as units of variance one on data scaled by what was learned so far.

    E(v, h) = sum (v - b)^2 / 2 sigma^2 - sum_ij v_i W_ij h_j / sigma_i^2 - c.h,    z = log sigma^2    (Cho, Raiko, Ilin 2011)

is, with y = v / sigma, the machine of variance one with weights W / sigma and biases b / sigma and c. This machine is kept and
run. Let G be its gradient by weights and biases, and D<.> the difference between data and chains. Then W, b, c and z have the
gradients

    G_W / sigma,    G_b / sigma,    G_c,    D<y^2> / 2 - b_y G_b - sum_j W_y G_W          (by rows)

The last one holds the derivative of the data by y. From log p(v) = log p(y) - sum z / 2 it also has minus one half, which the
chains' part of D supplies: there the mean of y^2 - b_y y - sum_j W_y y h is one. Steps are those of W and b, written for W_y and
b_y. Liao et al. 2022 say what care they need: a bound on the norm of the gradient, variances bounded from below, and a rate of
their own. The gradient is a mean over the minibatch, so that neither the bound nor the step depends on its size.
"""

from typing import ClassVar

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.machine.initial import learns_variance
from fastdbn.support import checks
from fastdbn.training.options.option import VISIBLE, Option

LOWEST = float(np.log(1e-8))
"""The least log variance, in units of the variance of the data (Liao et al. 2022)."""
LOG, VELOCITY, BASE = "log_variance", "log_variance_velocity", "base_scale"
"""Names of what a fit keeps; the last is the scale of the data before the learned deviations divided it."""


class LearnedVariances(Option):
    """Log variances `log` and their `velocity`, (nv,) float64 host arrays; `clip` bounds the norm of the gradient, and `share` is
    their learning rate as a part of that of the weights."""

    keeps: ClassVar = {LOG: (VISIBLE,), VELOCITY: (VISIBLE,), BASE: (VISIBLE,)}
    exact = (LOG, VELOCITY, BASE)

    def __init__(self, clip, share):
        self.clip, self.share = clip, share

    @classmethod
    def of(cls, rbm, visible, hidden):
        clip, share = checks.real(rbm.clip_norm, "clip_norm"), checks.real(rbm.variance_rate, "variance_rate")
        if learns_variance(hidden):
            raise ValueError(f"hidden={hidden.name!r}: variances are learned of visible units; give hidden='gaussian'")
        if visible is None or not learns_variance(visible):
            return None
        if rbm.binarize not in (None, "mean"):
            raise ValueError(
                f"visible={visible.name!r} is for real numbers, and binarize={rbm.binarize!r} leaves none: give binarize=None"
            )
        return cls(clip, share)

    @classmethod
    def check_extras(cls, extras, visible):
        super().check_extras(extras, visible)
        if (BASE in extras) != learns_variance(visible):
            raise ValueError(f"{', '.join(cls.keeps)} are lacking, or do not belong to {visible.name} units")
        if not (extras.get(BASE, np.ones(1)) > 0).all():
            raise ValueError(f"{BASE} holds values that are not positive")

    def initial(self, backend, visible, hidden, params, scaling):
        zero = np.zeros(len(scaling.scale))
        return params, {LOG: zero, VELOCITY: zero, BASE: scaling.scale}

    def begin(self, state):
        self.log, self.velocity = (np.array(state.extras[name], np.float64) for name in (LOG, VELOCITY))
        self.base = state.extras[BASE]
        self.gradient_buffer = Params(*(self.training.backend.zeros(*x.shape) for x in state.params))

    def positive(self, batch):
        self.scale(batch.positive.v)

    def scale(self, v):
        """Visible states of the data's scale become those of the machine, in place."""
        backend = self.training.backend
        backend.scale(v, backend.array(np.exp(-0.5 * self.log)), columns=True)

    def step(self, batch):
        """The step of parameters, velocities and log variances."""
        backend, problem, hyper = self.training.backend, self.training.problem, self.training.hyper
        params, velocity, g, z = problem.params, problem.velocity, self.gradient_buffer, self.log
        backend.statistics(*batch.phases, g)
        dz = self._slopes(batch, params, g)
        over = np.exp(-0.5 * z)

        def by_rows(factors, *buffers):
            for x in buffers:
                backend.scale(x, backend.array(factors))

        by_rows(over, g.W, g.b)
        length = np.sqrt(sum(backend.norm(x) ** 2 for x in g) + dz @ dz)
        kept = min(1.0, self.clip / max(length, 1e-30))
        by_rows(over * kept, g.W, g.b)
        by_rows(np.full(len(g.c), kept), g.c)
        backend.move(params, velocity, g, hyper)
        self.velocity[:] = hyper.momentum * self.velocity + self.share * hyper.learning_rate * kept * dz
        after = np.maximum(z + self.velocity, LOWEST)
        by_rows(np.exp(0.5 * (z - after)), params.W, params.b, velocity.W, velocity.b)
        z[:] = after
        return True

    def _slopes(self, batch, params, gradient):
        """(nv,) float64: the gradient by the log variances, where `gradient` is that of the machine of variance one."""
        backend, (positive, negative, (data_scale, chain_scale)) = self.training.backend, batch.phases
        data, model, rows = (np.empty(len(params.b)) for _ in range(3))
        backend.square_sums(positive.v, positive.weight, data)
        backend.square_sums(negative.v, negative.weight, model)
        backend.dot(params.W, gradient.W, rows)
        biases = backend.to_host(params.b).astype(np.float64) * backend.to_host(gradient.b)
        return 0.5 * (data_scale * data - chain_scale * model) - biases - rows

    def watch(self, rows, machine, epoch):
        """Errors are measured on the scale of the data."""
        self.scale(rows.v)
        rows.unit = np.exp(self.log)

    def state(self):
        return {LOG: self.log.copy(), VELOCITY: self.velocity.copy(), BASE: self.base}


def learned_scaling(scaling, extras):
    """A scaling with the deviations that were learned; as it is where none were."""
    return scaling._replace(scale=extras[BASE] * np.exp(-0.5 * extras[LOG])) if BASE in extras else scaling


def base_scaling(scaling, extras):
    """A scaling without the deviations that were learned."""
    return scaling._replace(scale=extras[BASE]) if BASE in extras else scaling
