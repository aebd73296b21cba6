"""Our own exp, log and friends: accuracy in units of the last place, extremes, and the same compiled as plain."""

import numpy as np
import pytest

from fastdbn import scalar
from fastdbn.backends.jit import kernel


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
