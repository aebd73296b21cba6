"""Every public method of every fitted estimator, inherited ones too: what it leaves can be used, saved and loaded.

A public method that is not in the table of calls fails the test of its class.
"""

import copy
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small import ESTIMATORS, binary, each_estimator

from fastdbn import DBN, RBM, DBNOutlierDetector, FitWarning, GenerativeDBNClassifier, load

Y = np.arange(40) % 2
X = pd.DataFrame(binary(40, 6)).rename(columns="column {}".format)
GAPS = X.where(np.eye(40, 6) == 0)


def labelled(model):
    """Further arguments of methods that train or score: targets where the estimator has them."""
    return (Y,) if hasattr(model, "predict") and not isinstance(model, DBNOutlierDetector) else ()


def stacked(model, folder):
    """A network of the same class made of this one's layers."""
    if isinstance(model, GenerativeDBNClassifier):
        top = GenerativeDBNClassifier((3,), rbm=RBM(visible="bernoulli", n_iter=1), up_down_iter=0).fit(
            model.layers_[0].transform(X.to_numpy()), Y
        )
        return type(model).stack([model.layers_[0], top])
    return type(model).stack(model.layers_, *((X.to_numpy(),) if isinstance(model, DBNOutlierDetector) else ()))


def first(model):
    """The model, or a network of its first layer alone: some methods are for one layer."""
    return DBN.stack(model.layers_[:1]) if hasattr(model, "layers_") else model


def signs(model):
    """What the score of an outlier detector needs: which rows are outliers."""
    return (np.where(np.arange(len(X)) < 5, -1, 1),) if isinstance(model, DBNOutlierDetector) else ()


def sampling(model):
    """Further arguments of `denoise`: an autoencoder draws nothing."""
    return () if hasattr(model, "coefs_") else (2, "sample", 0)


def rows(model):
    """Rows for a model: a frame where it was fitted to one."""
    return X if hasattr(model, "feature_names_in_") else X.to_numpy()


USES = {
    "as_rbm": lambda model, folder: model.as_rbm(),
    "decision_function": lambda model, folder: model.decision_function(X),
    "denoise": lambda model, folder: model.denoise(X, *sampling(model)),
    "energy": lambda model, folder: first(model).energy(rows(first(model)), first(model).sample_hidden(rows(first(model)))),
    "free_energy": lambda model, folder: first(model).free_energy(rows(first(model))),
    "get_feature_names_out": lambda model, folder: model.get_feature_names_out(),
    "get_metadata_routing": lambda model, folder: model.get_metadata_routing(),
    "get_params": lambda model, folder: model.get_params(),
    "gibbs": lambda model, folder: first(model).gibbs(rows(first(model))),
    "impute": lambda model, folder: model.impute(GAPS, n_steps=4),
    "inverse_transform": lambda model, folder: model.inverse_transform(model.transform(X)),
    "predict": lambda model, folder: model.predict(X),
    "predict_log_proba": lambda model, folder: model.predict_log_proba(X),
    "predict_proba": lambda model, folder: model.predict_proba(X),
    "reconstruct": lambda model, folder: model.reconstruct(X),
    "sample": lambda model, folder: model.sample(3, n_steps=2),
    "sample_hidden": lambda model, folder: model.sample_hidden(X),
    "save": lambda model, folder: model.save(folder / "saved"),
    "score": lambda model, folder: model.score(X, *(labelled(model) or signs(model))),
    "score_samples": lambda model, folder: model.score_samples(X),
    "set_callbacks": lambda model, folder: model.set_callbacks(),
    "set_output": lambda model, folder: model.set_output(transform="default"),
    "set_params": lambda model, folder: model.set_params(verbose=0),
    "stack": stacked,
    "to_device": lambda model, folder: model.to_device("cpu"),
    "to_host": lambda model, folder: model.to_host(),
    "top_rbm": lambda model, folder: model.top_rbm(),
    "transform": lambda model, folder: model.transform(X),
}
"""Methods that leave the model as it was."""
TRAINS = {
    "fit": lambda model, folder: model.fit(X, *labelled(model)),
    "fit_predict": lambda model, folder: model.fit_predict(X),
    "fit_transform": lambda model, folder: model.fit_transform(X, *labelled(model)),
    "partial_fit": lambda model, folder: model.partial_fit(X, *labelled(model)),
    "up_down": lambda model, folder: model.up_down(X, *labelled(model), n_iter=1),
}


