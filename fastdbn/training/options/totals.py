"""Totals of counts: visible units that count (replicated softmax) keep the sum of the row that a draw replaces.

So a chain that begins at a row has its total, and persistent chains take the totals of some rows, evenly spread, for good. The
hidden biases of a layer of counts are in its weights (units/replicated_softmax.py) and stay zero.
"""

import numpy as np

from fastdbn.training.options.option import Option


class Totals(Option):
    @classmethod
    def of(cls, rbm, visible, hidden):
        return cls() if visible is not None and visible.keeps_total else None

    def begin(self, state):
        run, b = self.training, self.training.backend
        layer, n = run.layer, len(state.params.c)
        self.fixed = b.array(np.ones(n, bool)) if layer.visible.support == "counts" else None
        if run.settings.persistent:
            rows = np.arange(layer.n_rows, dtype=np.uint32) if layer.rows is None else layer.rows
            spread = rows[np.linspace(0, len(rows) - 1, len(run.problem.negative.v)).astype(int)]
            layer.load(b, b.array(spread), 0, run.problem.negative.v)

    def positive(self, batch):
        run = self.training
        if not run.settings.persistent:
            run.layer.load(run.backend, batch.rows, run.epochs, run.backend.part(run.problem.negative.v, 0, len(batch.rows)))

    def after_step(self, batch):
        if self.fixed is not None:
            self.training.backend.assign_where(self.training.problem.params.c, self.fixed)
