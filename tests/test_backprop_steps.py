"""Whole minibatches of back-propagation in one compiled call: the bits of single operations, at any number of threads."""

import numpy as np
import pytest
from scipy import sparse

from fastdbn import RBM, DBNAutoencoder, DBNClassifier, DBNRegressor
from fastdbn.backends.cpu.backend import CPU


def left_by(model):
    """All that fine-tuning leaves, as bytes."""
    states = [x for layer in model._optimizer.states for x in layer]
    parts = *model.coefs_, *model.intercepts_, model.history_["loss"], *states
    return b"".join(np.ascontiguousarray(x).tobytes() for x in parts)


FAST = {"pretrain": False, "max_iter": 2, "random_state": 0}


def check(monkeypatch, make, X, y, threads=(1, 2, 3, 8), **weights):
    """make(n_jobs=...) fitted in whole minibatches is what single operations on one thread make of it."""
    calls, fused = [], CPU.backprop_steps
    with monkeypatch.context() as patch:
        patch.setattr(CPU, "backprop_steps", lambda *_: None)
        expected = left_by(make(n_jobs=1).fit(X, y, **weights))
        patch.setattr(CPU, "backprop_steps", lambda *given: calls.append(True) or fused(*given))
        for n_jobs in threads:
            assert left_by(make(n_jobs=n_jobs).fit(X, y, **weights)) == expected
    assert calls


def rows(n=90, width=300):
    """Binary, real and mostly zero rows, and a class for each."""
    draw = np.random.default_rng(0)
    ones, real = (draw.random((n, width)) < 0.3).astype(np.float32), draw.random((n, width), dtype=np.float32)
    return {"binary": ones, "real": real, "sparse": ones * real}, (ones[:, :10].sum(axis=1) > 3).astype(int) + (ones[:, 10] > 0)


def classifier(**options):
    given = {"hidden_layer_sizes": (150, 270), "pretrain": False, "max_iter": 2, "random_state": 0} | options
    return lambda **more: DBNClassifier(**given, **more)


OPTIONS = {
    "plain": {},
    "dropout and max-norm": {"dropout": [0.2, 0.3, 0.5], "max_norm": 1.0},
    "sgd": {"solver": "sgd", "dropout": 0.0},
    "large batches": {"batch_size": 80},
}


@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ["binary", "real", "sparse"])
def test_fused_equals_composed(kind, options, monkeypatch, split_everything):
    data, y = rows()
    check(monkeypatch, classifier(**OPTIONS[options]), data[kind], y)


@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
@pytest.mark.parametrize("size", [1, 3, 63, 64, 65, 130])
def test_odd_sizes(size, monkeypatch, split_everything):
    """Layers of one unit, of whole words and of one more or less, in batches of one row and with some rows left."""
    data, y = rows(41)
    for kind, batch_size in (("sparse", 7), ("binary", 7), ("real", 1), ("real", 2)):
        make = classifier(hidden_layer_sizes=(size, 5, size), batch_size=batch_size, max_iter=1)
        check(monkeypatch, make, np.ascontiguousarray(data[kind][:, : size + 2]), y, (1, 3))


@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
def test_batches_of_thousands_and_other_data(monkeypatch, split_everything):
    """Blocks of many rows, which BLAS multiplies; weighted rows; CSR."""
    data, y = rows()
    for kind in ("binary", "real"):
        make = classifier(batch_size=1100, hidden_layer_sizes=(270,), max_iter=1)
        check(monkeypatch, make, np.tile(data[kind], (25, 1)), np.tile(y, 25), (1, 2))
    weights = np.random.default_rng(1).random(len(y))
    check(monkeypatch, classifier(class_weight="balanced"), data["sparse"], y, (1, 3), sample_weight=weights)
    check(monkeypatch, classifier(), sparse.csr_matrix(data["sparse"]), y, (1, 3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
def test_in_float64(monkeypatch, split_everything):
    data, y = rows()
    check(monkeypatch, classifier(dtype="float64", dropout=0.3), data["sparse"].astype(float), y, (1, 3))


HIDDEN = {
    "groups": {"rbm": RBM(hidden="softmax:3"), "dropout": 0.3, "hidden_layer_sizes": (150, 90)},
    "one group": {"rbm": RBM(hidden="softmax")},
    "two types": {"rbm": [RBM(hidden="rectified"), RBM(hidden="gaussian")], "learning_rate_init": 1e-4},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
@pytest.mark.parametrize("hidden", HIDDEN)
def test_other_units(hidden, monkeypatch, split_everything):
    data, y = rows()
    check(monkeypatch, classifier(**HIDDEN[hidden]), data["sparse"], y, (1, 2, 3))


@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
def test_other_losses(monkeypatch, split_everything):
    """Squared errors, and the loss of inputs by their unit types."""
    X = rows()[0]["real"]
    check(monkeypatch, lambda **more: DBNRegressor((70,), dropout=0.2, **FAST, **more), X, X[:, :3], (1, 3))
    check(monkeypatch, lambda **more: DBNAutoencoder((130, 20), dropout=0.2, **FAST, **more), X, None, (1, 3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fastdbn.support.report.FitWarning")
def test_mixed_inputs(monkeypatch, split_everything):
    """The loss of a layer of several unit types."""
    X = rows()[0]["real"]
    mixed = [("bernoulli", slice(0, 100)), ("gaussian", slice(100, 180)), ("softmax:4", slice(180, 300))]
    X = np.hstack([X[:, :180], np.tile(np.eye(4, dtype=np.float32)[np.arange(len(X)) % 4], 30)])
    check(monkeypatch, lambda **more: DBNAutoencoder((20,), rbm=RBM(visible=mixed), **FAST, **more), X, None, (1, 3))
