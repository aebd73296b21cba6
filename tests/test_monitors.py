"""Monitors against their formulas, rows held out that stay out, and the stop at the best epoch."""

import numpy as np
import pytest
from exact import Machine
from naive import sigmoid

from fastdbn import DBN, RBM, load
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params, Source
from fastdbn.machine.block import BlockMachine
from fastdbn.training import monitors
from fastdbn.training.holdout import hold_out
from fastdbn.training.layer import Layer
from fastdbn.training.monitors import MONITORS, Stopping, Watch
from fastdbn.units import gaussian, get_unit, softmax

BERNOULLI = get_unit("bernoulli")
PARAMETERS = ("components_", "intercept_hidden_", "intercept_visible_")


def bits(model):
    return b"".join(np.ascontiguousarray(getattr(model, name)).tobytes() for name in PARAMETERS)


def data(n=90, width=12, seed=0):
    draw = np.random.default_rng(seed)
    prototypes = draw.integers(0, 2, (2, width))
    return (prototypes[draw.integers(0, 2, n)] ^ (draw.random((n, width)) < 0.1)).astype(np.float32)


def watch_of(X, hidden=BERNOULLI, visible=BERNOULLI, held_out=None, seed=0, shape=(6, 4)):
    backend = get_backend(1, "float64")
    rows = None if held_out is None else np.setdiff1d(np.arange(len(X)), held_out).astype(np.uint32)
    n = len(X) if rows is None else len(rows)
    layer = Layer(visible, hidden, backend.load(Source(X)), n, None, 0, seed, rows, held_out)
    return Watch(backend, layer, shape, 1)


def measured(watch, params):
    """The measures of a watch at parameters."""
    rows = watch.samples[""]
    return watch.measure(BlockMachine(rows.backend, rows.layer.visible, rows.layer.hidden, params), 0)


def exact_pseudo_likelihood(machine, X):
    """The sum over units of log p(v_i | v without i), averaged over rows."""
    total = 0.0
    for i in range(X.shape[1]):
        one, zero = X.copy(), X.copy()
        one[:, i], zero[:, i] = 1, 0
        p = sigmoid(machine.free_energy(zero) - machine.free_energy(one))
        total += np.mean(X[:, i] * np.log(p) + (1 - X[:, i]) * np.log(1 - p))
    return total


def test_measures_are_their_formulas():
    """Errors, activities, energies and shares on both kinds of rows, by NumPy."""
    machine = Machine(6, 4, seed=3, scale=2.0)
    machine.c[:] = -60, 60, 0, 1  # a dead and a saturated unit among four
    X, held = machine.draw(40, seed=1), np.array([3, 17, 39], np.uint32)
    found = measured(watch_of(X, held_out=held), Params(machine.W, machine.b, machine.c))
    assert set(found) == set(MONITORS)
    train = np.delete(X, held, axis=0)
    for prefix, rows in (("", train), ("validation_", X[held])):
        h = machine.hidden_mean(rows)
        error = np.mean((rows - sigmoid(h @ machine.W.T + machine.b)) ** 2)
        assert found[prefix + "reconstruction_error"] == pytest.approx(error, rel=1e-9)
    assert found["hidden_activity"] == pytest.approx(machine.hidden_mean(train).mean(), rel=1e-9)
    assert found["dead_units"] == found["saturated_units"] == 0.25
    assert found["hidden_spread"] == pytest.approx(np.sqrt(machine.hidden_mean(train).var(axis=0).mean()), rel=1e-9)
    assert found["baseline_error"] == pytest.approx(train.var(axis=0).mean(), rel=1e-9)
    gap = machine.free_energy(X[held]).mean() - machine.free_energy(train).mean()
    assert found["free_energy_gap"] == pytest.approx(gap, rel=1e-9)
    assert np.isnan(found["update_ratio"])


@pytest.mark.parametrize("kind", ["bits", "probabilities", "spins"])
def test_pseudo_likelihood_has_its_expectation(kind):
    """Averaged over the units that seeds draw it is the sum over all units, within 5 standard errors."""
    machine = Machine(6, 4, seed=4)
    X = np.random.default_rng(0).random((200, 6)) if kind == "probabilities" else machine.draw(200, seed=2)
    exact, params, visible = exact_pseudo_likelihood(machine, X), Params(machine.W, machine.b, machine.c), BERNOULLI
    if kind == "spins":  # v = (1 + s) / 2: the same distribution by other parameters
        X = 2 * X - 1
        params = Params(machine.W / 2, machine.b / 2, machine.c + machine.W.sum(axis=0) / 2)
        visible = BERNOULLI._replace(name="pair", support=(-1.0, 1.0), low=-1.0, base=lambda x: x - x)
    values = [measured(watch_of(X, visible=visible, seed=seed), params)["pseudo_likelihood"] for seed in range(60)]
    assert abs(np.mean(values) - exact) < 5 * np.std(values) / np.sqrt(60)
    assert np.std(values) > 0


