"""Learning curves: the measures of `history_` by epoch, of all layers and of what follows them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fastdbn.evaluate.models import Model, fitted, layers
from fastdbn.plot.style import colours, drawn, legend, plain, several_axes
from fastdbn.support import checks

WORDS = {
    "reconstruction_error": "Reconstruction error",
    "pseudo_likelihood": "Pseudo-likelihood",
    "free_energy_gap": "Free-energy gap",
    "loss": "Loss of fine-tuning",
    "validation_score": "Score of rows held out",
    "wake_loss": "Loss of the wake phase",
    "sleep_loss": "Loss of the sleep phase",
}
"""The panels that are drawn where they were measured, and their titles."""
UNITS = {
    "reconstruction_error": "over that of the column means",
    "pseudo_likelihood": "nats a row",
    "free_energy_gap": "nats",
    "wake_loss": "nats",
    "sleep_loss": "nats",
}
HELD_OUT = "validation_"


@drawn
def learning_curves(model: Model, metrics: Sequence[str] | None = None, *, axes: Sequence[Axes] | None = None) -> NDArray[Any]:
    """Measures by epoch: a panel for each measure, a colour for each layer; dashed lines are of rows held out.

    The reconstruction error is divided by that of the column means, so that 1 is no better than they are. The free-energy gap
    is measured with `validation_fraction` of the RBM. A gap that grows says that the layer overfits.

    Parameters
    ----------
    model : fitted estimator
    metrics : sequence of str or None, default None
        Names of `history_`, of layers, fine-tuning or up-down. None is the most telling ones of those that were measured.
    axes : sequence of matplotlib Axes or None, default None
        One for each measure. None makes a new figure.

    Returns
    -------
    array of matplotlib Axes

    Raises
    ------
    ValueError
        for a measure that the model does not have, or another number of axes.
    """
    stages = _stages(fitted(model))
    found = {name for _, history in stages for name, values in history.items() if np.isfinite(values).any()}
    if metrics is None:
        metrics = [name for name in WORDS if name in found]
        if not metrics:
            raise ValueError(f"this {type(model).__name__} has no measured epoch: fit it for one or more")
    for name in metrics:
        if name not in found:
            raise ValueError(
                f"metrics={checks.shown(metrics)}: {name!r} was not measured; give some of {', '.join(sorted(found))}"
            )
    axes = several_axes(axes, len(metrics), 3)
    for ax, name in zip(axes, metrics, strict=True):
        _panel(ax, name, stages)
    return axes


def _stages(model):
    """(name, history) of each stage of a training."""
    rbms = layers(model)
    stages = [(f"layer {i}" if len(rbms) > 1 else "", rbm.history_) for i, rbm in enumerate(rbms, 1)]
    if hasattr(model, "coefs_"):
        stages.append(("", model.history_))
    if hasattr(model, "up_down_history_"):
        stages.append(("", model.up_down_history_))
    return stages


def _panel(ax, name, stages):
    """One measure of all stages that have it, and that of rows held out."""
    with_it = [(stage, history) for stage, history in stages if name in history]
    for (stage, history), colour in zip(with_it, colours(len(with_it)), strict=True):
        base = _baseline(history) if name.endswith("reconstruction_error") else 1.0
        for key, line, words in ((name, "-", stage), (HELD_OUT + name, "--", f"{stage}, held out" if stage else "held out")):
            values = history.get(key, np.empty(0))
            epochs = np.flatnonzero(np.isfinite(values))
            if len(epochs):
                few = "o" if len(epochs) == 1 else None
                ax.plot(epochs + 1, values[epochs] / base, line, color=colour, label=words or "trained on", marker=few, lw=1.6)
    if name.endswith("reconstruction_error"):
        ax.set_ylim(bottom=0)
    if name == "free_energy_gap":
        ax.axhline(0, color="grey", lw=0.8)
    plain(ax, WORDS.get(name, name.replace("_", " ").capitalize()), "epoch", UNITS.get(name))
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax, 1 if with_it[0][0] else 2)


def _baseline(history):
    """The last measured error of the column means; 1 where it is 0 or was not measured."""
    known = history["baseline_error"][np.isfinite(history["baseline_error"])]
    return known[-1] if len(known) and known[-1] > 0 else 1.0
