"""Gaussian units with learned variance: steps against numerical gradients of the exact log-likelihood, and what is learned."""

from types import SimpleNamespace

import numpy as np
import pytest
from naive import bits

from fastdbn import DBN, RBM, load
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Phase
from fastdbn.training.options.learned_variances import LOWEST, LearnedVariances


def log_likelihood(v, W, b, c, z, weights=None):
    """The weighted mean of log p(v) of rows, by enumeration of the hidden states; formulas of Cho, Raiko, Ilin 2011."""
    H, var = bits(len(c)), np.exp(z)
    field = b + H @ W.T  # E[v | h]
    # log of the integral over v of e^-E, for each h
    log_weight = H @ c + (0.5 * (field**2 - b**2) / var).sum(axis=1) + 0.5 * (np.log(2 * np.pi) + z).sum()
    free = -(0.5 * (v - b) ** 2 / var).sum(axis=1) + np.logaddexp(0, c + (v / var) @ W).sum(axis=1)
    return np.average(free, weights=weights) - np.logaddexp.reduce(log_weight)


def draw(n, W, b, c, z, seed):
    """Rows drawn exactly from the model."""
    noise, H, var = np.random.default_rng(seed), bits(len(c)), np.exp(z)
    field = b + H @ W.T
    log_weight = H @ c + (0.5 * (field**2 - b**2) / var).sum(axis=1)
    p = np.exp(log_weight - np.logaddexp.reduce(log_weight))
    return field[noise.choice(len(H), n, p=p)] + noise.normal(size=(n, len(b))) * np.sqrt(var)


def machine(seed=0, nv=4, nh=3):
    noise = np.random.default_rng(seed)
    W, b, c = noise.normal(size=(nv, nh)), noise.normal(size=nv), noise.normal(size=nh) * 0.5
    return W, b, c, noise.normal(size=nv) * 0.5


def stepped(masters, v, chain, weight=None, clip=np.inf, momentum=0.0, decay=0.0, rate=0.1, share=1.0, steps=1):
    """W, b, c, z after steps of the option with given states on both sides."""
    W, b, c, z = masters
    backend, over = get_backend(1, "float64"), np.exp(-0.5 * z)
    params = Params(W * over[:, None], b * over, c.copy())
    velocity, room = (Params(*(np.zeros_like(x) for x in params)) for _ in range(2))
    option = LearnedVariances(clip, share)
    option.log, option.velocity, option.gradient_buffer = z.copy(), np.zeros_like(z), room
    problem, hyper = SimpleNamespace(params=params, velocity=velocity), Hyper(rate, momentum, decay)
    option.training = SimpleNamespace(backend=backend, problem=problem, hyper=hyper)
    for _ in range(steps):
        y = [v.copy(), chain.copy()]
        phases = []
        for x, w in zip(y, (weight, None), strict=True):
            option.scale(x)
            h = 1 / (1 + np.exp(-(x @ params.W + params.c)))
            if w is not None:
                backend.scale(h, w)
            phases.append(Phase(x, h, w))
        scales = 1 / len(v) if weight is None else 1 / weight.sum(), 1 / len(chain)
        option.step(SimpleNamespace(phases=(*phases, scales)))
    sigma = np.exp(0.5 * option.log)
    return params.W * sigma[:, None], params.b * sigma, params.c, option.log


@pytest.mark.parametrize("weighted", [False, True])
def test_the_step_follows_the_exact_gradient(weighted):
    """Chains drawn from the model itself: the step over the rate is the numerical gradient of log p(v), within its noise."""
    masters, rate, noise = machine(), 1e-3, np.random.default_rng(1)
    v = noise.normal(size=(50, 4)) * 1.5
    weights = noise.integers(1, 4, 50).astype(float) if weighted else None
    found = []
    for seed in range(30):
        after = stepped(masters, v, draw(20_000, *masters, seed=seed), weights, rate=rate)
        found.append(np.concatenate([((a - b) / rate).ravel() for a, b in zip(after, masters, strict=True)]))
    found, exact, flat = np.array(found), [], [x.copy() for x in masters]
    for x in flat:
        for i in np.ndindex(x.shape):
            values = []
            for shift in (1e-5, -1e-5):
                x[i] += shift
                values.append(log_likelihood(v, *flat, weights))
                x[i] -= shift
            exact.append((values[0] - values[1]) / 2e-5)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - exact) < 5 * error + 1e-6).all()
    assert np.abs(exact).max() > 20 * error.max()


