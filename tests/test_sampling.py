"""Sampling methods against enumeration: odds of exchanges, laws of draws, and what makes both reproducible."""

import itertools

import exact
import numpy as np
import pytest
from naive import bits, sigmoid
from test_generative import classifier
from test_protocol import sealed

from fastdbn import DBN, RBM, GenerativeDBNClassifier, Machine, load
from fastdbn.backends import devices
from fastdbn.backends.cpu.backend import CPU
from fastdbn.estimators import starts
from fastdbn.sampling import ladder, stacked
from fastdbn.sampling.sampler import Task
from fastdbn.sampling.stacked import Stacked
from fastdbn.sampling.tempering import Tempering

TWO_MODES = exact.Machine(6, 4, seed=0, scale=0.3)
"""All visible units on, or all off: Gibbs steps hardly ever go from one to the other."""
TWO_MODES.W += 2.5
TWO_MODES.b, TWO_MODES.c = -TWO_MODES.W.sum(axis=1) / 2, -TWO_MODES.W.sum(axis=0) / 2
BELOW, ABOVE = exact.Machine(5, 4, seed=1, scale=1.5), exact.Machine(4, 3, seed=2, scale=1.5)


def rbm(machine, **params):
    return exact.as_rbm(machine.W, machine.b, machine.c, **params)


def stack(**params):
    return DBN.stack([rbm(BELOW, **params), rbm(ABOVE, **params)])


def task(machines, layer, n, found=None, seed=0):
    return Task(machines, layer, np.arange(n, dtype=np.uint32), seed, 0, lambda: found)


def agree(drawn, states, law):
    """Shares of states among draws are probabilities, within their errors."""
    found = (drawn[:, None] == states).all(axis=2).mean(axis=0)
    assert (np.abs(found - law) < 5 * np.sqrt(law * (1 - law) / len(drawn)) + 5 / len(drawn)).all()


def law_of_hidden(machine):
    """p(h) of an exact machine, by its own enumeration."""
    weight = np.exp(machine.H @ machine.c + np.log1p(np.exp(machine.H @ machine.W.T + machine.b)).sum(axis=1))
    return weight / weight.sum()


# ---- odds of an exchange


def test_stacked_exchanges_are_in_detailed_balance():
    """p(x, y) P(x, y -> y, x) = p(y, x) P(y, x -> x, y) for all pairs of states, with P from the sampler's odds."""
    x, y = (np.array(states) for states in zip(*itertools.product(bits(4), repeat=2), strict=True))
    chains = Stacked(task(stack(dtype="float64")._machines(), 0, len(x)))
    chains.chains[0].h[:], chains.chains[1].v[:] = x, y
    accepted = np.minimum(1, np.exp(chains.log_odds(np.array([0])))).reshape(16, 16)
    flow = np.multiply.outer(law_of_hidden(BELOW), ABOVE.p_v()) * accepted
    assert np.allclose(flow, flow.T, rtol=1e-10)
    assert flow.max() > 1e-3


def test_tempered_exchanges_are_in_detailed_balance():
    """The same between neighbours of a ladder, whose laws are enumerated from the formula."""
    machine, base = TWO_MODES, np.linspace(-1, 1, 6)
    betas = np.array([0.001, 0.4, 1.0])
    logs = [machine.V @ ((1 - beta) * base + beta * machine.b) for beta in betas]
    logs = [
        x + np.log1p(np.exp(beta * (machine.V @ machine.W + machine.c))).sum(axis=1) for x, beta in zip(logs, betas, strict=True)
    ]
    x, y = (np.array(states) for states in zip(*itertools.product(machine.V, repeat=2), strict=True))
    found = ladder.Ladder(betas, base, None)
    chains = Tempering(task([rbm(machine, dtype="float64").machine_], 0, len(x), found))
    for i in range(2):
        chains.chains[i].v[:], chains.chains[i + 1].v[:] = x, y
        flow = np.exp(np.add.outer(logs[i], logs[i + 1])) * np.minimum(1, np.exp(chains.log_odds(np.array([i])))).reshape(64, 64)
        assert np.allclose(flow, flow.T, rtol=1e-10)