def test_measures_that_a_unit_does_not_have():
    """No dead units without a lower end, none saturated without an upper, no pseudo-likelihood of reals; groups share one."""
    X = np.random.default_rng(0).normal(size=(30, 6))
    zero = Params(np.zeros((6, 4)), np.zeros(6), np.zeros(4))
    found = measured(watch_of(X, hidden=gaussian, visible=gaussian), zero)
    assert np.isnan([found[name] for name in ("dead_units", "saturated_units", "pseudo_likelihood", "free_energy_gap")]).all()
    assert np.isfinite([found[name] for name in ("hidden_activity", "reconstruction_error")]).all()
    wide = Params(np.zeros((6, 400)), np.zeros(6), np.zeros(400))
    found = measured(watch_of(X, hidden=softmax(), visible=gaussian, shape=(6, 400)), wide)
    assert found["dead_units"] == 0 and found["hidden_activity"] == pytest.approx(1 / 400)


def test_baseline_of_rows():
    """Column means are those of the observed values by the rows' weights; of counts they are shares of a row's total."""
    X, weights = data(), np.random.default_rng(0).random(90)
    error = RBM(3, n_iter=1, random_state=0).fit(X, sample_weight=weights).history_["baseline_error"][-1]
    assert error == pytest.approx(np.mean((X - np.average(X, axis=0, weights=weights)) ** 2), rel=1e-5)
    lacking = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    for missing in ("drop", "sample"):
        error = RBM(3, n_iter=1, missing=missing, random_state=0).fit(lacking).history_["baseline_error"][-1]
        assert error == pytest.approx(np.nanmean((lacking - np.nanmean(lacking, axis=0)) ** 2), rel=1e-5)
    counts = np.random.default_rng(2).integers(0, 5, (30, 4)).astype(float)
    error = RBM(3, n_iter=1, visible="replicated-softmax", random_state=0).fit(counts).history_["baseline_error"][-1]
    shares, totals = counts.sum(axis=0) / counts.sum(), counts.sum(axis=1, keepdims=True)
    assert error == pytest.approx(np.mean((counts - shares * totals) ** 2), rel=1e-5)


