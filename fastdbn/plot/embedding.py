"""A map of the rows: the features of the top layer in two dimensions."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from sklearn.decomposition import PCA

from fastdbn.evaluate.models import Model, fitted, hidden_means, some, take
from fastdbn.plot.style import COLOURS, colours, drawn, new_axes, plain, short
from fastdbn.support import checks
from fastdbn.support.types import Matrix, Seed

MOST_CLASSES = 20
"""Up to so many values of y are classes."""


@drawn
def embedding(
    model: Model,
    X: Matrix,
    y: Collection[Any] | None = None,
    *,
    layer: int = -1,
    method: Literal["pca", "tsne"] = "pca",
    n: int = 2000,
    random_state: Seed = 0,
    ax: Axes | None = None,
) -> Axes:
    """Rows as points: hidden means of a layer, brought to two dimensions.

    Parameters
    ----------
    model : fitted estimator
    X : (n_rows, n_features) array, CSR matrix or frame
    y : (n_rows,) array or None, default None
        Colours of the points: classes, whose names stand in their midst, or numbers.
    layer : int, default -1
        Hidden layer; 0 is the lowest, -1 the last, which is the code of an autoencoder.
    method : {"pca", "tsne"}, default "pca"
        Principal components are quick and show where the rows vary most. t-SNE shows which rows are neighbours, takes some
        seconds, and its distances between groups mean nothing.
    n : int, default 2000
        The most rows to draw, evenly spread over X.
    random_state : int, RandomState or None, default 0
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes
    """
    checks.choice(method, "method", ("pca", "tsne"))
    chosen = some(X.shape[0], checks.integer(n, "n"))
    if y is not None and len(y) != X.shape[0]:
        raise ValueError(f"y has {len(y)} values for {X.shape[0]} rows of X: give one for each")
    found = hidden_means(fitted(model), take(X, chosen))
    H = found[checks.layer(layer, len(found))]
    if min(H.shape) < 2:
        raise ValueError(f"{H.shape[0]} rows and {H.shape[1]} hidden units: a map needs two or more of each")
    places, names = _places(H, method, random_state)
    ax = new_axes(ax, (6.4, 5.2))
    number = len(found) if layer == -1 else checks.layer(layer, len(found)) + 1
    _points(ax, places, None if y is None else np.asarray(y)[chosen])
    plain(ax, f"{len(chosen)} rows by the {H.shape[1]} units of layer {number}", *names)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def _places(H, method, random_state):
    """(n, 2) places, and the names of both directions."""
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(H) - 1) / 3)
        return TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(H), ("t-SNE 1", "t-SNE 2")
    pca = PCA(2, random_state=random_state)
    with np.errstate(invalid="ignore"):  # of rows whose features are all the same
        places = pca.fit_transform(H)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    return places, [f"component {i}: {share:.0%} of the variance" for i, share in enumerate(shares, 1)]


def _points(ax, places, y):
    """Points, coloured by classes that are named in their midst, or by numbers."""
    style = {"s": 9, "lw": 0, "alpha": 0.8}
    if y is None:
        ax.scatter(*places.T, color=COLOURS[0], **style)
        return
    kinds = np.unique(y)
    if len(kinds) > MOST_CLASSES and y.dtype.kind in "iuf":
        points = ax.scatter(*places.T, c=y, cmap="viridis", **style)
        ax.figure.colorbar(points, ax=ax, shrink=0.8, label="target")
        return
    for kind, colour in zip(kinds, colours(len(kinds)), strict=True):
        mine = places[y == kind]
        ax.scatter(*mine.T, color=colour, **style)
        box = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.85}
        middle = {"ha": "center", "va": "center", "color": "black", "fontsize": "small"}
        ax.text(*np.median(mine, axis=0), short(kind), bbox=box, **middle)  # which is above all points
