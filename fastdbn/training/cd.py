"""Contrastive divergence and its persistent form.

    dW = <v h>_data - <v h>_chain,    db = <v>_data - <v>_chain,    dc = <h>_data - <h>_chain

CD-k    chains begin at the data anew in each minibatch (Hinton 2002)
PCD     chains go on from the last minibatch (Tieleman 2008)

A chain runs k full Gibbs steps. Hidden states are drawn while it runs. The statistics take hidden means, which have less variance
and the same expectation, and drawn visible states.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdbn.backends.protocol import Hyper, Params, Phase, Problem
from fastdbn.machine import initial
from fastdbn.machine.block import BlockMachine, Chain
from fastdbn.maths import rng
from fastdbn.maths.optim import at_epoch, steps_at_epoch
from fastdbn.training.layer import State
from fastdbn.training.monitors import Watch
from fastdbn.training.order import calls, order_of_epoch
from fastdbn.training.training import DivergenceError, Training, host, minibatches_per_call


@dataclass(slots=True)
class Minibatch:
    """A minibatch under way, which options change.

    order and rows are the numbers of its rows, on the host and the backend's. key maps (purpose, Gibbs step) to a key of noise.
    mean_weight is the mean of the rows' weights; it weighs persistent chains. absent is 1 where a visible unit is no part of the
    machine of its row, or None. has_field says whether positive.h holds the fields of the hidden units already. data_scale and
    chain_scale are one over the number of rows and of chains.
    """

    order: np.ndarray
    rows: Any
    key: Any
    positive: Phase
    negative: Any = None
    mean_weight: float = 1.0
    absent: Any = None
    has_field: bool = False
    data_scale: float = 1.0
    chain_scale: float = 1.0

    @property
    def phases(self):
        """Both phases and their scales, as the backend's `update` takes them."""
        return self.positive, self.negative, (self.data_scale, self.chain_scale)


