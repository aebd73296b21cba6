"""How good predictions are: confusion matrix and ROC of classifiers, predicted and true numbers of regressors."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, ScalarFormatter
from numpy.typing import ArrayLike
from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay, RocCurveDisplay

from fastdbn.evaluate.models import Model, having
from fastdbn.plot.style import COLOURS, drawn, legend, new_axes, plain, short
from fastdbn.support.types import Matrix

MOST_NUMBERS, MOST_NAMES, MOST_CURVES = 16, 40, 10
"""Classes up to which a confusion matrix has numbers, and has names, and the most classes that have a curve."""


@drawn
def confusion_matrix(
    model: Model,
    X: Matrix,
    y: Collection[Any],
    *,
    normalize: Literal["true", "pred", "all"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Counts of rows by their class and by the predicted class, by scikit-learn's `ConfusionMatrixDisplay`.

    Parameters
    ----------
    model : fitted classifier
    X : (n, n_features) array, CSR matrix or frame
        Rows that the model was not trained on.
    y : (n,) array of classes
    normalize : {"true", "pred", "all"} or None, default None
        Shares of the rows of a class, of a prediction, or of all rows. None counts.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if the model is no classifier.
    """
    having(model, "classes_", "draw predictions of regressors, and outlier_scores of outlier detectors")
    n = len(model.classes_)
    ax = new_axes(ax, (min(2.6 + 0.42 * n, 9.0),) * 2)
    long = max(len(str(label)) for label in model.classes_) > 3
    predicted = model.predict(X)
    display = ConfusionMatrixDisplay.from_predictions(
        y,
        predicted,
        labels=model.classes_,
        display_labels=[short(label) for label in model.classes_],
        normalize=normalize,
        include_values=n <= MOST_NUMBERS,
        values_format=None if normalize is None else ".2f",
        cmap="Blues",
        colorbar=n > MOST_NUMBERS,
        xticks_rotation=45 if long else "horizontal",
        text_kw={"fontsize": "small"},
        ax=ax,
    )
    ax.set_frame_on(False)
    ax.tick_params(length=0)
    if n > MOST_NAMES:
        ax.set(xticks=[], yticks=[])
    for text in () if display.text_ is None else display.text_.flat:
        if float(text.get_text()) == 0:
            text.set_text("")  # so that the errors stand out
    right = np.mean(predicted == np.asarray(y))
    return plain(ax, f"{100 * right:.1f} % of {len(y)} rows are right", "predicted class", "class")


@drawn
def roc(model: Model, X: Matrix, y: Collection[Any], *, ax: Axes | None = None) -> Axes:
    """ROC curves, by scikit-learn's `RocCurveDisplay`: of two classes one, of more one for each class against the others.

    Parameters
    ----------
    model : fitted classifier or outlier detector
    X : (n, n_features) array, CSR matrix or frame
        Rows that the model was not trained on.
    y : (n,) array
        Classes; for an outlier detector 1 for normal rows and -1 for outliers.
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if the model is neither a classifier nor an outlier detector, or rows of a second class are lacking.
    """
    y = np.asarray(y)
    if hasattr(model, "decision_function"):
        curves = [("outliers", y == -1, -having(model, "decision_function", "").decision_function(X))]
    else:
        having(model, "classes_", "a ROC curve needs a classifier or an outlier detector")
        scores, known = model.predict_proba(X), model.classes_
        chosen = [1] if len(known) == 2 else range(len(known))
        curves = [(known[j], y == known[j], scores[:, j]) for j in chosen]
    curves = [curve for curve in curves if 0 < curve[1].sum() < len(y)][:MOST_CURVES]
    if not curves:
        raise ValueError("all rows of y are of one class: a ROC curve needs two")
    ax = new_axes(ax, (5.2, 5.2))
    ax.set_prop_cycle(color=COLOURS)
    ax.plot([0, 1], [0, 1], ":", color="grey", lw=1)
    for label, positive, score in curves:
        RocCurveDisplay.from_predictions(
            positive, score, name=f"class {short(label)}" if label != "outliers" else "outliers", ax=ax
        )
    ax.set_aspect("equal")
    plain(ax, "ROC", "false positive rate", "true positive rate")
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    return ax


@drawn
def predictions(model: Model, X: Matrix, y: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Predicted numbers beside true ones, by scikit-learn's `PredictionErrorDisplay`.

    Parameters
    ----------
    model : fitted regressor
    X : (n, n_features) array, CSR matrix or frame
        Rows that the model was not trained on.
    y : (n,) array of numbers
    ax : matplotlib Axes or None, default None
        None makes a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        if the model is no regressor, or has several outputs.
    """
    having(model, "target_mean_", "draw confusion_matrix of classifiers, and outlier_scores of outlier detectors")
    predicted = model.predict(X)
    if np.ndim(y) != 1 or predicted.ndim != 1:
        raise ValueError(f"y has shape {np.shape(y)}: give the numbers of one output, (n,), and a model of one output")
    ax = new_axes(ax, (5.2, 5.2))
    PredictionErrorDisplay.from_predictions(
        y,
        predicted,
        kind="actual_vs_predicted",
        scatter_kwargs={"color": COLOURS[0], "alpha": 0.6, "s": 18, "lw": 0},
        line_kwargs={"color": "grey", "lw": 1},
        ax=ax,
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(AutoLocator())
        axis.set_major_formatter(ScalarFormatter())
    legend(ax)
    return plain(ax, f"Predictions of {len(predicted)} rows", "predicted", "true")
