"""Warnings of a fit that ended badly, by the measures of the epoch that it left. docs/tuning.md explains each of them.

A layer fails in one of several ways: its inputs are the same for all rows, their scale is not that of its units, the learning
rate is too high, its units are idle, or it has learned next to nothing. Only the first of these is told, because it explains the
others.
"""

import numpy as np

from fastdbn.support.report import FitWarning, warn
from fastdbn.training.options.option import chains
from fastdbn.units import get_unit

FLAT = 0.02
"""Hidden units are the same for all rows below this `hidden_spread`: layers that learned had 0.02 to 0.5, initial ones 0.01."""
WIDE, NARROW = 10.0, 0.1
"""Units of variance one cannot take in columns with a larger or smaller root mean square deviation than these."""
BARELY, WORSE = 0.9, 1.1
"""Healthy layers have 0.01 to 0.9 of the error of the column means. Layers that learned nothing have 0.95 or more, and layers
whose weights were thrown about have 1.1 to 1e10."""
LEAP = 0.3
"""A larger `update_ratio` at the end is no learning: healthy ones are 0.001 to 0.1."""
IDLE = 0.2
"""A larger fraction of dead or saturated units is wasted; healthy layers have 0 to 0.1."""
SHARE = 0.25
"""A layer of two-valued units overfits if the gap in free energy grew by more than this share of the pseudo-likelihood: healthy
ones have 0 to 0.1, and noise learned by heart has 1. Each measure of the pseudo-likelihood alone is too noisy."""
RISE, GAP = 1.1, 1.0
"""Another overfits if the error of rows held out is that much above its best, and the gap grew by more nats since."""
EFFECTIVE, CROWD = 2.0, 16
"""Chains in one mode are worth one draw, or two. Fewer chains than `EFFECTIVE` * `CROWD` can differ as much by chance, so n of
them must be worth less than n / `CROWD`."""
SWAPS = 0.1
"""Below this rate of exchanges hot chains hardly reach the coldest; it should be above 0.2."""
ROWS = 1024
"""Rows, evenly spread, whose outputs are compared."""
SAME = 1e-2
"""Outputs with a standard deviation below this count as the same; targets have variance one."""
LARGE = 100.0
"""Linear outputs beyond this are those of steps that were too long: a class that is sure has some 10."""


def tell(lines):
    """Warn once of all that went wrong in a fit."""
    if lines:
        warn("\n".join((*lines, "docs/tuning.md says more.")), FitWarning)


# ---- layers


def of_layers(layers, owner):
    """A line for each thing that went wrong in some fitted RBMs: layer, number and remedy. `owner` has the callbacks."""
    lines, cause = [], None
    for rbm in layers:
        if not rbm.n_iter_:
            continue
        epochs = _epochs_left(rbm, owner)
        last = _measures(rbm, epochs)
        causes = _inputs(last, cause and rbm.layer_), _scale(rbm, last), _rate(rbm, last), _idle(rbm, last), _barely(rbm, last)
        cause = next(filter(None, causes), None)
        found = filter(None, (cause, _overfits(rbm, last, epochs), _chains(rbm, last), _exchanges(rbm, last)))
        lines += [f"layer {rbm.layer_ + 1} {line}" for line in found]
    return lines


def _epochs_left(rbm, owner):
    """The number of epochs up to the parameters that the fit has left: the best one with early stopping, else all."""
    stopping = rbm._stopping(owner)
    if stopping is None:
        return rbm.n_iter_
    for epoch, value in enumerate(rbm.history_[stopping.name], 1):
        stopping.update({stopping.name: value}, epoch)
    return stopping.best_state or rbm.n_iter_


def _measures(rbm, epochs):
    """The last value of each entry of the history in some first epochs, but the highest learning rate, and the error relative to
    that of column means."""
    found = {}
    for name, values in rbm.history_.items():
        known = values[:epochs][np.isfinite(values[:epochs])]
        found[name] = known[-1] if len(known) else np.nan
    rates = rbm.history_["learning_rate"][:epochs]
    found["learning_rate"] = np.nanmax(rates) if np.isfinite(rates).any() else np.nan  # the default one falls to 0
    found["relative_error"] = found["reconstruction_error"] / found["baseline_error"] if found["baseline_error"] else np.nan
    return found


