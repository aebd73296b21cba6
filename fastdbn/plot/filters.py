"""What hidden units look for: their weights as images, or as a map of colours by column."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from fastdbn.evaluate.models import Model, feature_names, fitted, layer_weights
from fastdbn.plot.images import as_images, coloured, columns_of, shape_of, show, size_of
from fastdbn.plot.style import SIGNED, drawn, new_axes, plain, short
from fastdbn.support import checks

TILES, LINES, NAMED = 64, 32, 40
"""Filters that are shown as images, or as lines of a map, if no number is given; the most columns that are named."""


@drawn
def filters(
    model: Model,
    layer: int = 0,
    *,
    units: int | Sequence[int] | None = None,
    image_shape: Sequence[int] | Literal[False] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The weights of hidden units: red where an input turns the unit on, blue where it turns the unit off.

    Of a layer above the first the weights are those times the weights of the layers below, which shows what the unit adds up of
    the inputs (Lee, Ekanadham, Ng 2008). All filters have one scale, so faint ones are weak.

    Parameters
    ----------
    model : fitted estimator
        Of a network that was fine-tuned the weights are those after it; of `model.dbn_` those before it.
    layer : int, default 0
        Hidden layer; 0 is the lowest, -1 the last.
    units : int, sequence of int or None, default None
        The numbers of the units, or how many of the first. None is 64, or 32 where the columns are no images.
    image_shape : tuple, False or None, default None
        (height, width), (height, width, 3), or (3, height, width) of an image. None finds square images of 8x8 pixels or more.
        False draws a map of units by columns.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        for a layer, units or a shape that the model does not have.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import RBM, plot
    >>> rbm = RBM(36, n_iter=10, random_state=0).fit(load_digits().data / 16)
    >>> plot.filters(rbm).get_title(loc="left")
    'Filters of layer 1: 36 of 36 units'
    """
    weights = layer_weights(fitted(model))
    number = checks.layer(layer, len(weights))
    W, shape = weights[number], shape_of(model, image_shape)
    chosen = _chosen(units, len(W), TILES if shape else LINES)
    W = W[chosen].astype(np.float64)
    for below in reversed(weights[:number]):
        W = W @ below
    most = float(np.quantile(np.abs(W), 0.995)) or 1.0
    title = f"Filters of layer {number + 1}: {len(chosen)} of {len(weights[number])} units"
    if shape is None:
        return _map(ax, W, chosen, most, feature_names(model), title)
    images = as_images(W, shape)
    tiles, across = coloured(images, -most, most, SIGNED), columns_of(len(images))
    ax = new_axes(ax, size_of(tiles, across))
    show(ax, tiles, across)
    return plain(ax, title)


def _chosen(units, n, default):
    """The numbers of the units to draw, of n."""
    if units is None or isinstance(units, (int, np.integer)):
        return np.arange(min(n, default if units is None else checks.integer(units, "units")))
    chosen = np.asarray(units)
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu" or (chosen < 0).any() or (chosen >= n).any():
        raise ValueError(f"units={checks.shown(units)}: give numbers of units from 0 to {n - 1}, or how many of the first")
    return chosen


def _map(ax, W, chosen, most, names, title):
    """Weights as a map of colours, a line for each unit and a column for each input."""
    width = W.shape[1]
    ax = new_axes(ax, (min(12.0, 3.0 + 0.22 * width), min(8.0, 1.6 + 0.16 * len(W))))
    mesh = ax.imshow(W, cmap=SIGNED, vmin=-most, vmax=most, aspect="auto", interpolation="none")
    ax.figure.colorbar(mesh, ax=ax, label="weight", shrink=0.8)
    plain(ax, title, "column", "hidden unit")
    ax.set_yticks(*_ticks(chosen, 10))
    if width <= NAMED:
        names = [short(name) for name in names] or range(width)
        ax.set_xticks(range(width), names, rotation=90 if max(len(str(name)) for name in names) > 2 else 0, fontsize="small")
    return ax


def _ticks(labels, most):
    """Places and labels of at most about `most` ticks, evenly spread."""
    places = np.arange(0, len(labels), max(1, -(-len(labels) // most)))
    return places, [str(labels[i]) for i in places]
