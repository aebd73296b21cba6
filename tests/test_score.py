"""`score` of models of the data alone: what it is, and that searches can compare settings by it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold

from fastdbn import DBN, RBM, BernoulliRBM, DBNAutoencoder, DBNOutlierDetector, evaluate

DRAW = np.random.default_rng(0)
X = (DRAW.random((60, 7)) < DRAW.random(7)).astype(np.float32)
GREY = DRAW.random((60, 7)).astype(np.float32)
REALS = DRAW.normal(size=(60, 5)) @ DRAW.normal(size=(5, 5)) * 3 + 100


@pytest.mark.parametrize("visible", ["bernoulli", "spin"])
def test_an_rbm_of_two_valued_units(visible, composed):
    """The mean of the exact pseudo-log-likelihoods, weighted; CSR rows give the same."""
    rows = X if visible == "bernoulli" else 2 * X - 1
    model = RBM(4, visible=visible, scale="none", n_iter=5, dtype="float64", random_state=0).fit(rows)
    exact = evaluate.pseudo_log_likelihood(model, rows)
    assert np.isclose(model.score(rows), exact.mean(), rtol=1e-9)
    weight = DRAW.random(len(rows))
    assert np.isclose(model.score(rows, sample_weight=weight), np.average(exact, weights=weight), rtol=1e-9)
    assert np.isclose(model.score(sparse.csr_matrix(rows)), exact.mean(), rtol=1e-9)


def test_means_are_probabilities():
    """A grey row has the expectation, for each unit, over its two values."""
    model = RBM(4, visible="bernoulli", n_iter=5, dtype="float64", random_state=0).fit(GREY)
    expected = []
    for row in GREY.astype(np.float64):
        total = 0.0
        for i, share in enumerate(row):
            energies = []
            for value in (0.0, 1.0):
                moved = row.copy()
                moved[i] = value
                energies.append(model.free_energy(moved[None])[0])
            log_p = -np.array(energies) - np.logaddexp(-energies[0], -energies[1])
            total += (1 - share) * log_p[0] + share * log_p[1]
        expected.append(total)
    assert np.isclose(model.score(GREY), np.mean(expected), rtol=1e-9)


def test_missing_values_do_not_count():
    """Of a row with missing values, the conditionals of its observed units count, given the others that were observed."""
    lacking = np.where(DRAW.random(X.shape) < 0.3, np.nan, X)
    model = RBM(4, missing="drop", n_iter=5, dtype="float64", random_state=0).fit(lacking)
    rows = []
    for row in lacking:
        flipped = np.tile(row, (len(row), 1))
        np.fill_diagonal(flipped, 1 - row)
        rise = model.free_energy(flipped) - model.free_energy(row[None])
        rows.append(-np.logaddexp(0, -rise)[np.isfinite(row)].sum())
    assert np.isclose(model.score(lacking), np.mean(rows), rtol=1e-9)


@pytest.mark.parametrize("model", [RBM(4, n_iter=3), DBN((4, 3), rbm=RBM(n_iter=3)), DBNAutoencoder((4, 2), max_iter=3)])
def test_reals_by_the_relative_error(model):
    """Minus the squared error over the variance of a column, a mean over columns, whatever the scale of the data."""
    scores = []
    for scale in (1.0, 1000.0):
        rows = REALS * scale
        model.set_params(random_state=0).fit(rows)
        error = np.mean((model.reconstruct(rows) - rows) ** 2, axis=0) / rows.var(axis=0)
        assert np.isclose(model.score(rows), -error.mean(), rtol=1e-4)
        scores.append(model.score(rows))
    assert np.isclose(*scores, rtol=1e-3)


@pytest.mark.parametrize(
    "model", [DBN((5, 3), rbm=RBM(n_iter=3), random_state=0), DBNAutoencoder((5, 2), max_iter=3, random_state=0)]
)
def test_networks_by_their_reconstruction(model):
    p = np.clip(model.fit(X).reconstruct(X).astype(np.float64), 1e-6, 1 - 1e-6)
    assert np.isclose(model.score(X), np.mean((X * np.log(p) + (1 - X) * np.log(1 - p)).sum(axis=1)), rtol=1e-6)


def test_bernoulli_rbm():
    model = BernoulliRBM(4, n_iter=3, random_state=0).fit(X)
    assert np.isclose(model.score(X), evaluate.pseudo_log_likelihood(model, X).mean(), rtol=1e-5)


def test_outliers_by_labels():
    rows = np.vstack([X, 1 - X[:10]])
    y = np.r_[np.ones(60, int), -np.ones(10, int)]
    model = DBNOutlierDetector((4,), rbm=RBM(n_iter=30), random_state=0).fit(X)
    assert 0.5 < model.score(rows, y) <= 1.0
    for wrong in (None, np.ones(70), np.r_[np.zeros(60), np.ones(10)]):
        with pytest.raises(ValueError, match="give 1 for rows like those fitted and -1 for outliers"):
            model.score(rows, wrong)


def test_a_grid_search_needs_no_scorer():
    """More epochs fit better, for an RBM and for a network."""
    fast = {"learning_rate": 0.3, "batch_size": 10}
    for model, name in (
        (RBM(6, **fast, random_state=0), "n_iter"),
        (DBN((6, 4), rbm=RBM(**fast), random_state=0), "rbm__n_iter"),
    ):
        search = GridSearchCV(model, {name: [0, 40]}, cv=KFold(2, shuffle=True, random_state=0)).fit(np.repeat(X[:6], 10, axis=0))
        assert search.best_params_ == {name: 40}
