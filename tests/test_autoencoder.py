"""The autoencoder: gradients of its loss against finite differences, and what its codes keep."""

import itertools

import numpy as np
import pytest
from naive import sigmoid, softmax
from scipy import sparse
from sklearn.decomposition import PCA

from fastdbn import DBN, RBM, DBNAutoencoder
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Source
from fastdbn.maths.optim import step_hyper
from fastdbn.training.backprop import BackPropagation, NetworkState, Plan
from fastdbn.units import get_unit, visible_unit
from fastdbn.units.softmax import softmax as groups

UNITS = {
    "bernoulli": get_unit("bernoulli"),
    "gaussian": get_unit("gaussian"),
    "softmax": groups(3),
    "mixed": visible_unit([("gaussian", slice(3, 6)), ("softmax", slice(0, 3))], 6),
}


def log_probability(x, s, name):
    """The sum of log p(x | s) of a layer, from each unit's own formula."""
    if name == "bernoulli":
        return np.sum(x * np.log(sigmoid(s)) + (1 - x) * np.log(1 - sigmoid(s)))
    if name == "mixed":
        return log_probability(x[:, :3], s[:, :3], "softmax") + log_probability(x[:, 3:], s[:, 3:], "gaussian")
    if name == "gaussian":
        return -0.5 * np.sum((x - s) ** 2 + np.log(2 * np.pi))
    return np.sum(x * np.log(softmax(s.reshape(len(s), -1, 3)).reshape(s.shape)))


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_of_units(name, dtype):
    """The loss is -log p(target | output) of the unit, its derivative mean - target; it may be written over the output."""
    draw, backend = np.random.default_rng(0), get_backend(1, dtype)
    s, weight = draw.normal(size=(5, 6)).astype(dtype), draw.random(5).astype(dtype)
    x = np.eye(3)[draw.integers(0, 3, (5, 2))].reshape(5, 6).astype(dtype)
    mean = {"bernoulli": sigmoid(s), "gaussian": s, "softmax": softmax(s.reshape(5, 2, 3)).reshape(5, 6)}
    mean["mixed"] = np.c_[mean["softmax"][:, :3], s[:, 3:]]
    expected = -sum(w * log_probability(x[i : i + 1], s[i : i + 1], name) for i, w in enumerate(weight))
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for delta in (np.empty_like(s), s.copy()):
        output = delta if np.array_equal(delta, s) else s
        assert abs(backend.loss(UNITS[name], output, x, weight, 0.3, delta) - expected) < tolerance * 50
        assert np.allclose(delta, 0.3 * weight[:, None] * (mean[name] - x), atol=tolerance)


@pytest.mark.parametrize("visible", UNITS)
@pytest.mark.parametrize("dropout", [(0.0, 0.0), (0.4, 0.3)])
def test_gradient_against_finite_differences(visible, dropout):
    """Every entry of every gradient of the loss of a whole input, which dropout may have blotted out."""
    draw, B, sizes = np.random.default_rng(0), 7, (6, 4, 6)
    coefs = [draw.normal(size=s) for s in itertools.pairwise(sizes)]
    intercepts = [draw.normal(size=n) for n in sizes[1:]]
    X = np.eye(3)[draw.integers(0, 3, (B, 2))].reshape(B, 6)
    backend, unit, weight = get_backend(1, "float64"), UNITS[visible], draw.random(B) + 0.5
    plan, hyper = Plan(unit, "sgd", 1.0, 0.0, 0.0, dropout, None, B), step_hyper("float64", "sgd", 1.0, 0.0, 1, 0.0)
    data, rows = backend.load(Source(X)), np.arange(B, dtype=np.uint32)

    def value(which, i, change):
        parts = [[c.copy() for c in coefs], [c.copy() for c in intercepts]]
        parts[which[0]][which[1]].ravel()[i] += change
        run = BackPropagation(backend, [unit, get_unit("bernoulli")], data, rows, None, weight, plan, 3, NetworkState(*parts))
        return run.minibatch(rows, None, weight, hyper) / B, run.state()

    loss, after = value((0, 0), 0, 0.0)
    if not any(dropout):
        output = sigmoid(X @ coefs[0] + intercepts[0]) @ coefs[1] + intercepts[1]
        each = [w * log_probability(X[i : i + 1], output[i : i + 1], visible) for i, w in enumerate(weight)]
        assert np.isclose(loss, -np.mean(each))
    for kind, before in enumerate((coefs, intercepts)):
        for layer, start in enumerate(before):
            gradient = start - after[kind][layer]
            for i in range(gradient.size):
                up, down = (value((kind, layer), i, step)[0] for step in (1e-6, -1e-6))
                assert abs((up - down) / 2e-6 - gradient.ravel()[i]) < 1e-7


