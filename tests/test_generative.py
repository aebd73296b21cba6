"""The generative classifier: posteriors and samples against enumeration, and what it learns."""

import numpy as np
import pytest
from exact import LabelledMachine, Machine, condition
from naive import bits
from scipy.special import logsumexp
from sklearn.model_selection import train_test_split

from fastdbn import RBM, GenerativeDBNClassifier, load
from fastdbn.estimators import parameters
from fastdbn.estimators.wake_sleep import with_defaults
from fastdbn.units import get_unit


def classifier(top, first=None):
    """A fitted float64 classifier with the parameters of a labelled machine, and of one under it."""
    n, sizes = top.below, (len(top.c),) if first is None else (top.below, len(top.c))
    X = np.tile((first.V if first else top.V[:, :n]), (2, 1))
    y = np.arange(len(X)) % (len(top.b) - n)
    model = GenerativeDBNClassifier(
        sizes, rbm=RBM(visible="bernoulli", n_iter=0), up_down_iter=0, dtype="float64", random_state=0
    ).fit(X, y)
    machines = [(top.W[:n], top.b[:n], top.c)]
    if first:
        machines.insert(0, (first.W, first.b, first.c))
    for rbm, (W, b, c) in zip(model.layers_, machines, strict=True):
        rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_ = np.ascontiguousarray(W.T), b, c
    model.label_components_, model.label_intercept_ = np.ascontiguousarray(top.W[n:].T), top.b[n:]
    return model


@pytest.mark.parametrize("given", [0, 6, 13])
def test_imputation_of_one_layer(given):
    """Draws given the observed values have their law with the labels summed out, and means its expectation."""
    top = LabelledMachine(4, 3, 3, seed=3, scale=1.5)
    model, states, missing, n = classifier(top), top.V[::3, :4], np.array([True, False, True, False]), 4000
    row = states[given]
    law = condition(top.p_v().reshape(-1, 3).sum(axis=1), states, row, missing)
    X = np.tile(np.where(missing, np.nan, row), (n, 1))
    drawn = model.impute(X, method="sample", n_steps=60, random_state=1)
    found = (drawn[:, None] == states).all(axis=2).mean(axis=0)
    assert (np.abs(found - law) < 5 * np.sqrt(law * (1 - law) / n) + 1e-12).all()
    assert np.abs(model.impute(X, n_steps=100, random_state=1).mean(axis=0) - law @ states).max() < 0.02


def test_posterior_against_enumeration():
    """p(y | v) is exact; with a layer under the top, at its means, or as an average over its states."""
    top = LabelledMachine(4, 3, 5, seed=1, scale=1.5)
    states = top.V[::3, :4]
    exact = top.posterior(states)
    assert np.allclose(classifier(top).predict_proba(states), exact, atol=1e-12)
    joint = np.array(
        [[top.p_v()[(top.V[:, :4] == v).all(axis=1) & (top.V[:, 4 + y] == 1)].sum() for y in range(3)] for v in states]
    )
    assert np.allclose(exact, joint / joint.sum(axis=1, keepdims=True))
    first = Machine(6, 4, seed=2)
    model, q = classifier(top, first), first.hidden_mean(first.V)
    assert np.allclose(model.predict_proba(first.V), top.posterior(q), atol=1e-12)
    n, chance = 3000, first._conditional(first.V @ first.W + first.c, states)
    average = model.predict_proba(first.V, n_samples=n)
    spread = np.sqrt(np.maximum(chance @ exact**2 - (chance @ exact) ** 2, 0) / n)
    assert (np.abs(average - chance @ exact) < 5 * spread + 1e-9).all()


def test_scores_and_samples_against_enumeration():
    """Labels are summed out of scores; samples of a class have the law p(v | y), those without p(v)."""
    top = LabelledMachine(4, 2, 3, seed=3)
    model, states = classifier(top), top.V[::2, :4]
    exact = logsumexp(top.log_p(top.V).reshape(-1, 2), axis=1)
    assert np.allclose(model.score_samples(states) - top.log_z(), exact, atol=1e-10)
    n, p = 4000, top.p_v().reshape(-1, 2)
    for label, law in ((0, p[:, 0]), (1, p[:, 1]), (None, p.sum(axis=1))):
        drawn = model.sample(n, 100, random_state=5, label=label)
        found = (drawn[:, None] == states).all(axis=2).mean(axis=0)
        law = law / law.sum()
        assert (np.abs(found - law) < 5 * np.sqrt(law * (1 - law) / n)).all()
    each = np.arange(6) % 2
    assert np.array_equal(model.sample(6, 9, random_state=1, label=each), model.sample(6, 9, random_state=1, label=each))
    for label, message in (("seven", "label has labels that the fit did not have"), ([0, 1, 2], r"label has shape \(3,\)")):
        with pytest.raises(ValueError, match=message):
            model.sample(2, label=label)


