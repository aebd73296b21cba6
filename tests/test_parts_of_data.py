"""Training on parts of the data: parts of an epoch have the bits of the epoch, and scikit-learn's out-of-core habits work."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from test_large_data import GREY, LABELS, WIDTH, X, blocks, same

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor

OPTIONS = {
    "plain": {},
    "chains": {"persistent": True, "n_chains": 7},
    "options": {"l1": 1e-3, "sparsity_target": 0.1, "k": lambda epoch: epoch + 1},
    "grey": {"centering": None, "momentum": [0.1, 0.6]},
}
PART = 40


@pytest.mark.parametrize("given", [np.asarray, np.float64, sparse.csr_matrix, lambda rows: blocks(rows, 7)])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_epoch_in_parts_has_the_bits_of_the_epoch(name, given):
    """Units, scaling and initial biases are fixed by a fit of no epoch; parts are whole minibatches."""
    rows = GREY if name == "grey" else X
    options = {"learning_rate": [0.05, 0.02], "batch_size": 10, "shuffle": False, "random_state": 0} | OPTIONS[name]
    known, model = RBM(5, n_iter=2, **options).fit(rows), RBM(5, n_iter=0, **options).fit(rows)
    for epoch in range(2):
        for start in range(0, len(rows), PART):
            model.partial_fit(given(rows[start : start + PART]), epoch=epoch, first_row=start)
    assert same(known, model) and model.n_iter_ == 2 and len(model.history_["update_ratio"]) == 2


def test_weights_are_numbered_on_too():
    options = {"learning_rate": 0.05, "batch_size": 10, "shuffle": False, "random_state": 0}
    weights = np.tile([0.5, 1.5], 75)
    known, model = RBM(5, n_iter=1, **options).fit(X, sample_weight=weights), RBM(5, n_iter=0, **options)
    model.fit(X, sample_weight=weights)
    for start in range(0, len(X), PART):
        part = slice(start, start + PART)
        model.partial_fit(X[part], sample_weight=weights[part], epoch=0, first_row=start)
    assert same(known, model)


@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor, DBNAutoencoder])
def test_fine_tuning_in_parts(kind):
    options = {"learning_rate_init": 0.01, "batch_size": 10, "shuffle": False, "dropout": 0.2, "random_state": 0}
    options |= {"rbm": RBM(n_iter=1), "solver": "adam"}
    y = None if kind is DBNAutoencoder else LABELS
    known, model = (kind((6, 5), max_iter=n, **options).fit(X, y) for n in (2, 0))
    for epoch, start in itertools.product(range(2), range(0, len(X), PART)):
        part = slice(start, start + PART)
        model.partial_fit(X[part], *([] if y is None else [y[part]]), epoch=epoch, first_row=start)
    assert same(known, model) and model.n_iter_ == 2


def test_parts_that_are_no_part():
    model = RBM(3, n_iter=1, random_state=0).fit(X)
    for epoch in (2, -1, "a"):
        with pytest.raises(ValueError, match="epoch="):
            model.partial_fit(X, epoch=epoch)
    with pytest.raises(ValueError, match="first_row=5: give epoch too"):
        model.partial_fit(X, first_row=5)
    with pytest.raises(ValueError, match="first_row=5: missing='sample'"):
        RBM(3, missing="sample").partial_fit(X, epoch=0, first_row=5)


# ---- the habits of scikit-learn


def test_loops_of_partial_fit():
    for model in (RBM(5, random_state=0), DBN((5, 4), random_state=0)):
        for part in blocks(X):
            model.partial_fit(part)
        assert np.isfinite(model.transform(X)).all()
    model = DBNClassifier((5,), pretrain=False, random_state=0)
    for part, y in zip(blocks(X), blocks(LABELS), strict=True):
        model.partial_fit(part, y, classes=[0, 1])
    assert model.predict(X).shape == (150,)


def test_dask_ml_wraps_estimators():
    wrappers, da = pytest.importorskip("dask_ml.wrappers"), pytest.importorskip("dask.array")
    rows, y = da.from_array(X, chunks=(50, WIDTH)), da.from_array(LABELS, chunks=50)
    model = DBNClassifier((5,), pretrain=False, random_state=0)
    incremental = wrappers.Incremental(model, shuffle_blocks=False).fit(rows, y, classes=[0, 1])
    for part, labels in zip(blocks(X, 50), blocks(LABELS, 50), strict=True):
        model.partial_fit(part, labels, classes=[0, 1])
    assert same(incremental.estimator_, model)
    parallel = wrappers.ParallelPostFit(model)
    assert np.array_equal(np.asarray(parallel.predict(rows)), model.predict(X))
    assert np.allclose(np.asarray(parallel.predict_proba(rows)), model.predict_proba(X), atol=1e-6)
