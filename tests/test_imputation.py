"""Imputation and denoising: chains against exact conditional distributions, and the manners of both."""

import numpy as np
import pytest
from exact import Machine, bars_and_stripes, condition

from fastdbn import DBN, RBM
from fastdbn.units import softmax


def fitted_machine():
    """An RBM trained on bars and stripes, and the same as a machine to enumerate."""
    rbm = RBM(10, persistent=True, n_chains=100, n_iter=150, batch_size=14, learning_rate=0.1, dtype="float64", random_state=0)
    rbm.fit(np.repeat(bars_and_stripes(3), 10, axis=0))
    machine = Machine(9, 10)
    machine.W, machine.b, machine.c = rbm.components_.T, rbm.intercept_visible_, rbm.intercept_hidden_
    return rbm, machine.V, machine.p_v()


def small_stack():
    """A DBN of 6, 4 and 3 units with random weights, the states of its visible units, and their exact probabilities."""
    first, second = Machine(6, 4, seed=3, scale=0.8), Machine(4, 3, seed=4)
    dbn = DBN((4, 3), rbm=RBM(n_iter=0, visible="bernoulli"), dtype="float64", random_state=0).fit(first.V)
    for rbm, machine in zip(dbn.layers_, (first, second), strict=True):
        rbm.components_ = np.ascontiguousarray(machine.W.T)
        rbm.intercept_visible_, rbm.intercept_hidden_ = machine.b, machine.c
    down = first._conditional(second.V @ first.W.T + first.b, first.V)
    return dbn, first.V, second.p_v() @ down


@pytest.mark.parametrize("make", [fitted_machine, pytest.param(small_stack, marks=pytest.mark.slow)])
def test_imputation_against_exact_conditionals(make):
    """Chains fill in from p(missing | observed): every state's frequency, and the estimated means, within their errors."""
    model, V, p = make()
    n, draw = 2000, np.random.default_rng(1)
    for row in (V[0], V[len(V) // 3]):
        missing = draw.random(V.shape[1]) < 0.6
        exact = condition(p, V, row, missing)
        X = np.where(missing, np.nan, np.tile(row, (n, 1)))
        states = model.impute(X, n_steps=400, method="sample", random_state=2)
        found = (states[:, None] == V[None]).all(axis=2).mean(axis=0)
        assert (np.abs(found - exact) < 5 * np.sqrt(exact * (1 - exact) / n) + 1e-12).all()
        means = model.impute(X, n_steps=400, random_state=3)
        error = 5 * means.std(axis=0) / np.sqrt(n) + 1e-3
        assert (np.abs(means.mean(axis=0) - exact @ V) < error).all()
        assert exact.max() < 0.95


def test_denoising_of_one_step():
    """One mean-field pass is `reconstruct`; a sampled pass has the law of one Gibbs step."""
    machine = Machine(5, 4, seed=1)
    rbm = RBM(4, n_iter=0, dtype="float64", visible="bernoulli", random_state=0).fit(machine.V)
    rbm.components_ = np.ascontiguousarray(machine.W.T)
    rbm.intercept_visible_, rbm.intercept_hidden_ = machine.b, machine.c
    assert np.array_equal(rbm.denoise(machine.V), rbm.reconstruct(machine.V))
    n, v = 6000, 11
    states = rbm.denoise(np.tile(machine.V[v], (n, 1)), method="sample", random_state=0)
    found = (states[:, None] == machine.V[None]).all(axis=2).mean(axis=0)
    exact = machine.transition()[v]
    assert (np.abs(found - exact) < 5 * np.sqrt(exact * (1 - exact) / n)).all()
    dbn = DBN((4, 3), rbm=RBM(n_iter=2), random_state=0).fit(machine.V)
    assert np.allclose(dbn.denoise(machine.V), dbn.reconstruct(machine.V), atol=1e-6)


@pytest.mark.parametrize("method", ["mean", "sample", "mean-field"])
@pytest.mark.parametrize("model", [RBM(6, n_iter=3, random_state=0), DBN((6, 5), rbm=RBM(n_iter=3), random_state=0)])
def test_observed_values_stay(model, method):
    """Observed values come back as they were, missing ones finite and on the data's scale, by NaN as by mask."""
    Z = np.random.default_rng(0).normal(20, 3, (90, 7))
    model.fit(Z)
    mask = np.random.default_rng(1).random(Z.shape) < 0.3
    holed = np.where(mask, np.nan, Z)
    filled = model.impute(holed, n_steps=10, method=method, random_state=5)
    assert np.array_equal(filled[~mask], Z.astype(np.float32)[~mask])
    assert np.isfinite(filled).all()
    assert abs(filled[mask].mean() - 20) < 2
    assert np.array_equal(filled, model.impute(Z, mask, n_steps=10, method=method, random_state=5))
    assert np.array_equal(model.impute(Z, mask[0], 4, method, 5), model.impute(Z, np.tile(mask[0], (90, 1)), 4, method, 5))
    once, again = (model.impute(holed, n_steps=10, method=method) for _ in range(2))
    assert np.array_equal(once, again) == (method == "mean-field")


def test_imputation_knows_the_data(digits):
    """The lower half of a digit, filled in, is nearer to the truth than the mean digit is; whatever the threads."""
    X, _ = digits
    below = np.arange(64) >= 40
    rbm = RBM(64, n_iter=30, random_state=0).fit(X[:1500])
    filled = rbm.impute(X[1500:], below, n_steps=60, random_state=0)
    error, plain = (np.mean((guess - X[1500:, below]) ** 2) for guess in (filled[:, below], X[:1500, below].mean(axis=0)))
    assert error < 0.75 * plain
    rbm.set_params(n_jobs=1)
    assert np.array_equal(rbm.impute(X[1500:], below, n_steps=60, random_state=0), filled)


def test_softmax_groups_are_filled_in_whole():
    """A category whose code has a missing number is drawn as one of its codes."""
    codes = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(0, 3, (80, 2))].reshape(80, 6)
    rbm = RBM(5, visible=softmax(3), n_iter=5, random_state=0).fit(codes)
    holed = codes.copy()
    holed[:, 1] = np.nan
    filled = rbm.impute(holed, method="sample", random_state=0)
    assert np.array_equal(filled[:, :3].sum(axis=1), np.ones(80))
    assert np.array_equal(filled[:, 3:], codes[:, 3:])


def test_bad_arguments(binary):
    """Errors name the argument and say what to give."""
    X = binary(20, 6)
    rbm = RBM(4, n_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"mask of type float64 and shape \(20, 6\): give booleans"):
        rbm.impute(X, np.zeros((20, 6)))
    with pytest.raises(ValueError, match=r"mask of type bool and shape \(5,\)"):
        rbm.impute(X, np.zeros(5, bool))
    with pytest.raises(ValueError, match="method='median': give one of"):
        rbm.impute(X, method="median")
    with pytest.raises(ValueError, match="n_steps=0"):
        rbm.denoise(X, n_steps=0)
    with pytest.raises(ValueError, match="infinity"):
        rbm.impute(np.where(X > 0, np.inf, X))
