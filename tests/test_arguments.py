"""Every argument of every public method, and of `fastdbn.evaluate`, gets values that it cannot have: each is refused by name."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from test_parameters import ESTIMATORS, VALUES, X, Y, epochs  # noqa: F401

from fastdbn import DBN, evaluate

GIVEN = {"X": X, "y": Y, "v": X, "n_steps": 1, "n_samples": 1, "n_chains": 2, "n_iter": 1, "values": np.arange(6.0)}
"""Arguments of a call that is right."""
DATA = {"X", "y", "v", "validation_data", "H", "start", "X_train", "X_validation", "values", "model", "dbn", "forward", "reverse"}
"""Arguments that have tests of their own: data and models."""
ELSEWHERE = {
    "save",
    "score",
    "fit_transform",
    "fit_predict",
    "set_callbacks",
    "set_output",
    "set_params",
    "get_params",
    "get_feature_names_out",
    "get_metadata_routing",
}
"""Methods that are scikit-learn's, or take no values."""
OF_ONE_LAYER = {"energy", "free_energy", "gibbs", "inverse_transform"}
"""Methods that are called on a network of one layer: those of several refuse the first three; the last takes hidden states."""
TAKEN = {
    "": "contamination device layers method n_samples n_steps n_chains schedule",
    "none": "out resume batch_size burn_in classes mask max_steps n_gibbs statistic totals sample.n_samples sample.n_steps "
    "ais.n_steps inverse_temperatures.n_steps reverse_ais.n_steps predict_proba.n_samples predict_log_proba.n_samples",
    "true": "exact mean",
    "zero": "n_iter mixing.burn_in first_row",
    "none zero": "max_lag epoch",
    "none huge": "precision",
    "none true zero": "label",
    "negative zero": "layer",
    "zero huge": "weight_decay",
    "none zero huge": "learning_rate top_learning_rate",
    "none negative zero huge real": "log_z log_z_top",
    "none negative zero huge astronomic": "random_state",
    "none true huge real scalar-array": "sample_weight",
}
"""The values that are taken, by name, and the arguments that take them, with a function where it differs. New ones need a row."""
TAKEN = {name: set(kinds.split()) for kinds, names in TAKEN.items() for name in names.split()}


def sweep(function, name, **given):
    """Give each argument of a function, named so, each value; `given` are arguments that are right."""
    names = inspect.signature(function).parameters
    given = {key: value for key, value in (GIVEN | given).items() if key in names}
    for argument in set(names) - DATA:
        taken = set()
        for kind, value in VALUES.items():
            try:
                function(**given | {argument: value})
            except ValueError as error:
                assert argument in str(error), (name, argument, kind, str(error))
            else:
                taken.add(kind)
        assert taken == TAKEN.get(f"{name}.{argument}", TAKEN[argument]), (name, argument)


@pytest.fixture(scope="module")
def fitted():
    """All estimators, with their initial parameters."""
    none = {"n_iter": 0, "rbm__n_iter": 0, "max_iter": 0, "up_down_iter": 0, "random_state": 0}
    models = [clone(estimator) for estimator in ESTIMATORS]
    for model in models:
        model.set_params(**{name: value for name, value in none.items() if name in model.get_params()}).fit(X, Y)
    return models


@pytest.mark.parametrize("number", range(len(ESTIMATORS)), ids=[type(estimator).__name__ for estimator in ESTIMATORS])
def test_arguments_of_methods(fitted, number, epochs):  # noqa: F811
    """A flag that is no flag, or a number that is none, means something else than the caller thinks."""
    model = fitted[number]
    one = DBN.stack(model.layers_[:1]) if hasattr(model, "layers_") else None
    for name, method in inspect.getmembers(model, inspect.ismethod):
        if one is not None and name in OF_ONE_LAYER:
            given = X if name != "inverse_transform" else one.transform(X)
            sweep(getattr(one, name), name, X=given)
        elif not name.startswith("_") and not name.endswith("_request") and name not in ELSEWHERE:
            sweep(method, name, layers=getattr(model, "layers_", None))


@pytest.mark.parametrize("name", [name for name in evaluate.__all__ if inspect.isfunction(getattr(evaluate, name))])
def test_arguments_of_evaluation(fitted, name):
    """As for methods."""
    sweep(getattr(evaluate, name), name, model=fitted[0], dbn=fitted[2], X_train=X, X_validation=X)


def test_samples_beyond_the_memory_are_refused(fitted, monkeypatch):
    """As for sizes of layers."""
    monkeypatch.setattr("fastdbn.support.checks.memory", lambda: 1e3)
    for model in fitted:
        if hasattr(model, "sample"):
            with pytest.raises(ValueError, match="n_samples=1000 asks for"):
                model.sample(1000)
    with pytest.raises(ValueError, match="n_chains=1000 asks for"):
        evaluate.ais(fitted[0], 1000, 5, exact=False)
    with pytest.raises(ValueError, match="n_steps=1000 asks for"):
        evaluate.mixing(fitted[0], n_chains=2, n_steps=1000)
    with pytest.raises(ValueError, match="n_samples=1000 asks for"):
        evaluate.exact_samples(fitted[0], 1000)
