"""Up-down: each of its updates against exact gradients, and what whole runs reach."""

import itertools

import naive
import numpy as np
import pytest
from exact import LabelledMachine, Machine, bars_and_stripes
from naive import log_bernoulli, numerical_gradient, sigmoid

from fastdbn import DBN, RBM, DivergenceError
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Source
from fastdbn.estimators.machines import downward
from fastdbn.maths.optim import step_hyper
from fastdbn.training.updown import Directed, Schedule, Untied, UpDown
from fastdbn.units import get_unit

SIZES = 5, 4, 3
"""Visible units, those above them, those under the top."""


def network(top, X, labels=None, depth=2, seed=0):
    """A run of a net of 5-4-3 untied Bernoulli units under a top machine, in float64, and the state that it begins with."""
    draw = np.random.default_rng(seed)
    sizes = SIZES[len(SIZES) - depth - 1 :]
    pairs = list(itertools.pairwise(sizes))
    recognition = [Directed(draw.normal(size=(n, m)), draw.normal(size=m)) for n, m in pairs]
    generative = [Directed(draw.normal(size=(m, n)), draw.normal(size=n)) for n, m in pairs]
    params = Params(top.W, top.b, top.c)
    state = Untied(recognition, generative, params, Params(*(np.zeros_like(x) for x in params)), 0, 0)
    backend, units = get_backend(1, "float64"), [get_unit("bernoulli")] * (depth + 2)
    schedule = Schedule(1.0, 1.0, 0.0, 0.0, 1, len(X), 1)
    return UpDown(backend, units, backend.load(Source(X)), len(X), labels, schedule, 3, depth, state), state


def step(net, k, rows=None, weights=None):
    """One minibatch, of all rows by default, at rate 1; what its two losses were, and the state after it."""
    hypers = Hyper(1.0, 0.0, 0.0), step_hyper("float64", "sgd", 1.0, 0.0, 1, 0.0)
    rows = np.arange(net.n_rows, dtype=np.uint32) if rows is None else rows
    labels = None if net.labels is None else net.labels[rows]
    return net.minibatch(rows, labels, weights, k, *hypers), net.state()


def flat(state):
    """All numbers of a state."""
    parts = [*state.top, *state.velocity, *(x for d in (*state.recognition, *state.generative) for x in d)]
    return np.concatenate([x.ravel() for x in parts])


@pytest.mark.parametrize("depth", [0, 2])
def test_weights_of_rows_count_as_repeated_rows(depth):
    """By hand, row by row at the sampled states; and as a minibatch in which each row stands as often as it weighs."""
    draw, times = np.random.default_rng(3), np.array([1, 2, 3, 0])
    X, labels = (draw.random((7, SIZES[2 - depth])) < 0.5).astype(float), np.eye(2)[np.arange(7) % 2]
    nets = [network(LabelledMachine(3, 2, 2, seed=5), X, labels, depth) for _ in range(2)]
    (net, before), (other, _) = nets
    rows, weights = np.arange(4, dtype=np.uint32), times / times.mean()
    losses, after = step(net, 2, rows, weights)
    sums, repeated = step(other, 2, np.repeat(rows, times))
    assert np.allclose(flat(after), flat(repeated), rtol=1e-12, atol=1e-12)
    assert np.allclose(losses, np.multiply(sums, 4 / 6))
    v, chain, (W, _, c) = net.positive.v[:4], net.negative.v[:4], before.top
    h, chain_h = (weights[:, None] * sigmoid(x @ W + c) for x in (v, chain))
    gradients = naive.statistics(v, h, chain, chain_h, 1 / 4, 1 / 4, weights)
    for a, b, g in zip(before.top, after.top, gradients, strict=True):
        assert np.allclose(b - a, g, rtol=1e-12, atol=1e-12)
    for i in range(depth):
        error = net.wake[i][:4] - sigmoid(net.wake[i + 1][:4] @ before.generative[i].W + before.generative[i].bias)
        change = sum(w * np.outer(up, e) for w, up, e in zip(weights, net.wake[i + 1], error, strict=False)) / 4
        assert np.allclose(after.generative[i].W - before.generative[i].W, change, rtol=1e-12, atol=1e-12)


