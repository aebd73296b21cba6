"""The outlier detector: its threshold, and what it finds."""

import numpy as np
import pytest

from fastdbn import DBN, DBNOutlierDetector


@pytest.fixture
def shuffled_digits(digits):
    """Ones, and after them twenty with their pixels shuffled."""
    X, y = digits
    ones = X[y == 1]
    return np.r_[ones, np.random.default_rng(0).permuted(ones[:20], axis=1)], len(ones)


def test_contamination_sets_the_threshold(shuffled_digits):
    """The stated share of the rows is found; the interface's outputs agree with each other and with the DBN beneath."""
    X, n = shuffled_digits
    model = DBNOutlierDetector((32, 16), n_iter=60, contamination=20 / len(X), random_state=0)
    found = model.fit_predict(X)
    assert (found == -1).sum() == 20
    assert (found[n:] == -1).mean() >= 0.8
    assert np.array_equal(model.predict(X), found)
    scores = model.score_samples(X)
    assert np.array_equal(model.decision_function(X), scores - model.offset_)
    assert np.array_equal(scores, DBN((32, 16), n_iter=60, random_state=0).fit(X).score_samples(X))


def test_automatic_threshold_is_the_lower_fence(shuffled_digits):
    """Without a share the threshold comes from the quartiles: few ordinary rows fall under it, most shuffled ones do."""
    X, n = shuffled_digits
    model = DBNOutlierDetector((32,), n_iter=60, random_state=0).fit(X[:n])
    low, high = np.quantile(model.score_samples(X[:n]), (0.25, 0.75))
    assert model.offset_ == low - 1.5 * (high - low)
    assert (model.predict(X[:n]) == -1).mean() < 0.06
    assert (model.predict(X[n:]) == -1).mean() > 0.8


@pytest.mark.parametrize("share", ["half", 0, 0.6, -0.1, None])
def test_bad_contamination(share, binary):
    """The error names the argument before anything is trained."""
    with pytest.raises(ValueError, match="contamination="):
        DBNOutlierDetector((4,), contamination=share).fit(binary(20, 5))
