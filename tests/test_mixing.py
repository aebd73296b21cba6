"""Autocorrelation times against processes whose own are known."""

import exact
import numpy as np
import pytest

from fastdbn import evaluate


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


def test_free_energy_by_default_and_errors():
    """Values are free energies of the chains; they begin at rows where these are given."""
    machine = exact.Machine(5, 4)
    rbm = exact.as_rbm(machine.W, machine.b, machine.c)
    found = evaluate.mixing(rbm, n_chains=3, n_steps=20, X=machine.V, random_state=0)
    assert np.isin(np.round(found.values, 4), np.round(machine.free_energy(machine.V), 4)).mean() > 0.9  # but for float32
    for options, match in (({"statistic": "energy"}, "statistic='energy'"), ({"burn_in": -1}, "burn_in=-1")):
        with pytest.raises(ValueError, match=match):
            evaluate.mixing(rbm, **options)
    for values in (np.zeros((0, 2)), [np.nan, 1], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="values"):
            evaluate.autocorrelation(values)
    with pytest.raises(ValueError, match="max_lag=3"):
        evaluate.autocorrelation([1.0, 2, 3], 3)
