"""Gibbs sampling: hidden units given visible ones, then the reverse, in the machine itself."""

from fastdbn.maths import rng
from fastdbn.sampling.sampler import Sampler


class Gibbs(Sampler):
    """Chains that begin at draws from the biases alone, or at given states."""

    steps = 1000

    def __init__(self, task):
        self.machine, self._task = task.machine, task
        self.who, self.chain = self.machine.backend.array(task.rows), self.machine.new_chain(len(task.rows))

    def start(self, states, there):
        key = rng.key(self._task.seed, self._task.number, rng.stream(rng.INIT, 0, 2))
        self._first = self.machine.begin(self.chain, self.who, self._task.keys, key, states, there)

    def run(self, first, last):
        keys, lag = self._task.keys, self.machine.lag
        self.machine.walk(
            self.chain,
            self.who,
            lambda purpose, t: keys(purpose, t - lag if purpose == rng.HIDDEN else t),
            max(2 * first, self._first),
            2 * last,
        )
