"""Training one RBM: epochs of shuffled minibatches, what is measured after each, and what is kept when something goes wrong.

The parameters after the last good epoch are always at hand: a fit that diverges, or that the user interrupts, ends with them.
"""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Centering, Hyper, Params, Phase, Problem, Sparsity
from fastdbn.machine import model
from fastdbn.maths import rng
from fastdbn.maths.optim import at_epoch, steer, steps_at_epoch
from fastdbn.training import cd, chains, missing, variance
from fastdbn.training.monitors import Watch
from fastdbn.units.unit import Unit

CALL_WORK = 2e10
"""Floating-point operations of minibatches in one compiled call: about a tenth of a second, after which Ctrl-C is heard."""
ROWS_PER_CALL = 3200
"""Rows of minibatches in one compiled call at least, for what a call costs by itself is as much as a hundred rows."""
OFFSETS = "offset_v", "offset_h"
"""Names in `State.kept` of the offsets of a centred gradient."""
ACTIVITY, RATE = "activity", "learning_rate"
"""Names in `State.kept` of the hidden units' running activity and of a learning rate that is steered."""
SLIDE = 0.01
"""Rate at which offsets follow the means of minibatches (Melchior, Fischer, Wiskott 2016, section 4)."""
MODEL_SHARE = {"data": 0.0, "enhanced": 0.5}
"""The chains' part in the means that offsets follow; a half makes it the enhanced gradient (Cho, Raiko, Ilin 2011)."""
STEERED = 100
"""Minibatches after which a learning rate that is steered moves, at most."""


class DivergenceError(ArithmeticError):
    """Training has left the finite numbers, or the models that have a distribution at all; the estimator keeps the parameters of
    the last good epoch."""


class Settings(NamedTuple):
    """The numbers of a fit, checked; k, learning_rate (or "auto"), momentum, weight_decay and l1 may be schedules.

    sparsity is (target, cost), betas the inverse temperatures of n_chains chains each.
    """

    k: Any
    persistent: bool
    n_chains: int
    learning_rate: Any
    momentum: Any
    weight_decay: Any
    batch_size: int
    n_iter: int
    monitor_interval: int = 5
    clip_norm: float = 10.0
    variance_rate: float = 0.1
    centering: str | None = None
    l1: Any = 0.0
    max_norm: float = 0.0
    sparsity: tuple[float, float] | None = None
    fast_learning_rate: float | None = None
    betas: tuple[float, ...] | None = None


class Layer(NamedTuple):
    """One RBM to train: unit types, where its data come from, its number in the stack and the seed of its noise.

    n_rows of the data are trained on: those named in rows, sorted, or with None the first; held_out are the others, or None.
    absence says what is missing in the data, or is None.
    """

    visible: Unit
    hidden: Unit
    data: Any
    n_rows: int
    weights: Any
    number: int
    seed: int
    rows: Any = None
    held_out: Any = None
    absence: missing.Absence | None = None


class State(NamedTuple):
    """Where training stands, as host arrays: parameters, velocity, the chains' hidden states or None, epochs, minibatches, and
    what options keep, by name."""

    params: Params
    velocity: Params
    chains: Any
    epoch: int
    step: int
    kept: Mapping[str, np.ndarray] = MappingProxyType({})


def customary_rate(visible, hidden):
    """The learning rate of a pair of unit types where none is given."""
    return min(visible.learning_rate, hidden.learning_rate)


def host(backend, params):
    """Host copies of parameters."""
    return Params(*(backend.to_host(x) for x in params))


def order_of_epoch(seed, layer, epoch, n):
    """The order of the rows in an epoch: a permutation keyed by seed, layer and epoch."""
    draw = rng.host_generator(seed, epoch, rng.stream(rng.ORDER, layer))
    return draw.permutation(n).astype(np.uint32)


def hold_out(seed, n, fraction):
    """(rows trained on, rows held out), both sorted: a share of n rows, drawn by the seed; the same for all layers of a stack.

    Raises
    ------
    ValueError
        if no row is left to train on.
    """
    held = max(1, round(fraction * n))
    if held >= n:
        raise ValueError(f"validation_fraction={fraction} of {n} rows leaves none to train on: give a smaller share")
    drawn = rng.host_generator(seed, 0, rng.stream(rng.SPLIT, 0, 1)).permutation(n).astype(np.uint32)
    return np.sort(drawn[held:]), np.sort(drawn[:held])


def weights_of_known(seed, n, fraction, weights):
    """Weights of the rows that initial parameters and scaling may know: 0 for those held out; None where all count as one.

    Raises
    ------
    ValueError
        if no row is left to train on, or none of any weight.
    """
    if not fraction:
        return weights
    weights = np.ones(n) if weights is None else weights.copy()
    held_out = hold_out(seed, n, fraction)[1]
    weights[held_out] = 0.0
    if not weights.any():
        raise ValueError(
            f"sample_weight is 0 for all rows but those that validation_fraction={fraction} holds out, {len(held_out)} of {n}: "
            "give more rows a weight, or take another share or random_state"
        )
    return weights


