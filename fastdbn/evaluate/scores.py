"""Scores of a model beside baselines: what answers without X would get, and what a linear model gets."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastdbn.estimators.outliers import DBNOutlierDetector
from fastdbn.evaluate.models import dense, generator, layer_weights, some, take
from fastdbn.maths import rng

NUMBERS = 1 << 23
"""A baseline learns from so many numbers at most: more rows would take it minutes."""
FOLDS = 5


FORMATS = {"RMSE": ".4g", "MAE": ".4g", "accuracy": ".1%", "balanced accuracy": ".1%", "rows below the threshold": ".1%"}


class Scores(NamedTuple):
    """Scores on some rows: {name: {measure: number}}, the model first, then its baselines; and a remark or None."""

    found: dict
    remark: str | None

    def table(self):
        """(header, lines) for a person; NaN is a dash."""
        measures = list(next(iter(self.found.values())))
        texts = {name: [_shown(value, measure) for measure, value in line.items()] for name, line in self.found.items()}
        return ("", *measures), [(name, *line) for name, line in texts.items()]


def _shown(value, measure):
    return format(value, FORMATS.get(measure, ".3f")) if np.isfinite(value) else "–"


def scores_of(model, X, y, X_test, y_test, others=None):
    """The `Scores` of a model and its baselines on some rows.

    Parameters
    ----------
    model : fitted estimator
    X, y : rows and targets that baselines learn from
    X_test, y_test : rows to score. None scores X; then baselines answer for rows that they did not learn from, in 5 folds.
    others : {name: fitted model} or None
        Models of the same kind that are scored too, of classifiers and regressors.
    """
    if hasattr(model, "classes_") and y is not None:
        return _of_classes(model, X, np.asarray(y), X_test, y_test, others or {})
    if hasattr(model, "target_mean_") and y is not None:
        return _of_numbers(model, X, np.asarray(y), X_test, y_test, others or {})
    if isinstance(model, DBNOutlierDetector):
        return _of_outliers(model, X, X_test, y if X_test is None else y_test)
    return _of_rows(model, X, X if X_test is None else X_test)


# ---- classifiers and regressors


def _of_classes(model, X, y, X_test, y_test, others):
    named = {type(model).__name__: model} | others
    found = [(name, each.predict_proba(X if X_test is None else X_test)) for name, each in named.items()]
    known, true = model.classes_, y if X_test is None else np.asarray(y_test)
    learnt = np.searchsorted(known, np.unique(y))
    named, estimators = ["always the most frequent class"], [DummyClassifier(strategy="prior")]
    if len(learnt) > 1:  # which a linear model needs
        named.append(f"logistic regression{_few(X)}")
        estimators.append(make_pipeline(_filled(), _scaled(X), LogisticRegression(max_iter=500)))
    for name, given in zip(named, _baselines(estimators, X, y, X_test, "predict_proba"), strict=True):
        of_all = np.zeros((len(given), len(known)))
        of_all[:, learnt] = given
        found.append((name, of_all))
    return Scores({name: _class_scores(given, true, known) for name, given in found}, _remark(X_test, len(true)))


def _class_scores(given, true, known):
    """Measures of class probabilities."""
    right = known[given.argmax(axis=1)]
    shares = given / given.sum(axis=1, dtype=np.float64, keepdims=True)  # to the precision that the log loss asks for
    return {
        "accuracy": metrics.accuracy_score(true, right),
        "balanced accuracy": _balanced(true, right),
        "AUC": _area(true, shares, known),
        "log loss": metrics.log_loss(true, shares, labels=known),
    }


def _balanced(true, right):
    """The mean over classes of the share of their rows that are right."""
    return np.mean([np.mean(right[true == label] == label) for label in np.unique(true)])


def _area(true, shares, known):
    """The area under the ROC curve, a mean over the classes that some but not all rows have; NaN where there is none."""
    areas = [
        metrics.roc_auc_score(true == label, shares[:, j])
        for j, label in enumerate(known)
        if 0 < np.sum(true == label) < len(true)
    ]
    return np.mean(areas) if areas else np.nan


def _of_numbers(model, X, y, X_test, y_test, others):
    linear = make_pipeline(_filled(), _scaled(X), RidgeCV(np.logspace(-3, 4, 15)))
    answers = _baselines([DummyRegressor(), linear], X, y, X_test, "predict")
    true = y if X_test is None else np.asarray(y_test)
    models = {type(model).__name__: model} | others
    named = [
        *((name, each.predict(X if X_test is None else X_test)) for name, each in models.items()),
        ("always the mean", answers[0]),
        (f"ridge regression{_few(X)}", answers[1]),
    ]
    found = {
        name: {
            "R2": metrics.r2_score(true, given),
            "RMSE": np.sqrt(metrics.mean_squared_error(true, given)),
            "MAE": metrics.mean_absolute_error(true, given),
        }
        for name, given in named
    }
    return Scores(found, _remark(X_test, len(true)))


def _baselines(estimators, X, y, X_test, method):
    """What a constant and a linear model, which may lack, answer for the rows to score."""
    chosen = some(X.shape[0], most_rows(X.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds
        if X_test is None:
            folds = max(2, min(FOLDS, X.shape[0]))
            return [cross_val_predict(estimator, X, y, cv=folds, method=method) for estimator in estimators]
        constant, *linear = estimators
        constant.fit(X, y)
        for estimator in linear:
            estimator.fit(take(X, chosen), y[chosen])
        return [getattr(estimator, method)(X_test) for estimator in estimators]


def _filled():
    return SimpleImputer(keep_empty_features=True)


def _scaled(X):
    return StandardScaler(with_mean=not sparse.issparse(X))


def most_rows(width):
    """How many rows of some width a baseline learns from."""
    return max(100, NUMBERS // width)


def _few(X):
    n = most_rows(X.shape[1])
    return f" on {n} rows" if n < X.shape[0] else ""


def _remark(X_test, n):
    if X_test is not None:
        return f"Scores of {n} rows that training did not see."
    return (
        f"Scores of the {n} rows given. If the model was trained on them, its scores are better than those of new rows would be. "
        f"Baselines answer for rows that they did not learn from ({FOLDS} folds)."
    )


# ---- models without targets


def _of_outliers(model, X, X_test, y):
    if y is None:
        below = np.mean(model.decision_function(X if X_test is None else X_test) < 0)
        return Scores({type(model).__name__: {"rows below the threshold": below}}, None)
    rows = X if X_test is None else X_test
    forest = IsolationForest(random_state=0).fit(dense(X))
    named = [(type(model).__name__, model.decision_function(rows)), ("isolation forest", forest.decision_function(dense(rows)))]
    return Scores({name: {"AUC": metrics.roc_auc_score(np.asarray(y) == 1, given)} for name, given in named}, None)


def _of_rows(model, X, rows):
    """How well rows are reconstructed, as a share of the error of the column means; rows with noise if a model learned that."""
    X, rows = dense(take(X, some(X.shape[0], most_rows(X.shape[1])))).astype(np.float64), dense(rows)
    means = np.nanmean(X, axis=0)
    if getattr(model, "noise", None) is None:
        what, named = "reconstructions", _reconstructions(model, X, rows)
    else:
        what, named = "rows cleaned of noise", _cleaned(model, X, rows)
    named.append(("the column means", np.broadcast_to(means, rows.shape)))
    error = np.nanmean((rows - means) ** 2) or 1.0
    measure = f"squared error of {what}, over that of the column means"
    return Scores({name: {measure: np.nanmean((made - rows) ** 2) / error} for name, made in named}, None)


def _reconstructions(model, X, rows):
    """[(name, rows)]: what a model, and as many principal components of X as it has units on top, make of rows."""
    source = model if hasattr(model, "reconstruct") else generator(model)
    units = len(layer_weights(model)[-1])
    named = [(type(model).__name__, np.asarray(source.reconstruct(rows)))]
    if units < min(X.shape) and np.isfinite(X).all() and np.isfinite(rows).all():
        pca = PCA(units, random_state=0).fit(X)
        named.append((f"{units} principal components", pca.inverse_transform(pca.transform(rows))))
    return named


def _cleaned(model, X, rows):
    """[(name, rows)]: what a denoising autoencoder, ridge regression and nobody make of noisy rows; the noise has a seed."""
    (shift, scale, _), (corrupt, bounds) = model.scaling_, model._corruption(X)

    def with_noise(given, step):
        states = np.asarray(given if scale is None else (given - shift) * scale, model.dtype)
        return model.scaling_.invert(np.clip(corrupt(states, rng.host_generator(0, step, rng.stream(rng.DROPOUT))), *bounds))

    seen, noisy = with_noise(X, 0), with_noise(rows, 1)
    named = [(type(model).__name__, model.denoise(noisy))]
    if np.isfinite(X).all() and np.isfinite(rows).all():
        ridge = make_pipeline(StandardScaler(), Ridge()).fit(seen, X)
        named.append(("ridge regression from noisy to clean rows", ridge.predict(noisy)))
    return [*named, ("the noisy rows", noisy)]
