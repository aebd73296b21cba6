"""Centred gradients: the step in plain parameters against the centred machine's own, flips, and exact expectations."""

import naive
import numpy as np
import pytest
from exact import Machine

from fastdbn import DBN, RBM, load
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Centering, Hyper, Params, Phase

RATE, MOMENTUM, DECAY, SLIDE = 0.3, 0.7, 0.1, 0.25


def problem(nv, nh, rows, chains, seed, density=0.5, real=False, weighted=False):
    """(params, velocity, positive, negative, offsets) as host arrays."""
    draw = np.random.default_rng(seed)
    params = [draw.normal(size=shape) for shape in ((nv, nh), nv, nh)]
    velocity = [draw.normal(size=x.shape) for x in params]
    phases = []
    for n in (rows, chains):
        v = draw.random((n, nv)) if real else (draw.random((n, nv)) < density).astype(float)
        phases.append(Phase(v, draw.random((n, nh)), draw.random(n) + 0.5 if weighted else None))
    return params, velocity, *phases, [draw.random(nv), draw.random(nh)]


def step(backend, params, velocity, positive, negative, offsets, slide=SLIDE, share=0.5, centred=True):
    """What a step leaves: host (params, velocity, offsets)."""

    def phase(x):
        weight = None if x.weight is None else backend.array(x.weight)
        loaded = Phase(backend.array(x.v), backend.array(x.h), weight)
        if weight is not None:
            backend.scale(loaded.h, weight)
        return loaded

    params, velocity = (Params(*(backend.array(x) for x in xs)) for xs in (params, velocity))
    offsets, weight = [backend.array(x) for x in offsets], 1.0 if positive.weight is None else positive.weight.mean()
    centering = Centering(*offsets, slide, share) if centred else None
    scales = 1 / len(positive.v), 1 / len(negative.v)
    backend.update(params, velocity, phase(positive), phase(negative), scales, Hyper(RATE, MOMENTUM, DECAY), centering, weight)
    return [[backend.to_host(x) for x in xs] for xs in (params, velocity, offsets)]


def expected(params, velocity, positive, negative, offsets, slide=SLIDE, share=0.5):
    """The same by the naive step of the centred machine."""
    means = [[np.average(x, axis=0, weights=phase.weight) for x in phase[:2]] for phase in (positive, negative)]
    offsets = [(1 - slide) * x + slide * ((1 - share) * p + share * m) for x, p, m in zip(offsets, *means, strict=True)]
    gradients = [0, 0, 0]
    for phase, sign in ((positive, 1), (negative, -1)):
        n = len(phase.v)
        weight = np.ones(n) if phase.weight is None else phase.weight
        v, h = phase.v - offsets[0], phase.h - offsets[1]
        for i, x in enumerate(((v * weight[:, None]).T @ h, weight @ v, weight @ h)):
            gradients[i] = gradients[i] + sign * x / n
    return [*naive.centered_update(params, velocity, gradients, offsets, RATE, MOMENTUM, DECAY), offsets]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("more", [{}, {"density": 0.95}, {"real": True}, {"chains": 7}], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (3, 64), (65, 63), (130, 290)], ids=str)
def test_step_is_that_of_the_centred_machine(size, more, dtype):
    """In plain parameters, whichever way the statistics are added up, for layers of odd sizes."""
    given = problem(*size, **({"rows": 21, "chains": 21, "seed": 1} | more))
    found, wanted = step(get_backend(1, dtype), *given), expected(*given)
    for a, b in zip(found, wanted, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=2e-12 if dtype == "float64" else 2e-5 * size[1] ** 0.5)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_weights_of_rows(share):
    """Offsets follow weighted means, and a minibatch of no weight leaves them where they are."""
    params, velocity, positive, negative, offsets = problem(5, 4, 6, 6, 2, weighted=True)
    negative = negative._replace(weight=positive.weight)
    found = step(get_backend(1, "float64"), params, velocity, positive, negative, offsets, share=share)
    for a, b in zip(found, expected(params, velocity, positive, negative, offsets, share=share), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-13)
    positive, negative = (phase._replace(weight=np.zeros(6)) for phase in (positive, negative))
    kept = step(get_backend(1, "float64"), params, velocity, positive, negative, offsets, share=share)[2]
    assert all(np.array_equal(x, y) for x, y in zip(kept, offsets, strict=True))