def public_methods(model):
    """The names of all methods but those that scikit-learn makes for its routing of metadata."""
    names = (name for name in dir(type(model)) if not name.startswith("_") and callable(getattr(type(model), name)))
    return [name for name in names if not re.fullmatch("set_.*_request", name)]


def results(model):
    """All that a model computes of some rows, by name of the method; draws by a seed of their own."""
    rows, gaps = (X, GAPS) if hasattr(model, "feature_names_in_") else (X.to_numpy(), GAPS.to_numpy())
    draws = {
        "sample": lambda: model.sample(3, n_steps=2, random_state=0),
        "impute": lambda: model.impute(gaps, n_steps=4, random_state=0),
        "denoise": lambda: model.denoise(rows, *sampling(model)),
    }
    names = "transform", "predict", "predict_proba", "decision_function", "score_samples", "reconstruct"
    calls = {name: lambda name=name: getattr(model, name)(rows) for name in names} | draws
    return {name: call() for name, call in calls.items() if hasattr(model, name)}


def agree(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def usable(model, folder):
    """What a model computes, which is finite, and the same after a way through a file."""
    found = results(model)
    assert all(np.isfinite(values).all() for values in found.values() if values.dtype.kind == "f")
    model.save(folder / "model.fdbn")
    assert agree(results(load(folder / "model.fdbn")), found)
    return found


def variants(estimator):
    """The estimator as it is, and with what makes more of it happen: held-out rows, fits that go on."""
    more = {name: True for name in ("early_stopping", "warm_start") if name in estimator.get_params()}
    return [estimator, clone(estimator).set_params(**more | ({"early_stopping": False} if isinstance(estimator, RBM) else {}))]


@pytest.mark.parametrize("number", [0, 1], ids=["plain", "going on"])
@each_estimator
def test_every_method_leaves_a_usable_model(estimator, number, tmp_path):
    """Any one call, then predictions, a file and predictions again, without a warning; uses change nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FitWarning)  # these fits learn nothing
        fitted = clone(variants(estimator)[number]).fit(X, *labelled(estimator))
        before = usable(fitted, tmp_path)
        for name in public_methods(fitted):
            model = copy.deepcopy(fitted)
            result = (USES | TRAINS)[name](model, tmp_path)
            after = usable(model, tmp_path)
            assert name in TRAINS or agree(before, after), name
            if isinstance(result, type(model)) and result is not model:
                usable(result, tmp_path)


def test_thresholds_after_up_down():
    """Up-down moves all scores: the threshold is that of the scores after it, also where a callback ends it early."""

    def stop(estimator, layer, epoch, metrics):
        if layer == "up-down":
            raise KeyboardInterrupt

    model = DBNOutlierDetector((4, 3), rbm=RBM(n_iter=2), contamination=0.1, random_state=0).fit(X)
    before = model.offset_
    assert (model.up_down(X, n_iter=2, learning_rate=0.1).predict(X) == -1).mean() <= 0.1
    assert model.offset_ == np.quantile(model.score_samples(X), 0.1) != before
    model.callbacks = [stop]
    with pytest.raises(KeyboardInterrupt):
        model.up_down(X, n_iter=2, learning_rate=0.1)
    assert model.offset_ == np.quantile(model.score_samples(X), 0.1)


def test_threshold_of_a_stack():
    """A detector of given layers needs rows for its threshold, and has that of a detector that was fitted on them."""
    model = DBNOutlierDetector((4, 3), rbm=RBM(n_iter=2), contamination=0.1, random_state=0).fit(X)
    stack = DBNOutlierDetector.stack(model.layers_, X.to_numpy(), contamination=0.1)
    assert stack.get_params()["contamination"] == 0.1
    assert np.array_equal(stack.predict(X.to_numpy()), model.predict(X))
    with pytest.raises(ValueError, match="X=None: give training rows"):
        DBNOutlierDetector.stack(model.layers_)


def test_every_class_is_tried():
    import fastdbn
    from fastdbn.estimators.base import Estimator

    kinds = {value for name in fastdbn.__all__ if isinstance(value := getattr(fastdbn, name), type)}
    assert {kind for kind in kinds if issubclass(kind, Estimator)} == {type(estimator) for estimator in ESTIMATORS}