def _inputs(last, failed):
    """failed is the number of the layer below, from 1, if that went wrong."""
    deviation = np.sqrt(last["baseline_error"])
    if failed and deviation < FLAT:
        return f"sees nearly the same for all rows (a deviation of {deviation:.1g}): repair layer {failed} first"
    return "sees the same values in all rows: there is nothing to learn" if deviation == 0 else None


def _scale(rbm, last):
    unit, deviation = get_unit(rbm.visible_), np.sqrt(last["baseline_error"])
    has_scale = rbm.layer_ or unit.support not in ("real", "half-line") or rbm.scaling_.scale is not None
    if has_scale or NARROW <= deviation <= WIDE or np.isnan(deviation):
        return None
    return (
        f"has {unit.name} visible units, which have variance one, on columns whose deviation is {deviation:.2g}: "
        f"scale={rbm.scale!r} leaves it so. Give scale='standard'"
    )


def _rate(rbm, last):
    idle, rate = np.nansum((last["dead_units"], last["saturated_units"])), last["learning_rate"]
    worse = last["relative_error"] > WORSE
    if not ((worse and idle > IDLE) or (last["hidden_spread"] >= FLAT and (worse or last["update_ratio"] > LEAP))):
        return None
    tries = [f"learning_rate={rate / 10:.2g}", *_centering(rbm)]
    if rbm.learning_rate is None:
        tries.reverse()  # the customary rate suits most data with a centred gradient
    error = f"reconstructs rows worse than the column means do (error {last['relative_error']:.3g} times theirs)"
    facts = [error] if worse else [f"changes its weights by {last['update_ratio']:.0%} in a single step"]
    facts += [f"{idle:.0%} of its hidden units are dead or saturated"] if idle > IDLE else []
    return f"{', and '.join(facts)}: learning_rate is too high ({rate:.2g} at most). Try {', or '.join(tries)}"


def _idle(rbm, last):
    n, shares = len(rbm.components_), {"dead": last["dead_units"], "saturated": last["saturated_units"]}
    if rbm.sparsity_target is not None:
        shares["dead"] = 0.0  # they were asked to be mostly off
    if not np.nansum([*shares.values()]) > IDLE:
        return None
    counts = " and ".join(f"{round(share * n)} {word}" for word, share in shares.items() if share > 0)
    tries = [*_centering(rbm), f"a smaller learning_rate ({last['learning_rate']:.2g} at most)", "fewer hidden units"]
    return (
        f"has {counts} hidden units of {n}: they are off (dead) or on (saturated) for nearly all rows, and tell none apart. "
        f"Try {', or '.join(tries)}"
    )


def _barely(rbm, last):
    if not (last["hidden_spread"] < FLAT and last["relative_error"] > BARELY):
        return None
    other = "smaller" if last["relative_error"] > WORSE else "larger"
    tries = ["more epochs (n_iter)", *_centering(rbm), f"a {other} learning_rate ({last['learning_rate']:.2g} at most)"]
    return (
        f"has learned next to nothing (epochs: {rbm.n_iter_}): its hidden units are nearly the same for all rows (a deviation of "
        f"{last['hidden_spread']:.1g}), and its error is {last['relative_error']:.2f} of that of the column means. "
        f"Try {', or '.join(tries)}"
    )


