"""What evaluation and pictures ask of a model of any class: the RBM that it is, its layers, its weights, and what it computes."""

import functools
import inspect
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np

from fastdbn.estimators.autoencoder import DBNAutoencoder
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.forward import means
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import hidden_given_rows
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.supervised import Supervised
from fastdbn.estimators.table_model import TableModel
from fastdbn.machine.enumeration import Enumeration
from fastdbn.support import checks

ROWS = "X", "X_train", "X_validation", "X_test"
"""Names of arguments that are rows."""

Model = Estimator | TableModel
"""What is evaluated and drawn: a fitted model."""
Function = TypeVar("Function", bound=Callable)


def of_tables(function: Function) -> Function:
    """Let a function of a model and of rows take a TableModel and tables, too: it is given the estimator and its numbers."""
    signature = inspect.signature(function)
    name = next(iter(signature.parameters))

    @functools.wraps(function)
    def run(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        model = given.arguments[name]
        if isinstance(model, TableModel):
            check_is_fitted(model)
            given.arguments[name] = model.estimator_
            for rows in ROWS:
                if given.arguments.get(rows) is not None:
                    given.arguments[rows] = model.preparation_.transform(given.arguments[rows])
        return function(*given.args, **given.kwargs)

    return cast(Function, run)


def fitted(model):
    """The model, which must be a fitted estimator of fastdbn.

    Raises
    ------
    TypeError
        for anything else, such as a Pipeline.
    NotFittedError
        before a fit.
    """
    if not isinstance(model, Estimator):
        raise TypeError(
            f"model={checks.shown(model)}: give a fitted estimator of fastdbn. Of a Pipeline give the last step, pipeline[-1], "
            "and X as that step sees it, pipeline[:-1].transform(X)"
        )
    check_is_fitted(model)
    return model


def having(model, method, instead):
    """The model, fitted, which must have a method; `instead` says what to draw of others."""
    if not hasattr(fitted(model), method):
        raise ValueError(f"a {type(model).__name__} has no {method}: {instead}")
    return model


def rbm_of(model):
    """The fitted `RBM` that a model is, or that does its work: of a network of one layer without labels that layer.

    Raises
    ------
    ValueError
        for another estimator; the message says what to give.
    NotFittedError
        for one that is not fitted.
    """
    if isinstance(model, (RBM, BernoulliRBM, DBN)) and not isinstance(model, GenerativeDBNClassifier):
        check_is_fitted(model)
        first, *others = model._stack()
        if not others:
            return first
    raise ValueError(
        f"model={type(model).__name__}: give a fitted RBM, BernoulliRBM or DBN of one layer. Of a deeper DBN, or one with "
        "labels, give its top_rbm(), of a network after back-propagation its dbn_; dbn_bound takes every DBN"
    )


def machine_with_z(rbm):
    """The machine of an RBM, which has one Z.

    Raises
    ------
    ValueError
        for visible units that count; the message says what to do.
    """
    if rbm.machine_.visible_unit.keeps_total:
        raise ValueError(
            "model: visible units that count have no one Z, but one for every total of a row: compare free energies of rows of "
            "the same total"
        )
    return rbm.machine_


def exact_log_z(model):
    """log Z of a model that `rbm_of` takes, by enumeration."""
    rbm = rbm_of(model)
    return float(np.logaddexp.reduce(Enumeration(machine_with_z(rbm), rbm.n_jobs).block_logs()))


def layers(model):
    """The RBMs of a model, lowest first; none where a network was not pretrained."""
    if isinstance(model, Supervised):
        return [] if model.dbn_ is None else model.dbn_.layers_
    return model._stack()


def generator(model):
    """The RBM or DBN of a model that draws and reconstructs rows: of a network that was fine-tuned, the pretrained one.

    Raises
    ------
    ValueError
        if it has none.
    """
    if isinstance(model, Supervised):
        if model.dbn_ is None:
            raise ValueError(f"this {type(model).__name__} was not pretrained, so it draws no rows: fit with pretrain=True")
        return model.dbn_
    return model.as_rbm() if isinstance(model, BernoulliRBM) else model


def layer_weights(model):
    """The weights of each hidden layer, (units, units of the layer below); those of an autoencoder's encoder."""
    if isinstance(model, Supervised):
        return [W.T for W in model.coefs_[: model._n_encoding() if isinstance(model, DBNAutoencoder) else -1]]
    return [rbm.components_ for rbm in layers(model)]


def hidden_means(model, X):
    """The means of each hidden layer given the rows of X, (n, units) arrays, lowest first."""
    if isinstance(model, Supervised):
        X = model._later_rows(X)
        return [means(model, X, i + 1) for i in range(len(layer_weights(model)))]
    X, found = later_rows(model, X, ("drop", "sample")), []
    for rbm in layers(model):
        X = hidden_given_rows(rbm, X)
        found.append(X)
    return found


def feature_names(model):
    """The names of a model's features, or an empty list."""
    if hasattr(model, "preparation_"):
        return list(model.preparation_.get_feature_names_out())
    return list(getattr(model, "feature_names_in_", ()))


def dense(X):
    """Rows as an array: of a frame its values, of a CSR matrix all of them."""
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)


def some(n, most):
    """The numbers of at most `most` of n rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def take(X, rows):
    """Some rows of an array, a CSR matrix or a frame."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
