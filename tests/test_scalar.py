"""Our own exp, log and friends: accuracy in units of the last place, extremes, and the same compiled as plain."""

import numpy as np
import pytest
from scipy import special

from fastdbn.backends.cpu.jit import kernel
from fastdbn.maths import scalar


def over_array(function):
    def loop(x, out):
        for i in range(len(x)):
            out[i] = function(x[i])

    return kernel(loop)


ULPS = {
    "exp": (np.exp, -80, 80, 2),
    "log": (np.log, 1e-30, 1e30, 2),
    "log1p": (np.log1p, 0, 1, 2),
    "sin_quarter": (lambda x: np.sin(x * np.longdouble(np.pi) / 2), -0.5, 0.5, 4),
    "cos_quarter": (lambda x: np.cos(x * np.longdouble(np.pi) / 2), -0.5, 0.5, 4),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -30, 30, 5),
    "softplus": (lambda x: np.logaddexp(np.longdouble(0), x), -30, 30, 5),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ULPS)
def test_accuracy(name, dtype):
    """Within the stated units in the last place of the exact result."""
    exact, low, high, ulps = ULPS[name]
    draw = np.random.default_rng(1)
    if name == "log":
        x = np.concatenate([10 ** draw.uniform(-30, 30, 5000), draw.uniform(0.5, 2, 5000)]).astype(dtype)
    else:
        x = draw.uniform(low, high, 10_000).astype(dtype)
    out = np.empty_like(x)
    over_array(getattr(scalar, name))(x, out)
    expected = exact(x.astype(np.longdouble))
    assert (np.abs(out - expected) / np.spacing(np.abs(expected).astype(dtype))).max() <= ulps
    with np.errstate(over="ignore"):
        plain = np.array([getattr(scalar, name)(v) for v in x[:100]])
    assert plain.dtype == dtype
    assert np.allclose(plain, out[:100], rtol=2 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh(dtype):
    """Absolute error within two units in the last place of 1."""
    x = np.linspace(-20, 20, 1001).astype(dtype)
    out = np.empty_like(x)
    over_array(scalar.tanh)(x, out)
    assert np.abs(out - np.tanh(x.astype(np.longdouble))).max() <= 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "sigmoid", "softplus"])
def test_extremes(name, dtype):
    """Nothing overflows, and what is not a number stays so: that is how divergence is seen."""
    x = np.array([-1e30, -800, 800, 1e30, 0], dtype)
    out = np.empty_like(x)
    over_array(getattr(scalar, name))(x, out)
    assert np.isfinite(out).all()
    bad = np.array([np.nan], dtype)
    over_array(getattr(scalar, name))(bad, bad)
    assert np.isnan(bad[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors(dtype):
    """softmax and logsumexp, also where a naive exponential would overflow."""

    @kernel
    def run(s, out):
        scalar.softmax(s, out)
        return scalar.logsumexp(s)

    for s in ([0.1], [1.0, -2.0, 0.5], [1000.0, 999.0, -1000.0]):
        s = np.array(s, dtype)
        out = np.empty_like(s)
        total = run(s, out)
        s = s.astype(np.float64)
        e = np.exp(s - s.max())
        assert np.allclose(out, e / e.sum(), rtol=8 * np.finfo(dtype).eps, atol=1e-30)
        assert np.isclose(total, np.logaddexp.reduce(s), rtol=4 * np.finfo(dtype).eps)


def excess(t):
    """E[x - t | x > t] of a standard normal, by Mills' continued fraction (Laplace), or where t is small by erfcx."""
    fraction = np.zeros_like(t)
    for k in range(400, 1, -1):
        fraction = k / (np.maximum(t, 3) + fraction)
    return np.where(t > 3, 1 / (t + fraction), np.sqrt(2 / np.pi) / special.erfcx(t.astype(float) / np.sqrt(2)) - t)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_excess(dtype):
    """The stated relative error, from zero to where the tail itself is far below all numbers."""
    t = np.concatenate([np.linspace(0, 30, 3001), np.geomspace(30, 1e9, 200)]).astype(dtype)
    out = np.empty_like(t)
    over_array(scalar.excess)(t, out)
    exact = excess(t.astype(np.longdouble))
    assert np.abs(out / exact - 1).max() < (3e-7 if dtype == np.float32 else 1e-14)  # SciPy's erfcx has errors of its own


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tail_quantile(dtype):
    """What it gives has the survival asked for: in float64 by log Q, whose relative error is that of t^2."""

    @kernel
    def run(t, e, out):
        for i in range(len(t)):
            out[i] = scalar.tail_quantile(t[i], e[i])

    t, e = (x.ravel().astype(dtype) for x in np.meshgrid([0, 0.3, 1, 4, 12, 100, 1e5], [0, 1e-3, 0.1, 1, 5, 17]))
    out = np.empty_like(t)
    run(t, e, out)
    t, x = t.astype(np.longdouble), out.astype(np.longdouble)
    survived = x * (t + x / 2) + np.log((excess(t + x) + t + x) / (excess(t) + t))
    assert (np.abs(survived - e) <= (3e-6 if dtype == np.float32 else 1e-13) * (e + 0.1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_functions(dtype):
    """log x! and the integral of softplus, in float64 whatever the argument's precision."""
    x = np.concatenate([np.arange(200), np.random.default_rng(0).uniform(0, 1e5, 300)]).astype(dtype)
    out = np.empty(len(x))
    over_array(scalar.log_factorial)(x, out)
    expected = special.gammaln(x.astype(float) + 1)
    assert np.abs((out - expected) / (1 + np.abs(expected))).max() < 1e-13
    assert (out[:2] == 0).all()
    s = np.linspace(-40, 40, 401).astype(dtype)
    out = np.empty(len(s))
    over_array(scalar.softplus_integral)(s, out)
    s = s.astype(float)
    series = sum((-1) ** (k + 1) * np.exp(k * np.minimum(s, -3)) / k**2 for k in range(1, 20))
    assert np.abs(out / np.where(s < -3, series, -special.spence(1 + np.exp(s))) - 1).max() < 1e-13
