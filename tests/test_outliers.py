"""The outlier detector: its threshold, and what it finds."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

import fastdbn
from fastdbn import DBN, RBM, DBNOutlierDetector
from fastdbn.estimators.outliers import quantiles
from fastdbn.inputs.data import Scaling
from fastdbn.inputs.extent import extent
from fastdbn.units import get_unit


@pytest.fixture
def shuffled_digits(digits):
    """Ones, and after them twenty with their pixels shuffled."""
    X, y = digits
    ones = X[y == 1]
    return np.r_[ones, np.random.default_rng(0).permuted(ones[:20], axis=1)], len(ones)


def test_contamination_sets_the_threshold(shuffled_digits):
    """The stated share of the rows is found; the interface's outputs agree with each other and with the DBN beneath."""
    X, n = shuffled_digits
    model = DBNOutlierDetector((32, 16), rbm=RBM(n_iter=60), contamination=20 / len(X), random_state=0)
    found = model.fit_predict(X)
    assert (found == -1).sum() == 20
    assert (found[n:] == -1).mean() >= 0.8
    assert np.array_equal(model.predict(X), found)
    scores = model.score_samples(X)
    assert np.array_equal(model.decision_function(X), scores - model.offset_)
    assert np.array_equal(scores, DBN((32, 16), rbm=RBM(n_iter=60), random_state=0).fit(X).score_samples(X))


def test_automatic_threshold_is_the_lower_fence(shuffled_digits):
    """Without a share the threshold comes from the quartiles: few ordinary rows fall under it, most shuffled ones do."""
    X, n = shuffled_digits
    model = DBNOutlierDetector((32,), rbm=RBM(n_iter=60), random_state=0).fit(X[:n])
    low, high = np.quantile(model.score_samples(X[:n]), (0.25, 0.75))
    assert model.offset_ == low - 1.5 * (high - low)
    assert (model.predict(X[:n]) == -1).mean() < 0.06
    assert (model.predict(X[n:]) == -1).mean() > 0.8


@pytest.mark.parametrize("share", ["half", 0, 0.6, -0.1, None])
def test_bad_contamination(share, binary):
    """The error names the argument before anything is trained."""
    with pytest.raises(ValueError, match="contamination="):
        DBNOutlierDetector((4,), contamination=share).fit(binary(20, 5))


def test_rows_far_away_are_outliers(tmp_path):
    """What lies beyond the range of the fit data is an outlier, the more the further, with finite scores; a file keeps that."""
    X = np.random.default_rng(0).random((200, 3))
    model = DBNOutlierDetector((8,), random_state=0).fit(X)
    far = np.array([[2, 2, 2], [1e6] * 3, [-1e300] * 3, [1.7e308] * 3, [0.5, 0.5, 2.1]])
    assert (model.predict(far) == -1).all()
    assert np.isfinite(model.score_samples(far)).all()
    model.save(tmp_path / "m")
    assert np.array_equal(fastdbn.load(tmp_path / "m").score_samples(far), model.score_samples(far))
    rounding = np.clip(X, 0.001, None) * (1 + 1e-7)
    assert np.allclose(model.score_samples(rounding), model.score_samples(X), atol=1e-3)


DISTRIBUTIONS = {
    "uniform": lambda draw, n: draw.random((n, 4)),
    "Gaussian": lambda draw, n: draw.normal(5.0, 3.0, (n, 4)),
    "heavy tails": lambda draw, n: draw.standard_t(2, (n, 4)),
    "binary": lambda draw, n: (draw.random((n, 12)) < np.r_[np.full(10, 0.5), 0.004, 0.996]).astype(np.float32),
}


@pytest.fixture(scope="module", params=DISTRIBUTIONS)
def detector(request):
    """(a detector of 10 % outliers, what draws from the distribution of its 500 rows)."""

    def draw(seed, n):
        return DISTRIBUTIONS[request.param](np.random.default_rng(seed), n)

    X = draw(0, 500)
    if request.param == "binary":
        X[:, 10:] = 0, 1
    return DBNOutlierDetector((8,), contamination=0.1, random_state=0).fit(X), draw


