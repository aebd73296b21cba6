"""Likelihoods and bounds as sums over all x: exp of an exact one adds up to 1, of a bound to at most 1, for every class."""

import exact
import naive
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from small import ESTIMATORS, binary, each_estimator

from fastdbn import DBN, RBM, BernoulliRBM, DBNOutlierDetector, GenerativeDBNClassifier, evaluate
from fastdbn.evaluate.ais import base_biases
from fastdbn.units import get_unit

ALL, X, Y = naive.bits(6), binary(60, 6), np.arange(60) % 3
NETWORKS = [DBN, DBNOutlierDetector, GenerativeDBNClassifier]


def network(kind, sizes, up_down):
    """A network that has learned enough for its labels, where it has them, to matter."""
    more = {"up_down_iter": 0} if kind is GenerativeDBNClassifier else {}
    rbm = RBM(n_iter=20, learning_rate=0.3, centering=None)
    model = kind(sizes, rbm=rbm, propagate="mean", random_state=0, **more).fit(X, Y)
    if up_down:
        model.up_down(X, **({"y": Y} if more else {}), n_iter=3, learning_rate=0.1)
    return model


@pytest.mark.parametrize("up_down", [False, True])
@pytest.mark.parametrize("sizes", [(5,), (5, 4)])
@pytest.mark.parametrize("kind", NETWORKS)
def test_bounds_of_networks(kind, sizes, up_down):
    """With the right log Z no bound exceeds log p(x); of one layer it is log p(x), and the tightened one tends to it."""
    model = network(kind, sizes, up_down)
    bound = evaluate.dbn_bound(model, ALL, n_samples=400, random_state=0)
    sums = [np.exp(values).sum() for values in bound]
    if len(sizes) == 1:
        assert np.allclose(sums, 1, atol=1e-5)
    else:
        assert 0.1 < sums[0] <= sums[1]
        assert np.isclose(sums[1], 1, atol=0.02)
    given = evaluate.dbn_bound(model, ALL, evaluate.log_z(model.top_rbm()), n_samples=400, random_state=0)
    assert np.array_equal(given, bound)


@pytest.mark.parametrize("make", [lambda: RBM(4, n_iter=5, random_state=0), lambda: BernoulliRBM(4, n_iter=5, random_state=0)])
def test_likelihoods_of_machines(make):
    """The same of an RBM of either class, and what AIS, exact draws, mixing and the gap say of it; names make no warning."""
    frame = pd.DataFrame(X).rename(columns=str)
    model = make().fit(frame)
    everything = pd.DataFrame(ALL, columns=frame.columns)
    log_p = evaluate.log_likelihood(model, everything)
    assert np.isclose(np.exp(log_p).sum(), 1, atol=1e-5)
    z = evaluate.log_z(model)
    assert np.allclose(evaluate.log_likelihood(model, everything, log_z=z), log_p)
    for run in (evaluate.ais, evaluate.reverse_ais):
        assert np.isclose(run(model, 50, 200, X=frame, exact=False, random_state=0).log_z, z, atol=0.1)
    assert evaluate.exact_samples(model, 3, random_state=0).shape == (3, 6)
    assert np.isfinite(evaluate.mixing(model, n_chains=5, n_steps=20, X=frame, random_state=0).values).all()
    expected = [log_p[(ALL[None] == rows[:, None]).all(axis=2).argmax(axis=1)].mean() for rows in (X[:30], X[30:])]
    assert np.isclose(evaluate.free_energy_gap(model, frame[:30], frame[30:]), expected[0] - expected[1], atol=1e-4)
    assert evaluate.pseudo_log_likelihood(model, everything).shape == (64,)


@pytest.mark.parametrize("sizes", [(5,), (5, 4)])
def test_joint_top(sizes):
    """The joint top's own likelihood adds up to 1 over states and labels; its posterior of the labels is the network's."""
    model = network(GenerativeDBNClassifier, sizes, True)
    top, n = model.top_rbm(), sizes[0] if len(sizes) == 2 else 6
    below = naive.bits(n)
    joint = np.array([evaluate.log_likelihood(top, np.c_[below, np.tile(y, (len(below), 1))]) for y in np.eye(3)]).T
    assert np.isclose(np.exp(joint).sum(), 1, atol=1e-5)
    if len(sizes) == 1:
        given = joint - np.logaddexp.reduce(joint, axis=1)[:, None]
        assert np.allclose(given, model.predict_log_proba(below), atol=1e-4)
    forward = evaluate.ais(top, 100, 300, exact=False, random_state=0)
    assert np.isclose(forward.log_z, evaluate.log_z(top), atol=0.1)


def test_joint_top_of_scaled_columns():
    """Where the one layer scales its data, the joint top scales them alike: densities over data, probabilities over labels."""
    draw = np.random.default_rng(0)
    data = np.r_[draw.normal(5, 2, (30, 1)), draw.normal(9, 1, (30, 1))]
    model = GenerativeDBNClassifier((3,), rbm=RBM(n_iter=3), up_down_iter=0, random_state=0).fit(data, np.repeat([0, 1], 30))
    x = np.linspace(-20, 35, 4001)[:, None]
    rows = [np.c_[x, np.tile(y, (len(x), 1))] for y in np.eye(2)]
    density = sum(np.exp(evaluate.log_likelihood(model.top_rbm(), part)) for part in rows)
    assert np.isclose(density.sum() * (x[1, 0] - x[0, 0]), 1, atol=1e-3)
    assert np.allclose(evaluate.dbn_bound(model, x).bound, np.log(density), atol=1e-4)


