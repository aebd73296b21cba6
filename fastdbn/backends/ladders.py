"""Chains at a ladder of machines, as `Backend.ladder_rounds` takes them, and what such a call does.

A round moves the chains by some half-steps of Gibbs sampling (`BlockMachine.walk` counts them). Then the chains at machines 0 and
1, 2 and 3, and so on exchange states, and after them those at 1 and 2, and so on.

`ladder_rounds(chains, rounds, logs, kept)` takes and returns what `Ladder.run` does (machine/ladder.py).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from fastdbn.maths import rng
from fastdbn.units.mixed import Mixed
from fastdbn.units.unit import Unit


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class LadderChains:
    """M machines and n chains at each of them.

    params has the `Params` of each machine. v (M n, nv) are visible states, one machine's rows after another's, and rows (M n,)
    number them. h (n, nh) are hidden states, of the last machine where these go on, or a buffer. mean (n, nv) is a buffer, and so
    is fields (2 M n, nh): those of the chains at their own machines, then at their neighbours.
    """

    visible: Unit | Mixed
    hidden: Unit | Mixed
    params: list
    n: int
    v: Any
    rows: Any
    h: Any
    mean: Any
    fields: Any


class Rounds(NamedTuple):
    """Some rounds of a ladder, which sweep over all machines each.

    number, sweeps : of the first one, by which noise is named, and how many there are
    halves : the first half-step, the one before which chains exchange, and where half-steps end
    still : machines below this one do not move
    seed, layer, gibbs : of the noise; the last is the number of Gibbs step 0 in a stream
    """

    number: int
    sweeps: int
    halves: tuple
    still: int
    seed: int
    layer: int
    gibbs: int

    def streams(self):
        """Those of hidden and of visible units."""
        return tuple(rng.stream(purpose, self.layer, self.gibbs) for purpose in (rng.HIDDEN, rng.VISIBLE))

    def key(self, number):
        """The noise's keys in a round: a function of (purpose, Gibbs step)."""
        return lambda purpose, gibbs: rng.key(self.seed, number, rng.stream(purpose, self.layer, self.gibbs + gibbs))
