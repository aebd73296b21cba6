"""Sparse matrices that point outside of themselves, which SciPy builds without complaint, and data of too many rows."""

import inspect

import numpy as np
import pytest
from scipy import sparse

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    evaluate,
)

X, Y = np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 4, 5, 0, 1]], np.arange(8) % 2
LAYERS = {"hidden_layer_sizes": (3, 2), "rbm": RBM(visible="bernoulli", n_iter=0), "random_state": 0}
ESTIMATORS = {
    "rbm": RBM(3, visible="bernoulli", n_iter=0, random_state=0),
    "like sklearn": BernoulliRBM(3, n_iter=0, random_state=0),
    "dbn": DBN(**LAYERS),
    "classifier": DBNClassifier(**LAYERS, max_iter=0),
    "regressor": DBNRegressor(**LAYERS, max_iter=0),
    "autoencoder": DBNAutoencoder(**LAYERS, max_iter=0),
    "outliers": DBNOutlierDetector(**LAYERS),
    "generative": GenerativeDBNClassifier(**LAYERS),
}
FUNCTIONS = (
    evaluate.log_likelihood,
    evaluate.pseudo_log_likelihood,
    evaluate.free_energy_gap,
    evaluate.ais,
    evaluate.reverse_ais,
)
DENSE = "impute", "inverse_transform"
"""Methods that take dense arrays alone."""


def broken(format_="csr", **arrays):
    """One entry a row, in columns 0 to 5, but for the arrays given."""
    whole = sparse.csr_matrix(X).asformat(format_)
    for name, values in arrays.items():
        setattr(whole, name, np.asarray(values, np.int32))
    return whole


FAR = [0, 2**28, 2, 3, 4, 5, 0, 1]
FAULTS = {
    "beyond": (broken(indices=FAR), "row 1 has an entry in column 268435456 of 6"),
    "just beyond": (broken(indices=[0, 1, 2, 3, 4, 5, 0, 6]), "row 7 has an entry in column 6 of 6"),
    "negative": (broken(indices=[0, 1, -1, 3, 4, 5, 0, 1]), "row 2 has an entry in column -1 of 6"),
    "falling": (broken(indptr=[0, 5, 2, 3, 4, 5, 6, 7, 8]), "row 1 ends before it begins"),
    "short": (broken(indptr=[0, 1, 2]), "index pointer size"),
    "late": (broken(indptr=[1, 1, 2, 3, 4, 5, 6, 7, 8]), "start with 0"),
    "long": (broken(indptr=[0, 1, 2, 3, 4, 5, 6, 7, 2**30]), "less than the size of index and data"),
    "lacking": (broken(indices=[0, 1]), "same size|size of index"),
    "csc": (broken("csc", indices=[0, 6, 1, 2**28, 2, 3, 4, 5]), "column 1 has an entry in row 268435456 of 8"),
    "bsr": (broken("bsr", indices=[2**28] * len(sparse.csr_matrix(X).asformat("bsr").indices)), "must be < "),
}


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request):
    return ESTIMATORS[request.param].fit(X, Y)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault):
    bad, message = FAULTS[fault]
    with pytest.raises(ValueError, match=rf"^X is not a valid sparse matrix.*({message}).*correct X.indices"):
        RBM(2).fit(bad)


def test_every_method_refuses_them(fitted):
    """All public methods that take X, before anything reads it."""
    bad = FAULTS["beyond"][0]
    tried = []
    for name, method in inspect.getmembers(fitted, callable):
        parameters = [] if name.startswith("_") else list(inspect.signature(method).parameters)
        refuses_layers = name in ("energy", "free_energy", "gibbs") and len(getattr(fitted, "layers_", "1")) > 1
        if parameters[:1] in (["X"], ["v"]) and name not in DENSE and not refuses_layers:
            y = np.array([1, -1, 1]) if isinstance(fitted, DBNOutlierDetector) else Y
            arguments = (bad, y) if "y" in parameters else (bad, np.zeros((3, 2))) if name == "energy" else (bad,)
            with pytest.raises(ValueError, match=r"^X is not a valid sparse matrix: row 1 "):
                method(*arguments)
            tried.append(name)
    assert "fit" in tried
    assert len(tried) >= 3


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_function_refuses_them(function):
    rbm, bad = ESTIMATORS["rbm"].fit(X), FAULTS["beyond"][0]
    arguments = {name: bad for name in inspect.signature(function).parameters if name.startswith("X")}
    with pytest.raises(ValueError, match=r"^(X_train: )?X is not a valid sparse matrix: row 1 "):
        function(rbm, **arguments)


def test_odd_matrices_that_are_right():
    """Equal columns in a row add up, in any order; so do containers of other formats."""
    odd = sparse.csr_matrix((np.full(4, 0.5, np.float32), [3, 1, 3, 0], [0, 3, 4]), shape=(2, 6))
    rbm = ESTIMATORS["rbm"].fit(X)
    expected = rbm.transform(np.array([[0, 0.5, 0, 1, 0, 0], [0.5, 0, 0, 0, 0, 0]], np.float32))
    for format_ in ("csr", "csc", "coo", "bsr", "lil", "dok"):
        np.testing.assert_allclose(rbm.transform(odd.copy().asformat(format_)), expected, rtol=1e-6)
    assert odd.indices.tolist() == [3, 1, 3, 0]


@pytest.mark.parametrize("shape", [(2**31, 1), (1, 2**31)], ids=str)
def test_too_many_rows_or_columns(shape):
    with pytest.raises(ValueError, match=r"^X has shape .*2,147,483,647 rows and columns"):
        RBM(2).fit(np.broadcast_to(np.uint8(0), shape))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (RBM(2, k=2**18), "k=262144: give an integer from 1 to 262143"),
        (RBM(2, k=[2.0**18]), "k is 262144 at epoch 0"),
        (RBM(2, missing="sample", missing_steps=2**18), "missing_steps=262144"),
        (RBM(2**31), "n_components=2147483648: give an integer from 1 to 2147483647"),
        (DBN((2,) * 32), "hidden_layer_sizes=.* up to 31"),
    ],
    ids=str,
)
def test_more_than_noise_has_numbers_for(bad, match):
    with pytest.raises(ValueError, match=match):
        bad.fit(X)
