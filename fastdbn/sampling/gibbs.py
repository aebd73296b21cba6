"""Gibbs sampling: hidden units given visible ones, then the reverse, in the machine itself."""

from fastdbn.maths import rng
from fastdbn.sampling.sampler import Sampler


class Gibbs(Sampler):
    """Chains that begin at given visible or hidden states, or at draws from the biases alone."""

    steps = 1000

    def __init__(self, task):
        self.machine, self._task = task.machine, task
        self.who, self.chain = self.machine.backend.array(task.rows), self.machine.new_chain(len(task.rows))

    def start(self, states, there):
        task, backend, machine = self._task, self.machine.backend, self.machine
        if there or task.hidden is None:
            key = rng.key(task.seed, task.number, rng.stream(rng.INIT, 0, 2))
            self._first = machine.begin(self.chain, self.who, task.keys, key, states, there)
            return
        for unit, values, out in ((machine.hidden_unit, task.hidden, self.chain.h), (machine.visible_unit, states, self.drawn)):
            backend.copy(backend.states(unit, *values.shape, values), out)
        self._first = 1

    def run(self, first, last):
        keys, lag = self._task.keys, self.machine.lag
        self.machine.walk(
            self.chain,
            self.who,
            lambda purpose, t: keys(purpose, t - lag if purpose == rng.HIDDEN else t),
            max(2 * first, self._first),
            2 * last,
        )
