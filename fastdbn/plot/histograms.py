"""How weights and hidden activities are distributed: whether a layer learned, and how many of its units are of use."""

import numpy as np
from matplotlib.axes import Axes

from fastdbn.evaluate.models import Model, fitted, hidden_means, layer_weights, layers
from fastdbn.plot.style import colours, drawn, legend, new_axes, plain
from fastdbn.support.types import Matrix
from fastdbn.training.monitors import DEAD, SATURATED
from fastdbn.units import get_unit

BINS = 60


@drawn
def weights(model: Model, *, ax: Axes | None = None) -> Axes:
    """Histograms of the weights of each layer.

    Weights begin near 0. A layer that learned has broad tails; one peak at 0 says that it learned little, or that most of its
    inputs are always off.

    Parameters
    ----------
    model : fitted estimator
        Of a network that was fine-tuned the weights are those after it; of `model.dbn_` those before it.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes
    """
    found = layer_weights(fitted(model))
    ax = new_axes(ax)
    most = max(float(np.quantile(np.abs(W), 0.999)) for W in found) or 1.0
    bins = np.linspace(-most, most, BINS + 1)
    for i, (W, colour) in enumerate(zip(found, colours(len(found)), strict=True), 1):
        share, _ = np.histogram(np.clip(W, -most, most), bins, weights=np.full(W.shape, 1 / W.size))
        ax.stairs(share, bins, color=colour, lw=1.6, label=f"layer {i}: {W.shape[1]} to {W.shape[0]} units")
    plain(ax, "Weights", "weight", "share of a layer's weights")
    legend(ax)
    return ax


@drawn
def activity(model: Model, X: Matrix, *, ax: Axes | None = None) -> Axes:
    """Histograms of the mean activity of hidden units over the rows of X, for each layer.

    Units that are off (dead) or on (saturated) for nearly all rows tell none apart; the legend counts them.

    Parameters
    ----------
    model : fitted estimator
    X : (n, n_features) array, CSR matrix or frame
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes
    """
    found = [H.mean(axis=0, dtype=np.float64) for H in hidden_means(fitted(model), X)]
    rbms = layers(model) or model._layers()
    units = [get_unit(getattr(rbm, "hidden_", rbm.hidden), "hidden") for rbm in rbms[: len(found)]]
    ends = [(unit.low, unit.high) for unit in units]
    bounded = bool(np.isfinite(ends).all()) and all(unit.group == 1 for unit in units)
    low, high = np.transpose(ends) if bounded else ([min(h.min() for h in found)], [max(h.max() for h in found)])
    low, high = float(min(low)), float(max(high))
    ax = new_axes(ax)
    bins = np.linspace(low, high if high > low else low + 1.0, BINS // 2 + 1)
    for i, (means, colour) in enumerate(zip(found, colours(len(found)), strict=True), 1):
        idle = ""
        if bounded:
            width = units[i - 1].high - units[i - 1].low
            shares = (means - units[i - 1].low) / width
            idle = f", {np.sum(shares < DEAD)} dead, {np.sum(shares > SATURATED)} saturated"
        ax.stairs(np.histogram(means, bins)[0], bins, color=colour, lw=1.6, label=f"layer {i}: {len(means)} units{idle}")
    plain(ax, f"Mean activity of hidden units over {X.shape[0]} rows", "mean activity", "units")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, fontsize="small")
    return ax
