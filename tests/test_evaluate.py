"""Likelihoods against enumeration."""

import exact
import naive
import numpy as np
import pytest
from test_units import SPIN

from fastdbn import RBM, evaluate
from fastdbn.units import softmax

SOFTMAX = softmax(3)
KINDS = {
    "bernoulli": ("bernoulli", "bernoulli"),
    "spin": (SPIN, SPIN),
    "softmax": (SOFTMAX, "bernoulli"),
    "softmax hidden": ("bernoulli", SOFTMAX),
    "gaussian hidden": ("bernoulli", "gaussian"),
}


def states_of(unit, n):
    """All states of a layer."""
    if unit is SPIN:
        return naive.spins(n)
    if unit is SOFTMAX:
        groups = [naive.one_hots(3)] * (n // 3)
        return np.array([np.concatenate(rows) for rows in naive.itertools.product(*groups)])
    return naive.bits(n)


class Small:
    """A 6x3 machine of any pair of units, its visible states and their exact log-probabilities."""

    def __init__(self, kind, seed=0, scale=0.7, dtype="float64"):
        self.visible, self.hidden = KINDS[kind]
        draw = np.random.default_rng(seed)
        W, b, c = draw.normal(size=(6, 3)) * scale, draw.normal(size=6), draw.normal(size=3)
        self.V = states_of(self.visible, 6)
        if self.hidden == "gaussian":
            scores = self.V @ b + 0.5 * ((self.V @ W + c) ** 2).sum(axis=1)
        else:
            scores = np.logaddexp.reduce(exact.log_joint(self.V, states_of(self.hidden, 3), W, b, c), axis=1)
        self.log_z = np.logaddexp.reduce(scores)
        self.log_p = scores - self.log_z
        self.rbm = exact.as_rbm(W, b, c, self.visible, self.hidden, dtype=dtype)

    def given_rest(self):
        """(states, units or groups) log p(v_i | v_-i), by summing probabilities of the states that agree elsewhere."""
        size = 3 if self.visible is SOFTMAX else 1
        out = np.empty((len(self.V), 6 // size))
        for r, v in enumerate(self.V):
            for g in range(6 // size):
                rest = np.delete(np.arange(6), np.s_[g * size : (g + 1) * size])
                agree = (self.V[:, rest] == v[rest]).all(axis=1)
                out[r, g] = self.log_p[r] - np.logaddexp.reduce(self.log_p[agree])
        return out


@pytest.mark.parametrize("kind", KINDS)
def test_pseudo_likelihood(kind):
    """Exactly log p(v_i | v_-i) summed over units or groups; the stochastic form takes each of them in turn."""
    small = Small(kind)
    terms = small.given_rest()
    assert np.allclose(evaluate.pseudo_log_likelihood(small.rbm, small.V), terms.sum(axis=1), atol=1e-10)
    few = [evaluate.pseudo_log_likelihood(small.rbm, small.V, exact=False, random_state=s) for s in range(40)]
    count = terms.shape[1]
    nearest = np.abs(np.array(few)[:, :, None] - count * terms).min(axis=2)
    assert nearest.max() < 1e-9
    standard_error = count * terms.std(axis=1) / np.sqrt(len(few))
    assert (np.abs(np.mean(few, axis=0) - terms.sum(axis=1)) < 4.5 * standard_error + 1e-9).all()
    again = evaluate.pseudo_log_likelihood(small.rbm, small.V, exact=False, random_state=7)
    assert np.array_equal(few[7], again)


def test_pseudo_likelihood_refuses():
    """Units without a few states, and values between those of two-valued units, name the remedy."""
    X = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ValueError, match=r"visible='gaussian'.*two values"):
        evaluate.pseudo_log_likelihood(RBM(2, n_iter=0).fit(X), X)
    X = np.array([[0.0, 1.0], [1.0, 0.25]])
    with pytest.raises(ValueError, match=r"0.25 in row 1, column 1.*binarise"):
        evaluate.pseudo_log_likelihood(RBM(2, n_iter=0).fit(X), X)
    evaluate.pseudo_log_likelihood(RBM(2, n_iter=0, binarize=0.5).fit(X), X)


def test_free_energy_gap():
    """Positive where validation rows are less probable."""
    small = Small("bernoulli")
    likely, unlikely = small.V[small.log_p.argmax()][None], small.V[small.log_p.argmin()][None]
    assert np.isclose(evaluate.free_energy_gap(small.rbm, likely, unlikely), np.ptp(small.log_p))
