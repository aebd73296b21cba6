"""Labels of rows, and what classifiers make of them: class numbers, weights by class, a score.

A row may have no label: the parameter `unlabelled` says which value of y marks it. Its class number is -1.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from fastdbn.support import checks
from fastdbn.support.checks import shown
from fastdbn.support.report import DataWarning, warn
from fastdbn.support.types import Rows


@dataclass(eq=False, repr=False, kw_only=True)
class Classifier(ClassifierMixin):
    """The parameters that classifiers share, and their score."""

    class_weight: dict[Any, float] | Literal["balanced"] | None = None
    unlabelled: Any = None

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of `predict` on the rows that have a label.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : (n,) labels; rows whose label is `unlabelled` do not count
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float

        Raises
        ------
        ValueError
            if no row has a label.
        """
        y, labelled = labels_of(y, "y", self.unlabelled)
        predicted = self.predict(X)
        check_length(labelled, len(predicted))
        if not labelled.any():
            raise ValueError(f"y has no label but unlabelled={shown(self.unlabelled)}: a score needs rows with labels")
        weights = checks.sample_weights(sample_weight, len(predicted))
        return float(accuracy_score(y, predicted[labelled], sample_weight=None if weights is None else weights[labelled]))

    def _check_labels(self):
        """Refuse parameters that say nothing about labels."""
        check_class_weight(self.class_weight)
        if not (np.isscalar(self.unlabelled) or checks.is_missing(self.unlabelled)):
            raise ValueError(
                f"unlabelled={shown(self.unlabelled)}: give the one value of y that marks rows without a label, such as -1, or "
                "np.nan for all missing values"
            )


# ---- labels


def labels_of(y, name, unlabelled=None):
    """(labels of the rows that have one, (n,) whether a row has one) of the parameter `name`.

    None as `unlabelled` means that all rows have one. NaN stands for every missing value: None, NaN, NA, what a mask covers.

    Raises
    ------
    ValueError
        for labels that are missing, or of several kinds.
    """
    any_missing = unlabelled is not None and checks.is_missing(unlabelled)
    if any_missing and isinstance(y, np.ma.MaskedArray):
        y = np.where(np.ma.getmaskarray(y), None, y.data.astype(object))
    try:
        y = column_or_1d(checks.unmasked(y, name), warn=True)
        missing = np.array([checks.is_missing(label) for label in y], bool) if y.dtype.kind in "fOM" else np.zeros(len(y), bool)
        if any_missing:
            labelled = ~missing
        elif missing.any():
            row = int(np.argmax(missing))
            drop = "drop the rows whose label is missing, or give them one"
            learn = f"{drop}; a classifier with unlabelled=np.nan learns only from X there" if name == "y" else drop
            raise ValueError(f"{name} is {shown(y[row])} in row {row}: {learn}")
        else:
            labelled = np.ones(len(y), bool) if unlabelled is None else np.array([label != unlabelled for label in y], bool)
        y = y[labelled]
        texts = sum(isinstance(label, str) for label in y) if y.dtype == object else 0
        if 0 < texts < len(y):
            raise ValueError("Unknown label type: text beside numbers.")
        if unlabelled is not None and y.dtype == object and not texts:
            y = np.array(y.tolist())  # numbers that stood beside None
        if len(y):
            check_classification_targets(y)
    except ValueError as error:
        remedy = ""
        if "Unknown label type" in str(error):
            remedy = " Train a DBNRegressor on quantities, or give classes, for example y.astype(str)."
        elif "1d array" in str(error):
            remedy = " Give one label for each row; of one-hot rows it is y.argmax(axis=1)."
        raise ValueError(f"{'' if name == 'y' else f'{name}: '}{error}{remedy}") from None
    return y, labelled


def check_length(y, n):
    """Refuse labels of another number than rows."""
    if len(y) != n:
        raise ValueError(f"y has {len(y)} labels for {n} rows of X: give one for each row")


