"""BernoulliRBM in the place of scikit-learn's."""

import re

import numpy as np
import pytest
import sklearn.neural_network as sk
from scipy import sparse

from fastdbn import BernoulliRBM


def small(**options):
    return BernoulliRBM(**({"n_components": 8, "n_iter": 3, "random_state": 0} | options))


def test_parameters_are_scikit_learns():
    """The same parameters with the same defaults, and n_jobs and device."""
    ours, theirs = BernoulliRBM().get_params(), sk.BernoulliRBM().get_params()
    assert ours.pop("n_jobs") is None
    assert ours.pop("device") == "cpu"
    assert ours == theirs


def test_attributes(binary):
    """The same fitted attributes with the same shapes, types included."""
    X = binary(35, 6).astype(np.float64)
    ours, theirs = small().fit(X), sk.BernoulliRBM(8, n_iter=3, random_state=0).fit(X)
    for name in ("components_", "intercept_hidden_", "intercept_visible_", "h_samples_", "n_features_in_"):
        a, b = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        assert a.shape == b.shape
        assert a.dtype == b.dtype
    assert set(np.unique(ours.h_samples_)) <= {0.0, 1.0}
    assert ours.gibbs(X).dtype == theirs.gibbs(X).dtype == bool
    assert ours.score_samples(X).shape == theirs.score_samples(X).shape


def test_data_and_types(binary):
    """Sparse input fits as dense does, the type of the input is kept, values outside of [0, 1] are taken as there."""
    X = binary(35, 6)
    dense, csr = small().fit(X), small().fit(sparse.csr_matrix(X))
    assert dense.components_.tobytes() == csr.components_.tobytes()
    assert np.allclose(dense.score_samples(X), csr.score_samples(sparse.csr_matrix(X)))
    assert dense.transform(X).dtype == np.float32
    assert small().fit(X.astype(np.float64)).transform(X.astype(np.float64)).dtype == np.float64
    small().fit(X * 3 - 1)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("scale", [np.float32(1e30), np.float32(-1e30), np.float64(1e150)])
def test_rows_whose_energies_would_overflow_are_refused(binary, scale, form):
    X = binary(35, 6)
    for use in (small().fit, small().fit(X).score_samples):
        with pytest.raises(ValueError, match=r"X has .* in row \d+, column \d, .*: scale X into"):
            use(form(X * scale))


def test_precisions_draw_the_same_samples(binary):
    """Chains in float32 and float64 hold the same states, so fits agree to rounding."""
    X = binary(200, 12)
    single, double = small().fit(X), small().fit(X.astype(np.float64))
    assert np.array_equal(single.h_samples_, double.h_samples_)
    assert np.allclose(single.components_, double.components_, rtol=1e-3, atol=1e-5)


def test_scores_do_not_depend_on_neighbours(binary):
    """Order and subsets of rows leave each row's score as it is."""
    X = binary(60, 9).astype(np.float64)
    rbm = small().fit(X)
    scores = rbm.score_samples(X)
    assert np.allclose(rbm.score_samples(X[::-1]), scores[::-1], rtol=1e-12)
    assert np.allclose([rbm.score_samples(row[None])[0] for row in X], scores, rtol=1e-12)


def test_partial_fit_goes_on(binary):
    """Passes of partial_fit are the epochs of fit."""
    X = binary(50, 6)
    whole, parts = small().fit(X), small()
    for _ in range(3):
        parts.partial_fit(X)
    assert whole.components_.tobytes() == parts.components_.tobytes()
    assert whole.h_samples_.tobytes() == parts.h_samples_.tobytes()


def test_as_good_as_scikit_learns(digits):
    """On digits, the exact pseudo-likelihood after the same epochs is not worse; the mean over seeds of both."""
    X = (digits[0][:1000] > 0.5).astype(np.float64)

    def pseudo_likelihood(rbm):
        def free_energy(v):
            return -v @ rbm.intercept_visible_ - np.logaddexp(0, v @ rbm.components_.T + rbm.intercept_hidden_).sum(axis=1)

        part, total = X[:200], 0.0
        for j in range(X.shape[1]):
            flipped = part.copy()
            flipped[:, j] = 1 - flipped[:, j]
            total -= np.logaddexp(0, free_energy(part) - free_energy(flipped)).mean()
        return total

    options = {"n_components": 32, "n_iter": 15, "learning_rate": 0.05}
    ours = [pseudo_likelihood(BernoulliRBM(random_state=s, **options).fit(X)) for s in range(4)]
    theirs = [pseudo_likelihood(sk.BernoulliRBM(random_state=s, **options).fit(X)) for s in range(4)]
    noise = np.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / 4)
    assert np.mean(ours) > np.mean(theirs) - 5 * noise - 0.1
    p = X.mean(axis=0).clip(1e-6, 1 - 1e-6)
    assert np.mean(ours) > (p * np.log(p) + (1 - p) * np.log(1 - p)).sum() + 2  # that of independent pixels


def test_unfitted():
    """Use before fit is scikit-learn's NotFittedError."""
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        small().transform(np.zeros((2, 3)))


def test_weights_of_rows():
    """Equal ones are none, and nothing is learned from rows of weight zero, in fits and passes."""
    X, weights = (np.random.default_rng(0).random((30, 5)) < 0.4).astype(np.float64), np.arange(30) % 2 / 1.0
    others = np.where(weights[:, None] > 0, X, 1 - X)
    plain, equal = (small().fit(X, sample_weight=weight) for weight in (None, np.full(30, 3.0)))
    assert np.allclose(plain.components_, equal.components_, atol=1e-12)
    for train in (BernoulliRBM.fit, BernoulliRBM.partial_fit):
        one, other = (train(small(), rows, sample_weight=weights) for rows in (X, others))
        assert np.allclose(one.components_, other.components_, atol=1e-12)
        assert np.abs(one.components_ - train(small(), X).components_).max() > 1e-3


def test_verbose_prints_the_lines_of_scikit_learn(binary, capsys):
    """The same lines, on stdout, after each epoch of `fit` and not of `partial_fit`; the fit has the bits of a silent one."""
    X = binary(40, 6)
    lines = []
    for kind in (BernoulliRBM, sk.BernoulliRBM):
        loud = kind(4, n_iter=3, verbose=True, random_state=0).fit(X)
        out, err = capsys.readouterr()
        assert not err
        lines.append(re.sub(r"-?\d+\.\d+", "0", out))
        loud.partial_fit(X)
        assert capsys.readouterr() == ("", "")
    assert lines[0] == lines[1]
    assert lines[0].count("\n") == 3
    silent = BernoulliRBM(4, n_iter=3, random_state=0).fit(X)
    assert np.array_equal(silent.components_, BernoulliRBM(4, n_iter=3, verbose=True, random_state=0).fit(X).components_)