@pytest.mark.parametrize(("layer", "most"), [(0, -1), (1, -1), (0, 10)])
def test_sweeps_leave_the_laws_of_all_layers(layer, most, monkeypatch):
    """Chains that begin at exact draws of both layers still have these laws after sweeps with both roles of each layer."""
    monkeypatch.setattr(stacked, "BITS", most)
    n, draw = 20000, np.random.default_rng(layer)
    chains = Stacked(task(stack()._machines(), layer, n, seed=layer))
    for machine, chain in zip((BELOW, ABOVE), chains.chains, strict=True):
        chain.v[:] = machine.draw(n, layer)
        chain.h[:] = draw.random((n, len(machine.c))) < sigmoid(chain.v @ machine.W + machine.c)
    chains.run(0, 3)
    agree(chains.chains[0].v, BELOW.V, BELOW.p_v())
    agree(chains.chains[0].h, BELOW.H, law_of_hidden(BELOW))
    agree(chains.chains[1].v, ABOVE.V, ABOVE.p_v())
    assert (chains.accepted / chains.proposed > 0.2).all() and chains.trips > n / 10


@pytest.mark.parametrize(
    ("visible", "hidden", "dtype", "shapes"),
    [
        ("bernoulli", "bernoulli", "float32", [(1, 1, 1, 2), (7, 3, 5, 3), (16, 12, 70, 5), (70, 65, 9, 4), (300, 130, 70, 3)]),
        ("spin", "spin", "float64", [(7, 3, 5, 3), (70, 33, 9, 2)]),
        pytest.param("softmax", "bernoulli", "float32", [(9, 6, 20, 4)], marks=pytest.mark.slow),
        pytest.param("bernoulli", "softmax", "float32", [(9, 6, 20, 4), (300, 270, 20, 3)], marks=pytest.mark.slow),
        pytest.param("gaussian", "bernoulli", "float32", [(16, 12, 30, 4)], marks=pytest.mark.slow),
    ],
)
def test_sweeps_in_one_call_have_the_bits_of_single_operations(visible, hidden, dtype, shapes, monkeypatch):
    """At any number of threads, in calls of one sweep and of several; of states, means, fields and counts."""

    def swept(n_units, n_hidden, n, rungs, n_jobs=1):
        draw = np.random.default_rng(n_units)
        params = (draw.normal(size=size).astype(dtype) for size in ((n_units, n_hidden), n_units, n_hidden))
        machine = Machine(*params, visible, hidden, dtype=dtype, n_jobs=n_jobs)
        found = ladder.Ladder(np.linspace(0.001, 1, rungs) ** 2, draw.normal(size=n_units), None)
        chains = Tempering(task([machine], 0, n, found))
        chains.spread()
        chains.run(0, 1)
        chains.run(1, 8)
        arrays = *(x for chain in chains.chains for x in chain[:4]), chains.accepted, chains.proposed, np.array(chains.trips)
        return [x.tobytes() for x in arrays]

    called = CPU.tempered_sweeps
    taken = []
    monkeypatch.setattr(CPU, "tempered_sweeps", lambda *x: taken.append(called(*x)) or taken[-1])
    found = [[swept(*shape, n_jobs) for n_jobs in (1, 2)] for shape in shapes]
    assert all(x is not None for x in taken[: len(shapes)])
    monkeypatch.setattr(CPU, "tempered_sweeps", lambda *_: None)
    for shape, (one, two) in zip(shapes, found, strict=True):
        assert swept(*shape) == one == two


# ---- laws of draws


def test_a_top_of_few_states_is_drawn_anew():
    """A step of stacked tempering takes it from one mode to both, by their probabilities."""
    lower = exact.Machine(5, 6, seed=3, scale=1.5)
    chains = Stacked(task(DBN.stack([rbm(lower), rbm(TWO_MODES)])._machines(), 1, 2000))
    chains.start(np.ones((2000, 6), np.float32), True)
    chains.run(0, 1)
    agree(chains.drawn, TWO_MODES.V, TWO_MODES.p_v())


def test_tempering_goes_from_mode_to_mode():
    """From all units on, Gibbs sampling stays there; tempering draws from both modes by their probabilities."""
    model, ones, law = rbm(TWO_MODES), np.ones((2000, 6)), TWO_MODES.p_v()
    stuck = model.sample(start=ones, n_steps=20, method="gibbs", random_state=0)
    assert stuck.mean() > 0.9
    agree(model.sample(start=ones, n_steps=40, method="tempering", random_state=0), TWO_MODES.V, law)
    agree(model.sample(2000, n_steps=20, method="tempering", random_state=1), TWO_MODES.V, law)


def test_draws_of_a_network():
    """By every method those of the network: the top's states, passed down; and with layer=0 those of the first RBM."""
    model, n = stack(), 4000
    down = np.prod(np.where(BELOW.V[None] == 1, p := sigmoid(ABOVE.V @ BELOW.W.T + BELOW.b)[:, None], 1 - p), axis=2)
    for method in ("gibbs", "tempering", "stacked"):
        agree(model.sample(n, 50, random_state=3, method=method), BELOW.V, ABOVE.p_v() @ down)
        agree(model.sample(n, 50, random_state=4, method=method, layer=0), BELOW.V, BELOW.p_v())
    assert np.array_equal(model.sample(3, 5, random_state=0, layer=0), model.layers_[0].sample(3, 5, random_state=0))


