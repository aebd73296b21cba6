"""Scores of normality: those of an outlier detector beside its threshold, or those of any model of the data."""

from collections.abc import Collection
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fastdbn.estimators.outliers import DBNOutlierDetector
from fastdbn.evaluate.models import Model, fitted, generator
from fastdbn.plot.style import COLOURS, drawn, legend, new_axes, plain
from fastdbn.support.types import Matrix

BINS = 50
FENCES = 4.0
"""Scores further from the quartiles than so many times the distance between them are drawn at the edge."""


@drawn
def outlier_scores(model: Model, X: Matrix, y: Collection[Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """A histogram of the scores of rows; lower is odder.

    An outlier detector's scores are those of `decision_function`, and rows below 0 are outliers. Other models have
    `score_samples`, without a threshold. Scores far out are counted at the edge.

    Parameters
    ----------
    model : fitted outlier detector, RBM or network
    X : (n, n_features) array, CSR matrix or frame
    y : (n,) array or None, default None
        1 for normal rows and -1 for outliers, where that is known.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if the model gives rows no score, or y is something else.
    """
    detects = isinstance(fitted(model), DBNOutlierDetector)
    scores = model.decision_function(X) if detects else _scores(model, X)
    kinds = [("", COLOURS[0], np.ones(len(scores), bool))]
    if y is not None:
        y = np.asarray(y)
        if y.shape != scores.shape or not np.isin(y, (-1, 1)).all():
            raise ValueError("y: give 1 for rows that are normal and -1 for outliers, one for each row of X")
        kinds = [("normal rows", COLOURS[0], y == 1), ("outliers", COLOURS[2], y == -1)]
    low, high = np.quantile(scores, (0.25, 0.75))
    reach = FENCES * (high - low) or 1.0
    bins = np.linspace(max(scores.min(), low - reach), min(scores.max(), high + reach), BINS + 1)
    if bins[0] == bins[-1]:
        bins = bins[0] + np.linspace(-0.5, 0.5, BINS + 1)
    ax = new_axes(ax)
    for name, colour, rows in kinds:
        counts = np.histogram(np.clip(scores[rows], bins[0], bins[-1]), bins)[0]
        ax.stairs(counts, bins, fill=True, color=colour, alpha=0.6, label=f"{rows.sum()} {name}" if name else None)
    beyond = int(np.sum(scores < bins[0]))
    title = "Scores of rows"
    if detects:
        ax.axvline(0, color="grey", lw=1, ls="--")
        title = f"{np.sum(scores < 0)} of {len(scores)} rows are below the threshold"
    more = f"; {beyond} lower at the left edge" if beyond else ""
    plain(ax, title, ("decision_function" if detects else "score_samples") + f", lower is odder{more}", "rows")
    legend(ax)
    return ax


def _scores(model, X):
    source = model if hasattr(model, "score_samples") else generator(model)
    return source.score_samples(X)