def test_learns_digits_by_up_down(digits, tmp_path):
    """Greedy training classifies, up-down does better, and what it draws of a class is told to be of that class."""
    X, y = digits
    X, X_test, y, y_test = train_test_split(X, y.astype(str), test_size=500, stratify=y, random_state=0)
    rbms = [RBM(n_iter=n, learning_rate=0.1, batch_size=20, binarize=how) for n, how in ((20, "mean"), (60, None))]
    options = {"rbm": rbms, "propagate": "sample", "random_state": 0}
    greedy = GenerativeDBNClassifier((64, 128), up_down_iter=0, **options).fit(X, y)
    model = GenerativeDBNClassifier((64, 128), up_down_iter=20, up_down_learning_rate=0.01, n_gibbs=3, **options).fit(X, y)
    accuracy = greedy.score(X_test, y_test), model.score(X_test, y_test)
    assert accuracy[0] > 0.85
    assert accuracy[1] > max(accuracy[0], 0.89)
    labels = np.repeat(model.classes_, 10)
    drawn = model.sample(100, 300, random_state=0, mean=True, label=labels)
    assert model.score(drawn, labels) > 0.8
    greedy.set_params(up_down_iter=10, up_down_learning_rate=0.01, n_gibbs=3, warm_start=True)
    greedy.fit(X, y).save(tmp_path / "half")
    assert np.array_equal(load(tmp_path / "half").fit(X, y).predict_proba(X_test), model.predict_proba(X_test))


def test_up_down_by_default(monkeypatch):
    """It has at least 20,000 minibatches, up to 400 epochs; its rates fall to 0, and stay where they are in a single pass."""
    assert [parameters.up_down_epochs(None, n, 20) for n in (10, 2000, 10**5)] == [400, 200, 60]
    X, y = bits(4), np.arange(16) % 2
    model = GenerativeDBNClassifier((3, 3), rbm=RBM(n_iter=1), up_down_iter=20, random_state=0).fit(X, y)
    assert model.up_down_history_["update_ratio"][-1] < 0.2 * model.up_down_history_["update_ratio"][9]
    units = [get_unit("bernoulli")] * 3
    schedule = model._own_schedule(model._new_layers())
    falls, stays = with_defaults(schedule, units, 5), with_defaults(schedule, units, 5, a_pass=True)
    assert np.allclose([falls.learning_rate(5), falls.learning_rate(15), falls.top_learning_rate(5)], [0.05, 0.025, 0.2])
    assert (stays.learning_rate, stays.top_learning_rate) == (0.05, 0.2)


def test_partial_fit_and_errors(binary):
    """The first call wants the classes; options that the top cannot take are refused by name."""
    X = binary(60, 6)
    y = np.where(X[:, 0] > 0, "a", "b")
    model = GenerativeDBNClassifier((5, 4), random_state=0)
    with pytest.raises(ValueError, match="classes=None"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, classes=["a", "b", "c"]).partial_fit(X, y)
    assert [rbm.n_iter_ for rbm in model.layers_] == [2, 2]
    assert model.predict_proba(X).shape == (60, 3)
    model.up_down(X, y, 1).partial_fit(X, y)
    assert model.up_down_iter_ == 2
    with pytest.raises(ValueError, match=r"persistent=True reaches the top RBM.*list of RBMs, the last with persistent=False"):
        GenerativeDBNClassifier((5, 4), rbm=RBM(persistent=True)).fit(X, y)
    rbms = [RBM(persistent=True, n_iter=1), RBM(n_iter=1)]
    GenerativeDBNClassifier((5, 4), rbm=rbms, up_down_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="only one class"):
        model.fit(X, ["a"] * 60)
    holed = np.where(binary(60, 6, seed=1) > 0, np.nan, X)
    assert np.isfinite(model.impute(holed, n_steps=4, random_state=0)).all()