def test_draws_of_classes():
    """Tempering with labels: those of one class, of given classes, and of all."""
    top = exact.LabelledMachine(4, 2, 3, seed=3, scale=2.0)
    model, states = classifier(top), top.V[::2, :4]
    p = top.p_v().reshape(-1, 2)
    for label, law in ((0, p[:, 0]), (1, p[:, 1]), (None, p.sum(axis=1))):
        drawn = model.sample(4000, 30, random_state=5, label=label, method="tempering")
        agree(drawn, states, law / law.sum())
    each = np.arange(300) % 2
    assert np.array_equal(
        model.sample(300, 5, random_state=1, label=each, method="tempering")[1::2],
        model.sample(300, 5, random_state=1, label=1, method="tempering")[1::2],
    )


# ---- ladders


def test_ladder():
    """Neighbours accept as often as they should; the base has the model's means, but for the pull to the middle."""
    W, zeros = np.random.default_rng(0).normal(size=(40, 30)), np.zeros(40)
    found = ladder.find(exact.as_rbm(W, zeros, zeros[:30]).machine_)
    assert found.betas[-1] == 1 and (np.diff(found.betas) > 0).all() and len(found.betas) > 3
    assert (np.abs(found.acceptance - ladder.ACCEPTANCE) < 0.2).all()
    smoothed = 0.95 * (BELOW.p_v() @ BELOW.V) + 0.025
    assert np.abs(sigmoid(ladder.find(rbm(BELOW).machine_).base) - smoothed).max() < 0.06
    assert np.allclose(ladder.equalised(np.array([0, 0.5, 1.0]), np.array([1.0, 1.0]), 0.5), [0, 0.25, 0.5, 0.75, 1])
    assert len(ladder.equalised(np.array([0, 1.0]), np.array([0.0]), 0.5)) == 2


def test_ladder_follows_the_parameters():
    """It is found once, and again when parameters are replaced."""
    model, finds = rbm(BELOW), []
    find = ladder.find
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "find", lambda machine: finds.append(1) or find(machine))
        for _ in range(2):
            model.sample(2, 2, method="tempering")
        model.intercept_hidden_ = model.intercept_hidden_ + 1
        model.sample(2, 2, method="tempering")
    assert len(finds) == 2


# ---- reproducibility and refusals


def test_draws_depend_on_the_seed_alone():
    """Not on threads, nor on how many chains run beside one."""
    for method in ("tempering", "stacked"):
        model = stack(n_jobs=1)
        one = model.sample(300, 4, random_state=0, method=method)
        model.n_jobs = 2
        assert np.array_equal(one, model.sample(300, 4, random_state=0, method=method))
        assert np.array_equal(one[:7], model.sample(7, 4, random_state=0, method=method))
        assert not np.array_equal(one, model.sample(300, 4, random_state=1, method=method))


def test_methods_ask_nothing_of_buffers(monkeypatch):
    """Draws through sealed buffers are those of the CPU, bit for bit."""
    labelled = classifier(exact.LabelledMachine(4, 2, 3, seed=3))

    def draws():
        found = [stack().sample(5, 3, random_state=0, method=method, layer=0) for method in ("tempering", "stacked")]
        labelled.n_jobs = 1 if labelled.n_jobs is None else None  # drops the machine
        return [*found, *(labelled.sample(5, 3, random_state=0, method="tempering", label=label) for label in (None, 1))]

    expected = draws()
    monkeypatch.setattr(devices, "get_backend", sealed)
    assert all(map(np.array_equal, draws(), expected))


def test_ladders_are_found_anew(monkeypatch):
    """For other arrays, and in another precision, so that draws do not depend on what was drawn before."""
    found = []
    monkeypatch.setattr(ladder, "find", lambda machine: found.append(machine.backend.dtype.name))
    model = rbm(BELOW)
    for change in ({}, {"verbose": 1}, {"dtype": "float64"}):
        model.set_params(**change)._ladder()
    model.intercept_hidden_ = model.intercept_hidden_ + 1
    model._ladder()
    assert found == ["float32", "float64", "float64"]


