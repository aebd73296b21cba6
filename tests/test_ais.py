"""Annealed importance sampling, forward and reverse, against enumeration."""

import exact
import numpy as np
import pytest

from fastdbn import RBM, evaluate
from fastdbn.backends.cpu import backend
from fastdbn.evaluate.ais import Chains, base_biases, inverse_temperatures

PAIRS = [
    ("bernoulli", "bernoulli"),
    ("spin", "spin"),
    ("gaussian", "bernoulli"),
    ("bernoulli", "gaussian"),
    ("softmax:4", "bernoulli"),
    ("bernoulli", "softmax:5"),
    ("binomial:3", "spin"),
]


def machine(visible="bernoulli", hidden="bernoulli", scale=0.3, seed=0, sizes=(20, 10), **params):
    draw = np.random.default_rng(seed)
    nv, nh = sizes
    W, b, c = draw.normal(size=sizes) * scale, draw.normal(size=nv) * 0.5, draw.normal(size=nh) * 0.5
    return exact.as_rbm(W, b, c, visible, hidden, **params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_against_enumeration(visible, hidden, dtype):
    """100 chains of 1,000 steps are within 0.1 nat of log Z both ways, for every pair of units."""
    rbm = machine(visible, hidden, dtype=dtype)
    truth = evaluate.log_z(rbm)
    forward = evaluate.ais(rbm, n_steps=1000, schedule="linear", random_state=0)
    reverse = evaluate.reverse_ais(rbm, n_steps=1000, schedule="linear", random_state=0)
    assert abs(forward.log_z - truth) < 0.1
    assert abs(reverse.log_z - truth) < 0.1
    assert evaluate.gap(forward, reverse) == reverse.log_z - forward.log_z
    for found in (forward, reverse):
        assert found.is_bound
        assert found.burn_in == 0
        assert found.std_error < 0.1
        assert found.interval[0] < found.log_z < found.interval[1]
        assert 20 < found.ess <= 100
        assert found.log_weights.dtype == np.float64


def test_unbiased_and_on_either_side():
    """Few steps: the mean of Z over runs is right forward, that of 1 / Z in reverse; log Z is too low forward, too high in
    reverse."""
    rbm, runs = machine(scale=0.8, dtype="float64"), range(60)
    truth = evaluate.log_z(rbm)
    forward = np.array([evaluate.ais(rbm, 40, 12, random_state=s).log_z for s in runs]) - truth
    reverse = np.array([evaluate.reverse_ais(rbm, 40, 12, random_state=s).log_z for s in runs]) - truth

    def standard_error(x):
        return x.std(ddof=1) / np.sqrt(len(x))

    for errors in (np.exp(forward), np.exp(-reverse)):
        assert abs(errors.mean() - 1) < 4 * standard_error(errors)
    assert forward.mean() < -2 * standard_error(forward)
    assert reverse.mean() > 2 * standard_error(reverse)


def test_standard_error_is_that_of_repeated_runs():
    """The error bar of one run against the spread of many, and the interval at three of them."""
    rbm, runs = machine(scale=0.6), [evaluate.ais(machine(scale=0.6), 50, 60, random_state=s) for s in range(60)]
    spread = np.std([found.log_z for found in runs], ddof=1)
    assert 0.7 < np.mean([found.std_error for found in runs]) / spread < 1.4  # a standard deviation of 60 runs has 9 % error
    found, w = runs[0], np.exp(runs[0].log_weights - runs[0].log_weights.max())
    assert np.isclose(found.ess, w.sum() ** 2 / (w**2).sum())
    assert np.isclose(np.exp(found.interval[1] - found.log_z) - 1, 3 * found.std_error)
    assert np.isnan(evaluate.ais(rbm, 1, 5, random_state=0).std_error)


def test_the_published_schedule():
    """14,500 steps: 500 up to 0.5, 4,000 up to 0.9, 10,000 up to 1; other numbers in proportion; arrays as they are."""
    betas = evaluate.inverse_temperatures()
    assert len(betas) == 14_501
    assert np.allclose(betas[[0, 1, 500, 501, 4500, 4501, 14_500]], [0, 0.001, 0.5, 0.5001, 0.9, 0.90001, 1])
    assert np.allclose(evaluate.inverse_temperatures("sm2008", 145)[[0, 5, 45, 145]], [0, 0.5, 0.9, 1])
    assert np.allclose(evaluate.inverse_temperatures("linear", 4), [0, 0.25, 0.5, 0.75, 1])
    assert np.array_equal(evaluate.inverse_temperatures([0, 0.3, 1]), [0, 0.3, 1])
    for bad in ([0, 0.5], [0, 0.5, 0.5, 1], "cubic", [[0, 1]]):
        with pytest.raises(ValueError, match="schedule"):
            evaluate.inverse_temperatures(bad)
    with pytest.raises(ValueError, match="n_chains=0"):
        evaluate.ais(machine(), 0)


def test_base_of_the_data():
    """Means of training rows, smoothed, so that columns of one value stay finite; it is nearer to the model than none."""
    draw = np.random.default_rng(0)
    X = np.c_[np.zeros(400), np.ones(400), (draw.random((400, 10)) < 0.3)].astype(np.float32)
    rbm = RBM(6, n_iter=5, random_state=0).fit(X)
    p = 0.95 * X.mean(axis=0, dtype=float) + 0.025
    assert np.allclose(base_biases(rbm, X), np.log(p / (1 - p)))
    assert np.array_equal(base_biases(rbm), rbm.intercept_visible_)
    truth = evaluate.log_z(rbm)
    assert abs(evaluate.ais(rbm, n_steps=200, X=X, random_state=0).log_z - truth) < 0.1
    groups = np.eye(3)[draw.integers(0, 2, 50)]
    soft = base_biases(RBM(2, visible="softmax", n_iter=0).fit(groups), groups)
    assert np.allclose(np.exp(soft), 0.95 * groups.mean(axis=0) + 0.05 / 3)
    real = RBM(2, n_iter=0).fit(X * 5 - 1)
    assert np.allclose(base_biases(real, X * 5 - 1), 0, atol=1e-5)


def test_reverse_from_burn_in_is_no_bound():
    """Machines that cannot be enumerated start at rows and Gibbs steps, and say so."""
    rbm = machine(sizes=(25, 24))
    X = (np.random.default_rng(0).random((30, 25)) < 0.5).astype(np.float32)
    for options in ({}, {"X": X}, {"X": X * 0.5 + 0.2}):
        found = evaluate.reverse_ais(rbm, n_steps=500, random_state=0, **options)
        assert not found.is_bound
        assert found.burn_in == 1000
        assert abs(found.log_z - evaluate.ais(rbm, n_steps=500, random_state=0).log_z) < 0.1
    found = evaluate.reverse_ais(machine(), n_steps=500, burn_in=20, random_state=0)
    assert (found.is_bound, found.burn_in) == (False, 20)
    with pytest.raises(ValueError, match="burn_in=0"):
        evaluate.reverse_ais(machine(), burn_in=0)


def test_same_bits_at_any_number_of_threads(split_everything):
    """The weights of all chains, forward and in reverse."""
    results = []
    for threads in (1, 2, 3):
        rbm = machine(sizes=(130, 18), n_jobs=threads)
        found = [run(rbm, n_steps=30, random_state=5).log_weights for run in (evaluate.ais, evaluate.reverse_ais)]
        results.append(np.concatenate(found).tobytes())
    assert results.count(results[0]) == 3
    assert evaluate.ais(rbm, n_steps=30, random_state=6).log_weights.tobytes() not in results[0]


@pytest.mark.parametrize(
    ("visible", "hidden", "sizes", "n_chains", "dtype"),
    [
        ("bernoulli", "bernoulli", (130, 70), 3, "float32"),
        ("bernoulli", "bernoulli", (130, 70), 600, "float32"),
        ("gaussian", "bernoulli", (9, 10), 7, "float64"),
        ("softmax:4", "bernoulli", (8, 67), 40, "float32"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_one_call_is_the_operations(visible, hidden, sizes, n_chains, dtype, reverse, monkeypatch, split_everything):
    """All steps in compiled calls leave the log weights and the states of single operations, bit for bit."""
    monkeypatch.setattr(backend, "ANNEALED", 4)
    betas, found, composed, operations = inverse_temperatures("linear", 11), [], [], Chains._anneal
    monkeypatch.setattr(Chains, "_anneal", lambda *given: composed.append(True) or operations(*given))
    for fused in (True, False):
        rbm = machine(visible, hidden, 0.1, sizes=sizes, dtype=dtype, n_jobs=3)
        chains = Chains(rbm, np.linspace(-1, 1, sizes[0]), n_chains, seed=3)
        chains.start_at_base()
        if not fused:
            monkeypatch.setattr(backend.CPU, "anneal", lambda *_: None)
        found.append(chains.anneal(betas, reverse).tobytes() + chains.v.tobytes())
    assert found[0] == found[1]
    assert len(composed) == 1


def test_a_machine_without_z():
    """Gaussian units on both sides with weights above one have no normaliser: the error says so."""
    rbm = machine("gaussian", "gaussian", sizes=(4, 3))
    rbm.components_ = rbm.components_ * 100
    with pytest.raises(ValueError, match="that a gaussian-gaussian machine has no Z"), np.errstate(all="ignore"):
        evaluate.ais(rbm, n_steps=500, random_state=0)
