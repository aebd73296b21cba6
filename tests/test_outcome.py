"""Fits that end badly, and first batches that cannot show a scale, bring a warning with a remedy."""

import re
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from fastdbn import DBN, RBM, BernoulliRBM, DataWarning, DBNClassifier, DBNOutlierDetector, DBNRegressor, FitWarning
from fastdbn.estimators.outcome import of_outputs

X = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.float32)
Z = np.random.default_rng(1).normal(3.0, 2.0, (40, 3))


def modes(n=200, width=24, seed=0):
    """Noisy copies of a picture and of its negative."""
    draw = np.random.default_rng(seed)
    picture = np.arange(width) < width // 2
    return (picture ^ draw.integers(0, 2, (n, 1)) ^ (draw.random((n, width)) < 0.05)).astype(np.float32)


def lines(fit, *given):
    """What a fit warns of, line by line; it warns once at most, here."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", FitWarning)
        fit(*given)
    found = [w for w in found if issubclass(w.category, FitWarning)]
    assert len(found) <= 1 and all(w.filename == __file__ for w in found)
    return str(found[0].message).split("\n") if found else []


M = modes()
PLAIN = {"n_iter": 20, "centering": None}
"""What is easier to spoil than the defaults."""


@pytest.mark.parametrize(("bias", "words"), [(-50, "3 dead"), (50, "3 saturated")])
def test_idle_units(bias, words):
    """A fifth of the units of a layer off, or on, for all rows: one warning names the layer and how many."""
    rbm = RBM(10, **PLAIN, random_state=0, warm_start=True).fit(M)
    network = DBN((10, 10), rbm=RBM(**PLAIN), random_state=0, warm_start=True).fit(M)
    for model, layer, name in ((rbm, rbm, "layer 1"), (network, network.layers_[1], "layer 2")):
        kept = layer.intercept_hidden_
        for idle, told in ((2, False), (3, True)):
            layer.intercept_hidden_ = np.where(np.arange(10) < idle, bias, kept)
            found = lines(model.fit, M)
            assert bool(found) == told
        assert found[0].startswith(f"{name} has {words} hidden units of 10") and "centering='data'" in found[0]
    assert not lines(rbm.partial_fit, M)
    if bias < 0:
        assert not lines(rbm.set_params(sparsity_target=0.1).fit, M)  # which asks for units that are mostly off


N = (np.random.default_rng(0).random((80, 30)) < 0.5).astype(np.float32)
LEARN = {"validation_fraction": 0.5, "batch_size": 10, "weight_decay": 0.0, "learning_rate": 0.3, "centering": None}
SPOILED = {
    "rate x 100": (
        RBM(24, **PLAIN, learning_rate=5.0),
        M,
        "worse than the column means .*rate is too high .5 at.*rate=0.5",
    ),
    "rate of tables": (
        RBM(4, learning_rate=10.0, n_iter=20),
        np.random.default_rng(0).normal(size=(50, 2)) @ np.random.default_rng(1).normal(size=(2, 8)),
        "worse than the column means do .error .*e.*learning_rate=1$",
    ),
    "leaps": (
        RBM(8, learning_rate=1.0, n_iter=20),
        load_iris().data[::3],
        "changes its weights by ..% in a single step: learning_rate is too high .1 at.*learning_rate=0.1$",
    ),
    "rate / 1000": (RBM(24, **PLAIN, learning_rate=5e-5), M, "learned next to nothing .epochs: 20.*a larger learning_rate"),
    "unscaled": (RBM(8, visible="gaussian", scale="none"), Z * 100, "deviation is 1.7e.02: scale='none'.*scale='standard'"),
    "too narrow": (RBM(8, visible="gaussian", scale="none"), Z / 100, "deviation is 0.017: scale='none'.*scale='standard'"),
    "saturated": (
        RBM(8, **PLAIN, learning_rate=0.05, sparsity_target=0.995, sparsity_cost=5.0),
        M,
        "has 8 saturated hidden units of 8",
    ),
    "overfitted": (RBM(60, n_iter=150, **LEARN), N, "overfits: .* nats above.*a pseudo-likelihood of .*early_stopping"),
    "overfitted reals": (
        RBM(60, n_iter=300, **LEARN | {"learning_rate": 0.05}),
        np.random.default_rng(1).normal(size=(80, 20)),
        "overfits: .*an error of .*, which was .* in epoch .* of 300",
    ),
    "one mode": (
        RBM(24, persistent=True, learning_rate=0.05, momentum=[0.5] * 5 + [0.9], n_iter=100),
        M,
        "100 persistent chains.* do not mix.*trajectory",
    ),
    "too few temperatures": (RBM(24, persistent=True, temperatures=2), M, "exchange too rarely .*Give more temperatures"),
    "a trajectory that breaks": (
        RBM(24, persistent=True, trajectory=0.25, n_iter=8, **LEARN | {"learning_rate": 1.0}),
        M,
        "frozen machines with which chains exchange too rarely",
    ),
    "nothing there": (RBM(4), M * 0, "sees the same values in all rows"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_fits(name):
    """Each brings a line of its own: layer, number and remedy."""
    model, data, words = SPOILED[name]
    model.set_params(random_state=0)
    found = lines(model.fit, data)
    assert any(re.match(f"layer 1 .*{words}", line) for line in found), found
    assert found[-1] == "docs/tuning.md says more."


def test_one_warning_for_all_layers():
    """Of a network, also one that is fine-tuned then, and only for the fit that pretrained."""
    bad = {"rbm": RBM(**PLAIN, learning_rate=5e-5), "propagate": "mean"}
    for network in (DBN((12, 8), **bad), DBNClassifier((12, 8), **bad, max_iter=3, warm_start=True)):
        found = lines(network.set_params(random_state=0).fit, M, M[:, 0])
        assert found[0].startswith("layer 1 has learned next to nothing") and found[1].startswith("layer 2 sees nearly the same")
    assert not any("layer" in line for line in lines(network.fit, M, M[:, 0]))
    found = lines(BernoulliRBM(8, learning_rate=20.0, random_state=0).fit, M)
    assert found[0].startswith("layer 1 reconstructs rows worse")


def test_early_stopping_leaves_a_good_epoch():
    """What is told is what the fit has left: the best epoch, not the last."""
    stops = {"early_stopping": True, "n_iter_no_change": 10}
    assert not any("overfits" in line for line in lines(RBM(60, n_iter=150, random_state=0, **LEARN, **stops).fit, N))


def counts(n=300, width=40):
    draw = np.random.default_rng(0)
    topics = draw.dirichlet(np.full(width, 0.1), 4)
    return np.array([draw.multinomial(draw.integers(20, 80), topics[i % 4]) for i in range(n)])


def words(n=400, width=200):
    """Which of many rare words a text has."""
    return sparse.csr_matrix(np.repeat(counts(n), width // 40, axis=1) * (np.random.default_rng(1).random((n, width)) < 0.2) > 0)


HEALTHY = {
    "digits": (None, lambda: load_digits().data[:400]),
    "breast cancer": (None, lambda: load_breast_cancer().data),
    "wine": (None, lambda: load_wine().data),
    "diabetes": (None, lambda: load_diabetes().data),
    "binary data": (None, lambda: M),
    "counts": ([RBM(visible="replicated-softmax"), RBM()], counts),
    "text": (None, words),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_fits(name):
    """Nothing to tell, with rows held out or not."""
    rbm, data = HEALTHY[name]
    assert not lines(DBN((32, 16), rbm=rbm, random_state=0).fit, data())
    if not isinstance(rbm, list):
        held_out = clone(rbm or RBM()).set_params(validation_fraction=0.2)
        assert not lines(DBN((32, 16), rbm=held_out, random_state=0).fit, data())


def test_constant_outputs():
    """One class, or one number, for all rows of the fit brings one warning; a network that tells them apart brings none."""
    common = {"pretrain": False, "random_state": 0}
    with pytest.warns(FitWarning, match="the output is the same for all of 40 rows.*class_weight") as found:
        DBNClassifier((4,), max_iter=3, **common).fit(X * 0, X[:, 0])
    assert len(found) == 1
    with pytest.warns(FitWarning, match="output 0 of 2 is the same"):
        DBNRegressor((4,), rbm=RBM(visible="bernoulli"), max_iter=3, **common).fit(X * 0, Z[:, :2])
    with pytest.warns(FitWarning, match="fits its own rows worse than a constant does .squared error .*, not 1"):
        DBNRegressor((8,), max_iter=3, learning_rate_init=3.0, **common).fit(Z, Z[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", FitWarning)
        DBNClassifier((8,), max_iter=30, **common).fit(X, X[:, 0])
        DBNRegressor((8,), max_iter=300, **common).fit(Z, Z[:, 0])
        DBNRegressor((4,), max_iter=3, **common).fit(X * 0, np.zeros(40))


def test_constant_outputs_of_a_rate_that_is_too_high():
    target = np.arange(40) % 2
    for size, rate in ((1.0, "another"), (1e6, "a smaller")):
        (line,) = of_outputs(np.tile([0.0, size], (40, 1)), target, np.ones(40))
        assert f"Try {rate} learning_rate_init" in line


def test_outputs_that_are_worse_than_a_constant():
    """By the weights of the classes: half of the answers are right, and more where the rare class weighs as much."""
    target, outputs = np.arange(40) % 4 // 3, np.eye(2)[np.minimum(np.arange(40) % 4, 1)]
    (line,) = of_outputs(outputs, target, np.ones(40))
    assert "worse than a constant does (accuracy 0.5, not 0.75)" in line and "a smaller learning_rate_init" in line
    assert not of_outputs(outputs, target, np.where(target, 3.0, 1.0))


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
        model.fit(Z, np.arange(40) % 2)


def test_first_batch_of_targets():
    """One row fixes neither the scale of X nor that of y; data that are scaled already need no scale."""
    with pytest.warns(DataWarning) as found:
        DBNRegressor((2,), pretrain=False).partial_fit(Z[:1], Z[:1, 0])
    assert sorted(str(w.message)[:8] for w in found) == ["column 0", "y is con"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        DBNRegressor((2,), pretrain=False).partial_fit(Z, Z[:, 0])
        RBM(2, visible="gaussian", scale="none").partial_fit(Z[:1])
