"""A learning rate that is steered, so that |dW| / |W| nears 1e-3 (Hinton 2010, section 7)."""

from typing import ClassVar

import numpy as np

from fastdbn.maths.optim import steer
from fastdbn.support import checks
from fastdbn.training.options.option import Option


class SteeredRate(Option):
    fused = True
    minibatches = 100
    keeps: ClassVar = {"learning_rate": (1,)}
    exact = ("learning_rate",)

    @classmethod
    def of(cls, rbm, visible, hidden):
        return cls() if checks.is_auto(rbm.learning_rate) else None

    @classmethod
    def check_extras(cls, extras, visible):
        if not (extras.get("learning_rate", np.ones(1)) > 0).all():
            raise ValueError("learning_rate holds values that are not positive")

    def begin(self, state):
        start = state.extras.get("learning_rate")
        self.rate = self.training.settings.learning_rate if start is None else float(start[0])

    def begin_epoch(self, epoch):
        self.training.hyper = self.training.hyper._replace(learning_rate=self.rate)

    def after_call(self):
        run, norm = self.training, self.training.backend.norm
        # weights count as grown to an input of about one: small ones, as at first, would never grow
        length = max(norm(run.problem.params.W), len(run.problem.params.c) ** 0.5)
        self.rate = steer(self.rate, norm(run.problem.velocity.W) / length)
        self.begin_epoch(run.epochs)

    def state(self):
        return {"learning_rate": np.array([self.rate])}
