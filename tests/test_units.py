"""The law of every unit type, and a new type that needs no change elsewhere."""

import pickle

import naive
import numpy as np
import pytest
from runs import phases, run_of

from fastdbn import RBM, Unit
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Below, Params, Weights
from fastdbn.machine.block import BlockMachine
from fastdbn.maths import rng
from fastdbn.maths.optim import step_hyper
from fastdbn.maths.scalar import HALF, ONE, TWO, ZERO, softplus, tanh
from fastdbn.training.options.totals import Totals
from fastdbn.units import UNITS, get_unit, named

TERNARY = Unit(
    name="ternary",
    mean=lambda s: tanh(HALF * s),
    draw=lambda s, mean, noise: (
        -ONE if TWO * TWO * noise < (ONE - mean) ** 2 else ONE if TWO * TWO * (ONE - noise) <= (ONE + mean) ** 2 else ZERO
    ),
    cgf=lambda s: TWO * softplus(s) - s,
    base=lambda x: -np.log(TWO) * (ONE - x * x),
    slope=lambda mean: HALF * (ONE - mean * mean),
    link=lambda mean: 2 * np.arctanh(mean),
    support="integer",
    low=-1.0,
    high=1.0,
)
ALL = {**UNITS, "softmax:3": get_unit("softmax:3"), "binomial:5": get_unit("binomial:5"), "ternary": TERNARY}
EXACT = [name for name, unit in ALL.items() if unit.exact]
WIDTH = 3
FIELDS = {"wide": [-30.0, -4.0, 6.0], "narrow": [-0.7, 0.1, 1.2]}


def run_activate(unit, s, dtype="float64", n=None):
    """(means, draws) of fields through the backend, n rows of the same where n is given."""
    backend = get_backend(1, dtype)
    mean = backend.array(np.asarray(s, float) if n is None else np.tile(s, (n, 1)))
    rows, width = mean.shape
    states = backend.states(unit, rows, width)
    states[:, 0] = unit.keeps_total  # one trial
    key = rng.key(3, 0, rng.stream(rng.HIDDEN))
    backend.activate(unit, backend.zeros(width), mean, states, np.arange(rows, dtype=np.uint32), key)
    return mean, states


def means(unit, s, dtype="float64"):
    """Unit means of fields, through the backend."""
    backend = get_backend(1, dtype)
    out = backend.array(np.asarray(s, float))
    backend.activate(unit, backend.zeros(out.shape[1]), out)
    return out


def cgf(unit, s, dtype="float64"):
    """Row sums of the log normaliser."""
    backend, out = get_backend(1, dtype), np.empty(len(s))
    backend.cgf(unit, backend.zeros(s.shape[1]), backend.array(s), out)
    return out


def base(unit, states, dtype="float64"):
    """Row sums of the base measure's energy."""
    backend, out = get_backend(1, dtype), np.empty(len(states))
    backend.base(unit, backend.array(states), out)
    return out


def support(unit, n):
    """All states of n units, or None where they are not countable."""
    if unit.support in ("one-of", "counts"):  # counts of one trial
        return naive.one_hots(n)
    if unit.support == "integer":
        return naive.product(np.arange(unit.low, unit.high + 1), n)
    return naive.product(unit.support, n) if isinstance(unit.support, tuple) else None


def tolerance(dtype, single, double):
    return single if dtype == "float32" else double