def flip(params, velocity, positive, negative, offsets, visible):
    """The same machine with the values 0 and 1 of one layer's units swapped, on states swapped in the same way."""
    (W, b, c), (dW, db, dc), (mu, la) = params, velocity, offsets
    if visible:
        params, velocity = (-W, -b, c + W.sum(axis=0)), (-dW, -db, dc)
        return params, velocity, *(s._replace(v=1 - s.v) for s in (positive, negative)), (1 - mu, la)
    params, velocity = (-W, b + W.sum(axis=1), -c), (-dW, db, -dc)
    return params, velocity, *(s._replace(h=1 - s.h) for s in (positive, negative)), (mu, 1 - la)


@pytest.mark.parametrize("visible", [True, False])
def test_step_is_invariant_under_flips(visible):
    """Which of a unit's values is called 1 does not matter to a centred step; to a plain one it does."""
    backend, given = get_backend(1, "float64"), problem(9, 7, 12, 10, 3)
    for centred in (True, False):
        params, velocity, offsets = step(backend, *given, centred=centred)
        first = flip(params, velocity, *given[2:4], offsets, visible)
        other = step(backend, *flip(*given, visible), centred=centred)
        same = [np.allclose(x, y, rtol=0, atol=1e-12) for x, y in zip(first[0], other[0], strict=True)]
        assert all(same) == centred


def test_centred_gradient_at_equilibrium_is_the_exact_gradient():
    """Chains at p(v, h): the mean centred gradient is the exact gradient under the change of variables, within 5 errors."""
    machine, offsets = Machine(6, 4, seed=2), problem(6, 4, 1, 1, 4)[4]
    data, found = machine.V[[1, 2, 3, 30, 62]], []
    backend, zero = get_backend(1, "float64"), [np.zeros((6, 4)), np.zeros(6), np.zeros(4)]
    for seed in range(200):
        v = machine.draw(500, seed=seed)
        phases = Phase(data, machine.hidden_mean(data), None), Phase(v, machine.hidden_mean(v), None)
        centering = Centering(*map(backend.array, offsets), 0.0, 0.0)
        params, velocity = Params(machine.W.copy(), machine.b.copy(), machine.c.copy()), Params(*map(np.copy, zero))
        backend.update(params, velocity, *phases, (1 / len(data), 1 / len(v)), Hyper(1.0, 0.0, 0.0), centering)
        found.append(np.concatenate([velocity.W.ravel(), params.b - machine.b, params.c - machine.c]))
    gW, gb, gc = machine.gradient(data)
    gW = gW - np.outer(offsets[0], gc) - np.outer(gb, offsets[1])
    exact = np.concatenate([gW.ravel(), gb - gW @ offsets[1], gc - gW.T @ offsets[0]])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * error + 1e-12).all()
    assert np.abs(exact).max() > 20 * error.max()


# ---- in fits


def exact_log_p(rbm, X):
    """Mean log-likelihood of rows under a small fitted machine."""
    machine = Machine(X.shape[1], rbm.n_components)
    machine.W, machine.b, machine.c = rbm.components_.T, rbm.intercept_visible_, rbm.intercept_hidden_
    return machine.log_p(X).mean()