def test_unrolled_before_it_is_tuned(digits):
    """Without an epoch it is the DBN's own way up by its weights and down by the same; the halves are apart afterwards."""
    X, _ = digits
    dbn = DBN((32, 8), rbm=RBM(n_iter=3), random_state=0).fit(X[:500])
    model = DBNAutoencoder((32, 8), pretrain=dbn, max_iter=0, random_state=0).fit(X[:500])
    assert np.allclose(model.reconstruct(X[500:600]), dbn.reconstruct(X[500:600]), atol=1e-6)
    assert np.array_equal(model.transform(X[500:600]), dbn.transform(X[500:600]))
    assert np.allclose(model.inverse_transform(model.transform(X)), model.reconstruct(X), atol=1e-6)
    model.partial_fit(X[:500])
    assert [W.shape for W in model.coefs_] == [(64, 32), (32, 8), (8, 32), (32, 64)]
    assert not np.allclose(model.coefs_[0], model.coefs_[3].T)
    assert np.array_equal(dbn.transform(X[:9]), model.dbn_.transform(X[:9]))


def test_better_than_principal_components(digits, composed):
    """With as many codes it loses a fifth less than PCA of rows that it has not seen; pretraining, real codes, early stopping."""
    X, _ = digits
    train, test = X[:1300], X[1300:]
    pca = PCA(8).fit(train)
    linear = np.sum((pca.inverse_transform(pca.transform(test)) - test) ** 2, axis=1).mean()
    model = DBNAutoencoder(
        (128, 8),
        rbm=[RBM(hidden="bernoulli", learning_rate=0.05), RBM(hidden="gaussian", learning_rate=0.001)],
        max_iter=40,
        early_stopping=True,
        random_state=0,
    ).fit(train)
    assert np.square(model.reconstruct(test) - test).sum(axis=1).mean() < 0.8 * linear
    assert model.history_["validation_score"][-1] > 2 * model.history_["validation_score"][0]
    assert model.transform(test).min() < 0


def test_other_data(binary, composed):
    """Values of any scale come back on it; sparse rows work; codes of another width are refused."""
    draw = np.random.default_rng(0)
    Z = 20 + draw.normal(size=(500, 2)) @ draw.normal(size=(2, 6)) + 0.1 * draw.normal(size=(500, 6))
    model = DBNAutoencoder(
        (16, 2), rbm=[RBM(hidden="bernoulli"), RBM(hidden="gaussian")], pretrain=False, max_iter=60, random_state=0
    ).fit(Z)
    assert model.visible_ == "gaussian"
    assert -model.score(Z) < 0.1
    assert abs(model.reconstruct(Z).mean() - 20) < 0.5
    X = binary(80, 9)
    dense, csr = (DBNAutoencoder((6, 3), rbm=RBM(n_iter=1), max_iter=2, random_state=0).fit(x) for x in (X, sparse.csr_matrix(X)))
    assert np.array_equal(dense.reconstruct(X), csr.reconstruct(sparse.csr_matrix(X)))
    assert dense.score(X) == csr.score(sparse.csr_matrix(X))
    with pytest.raises(ValueError, match="give codes of 3 units"):
        dense.inverse_transform(X)
