"""Fine-tuning: gradients against finite differences, and the manners of classifier and regressor."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from small import binary

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor, DivergenceError, load
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Source
from fastdbn.maths.optim import step_hyper
from fastdbn.training.backprop import BackPropagation, NetworkState, Plan
from fastdbn.units import get_unit

FAST = {"hidden_layer_sizes": (24, 16), "rbm": RBM(n_iter=2), "max_iter": 10, "random_state": 0}


@pytest.mark.parametrize("loss", ["softmax", "squared"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "softmax"])
@pytest.mark.parametrize("dropout", [(0.0, 0.0, 0.0), (0.2, 0.5, 0.3)])
def test_gradient_against_finite_differences(loss, hidden, dropout):
    """Every entry of every gradient, with the dropout masks of the step held fixed."""
    draw, B, sizes = np.random.default_rng(0), 7, (5, 4, 6, 3)
    coefs = [draw.normal(size=s) for s in itertools.pairwise(sizes)]
    intercepts = [draw.normal(size=n) for n in sizes[1:]]
    X, weight = draw.random((B, 5)), draw.random(B) + 0.5
    target = draw.integers(0, 3, B) if loss == "softmax" else draw.normal(size=(B, 3))
    backend = get_backend(1, "float64")
    plan, descent = Plan(loss, "sgd", 1.0, 0.0, 0.0, dropout, None, B), step_hyper("float64", "sgd", 1.0, 0.0, 1, 0.0)
    data, rows = backend.load(Source(X)), np.arange(B, dtype=np.uint32)

    def value(which, i, change):
        parts = [[c.copy() for c in coefs], [c.copy() for c in intercepts]]
        parts[which[0]][which[1]].ravel()[i] += change
        units = [get_unit("bernoulli"), *[get_unit(hidden)] * 2]
        run = BackPropagation(backend, units, data, rows, target, weight, plan, 3, NetworkState(*parts))
        return run.minibatch(rows, target, weight, descent) / B, run.state()

    _, after = value((0, 0), 0, 0.0)
    for kind, before in enumerate((coefs, intercepts)):
        for layer, start in enumerate(before):
            gradient = start - after[kind][layer]  # the step at rate 1 without momentum
            for i in range(gradient.size):
                up, down = (value((kind, layer), i, step)[0] for step in (1e-6, -1e-6))
                assert abs((up - down) / 2e-6 - gradient.ravel()[i]) < 1e-7


@pytest.mark.parametrize("loss", ["softmax", "squared"])
def test_weights_are_repeats(loss):
    """The gradient of rows weighted 0, 1, 3 and 2 is that of rows left out, taken once, three times and twice."""
    draw, times = np.random.default_rng(1), np.array([0, 1, 3, 2])
    coefs, intercepts = [draw.normal(size=(5, 4)), draw.normal(size=(4, 3))], [draw.normal(size=4), draw.normal(size=3)]
    X = draw.random((4, 5))
    target = draw.integers(0, 3, 4) if loss == "softmax" else draw.normal(size=(4, 3))
    backend, results = get_backend(1, "float64"), []
    for rows, weight in ((np.arange(4), times.astype(float)), (np.repeat(np.arange(4), times), np.ones(6))):
        plan = Plan(loss, "sgd", 0.1, 0.9, 0.0, (0.0, 0.0), None, len(rows))
        data, units, rows = backend.load(Source(X)), [get_unit("bernoulli")] * 2, rows.astype(np.uint32)
        run = BackPropagation(backend, units, data, rows, target, weight, plan, 3, NetworkState(coefs, intercepts))
        descent = step_hyper("float64", "sgd", len(rows), 0.0, 1, 0.0)
        value = run.minibatch(rows, target[rows], weight, descent)
        results.append([value, *run.state().coefs, *run.state().intercepts])
    for a, b in zip(*results, strict=True):
        assert np.allclose(a, b, rtol=1e-11)


def test_classifier_learns_digits(digits):
    """Well above what guessing or a linear model of few rows gives, with every solver; probabilities are consistent."""
    X, y = digits
    drawn = {"propagate": "sample", "rbm": RBM(n_iter=5, binarize="sample")}
    for options in ({}, {"solver": "sgd"}, {"pretrain": False}, drawn):
        model = DBNClassifier((64,), **{"rbm": RBM(n_iter=5), "max_iter": 20, "random_state": 0} | options)
        model.fit(X[:1200], y[:1200])
        assert model.score(X[1200:], y[1200:]) > 0.88
    p = model.predict_proba(X[:50])
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(np.log(p), model.predict_log_proba(X[:50]))
    assert np.array_equal(model.classes_[p.argmax(axis=1)], model.predict(X[:50]))
    assert len(model.history_["loss"]) == model.n_iter_ == 20


@pytest.mark.parametrize(
    "labels", [["ham", "spam", "eggs"], [True, False, True], [-5, 7, 100], [1.0, 2.0, 3.0]], ids=["text", "bool", "int", "float"]
)
def test_labels_come_back_as_they_were(labels, digits):
    """Whatever type labels have, predictions and classes_ have it too."""
    X, y = digits[0][:200], np.array(labels)[digits[1][:200] % 3]
    model = DBNClassifier(**FAST).fit(X, y)
    assert model.predict(X).dtype == y.dtype
    assert set(model.predict(X)) <= set(labels)
    assert np.array_equal(model.classes_, np.unique(y))


def test_weights_of_rows_and_classes(digits):
    """Weighting one class up moves predictions to it; a dict and "balanced" are taken."""
    X, y = digits[0][:400], (digits[1][:400] == 3).astype(int)
    options = FAST | {"max_iter": 3}

    def share(weight=None, **more):
        return DBNClassifier(**options, **more).fit(X, y, sample_weight=weight).predict_proba(X)[:, 1].mean()

    plain = share()
    assert share(np.where(y == 1, 20.0, 1.0)) > plain + 0.02
    assert share(class_weight="balanced") > plain + 0.02
    assert share(class_weight={0: 1.0, 1: 20.0}) > plain + 0.02


def test_early_stopping_restores_the_best(digits):
    """The weights kept are those of the best validation score, not the last."""
    X, y = digits[0][:500], digits[1][:500]
    kept = {}

    def callback(estimator, layer, epoch, metrics):
        if layer == "fine-tuning":
            kept[epoch] = (metrics["validation_score"], [w.copy() for w in estimator.coefs_])

    model = DBNClassifier(**FAST | {"max_iter": 60}, early_stopping=True, n_iter_no_change=4, callbacks=[callback]).fit(X, y)
    best = max(kept, key=lambda epoch: (kept[epoch][0], -epoch))
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, kept[best][1], strict=True))
    assert model.n_iter_ == len(kept) < 60
    np.testing.assert_array_equal(model.history_["validation_score"], [score for score, _ in kept.values()])


def test_partial_fit(digits):
    """Without a fit it needs classes and starts at random; after a fit it goes on with that network."""
    X, y = digits[0][:300], digits[1][:300]
    fresh = DBNClassifier(pretrain=False, **FAST)
    with pytest.raises(ValueError, match="classes=None"):
        fresh.partial_fit(X, y)
    for _ in range(15):
        fresh.partial_fit(X[y < 8], y[y < 8], classes=np.arange(10))
    assert fresh.dbn_ is None
    assert fresh.n_iter_ == 15
    assert fresh.score(X[y < 8], y[y < 8]) > 0.8
    with pytest.raises(ValueError, match="labels that the fit did not have"):
        fresh.partial_fit(X, y + 5)
    with pytest.raises(ValueError, match="classes="):
        fresh.partial_fit(X, y, classes=[1, 2])
    fitted = DBNClassifier(**FAST).fit(X, y)
    before = fitted.coefs_[0].copy()
    fitted.partial_fit(X, y)
    assert fitted.n_iter_ == 11
    assert 0 < np.abs(fitted.coefs_[0] - before).max() < 1


@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor, DBNAutoencoder])
def test_partial_fit_says_once_that_it_does_not_pretrain(kind, binary):
    """With nothing to begin from; never after a fit, with a fitted DBN, from which it begins, or if pretraining is not wanted."""
    X, y = binary(40, 6), np.arange(40) % 2
    dbn, more = DBN(4, rbm=RBM(n_iter=1), random_state=0).fit(X), {"random_state": 0, "learning_rate_init": 1e-9}
    classes = {"classes": [0, 1]} if kind is DBNClassifier else {}
    begun = kind(4, **more)
    with pytest.warns(UserWarning, match=r"partial_fit does not pretrain: .* pretrain=False") as found:
        begun.partial_fit(X, y, **classes)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "partial_fit")
        begun.partial_fit(X, y)
        random = kind(4, pretrain=False, **more).partial_fit(X, y, **classes)
        model = kind(4, pretrain=dbn, **more).partial_fit(X, y, **classes)
        kind(4, rbm=RBM(n_iter=1), max_iter=1, **more).fit(X, y).partial_fit(X, y)
    assert np.allclose(model.coefs_[0], dbn.layers_[0].components_.T, atol=1e-6)
    assert not np.allclose(model.coefs_[0], random.coefs_[0], atol=1e-3)


def test_pretraining_is_where_fine_tuning_starts(digits):
    """With no epochs of fine-tuning the weights are the DBN's; dbn_ keeps them, and generates, after fine-tuning."""
    X, y = digits[0][:300], digits[1][:300]
    start = DBNClassifier(**(FAST | {"max_iter": 0})).fit(X, y)
    tuned = DBNClassifier(**FAST).fit(X, y)
    for i, rbm in enumerate(tuned.dbn_.layers_):
        assert np.array_equal(rbm.components_.T, start.coefs_[i])
        assert not np.array_equal(rbm.components_.T, tuned.coefs_[i])
    assert tuned.sample(3, 5).shape == (3, 64)
    assert tuned.transform(X).shape == (300, 16)
    assert tuned.transform(X, layer=0).shape == (300, 24)
    with pytest.raises(ValueError, match="pretrain=True"):
        DBNClassifier(**FAST, pretrain=False).fit(X, y).sample()


