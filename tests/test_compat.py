"""The names of albertbup's deep-belief-network: what their parameters become, and what is refused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fastdbn
from fastdbn.compat import SupervisedDBNClassification, SupervisedDBNRegression, UnsupervisedDBN

DRAW = np.random.default_rng(0)
X = DRAW.random((60, 6)).astype(np.float32)
LABELS = np.array(["low", "high"])[(X[:, 0] > 0.5).astype(int)]
QUICK = {"hidden_layers_structure": [6, 4], "n_epochs_rbm": 1, "verbose": False, "random_state": 0}
FAST = QUICK | {"n_iter_backprop": 2, "batch_size": 20}


def test_classification_as_in_that_packages_readme():
    """Every parameter has its counterpart in the network; labels, probabilities and dicts agree."""
    rates = {"learning_rate_rbm": 0.05, "learning_rate": 0.1, "dropout_p": 0.2, "l2_regularization": 3.0}
    model = SupervisedDBNClassification(**FAST, **rates).fit(X, LABELS)
    network = model.estimator_
    assert (network.solver, network.momentum, network.learning_rate_init) == ("sgd", 0.0, 0.1)
    assert (network.alpha, network.dropout, network.max_iter) == (3.0 * 20 / 60, (0.2, 0.2, 0.2), 2)
    rbm = network.dbn_.layers_[1]
    assert (rbm.hidden_, rbm.visible_, rbm.learning_rate, rbm.n_iter_) == ("bernoulli", "bernoulli", 0.05, 1)
    assert (rbm.momentum, rbm.weight_decay, rbm.centering) == (0.0, 0.0, None)
    labels, probabilities = model.predict(X), model.predict_proba(X)
    np.testing.assert_array_equal(labels, model.classes_[probabilities.argmax(axis=1)])
    assert model.predict_proba_dict(X[0])[0] == dict(zip(["high", "low"], probabilities[0].tolist(), strict=True))
    assert model.transform(X).shape == (60, 4)
    assert 0 <= model.score(X, LABELS) <= 1


def test_relu_is_the_noisy_one():
    model = UnsupervisedDBN(**QUICK | {"n_epochs_rbm": 0}, activation_function="relu").fit(X)
    assert [rbm.hidden_ for rbm in model.dbn_.layers_] == ["noisy-relu", "noisy-relu"]


def test_defaults_are_that_packages():
    model = SupervisedDBNClassification()
    assert (model.learning_rate, model.learning_rate_rbm, model.n_iter_backprop, model.n_epochs_rbm) == (1e-3, 1e-3, 100, 10)
    assert (model.l2_regularization, model.batch_size, model.dropout_p, model.verbose) == (1.0, 32, 0.0, True)


def test_weight_decay_is_that_packages(composed):
    """In a step it takes learning_rate l2_regularization / n of the weights away."""
    step = FAST | {"n_iter_backprop": 1, "batch_size": 60, "learning_rate": 0.5}
    plain, decayed = (SupervisedDBNRegression(**step, l2_regularization=d).fit(X, X[:, 0]) for d in (0.0, 6.0))
    before = plain.unsupervised_dbn.dbn_.layers_[0].components_.T
    difference = plain.estimator_.coefs_[0] - decayed.estimator_.coefs_[0]
    np.testing.assert_allclose(difference, before * (0.5 * 6.0 / 60), rtol=1e-3, atol=1e-7)


def test_regression_and_pretraining_apart(tmp_path, composed):
    """`pre_train` and then `fit(pre_train=False)` is `fit`; files hold the network."""
    y = 3 * X[:, 0] + 10
    whole = SupervisedDBNRegression(**FAST).fit(X, y)
    parts = SupervisedDBNRegression(**FAST).pre_train(X).fit(X, y, pre_train=False)
    np.testing.assert_array_equal(whole.predict(X), parts.predict(X))
    whole.save(tmp_path / "model")
    np.testing.assert_array_equal(SupervisedDBNRegression.load(tmp_path / "model").predict(X), whole.predict(X))
    with pytest.raises(ValueError, match="pre_train=False: call pre_train"):
        SupervisedDBNRegression(**FAST).fit(X, y, pre_train=False)


def test_unsupervised_and_searches():
    model = UnsupervisedDBN(**QUICK).fit(X)
    assert model.transform(X).shape == (60, 4)
    assert isinstance(model.dbn_, fastdbn.DBN)
    assert clone(model).get_params() == model.get_params()
    search = GridSearchCV(SupervisedDBNClassification(**FAST), {"dropout_p": [0.0, 0.1]}, cv=2).fit(X, LABELS)
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"activation_function": "tanh"}, "activation_function='tanh': give one of 'sigmoid', 'relu'"),
        ({"optimization_algorithm": "adam"}, "optimization_algorithm='adam': give one of 'sgd'"),
        ({"hidden_layers_structure": []}, "hidden_layers_structure"),
        ({"dropout_p": 1.0}, "dropout_p"),
        ({"l2_regularization": -1}, "l2_regularization"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"n_epochs_rbm": 1.5}, "n_epochs_rbm"),
    ],
)
def test_what_has_no_counterpart_is_refused(params, words):
    with pytest.raises(ValueError, match=words):
        SupervisedDBNClassification(**FAST | params).fit(X, LABELS)
