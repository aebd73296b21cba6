"""Centering: offsets are taken from the states before the gradient.

"data"      offsets follow the means of the minibatches (Melchior, Fischer, Wiskott 2016)
"enhanced"  offsets follow the middle between data and chains, which gives the enhanced gradient (Cho, Raiko, Ilin 2011)

The parameters stay those of a plain machine: the backend's `update` moves the offsets and corrects the step.
"""

from typing import ClassVar

from fastdbn.backends import protocol
from fastdbn.machine import initial
from fastdbn.support import checks
from fastdbn.training.options.option import HIDDEN, VISIBLE, Option, owns_gradient, refuse_with

SLIDE = 0.01
"""Rate at which offsets follow the means of minibatches (Melchior, Fischer, Wiskott 2016, section 4)."""
MODEL_SHARE = {"data": 0.0, "enhanced": 0.5}
"""Weight of the chains in the means that offsets follow."""


class Centering(Option):
    fused = True
    keeps: ClassVar = {"offset_v": (VISIBLE,), "offset_h": (HIDDEN,)}

    def __init__(self, kind):
        self.model_share = MODEL_SHARE[kind]

    @classmethod
    def of(cls, rbm, visible, hidden):
        if rbm.centering is None:
            return None
        checks.choice(rbm.centering, "centering", ("auto", *MODEL_SHARE, None))
        if rbm.centering == "auto":
            dropped = isinstance(rbm.missing, str) and rbm.missing == "drop"
            return None if dropped or (visible is not None and owns_gradient(visible)) else cls("data")
        if rbm.missing == "drop":
            raise ValueError(
                f"centering={rbm.centering!r} does not go with missing='drop', where each row has units of its own and no "
                "offsets suit all: use missing='sample' or centering=None"
            )
        refuse_with(visible, "centering", rbm.centering)
        return cls(rbm.centering)

    def initial(self, backend, visible, hidden, params, scaling):
        """Biases of the machine that is centred at its own means."""
        with backend.single_threaded():
            params, offsets = initial.center(backend, visible, hidden, params)
        return params, dict(zip(self.keeps, offsets, strict=True))

    def begin(self, state):
        run, offsets = self.training, [state.extras.get(name) for name in self.keeps]
        if offsets[0] is None:  # the fit before was not centred
            offsets = initial.center(run.backend, run.layer.visible, run.layer.hidden, state.params)[1]
        self.arrays = tuple(map(run.backend.array, offsets))
        record = protocol.Centering(*self.arrays, SLIDE, self.model_share)
        run.problem = run.problem._replace(centering=record)