class ContrastiveDivergence(Training):
    """A run of CD or PCD.

    Parameters
    ----------
    backend : Backend
    layer : Layer
    settings : Settings
    state : State
        Chains of another number than that of the settings begin anew.
    last : int or None
        The epoch that ends the fit, after which everything is measured; None in a pass of `partial_fit`.

    Attributes
    ----------
    problem : Problem
    hyper : Hyper
        Of the epoch.
    step : int
        Minibatches since the start of the first fit.
    machine : BlockMachine
        With the parameters in training.
    chain_machine : BlockMachine
        What the chains run at.
    log_z : callable or None
        An estimate of log Z of the parameters in training.

    Raises
    ------
    ValueError
        if the parameters to begin with have no normaliser.
    """

    goes_on = ("chains", "epoch", "step")

    def __init__(self, backend, layer, settings, state, last=None):
        super().__init__(backend, state.epoch)
        if state.chains is not None and len(state.chains) != settings.chain_rows:
            state = state._replace(chains=None)
        self.layer, self.settings, self.step = layer, settings, state.step
        self.title = f"layer {layer.number + 1}"
        self.options = [option for option in settings.options if option.applies(layer)]
        with backend.single_threaded():
            self._check_normaliser(state.params.W, "before training", ValueError)
            self._begin(state)
        self.watch = Watch(backend, layer, state.params.W.shape, settings.monitor_interval, self.options, last)

    def _begin(self, state):
        """Make all buffers."""
        self.problem = _problem(self.backend, self.layer, self.settings, state)
        p = self.problem
        self.machine = BlockMachine(self.backend, p.visible, p.hidden, p.params)
        self.chain_machine, self.log_z = self.machine, None
        for option in self.options:
            option.training = self
            option.begin(state)
        if self.settings.persistent and state.chains is None:
            # the field of a hidden unit is zero here: chains begin at the hidden units' own biases
            key = rng.key(self.layer.seed, 0, rng.stream(rng.INIT, self.layer.number, 1))
            self.machine.start_hidden(p.negative.h, p.states, p.chain_rows, key)

    # ---- epochs

    def begin_epoch(self):
        """Read all schedules."""
        epoch, numbers = self.epochs, self.settings
        self.hyper = Hyper(*(at_epoch(getattr(numbers, name), epoch, name) for name in Hyper._fields))
        self.problem = self.problem._replace(k=steps_at_epoch(numbers.k, epoch, "k"))
        for option in self.options:
            option.begin_epoch(epoch)

    def epoch(self):
        self.begin_epoch()
        layer, size, (nv, nh) = self.layer, self.settings.batch_size, (len(x) for x in self.problem.params[1:])
        order = order_of_epoch(layer.seed, layer.number, self.epochs, layer.n_rows, layer.shuffle)
        order = order if layer.rows is None else layer.rows[order]
        per_call = minibatches_per_call(size, 2.0 * nv * nh * (3 + 2 * self.problem.k))
        per_call = size * min([per_call, *(option.minibatches for option in self.options if option.minibatches)])
        for part in calls(order, per_call, layer.stored, layer.shuffle.window):
            self.steps(part)
            for option in self.options:
                option.after_call()
        self.epochs += 1

    def check(self):
        norm, params, hyper = self.backend.norm, self.problem.params, self.hyper
        if not np.isfinite(norm(params.W) + norm(params.b) + norm(params.c)):
            decay = f", less weight_decay (it was {hyper.weight_decay:g})" if hyper.weight_decay * hyper.learning_rate > 1 else ""
            smaller = min(hyper.learning_rate / 10, self.layer.visible.learning_rate, self.layer.hidden.learning_rate)
            raise DivergenceError(
                f"training diverged in epoch {self.epochs} of layer {self.layer.number + 1}: parameters are no longer finite. "
                f"Use a smaller learning_rate (it was {hyper.learning_rate:g}; try {smaller:g}){decay} "
                "or scale the data"
            )
        if not self.layer.hidden.bounded:
            self._check_normaliser(self.backend.to_host(params.W), f"after epoch {self.epochs}", DivergenceError)

    def _check_normaliser(self, W, when, error):
        """Refuse weights between unbounded units for which exp(-E) may have no finite integral."""
        layer = self.layer
        norm = initial.unbounded_norm(layer.visible, layer.hidden, W)
        if norm >= 1:
            raise error(
                f"{layer.visible.name} visible and {layer.hidden.name} hidden units have a distribution for certain only while "
                f"the spectral norm of the weights between those without bounds is below 1; it is {norm:.3g} {when} of layer "
                f"{layer.number + 1}: use a smaller learning_rate, more weight_decay, or units that are bounded on one side"
            )

    def measure(self):
        norm, p, n = self.backend.norm, self.problem, self.settings.n_chains
        chains = [self.backend.part(x, 0, n) for x in (p.states, p.work)] if p.persistent else None
        metrics = self.watch.measure(self.machine, self.epochs - 1, chains, self.log_z)
        metrics["update_ratio"] = norm(p.velocity.W) / max(norm(p.params.W), 1e-30)
        metrics["learning_rate"] = self.hyper.learning_rate
        for option in self.options:
            metrics |= option.metrics()
        return metrics

    def words(self, metrics):
        return (
            f"reconstruction error {metrics['reconstruction_error']:.5f}, |dW|/|W| {metrics['update_ratio']:.1e}, "
            f"{metrics['seconds']:.2f} s"
        )

    def state(self):
        b, p = self.backend, self.problem
        chains = b.to_host(p.states) if self.settings.persistent else None
        extras = {name: x for option in self.options for name, x in option.state().items()}
        return State(host(b, p.params), host(b, p.velocity), chains, self.epochs, self.step, extras)

    # ---- minibatches

    def steps(self, order):
        """Train on the minibatches of the rows in `order`, a host array, one after another; the last may be short."""
        b, size = self.backend, self.settings.batch_size
        rows = b.array(order)
        fused = all(option.fused for option in self.options)
        if fused and b.cd_steps(self.problem, rows, size, self.step, self.epochs, self.hyper):
            self.step += -(-len(order) // size)
            return
        for start in range(0, len(order), size):
            batch = self.minibatch(order[start : start + size], b.part(rows, start, start + size))
            if not any(option.step(batch) for option in self.options):
                p = self.problem
                b.update(p.params, p.velocity, *batch.phases, self.hyper, p.centering, batch.mean_weight)
            for option in self.options:
                option.after_step(batch)
            self.step += 1

    def minibatch(self, order, rows):
        """The `Minibatch` of some rows, given by their numbers on the host and the backend's, with both phases computed."""
        b, p, n = self.backend, self.problem, len(order)

        def key(purpose, gibbs=0):
            return rng.key(p.seed, self.step, rng.stream(purpose, p.layer, gibbs))

        batch = Minibatch(order, rows, key, Phase(b.part(p.positive.v, 0, n), b.part(p.positive.h, 0, n), None))
        self.layer.load(b, rows, self.epochs, batch.positive.v)
        for option in self.options:
            option.positive(batch)
        positive = batch.positive
        if p.persistent:
            self._hidden_given_data(batch)
            batch.negative = p.negative
            self._gibbs(batch, p.states, p.chain_rows)
        else:
            chain = b.part(p.states, 0, n)
            self._hidden_given_data(batch, chain, rows, key(rng.HIDDEN))
            batch.negative = Phase(b.part(p.negative.v, 0, n), b.part(p.negative.h, 0, n), positive.weight)
            self._gibbs(batch, chain, rows)
        for option in self.options:
            option.negative(batch)
        if self.chain_machine is not self.machine:
            # hidden means given the states, at the parameters whose gradient this is
            self.machine.hidden_given(batch.negative.v, batch.negative.h)
        for option in self.options:
            option.gradient(batch)
        batch.data_scale = 1.0 / n
        batch.chain_scale = (batch.mean_weight if p.persistent else 1.0) / len(batch.negative.v)
        return batch

    def _hidden_given_data(self, batch, *draws):
        (v, h, _), machine = batch.positive, self.machine
        if batch.has_field:
            self.backend.activate(machine.hidden_unit, machine.params.c, h, *draws)
        else:
            machine.hidden_given(v, h, *draws)

    def _gibbs(self, batch, states, who):
        """k steps down and up from the chains' hidden states. The last step draws hidden states where the chains go on.

        Of chains at several temperatures the last step up is left to their option, which needs its fields.
        """
        b, p, phase = self.backend, self.problem, batch.negative
        chain = Chain(phase.v, states, b.part(p.work, 0, len(who)), phase.h)
        drop = None if batch.absent is None else functools.partial(b.assign_where, phase.v, batch.absent)
        beta, last = (None, 2 * p.k + 1) if p.tempering is None else (p.tempering.beta, 2 * p.k)
        options = {"beta": beta, "clamp": drop, "ends_in_mean": not p.persistent}
        self.chain_machine.walk(chain, who, batch.key, 1, last, **options)


def _problem(backend, layer, settings, state):
    """The `Problem` of a layer, its buffers made once for all epochs."""
    nv, nh = state.params.W.shape
    rows = min(settings.batch_size, layer.n_rows)
    n_chains = settings.chain_rows or rows
    return Problem(
        layer.visible,
        layer.hidden,
        layer.number,
        layer.seed,
        layer.data,
        Params(*(backend.array(x) for x in state.params)),
        Params(*(backend.array(x) for x in state.velocity)),
        Phase(backend.states(layer.visible, rows, nv), backend.zeros(rows, nh), None),
        Phase(backend.states(layer.visible, n_chains, nv), backend.zeros(n_chains, nh), None),
        backend.states(layer.hidden, n_chains, nh, state.chains),
        backend.zeros(n_chains, nv),
        backend.array(np.arange(n_chains, dtype=np.uint32)),
        steps_at_epoch(settings.k, state.epoch, "k"),
        settings.persistent,
    )