def test_steps_are_those_of_the_masters():
    """Two steps with momentum and decay, written for W, b, c and z themselves, give the same as those for W_y and b_y."""
    masters, noise = machine(2), np.random.default_rng(3)
    v, chain = noise.normal(size=(30, 4)), noise.normal(size=(20, 4)) * 1.2
    rate, momentum, decay, share = 0.1, 0.7, 0.05, 0.3
    W, b, c, z = (x.copy() for x in masters)
    speed = [np.zeros_like(x) for x in masters]
    for _ in range(2):
        s = np.exp(0.5 * z)
        phases = []
        for x in (v / s, chain / s):
            h = 1 / (1 + np.exp(-(x @ (W / s[:, None]) + c)))
            # the rows' derivatives of log p* by W_y, b_y, c, and by z but for what is the same on both phases
            parts = x.T @ h, x.sum(axis=0), h.sum(axis=0), 0.5 * (x * x).sum(axis=0)
            phases.append([part / len(x) for part in parts])
        gW, gb, gc, g2 = (p - m for p, m in zip(*phases, strict=True))
        gz = g2 - (b / s) * gb - ((W / s[:, None]) * gW).sum(axis=1)
        gradient = gW / s[:, None] - decay * W, gb / s, gc, share * gz
        speed = [momentum * old + rate * g for old, g in zip(speed, gradient, strict=True)]
        W, b, c, z = (x + d for x, d in zip((W, b, c, z), speed, strict=True))
    after = stepped(masters, v, chain, rate=rate, momentum=momentum, decay=decay, share=share, steps=2)
    for found, expected in zip(after, (W, b, c, z), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_clipping_and_the_lower_bound():
    """A gradient longer than the bound is shortened to it, all of its parts alike; a variance never falls below the least."""
    masters, noise = machine(4), np.random.default_rng(5)
    v, chain = noise.normal(size=(30, 4)) * 5, noise.normal(size=(20, 4))
    free = [a - b for a, b in zip(stepped(masters, v, chain), masters, strict=True)]
    length = np.sqrt(sum((x**2).sum() for x in free)) / 0.1
    clipped = [a - b for a, b in zip(stepped(masters, v, chain, clip=length / 3), masters, strict=True)]
    for a, b in zip(clipped, free, strict=True):
        np.testing.assert_allclose(a, b / 3, rtol=1e-9)
    down = stepped(masters, np.zeros((5, 4)), chain * 50, rate=10.0)[3]
    assert (down == LOWEST).all()


def clusters(n, seed=0):
    """Rows of an exact machine of this kind, with three different variances; and those."""
    W = np.array([[1.3, 0.0], [0.0, 2.5], [0.5, -0.6]])
    b, z = np.array([1.0, -2.0, 0.0]), np.log([0.25, 1.0, 0.09])
    # hidden units that are on half of the time: c against the gain of the visible units' means
    c = -0.5 * ((b[:, None] + W) ** 2 - b[:, None] ** 2).T @ np.exp(-z)
    return draw(n, W, b, c, z, seed), np.exp(z)


def mean_log_p(model, X):
    """The exact mean log-likelihood of a fitted machine in the units of X, by enumeration of the hidden states."""
    scale = model.scaling_.scale
    W, b, c = model.components_.T.astype(float), model.intercept_visible_.astype(float), model.intercept_hidden_.astype(float)
    y = (X - model.scaling_.shift) * scale
    return log_likelihood(y, W, b, c, np.zeros(len(b))) + np.log(scale).sum()


RATE = [0.1 * (1 - epoch / 60) for epoch in range(60)]
FIT = {"n_components": 3, "n_iter": 60, "batch_size": 50, "learning_rate": RATE, "random_state": 0, "weight_decay": 0.0}


def test_learns_the_variances():
    """Variances tend to those that rows were drawn with, and the exact likelihood of new rows rises above that of fixed ones."""
    (X, truth), (new, _), seen = clusters(2000), clusters(2000, seed=1), []
    model = RBM(visible="gaussian-variance", variance_rate=1.0, **FIT)
    model.set_params(callbacks=[lambda estimator, **_: seen.append(mean_log_p(estimator, new))]).fit(X)
    fixed = RBM(visible="gaussian", scale="standard", **FIT).fit(X)
    np.testing.assert_allclose(model.variance_, truth, rtol=0.15)
    assert seen[-1] > mean_log_p(fixed, new) + 0.3
    assert seen[-1] > seen[30] > seen[0]
    assert model.visible_ == "gaussian-variance" and not hasattr(fixed, "variance_")
    error = model.history_["reconstruction_error"]
    assert error[-1] < error[0] < 2


def bits_of(model):
    parts = model.components_, model.intercept_visible_, model.intercept_hidden_, model.scaling_.scale, *model._extras.values()
    return b"".join(np.ascontiguousarray(x).tobytes() for x in parts)


@pytest.mark.parametrize("more", [{}, {"persistent": True, "n_chains": 7}, {"scale": "none", "missing": "drop"}])
def test_going_on(more, tmp_path, split_everything):
    """Passes one by one, warm starts, loaded files and any number of threads give the bits of one fit."""
    X, _ = clusters(90)
    if "missing" in more:
        X[::7, 1] = np.nan
    options = {"n_components": 5, "visible": "gaussian-variance", "learning_rate": 0.05, "random_state": 0, **more}
    whole = RBM(n_iter=3, n_jobs=3, **options).fit(X)
    parts = RBM(n_jobs=1, **options).partial_fit(X)
    parts.save(tmp_path / "m")
    parts = load(tmp_path / "m").partial_fit(X).set_params(warm_start=True, n_iter=1).fit(X)
    assert bits_of(parts) == bits_of(whole)
    assert (whole.variance_ != RBM(n_iter=0, **options).fit(X).variance_).all()


def test_use():
    """Results are on the scale of X; a network of such units trains."""
    X, _ = clusters(300)
    model = RBM(visible="gaussian-variance", **FIT).fit(X)
    new = model.sample(2000, n_steps=20, random_state=0)
    assert (np.abs(new.mean(axis=0) - X.mean(axis=0)) < X.std(axis=0)).all()
    assert (np.abs(model.reconstruct(X).mean(axis=0) - X.mean(axis=0)) < 0.3 * X.std(axis=0)).all()
    stack = DBN((6, 4), rbm=RBM(visible="gaussian-variance", n_iter=2), random_state=0).fit(X)
    assert stack.transform(X).shape == (300, 4)
    assert stack.layers_[0].visible_ == "gaussian-variance"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": "gaussian-variance"}, "variances are learned of visible units"),
        ({"visible": "gaussian-variance", "scale": "minmax"}, "scale='minmax' clips"),
        ({"visible": "gaussian-variance", "binarize": 0.5}, "binarize=0.5 leaves none"),
        ({"clip_norm": -1}, "clip_norm=-1"),
        ({"variance_rate": "fast"}, "variance_rate='fast'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        RBM(3, n_iter=1, **options).fit(clusters(20)[0])
