"""Training one RBM: epochs of shuffled minibatches, what is measured after each, and what is kept when something goes wrong.

The parameters after the last good epoch are always at hand: a fit that diverges, or that the user interrupts, ends with them.
"""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fastdbn import cd, missing, model, rng, variance
from fastdbn.backends import Centering, Hyper, Params, Problem, Side
from fastdbn.monitors import Watch
from fastdbn.optim import at_epoch, steps_at_epoch
from fastdbn.unit import Unit

CALL_WORK = 2e10
"""Floating-point operations of minibatches in one compiled call: about a tenth of a second, after which Ctrl-C is heard."""
ROWS_PER_CALL = 3200
"""Rows of minibatches in one compiled call at least, for what a call costs by itself is as much as a hundred rows."""


OFFSETS = "offset_v", "offset_h"
"""Names in `State.kept` of the offsets of a centred gradient."""
SLIDE = 0.01
"""Rate at which offsets follow the means of minibatches (Melchior, Fischer, Wiskott 2016, section 4)."""
MODEL_SHARE = {"data": 0.0, "enhanced": 0.5}
"""The chains' part in the means that offsets follow; a half makes it the enhanced gradient (Cho, Raiko, Ilin 2011)."""


class DivergenceError(ArithmeticError):
    """Training has left the finite numbers, or the models that have a distribution at all; the estimator keeps the parameters of
    the last good epoch."""


class Settings(NamedTuple):
    """The numbers of a fit, checked; k, learning_rate, momentum and weight_decay may be schedules."""

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
    """Weights of the rows that initial parameters and scaling may know: 0 for those held out; None where all count as one."""
    if not fraction:
        return weights
    weights = np.ones(n) if weights is None else weights.copy()
    weights[hold_out(seed, n, fraction)[1]] = 0.0
    return weights


def make_problem(backend, layer, state, settings):
    """The `Problem` of a layer, its buffers allocated once for all epochs."""
    nv, nh = state.params.W.shape
    rows = min(settings.batch_size, layer.n_rows)
    chains = settings.n_chains if settings.persistent else rows
    params = Params(*(backend.array(x) for x in state.params))
    problem = Problem(
        layer.visible,
        layer.hidden,
        layer.number,
        layer.seed,
        layer.data,
        params,
        Params(*(backend.array(x) for x in state.velocity)),
        Side(backend.states(layer.visible, rows, nv), backend.zeros(rows, nh), None),
        Side(backend.states(layer.visible, chains, nv), backend.zeros(chains, nh), None),
        backend.states(layer.hidden, chains, nh, state.chains),
        backend.zeros(chains, nv),
        backend.array(np.arange(chains, dtype=np.uint32)),
        steps_at_epoch(settings.k, state.epoch, "k"),
        settings.persistent,
        _gaps(backend, layer, params, rows),
        _variance(backend, layer, state, settings),
        _centering(backend, state, settings),
    )
    if settings.persistent and layer.visible.keeps_total:  # chains take the totals of some rows, evenly spread, for good
        own = np.arange(layer.n_rows, dtype=np.uint32) if layer.rows is None else layer.rows
        spread = own[np.linspace(0, len(own) - 1, chains).astype(int)]
        key = rng.key(layer.seed, 0, rng.stream(rng.DATA, layer.number))
        backend.take(layer.data, backend.array(spread), key, problem.minus.v)
    if settings.persistent and state.chains is None:
        # the field of a hidden unit is zero here: chains begin at the hidden units' own biases
        key = rng.key(layer.seed, 0, rng.stream(rng.INIT, layer.number, 1))
        backend.activate(layer.hidden, params.c, problem.minus.h, problem.states, problem.chain_rows, key)
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


def _centering(backend, state, settings):
    """The `Centering` of a fit, or None."""
    if settings.centering is None:
        return None
    return Centering(*(backend.array(state.kept[name]) for name in OFFSETS), SLIDE, MODEL_SHARE[settings.centering])


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
    for epoch in range(state.epoch, state.epoch + settings.n_iter):
        started = time.perf_counter()
        order = order_of_epoch(layer.seed, layer.number, epoch, layer.n_rows)
        order = order if layer.rows is None else layer.rows[order]
        hyper = Hyper(
            at_epoch(settings.learning_rate, epoch, "learning_rate"),
            at_epoch(settings.momentum, epoch, "momentum"),
            at_epoch(settings.weight_decay, epoch, "weight_decay"),
        )
        problem = problem._replace(k=steps_at_epoch(settings.k, epoch, "k"))
        per_call = size * max(1, ROWS_PER_CALL // size, int(CALL_WORK / (2.0 * size * nv * nh * (3 + 2 * problem.k))))
        for start in range(0, layer.n_rows, per_call):
            part = order[start : start + per_call]
            weights = None if layer.weights is None else layer.weights[part]
            cd.steps(backend, problem, backend.array(part), weights, size, step, epoch, hyper)
            step += -(-len(part) // size)
        length = backend.norm(problem.params.W)
        if not np.isfinite(length + backend.norm(problem.params.b) + backend.norm(problem.params.c)):
            raise DivergenceError(
                f"training diverged in epoch {epoch + 1} of layer {layer.number + 1}: parameters are no longer finite. Use a "
                f"smaller learning_rate (it was {hyper.learning_rate:g}; try {hyper.learning_rate / 10:g}) or scale the data"
            )
        metrics = {
            **watch.measure(problem.params, epoch, problem.variance),
            "update_ratio": backend.norm(problem.velocity.W) / max(length, 1e-30),
            "seconds": time.perf_counter() - started,
        }
        _check_normaliser(layer, backend.to_host(problem.params.W), f"after epoch {epoch + 1}", DivergenceError)
        chains = backend.to_host(problem.states) if settings.persistent else None
        kept = {name: x for name, x in state.kept.items() if name not in OFFSETS}
        if problem.variance is not None:
            kept |= {name: x.copy() for name, x in zip(variance.NAMES, problem.variance[:2], strict=True)}
        if problem.centering is not None:
            kept |= dict(zip(OFFSETS, map(backend.to_host, problem.centering[:2]), strict=True))
        now = State(host(backend, problem.params), host(backend, problem.velocity), chains, epoch + 1, step, kept)
        try:
            on_epoch(now, metrics)
        except StopIteration:
            return