@pytest.mark.parametrize("name", ALL)
def test_mean_is_the_derivative_of_cgf(name):
    """mean = cgf', by central differences; so it is for the model that an approximate unit stands for."""
    unit, s = ALL[name], np.random.default_rng(0).normal(size=(50, WIDTH)) * 2
    step, mean = 1e-5, means(ALL[name], s)
    for j in range(WIDTH):
        shift = np.eye(WIDTH)[j] * step
        assert np.allclose((cgf(unit, s + shift) - cgf(unit, s - shift)) / (2 * step), mean[:, j], atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_cgf_normalises(name, dtype):
    """cgf = log of the sum (or integral) of exp(s x - base(x)) over all states."""
    unit, s = ALL[name], np.random.default_rng(1).normal(size=(20, WIDTH)) * 1.5
    states = support(unit, WIDTH)
    if states is None:
        lowest = max(unit.low, -15.0)
        x = np.linspace(lowest, 20.0, 100_001)
        weight = np.where(x == lowest, 0.5, 1.0) * (x[1] - x[0])  # trapezoids
        terms = s[:, 0, None] * x - base(unit, x[:, None])
        expected = np.log((np.exp(terms) * weight).sum(axis=1))
        assert np.allclose(cgf(unit, s[:, :1].copy(), dtype), expected, atol=tolerance(dtype, 1e-5, 1e-7))
        return
    expected = np.logaddexp.reduce(s @ states.T - base(unit, states), axis=1)
    assert np.allclose(cgf(unit, s, dtype), expected, atol=tolerance(dtype, 1e-5, 1e-12))
    assert np.allclose(base(unit, states, dtype), base(unit, states), atol=tolerance(dtype, 1e-5, 0))


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_draws_have_the_moments(name, dtype, fields):
    """The average of many draws is within 5 standard errors of the mean, that of their squares within 5 of mean^2 + slope."""
    unit, n, s = ALL[name], 40_000, np.array(FIELDS[fields])
    mean, states = run_activate(unit, s, dtype, n)
    mean = means(unit, s[None])[0]
    step = 1e-4
    variance = [(means(unit, s[None] + step * e) - means(unit, s[None] - step * e))[0] @ e / (2 * step) for e in np.eye(WIDTH)]
    x = states.astype(np.float64)
    for got, expected in ((x, mean), (np.square(x), mean**2 + variance)):
        error = 5 * got.std(axis=0) / np.sqrt(n) + 10 / n * (1 + np.abs(expected))  # the latter for events of a few in n
        assert (np.abs(got.mean(axis=0) - expected) < error).all()
    together = unit.support in ("one-of", "counts")
    allowed = naive.bits(1) if together else support(unit, 1)
    if allowed is not None:
        assert np.isin(states, allowed).all()
    if together:
        assert (states.reshape(n, -1, unit.group_size(WIDTH)).sum(axis=2) == 1).all()
    assert (states >= unit.low).all()
    assert not np.signbit(states[states == 0]).any()


def test_rectified_draws_have_the_distribution():
    """Kolmogorov and Smirnov's distance to the exact distribution, far in either tail and near zero: its 0.1 % point."""
    from scipy.special import log_ndtr

    n = 20_000
    for dtype in ("float32", "float64"):
        s = np.array([-1000.0, -20.0, -2.0, 0.0, 0.5, 3.0, 12.0])
        x = np.sort(run_activate(ALL["rectified"], s, dtype, n)[1].astype(np.float64), axis=0)
        cdf = -np.expm1(log_ndtr(s - x) - log_ndtr(s))  # log Q(x - s) / Q(-s)
        place = np.arange(1, n + 1)[:, None] / n
        assert np.maximum(np.abs(cdf - place), np.abs(cdf - place + 1 / n)).max() < 1.95 / np.sqrt(n)


def test_noisy_relu_draws_are_as_defined():
    """max(0, s + N(0, sigmoid(s))): its mean and share of zeros, within 5 standard errors; the mean is another, as documented."""
    from scipy.stats import norm

    n, s = 40_000, np.array([-1.0, 0.0, 3.0])
    mean, x = run_activate(ALL["noisy-relu"], s, n=n)
    sigma = np.sqrt(naive.sigmoid(s))
    expected = s * norm.cdf(s / sigma) + sigma * norm.pdf(s / sigma)
    assert (np.abs(x.mean(axis=0) - expected) < 5 * x.std(axis=0) / np.sqrt(n)).all()
    assert not np.signbit(x).any()
    zero = norm.cdf(-s / sigma)
    assert (np.abs((x == 0).mean(axis=0) - zero) < 5 * np.sqrt(zero * (1 - zero) / n) + 1e-4).all()
    assert np.allclose(mean[0], np.logaddexp(0, s))
    assert 0.40 < mean[0, 1] - expected[1] < 0.42


def multiplied_by_slopes(unit, mean, delta):
    """Deltas through units of these means. Groups take the way back of the backend, others their formula in Python."""
    if unit.group == 1:
        return np.array([[unit.slope(m) * d for m, d in zip(*row, strict=True)] for row in zip(mean, delta, strict=True)])
    backend = get_backend(1, "float64")
    zeros, hyper = backend.zeros, step_hyper("float64", "sgd", 0.0, 0.0, 1)
    weights, out = Weights(np.eye(WIDTH), zeros(WIDTH), zeros(WIDTH, WIDTH), zeros(WIDTH), None, None), zeros(9, WIDTH)
    backend.backward_and_step("sgd", hyper, np.zeros((9, WIDTH)), delta, weights, Below(unit, mean, out))
    return out


@pytest.mark.parametrize("name", ALL)
def test_slope_is_the_derivative_of_the_mean(name):
    """The factor of back-propagation, for groups the product with the Jacobian."""
    unit, draw = ALL[name], np.random.default_rng(4)
    s, delta, step = draw.normal(size=(9, WIDTH)) * 3, draw.normal(size=(9, WIDTH)), 1e-5
    s[0] = [-25.0, 9.0, -150.0] if unit.support == "half-line" else s[0]
    out = multiplied_by_slopes(unit, means(unit, s), delta)
    for j in range(WIDTH):
        shift = np.eye(WIDTH)[j] * step
        change = (means(unit, s + shift) - means(unit, s - shift)) / (2 * step)
        assert np.allclose((change * delta).sum(axis=1), out[:, j], atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_link_inverts_the_mean(name):
    """Initial biases reproduce the data's means."""
    unit = ALL[name]
    mean = np.array([[0.2, 0.3, 0.5]])
    assert np.allclose(means(unit, unit.link(mean)), mean, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_extremes(name, dtype):
    """Means, draws and log normalisers are finite however large the fields; what is not a number stays so."""
    unit, s = ALL[name], np.array([[-1e5, 1e5, -300.0], [300.0, -50.0, 50.0]])
    for got in (*run_activate(unit, s, dtype), cgf(unit, s, dtype)):
        assert np.isfinite(got).all()
    assert np.isnan(means(unit, np.full((1, WIDTH), np.nan), dtype)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", ["bernoulli", "softmax", "spin", "binomial:5"])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "spin", "rectified", "binomial:5", "ternary"])
def test_free_energy_sums_over_hidden_states(visible, hidden, dtype):
    """F(v) = -log sum_h exp(-E(v, h)), by enumeration of h."""
    v_unit, h_unit = ALL[visible], ALL[hidden]
    draw, backend = np.random.default_rng(5), get_backend(1, dtype)
    W, b, c = draw.normal(size=(4, WIDTH)), draw.normal(size=4), draw.normal(size=WIDTH)
    v = draw.integers(0, 2, (6, 4)).astype(float)
    out = np.empty(6)
    params = Params(*(backend.array(x) for x in (W, b, c)))
    BlockMachine(backend, v_unit, h_unit, params).free_energy_block(backend.array(v), out)
    hidden = support(h_unit, WIDTH)
    expected = [naive.free_energy(row, hidden, base(h_unit, hidden), W, b, c, lambda x: float(v_unit.base(x))) for row in v]
    assert np.allclose(out, expected, atol=1e-4 if dtype == "float32" else 1e-12)


def exact_machine(visible, hidden, nv, nh, seed):
    """Parameters, and the exact (mean of v h', of v, of h) of the model, by enumeration of the hidden states."""
    draw = np.random.default_rng(seed)
    W, b, c = draw.normal(size=(nv, nh)), draw.normal(size=nv) * 0.5, draw.normal(size=nh) * 0.5
    W *= 0.7 / np.linalg.norm(W, 2)  # so that unbounded pairs have a distribution
    H = support(hidden, nh)
    s = b + H @ W.T
    weight = H @ c - base(hidden, H) + cgf(visible, s)
    p = np.exp(weight - np.logaddexp.reduce(weight))
    v = means(visible, s)
    return Params(W, b, c), ((p[:, None] * v).T @ H, p @ v, p @ H)


@pytest.mark.parametrize("name", [name for name in EXACT if not ALL[name].parameters])  # those in test_variance.py
def test_gradient_of_the_likelihood(name):
    """The negative phase, after 40 steps from anywhere, is the model's own expectation within 5 standard errors."""
    n, nv, nh = 4000, 3, 2
    for visible, hidden in ((ALL[name], ALL["bernoulli"]), (ALL[name], ALL["spin"])):
        params, exact = exact_machine(visible, hidden, nv, nh, seed=8)
        X = np.zeros((n, nv))
        X[:, 0] = visible.high if visible.support in ((-1.0, 1.0), "one-of") else 1.0
        options = [Totals()] if visible.keeps_total else []
        minus = phases(run_of(params, X, visible=visible, hidden=hidden, seed=3, k=40, options=options))[1]
        each = [minus.v[:, :, None] * minus.h[:, None, :], minus.v, minus.h]
        for x, expected in zip(each, exact, strict=True):
            assert (np.abs(x.mean(axis=0) - expected) < 5 * x.std(axis=0) / np.sqrt(n) + 1e-12).all()


LEARNERS = {
    "bernoulli": lambda z, draw: (draw.random((len(z), 4)) < np.where(z[:, None], 0.9, 0.1)).astype(float),
    "spin": lambda z, draw: np.where(draw.random((len(z), 4)) < np.where(z[:, None], 0.9, 0.1), 1.0, -1.0),
    "binomial:5": lambda z, draw: draw.binomial(5, np.where(z[:, None], 0.8, 0.2), (len(z), 4)).astype(float),
    "softmax:2": lambda z, draw: np.eye(2)[(draw.random((len(z), 2)) < np.where(z[:, None], 0.97, 0.03)) * 1].reshape(-1, 4),
    "gaussian": lambda z, draw: draw.normal(np.where(z[:, None], 1.5, -1.5), 1.0, (len(z), 4)),
    "rectified": lambda z, draw: np.abs(draw.normal(np.where(z[:, None], 3.0, 0.0), 1.0, (len(z), 4))),
}


@pytest.mark.parametrize("hidden", ["bernoulli", "spin", "binomial:5"])
@pytest.mark.parametrize("visible", LEARNERS)
def test_fits_gain_likelihood(visible, hidden, composed):
    """Two clusters: after training, the exact mean log-likelihood is well above that of independent units (W = 0)."""
    draw = np.random.default_rng(9)
    X = LEARNERS[visible](draw.integers(0, 2, 600) == 1, draw)
    v_unit, h_unit = get_unit(visible), get_unit(hidden)
    H = support(h_unit, 2)
    rbm = RBM(2, visible=visible, hidden=hidden, batch_size=20, random_state=0, scale="none", dtype="float64")

    def log_likelihood(rbm):
        s = rbm.intercept_visible_ + H @ rbm.components_
        log_z = np.logaddexp.reduce(H @ rbm.intercept_hidden_ - base(h_unit, H) + cgf(v_unit, s))
        return rbm.score_samples(X).mean() - log_z

    before = log_likelihood(rbm.set_params(n_iter=0).fit(X))
    after = log_likelihood(rbm.set_params(n_iter=40).fit(X))
    assert after > before + 0.3, (before, after)


def test_a_new_unit_type_trains(composed):
    """The ternary unit above, ten lines, learns as the built-in ones do: nothing else knows of it."""
    draw = np.random.default_rng(6)
    prototypes = draw.integers(-1, 2, (3, 12))
    X = prototypes[draw.integers(0, 3, 400)] * np.where(draw.random((400, 12)) < 0.05, 0, 1)
    rbm = RBM(8, visible=TERNARY, hidden=TERNARY, n_iter=20, learning_rate=0.02, random_state=0).fit(X)
    error = rbm.history_["reconstruction_error"]
    assert rbm.visible_ is TERNARY
    assert error[-1] < 0.5 * error[0]
    assert set(np.unique(rbm.sample(10, 5))) <= {-1.0, 0.0, 1.0}


def test_unknown_unit():
    """The message names the parameter and what there is."""
    with pytest.raises(ValueError, match=r"hidden='relux'.*bernoulli"):
        get_unit("relux", "hidden")
    for text in ("softmax:x", "binomial", "spin:2"):
        with pytest.raises(ValueError, match="not a unit type"):
            get_unit(text)
    with pytest.raises(ValueError, match="from 1 to 1000"):
        get_unit("binomial:1001")


@pytest.mark.parametrize("name", [*UNITS, "softmax:4", "binomial:6"])
def test_names(name):
    """A name gives one record, which gives the name; records of families can be pickled."""
    unit = get_unit(name)
    assert unit == get_unit(name)
    assert named(unit) == unit.name == name
    assert pickle.loads(pickle.dumps(unit)) == unit
