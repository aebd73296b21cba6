"""The law of every unit type, and a new type that needs no change elsewhere."""

import naive
import numpy as np
import pytest

from fastdbn import RBM, Unit, model
from fastdbn.backends import Params, Weights, get_backend
from fastdbn.optim import step_hyper
from fastdbn.scalar import ONE, softplus, tanh
from fastdbn.units import UNITS, get_unit

SPIN = Unit(
    name="spin",
    mean=lambda s: tanh(s),
    draw=lambda s, mean, noise: ONE if noise + noise - ONE < mean else -ONE,
    cgf=lambda s: softplus(s + s) - s,
    base=lambda x: x - x,
    slope=lambda mean: ONE - mean * mean,
    link=np.arctanh,
    support=(-1.0, 1.0),
    low=-1.0,
    high=1.0,
)
ALL = {**UNITS, "spin": SPIN}
EXACT = [name for name, unit in ALL.items() if unit.exact]
WIDTH = 3


def means(unit, s, dtype="float64"):
    """Unit means of fields, through the backend."""
    backend = get_backend(1, dtype)
    out = backend.array(np.asarray(s, float))
    backend.activate(unit, backend.zeros(out.shape[1]), out)
    return out


def cgf(unit, s):
    """Row sums of the log normaliser."""
    backend, out = get_backend(1, "float64"), np.empty(len(s))
    backend.cgf(unit, backend.zeros(s.shape[1]), backend.array(s), out)
    return out


def support(unit, n):
    """All states of n units, or None where they are not countable."""
    if unit.support == "one-of":
        return naive.one_hots(n)
    return {(0.0, 1.0): naive.bits, (-1.0, 1.0): naive.spins}.get(unit.support, lambda n: None)(n)


@pytest.mark.parametrize("name", EXACT)
def test_mean_is_the_derivative_of_cgf(name):
    """mean = cgf', by central differences."""
    unit, s = ALL[name], np.random.default_rng(0).normal(size=(50, WIDTH)) * 2
    step, mean = 1e-5, means(ALL[name], s)
    for j in range(WIDTH):
        shift = np.eye(WIDTH)[j] * step
        assert np.allclose((cgf(unit, s + shift) - cgf(unit, s - shift)) / (2 * step), mean[:, j], atol=1e-8)


@pytest.mark.parametrize("name", EXACT)
def test_cgf_normalises(name):
    """cgf = log of the sum (or integral) of exp(s x - base(x)) over all states."""
    unit, s = ALL[name], np.random.default_rng(1).normal(size=(20, WIDTH))
    states = support(unit, WIDTH)
    if states is None:
        x = np.linspace(-15, 15, 30_001)
        base = np.array([float(unit.base(v)) for v in x])
        integral = np.exp(s[:, 0, None] * x - base).sum(axis=1) * (x[1] - x[0])
        assert np.allclose(np.log(integral), cgf(unit, s[:, :1].copy()), atol=1e-6)
        return
    base = np.array([sum(float(unit.base(x)) for x in state) for state in states])
    assert np.allclose(np.logaddexp.reduce(s @ states.T - base, axis=1), cgf(unit, s), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_draws_have_the_mean(name, dtype):
    """The average of many draws is within 5 standard errors of the mean."""
    unit, n = ALL[name], 40_000
    backend = get_backend(1, dtype)
    s = np.random.default_rng(2).normal(size=WIDTH)
    mean, states = backend.array(np.tile(s, (n, 1))), backend.states(unit, n, WIDTH)
    from fastdbn import rng

    backend.activate(
        unit, backend.zeros(WIDTH), mean, states, np.arange(n, dtype=np.uint32), rng.key(3, 0, rng.stream(rng.HIDDEN))
    )
    error = states.astype(np.float64).std(axis=0) / np.sqrt(n)
    assert (np.abs(states.mean(axis=0, dtype=np.float64) - mean[0]) < 5 * error + 1e-6).all()
    allowed = support(unit, 1) if unit.support != "one-of" else np.array([[0.0], [1.0]])
    if allowed is not None:
        assert np.isin(states, allowed).all()
    if unit.support == "one-of":
        assert (states.sum(axis=1) == 1).all()


@pytest.mark.parametrize("name", EXACT)
def test_slope_is_the_derivative_of_the_mean(name):
    """The factor of back-propagation, for groups the product with the Jacobian."""
    unit = ALL[name]
    backend, draw = get_backend(1, "float64"), np.random.default_rng(4)
    s, delta, step = draw.normal(size=(5, WIDTH)), draw.normal(size=(5, WIDTH)), 1e-6
    out = backend.zeros(5, WIDTH)
    zeros, hyper = backend.zeros, step_hyper("float64", "sgd", 0.0, 0.0, 1)
    weights = Weights(np.eye(WIDTH), zeros(WIDTH), zeros(WIDTH, WIDTH), zeros(WIDTH), None, None)
    backend.descend("sgd", hyper, s, delta, weights, unit, means(unit, s), out)
    for j in range(WIDTH):
        shift = np.eye(WIDTH)[j] * step
        change = (means(unit, s + shift) - means(unit, s - shift)) / (2 * step)
        assert np.allclose((change * delta).sum(axis=1), out[:, j], atol=1e-8)


@pytest.mark.parametrize("name", EXACT)
def test_link_inverts_the_mean(name):
    """Initial biases reproduce the data's means."""
    unit = ALL[name]
    mean = np.array([[0.2, 0.3, 0.5]])
    assert np.allclose(means(unit, unit.link(mean)), mean, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", ["bernoulli", "softmax", "spin"])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "spin"])
def test_free_energy_sums_over_hidden_states(visible, hidden, dtype):
    """F(v) = -log sum_h exp(-E(v, h)), by enumeration of h."""
    v_unit, h_unit = ALL[visible], ALL[hidden]
    draw, backend = np.random.default_rng(5), get_backend(1, dtype)
    W, b, c = draw.normal(size=(4, WIDTH)), draw.normal(size=4), draw.normal(size=WIDTH)
    v = draw.integers(0, 2, (6, 4)).astype(float)
    out = np.empty(6)
    params = Params(*(backend.array(x) for x in (W, b, c)))
    model.free_energy(backend, v_unit, h_unit, params, backend.array(v), backend.zeros(6, WIDTH), out)
    expected = [naive.free_energy(row, support(h_unit, WIDTH), W, b, c, lambda x: float(v_unit.base(x))) for row in v]
    assert np.allclose(out, expected, atol=1e-4 if dtype == "float32" else 1e-12)


def test_a_new_unit_type_trains():
    """The spin unit above, ten lines, learns as the built-in ones do: nothing else knows of it."""
    draw = np.random.default_rng(6)
    prototypes = np.sign(draw.normal(size=(3, 12)))
    X = prototypes[draw.integers(0, 3, 400)] * np.where(draw.random((400, 12)) < 0.05, -1, 1)
    rbm = RBM(8, visible=SPIN, hidden=SPIN, n_iter=20, learning_rate=0.02, random_state=0).fit(X)
    error = rbm.history_["reconstruction_error"]
    assert rbm.visible_ is SPIN
    assert error[-1] < 0.5 * error[0]
    assert set(np.unique(rbm.sample(10, 5))) <= {-1.0, 1.0}


def test_unknown_unit():
    """The message names the parameter and what there is."""
    with pytest.raises(ValueError, match=r"hidden='relux'.*bernoulli"):
        get_unit("relux", "hidden")
