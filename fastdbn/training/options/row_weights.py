"""Weights of the rows: each row's part in the statistics of the data, and of a chain that begins at it."""

from fastdbn.training.options.option import Option


class RowWeights(Option):
    fused = True

    @classmethod
    def of(cls, rbm, visible, hidden):
        return cls()

    def applies(self, layer):
        return layer.weights is not None

    def begin(self, state):
        self.training.problem = self.training.problem._replace(weights=self.training.layer.weights)

    def positive(self, batch):
        weights = self.training.layer.weights[batch.order]
        batch.mean_weight = float(weights.mean())
        batch.positive = batch.positive._replace(weight=self.training.backend.array(weights))

    def gradient(self, batch):
        for phase in (batch.positive, batch.negative):
            if phase.weight is not None:  # persistent chains belong to no row
                self.training.backend.scale(phase.h, phase.weight)
