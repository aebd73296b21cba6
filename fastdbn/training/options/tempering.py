"""Parallel tempering: each persistent chain runs at several inverse temperatures, and neighbours exchange states.

The hot chains carry the one at 1 from mode to mode (Desjardins, Courville, Bengio, Vincent, Delalleau 2010; Cho, Raiko, Ilin
2010). The gradient takes the chains at 1.
"""

import numpy as np

from fastdbn.backends.protocol import Phase
from fastdbn.maths import exchanges, rng
from fastdbn.maths.exchanges import log_uniforms, lower_rungs
from fastdbn.support import checks
from fastdbn.training.options.fast_weights import check_persistent
from fastdbn.training.options.option import Option, refuse_with


class Tempering(Option):
    """Inverse temperatures `betas` fall from 1; `swaps` (2, M - 1) counts exchanges made and proposed between neighbours."""

    fused = True

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
        self.swaps = np.zeros((2, len(self.betas) - 1))
        tempering = exchanges.Tempering(self.betas, b.array(np.repeat(self.betas, self.n)), self.swaps)
        run.problem = run.problem._replace(tempering=tempering)
        self.field = b.zeros(rows, nh)
        self.buffers = b.states(run.layer.visible, self.n, nv), b.states(run.layer.hidden, rows, nh)

    def negative(self, batch):
        """Draw hidden states, exchange states, and keep the chains at 1 with their hidden means.

        A chain at beta has p(x) proportional to e^(beta U(x) - base(x)), U = b.v + c.h + v W h. So states x and y at beta and
        beta' change places with probability min(1, e^((beta - beta') (U(y) - U(x)))).
        """
        run, b, problem, n = self.training, self.training.backend, self.training.problem, self.n
        (v, mean, _), h, field = problem.negative, problem.states, self.field
        W, _, c = run.chain_machine.params
        b.field(v, W, field)
        b.copy(field, mean)
        b.activate(problem.hidden, c, mean, h, problem.chain_rows, batch.key(rng.HIDDEN, problem.k), problem.tempering.beta)
        order = self._exchanged(self._goodness())
        first, (v_buffer, h_buffer) = b.part(order, 0, n), self.buffers
        b.copy(h, h_buffer, rows=order)
        b.copy(h_buffer, h)
        batch.negative = Phase(b.part(v, 0, n), b.part(mean, 0, n), None)
        b.copy(v, v_buffer, rows=first)
        b.copy(v_buffer, batch.negative.v)
        if run.chain_machine is run.machine:  # else the means are those at other weights
            b.copy(field, batch.negative.h, rows=first)
            b.activate(problem.hidden, c, batch.negative.h)

    def _exchanged(self, goodness):
        """The rows from which each row's states come, by U of all rows (M n,)."""
        problem, n, goodness = self.training.problem, self.n, goodness.reshape(-1, self.n)
        place = np.arange(goodness.size, dtype=np.uint32).reshape(-1, n)
        logs = log_uniforms(problem.seed, problem.layer, self.training.step, len(self.betas), n)
        for i, log in zip(lower_rungs(len(self.betas)), logs, strict=True):
            swapped = log < (self.betas[i] - self.betas[i + 1]) * (goodness[i + 1] - goodness[i])
            for x in (goodness, place):
                x[i], x[i + 1] = np.where(swapped, x[i + 1], x[i]), np.where(swapped, x[i], x[i + 1])
            self.swaps[:, i] += swapped.sum(), n
        return self.training.backend.array(place.ravel())

    def _goodness(self):
        """U of all chains' states."""
        b, problem, (_, bias_v, bias_h) = self.training.backend, self.training.problem, self.training.chain_machine.params
        v, h = problem.negative.v, problem.states
        total, part = np.zeros(len(v)), np.empty(len(v))
        for x, y in ((h, self.field), (h, bias_h), (v, bias_v)):
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
