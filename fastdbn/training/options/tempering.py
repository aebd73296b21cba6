"""Parallel tempering: each persistent chain runs at several inverse temperatures, and neighbours exchange states.

The hot chains carry the one at 1 from mode to mode (Desjardins, Courville, Bengio, Vincent, Delalleau 2010; Cho, Raiko, Ilin
2010). The gradient takes the chains at 1.
"""

import numpy as np

from fastdbn.backends.protocol import Phase
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.training.options.fast_weights import check_persistent
from fastdbn.training.options.option import Option, refuse_with


class Tempering(Option):
    """Inverse temperatures `betas` fall from 1; `swaps` (2, M - 1) counts exchanges made and proposed between neighbours."""

    def __init__(self, betas):
        self.betas = np.asarray(betas, np.float64)
        self.copies = len(betas)

    @classmethod
    def of(cls, rbm, visible, hidden):
        if rbm.temperatures is None:
            return None
        betas = checks.inverse_temperatures(rbm.temperatures, "temperatures")
        check_persistent(rbm, "temperatures")
        refuse_with(visible, "temperatures", rbm.temperatures)
        return cls(betas)

    def begin(self, state):
        run, b = self.training, self.training.backend
        self.n = run.settings.n_chains
        rows, (nv, nh) = self.n * len(self.betas), state.params.W.shape
        run.chain_beta = b.array(np.repeat(self.betas, self.n))
        self.swaps = np.zeros((2, len(self.betas) - 1))
        self.buffers = b.states(run.layer.visible, rows, nv), b.states(run.layer.hidden, rows, nh)

    def negative(self, batch):
        """Exchange states, first between the even temperatures and those above them, then the odd; keep the chains at 1.

        A chain at beta has p(x) proportional to e^(beta U(x) - base(x)), U = b.v + c.h + v W h. So states x and y at beta and
        beta' change places with probability min(1, e^((beta - beta') (U(y) - U(x)))).
        """
        problem, n = self.training.problem, self.n
        goodness = self._goodness().reshape(-1, n)
        place = np.arange(goodness.size, dtype=np.uint32).reshape(-1, n)
        draw = rng.host_generator(problem.seed, self.training.step, rng.stream(rng.SWAP, problem.layer))
        for first in (0, 1):
            for i in range(first, len(self.betas) - 1, 2):
                log_odds = (self.betas[i] - self.betas[i + 1]) * (goodness[i + 1] - goodness[i])
                swapped = np.log1p(-draw.random(n)) < log_odds
                for x in (goodness, place):
                    x[i], x[i + 1] = np.where(swapped, x[i + 1], x[i]), np.where(swapped, x[i], x[i + 1])
                self.swaps[:, i] += swapped.sum(), n
        b = self.training.backend
        order = b.array(place.ravel())
        for x, buffer in zip((problem.negative.v, problem.states), self.buffers, strict=True):
            b.copy(x, buffer, rows=order)
            b.copy(buffer, x)
        batch.negative = Phase(b.part(problem.negative.v, 0, n), b.part(problem.negative.h, 0, n), None)

    def _goodness(self):
        """U of all chains' states."""
        b, problem, (W, bias_v, bias_h) = self.training.backend, self.training.problem, self.training.chain_machine.params
        v, h, field = problem.negative.v, problem.states, problem.negative.h
        total, part = np.zeros(len(v)), np.empty(len(v))
        b.field(v, W, field)
        for x, y in ((h, field), (h, bias_h), (v, bias_v)):
            b.dot(x, y, part)
            total += part
        return total

    def metrics(self):
        """The share of exchanges made between the two neighbours that exchanged least in this epoch.

        Below 0.2 or so the hot chains hardly reach the one at 1: add temperatures.
        """
        made, proposed = self.swaps
        rate = float(np.min(made / np.maximum(proposed, 1)))
        self.swaps[:] = 0
        return {"swap_rate": rate}
