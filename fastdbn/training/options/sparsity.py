"""Sparsity: the hidden units' running mean activity is drawn to a target (Hinton 2010, section 11)."""

from typing import ClassVar

import numpy as np

from fastdbn.backends import protocol
from fastdbn.maths.optim import LARGEST
from fastdbn.support import checks
from fastdbn.training.options.option import HIDDEN, Option


class Sparsity(Option):
    fused = True
    keeps: ClassVar = {"activity": (HIDDEN,)}

    def __init__(self, target, cost):
        self.target, self.cost = target, cost

    @classmethod
    def of(cls, rbm, visible, hidden):
        cost = checks.real(rbm.sparsity_cost, "sparsity_cost")
        if rbm.sparsity_target is None:
            return None
        target = checks.real(rbm.sparsity_target, "sparsity_target", -LARGEST)
        if not hidden.low < target < hidden.high:
            ends = f"{hidden.low:g} and {hidden.high:g}"
            raise ValueError(f"sparsity_target={target!r}: {hidden.name} units need a mean between {ends}")
        return cls(target, cost)

    def begin(self, state):
        run = self.training
        activity = run.backend.array(state.extras.get("activity", np.full(len(state.params.c), self.target)))
        self.arrays = (activity,)
        run.problem = run.problem._replace(sparsity=protocol.Sparsity(activity, self.target, self.cost, self._share()))

    def _share(self):
        """What of a change of the data's means to take from the hidden offsets of a centred gradient.

        The next update moves offsets by those means. So they end where the plain means would have left them.
        """
        centering = self.training.problem.centering
        return 0.0 if centering is None else centering.slide * (1 - centering.model_share) / (1 - centering.slide)

    def gradient(self, batch):
        if batch.mean_weight > 0:
            centering, share = self.training.problem.centering, self.training.problem.sparsity.share
            offsets = () if centering is None else (centering.h, share)
            self.training.backend.sparsify(
                batch.positive.h, batch.positive.weight, *self.arrays, self.target, self.cost, *offsets
            )