def test_refusals():
    """A method that cannot draw from a model says why, and what to give; "auto" takes Gibbs sampling then."""
    counts = RBM(3, visible="replicated-softmax", n_iter=0, random_state=0).fit(np.eye(4, dtype=int) + 1)
    untied = stack()
    untied.up_down(BELOW.V, 1)
    labelled = classifier(exact.LabelledMachine(4, 2, 3, seed=3))
    for model, method, message in (
        (rbm(BELOW), "stacked", "method='stacked' is for networks of two layers or more"),
        (counts, "tempering", "method='tempering' is not for visible units that count"),
        (untied, "stacked", "method='stacked' is not for layers whose weights were untied"),
        (labelled, "stacked", "method='stacked' is for networks of two layers"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(2, 2, method=method)
    with pytest.raises(ValueError, match="untied"):
        untied.sample(2, 2, method="tempering", layer=0)
    assert untied.sample(2, 2, method="tempering").shape == (2, 5)
    assert np.array_equal(counts.sample(2, 2, random_state=0), counts.sample(2, 2, random_state=0, method="gibbs"))
    rows = BELOW.V[:3]
    assert np.array_equal(stack().sample(start=rows, n_steps=2), stack().sample(start=rows, n_steps=2, method="gibbs"))


# ---- where chains of networks begin


def two_modes(n=200):
    """Rows near all ones, with label 1, in a quarter of the cases, and near all zeros, with label 0."""
    draw = np.random.default_rng(0)
    y = (np.arange(n) % 4 == 0).astype(int)
    return np.abs(y[:, None] - (draw.random((n, 8)) < 0.02)).astype(np.float32), y


def test_networks_begin_at_states_of_the_fit(tmp_path):
    """By default in the modes of the data and by their shares, also from a file; from nowhere after partial_fit."""
    X, _ = two_modes()
    model = DBN((6, 4), rbm=RBM(n_iter=40, learning_rate=0.3, batch_size=10), random_state=0).fit(X)
    assert model.starts_.shape == (200, 4)
    assert 0.15 < (model.sample(400, random_state=0).mean(axis=1) > 0.5).mean() < 0.35
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").sample(9, random_state=0), drawn := model.sample(9, random_state=0))
    assert np.array_equal(drawn[:4], model.sample(4, random_state=0))
    assert np.array_equal(drawn, model.sample(9, 10, random_state=0))
    random = model.sample(9, 10, random_state=0, start="random")
    assert not np.array_equal(drawn, random)
    assert np.array_equal(model.sample(9, random_state=0, start="random"), model.sample(9, 1000, 0, start="random"))
    model.partial_fit(X)
    assert model.starts_ is None
    with pytest.raises(ValueError, match="start='nowhere'"):
        model.sample(2, start="nowhere")


def test_means_of_a_network():
    """They are those of a mean-field pass down from the means of the last step."""
    model, rows = stack(), BELOW.V[:9]
    first, top = (rbm.machine_ for rbm in model.layers_)
    below = top.gibbs(model._draw_up(rows, 1, 0, 0), 3, random_state=0).v_mean
    assert np.array_equal(model.sample(None, 3, 0, mean=True, start=rows), first.visible(below))


def test_rows_where_chains_begin():
    """They are drawn by their weights; rows without labels or values are left out, and rare classes have some."""
    X, labels, weights = np.zeros((3000, 2)), np.zeros((3000, 3)), np.ones(3000)
    labels[:, 0], labels[2900:, 0], labels[2900:2990, 1], labels[2990:, 2] = 1, 0, 1, 1
    labels[0], X[1], weights[2] = 0, np.nan, 0
    rows = starts.rows_of(0, X, weights, labels)
    assert len(set(rows)) == len(rows) and not {0, 1, 2} & set(rows)
    assert labels[rows].sum(axis=0)[1:].tolist() == [64, 10]
    kept, classes = np.arange(6.0)[:, None], np.array([0, 0, 0, 0, 1, 1])
    wanted = np.array([1, 0, 1, 0, 1, 2])
    found = starts.spread(kept, 6, (0, 1), classes, wanted)
    assert set(found[[0, 2, 4], 0]) == {4, 5} and (found[[1, 3], 0] < 4).all()
    assert np.array_equal(found[:3], starts.spread(kept, 3, (0, 1), classes, wanted[:3]))
    assert sorted(starts.spread(kept, 12, (0, 1))[:, 0]) == sorted([*range(6)] * 2)


def test_classes_begin_at_states_of_their_own():
    """After no step at all, draws of a class are of it."""
    X, y = two_modes()
    options = {"rbm": RBM(n_iter=30, learning_rate=0.3, batch_size=10), "up_down_iter": 20}
    model = GenerativeDBNClassifier((6, 4), random_state=0, **options).fit(X, y)
    for label in (0, 1):
        assert np.abs(model.sample(50, 1, random_state=0, label=label).mean() - label) < 0.1
    assert 0.15 < (model.sample(400, random_state=0).mean(axis=1) > 0.5).mean() < 0.35
