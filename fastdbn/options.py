"""The parameters of an RBM, checked before anything is computed, and which of them do not go together."""

import numpy as np

from fastdbn import checks, missing, monitors, rng, variance
from fastdbn.data import SCALES
from fastdbn.optim import LARGEST, is_number, momentum_ramp
from fastdbn.train import MODEL_SHARE, Settings
from fastdbn.units import check_groups, get_unit


def check_shared(estimator):
    """What all estimators have, where this one has it: whom it tells, where its noise comes from, and whether it goes on."""
    checks.function(getattr(estimator, "callback", None), "callback")
    checks.flag(getattr(estimator, "warm_start", False), "warm_start")
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        checks.integer(estimator.verbose, "verbose", 0)
    rng.check(estimator.random_state)


def settings(rbm):
    """The `Settings` of an estimator's parameters.

    Raises
    ------
    ValueError
        that names the parameter, its value and the remedy.
    """
    check_shared(rbm)
    if rbm.learning_rate is not None and not _is_auto(rbm.learning_rate):
        checks.schedule(rbm.learning_rate, "learning_rate")
    momentum = momentum_ramp if rbm.momentum is None else checks.schedule(rbm.momentum, "momentum", 1.0)
    batch_size = checks.integer(rbm.batch_size, "batch_size")
    check_binarize(rbm.binarize)
    checks.choice(rbm.scale, "scale", SCALES)
    n_components, hidden = checks.integer(rbm.n_components, "n_components"), get_unit(rbm.hidden, "hidden")
    variance.check_hidden(hidden)
    check_groups(hidden, n_components, "hidden")
    visible = None if isinstance(rbm.visible, list) or _is_auto(rbm.visible) else get_unit(rbm.visible)
    monitors.check(rbm.early_stopping, rbm.n_iter_no_change, rbm.tol, rbm.validation_fraction, visible)
    missing.check(rbm.missing, rbm.missing_steps, rbm.persistent)
    _check_centering(rbm)
    n_chains = batch_size if rbm.n_chains is None else checks.integer(rbm.n_chains, "n_chains")
    return Settings(
        checks.steps(rbm.k, "k"),
        checks.flag(rbm.persistent, "persistent"),
        n_chains,
        rbm.learning_rate,
        momentum,
        checks.schedule(rbm.weight_decay, "weight_decay"),
        batch_size,
        checks.integer(rbm.n_iter, "n_iter", 0),
        checks.integer(rbm.monitor_interval, "monitor_interval"),
        checks.real(rbm.clip_norm, "clip_norm"),
        checks.real(rbm.variance_rate, "variance_rate"),
        rbm.centering,
        checks.schedule(rbm.l1, "l1"),
        check_max_norm(rbm.max_norm) or 0.0,
        _sparsity(rbm, hidden),
        *_chains(rbm),
    )


def check_binarize(value):
    """None, "sample" or a threshold."""
    if value is not None and not (isinstance(value, str) and value == "sample") and not is_number(value):
        raise ValueError(f'binarize={value!r}: give a number, "sample" or None')
    if is_number(value):
        checks.real(value, "binarize", -checks.FINITE, checks.FINITE)


def check_units(rbm, visible, kept):
    """Refuse what does not go with visible units that learn variances, of which something is kept, or that keep totals."""
    if not (kept or visible.keeps_total):
        return
    for name in ("centering", "fast_learning_rate", "temperatures"):
        value = getattr(rbm, name)
        if value is not None:
            raise ValueError(
                f"{name}={value!r} does not go with {visible.name} visible units, whose variances or totals belong to the "
                f"gradient: use {name}=None"
            )


def _is_auto(value):
    return isinstance(value, str) and value == "auto"


def _check_centering(rbm):
    if rbm.centering is None:
        return
    checks.choice(rbm.centering, "centering", (*MODEL_SHARE, None))
    if rbm.missing == "drop":
        raise ValueError(
            f"centering={rbm.centering!r} does not go with missing='drop', where each row has units of its own and no offsets "
            "suit all: use missing='sample' or centering=None"
        )


def check_max_norm(value):
    """The bound or None."""
    if value is not None and checks.real(value, "max_norm") == 0:
        raise ValueError(f"max_norm={value!r}: give a positive number or None")
    return None if value is None else float(value)


def _sparsity(rbm, hidden):
    """(target, cost), or None."""
    cost = checks.real(rbm.sparsity_cost, "sparsity_cost")
    if rbm.sparsity_target is None:
        return None
    target = checks.real(rbm.sparsity_target, "sparsity_target", -LARGEST)
    if not hidden.low < target < hidden.high:
        ends = f"{hidden.low:g} and {hidden.high:g}"
        raise ValueError(f"sparsity_target={target!r}: {hidden.name} units need a mean between {ends}")
    return target, cost


def _chains(rbm):
    """(rate of fast weights or None, inverse temperatures or None)."""
    rate, betas = rbm.fast_learning_rate, rbm.temperatures
    if rate is not None:
        rate = checks.real(rate, "fast_learning_rate")
    if betas is not None:
        betas = checks.inverse_temperatures(betas, "temperatures")
    for name in ("fast_learning_rate", "temperatures"):
        value = getattr(rbm, name)
        if value is not None and not rbm.persistent:
            raise ValueError(f"{name}={value!r} is about chains that go on: give persistent=True with it")
    return rate, betas