def test_pretrained_network_is_taken_as_it_is(digits, tmp_path):
    """A DBN trained on unlabelled rows: fine-tuning starts there, leaves it alone, survives cloning when frozen, and is saved."""
    X, y = digits[0][:300], digits[1][:300]
    dbn = DBN((20, 12), rbm=RBM(n_iter=2), random_state=3).fit(X)
    before = dbn.layers_[0].components_.copy()
    model = DBNClassifier((20, 12), pretrain=dbn, max_iter=0, random_state=0).fit(X[:100], y[:100])
    assert all(np.array_equal(W.T, rbm.components_) for W, rbm in zip(model.coefs_, dbn.layers_, strict=False))
    tuned = clone(model).set_params(pretrain=FrozenEstimator(dbn), max_iter=3)
    tuned = clone(tuned).fit(X[:100], y[:100])
    assert np.array_equal(dbn.layers_[0].components_, before) and np.array_equal(tuned.dbn_.layers_[0].components_, before)
    tuned.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(X), tuned.predict_proba(X))
    for wrong, match in (
        (DBN((20, 12)), "not fitted"),
        (DBN((20,), rbm=RBM(n_iter=1)).fit(X), "do not suit it"),
        (DBN((20, 12), rbm=RBM(n_iter=1)).fit(X[:, :60]), "60 features"),
    ):
        with pytest.raises(ValueError, match=match):
            DBNClassifier((20, 12), pretrain=wrong).fit(X, y)