def test_fresh_rows(detector):
    """Fresh rows are flagged no more often than the stated share, but for the sampling error of 500 and 2000 rows."""
    model, draw = detector
    error = np.sqrt(0.1 * 0.9 * (1 / 500 + 1 / 2000))
    assert (model.predict(draw(1, 2000)) == -1).mean() < 0.1 + 3 * error


def test_score_falls_along_rays(detector):
    """Once all columns are beyond the fitted range the score falls with the distance, in any direction."""
    model, _ = detector
    extent_ = model.extent_
    middle = (extent_.low + extent_.high) / 2
    for direction in np.random.default_rng(2).choice([-1.0, 1.0], (6, len(middle))):
        distance = np.r_[0.5, 0.51, 0.6, 1, 2, 10, 1e3, 1e9, 1e150]
        scores = model.score_samples(middle + distance[:, None] * direction * extent_.width)
        assert (np.diff(scores) <= 0).all()
        assert (scores[distance >= 1.5] < model.offset_).all()


def test_cost_of_rows_beyond():
    """The cost is e^2, then 2 e - 1, in widths of the range; of CSR rows too, with zeros that are beyond; X is left alone."""
    X = np.array([[1.0, 0, 0, 5], [3, 0, 2, 5]])
    found = extent(get_unit("gaussian"), Scaling(), X)
    assert found.width.tolist() == [2, 2, 2, 2]
    rows = np.array([[2.0, 0, 1, 5], [4, 0, 0, 5], [3, 4, 0, 5], [1, 0, 2, 2], [0, 0, 0, 0]])
    inside, cost = found.split(rows)
    assert np.allclose(cost, [0, 0.25, 3, 2, 0.25 + 4])
    assert np.array_equal(inside, np.clip(rows, found.low, found.high))
    same, cost_of_csr = found.split(sparse.csr_matrix(rows))
    assert np.array_equal(cost_of_csr, cost)
    assert np.array_equal(same, inside)
    binary = extent(get_unit("bernoulli"), Scaling(), np.array([[0.0, 1, 0.5], [0, 1, 0.5]]))
    assert (binary.low.tolist(), binary.high.tolist()) == ([0, 0, 0.5], [1, 1, 0.5])
    joined = found.joined(extent(get_unit("gaussian"), Scaling(), X + 1))
    assert (joined.low.tolist(), joined.high.tolist(), joined.width.tolist()) == ([1, 0, 0, 5], [4, 1, 3, 6], [3, 1, 3, 1])


def test_weights_of_rows(composed):
    """Equal ones are none; rows of weight zero set neither range nor threshold; others count as repeated rows."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = DBNOutlierDetector((4,), rbm=RBM(n_iter=1), contamination=0.2, random_state=0)
    assert clone(model).fit(X, sample_weight=np.full(60, 2.0)).offset_ == clone(model).fit(X).offset_
    weights = np.arange(60) % 3 / 1.0
    a, b = (clone(model).fit(rows, sample_weight=weights) for rows in (X, np.where(weights[:, None] > 0, X, 100.0)))
    for detector in (a, b):
        detector.up_down(X if detector is a else np.where(weights[:, None] > 0, X, 50.0), 1, sample_weight=weights)
    assert np.isclose(a.offset_, b.offset_, rtol=1e-5) and np.allclose(a.extent_.high, b.extent_.high)
    share = np.average(a.predict(X) < 0, weights=weights)
    assert abs(share - 0.2) < 2 / 60
    x, times = np.random.default_rng(1).normal(size=200), np.arange(200) % 4
    assert np.allclose(quantiles(x, (0.25, 0.7), times), np.quantile(np.repeat(x, times), (0.25, 0.7)), atol=0.05)


def test_a_second_fit_forgets_the_first():
    """The range, the threshold and the scores of a fit are those of its own rows; `partial_fit` adds to the range."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = DBNOutlierDetector((4,), rbm=RBM(n_iter=1), random_state=0).fit(100 * X).fit(X)
    fresh = DBNOutlierDetector((4,), rbm=RBM(n_iter=1), random_state=0).fit(X)
    assert np.array_equal(model.extent_.width, fresh.extent_.width)
    assert np.array_equal(model.score_samples(2 * X), fresh.score_samples(2 * X))
    assert np.allclose(model.partial_fit(2 * X).extent_.width, 2 * fresh.extent_.width)
