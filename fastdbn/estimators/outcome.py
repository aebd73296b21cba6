"""Warnings of a fit that ended badly: hidden units that do not distinguish rows, outputs that are the same for all rows."""

import numpy as np

from fastdbn.support.report import FitWarning, warn

MOST = 0.5
"""A layer is idle if more than this share of its hidden units is dead or saturated."""
ROWS = 1024
"""Rows, evenly spread, whose outputs are compared."""
SAME = 1e-2
"""Outputs with a standard deviation below this count as the same; targets have variance one."""


def idle_layers(layers):
    """A line for each of some fitted RBMs whose last epoch left most hidden units dead or saturated."""
    lines = []
    for rbm in layers:
        dead, saturated = (rbm.history_[name][-1] if rbm.n_iter_ else np.nan for name in ("dead_units", "saturated_units"))
        dead = 0.0 if rbm.sparsity_target is not None else dead  # they were asked to be mostly off
        if np.nansum((dead, saturated)) > MOST:
            n = len(rbm.components_)
            counts = [f"{round(part * n)} {word}" for part, word in ((dead, "dead"), (saturated, "saturated")) if part > 0]
            lines.append(f"layer {rbm.layer_ + 1} has {' and '.join(counts)} hidden units of {n}")
    return lines


def warn_of_idle_units(layers):
    """Warn once if most hidden units of a layer are off, or on, for nearly all rows."""
    lines = idle_layers(layers)
    if lines:
        warn(
            f"{'; '.join(lines)}: they are off (dead) or on (saturated) for nearly all rows, and tell none apart. Try "
            "centering='data' (in a network: rbm=RBM(centering='data')), more epochs, or another learning_rate",
            FitWarning,
        )


def warn_of_constant_outputs(outputs, target):
    """Warn if a network gives all of some rows the same class, or number, though their targets differ.

    Parameters
    ----------
    outputs : (n, n_outputs) array
    target : (n,) class numbers, or (n, n_outputs) standardised numbers
    """
    remedies = ["a larger learning_rate_init", "more epochs (max_iter)", "scale='standard'"]
    if target.ndim == 1:
        outputs, target = outputs.argmax(axis=1)[:, None], target[:, None]
        remedies.append("class_weight='balanced'")
    same = (outputs.std(axis=0) < SAME) & (target.std(axis=0) >= SAME)
    if same.any():
        which = f"output {np.argmax(same)} of {len(same)} is" if len(same) > 1 else "the output is"
        warn(
            f"{which} the same for all of {len(outputs)} rows of the fit: the network has learned nothing from X. "
            f"Try one of these: {', '.join(remedies)}",
            FitWarning,
        )


def some_rows(n):
    """The numbers of at most `ROWS` of n rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).astype(int))
