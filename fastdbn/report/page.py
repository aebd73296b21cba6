"""A report: what a model is, how its training went, what it learned, how good it is, and how to repeat it."""

import datetime
import shlex
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastdbn.estimators.classes import classes
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.table_model import TableModel
from fastdbn.evaluate.models import Model, dense, feature_names, fitted, take
from fastdbn.evaluate.scores import scores_of
from fastdbn.plot.images import shape_of
from fastdbn.report import data, html, pictures, settings
from fastdbn.report.environment import environment
from fastdbn.support.atomic import replacing
from fastdbn.support.types import FilePath, Matrix
from fastdbn.tables.frames import as_table


def write_report(
    path: FilePath,
    model: Model,
    X: Matrix,
    y: Collection[Any] | None = None,
    *,
    X_test: Matrix | None = None,
    y_test: Collection[Any] | None = None,
    image_shape: Sequence[int] | Literal[False] | None = None,
    table: Mapping[str, ArrayLike] | None = None,
    command: str | None = None,
) -> None:
    """Write one page of HTML about a model. It needs no other file and no network, and suits light and dark screens.

    Parameters
    ----------
    path : str or path
        An existing file is replaced.
    model : fitted estimator of fastdbn, or a TableModel
    X : (n, n_features) array, CSR matrix or frame
        Rows that the model was trained on.
    y : (n,) array or None, default None
        Their targets; for an outlier detector 1 for normal rows and -1 for outliers.
    X_test, y_test : rows and targets that the model was not trained on, or None
        The scores are theirs. None scores X, and the page says so.
    image_shape : tuple, False or None, default None
        (height, width) or (height, width, 3) of rows that are images. None finds square ones, False says that there are none.
    table : dict of arrays or None, default None
        The columns as they were before they were made numbers, by name, to be described in place of X: numbers, where NaN is
        missing, or text, where None is.
    command : str or None, default None
        What repeats the run. None shows the command that trained the model, or else Python code.

    Raises
    ------
    ValueError
        for labels that the model does not know, or an image shape that does not fit.
    OSError
        if the file cannot be written.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import RBM, write_report
    >>> X = load_digits().data / 16
    >>> write_report("report.html", RBM(36, n_iter=5, random_state=0).fit(X), X)
    """
    if isinstance(model, TableModel):
        check_is_fitted(model)
        table = data.columns_of(as_table(X)) if table is None else table
        X, X_test = model.preparation_.transform(X), None if X_test is None else model.preparation_.transform(X_test)
        model = model.estimator_
    fitted(model)
    shape_of(model, image_shape)
    described = table if table is not None else _columns(model, X)
    n_rows = X.shape[0]
    X, y = _labelled(model, X, y, "y")
    X_test, y_test = _labelled(model, X_test, y_test, "y_test")
    scored = (X, y) if X_test is None else (X_test, y_test)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)  # rows may be arrays
        lines = settings.warnings_of(model, X, y)
        sections = [
            _scores(model, X, y, X_test, y_test, scored),
            html.section("Warnings", html.warnings(lines)) if lines else "",
            html.section("Training", _figures(pictures.of_training(model, scored[0]))),
            html.section("What it learned", _figures(pictures.of_what_it_learned(model, *scored, image_shape))),
            _data(model, X, n_rows, X_test, image_shape, described),
            _settings(model),
            _repeat(model, command),
        ]
    text = html.page(f"Report of a {type(model).__name__}", _subtitle(model), sections)
    with replacing(path) as aside:
        Path(aside).write_bytes(text.encode("utf-8", "replace"))


def _labelled(model, X, y, name):
    """Rows and labels without the rows that have no label; others as they are."""
    if X is None or y is None or not hasattr(model, "classes_"):
        return X, y
    numbers, known = classes(y, X.shape[0], model.classes_, name, model.unlabelled)
    rows = np.flatnonzero(numbers >= 0)
    return (X, known[numbers]) if len(rows) == len(numbers) else (take(X, rows), known[numbers[rows]])


def _subtitle(model):
    now = datetime.datetime.now().astimezone()
    return f"{settings.in_words(model)}. Written {now:%Y-%m-%d %H:%M %Z}."


def _figures(found):
    return f'<div class="figures">{"".join(found)}</div>'


def _scores(model, X, y, X_test, y_test, scored):
    scores = scores_of(model, X, y, X_test, y_test)
    title = "Scores" if scores.remark is None else "Scores beside baselines"
    content = html.table(*scores.table(), first=True), html.paragraph(scores.remark or "", faint=True)
    return html.section(title, *content, _figures(pictures.of_predictions(model, *scored)))


def _columns(model, X):
    """The columns of rows by name."""
    names = list(X.columns) if hasattr(X, "columns") else feature_names(model)
    if hasattr(X, "iloc"):
        return {str(name): X.iloc[:, j].to_numpy() for j, name in enumerate(names[: data.MOST_COLUMNS])}
    few = X[:, : data.MOST_COLUMNS]
    return {str(names[j]) if names else str(j): column for j, column in enumerate(dense(few).T)}


def _data(model, X, n_rows, X_test, image_shape, described):
    shape = shape_of(model, image_shape)
    held = f" to train on, and {X_test.shape[0]} held out to test" if X_test is not None else ""
    unlabelled = f" ({n_rows - X.shape[0]} more have no label)" if n_rows > X.shape[0] else ""
    said = f"{X.shape[0]} rows{unlabelled} of {model.n_features_in_} features{held}."
    if hasattr(model, "preparation_"):
        said += " These are the columns as they came, before they were made numbers."
    if shape:
        lines = [data.of_images(dense(take(X, slice(0, 10_000))), shape)]
    else:
        lines = [data.described(name, values) for name, values in list(described.items())[: data.MOST_COLUMNS]]
        if len(described) >= data.MOST_COLUMNS and model.n_features_in_ > data.MOST_COLUMNS:
            said += f" The first {data.MOST_COLUMNS} columns are described."
    return html.section("Data", html.paragraph(said), html.table(data.HEADER, lines))


def _settings(model):
    lines = settings.parameters(model)
    own = [line[:2] for line in lines if not line[2]]
    layers = settings.of_each_layer(model)
    return html.section(
        "Settings",
        html.table(settings.LAYERS, layers) if layers else html.paragraph("The network was not pretrained."),
        html.table(("parameter", "value"), own) if own else html.paragraph("All parameters have their default values."),
        html.folded("All parameters", html.table(("parameter", "value"), [line[:2] for line in lines])),
    )


def _repeat(model, command):
    if command is None and hasattr(model, "command_"):
        command = shlex.join(["fastdbn", *model.command_])
    how = html.code(settings.in_python(model) if command is None else command)
    said = "With the same versions and the same kind of processor the same seed gives the same bits."
    return html.section(
        "Repeat it", how, html.paragraph(said, faint=True), html.table(("what", "version or value"), environment().items())
    )
