"""The chains of the model's phase: fast weights and tempering against exact laws, and what they report."""

import naive
import numpy as np
import pytest
from exact import Machine
from runs import gradient, persistent_run, phases

from fastdbn import RBM, load
from fastdbn.training.options.fast_weights import FastWeights
from fastdbn.training.options.tempering import Tempering

BETAS = (1.0, 0.6, 0.0)


def tempered(machine, beta):
    """The machine at an inverse temperature."""
    cooled = Machine(*machine.W.shape)
    cooled.W, cooled.b, cooled.c = beta * machine.W, beta * machine.b, beta * machine.c
    return cooled


def draw_hidden(machine, v, draw):
    return (draw.random((len(v), len(machine.c))) < machine.hidden_mean(v)).astype(float)


def test_tempered_gradient_at_equilibrium_is_the_exact_gradient():
    """Chains that start exactly at p_beta(v, h): the mean of the gradient is that of the log-likelihood, within 5 errors."""
    machine, n, found = Machine(6, 4, seed=2), 400, []
    data = machine.V[[1, 2, 3, 30, 62]]
    for seed in range(120):
        draw, parts = np.random.default_rng(seed), []
        for beta in BETAS:
            cooled = tempered(machine, beta)
            parts.append(draw_hidden(cooled, cooled.draw(n, seed=1000 + seed), draw))
        tempering = Tempering(BETAS)
        run = persistent_run(machine, data, np.concatenate(parts), seed, [tempering], n_chains=n)
        found.append([gradient(run, step) for step in range(3)][-1])
        assert (tempering.swaps[1] == 3 * n).all()
        assert (tempering.swaps[0] > 0).all()
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    exact = np.concatenate([np.ravel(x) for x in machine.gradient(data)])
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * error + 1e-12).all()
    assert np.abs(exact).max() > 20 * error.max()


def two_modes():
    """A machine of two far modes of nearly the same weight: all on, and all off."""
    machine = Machine(8, 4)
    machine.W = np.full((8, 4), 3.0)
    machine.b, machine.c = np.full(8, -6.0), np.full(4, -12.0)
    return machine


@pytest.mark.parametrize("betas", [None, (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)])
def test_tempering_crosses_between_modes(betas):
    """Chains that all start in one of two modes reach the other's exact share by tempering, and stay without."""
    machine, n, steps = two_modes(), 300, 60
    share = machine.p_v()[machine.V.sum(axis=1) > 4].sum()
    assert 0.4 < share < 0.6
    states = np.ones((n * len(betas or (1,)), 4))
    options = [] if betas is None else [Tempering(betas)]
    run = persistent_run(machine, machine.V[:4], states, 1, options, n_chains=n)
    for step in range(steps):
        side = phases(run, step=step)[1]
    on = (side.v.sum(axis=1) > 4).mean()
    assert len(side.v) == n
    if betas:
        assert abs(on - share) < 5 * np.sqrt(share * (1 - share) / n)
    else:
        assert on > 0.95


def test_swap_rate():
    """Close temperatures swap nearly always, far ones seldom; the worst pair counts, and the count begins anew."""
    machine, rates = two_modes(), []
    for betas in ((1.0, 0.999), (1.0, 0.999, 0.0)):
        tempering = Tempering(betas)
        run = persistent_run(machine, machine.V[:4], np.ones((100 * len(betas), 4)), 1, [tempering], n_chains=100)
        for step in range(20):
            phases(run, step=step)
        rates.append(tempering.metrics()["swap_rate"])
        assert tempering.metrics()["swap_rate"] == 0
    assert rates[0] > 0.98
    assert rates[1] < 0.5


