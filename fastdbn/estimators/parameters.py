"""The parameters of an RBM, checked before anything is computed, and which of them do not go together."""

import itertools
import math
import numbers
from typing import NamedTuple

import numpy as np

from fastdbn.estimators.device import backend_for
from fastdbn.estimators.rows import threshold_of
from fastdbn.inputs.choice import SCALES
from fastdbn.machine.initial import learns_variance
from fastdbn.maths import rng
from fastdbn.maths.optim import LARGEST, is_number, momentum_ramp
from fastdbn.support import checks
from fastdbn.training import monitors
from fastdbn.training.layer import Settings
from fastdbn.training.options import options_of
from fastdbn.training.options.option import chains
from fastdbn.units import Mixed, check_groups, get_unit, visible_unit


def check_shared(estimator):
    """What all estimators have, where this one has it: whom it tells, where its noise comes from, and whether it goes on."""
    checks.callbacks(getattr(estimator, "callbacks", None), "callbacks")
    for name in "warm_start", "shuffle":
        checks.flag(getattr(estimator, name, False), name)
    if getattr(estimator, "memory_limit", None) is not None:
        checks.bytes_of(estimator.memory_limit, "memory_limit")
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        checks.integer(estimator.verbose, "verbose", 0)
    rng.check(estimator.random_state)


def settings(rbm, visible=None):
    """The `Settings` of an estimator's parameters.

    Parameters
    ----------
    rbm : RBM
    visible : Unit or None
        Its visible units; None where the data may have to choose them. A learning_rate of None, or "auto", needs them.

    Raises
    ------
    ValueError
        that names the parameter, its value and the remedy.
    """
    backend_for(rbm)  # which refuses a device that is not here
    check_shared(rbm)
    learning_rate = rbm.learning_rate
    if not (learning_rate is None or checks.is_auto(learning_rate)):
        checks.schedule(learning_rate, "learning_rate")
    persistent = checks.flag(rbm.persistent, "persistent")
    momentum = 0.0 if persistent else momentum_ramp
    momentum = momentum if rbm.momentum is None else checks.schedule(rbm.momentum, "momentum", 1.0)
    batch_size = checks.integer(rbm.batch_size, "batch_size")
    check_binarize(rbm.binarize)
    checks.choice(rbm.scale, "scale", SCALES)
    if rbm.n_iter is not None:
        checks.integer(rbm.n_iter, "n_iter", 0)
    n_components, hidden = checks.integer(rbm.n_components, "n_components"), get_unit(rbm.hidden, "hidden")
    check_groups(hidden, n_components, "hidden")
    if visible is None and not (isinstance(rbm.visible, list) or checks.is_auto(rbm.visible)):
        visible = get_unit(rbm.visible)
    monitors.check(rbm, visible)
    if rbm.n_chains is not None:
        checks.integer(rbm.n_chains, "n_chains")
    n_chains = chains(rbm)
    if persistent:
        of = "batch_size" if rbm.n_chains is None else "n_chains"
        checks.room(n_chains * n_components, f"n_components={n_components}, {of}", getattr(rbm, of))
    if visible is not None and (learning_rate is None or checks.is_auto(learning_rate)):
        learning_rate = min(visible.learning_rate, hidden.learning_rate)  # the customary one
    return Settings(
        checks.steps(rbm.k, "k"),
        persistent,
        n_chains,
        learning_rate,
        momentum,
        checks.schedule(rbm.weight_decay, "weight_decay"),
        batch_size,
        _monitor_interval(rbm),
        options_of(rbm, visible, hidden),
    )


EPOCHS, MINIBATCHES, MOST_EPOCHS = 20, 2000, 400
"""By default a fit has so many epochs, or on few rows as many as make so many minibatches, but no more than `MOST_EPOCHS`."""
OF_CHAINS = 20_000
"""Minibatches of a fit with persistent chains: a density takes longer to learn than features."""


UP_DOWN_EPOCHS, UP_DOWN_MINIBATCHES = 60, 20_000
"""The same of up-down with labels."""


def epochs(rbm, n_rows):
    """Epochs of a fit to some rows."""
    minibatches = OF_CHAINS if rbm.persistent else MINIBATCHES
    return _enough(n_rows, rbm.batch_size, EPOCHS, minibatches) if rbm.n_iter is None else rbm.n_iter


def up_down_epochs(n_iter, n_rows, batch_size):
    """Epochs of up-down with labels after pretraining: `n_iter`, or by default those that some rows need."""
    return _enough(n_rows, batch_size, UP_DOWN_EPOCHS, UP_DOWN_MINIBATCHES) if n_iter is None else n_iter


def _enough(n_rows, batch_size, fewest, minibatches):
    return max(fewest, min(MOST_EPOCHS, math.ceil(minibatches / math.ceil(n_rows / batch_size))))


UPPER, SHORT, WIDE = 4, 60, 256
"""Times the customary rate at which CD between Bernoulli units begins by default above the first layer, the most epochs of such a
fit, and the most units below it. At the customary rate such layers learn too little. Longer fits are those of few rows: there a
higher rate overfits and leaves idle units. Above more units it leaves idle units too, because the input of a unit sums over all
units below. There the rate falls as 1 / units, down to the customary one."""