def test_effective_chains():
    """Chains in one of two modes are worth one draw from the data; some in each are worth all that there are."""
    X, n = data(), 20
    centre, machine = X - X.mean(axis=0), Machine(12, 2, scale=0.0)
    one, other = (X[(centre @ centre[0] > 0) == side].mean(axis=0) for side in (True, False))
    machine.W[:, 0], machine.b[:] = 20 * (one - other), 20 * other - 10  # hidden unit 0 chooses the mode
    b, watch = get_backend(1, "float64"), watch_of(X, shape=(12, 2))
    for states, low, high in ((np.tile([1.0, 0], (n, 1)), 0.5, 2), (np.tile(np.eye(2), (n // 2, 1)), 4, n)):
        chains = b.states(BERNOULLI, n, 2, states), b.zeros(n, 12)
        params = Params(machine.W, machine.b, machine.c)
        found = watch.measure(BlockMachine(b, BERNOULLI, BERNOULLI, params), 0, chains)
        assert low <= found["effective_chains"] <= high
    fit = {"persistent": True, "n_iter": 2, "random_state": 0}
    assert RBM(5, n_chains=7, **fit).fit(X).history_["effective_chains"][-1] <= 7
    assert np.isnan(RBM(5, n_iter=2).fit(X).history_["effective_chains"]).all()


def test_history():
    """Arrays of one number an epoch that grow with every fit; what is not measured is NaN; a callback sees the same."""
    X, seen = data(), []
    model = RBM(5, n_iter=3, monitor_interval=2, random_state=0, callbacks=[lambda metrics, **_: seen.append(metrics)])
    model.fit(X).partial_fit(X)
    assert set(model.history_) == set(MONITORS)
    for name, values in model.history_.items():
        np.testing.assert_array_equal(values, [metrics[name] for metrics in seen])
        assert values.shape == (4,) and values.dtype == np.float64
    for name in ("pseudo_likelihood", "baseline_error"):  # in the last epoch of a fit too
        assert np.isfinite(model.history_[name]).tolist() == [False, True, True, True]
    assert np.isfinite(model.history_["dead_units"]).all() and np.isnan(model.history_["free_energy_gap"]).all()


def test_a_file_keeps_the_history(tmp_path):
    """NaN too, though JSON has none."""
    model = RBM(
        5, n_iter=6, validation_fraction=0.2, early_stopping=True, monitor="free_energy_gap", tol=0.5, random_state=0
    ).fit(data())
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.get_params() == model.get_params()
    for name, values in model.history_.items():
        np.testing.assert_array_equal(back.history_[name], values)


@pytest.mark.parametrize("more", [{}, {"scale": "standard", "visible": "gaussian"}, {"persistent": True}, {"binarize": 0.5}])
def test_held_out_rows_are_not_learned_from(more):
    """Other values in the rows held out, within the range of the data, leave the parameters as they are, in a stack too."""
    X = data()
    _, held = hold_out(0, len(X), 0.3)
    assert len(held) == 27
    other = X.copy()
    other[held] = 1 - other[held]
    options = {"n_iter": 3, "learning_rate": 0.005, "validation_fraction": 0.3, "random_state": 0, **more}
    a, b = (RBM(5, **options).fit(x) for x in (X, other))
    assert bits(a) == bits(b)
    assert a.history_["validation_reconstruction_error"][-1] != b.history_["validation_reconstruction_error"][-1]
    assert bits(a) != bits(RBM(5, **(options | {"validation_fraction": 0.0})).fit(X))
    one_by_one = RBM(5, **options)
    for _ in range(3):
        one_by_one.partial_fit(X)
    assert bits(one_by_one) == bits(a)


def test_weights_of_the_rows_trained_on():
    """Weights are scaled to a mean of one over the rows that are trained on, not over all."""
    X = data()
    rows, held = hold_out(0, len(X), 0.3)
    weights = np.ones(len(X))
    weights[held] = 100.0
    fit = {"n_iter": 2, "validation_fraction": 0.3, "random_state": 0, "dtype": "float64"}
    a, b = RBM(5, **fit).fit(X, sample_weight=weights), RBM(5, **fit).fit(X, sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(a.components_, b.components_, rtol=1e-9)
    assert len(rows) + len(held) == len(X)


def test_gap_shows_overfitting():
    """Few rows of noise learned by heart: the energy of rows held out rises above that of the others as training goes on."""
    X = (np.random.default_rng(0).random((80, 30)) < 0.5).astype(np.float32)
    options = {"validation_fraction": 0.5, "learning_rate": 0.3, "batch_size": 10, "weight_decay": 0.0, "random_state": 0}
    gap = RBM(60, n_iter=150, **options).fit(X).history_["free_energy_gap"]
    assert abs(gap[0]) < 1 < 5 < gap[-1]


SEQUENCES = {
    ("pseudo_likelihood", 1.0): ([-9, -5, -4.5, -4.2, -4.1, 0], 4, 4),
    ("reconstruction_error", 0.1): ([0.5, 0.3, np.nan, 0.25, 0.31, 0.29, 0.2], 5, 3),
    ("free_energy_gap", 1.0): ([0.1, 0.9, 1.05, 1.2, 0.8, 1.3, 2.0, 1.4], 7, 4),
}


@pytest.mark.parametrize("name", SEQUENCES, ids=lambda key: key[0])
def test_the_rule_of_stopping(name):
    """Three values that are no better end a fit; epochs without a value do not count; the best is kept, or the latest as good."""
    values, stop, best = SEQUENCES[name]
    stopping = Stopping(name[0], 3, name[1])
    assert [stopping.update({name[0]: value}, i) for i, value in enumerate(values[: stop + 1])] == [False] * stop + [True]
    assert stopping.best_state == best


@pytest.mark.parametrize("name", ["validation_pseudo_likelihood", "validation_reconstruction_error", "free_energy_gap"])
def test_early_stopping_leaves_the_best_epoch(name):
    """The fit ends before its last epoch, with the parameters that the callback saw when the monitor was best."""
    X = (np.random.default_rng(0).random((80, 30)) < 0.5).astype(np.float32)
    seen = []

    def callback(estimator, metrics, **_):
        seen.append((metrics[name], bits(estimator)))

    options = {"learning_rate": 0.3, "batch_size": 10, "weight_decay": 0.0, "random_state": 0, "monitor_interval": 2}
    stop = {"early_stopping": True, "monitor": name, "n_iter_no_change": 5, "validation_fraction": 0.5}
    model = RBM(60, n_iter=150, callbacks=[callback], **options, **stop).fit(X)
    assert model.n_iter_ == len(seen) == len(model.history_[name]) < 150
    stopping = Stopping(name, 5)
    for value, parameters in seen:
        stopping.update({name: value}, parameters)
    assert bits(model) == stopping.best_state
    assert model.partial_fit(X).n_iter_ == len(seen)


def test_a_stack_holds_out_the_same_rows():
    """What a lower layer has not learned from, the upper ones do not either."""
    a, b = hold_out(7, 50, 0.2)
    assert len(b) == 10 and np.array_equal(np.sort(np.concatenate([a, b])), np.arange(50))
    for x, y in zip(hold_out(7, 50, 0.2), hold_out(8, 50, 0.2), strict=True):
        assert not np.array_equal(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": "loss"}, "early_stopping='loss': give early_stopping=True, monitor='loss'"),
        ({"monitor": "loss"}, "monitor='loss': give one of"),
        ({"early_stopping": True}, "early_stopping by monitor=.* needs rows held out: give validation_fraction"),
        ({"monitor": "hidden_activity"}, "monitor='hidden_activity'"),
        (
            {"early_stopping": True, "monitor": "free_energy_gap"},
            "'free_energy_gap' needs rows held out: give validation_fraction",
        ),
        ({"early_stopping": True, "monitor": "pseudo_likelihood", "visible": "gaussian"}, "two values, and these are gaussian"),
        ({"early_stopping": True, "monitor": "pseudo_likelihood", "scale": "standard"}, "two values, and these are gaussian"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"validation_fraction": 0.999}, "validation_fraction=0.999 of 90 rows leaves none"),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0"),
        ({"tol": -1}, "tol=-1"),
        ({"monitor_interval": 0}, "monitor_interval=0"),
    ],
)
def test_refusals(options, message):
    """What cannot be measured is said before anything is fitted."""
    model = RBM(5, n_iter=1, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(data())
    assert not hasattr(model, "components_")


def test_watching_is_cheap(monkeypatch):
    """The rows that are multiplied by the weights for all measures of 20 epochs are few beside those of the training."""
    rows, n = [], 4000
    count = BlockMachine.free_energy_block
    monkeypatch.setattr(BlockMachine, "free_energy_block", lambda self, v, *a: rows.append(len(v)) or count(self, v, *a))
    X = (np.random.default_rng(0).random((n, 20)) < 0.3).astype(np.float32)
    model = RBM(8, n_iter=20, validation_fraction=0.1, random_state=0).fit(X)
    reconstructions = 2 * 2 * monitors.WATCHED * model.n_iter_
    assert sum(rows) + reconstructions < 0.2 * 5 * n * model.n_iter_


def test_layers_of_a_network_are_watched():
    """Each as its own RBM says."""
    watched = RBM(n_iter=2, validation_fraction=0.2, early_stopping=True, monitor="free_energy_gap")
    model = DBN((6, 5), rbm=[watched, RBM(n_iter=2)], random_state=0).fit(data())
    gaps = [rbm.history_["free_energy_gap"] for rbm in model.layers_]
    assert np.isfinite(gaps[0]).all() and np.isnan(gaps[1]).all()
    assert all(np.isfinite(rbm.history_["hidden_activity"]).all() for rbm in model.layers_)


@pytest.mark.parametrize(("scale", "name"), [("none", "pseudo_likelihood"), ("standard", "reconstruction_error")])
def test_early_stopping_chooses_its_monitor(scale, name):
    """Without a monitor it watches the rows held out, by the pseudo-likelihood where units have two values."""
    options = {"scale": scale, "n_iter": 30, "learning_rate": 0.5, "n_iter_no_change": 3, "validation_fraction": 0.2}
    models = [RBM(5, early_stopping=True, monitor=x, random_state=0, **options) for x in (None, f"validation_{name}")]
    assert bits(models[0].fit(data())) == bits(models[1].fit(data()))
    assert models[0].n_iter_ < 30


@pytest.mark.parametrize("name", ["pseudo_likelihood", "validation_pseudo_likelihood"])
def test_early_stopping_by_the_pseudo_likelihood_can_stop(name):
    """With the default interval, patience and least number of epochs it was measured four times, and waited for ten."""
    options = {"n_iter": 20, "learning_rate": 0.0, "validation_fraction": 0.2, "random_state": 0}
    model = RBM(5, early_stopping=True, monitor=name, **options).fit(data())
    assert model.n_iter_ == 1 + model.n_iter_no_change < model.n_iter
    assert np.isfinite(model.history_[name]).all()
    plain = RBM(5, n_iter=6, random_state=0).fit(data())
    assert np.isfinite(plain.history_["pseudo_likelihood"]).tolist() == [False] * 4 + [True, True]