def test_regression(digits):
    """Several outputs of different scales come back on their own, and are not constants."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(500, 5))
    Y = np.column_stack([1000 + 50 * X[:, 0], 1e-3 * np.sin(X[:, 1]), np.full(500, 7.0)])
    model = DBNRegressor((64,), max_iter=60, random_state=0).fit(X[:400], Y[:400])
    predicted = model.predict(X[400:])
    assert predicted.shape == (100, 3)
    for j in (0, 1):
        residual = ((predicted[:, j] - Y[400:, j]) ** 2).mean() / Y[400:, j].var()
        assert residual < 0.3
    assert np.allclose(predicted[:, 2], 7, atol=0.5)
    single = DBNRegressor((8,), max_iter=2, random_state=0).fit(X, Y[:, 0])
    assert single.predict(X).shape == (500,)
    assert np.isfinite(single.score(X, Y[:, 0]))
    again = DBNRegressor((8,), pretrain=False, random_state=0)
    for _ in range(3):
        again.partial_fit(X, Y)
    assert again.predict(X).shape == (500, 3)


def test_weights_scale_targets():
    """Targets are standardised as their rows weigh: ones are none, to the bit, and rows of weight zero set no scale."""
    X, weights = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 3 / 1.0
    y = X[:, 0] + 5
    model = DBNRegressor((4,), pretrain=False, max_iter=1, random_state=0)
    plain = clone(model).fit(X, y)
    assert np.array_equal(clone(model).fit(X, y, np.ones(40)).predict(X), plain.predict(X))
    once, often = clone(model).fit(X, y, weights), np.repeat(y, np.arange(40) % 3)
    assert np.allclose((once.target_mean_, once.target_scale_), ([often.mean()], [often.std()]))
    far = clone(model).fit(X, np.where(weights > 0, y, 1e9), weights)
    assert np.allclose(far.predict(X), once.predict(X), rtol=1e-5)


def test_max_norm_dropout_and_schedules(digits):
    """The bound holds for every unit; rates may differ by layer; a list and a callable say the same."""
    X, y = digits[0][:300], digits[1][:300]
    model = DBNClassifier(**FAST, max_norm=0.7, dropout=(0.1, 0.2, 0.3)).fit(X, y)
    assert max(np.linalg.norm(W, axis=0).max() for W in model.coefs_) < 0.7 + 1e-5
    a = DBNClassifier(**FAST, learning_rate_init=[0.01, 0.001]).fit(X, y)
    b = DBNClassifier(**FAST, learning_rate_init=lambda epoch: 0.01 if epoch == 0 else 0.001).fit(X, y)
    assert a.coefs_[0].tobytes() == b.coefs_[0].tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (0,)),
        ("solver", "lbfgs"),
        ("alpha", -1),
        ("dropout", 1.0),
        ("dropout", (0.1, 0.2)),
        ("max_norm", 0),
        ("max_iter", -1),
        ("rbm", 3),
        ("rbm__n_iter", -1),
        ("learning_rate_init", "adaptive"),
        ("early_stopping", True),
        ("n_iter_no_change", 0),
        ("tol", np.nan),
        ("class_weight", "even"),
        ("rbm__k", 0),
    ],
)
def test_bad_parameters_are_named(name, value, digits):
    """A ValueError that names the argument."""
    model = clone(DBNClassifier(**FAST)).set_params(**{name: value})
    if name == "early_stopping":
        model.validation_fraction = 1.5
        name = "validation_fraction"
    with pytest.raises(ValueError, match=name.removeprefix("rbm__")):
        model.fit(digits[0][:50], digits[1][:50])


def test_bad_targets(digits):
    """One class, missing or too few targets, NaN."""
    X, y = digits[0][:50], digits[1][:50]
    with pytest.raises(ValueError, match="one class"):
        DBNClassifier(**FAST).fit(X, np.zeros(50))
    with pytest.raises(ValueError, match="50 rows"):
        DBNClassifier(**FAST).fit(X, y[:20])
    with pytest.raises(ValueError, match="y contains NaN"):
        DBNRegressor(**FAST).fit(X, np.where(y == 1, np.nan, y))
    with pytest.raises(ValueError, match="requires y"):
        DBNRegressor(**FAST).fit(X, None)


def test_divergence(composed):
    """The error names epoch and remedy; the weights are those of the last good epoch."""
    X = np.random.default_rng(0).normal(size=(200, 5))
    model = DBNRegressor((8,), pretrain=False, solver="sgd", learning_rate_init=[1e-3, 1e30], max_iter=9, random_state=0)
    with pytest.raises(DivergenceError, match=r"epoch 2.*learning_rate_init"):
        model.fit(X, X[:, 0] ** 2)
    assert model.n_iter_ == 1
    assert np.isfinite(model.predict(X)).all()


def test_warm_start(digits):
    """A second fit goes on from the first; other sizes are refused."""
    X, y = digits[0][:300], digits[1][:300]
    model = DBNClassifier(**FAST, warm_start=True).fit(X, y)
    loss = model.history_["loss"][-1]
    model.fit(X, y)
    assert model.n_iter_ == 20
    assert model.history_["loss"][-1] < loss
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X, y)


def test_alpha_is_divided_by_the_batch():
    """As in scikit-learn: one step of SGD takes alpha / batch of each weight, and nothing of the biases."""
    X, y = np.eye(12, dtype=np.float32), np.arange(12) % 2
    options = {"pretrain": False, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5, "dropout": 0.0, "random_state": 0}
    start, plain, decayed = (
        DBNClassifier((5,), max_iter=n, batch_size=12, alpha=alpha, **options).fit(X, y)
        for n, alpha in ((0, 0), (1, 0), (1, 1.2))
    )
    for before, without, with_decay in zip(start.coefs_, plain.coefs_, decayed.coefs_, strict=True):
        assert np.allclose(with_decay - without, -0.5 * 0.1 * before, atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(plain.intercepts_, decayed.intercepts_, strict=True))


def test_tol_is_about_the_loss():
    """Without early stopping a fit ends when the training loss stays; None trains all epochs."""
    X, y = np.eye(12, dtype=np.float32), np.arange(12) % 2
    options = {
        "pretrain": False,
        "learning_rate_init": 0.0,
        "dropout": 0.0,
        "n_iter_no_change": 3,
        "max_iter": 9,
        "random_state": 0,
    }
    assert DBNClassifier((5,), tol=1e-4, **options).fit(X, y).n_iter_ == 4
    assert DBNClassifier((5,), tol=None, **options).fit(X, y).n_iter_ == 9
    better = DBNClassifier((5,), tol=1e-4, **options | {"learning_rate_init": 0.05}).fit(X, y)
    assert better.n_iter_ == 9 and better.history_["loss"][-1] < better.history_["loss"][0]


def test_another_precision_is_refused(binary):
    """Further training in another one, as RBMs refuse it."""
    X = binary(20, 6)
    model = DBNClassifier((4,), pretrain=False, max_iter=1, random_state=0).fit(X, X[:, 0])
    for change in (lambda: model.partial_fit(X, X[:, 0]), lambda: model.set_params(warm_start=True).fit(X, X[:, 0])):
        with pytest.raises(ValueError, match="dtype='float64' is not that of the fit, 'float32'"):
            model.set_params(dtype="float64") and change()


def test_held_out_rows_that_leave_fewer_than_classes(binary):
    """They are not stratified."""
    X, y = binary(12, 6), np.arange(12) % 3
    model = DBNClassifier((4,), pretrain=False, max_iter=1, early_stopping=True, validation_fraction=0.85, random_state=0)
    assert np.isfinite(model.fit(X, y).history_["validation_loss"]).all()


def test_changes_of_a_fitted_network():
    """What prediction prepares is prepared anew when weights are assigned or a parameter it depends on is set."""
    X, y = binary(), np.arange(61) % 3
    model = DBNClassifier((5,), rbm=RBM(binarize=0.5), pretrain=False, max_iter=1, random_state=0).fit(X, y)
    first = model.predict_proba(X)
    assert np.array_equal(first, model.predict_proba(X * 0.6))
    model.set_params(rbm__binarize=0.7)
    assert not np.array_equal(first, model.predict_proba(X * 0.6))
    assert np.array_equal(first, model.predict_proba(X))
    with pytest.raises(ValueError, match="read-only"):
        model.coefs_[0][0, 0] = 1.0
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_ = [np.zeros_like(c) for c in model.intercepts_]
    assert np.allclose(model.predict_proba(X), 1 / 3)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_blas_is_limited_where_it_would_take_threads(monkeypatch, digits):
    """The limit takes longer than a small network, whose products BLAS does on one thread by itself."""
    X, y = digits[0][:400], digits[1][:400]
    limited, limit = [], CPU.single_threaded
    model = DBNClassifier((64,), pretrain=False, max_iter=1, random_state=0).fit(X, y)
    monkeypatch.setattr(CPU, "single_threaded", lambda backend: limited.append(True) or limit(backend))
    one_by_one = np.vstack([model.predict_proba(X[i : i + 1]) for i in range(5)])
    assert not limited
    assert np.allclose(model.predict_proba(X)[:5], one_by_one, atol=1e-6)
    assert limited