def test_wake_and_sleep_are_gradients_at_the_sampled_states():
    """G moves by the gradient of log p(h below | h above) at wake states, R by that of log q(s above | s below) at fantasies."""
    X = (np.random.default_rng(1).random((7, 5)) < 0.5).astype(float)
    net, before = network(Machine(3, 2), X)
    losses, after = step(net, 2)
    asleep = [*net.asleep, net.labelled.states]
    total = [0.0, 0.0]
    for i in range(2):
        for which, old, new, given, target in (
            (0, before.generative[i], after.generative[i], net.wake[i + 1], net.wake[i]),
            (1, before.recognition[i], after.recognition[i], asleep[i], asleep[i + 1]),
        ):
            assert set(np.unique(target)) <= {0.0, 1.0} or target is net.means[0]
            gradient = numerical_gradient(lambda W, bias, x=target, y=given: log_bernoulli(x, y, W, bias), *old)
            for a, b, g in zip(old, new, gradient, strict=True):
                assert np.allclose(b - a, g, atol=1e-8)
            total[which] -= 7 * log_bernoulli(target, given, *old)
    assert np.allclose(losses, total)
    assert np.array_equal(net.wake[0], X)
    assert np.allclose(net.means[0], sigmoid(net.asleep[1] @ before.generative[0].W + before.generative[0].bias))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("labelled", [False, True])
def test_top_update_is_the_expectation_of_cd(k, labelled):
    """The mean step of the top is the exact CD-k gradient from the wake states and labels, and not that of another k."""
    n, draw = 120_000, np.random.default_rng(2)
    top = LabelledMachine(3, 2, 2, seed=5, scale=2.0) if labelled else Machine(3, 2, seed=5, scale=2.0)
    X = (draw.random((n, 4)) < 0.4).astype(float)
    labels = np.eye(2)[(X[:, 0] + draw.integers(0, 2, n) > 1).astype(int)] if labelled else None
    net, before = network(top, X, labels, depth=1)
    _, after = step(net, k)
    wake = net.positive.v
    assert np.array_equal(wake[:, :3], net.wake[1])
    place = {tuple(v): i for i, v in enumerate(top.V)}
    share = np.bincount([place[tuple(v)] for v in wake], minlength=len(top.V)) / n
    q = sigmoid(X @ before.recognition[0].W + before.recognition[0].bias)
    assert (np.abs(net.wake[1].mean(axis=0) - q.mean(axis=0)) < 5 * 0.5 / np.sqrt(n)).all()
    for steps in (1, 3):
        chain = share @ np.linalg.matrix_power(top.transition(), steps)
        expected = [a - b for a, b in zip(top.moments(share), top.moments(chain), strict=True)]
        error = max(np.abs(new - old - e).max() for new, old, e in zip(after.top, before.top, expected, strict=True))
        assert (error < 5 * 0.5 / np.sqrt(n)) == (steps == k)


