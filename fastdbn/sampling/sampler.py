"""What a sampling method is: chains of fitted machines, one for each of some rows, of which one machine's draws are wanted."""

import abc
from typing import Any, ClassVar, NamedTuple

from fastdbn.machine.block import draw_keys


class Task(NamedTuple):
    """What is asked of a method.

    machines : machines of a stack from below, each on the hidden units of the one before it; the last may be labelled
    layer : the one of them whose draws are wanted
    rows : (B,) uint32 host array, numbers of the chains, by which their noise is named
    seed, number : of the noise, as `draw_keys` takes them
    ladder : callable that gives the `Ladder` of that machine
    hidden : (B, n_hidden) host array or None, its hidden states or means at which Gibbs chains begin that have no other start
    """

    machines: list
    layer: int
    rows: Any
    seed: int
    number: int
    ladder: Any = None
    hidden: Any = None

    @property
    def machine(self):
        return self.machines[self.layer]

    @property
    def keys(self):
        return draw_keys(self.seed, self.number)


class Sampler(abc.ABC):
    """Chains of one method.

    Attributes
    ----------
    machine, chain
        The machine whose draws are wanted, and its chains.
    """

    steps: ClassVar[int]
    """How many steps `sample` makes if it is not told."""
    machine: Any
    chain: Any

    @classmethod
    def refusal(cls, machines, layer):
        """Why the method cannot draw from these machines, and the remedy; None if it can."""
        return

    @abc.abstractmethod
    def start(self, states, there):
        """Begin at host states of the visible units, if `there`. Else they hold no more than totals of units that count."""

    @abc.abstractmethod
    def run(self, first, last):
        """Make the steps first to last, the last one not included."""

    @property
    def drawn(self):
        """Visible states of the chains; without labels."""
        return self.chain.v if self.chain.drawn is None else self.chain.drawn
