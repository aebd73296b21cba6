"""Autocorrelation times against processes whose own are known."""

import exact
import numpy as np
import pytest

from fastdbn import DBN, evaluate


def autoregression(rho, n_steps, n_chains, seed=0):
    """x_t = rho x_{t-1} + noise, begun at its own distribution: autocorrelation rho^t, time (1 + rho) / (1 - rho)."""
    draw = np.random.default_rng(seed)
    x = np.empty((n_steps, n_chains))
    x[0] = draw.normal(size=n_chains) / np.sqrt(1 - rho**2)
    for t in range(1, n_steps):
        x[t] = rho * x[t - 1] + draw.normal(size=n_chains)
    return x


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_of_an_autoregression(rho):
    """Its autocorrelation and time, within what 200 chains of 2,000 steps allow."""
    x = autoregression(rho, 2000, 200)
    time = (1 + rho) / (1 - rho)
    found = evaluate.autocorrelation(x, 30)
    assert np.allclose(found, rho ** np.arange(31), atol=5 * np.sqrt(time / x.size))
    assert abs(evaluate.integrated_time(x) / time - 1) < 0.05
    assert np.allclose(evaluate.autocorrelation(x[:, 0], 3)[0], 1)


def test_chains_that_stay_apart_never_mix():
    """Each chain in a region of its own: the deviations from the common mean do not decay."""
    x = np.random.default_rng(0).normal(size=(400, 6)) * 0.01 + np.arange(6)
    assert evaluate.autocorrelation(x)[-1] > 0.99
    assert evaluate.integrated_time(x) == np.inf
    assert evaluate.integrated_time(np.ones((10, 2))) == np.inf


def test_of_a_machine():
    """The measured autocorrelation of a visible unit is that of powers of the exact transition matrix."""
    machine = exact.Machine(5, 4, seed=1, scale=2.0)
    rbm = exact.as_rbm(machine.W, machine.b, machine.c)
    found = evaluate.mixing(rbm, lambda v: v[:, 0], 200, 1000, burn_in=100, random_state=0)
    p, T, f = machine.p_v(), machine.transition(), machine.V[:, 0]
    f = f - p @ f
    expected = [p @ (f * (np.linalg.matrix_power(T, t) @ f)) for t in range(8)]
    assert np.allclose(found.autocorrelation[:8], np.array(expected) / expected[0], atol=0.03)
    assert found.values.shape == (1000, 200)
    assert 1 < found.time == evaluate.integrated_time(found.values)


def test_methods():
    """Chains that stay in the mode in which they began are never independent; with exchanges they are, and that is measured."""
    W = np.full((6, 4), 2.5)
    rbm = exact.as_rbm(W, -W.sum(axis=1) / 2, -W.sum(axis=0) / 2)
    modes, some = np.repeat([[0.0], [1.0]], 6, axis=1), {"n_chains": 20, "n_steps": 400, "random_state": 0}
    stuck, found = (evaluate.mixing(rbm, X=modes, method=method, **some) for method in ("gibbs", "tempering"))
    assert stuck.time == stuck.seconds == np.inf and stuck.acceptance is None and stuck.trips is None
    assert 0 < found.seconds < np.inf and 0.2 < found.acceptance.min() < found.acceptance.max() < 0.9
    assert 400 * 20 / found.time / 4 < found.trips
    network = DBN.stack([rbm, exact.as_rbm(np.eye(4), np.zeros(4), np.zeros(4))])
    for layer, width in ((0, 6), (-1, 4)):
        found = evaluate.mixing(network, lambda v: v.sum(axis=1) + 100 * v.shape[1], 3, 9, X=modes, method="stacked", layer=layer)
        assert (found.values >= 100 * width).all() and found.values.shape == (9, 3)


def test_slowest_by_default_and_errors():
    """Of free energies and leading directions the slowest counts: here the direction in which all units are the same."""
    W = np.full((6, 4), 1.6)
    rbm = exact.as_rbm(W, -W.sum(axis=1) / 2, -W.sum(axis=0) / 2)
    some = {"n_chains": 5, "n_steps": 300, "X": np.ones((1, 6)), "random_state": 0}
    found = evaluate.mixing(rbm, **some)
    assert np.allclose(np.abs(found.values[0]), 6**0.5, atol=0.9)
    energies = evaluate.mixing(rbm, rbm.free_energy, **some)
    assert energies.time < found.time
    for options, match in (
        ({"statistic": "energy"}, "statistic='energy'"),
        ({"statistic": np.mean}, "statistic made "),
        ({"statistic": lambda v: ["a"] * len(v)}, "statistic made "),
        ({"burn_in": -1}, "burn_in=-1"),
    ):
        with pytest.raises(ValueError, match=match):
            evaluate.mixing(rbm, **options)
    for values in (np.zeros((0, 2)), [np.nan, 1], np.zeros((2, 2, 2)), ["a", "b"]):
        with pytest.raises(ValueError, match=r"values=.*: give finite numbers"):
            evaluate.autocorrelation(values)
    with pytest.raises(ValueError, match="max_lag=3"):
        evaluate.autocorrelation([1.0, 2, 3], 3)
