"""Columns of a table: how the data are distributed, and how the rows are that a model draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fastdbn.evaluate.models import Model, dense, feature_names, fitted, generator, some, take
from fastdbn.plot.style import COLOURS, drawn, plain, several_axes, short
from fastdbn.support import checks
from fastdbn.support.types import Matrix, Seed

BINS, FEW, WIDEST, PANELS, ROWS = 30, 12, 100, 12, 1000
"""Bins of a histogram; values, and the range of them, up to which a column is drawn by value; panels if none are named; rows of
either kind."""


@drawn
def columns(
    model: Model,
    X: Matrix,
    columns: Sequence[int | str] | None = None,
    *,
    n_steps: int | None = None,
    random_state: Seed = 0,
    axes: Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Histograms of columns of the data, filled, and of as many rows that the model draws, as lines.

    Where both agree, the model has learned how a column is distributed. How columns depend on each other is not shown.

    Parameters
    ----------
    model : fitted estimator that draws rows
        Classifiers and regressors draw by their pretrained network.
    X : (n, n_features) array, CSR matrix or frame
    columns : sequence of int or str, or None, default None
        Positions or names. None is the first 12.
    n_steps : int or None, default None
        Gibbs steps of each chain. None is the number that `sample` takes.
    random_state : int, RandomState, Generator or None, default 0
        None continues with the noise of the model's own seed.
    axes : sequence of matplotlib Axes or None, default None
        One for each column. None makes a new figure.

    Returns
    -------
    array of matplotlib Axes

    Raises
    ------
    ValueError
        for a column that X does not have, or where the network was not pretrained.
    """
    source, names = generator(fitted(model)), feature_names(model)
    chosen = range(min(PANELS, model.n_features_in_)) if columns is None else [_position(c, names, model) for c in columns]
    X = dense(take(X, some(X.shape[0], ROWS))).astype(np.float64)
    drawn_rows = np.asarray(source.sample(len(X), n_steps, random_state))
    axes = several_axes(axes, len(chosen), 4, (2.7, 2.2))
    for ax, j in zip(axes, chosen, strict=True):
        _panel(ax, X[:, j][np.isfinite(X[:, j])], drawn_rows[:, j], short(names[j]) if names else f"column {j}")
    axes[0].legend(frameon=False, fontsize="small")
    return axes


def _position(column, names, model):
    if column in names:
        return names.index(column)
    return checks.integer(column, "columns", 0, model.n_features_in_ - 1)


def _panel(ax, data, samples, name):
    """Shares of rows by bin; bins lie around the values of a column that has few of them."""
    values = np.unique(data)
    few = 1 < len(values) <= FEW and np.ptp(values) <= WIDEST and np.allclose(values, np.round(values))
    if few:
        bins = np.arange(values[0] - 0.5, values[-1] + 1)
    else:
        low, high = np.quantile(np.concatenate([data, samples]), (0.005, 0.995))
        bins = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    for rows, style in (
        (data, {"fill": True, "color": COLOURS[0], "alpha": 0.5, "label": "data"}),
        (samples, {"color": COLOURS[6], "lw": 1.6, "label": "samples"}),
    ):
        ax.stairs(np.histogram(np.clip(rows, bins[0], bins[-1]), bins)[0] / max(len(rows), 1), bins, **style)
    plain(ax, name)
    ax.set_yticks([])
    if few:
        ax.set_xticks(values if np.ptp(values) < FEW else values[[0, -1]])
    ax.spines["left"].set_visible(False)