def fitted(X, y, weights=None, **more):
    """Three layers after both stages and another pass, and all that they have learned, as an array."""
    rbm = RBM(visible="bernoulli", n_iter=2, batch_size=20)
    model = GenerativeDBNClassifier((5, 4, 3), rbm=rbm, up_down_iter=2, random_state=0, **more).fit(X, y, weights)
    model.partial_fit(X, y, sample_weight=weights).up_down(X, y, 1, sample_weight=weights)
    arrays = [x for rbm in model.layers_ for x in (rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_)]
    arrays += [model.label_components_, model.label_intercept_, *(rbm.generative_components_ for rbm in model.layers_[:-1])]
    return np.concatenate([x.ravel() for x in arrays])


def test_weights_of_rows(binary):
    """In all stages ones are none, to the bit, scale does not matter, and rows of weight zero are not learned from."""
    X = binary(60, 6)
    y = (X[:, 0] > 0).astype(int)
    plain, weights = fitted(X, y), np.arange(60) % 4 / 1.0
    assert np.array_equal(fitted(X, y, np.ones(60)), plain)
    assert np.array_equal(fitted(X, y, 4 * weights), fitted(X, y, weights))
    assert not np.allclose(fitted(X, y, weights), plain, atol=1e-4)
    others, flipped = np.where(weights[:, None] > 0, X, 1 - X), np.where(weights > 0, y, 1 - y)
    assert np.allclose(fitted(others, flipped, weights), fitted(X, y, weights), atol=1e-6)


def test_weights_of_classes(binary):
    """They multiply those of the rows, also as "balanced"; what is no weight, or leaves none, is refused."""
    X = binary(60, 6)
    y, weights = np.repeat(["a", "b"], [45, 15]), np.arange(60) % 4 / 1.0
    for class_weight, factors in (({"b": 3.0}, [1.0, 3.0]), ("balanced", [1.0, 3.0])):
        factors = np.where(y == "a", *factors)
        assert np.allclose(fitted(X, y, class_weight=class_weight), fitted(X, y, factors), atol=1e-6)
        assert np.allclose(fitted(X, y, weights, class_weight=class_weight), fitted(X, y, weights * factors), atol=1e-6)
    for class_weight, says in (("even", "class_weight='even'"), ({"c": 2.0}, "class_weight={'c'"), ({"a": -1}, "'a'.=-1")):
        with pytest.raises(ValueError, match=says):
            GenerativeDBNClassifier(4, class_weight=class_weight).fit(X, y)
    with pytest.raises(ValueError, match=r"sample_weight is 0 .* class_weight is 0"):
        GenerativeDBNClassifier(4, class_weight={"a": 0.0}).fit(X, y, (y == "a") * 1.0)


def test_stack_is_a_network_with_its_top(binary, tmp_path):
    """RBMs and a generative top of one layer: the whole's posterior is the top's at the means of the layers below."""
    X, y = binary(60, 6), np.array(["a", "b", "c"] * 20)
    lower = RBM(5, n_iter=2, random_state=0).fit(X)
    top = GenerativeDBNClassifier((4,), rbm=RBM(visible="bernoulli", n_iter=2), up_down_iter=1, random_state=1).fit(
        lower.transform(X), y
    )
    network = GenerativeDBNClassifier.stack([lower, top])
    assert np.array_equal(network.predict_proba(X), top.predict_proba(lower.transform(X)))
    network.save(tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").predict_proba(X), network.predict_proba(X))
    before = top.label_components_.copy()
    network.set_params(warm_start=True, up_down_iter=2).fit(X, y)
    assert network.up_down_iter_ == 2 and network.sample(2, 3, label="b").shape == (2, 6)
    assert np.array_equal(top.label_components_, before)
    for wrong in ([lower], [lower, network], [], [lower, GenerativeDBNClassifier((4,))]):
        with pytest.raises(ValueError, match="GenerativeDBNClassifier of one layer"):
            GenerativeDBNClassifier.stack(wrong)
    with pytest.raises(ValueError, match="do not fit together"):
        GenerativeDBNClassifier.stack([lower, lower, top])