def first_rate(rbm, rate, n_epochs):
    """The learning rate at which a fit of some epochs begins by default, of the customary one."""
    is_upper = rbm.layer_ > 0 and rbm.visible_ == rbm.hidden_ == "bernoulli"
    if not is_upper or rbm.persistent or n_epochs > SHORT:
        return rate
    return rate * max(1.0, UPPER * min(1.0, WIDE / rbm.n_features_in_))


def falling(rate, start, n_epochs):
    """The default schedule of a learning rate: a line from `rate` at epoch `start` down to 0 over the epochs of a fit."""
    return lambda epoch: rate * max(0.0, 1.0 - (epoch - start) / max(n_epochs, 1))


class EpochPart(NamedTuple):
    """What rows of a pass are of an epoch: its number from 0, or None for an epoch of their own, and the number of the first."""

    epoch: int | None = None
    first_row: int = 0


def check_part(part, n_iter, missing=None):
    """Refuse a `EpochPart`, if there is one, that is neither of the last of so many epochs nor of the next."""
    if part is None:
        return
    if part.epoch is not None and checks.integer(part.epoch, "epoch", 0) not in (n_iter - 1, n_iter):
        last = f"{n_iter - 1}, to go on with the last one, or " if n_iter else ""
        raise ValueError(f"epoch={part.epoch}: this estimator was trained for {n_iter} epochs: give {last}{n_iter} for the next")
    first_row = checks.integer(part.first_row, "first_row", 0)
    if first_row and (part.epoch is None or missing == "sample"):
        remedy = "give epoch too" if part.epoch is None else "missing='sample' begins its chains anew in each call: leave it out"
        raise ValueError(f"first_row={first_row}: {remedy}")


COPIES = 4
"""Numbers in memory for each weight: its own, its velocity, and the copies that a fit works on."""


def check_room(sizes, name, value):
    """Refuse layer sizes, from the data up, whose weights do not fit into this machine's memory."""
    checks.room(COPIES * sum(below * above for below, above in itertools.pairwise(map(int, sizes))), name, value)


def check_binarize(value):
    """None, "sample", "mean" or a threshold."""
    if value is not None and not (isinstance(value, str) and value in ("sample", "mean")) and not is_number(value):
        raise ValueError(f'binarize={value!r}: give a number, "sample", "mean" or None')
    if is_number(value):
        checks.real(value, "binarize", -LARGEST)


def check_same(old, new, of_data=True):
    """Refuse to train a fitted RBM further with parameters that its weights do not belong to.

    Parameters
    ----------
    old : RBM
        fitted.
    new : RBM
        with the parameters of the next fit; it may be the same.
    of_data : bool
        Whether its visible units are data, so that units, scaling, threshold and seed are parameters.

    Raises
    ------
    ValueError
        that names the parameter, its value and that of the fit.
    """
    same("n_components", new.n_components, len(old.components_))
    same("hidden", get_unit(new.hidden, "hidden"), get_unit(old.hidden_))
    same("dtype", str(new.dtype), old._velocity.W.dtype.name)
    if of_data:
        check_same_data(new, old)
        check_same_seed(new, old)
        same("binarize", new.binarize, old.binarize)


def check_same_data(new, old, *whose):
    """The same of the units and the scaling that `old`, any fitted estimator, has for data."""
    visible, scaling = get_unit(old.visible_), old.scaling_
    if not checks.is_auto(new.visible):
        same("visible", visible_unit(new.visible, old.n_features_in_), visible, *whose)
    own = threshold_of(new) is not None or learns_variance(visible) or isinstance(visible, Mixed)  # these scale in their own way
    if not (own or checks.is_auto(new.scale)):
        same("scale", new.scale, "none" if scaling.scale is None else "minmax" if scaling.clip else "standard", *whose)


def check_same_seed(new, old):
    """The same of a seed that is given as a number."""
    if isinstance(new.random_state, numbers.Integral):
        same("random_state", rng.seed_of(new.random_state), old.seed_)


def same(name, wanted, found, whose="the fit", remedy="set it back, or fit anew with warm_start=False"):
    """Refuse a parameter that is not what an earlier fit had."""
    if wanted != found:
        wanted, found = (getattr(value, "name", value) for value in (wanted, found))
        raise ValueError(f"{name}={wanted!r} is not that of {whose}, {found!r}: {remedy}")


def refuse_counts(unit):
    """A ValueError for visible units whose totals a network cannot make."""
    if unit.keeps_total:
        raise ValueError(f"visible={unit.name!r}: nothing in this network gives the totals of units that count: take other units")


def refuse_counts_in(visible, n):
    """The same of n units that a parameter asks for; "auto" never chooses such."""
    if not checks.is_auto(visible):
        refuse_counts(visible_unit(visible, n))


def _monitor_interval(rbm):
    """Epochs between two measures of likelihoods: 1 where early stopping waits for them."""
    interval = checks.integer(rbm.monitor_interval, "monitor_interval")
    waits = rbm.monitor is None or rbm.monitor.removeprefix("validation_") in ("pseudo_likelihood", "log_likelihood")
    return 1 if rbm.early_stopping and waits else interval
