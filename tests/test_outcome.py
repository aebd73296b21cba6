"""Fits that end badly, and first batches that cannot show a scale, bring a warning with a remedy."""

import warnings

import numpy as np
import pytest

from fastdbn import DBN, RBM, DataWarning, DBNClassifier, DBNOutlierDetector, DBNRegressor, FitWarning

X = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.float32)
Z = np.random.default_rng(1).normal(3.0, 2.0, (40, 3))


@pytest.mark.parametrize(("bias", "words"), [(-50, "3 dead"), (50, "3 saturated")])
def test_idle_units(bias, words):
    """Most units of a layer off, or on, for all rows: one warning names the layer and how many; more than half is most."""
    rbm = RBM(4, n_iter=1, random_state=0, warm_start=True).fit(X)
    network = DBN((5, 4), rbm=RBM(n_iter=1), random_state=0, warm_start=True).fit(X)
    for model, layer, name in ((rbm, rbm, "layer 1"), (network, network.layers_[1], "layer 2")):
        layer.intercept_hidden_ = np.where(np.arange(4) < 2, bias, layer.intercept_hidden_)
        with warnings.catch_warnings():
            warnings.simplefilter("error", FitWarning)
            model.fit(X)
        layer.intercept_hidden_ = np.where(np.arange(4) < 3, bias, layer.intercept_hidden_)
        with pytest.warns(FitWarning, match=f"{name} has {words} hidden units of 4.*centering=") as found:
            model.fit(X)
        assert len(found) == 1
        assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", FitWarning)
        rbm.partial_fit(X)
        if bias < 0:
            rbm.set_params(sparsity_target=0.01).fit(X)  # which asks for units that are mostly off


def test_constant_outputs():
    """One class, or one number, for all rows of the fit brings one warning; a network that tells them apart brings none."""
    common = {"pretrain": False, "random_state": 0}
    with pytest.warns(FitWarning, match="the output is the same for all of 40 rows.*class_weight") as found:
        DBNClassifier((4,), max_iter=3, **common).fit(X * 0, X[:, 0])
    assert len(found) == 1
    with pytest.warns(FitWarning, match="output 0 of 2 is the same"):
        DBNRegressor((4,), rbm=RBM(visible="bernoulli"), max_iter=3, **common).fit(X * 0, Z[:, :2])
    with warnings.catch_warnings():
        warnings.simplefilter("error", FitWarning)
        DBNClassifier((8,), max_iter=30, **common).fit(X, X[:, 0])
        DBNRegressor((8,), max_iter=3, **common).fit(Z, Z[:, 0])
        DBNRegressor((4,), max_iter=3, **common).fit(X * 0, np.zeros(40))


FIRST = [
    (RBM(2), {}),
    (RBM(2, visible="gaussian", scale="minmax"), {}),
    (DBN((2,)), {}),
    (DBNOutlierDetector((2,)), {}),
    (DBNClassifier((2,), pretrain=False), {"y": [0] * 40, "classes": [0, 1]}),
]


@pytest.mark.parametrize(("model", "given"), FIRST)
def test_first_batch(model, given):
    """A column that is constant in the first batch of partial_fit brings a warning; a batch in which it varies brings none."""
    constant = Z.copy()
    constant[:, 1] = 5
    with pytest.warns(DataWarning, match="column 1 of X is constant in the first batch") as found:
        model.partial_fit(constant, **given)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        model.fit(Z, given.get("y", np.zeros(40)) if "y" not in given else np.arange(40) % 2)


def test_first_batch_of_targets():
    """One row fixes neither the scale of X nor that of y; data that are scaled already need no scale."""
    with pytest.warns(DataWarning) as found:
        DBNRegressor((2,), pretrain=False).partial_fit(Z[:1], Z[:1, 0])
    assert sorted(str(w.message)[:8] for w in found) == ["column 0", "y is con"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        DBNRegressor((2,), pretrain=False).partial_fit(Z, Z[:, 0])
        RBM(2, visible="gaussian", scale="none").partial_fit(Z[:1])
