"""Trajectory tempering: persistent chains take states from frozen machines, earlier versions of the model.

The first frozen machine has no weights, and the base rates of the data as biases, so each of its Gibbs steps is an exact draw.
Another one is frozen, a copy of the model, when exchanges with the last one are accepted too rarely. So draws come up the ladder
in all modes, and log Z comes with them: that of the first machine is known, and neighbours have a bridge (machine/ladder.py).
(Bereux, Decelle, Furtlehner, Rosset, Seoane 2025, "Fast training and sampling of restricted Boltzmann machines"; Bereux, Decelle,
Furtlehner, Seoane 2026.)

A round of the whole ladder costs as much as many minibatches, so it is rare. Between two of them the model's chains exchange with
a reservoir: states of the last frozen machine in its last rounds. These exchanges leave the reservoir as it is, because a model
that learns has chains that are no exact draws from it. Minibatches are those of plain persistent chains, in the fused kernel.
"""

from typing import ClassVar

import numpy as np
from scipy.special import softmax

from fastdbn.backends.ladders import Rounds
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine
from fastdbn.machine.initial import log_z_without_weights
from fastdbn.machine.ladder import Ladder, log_odds, log_ratio, sum_f
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.training.options.fast_weights import check_persistent
from fastdbn.training.options.option import HIDDEN, VISIBLE, Option, chains, refuse_with

LONGEST = 64
"""The most frozen machines."""
OFTEN, SELDOM = 2, 10
"""Minibatches between two exchanges with the reservoir, at the customary learning rate of the units, and the most. A frozen
machine makes a Gibbs step as often."""
KEPT = 16
"""Rounds whose states the reservoir has, and rounds after a machine is frozen, which take its chains from where they began."""
FIRST, OWN = 1 << 17, 3 << 16
"""Numbers of the first Gibbs step in a stream, of a round and of an exchange; those of minibatches are below."""
W, B, C, V = "ladder_W", "ladder_b", "ladder_c", "ladder_v"
RESERVOIR, BRIDGES, COUNTS = "ladder_reservoir", "ladder_bridges", "ladder_counts"
"""Names of what a fit keeps: parameters of the frozen machines, then of the candidate, weights row after row; visible
states of the frozen machines' chains; the reservoir; bridges; the number of rounds, the minibatch after which the last one was,
and whether the candidate has changed since a machine was frozen."""


