"""Trajectory tempering of a fitted RBM: replicas at the frozen machines of its fit, and at the model.

The first of them has no weights, so each of its Gibbs steps draws anew. Exchanges carry these draws up to the model, through
earlier versions of it (training/options/trajectory.py; machine/ladder.py has the odds).
"""

from fastdbn.machine.ladder import log_ratio
from fastdbn.sampling.exchange import ByPairs, refusal_of_untied


class Trajectory(ByPairs):
    """Chains of a machine that knows its trajectory."""

    steps = 100

    def __init__(self, task):
        machines = [*task.machine.trajectory, task.machine]
        above = len(machines) - 1
        super().__init__(task, machines, 0, above, [task.machine.shape[0]] * above)

    @classmethod
    def refusal(cls, machines, layer):
        if not machines[layer].trajectory:
            return "is for RBMs that were trained with trajectory: give 'tempering'"
        return refusal_of_untied(machines[layer : layer + 1])

    def facing(self, i):
        return self.chains[i].v, self.chains[i + 1].v

    def log_ratio(self, i, x):
        return log_ratio(*self.machines[i : i + 2], x)
