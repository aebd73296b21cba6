"""What holds weights, activities and steps: L1, max-norm, sparsity, and the learning rate that is steered."""

import naive
import numpy as np
import pytest

from fastdbn import RBM, load
from fastdbn.backends.devices import get_backend
from fastdbn.maths import optim
from fastdbn.training.options.centering import Centering


def binary(n=60, width=9, seed=0):
    return (np.random.default_rng(seed).random((n, width)) < 0.4).astype(np.float32)


def one_step(**options):
    """A machine after a single minibatch, at a rate of 1."""
    more = {
        "n_iter": 1,
        "batch_size": 60,
        "learning_rate": 1.0,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "dtype": "float64",
        "centering": None,
    }
    return RBM(6, random_state=0, **(more | options)).fit(binary())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 65), (300, 3)], ids=str)
def test_shrink(shape, dtype):
    """Every weight moves towards zero by the amount, those within it to zero; what is not a number stays none."""
    W = np.random.default_rng(0).normal(size=shape).astype(dtype)
    W[0, 0] = np.nan
    out = W.copy()
    get_backend(2, dtype).shrink(out, 0.5)
    assert np.isnan(out[0, 0])
    W[0, 0] = out[0, 0] = 0
    np.testing.assert_allclose(out, naive.shrink(W, 0.5), rtol=0, atol=1e-6)
    assert (out == 0).sum() == (np.abs(W) <= 0.5).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_divides_is_rounded(dtype):
    """Max-norm and sparsity divide as NumPy does, so a column's bits do not depend on how many columns there are."""
    draw, backend = np.random.default_rng(0), get_backend(1, dtype)
    W, h = draw.normal(size=(300, 70)).astype(dtype), draw.random((20, 70)).astype(dtype)
    whole, parts = W.copy(), [np.ascontiguousarray(W[:, j : j + 7]) for j in range(0, 70, 7)]
    for x in (whole, *parts):
        backend.limit_columns(x, 16.0, backend.zeros(x.shape[1]))
    assert np.hstack(parts).tobytes() == whole.tobytes()
    assert (whole != W).any(axis=0).sum() in range(1, 70)
    for weight in (None, draw.random(20).astype(dtype)):
        means, activity = h.copy(), np.full(70, 0.2, dtype)
        backend.sparsify(means, weight, activity, 0.1, 0.3)
        mean = h.mean(axis=0) if weight is None else np.average(h, axis=0, weights=weight)
        expected = np.full(70, 0.2, dtype)
        expected += (mean - expected) / 20
        assert activity.tobytes() == expected.tobytes()
        assert means.tobytes() == (h + 0.3 * (0.1 - expected)).tobytes()


def test_l1_and_max_norm_follow_each_step():
    """A step is the plain one, then the soft threshold of rate times penalty, then the bound on columns."""
    W = one_step().components_.T
    np.testing.assert_allclose(one_step(l1=0.01).components_.T, naive.shrink(W, 0.01), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        one_step(l1=0.02, learning_rate=0.5).components_.T,
        naive.shrink(one_step(learning_rate=0.5).components_.T, 0.01),
        rtol=0,
        atol=1e-12,
    )
    bound = float(np.median(np.linalg.norm(W, axis=0)))
    np.testing.assert_allclose(one_step(max_norm=bound).components_.T, naive.limit_columns(W, bound), rtol=0, atol=1e-12)
    both = naive.limit_columns(naive.shrink(W, 0.01), 0.9 * bound)
    np.testing.assert_allclose(one_step(l1=0.01, max_norm=0.9 * bound).components_.T, both, rtol=0, atol=1e-12)
    assert one_step(l1=0.01).intercept_hidden_.tobytes() == one_step().intercept_hidden_.tobytes()


def test_fits_under_constraints(digits):
    """Over whole fits: L1 leaves weights at zero, by its schedule; columns stay within their bound."""
    X = digits[0][:500]
    options = {"n_iter": 4, "random_state": 0, "learning_rate": 0.1}
    share = [(RBM(20, l1=l1, **options).fit(X).components_ == 0).mean() for l1 in (0.0, 0.02, [0.0, 0.0, 0.0, 0.02])]
    assert share[0] == 0
    assert min(share[1:]) > 0.1
    assert share[1] != share[2]
    norms = np.linalg.norm(RBM(20, max_norm=0.1, **options).fit(X).components_, axis=1)
    assert norms.max() < 0.1 * (1 + 1e-5)
    assert (norms > 0.098).any()


def test_sparsity_step():
    """A running mean that begins at the target; what is lacking joins the gradient of the input, weighted like rows."""
    weights = np.linspace(0.5, 1.5, 60)
    start, X, (target, cost) = one_step(n_iter=0), binary().astype(float), (0.1, 0.7)
    for w in (None, weights):
        plain, sparse = (
            RBM(**one_step(n_iter=0, **more).get_params()).set_params(n_iter=1).fit(X, sample_weight=w)
            for more in ({}, {"sparsity_target": target, "sparsity_cost": cost})
        )
        h, share = naive.sigmoid(X @ start.components_.T), np.full(60, 1.0) if w is None else w
        activity = 0.95 * target + 0.05 * np.average(h, axis=0, weights=share)
        pull = cost * (target - activity)
        mean_v = (share[:, None] * X).mean(axis=0)
        np.testing.assert_allclose(sparse._extras["activity"], activity, rtol=1e-9)
        np.testing.assert_allclose(sparse.intercept_hidden_ - plain.intercept_hidden_, share.mean() * pull, rtol=0, atol=1e-12)
        np.testing.assert_allclose(sparse.components_ - plain.components_, np.outer(pull, mean_v), rtol=0, atol=1e-12)


