"""Fast weights: persistent chains run at W + fast weights (FPCD, Tieleman and Hinton 2009).

Fast weights follow the same gradient at a rate of their own and forget a 20th of themselves in each step. So they drive chains
out of where they have been. The gradient that they follow is not centred; it includes the pull of sparsity.
"""

from typing import ClassVar

from fastdbn.backends import protocol
from fastdbn.backends.protocol import Hyper, Params
from fastdbn.machine.block import BlockMachine
from fastdbn.support import checks
from fastdbn.training.options.option import HIDDEN, VISIBLE, Option, refuse_with

KEEP = 19 / 20


def check_persistent(rbm, name):
    """Refuse an option of chains that go on where they do not."""
    if not rbm.persistent:
        raise ValueError(f"{name}={getattr(rbm, name)!r} is about chains that go on: give persistent=True with it")


class FastWeights(Option):
    fused = True
    keeps: ClassVar = {"fast_W": (VISIBLE, HIDDEN), "fast_b": (VISIBLE,), "fast_c": (HIDDEN,)}

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    @classmethod
    def of(cls, rbm, visible, hidden):
        if rbm.fast_learning_rate is None:
            return None
        rate = checks.real(rbm.fast_learning_rate, "fast_learning_rate")
        check_persistent(rbm, "fast_learning_rate")
        refuse_with(visible, "fast_learning_rate", rbm.fast_learning_rate)
        return cls(rate)

    def begin(self, state):
        b, extras = self.training.backend, state.extras
        arrays = zip(self.keeps, state.params, strict=True)
        self.arrays = Params(*(b.array(extras[name]) if name in extras else b.zeros(*x.shape) for name, x in arrays))
        machine = self.training.machine
        pairs = zip(machine.params, self.arrays, strict=True)
        params = Params(*(b.array(b.to_host(p) + b.to_host(fast)) for p, fast in pairs))
        self.training.chain_machine = BlockMachine(b, machine.visible_unit, machine.hidden_unit, params)
        fast = protocol.FastWeights(params, self.arrays, self.learning_rate, KEEP)
        self.training.problem = self.training.problem._replace(fast=fast)

    def after_step(self, batch):
        run = self.training
        for source, target in zip(run.problem.params, run.chain_machine.params, strict=True):
            run.backend.copy(source, target)
        # fast weights are the velocity of their sum with the parameters; its momentum is what they keep
        run.backend.update(run.chain_machine.params, self.arrays, *batch.phases, Hyper(self.learning_rate, KEEP, 0.0))