def _overfits(rbm, last, epochs):
    """By the growth of the gap for units of two values, else where rows held out were reconstructed better before."""
    history = {name: values[:epochs] for name, values in rbm.history_.items()}
    gap, errors, held_out = (
        history[name] for name in ("free_energy_gap", "reconstruction_error", "validation_reconstruction_error")
    )
    if np.isnan(gap[-1]) or np.isnan(held_out[-1]):
        return None
    if np.isfinite(log_p := last["validation_pseudo_likelihood"]):
        overfits, seen = gap[-1] - gap[0] > SHARE * abs(log_p), f"a pseudo-likelihood of {log_p:.3g}"
    else:
        best = int(np.nanargmin(held_out))
        overfits = held_out[-1] > RISE * held_out[best] and errors[-1] <= errors[best] and gap[-1] - gap[best] > GAP
        seen = f"an error of {held_out[-1]:.3g}, which was {held_out[best]:.3g} in epoch {best + 1} of {rbm.n_iter_}"
    if not overfits:
        return None
    return (
        f"overfits: rows held out have a free energy {gap[-1]:.3g} nats above that of rows trained on, and {seen}. "
        "Try early_stopping=True, or fewer hidden units, or more weight_decay"
    )


def _chains(rbm, last):
    n = chains(rbm)
    if not (rbm.persistent and last["effective_chains"] < min(EFFECTIVE, n / CROWD)):
        return None
    other = "" if rbm.trajectory is not None else ", or trajectory=0.25"
    return (
        f"has {n} persistent chains whose mean is as far from that of the data as that of {last['effective_chains']:.2g} "
        "independent draws: they sit in one mode and do not mix. Try a smaller or falling learning_rate "
        f"({last['learning_rate']:.2g} at most), or more Gibbs steps (k){other}"
    )


def _exchanges(rbm, last):
    if not last["swap_rate"] < SWAPS:
        return None
    between, remedy = "temperatures between", "Give more temperatures, or nearer ones"
    if rbm.trajectory is not None:
        rate = f"a smaller or falling learning_rate ({last['learning_rate']:.2g} at most)"
        between, remedy = "frozen machines with", f"The model moves too fast for its trajectory: try {rate}, or more chains"
    return f"has {between} which chains exchange too rarely ({last['swap_rate']:.1%} of the tries, and 20 % would do). {remedy}"


def _centering(rbm):
    """The remedy of a centred gradient, where the layer has none and can have one."""
    unit = get_unit(rbm.visible_)
    return ["centering='data'"] if rbm.centering is None and not (unit.keeps_total or "log_variance" in unit.parameters) else []


# ---- outputs


def of_outputs(outputs, target, weights):
    """A line if a network gives all of some rows the same class, or number, or fits them worse than that would.

    Parameters
    ----------
    outputs : (n, n_outputs) array
        Linear outputs, before the function of their units.
    target : (n,) class numbers, or (n, n_outputs) standardised numbers
    weights : (n,) of the rows, their classes included
    """
    remedies, rate = ["more epochs (max_iter)", "scale='standard'"], "a smaller" if np.abs(outputs).max() > LARGE else "another"
    if target.ndim == 1:
        outputs, target = outputs.argmax(axis=1)[:, None], target[:, None]
        remedies.append("class_weight='balanced'")
        found, constant = weights @ (outputs == target)[:, 0], np.bincount(target[:, 0], weights).max()
        worse, measure, found, constant = found < constant, "accuracy", found / weights.sum(), constant / weights.sum()
    else:
        found, constant = (float(weights @ (x**2).mean(axis=1) / weights.sum()) for x in (outputs - target, target))
        worse, measure = found > constant > SAME**2, "squared error"
    same = (outputs.std(axis=0) < SAME) & (target.std(axis=0) >= SAME)
    if same.any():
        which = f"output {np.argmax(same)} of {len(same)} is" if len(same) > 1 else "the output is"
        fault, first = f"{which} the same for all of {len(outputs)} rows of the fit", f"{rate} learning_rate_init"
    elif worse:
        fault = f"the network fits its own rows worse than a constant does ({measure} {found:.3g}, not {constant:.3g})"
        first = "a smaller learning_rate_init"
    else:
        return []
    return [f"{fault}: it has learned nothing from X. Try {', or '.join([first, *remedies])}"]


def some_rows(n):
    """The numbers of at most `ROWS` of n rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).astype(int))