@pytest.mark.parametrize("k", [1, 40])
def test_rows_without_labels(k):
    """The mean step of the top is exact CD-k with the labels that are missing averaged over their posterior.

    So after many steps it is the gradient of log p(v, y), or of log p(v) where there is no label.
    """
    n, draw = 100_000, np.random.default_rng(2)
    top = LabelledMachine(3, 2, 2, seed=5, scale=1.5)
    X, known = (draw.random((n, 3)) < 0.4).astype(float), draw.random((n, 1)) < 0.3
    labels = np.eye(2)[(X[:, 0] > 0).astype(int)] * known
    net, before = network(top, X, labels, depth=0)
    net.schedule = net.schedule._replace(k=k)
    net.epoch()
    steps = [new - old for new, old in zip(net.state().top, before.top, strict=True)]
    first = 2 * (X @ [4, 2, 1]).astype(int)  # the number of the state with label 0
    target = np.where(known, labels, top.posterior(X))
    share = np.bincount(first, target[:, 0], 16) + np.bincount(first + 1, target[:, 1], 16)
    chain = share @ np.linalg.matrix_power(top.transition(), k)
    expected = [(a - b) / n for a, b in zip(top.moments(share), top.moments(chain), strict=True)]
    for step, e in zip(steps, expected, strict=True):
        assert (np.abs(step - e) < 5 * 0.5 / np.sqrt(n)).all()

    def objective(W, b, c):
        top.W, top.b, top.c = W, b, c
        log_p = top.log_p(top.V).reshape(8, 2)
        of_row = np.where(known[:, 0], log_p[first // 2, (X[:, 0] > 0).astype(int)], np.logaddexp(*log_p.T)[first // 2])
        return of_row.mean()

    gradient = numerical_gradient(objective, *before.top, step=1e-4)
    error = max(np.abs(e - g).max() for e, g in zip(expected, gradient, strict=True))
    assert (error < 1e-5) == (k > 1)


def log_likelihood(dbn, X):
    """The exact sum of log p(x) of a DBN of two layers small enough to enumerate."""
    first, top = dbn.layers_
    machine = Machine(*top.components_.T.shape)
    machine.W, machine.b, machine.c = top.components_.T, top.intercept_visible_, top.intercept_hidden_
    return np.log(machine.p_v() @ machine._conditional(machine.V @ downward(first) + first.intercept_visible_, X)).sum()


def test_up_down_raises_the_likelihood():
    """On bars and stripes the exact log-likelihood of the network rises by nats; scores and samples are of the new weights."""
    patterns = bars_and_stripes(3)
    X = np.repeat(patterns, 10, axis=0)
    dbn = DBN(
        (8, 8), rbm=RBM(visible="bernoulli", batch_size=14, n_iter=300, learning_rate=0.1), dtype="float64", random_state=0
    ).fit(X)
    before, features = log_likelihood(dbn, patterns), dbn.transform(patterns)
    dbn.up_down(X, 200, learning_rate=0.05, n_gibbs=3)
    after = log_likelihood(dbn, patterns)
    assert before + 3 < after < -14 * np.log(14)
    assert not np.allclose(dbn.transform(patterns), features)
    first, top = dbn.layers_
    assert np.array_equal(dbn.transform(patterns, 0), first.transform(patterns))
    down = sigmoid(top.inverse_transform(dbn.transform(patterns)) @ first.generative_components_ + first.intercept_visible_)
    assert np.allclose(dbn.reconstruct(patterns), down)
    machine = Machine(*top.components_.T.shape)
    machine.W, machine.b, machine.c = top.components_.T, top.intercept_visible_, top.intercept_hidden_
    bound = dbn.score_samples(patterns, 300).sum() - 14 * machine.log_z()
    assert after - 8 < bound < after + 0.3
    drawn = dbn.sample(400, 200, random_state=0)
    hits = (drawn[:, None] == patterns).all(axis=2).any(axis=1).mean()
    assert hits > 0.7


def test_runs_go_on_where_they_ended(binary):
    """Twice two epochs are four, at any number of threads; greedy training of untied weights is refused."""
    X = binary(90, 7)
    models = [DBN((6, 5, 4), rbm=RBM(n_iter=2), n_jobs=n, random_state=0).fit(X) for n in (1, 2, 2)]
    models[0].up_down(X, 4, n_gibbs=[1, 1, 2], learning_rate=0.1)
    models[1].up_down(X, 4, n_gibbs=[1, 1, 2], learning_rate=0.1)
    for _ in range(2):
        models[2].up_down(X, 2, n_gibbs=[1, 1, 2], learning_rate=0.1)
    for model in models[1:]:
        assert np.array_equal(model.transform(X), models[0].transform(X))
        assert np.array_equal(model.reconstruct(X), models[0].reconstruct(X))
        assert model.up_down_iter_ == len(model.up_down_history_["seconds"]) == 4
    with pytest.raises(ValueError, match="untied by up_down"):
        models[0].partial_fit(X)
    assert not hasattr(models[0].fit(X), "up_down_iter_")
    assert not hasattr(models[0].layers_[0], "generative_components_")


@pytest.mark.parametrize(("visible", "rates"), [("bernoulli", (0.05, 0.2)), ("gaussian", (0.005, 0.2))])
def test_customary_rates(visible, rates, binary):
    """None takes the rates of the units, which fall to 0; a rate that is given alone is the top's too."""
    X = binary(60, 7)

    def after(*rates):
        dbn = DBN((6, 5, 4), rbm=RBM(visible=visible, scale="none", n_iter=1), random_state=0).fit(X)
        layers = dbn.up_down(X, 2, learning_rate=rates[0], top_learning_rate=rates[1]).layers_
        return np.concatenate([rbm.components_.ravel() for rbm in layers])

    assert np.array_equal(after(None, None), after(*([rate, rate / 2] for rate in rates)))
    assert np.array_equal(after(0.1, None), after(0.1, 0.1))
    assert not np.array_equal(after(None, None), after(rates[0], rates[0]))


def test_divergence_callbacks_and_bad_arguments(binary):
    """A diverging run names the rate and keeps the last good weights; StopIteration ends a run."""
    X = binary(60, 7)
    seen = []

    def stop(estimator, layer, epoch, metrics):
        if layer == "up-down":
            seen.append((epoch, metrics["wake_loss"]))
            raise StopIteration

    dbn = DBN((5, 4), rbm=RBM(n_iter=1), callbacks=[stop], random_state=0).fit(X).up_down(X, 5)
    assert len(seen) == dbn.up_down_iter_ == 1
    dbn.callbacks = None
    before = dbn.transform(X)
    with pytest.raises(DivergenceError, match="up-down diverged in epoch 2"):
        dbn.up_down(X, 3, learning_rate=1e10, weight_decay=1e10, batch_size=10)
    assert np.array_equal(dbn.transform(X), before)
    for options in ({"n_iter": -1}, {"n_gibbs": 0}, {"learning_rate": -1.0}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            dbn.up_down(X, **options)