def classes(y, n, known=None, name="y", unlabelled=None):
    """(class numbers (n,) int64, sorted classes) of labels, the parameter `name`; with `known` classes others are refused.

    Rows whose label is `unlabelled` have number -1.

    Raises
    ------
    ValueError
        for labels of another number or kind, unknown ones, none, or a single class.
    """
    if y is None:
        raise ValueError("y=None: a classifier requires y to be passed, but the target y is None")
    y, labelled = labels_of(y, name, unlabelled)
    check_length(labelled, n)
    if known is None:
        known = np.unique(y)
        if len(known) == 0:
            raise ValueError(f"y has no label but unlabelled={shown(unlabelled)}: a classifier needs rows of two classes or more")
        if unlabelled is None:
            _warn_of_marker(known)
    if len(known) < 2:
        beside = "" if unlabelled is None else f" beside unlabelled={shown(unlabelled)}"
        raise ValueError(f"y holds only one class, {shown(known[0])}{beside}: a classifier needs at least two")
    found = np.minimum(np.searchsorted(known, y), len(known) - 1)
    right = known[found] == y
    if not np.all(right):
        raise ValueError(f"{name} has labels that the fit did not have: {shown(np.unique(y[~right]))}; known are {shown(known)}")
    numbers = np.full(n, -1, np.int64)
    numbers[labelled] = found
    return numbers, known


def _warn_of_marker(known):
    """Say that -1 is a class where it may mean that a row has no label."""
    if known.dtype.kind in "if" and len(known) > 2 and -1 in known:
        warn(
            f"y has -1 beside {len(known) - 1} other classes, and it is taken as a class: if it marks rows without a label, give "
            "unlabelled=-1. If it is a class, unlabelled=np.nan says so",
            DataWarning,
        )


def known_classes(classes, fitted, unlabelled=None):
    """The classes of a call of `partial_fit`: `classes` as they were given in the first call, later those that are fitted."""
    if fitted is None and classes is None:
        raise ValueError("classes=None: the first call of partial_fit needs classes, all labels that will occur")
    if classes is not None and unlabelled is not None:
        classes, _ = labels_of(classes, "classes", unlabelled)
    if fitted is None:
        return np.unique(classes)
    if classes is not None and not np.array_equal(np.unique(classes), fitted):
        raise ValueError(f"classes={shown(classes)} differ from those of the first call, {shown(fitted)}: leave them out")
    return fitted


# ---- weights


def check_class_weight(class_weight):
    """Refuse what is no class_weight."""
    if isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            checks.real(weight, f"class_weight[{shown(label)}]")
    elif not (class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced")):
        raise ValueError(f'class_weight={shown(class_weight)}: give None, "balanced" or a dict of numbers by class label')


def class_factors(class_weight, classes, target):
    """(n,) the weight of each row's class, by a class_weight that is not None; target holds class numbers.

    Rows without a label have weight 1.
    """
    factors, labelled = np.ones(len(target)), target >= 0
    numbers = target[labelled]
    # "balanced" is about the classes that are there; a dict may name those that this part of the data lacks
    named = np.arange(len(classes)) if isinstance(class_weight, dict) else np.unique(numbers)
    weights = np.ones(len(classes))
    try:
        if len(numbers):
            weights[named] = compute_class_weight(class_weight, classes=classes[named], y=classes[numbers])
    except ValueError as error:
        raise ValueError(f"class_weight={shown(class_weight)}: {error}") from None
    if len(numbers) and not weights[numbers].any():
        raise ValueError(f"class_weight={shown(class_weight)} gives no class of y any weight: give one more than 0")
    factors[labelled] = weights[numbers]
    return factors


def check_any(weights):
    """Refuse weights of the rows that have a label, those of their classes included, that are all zero."""
    if len(weights) and not weights.any():
        raise ValueError(
            "sample_weight is 0 for all rows but those without a label, or whose class_weight is 0: give more rows a weight"
        )
