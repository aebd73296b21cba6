"""Rows of data as images: what a model makes of given ones, and new ones that it draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fastdbn.evaluate.models import Model, dense, fitted, generator, some, take
from fastdbn.plot.images import as_images, coloured, columns_of, limits, needed_shape, show, size_of
from fastdbn.plot.style import drawn, new_axes, plain
from fastdbn.support import checks
from fastdbn.support.types import Matrix, Seed

PER_CLASS = 8
"""Samples of each class that are drawn if no number is given."""


@drawn
def reconstructions(
    model: Model, X: Matrix, n: int = 10, *, image_shape: Sequence[int] | None = None, cmap: str = "gray", ax: Axes | None = None
) -> Axes:
    """Rows of X above their reconstructions.

    Parameters
    ----------
    model : fitted estimator
        An autoencoder reconstructs by itself; for classifiers and regressors the pretrained network does.
    X : (n_rows, n_features) array, CSR matrix or frame
    n : int, default 10
        Rows to show, evenly spread over X.
    image_shape : tuple or None, default None
        (height, width), (height, width, 3), or (3, height, width) of an image. None finds square images of 8x8 pixels or more.
    cmap : str, default "gray"
        matplotlib's map of colours for images without colours of their own; "gray_r" is ink on paper.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if rows are no images, or the model cannot reconstruct.
    """
    reconstructs = fitted(model) if hasattr(model, "reconstruct") else generator(model)
    shape, n = needed_shape(model, image_shape), checks.integer(n, "n")
    X = take(X, some(X.shape[0], n))
    given, made = dense(X), np.asarray(reconstructs.reconstruct(X if reconstructs is model else dense(X)))
    low, high = limits(given)
    tiles = coloured(as_images(np.concatenate([given, made]), shape), low, high, cmap)
    ax = new_axes(ax, size_of(tiles, len(given), 8.0))
    show(ax, tiles, len(given), ["data", "reconstruction"])
    return plain(ax, "Rows of the data and their reconstructions")


@drawn
def samples(
    model: Model,
    n: int | None = None,
    *,
    label: Any = None,
    n_steps: int | None = None,
    random_state: Seed = 0,
    mean: bool = True,
    image_shape: Sequence[int] | None = None,
    cmap: str = "gray",
    ax: Axes | None = None,
) -> Axes:
    """Rows that the model draws, as images; a line for each class where it draws rows of a class.

    Parameters
    ----------
    model : fitted estimator that draws rows
        Classifiers and regressors draw by their pretrained network. An autoencoder does too.
    n : int or None, default None
        How many. None is 36, or 8 of each class.
    label : class, sequence of classes or None, default None
        For `GenerativeDBNClassifier`: the classes to draw, `n` rows of each. None is all of them.
    n_steps : int or None, default None
        Gibbs steps of each chain. None is the number that `sample` takes.
    random_state : int, RandomState, Generator or None, default 0
        None continues with the noise of the model's own seed.
    mean : bool, default True
        Visible means of the last step, which look smoother; False shows states that are drawn.
    image_shape, cmap, ax
        As for `reconstructions`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if rows are no images, for `label` of a model without classes to draw, or where the network was not pretrained.
    """
    source, shape = generator(fitted(model)), needed_shape(model, image_shape)
    known = getattr(source, "classes_", None)
    if known is None:
        if label is not None:
            raise ValueError(
                f"label={checks.shown(label)}: a {type(model).__name__} draws rows of no class; GenerativeDBNClassifier does"
            )
        rows = source.sample(36 if n is None else checks.integer(n, "n"), n_steps, random_state, mean)
        labels, across = None, columns_of(len(rows))
    else:
        labels, across = known if label is None else np.atleast_1d(label), PER_CLASS if n is None else checks.integer(n, "n")
        rows = source.sample(len(labels) * across, n_steps, random_state, mean, label=np.repeat(labels, across))
    rows = np.asarray(rows)
    low, high = limits(rows)
    tiles = coloured(as_images(rows, shape), low, high, cmap)
    ax = new_axes(ax, size_of(tiles, across))
    show(ax, tiles, across, labels)
    return plain(ax, f"{len(rows)} samples of the model" if labels is None else "Samples of each class")