def mostly_off(n=300, width=12, seed=0):
    """Rows of few ones that come in two kinds."""
    draw = np.random.default_rng(seed)
    kinds = np.where(np.arange(width) < width // 2, 0.3, 0.02), np.where(np.arange(width) < width // 2, 0.02, 0.3)
    return (draw.random((n, width)) < np.array(kinds)[draw.integers(0, 2, n)]).astype(np.float32)


@pytest.mark.parametrize("centering", ["data", "enhanced"])
def test_likelihood_does_not_depend_on_flips(centering):
    """Trained on X and on 1 - X a centred machine reaches the same exact likelihood, the plain one a worse one on 1 - X."""
    X, seeds = mostly_off(), range(8)
    options = {"n_iter": 15, "batch_size": 10, "learning_rate": 0.3, "momentum": 0.0, "weight_decay": 0.0}
    options |= {"persistent": True, "n_chains": 10}

    def reached(Y, centering):
        return np.array([exact_log_p(RBM(6, **options, centering=centering, random_state=s).fit(Y), Y) for s in seeds])

    up, down = reached(X, centering), reached(1 - X, centering)
    error = np.sqrt((up.var(ddof=1) + down.var(ddof=1)) / len(seeds))
    assert abs(up.mean() - down.mean()) < 4 * error
    plain = reached(1 - X, None)
    error = np.sqrt((plain.var(ddof=1) + down.var(ddof=1)) / len(seeds))
    assert plain.mean() < down.mean() - 4 * error


def everything(rbm):
    """All that a fit leaves, as bytes."""
    parts = rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_, *rbm._velocity, *rbm._extras.values()
    return b"".join(np.ascontiguousarray(x).tobytes() for x in parts)


@pytest.mark.parametrize("persistent", [False, True])
def test_going_on(persistent, tmp_path):
    """Two epochs and two more are four, also after a file; offsets are part of what is kept."""
    options = {"centering": "enhanced", "persistent": persistent, "learning_rate": 0.05, "random_state": 0, "batch_size": 32}
    X = mostly_off()
    whole = RBM(6, n_iter=4, **options).fit(X)
    half = RBM(6, n_iter=2, warm_start=True, **options).fit(X)
    half.save(tmp_path / "half")
    assert everything(half.fit(X)) == everything(load(tmp_path / "half").fit(X)) == everything(whole)
    mean = X.mean(axis=0)
    assert np.abs(whole._extras["offset_v"] - mean).max() < 0.1
    assert not np.array_equal(whole._extras["offset_v"], mean)


def test_start_and_change_of_mind():
    """A centred machine begins with centred biases: the data's mean at the hidden offsets, half at the visible ones. Centring may
    begin or end with a later fit, which itself moves nothing."""
    X = mostly_off()
    rbm = RBM(6, n_iter=0, centering="data", random_state=0, warm_start=True).fit(X)
    plain = RBM(6, n_iter=0, centering=None, random_state=0, warm_start=True).fit(X)
    W = rbm.components_.T
    assert np.array_equal(W, plain.components_.T)
    np.testing.assert_allclose(rbm.intercept_visible_ + W @ np.full(6, 0.5), plain.intercept_visible_, atol=1e-6)
    np.testing.assert_allclose(rbm.intercept_hidden_ + W.T @ rbm._extras["offset_v"], 0, atol=1e-6)
    np.testing.assert_allclose(rbm._extras["offset_v"], naive.sigmoid(plain.intercept_visible_), atol=1e-6)
    before = everything(plain)
    assert everything(plain.set_params(centering="data").fit(X)) == before
    assert plain.set_params(n_iter=1).fit(X)._extras
    assert not plain.set_params(centering=None).fit(X)._extras


def test_layers_of_a_network(tmp_path):
    """Each is centred as its RBM says, in fits, files and continued fits."""
    X, rbms = mostly_off(), [RBM(centering="data", n_iter=1), RBM(centering=None, n_iter=1)]
    network = DBN((5, 4), rbm=rbms, random_state=0, warm_start=True).fit(X)
    first = RBM(5, centering="data", n_iter=1, random_state=0).fit(X)
    assert everything(network.layers_[0]) == everything(first)
    assert network.layers_[0]._extras
    assert not network.layers_[1]._extras
    network.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    assert [rbm.get_params() for rbm in copy.rbm] == [rbm.get_params() for rbm in network.rbm]
    assert everything(network.fit(X).layers_[0]) == everything(copy.fit(X).layers_[0]) != everything(first)
    assert [rbm.centering for rbm in DBN.stack(network.layers_).rbm] == ["data", None]


def test_refused():
    with pytest.raises(ValueError, match="centering='model': give one of 'auto', 'data', 'enhanced', None"):
        RBM(3, centering="model").fit(mostly_off())
    with pytest.raises(ValueError, match="centering='data' does not go with missing='drop'"):
        RBM(3, centering="data", missing="drop").fit(mostly_off())