class Trajectory(Option):
    """A `ladder` of frozen machines, and the model in training.

    `bridges` (n_frozen, 5) has a row for each frozen machine and the one before it: where their bridge stands, the sum of f over
    states of the lower machine and their number, and both of the upper one. The first row gives log Z of the first machine.
    `candidate` is the model as it was when exchanges were last accepted often enough: the next machine to be frozen. `tries`
    counts exchanges of the model's chains, made and proposed.
    """

    fused = True
    keeps: ClassVar = {
        W: (None, HIDDEN),
        B: (None, VISIBLE),
        C: (None, HIDDEN),
        V: (None, VISIBLE),
        RESERVOIR: (None, VISIBLE),
        BRIDGES: (None, 5),
        COUNTS: (3,),
    }
    exact = (BRIDGES, COUNTS)

    def __init__(self, target, n):
        self.target, self.n = target, n

    @classmethod
    def of(cls, rbm, visible, hidden):
        if rbm.trajectory is None:
            return None
        target = checks.real(rbm.trajectory, "trajectory", below=1.0)
        if target == 0:
            raise ValueError(f"trajectory={rbm.trajectory!r}: give the rate of exchanges to aim at, such as 0.25, or None")
        check_persistent(rbm, "trajectory")
        refuse_with(visible, "trajectory", rbm.trajectory)
        for name in ("temperatures", "fast_learning_rate"):
            if (value := getattr(rbm, name)) is not None:
                raise ValueError(f"{name}={value!r} does not go with trajectory={rbm.trajectory!r}: set one of them to None")
        return cls(target, chains(rbm))

    @classmethod
    def check_extras(cls, extras, visible):
        super().check_extras(extras, visible)
        if W not in extras:
            return
        found, frozen = [len(extras[name]) for name in (W, B, C, V, RESERVOIR)], len(extras[BRIDGES])
        checks.refuse(not 0 < frozen <= LONGEST, f"{frozen} frozen machines where there are 1 to {LONGEST}")
        machines, n = frozen + 1, len(extras[V]) // frozen
        wanted = [machines * extras[B].shape[1], machines, machines, frozen * n, KEPT * n]
        checks.refuse(
            n == 0 or found != wanted, f"arrays of {found} rows where {frozen} frozen machines of {n} chains have {wanted}"
        )
        for part, start, stop, _ in visible.parts(extras[V].shape[1]):
            for name in (V, RESERVOIR):
                x = extras[name][:, start:stop]  # those of the first machine begin at zero
                inside = (x >= min(part.low, 0)) & (x <= part.high)
                checks.refuse(not inside.all(), f"{name} holds states that {part.name} units do not have")
        counts = extras[COUNTS]
        checks.refuse(not ((counts >= 0) & (counts < 2**53) & (counts == np.floor(counts))).all(), f"{COUNTS} are no counts")
        checks.refuse(not (extras[BRIDGES][:, 1:] > 0).all(), f"{BRIDGES} holds sums that are not positive")

    # ---- a fit

    def initial(self, backend, visible, hidden, params, scaling):
        """The first frozen machine: the model without weights and hidden biases."""
        first = Params(np.zeros_like(params.W), params.b, np.zeros_like(params.c))
        log_z = log_z_without_weights(backend, visible, hidden, first.b, first.c)
        states, kept = (np.zeros((n * self.n, len(params.b)), params.b.dtype) for n in (1, KEPT))
        arrays = *_stack([first, first]), states, kept, np.append(log_z, np.ones(4))[None], np.zeros(3)
        return params, dict(zip(self.keeps, arrays, strict=True))

    def begin(self, state):
        run, extras, n = self.training, state.extras, self.n
        if W not in extras:
            raise ValueError(
                f"trajectory={self.target:g} needs a new fit, and this one goes on from another: give warm_start=False"
            )
        b, self.model = run.backend, run.machine
        *frozen, self.candidate = map(self._machine, machines_of(extras))
        self.ladder, kept = Ladder(frozen, n, _spread(extras[V], len(frozen), n)), _spread(extras[RESERVOIR], KEPT, n)
        self.reservoir = b.states(self.model.visible_unit, *kept.shape, kept)
        self.rows = b.array(np.tile(np.arange(n, dtype=np.uint32), 2))
        self._pair()
        self.bridges, self.tries = np.array(extras[BRIDGES]), np.zeros(2)
        self.rounds, self.last, self.fresh = map(int, extras[COUNTS])
        run.log_z = self.log_z

    def _machine(self, params):
        """A machine of the model's units, with copies of host parameters."""
        b = self.training.backend
        return BlockMachine(b, self.model.visible_unit, self.model.hidden_unit, Params(*map(b.array, params)))

    def _pair(self):
        """The ladder of the last frozen machine, whose chains are states of the reservoir, and of the model."""
        blank = np.zeros((2 * self.n, self.model.shape[0]))
        self.pair = Ladder([self.ladder.machines[-1], self.model], self.n, blank, self.training.problem.states, self.rows)

    def begin_epoch(self, epoch):
        """The slower the model moves, the more minibatches come between two exchanges."""
        layer, rate = self.training.layer, self.training.hyper.learning_rate
        customary = min(layer.visible.learning_rate, layer.hidden.learning_rate)
        self.minibatches = int(np.clip(OFTEN * customary / max(rate, 1e-30), 1, SELDOM))

    def after_call(self):
        step, frozen = self.training.step, self.ladder.machines
        if self.rounds == 0:
            self._rounds(KEPT)
        elif step - self.last >= self.minibatches * len(frozen):
            self.last = step
            self._rounds(1)
        if self._exchange() >= self.target:
            for source, target in zip(self.model.params, self.candidate.params, strict=True):
                self.training.backend.copy(source, target)
            self.fresh = True
        elif self.fresh and len(frozen) < LONGEST:
            self._freeze()
            self._rounds(KEPT)
            self.fresh = False

    def _rounds(self, count):
        """Gibbs steps of the frozen machines' chains, then exchanges between all neighbours, `count` times."""
        pairs, layer = len(self.ladder.machines) - 1, self.training.layer
        halves = 0, 2 * self.training.problem.k, 2 * self.training.problem.k
        logs = np.log1p(-self._host_generator(self.rounds, 1).random((count, pairs, self.n)))
        rounds = Rounds(self.rounds, count, halves, 0, layer.seed, layer.number, FIRST)
        ratios = self.ladder.run(rounds, logs, self.reservoir)
        at = self.bridges[1:, 0, None]
        for i, t in enumerate((ratios[:, :, 0] - at, at - ratios[:, :, 1])):
            self.bridges[1:, 1 + 2 * i] += sum_f(t).sum(axis=0)
            self.bridges[1:, 2 + 2 * i] += count * self.n
        self.rounds += count

    def _exchange(self):
        """Exchange states between the model's chains and the reservoir.

        Returns
        -------
        float
            The rate of exchanges: of those tried, or if that is lower, of those to expect with exact draws from the model, which
            the reservoir's states are by their weights. Chains of a model that has just moved away are exchanged too readily.
        """
        run, b, n, layer = self.training, self.training.backend, self.n, self.training.layer
        draw = self._host_generator(run.step, 2)
        chosen = draw.choice(len(self.reservoir), n, replace=False).astype(np.uint32)
        b.copy(self.reservoir, self.pair.part(self.pair.v, 0), rows=b.array(chosen))
        rounds = Rounds(run.step, 1, (1, 2, 3), 1, layer.seed, layer.number, OWN)
        logs = np.log1p(-draw.random((1, 1, n)))
        ratios = self.pair.run(rounds, logs)
        odds = log_odds(ratios)[0, 0]
        self.tries += (logs[0, 0] < odds).sum(), n
        return min(np.exp(np.minimum(odds, 0.0)).mean(), _overlap(ratios[0, 0, 0]))

    def _host_generator(self, number, use):
        return rng.host_generator(self.training.layer.seed, number, rng.stream(rng.SWAP, self.training.layer.number, use))

    def _freeze(self):
        """Put the candidate on the ladder. Its chains start at states of the reservoir, drawn by their weights."""
        to_host, ratio = self.training.backend.to_host, self._ratio(self.candidate)
        chosen = self._host_generator(self.rounds, 3).choice(len(ratio), self.n, p=softmax(ratio))
        machine = self._machine(map(to_host, self.candidate.params))
        self.ladder = self.ladder.extended(machine, to_host(self.reservoir)[chosen])
        self._pair()
        self.bridges = np.vstack([self.bridges, [_log_mean(ratio), 0.0, 0.0, 0.0, 0.0]])

    def _ratio(self, machine):
        """r of the last frozen machine and another, for the states of the reservoir."""
        return log_ratio(self.ladder.machines[-1], machine, self.reservoir)

    # ---- what comes with it

    def log_z(self):
        """An estimate of log Z of the model."""
        at, below, n_below, above, n_above = self.bridges.T
        of_frozen = at + np.log(below / n_below) - np.log(above / n_above)
        return float(of_frozen.sum() + _log_mean(self._ratio(self.model)))

    def metrics(self):
        """The rate of exchanges in this epoch between the two neighbours that exchanged least."""
        made, proposed = np.column_stack([self.ladder.swaps, self.tries])
        rates = made[proposed > 0] / proposed[proposed > 0]
        self.ladder.swaps[:], self.tries[:] = 0, 0
        return {"swap_rate": float(rates.min())}

    def state(self):
        to_host, machines = self.training.backend.to_host, [*self.ladder.machines, self.candidate]
        params = _stack([Params(*map(to_host, machine.params)) for machine in machines])
        counts = np.array([self.rounds, self.last, self.fresh], np.float64)
        arrays = *params, to_host(self.ladder.v), to_host(self.reservoir), self.bridges.copy(), counts
        return dict(zip(self.keeps, arrays, strict=True))


def machines_of(extras):
    """The parameters of the frozen machines and of the candidate, host arrays; none where a fit had no trajectory."""
    if W not in extras:
        return []
    weights = extras[W].reshape(*extras[B].shape, -1)
    return [Params(*params) for params in zip(weights, extras[B], extras[C], strict=True)]


def _stack(params):
    """The arrays that `machines_of` reads."""
    weights, *biases = zip(*params, strict=True)
    return np.vstack(weights), *map(np.stack, biases)


def _spread(states, parts, n):
    """States in some parts of equal length, with n rows in each: those that there are, again and again."""
    states = states.reshape(parts, -1, states.shape[1])
    return states[:, np.arange(n) % states.shape[1]].reshape(parts * n, -1)


def _log_mean(logs):
    return np.logaddexp.reduce(logs) - np.log(len(logs))


def _overlap(logs):
    """The mean of min(1, w / w'), w' drawn by its weight: the rate of exchanges between a machine whose states have log weights
    and the machine that these lead to."""
    shares, n = np.sort(softmax(logs)), len(logs)
    return shares @ (2 * (n - np.arange(n)) - 1) / n
