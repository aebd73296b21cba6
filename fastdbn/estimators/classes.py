"""Classes that are told in parts, and their weights, for all classifiers."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from fastdbn.support import checks


def known_classes(classes, fitted):
    """The classes of a call of `partial_fit`: `classes` as they were given in the first call, later those that are fitted."""
    if fitted is None:
        if classes is None:
            raise ValueError("classes=None: the first call of partial_fit needs classes, all labels that will occur")
        return np.unique(classes)
    if classes is not None and not np.array_equal(np.unique(classes), fitted):
        shown = checks.shown(fitted)
        raise ValueError(f"classes={checks.shown(classes)} differ from those of the first call, {shown}: leave them out")
    return fitted


def check_class_weight(class_weight):
    """Refuse what is no class_weight."""
    if isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            checks.real(weight, f"class_weight[{checks.shown(label)}]")
    elif not (class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced")):
        raise ValueError(f'class_weight={checks.shown(class_weight)}: give None, "balanced" or a dict of numbers by class label')


def class_factors(class_weight, classes, target):
    """(n,) the weight of each row's class, by a class_weight that is not None; target holds class numbers."""
    # "balanced" is about the classes that are there; a dict may name those that this part of the data lacks
    named = np.arange(len(classes)) if isinstance(class_weight, dict) else np.unique(target)
    weights = np.ones(len(classes))
    try:
        weights[named] = compute_class_weight(class_weight, classes=classes[named], y=classes[target])
    except ValueError as error:
        raise ValueError(f"class_weight={checks.shown(class_weight)}: {error}") from None
    if not weights[target].any():
        raise ValueError(f"class_weight={checks.shown(class_weight)} gives no class of y any weight: give one more than 0")
    return weights[target]


def check_any(weights):
    """Refuse weights of rows, those of their classes included, that are all zero."""
    if not weights.any():
        raise ValueError("sample_weight is 0 for all rows but those whose class_weight is 0: give more rows a weight")