def test_fast_weights_move_and_forget():
    """Fast weights keep 19 of 20 parts and add their rate times the gradient; chains run at their sum with the weights."""
    machine, draw = Machine(6, 4, seed=5), np.random.default_rng(0)
    data, states = machine.V[[1, 9, 33]], draw_hidden(machine, machine.draw(7, seed=1), draw)
    fast = [draw.normal(size=x.shape) for x in (machine.W, machine.b, machine.c)]
    option = FastWeights(0.2)
    run = persistent_run(machine, data, states, 3, [option], extras=dict(zip(option.keeps, fast, strict=True)))
    other = Machine(6, 4)
    other.W, other.b, other.c = (x + f for x, f in zip((machine.W, machine.b, machine.c), fast, strict=True))
    v = phases(persistent_run(other, data, states, 3))[1].v  # chains at the sum, with the same noise
    h0 = machine.hidden_mean(data)
    expected = naive.statistics(data, h0, v, machine.hidden_mean(v), 1 / 3, 1 / 7)
    run.begin_epoch()
    run.steps(np.arange(3, dtype=np.uint32))
    for x, f, g, p, t in zip(
        option.arrays, fast, expected, (machine.W, machine.b, machine.c), run.chain_machine.params, strict=True
    ):
        np.testing.assert_allclose(x, 0.95 * f + 0.2 * g, rtol=0, atol=1e-12)
        np.testing.assert_allclose(t, p + 0.1 * g + 0.95 * f + 0.2 * g, rtol=0, atol=1e-12)


def binary(n=60, width=9, seed=0):
    return (np.random.default_rng(seed).random((n, width)) < 0.4).astype(np.float32)


def everything(rbm):
    """All that a fit leaves, as bytes."""
    parts = rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_, *rbm._velocity, rbm._chains, *rbm._extras.values()
    return b"".join(np.ascontiguousarray(x).tobytes() for x in parts if x is not None)


def test_fast_weights_without_a_rate_change_nothing():
    X, options = binary(), {"persistent": True, "n_iter": 3, "random_state": 0, "n_chains": 13, "centering": None}
    plain, fast = RBM(5, **options).fit(X), RBM(5, fast_learning_rate=0.0, **options).fit(X)
    assert fast.components_.tobytes() == plain.components_.tobytes()
    assert fast._chains.tobytes() == plain._chains.tobytes()
    assert not any(x.any() for x in fast._extras.values())


OPTIONS = {
    "fast": {"fast_learning_rate": 0.1, "centering": "data"},
    "tempered": {"temperatures": 4, "k": 2},
    "both": {"temperatures": [1.0, 0.5], "fast_learning_rate": 0.1},
    "trajectory": {"trajectory": 0.8},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_going_on(name, visible, tmp_path, request):
    """Two epochs and two more are four, also after a file; the history has a swap rate where there are temperatures."""
    options = {"persistent": True, "n_chains": 11, "learning_rate": 0.005, "random_state": 0, "visible": visible} | OPTIONS[name]
    if visible == "gaussian":  # whole minibatches would be compiled for these units and fast weights
        request.getfixturevalue("composed")
    X = binary()
    whole = RBM(5, n_iter=4, **options).fit(X)
    half = RBM(5, n_iter=2, warm_start=True, **options).fit(X)
    half.save(tmp_path / "half")
    assert everything(half.fit(X)) == everything(load(tmp_path / "half").fit(X)) == everything(whole)
    rates = whole.history_["swap_rate"]
    assert rates.shape == (4,)
    assert (np.isnan(rates).all(), len(whole._chains)) == (
        name == "fast",
        11 * {"tempered": 4, "both": 2}.get(name, 1),
    )
    if name != "fast":
        assert ((rates >= 0) & (rates <= 1)).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fast_learning_rate": 0.1}, "fast_learning_rate=0.1 is about chains that go on: give persistent=True"),
        ({"temperatures": 3}, "temperatures=3 is about chains that go on"),
        ({"fast_learning_rate": -1, "persistent": True}, "fast_learning_rate=-1"),
        ({"temperatures": 1, "persistent": True}, "temperatures=1: give an integer from 2 to"),
        ({"temperatures": True, "persistent": True}, "temperatures=True"),
        ({"temperatures": [1.0], "persistent": True}, r"temperatures=\[1.0\]"),
        ({"temperatures": [0.9, 0.5], "persistent": True}, "fall from 1"),
        ({"temperatures": [1.0, 0.5, 0.5], "persistent": True}, "fall from 1"),
        ({"temperatures": [1.0, -0.5], "persistent": True}, "no less than 0"),
        ({"temperatures": [1.0, np.nan], "persistent": True}, "temperatures="),
    ],
    ids=str,
)
def test_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RBM(3, **options).fit(binary())
