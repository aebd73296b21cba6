"""Dropped inputs: visible units of the data are dropped at random, at a rate that falls by a tenth with each epoch."""

from typing import ClassVar

import numpy as np

from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.training.options.option import Option


class DroppedInputs(Option):
    keeps: ClassVar = {"drop_rate": (1,)}
    exact = ("drop_rate",)

    def __init__(self, rate):
        self.rate = rate

    @classmethod
    def of(cls, rbm, visible, hidden):
        rate = checks.real(rbm.drop_rate, "drop_rate", below=1.0)
        return cls(rate) if rate else None

    @classmethod
    def check_extras(cls, extras, visible):
        if not (extras.get("drop_rate", np.zeros(1)) < 1).all():
            raise ValueError("drop_rate is 1 or more")

    def begin(self, state):
        v = self.training.problem.positive.v
        self.buffer = self.training.backend.states(self.training.layer.visible, len(v), len(state.params.b))
        self.rate = float(state.extras.get("drop_rate", [self.rate])[0])

    def positive(self, batch):
        backend = self.training.backend
        v = backend.part(self.buffer, 0, len(batch.rows))
        backend.mask(batch.positive.v, self.rate, batch.rows, batch.key(rng.DROPOUT), v)
        batch.positive = batch.positive._replace(v=v)

    def begin_epoch(self, epoch):
        self.rate *= 0.9

    def state(self):
        return {"drop_rate": np.array([self.rate])}