def make_problem(backend, layer, state, settings):
    """The `Problem` of a layer, its buffers allocated once for all epochs."""
    nv, nh = state.params.W.shape
    rows = min(settings.batch_size, layer.n_rows)
    n_chains = settings.n_chains * len(settings.betas or (1,)) if settings.persistent else rows
    params = Params(*(backend.array(x) for x in state.params))
    problem = Problem(
        layer.visible,
        layer.hidden,
        layer.number,
        layer.seed,
        layer.data,
        params,
        Params(*(backend.array(x) for x in state.velocity)),
        Phase(backend.states(layer.visible, rows, nv), backend.zeros(rows, nh), None),
        Phase(backend.states(layer.visible, n_chains, nv), backend.zeros(n_chains, nh), None),
        backend.states(layer.hidden, n_chains, nh, state.chains),
        backend.zeros(n_chains, nv),
        backend.array(np.arange(n_chains, dtype=np.uint32)),
        steps_at_epoch(settings.k, state.epoch, "k"),
        settings.persistent,
        _gaps(backend, layer, params, rows),
        _variance(backend, layer, state, settings),
        _centering(backend, layer, state, settings),
        _sparsity(backend, state, settings),
        chains.make_fast(backend, params, state.kept, settings.fast_learning_rate),
        chains.make_tempering(backend, settings.betas, layer.visible, layer.hidden, (nv, nh), settings.n_chains),
        backend.zeros(nh) if settings.max_norm else None,
    )
    if settings.persistent and layer.visible.keeps_total:  # chains take the totals of some rows, evenly spread, for good
        own = np.arange(layer.n_rows, dtype=np.uint32) if layer.rows is None else layer.rows
        spread = own[np.linspace(0, len(own) - 1, n_chains).astype(int)]
        key = rng.key(layer.seed, 0, rng.stream(rng.DATA, layer.number))
        backend.load_rows(layer.data, backend.array(spread), key, problem.negative.v)
    if settings.persistent and state.chains is None:
        # the field of a hidden unit is zero here: chains begin at the hidden units' own biases
        key = rng.key(layer.seed, 0, rng.stream(rng.INIT, layer.number, 1))
        backend.activate(layer.hidden, params.c, problem.negative.h, problem.states, problem.chain_rows, key)
    return problem


def _gaps(backend, layer, params, rows):
    """The `Gaps` of a layer's data, or None."""
    if layer.absence is None:
        return None
    key = rng.key(layer.seed, 0, rng.stream(rng.INIT, layer.number, 3))
    return missing.make_gaps(backend, layer.visible, layer.hidden, layer.absence, params, rows, layer.absence.n_rows, key)


def _variance(backend, layer, state, settings):
    """The `Variance` of a layer whose visible units learn theirs, or None."""
    if not variance.learns(layer.visible):
        return None
    z, velocity = (np.array(state.kept[name], np.float64) for name in variance.NAMES)
    room = Params(*(backend.zeros(*x.shape) for x in state.params))
    return variance.Variance(z, velocity, room, settings.clip_norm, settings.variance_rate)


def _check_normaliser(layer, W, when, error):
    """Refuse weights between unbounded units for which exp(-E) has no finite integral, or might have none."""
    norm = model.unbounded_norm(layer.visible, layer.hidden, W)
    if norm >= 1:
        raise error(
            f"{layer.visible.name} visible and {layer.hidden.name} hidden units have a distribution for certain only while the "
            f"spectral norm of the weights between those without bounds is below 1; it is {norm:.3g} {when} of layer "
            f"{layer.number + 1}: use a smaller learning_rate, more weight_decay, or units that are bounded on one side"
        )


def _centering(backend, layer, state, settings):
    """The `Centering` of a fit, or None; where an earlier fit was not centred offsets begin at the means that biases give."""
    if settings.centering is None:
        return None
    offsets = [state.kept.get(name) for name in OFFSETS]
    if offsets[0] is None:
        offsets = model.center(backend, layer.visible, layer.hidden, state.params)[1]
    return Centering(*map(backend.array, offsets), SLIDE, MODEL_SHARE[settings.centering])


def _sparsity(backend, state, settings):
    """The `Sparsity` of a fit, or None; activity is taken to be what it should be at first."""
    if settings.sparsity is None:
        return None
    target, cost = settings.sparsity
    nh = len(state.params.c)
    return Sparsity(backend.array(state.kept.get(ACTIVITY, np.full(nh, target))), target, cost)