@pytest.mark.parametrize("hidden", [3, 9])
def test_log_z_of_mixed_visible_units(hidden):
    """Several parts of countable units are enumerated as one side, whichever side is smaller."""
    parts = [("bernoulli", slice(0, 2)), ("softmax", slice(2, 5)), ("spin", slice(5, 6))]
    rows = np.array([np.r_[v, y, s] for v in naive.bits(2) for y in np.eye(3) for s in (-1, 1)])
    rbm = RBM(hidden, visible=parts, n_iter=0, random_state=0, dtype="float64").fit(rows)
    rbm.components_ = np.random.default_rng(0).normal(size=rbm.components_.shape)
    assert np.isclose(np.exp(evaluate.log_likelihood(rbm, rows)).sum(), 1)
    drawn = evaluate.exact_samples(rbm, 50, random_state=0)
    assert (drawn[:, None] == rows).all(axis=2).any(axis=1).all()


@pytest.mark.parametrize("visible", ["rectified", "noisy-relu"])
def test_base_of_columns_that_are_zero(visible):
    """Units on the half-line whose training values are all zero get a finite bias, as in the fit; others hardly change."""
    rbm = exact.as_rbm(np.full((3, 2), 0.1), np.zeros(3), np.zeros(2), visible)
    rows = np.tile(np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 0.5]]), (500, 1))
    biases = base_biases(rbm, rows)
    assert np.isfinite(biases).all()
    assert np.allclose(biases[1:], get_unit(visible).link(np.array([2.0, 1.25])), rtol=0.02, atol=0.01)


FUNCTIONS = {
    "log_z": lambda model: evaluate.log_z(model),
    "exact_samples": lambda model: evaluate.exact_samples(model, 2),
    "log_likelihood": lambda model: evaluate.log_likelihood(model, X),
    "pseudo_log_likelihood": lambda model: evaluate.pseudo_log_likelihood(model, X),
    "ais": lambda model: evaluate.ais(model, 2, 2, exact=False),
    "reverse_ais": lambda model: evaluate.reverse_ais(model, 2, 2, exact=False),
    "mixing": lambda model: evaluate.mixing(model, n_chains=2, n_steps=4),
    "dbn_bound": lambda model: evaluate.dbn_bound(model, X, n_samples=1),
    "free_energy_gap": lambda model: evaluate.free_energy_gap(model, X, X),
}
MACHINES, STACKS = ("RBM", "BernoulliRBM"), tuple(kind.__name__ for kind in NETWORKS)
TAKEN = dict.fromkeys(FUNCTIONS, MACHINES) | {"dbn_bound": STACKS, "free_energy_gap": MACHINES + STACKS}
TAKEN["mixing"] = *MACHINES, "DBN", "DBNOutlierDetector"


@pytest.mark.parametrize("name", FUNCTIONS)
@each_estimator
def test_every_function_with_every_class(estimator, name):
    """A result, or an error that names the argument, the class and what to give; unfitted models are said to be so."""
    call, kind = FUNCTIONS[name], type(estimator).__name__
    if kind in TAKEN[name]:
        call(clone(estimator).fit(X, Y))
        with pytest.raises(NotFittedError):
            call(clone(estimator))
        return
    with pytest.raises(ValueError, match=f"^(model|dbn)={kind}: give a fitted"):
        call(clone(estimator).fit(X, Y))
    with pytest.raises(ValueError, match=f"^(model|dbn)={kind}: give a fitted|not fitted"):
        call(clone(estimator))


@pytest.mark.parametrize("kind", [DBN, DBNOutlierDetector])
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "dbn_bound"])
def test_a_network_of_one_layer_is_an_rbm(kind, name):
    """The numbers of its layer, where nothing is drawn."""
    network = kind((3,), rbm=RBM(n_iter=1), random_state=0).fit(X)
    found, expected = (FUNCTIONS[name](model) for model in (network, network.layers_[0]))
    assert name in ("exact_samples", "ais", "reverse_ais", "mixing") or np.array_equal(found, expected)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if TAKEN[name] == MACHINES])
def test_a_network_of_one_layer_with_labels(name):
    """Its RBM has columns for the labels too: the error says so."""
    with pytest.raises(ValueError, match=r"with labels, give its top_rbm\(\)"):
        FUNCTIONS[name](network(GenerativeDBNClassifier, (3,), False))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_estimators(name):
    with pytest.raises(ValueError, match=r"^(model|dbn)=int: give a fitted"):
        FUNCTIONS[name](3)


def test_every_function_is_in_the_table():
    """A new function that takes a model gets its line."""
    other = {"Bound", "Estimate", "Mixing", "autocorrelation", "gap", "integrated_time", "inverse_temperatures"}
    assert set(evaluate.__all__) - other == set(FUNCTIONS)
    assert len(ESTIMATORS) == 8