@pytest.mark.parametrize("centering", ["data", "enhanced"])
def test_sparsity_does_not_move_offsets(centering):
    """Offsets of a centred gradient follow the hidden means, not what sparsity makes of them."""
    for weight in (None, np.linspace(0.5, 1.5, 60)):
        plain, sparse = (
            RBM(**one_step(centering=centering, **more).get_params()).fit(binary(), sample_weight=weight)
            for more in ({}, {"sparsity_target": 0.1, "sparsity_cost": 0.7})
        )
        assert abs(plain.intercept_hidden_ - sparse.intercept_hidden_).max() > 0.01
        for name in Centering.keeps:
            np.testing.assert_allclose(sparse._extras[name], plain._extras[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"centering": "data"},
        {"missing": "drop"},
        {"missing": "sample"},
        {"visible": "gaussian-variance", "learning_rate": 0.03, "sparsity_cost": 3.0},
    ],
    ids=lambda more: " ".join(map(str, more.values())),
)
def test_sparsity_reaches_its_target(more, digits):
    """Mean activity comes near whatever is asked for, in every kind of minibatch."""
    X, options = digits[0][:500].copy(), {"n_iter": 20, "random_state": 0, "learning_rate": 0.1, "sparsity_cost": 0.3}
    options |= {"centering": None, "binarize": "mean"} | more
    if "missing" in more:
        X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    low, high = (RBM(30, **options, sparsity_target=t).fit(X).transform(X).mean() for t in (0.05, 0.3))
    assert abs(low - 0.05) < 0.05
    assert abs(high - 0.3) < 0.05


def test_steer():
    """The rate moves by the root of what is lacking, by 1.5 at most, within its range."""
    assert optim.steer(0.1, 1e-3) == 0.1
    assert optim.steer(0.1, 1.21e-3) == pytest.approx(0.1 / 1.1)
    assert optim.steer(0.1, 1e-3 / 1.21) == pytest.approx(0.1 * 1.1)
    assert optim.steer(0.1, 1.0) == pytest.approx(0.1 / 1.5)
    assert optim.steer(0.1, 1e-9) == pytest.approx(0.1 * 1.5)
    assert optim.steer(0.9, 1e-9) == optim.HIGHEST
    assert optim.steer(1e-6, 1.0) == optim.LOWEST
    assert optim.steer(0.1, 0.0) == optim.steer(0.1, np.nan) == 0.1


def test_auto_rate_holds_the_ratio(digits):
    """Once weights have grown |dW| / |W| comes to 1e-3, within what one minibatch differs from another, and the fit learns."""
    draw = np.random.default_rng(0)
    reals = draw.normal(size=(3000, 20)) @ draw.normal(size=(20, 20))
    for X, more in ((digits[0], {"n_iter": 24}), (reals, {"n_iter": 16, "visible": "gaussian", "scale": "standard"})):
        history = RBM(30, learning_rate="auto", random_state=0, batch_size=20, **more).fit(X).history_
        assert abs(np.log(history["update_ratio"][-4:].mean() / 1e-3)) < np.log(2)
        assert len(set(history["learning_rate"])) > 5
        assert history["reconstruction_error"][-1] < 0.7 * history["reconstruction_error"][0]
    fixed = RBM(30, learning_rate=[0.1, 0.05], n_iter=2).fit(X).history_
    assert fixed["learning_rate"].tolist() == [0.1, 0.05]


OPTIONS = {"sparse": {"sparsity_target": 0.1}, "auto": {"learning_rate": "auto"}, "held": {"l1": 1e-3, "max_norm": 0.3}}


@pytest.mark.parametrize("name", OPTIONS)
def test_going_on(name, tmp_path):
    """Two epochs and two more are four, also after a file."""
    X, options = binary(), OPTIONS[name] | {"random_state": 0, "learning_rate": 0.05, "momentum": 0.5}
    results = []
    whole = RBM(5, n_iter=4, **options).fit(X)
    half = RBM(5, n_iter=2, warm_start=True, **options).fit(X)
    half.save(tmp_path / "half")
    for rbm in (whole, half.fit(X), load(tmp_path / "half").fit(X)):
        parts = rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_, *rbm._extras.values()
        results.append(b"".join(np.ascontiguousarray(x).tobytes() for x in parts))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"l1": -1}, "l1=-1"),
        ({"max_norm": 0}, "max_norm=0: give a positive number or None"),
        ({"max_norm": "a"}, "max_norm='a'"),
        ({"sparsity_target": 1.0}, "sparsity_target=1.0: bernoulli units need a mean between 0 and 1"),
        ({"sparsity_target": "a"}, "sparsity_target='a'"),
        ({"sparsity_cost": -1}, "sparsity_cost=-1"),
        ({"learning_rate": "best"}, "learning_rate='best'"),
    ],
    ids=str,
)
def test_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RBM(3, **options).fit(binary())