def _kept(backend, problem, kept, rate):
    """What options keep, for `State.kept`, beside what was kept before; rate is the learning rate where it is steered."""
    kept = {name: x for name, x in kept.items() if name not in (*OFFSETS, ACTIVITY, RATE, *chains.FAST)}
    if rate is not None:
        kept[RATE] = np.array([rate])
    if problem.variance is not None:
        kept |= {name: x.copy() for name, x in zip(variance.NAMES, problem.variance[:2], strict=True)}
    if problem.centering is not None:
        kept |= zip(OFFSETS, map(backend.to_host, problem.centering[:2]), strict=True)
    if problem.sparsity is not None:
        kept[ACTIVITY] = backend.to_host(problem.sparsity.activity)
    if problem.fast is not None:
        kept |= zip(chains.FAST, map(backend.to_host, problem.fast.weights), strict=True)
    return kept


def train(backend, layer, state, settings, on_epoch: Callable[[State, dict], None]):
    """Train for `settings.n_iter` epochs from a state.

    Parameters
    ----------
    backend : Backend
    layer : Layer
    state : State
    settings : Settings
    on_epoch : callable of (State, dict of metrics)
        called after every epoch with the new state; the metrics are those of `monitors.MONITORS`, NaN where not measured.
        StopIteration ends the training cleanly.

    Raises
    ------
    DivergenceError
        if parameters are no longer finite, or have no normaliser; on_epoch was not called for that epoch.
    ValueError
        if those that training would begin with have no normaliser.
    """
    _check_normaliser(layer, state.params.W, "before training", ValueError)
    problem = make_problem(backend, layer, state, settings)
    nv, nh = state.params.W.shape
    watch = Watch(backend, layer, (nv, nh), settings.monitor_interval)
    size = settings.batch_size
    step = state.step
    steered = isinstance(settings.learning_rate, str)
    rate = float(state.kept[RATE][0]) if steered and RATE in state.kept else customary_rate(layer.visible, layer.hidden)
    for epoch in range(state.epoch, state.epoch + settings.n_iter):
        started = time.perf_counter()
        order = order_of_epoch(layer.seed, layer.number, epoch, layer.n_rows)
        order = order if layer.rows is None else layer.rows[order]
        hyper = Hyper(
            rate if steered else at_epoch(settings.learning_rate, epoch, "learning_rate"),
            at_epoch(settings.momentum, epoch, "momentum"),
            at_epoch(settings.weight_decay, epoch, "weight_decay"),
            at_epoch(settings.l1, epoch, "l1"),
            settings.max_norm,
        )
        problem = problem._replace(k=steps_at_epoch(settings.k, epoch, "k"))
        per_call = size * max(1, ROWS_PER_CALL // size, int(CALL_WORK / (2.0 * size * nv * nh * (3 + 2 * problem.k))))
        per_call = min(per_call, STEERED * size) if steered else per_call
        for start in range(0, layer.n_rows, per_call):
            part = order[start : start + per_call]
            weights = None if layer.weights is None else layer.weights[part]
            cd.steps(backend, problem, backend.array(part), weights, size, step, epoch, hyper)
            step += -(-len(part) // size)
            if steered:
                # weights are taken to have grown to an input of about one: small ones, as at first, would never grow
                rate = steer(rate, backend.norm(problem.velocity.W) / max(backend.norm(problem.params.W), nh**0.5))
                hyper = hyper._replace(learning_rate=rate)
        length = backend.norm(problem.params.W)
        if not np.isfinite(length + backend.norm(problem.params.b) + backend.norm(problem.params.c)):
            decay = f", less weight_decay (it was {hyper.weight_decay:g})" if hyper.weight_decay * hyper.learning_rate > 1 else ""
            raise DivergenceError(
                f"training diverged in epoch {epoch + 1} of layer {layer.number + 1}: parameters are no longer finite. Use a "
                f"smaller learning_rate (it was {hyper.learning_rate:g}; try {hyper.learning_rate / 10:g}){decay} "
                "or scale the data"
            )
        metrics = {
            **watch.measure(problem.params, epoch, problem.variance),
            "update_ratio": backend.norm(problem.velocity.W) / max(length, 1e-30),
            "learning_rate": hyper.learning_rate,
            "swap_rate": chains.swap_rate(problem.tempering),
            "seconds": time.perf_counter() - started,
        }
        params = host(backend, problem.params)
        _check_normaliser(layer, params.W, f"after epoch {epoch + 1}", DivergenceError)
        states = backend.to_host(problem.states) if settings.persistent else None
        kept = _kept(backend, problem, state.kept, rate if steered else None)
        now = State(params, host(backend, problem.velocity), states, epoch + 1, step, kept)
        try:
            on_epoch(now, metrics)
        except StopIteration:
            return
