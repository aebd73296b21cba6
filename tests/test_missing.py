"""Missing values: both ways against the exact gradients of enumerated machines, and what is refused."""

import numpy as np
import pytest
from exact import Machine
from naive import sigmoid
from runs import gradient, phases, run_of
from scipy import sparse
from sklearn.base import clone
from small import bits

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier, load
from fastdbn.backends.devices import get_backend
from fastdbn.maths import rng
from fastdbn.training.options.missing_values import MissingValues, split
from fastdbn.units import get_unit, softmax

BERNOULLI = get_unit("bernoulli")
NAN = np.nan
ROWS = np.array([[1, 0, NAN, 1, NAN, 0], [NAN, NAN, 1, 1, 0, 1], [0, 1, 1, NAN, 0, 0], [1, 1, 1, 0, 0, 1], [NAN] * 6])
"""Rows of a 6x4 machine that lack different values: two, none, all."""


def mean_gradient(machine, X, way, *, steps=1, k=1, persistent=False, chains=None, weights=None, repeats=60, seed=5):
    """Mean and standard error of the gradient over minibatches with fixed weights, in float64."""
    filled, mask = split(X)
    options = {"k": k, "persistent": persistent, "chains": chains, "weights": weights, "seed": seed}
    run = run_of(machine, filled, mask=mask, options=[MissingValues(way, steps)], **options)
    found = np.array([gradient(run, step) for step in range(repeats)])
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(repeats)


def flat(gradient):
    return np.concatenate([np.ravel(x) for x in gradient])


def dropped_gradient(machine, X, gradient_of):
    """The mean of the rows' gradients, each in the machine over its observed units."""
    total = [np.zeros_like(x) for x in (machine.W, machine.b, machine.c)]
    for row in X:
        seen = ~np.isnan(row)
        part = Machine(int(seen.sum()), 4)
        part.W, part.b, part.c = machine.W[seen], machine.b[seen], machine.c
        W, b, c = gradient_of(part, row[None, seen])
        total[0][seen] += W
        total[1][seen] += b
        total[2] += c
    return [x / len(X) for x in total]


def marginal_gradient(machine, X):
    """The gradient of the mean of log p(observed values), by enumeration of what is missing."""
    p, posterior = machine.p_v(), np.zeros(len(machine.V))
    for row in X:
        fits = np.all(np.isnan(row) | (machine.V == row), axis=1)
        posterior += fits * p / (fits * p).sum() / len(X)
    positive, negative = machine.moments(posterior), machine.moments(p)
    return [a - b for a, b in zip(positive, negative, strict=True)]


@pytest.mark.parametrize("k", [1, 3])
def test_drop_has_the_gradient_of_the_machines_of_the_rows(k):
    """The mean over draws is the exact CD-k expectation of the machines over the observed units, within 5 standard errors."""
    machine = Machine(6, 4, seed=1, scale=2.0)
    X = np.tile(ROWS, (400, 1))
    mean, error = mean_gradient(machine, X, "drop", k=k)
    exact = flat(dropped_gradient(machine, ROWS, lambda part, row: part.cd_gradient(row, k)))
    assert (np.abs(mean - exact) < 5 * error + 1e-12).all()
    completed = flat(machine.cd_gradient(np.nan_to_num(ROWS), k))
    assert np.abs(completed - exact).max() > 20 * error.max(), "zeros in place of what is missing are another gradient"


def test_drop_tends_to_the_likelihood_of_the_observed():
    """With long chains it is the exact gradient of the mean log-likelihood of the machines over the observed units."""
    machine = Machine(6, 4, seed=2)
    mean, error = mean_gradient(machine, np.tile(ROWS, (400, 1)), "drop", k=30, repeats=40)
    exact = flat(dropped_gradient(machine, ROWS, lambda part, row: part.gradient(row)))
    assert (np.abs(mean - exact) < 5 * error + 1e-12).all()
    assert np.abs(exact).max() > 20 * error.max()


@pytest.mark.parametrize("persistent", [False, True])
def test_sample_tends_to_the_marginal_likelihood(persistent):
    """With long chains, or persistent ones at equilibrium, it is the exact gradient of log p(observed)."""
    machine, n = Machine(6, 4, seed=3), 2000
    found, chains = [], None
    for seed in range(12):
        if persistent:
            v = machine.draw(4 * n, seed=seed)
            chains = (np.random.default_rng(seed).random((4 * n, 4)) < machine.hidden_mean(v)).astype(float)
        options = {"steps": 20, "k": 1 if persistent else 30, "persistent": persistent, "chains": chains}
        found.append(mean_gradient(machine, np.tile(ROWS, (n // 5, 1)), "sample", repeats=4, seed=seed, **options)[0])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    exact = flat(marginal_gradient(machine, ROWS))
    assert (np.abs(np.mean(found, axis=0) - exact) < 6 * error + 1e-12).all()
    assert np.abs(exact).max() > 20 * error.max()


def test_chains_of_the_missing_go_on():
    """One step in each minibatch is enough in the end, for the chains of the rows are kept: else few steps would stay far off."""
    machine = Machine(6, 4, seed=4, scale=3.0)
    exact = machine.moments(np.zeros(64))[0] * 0
    X, p = np.tile(ROWS, (100, 1)), machine.p_v()
    for row in ROWS:
        fits = np.all(np.isnan(row) | (machine.V == row), axis=1)
        exact += machine.moments(fits * p / (fits * p).sum())[0] / len(ROWS)

    def distance(start, repeats):
        """Of the positive phase's mean over some minibatches from the exact one."""
        filled, mask = split(X)
        run, found = run_of(machine, filled, mask=mask, options=[MissingValues("sample", 1)], seed=0), []
        for step in range(start + repeats):
            positive, _, (scale, _) = phases(run, step=step)
            found.append(scale * positive.v.T @ positive.h)
        return np.abs(np.mean(found[start:], axis=0) - exact).max()

    assert distance(60, 60) < 0.3 * distance(0, 1)


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_weights_are_repeats_in_expectation(way):
    """Rows weighted 0, 1, 3, 2, 1 have the expected gradient of rows left out, taken once, three times and twice."""
    machine, times, n = Machine(6, 4, seed=8), np.array([0, 1, 3, 2, 1]), 300
    weights = np.tile(times / times.mean(), n)
    options = {"steps": 10 if way == "sample" else 1}
    a, error_a = mean_gradient(machine, np.tile(ROWS, (n, 1)), way, weights=weights, **options)
    b, error_b = mean_gradient(machine, np.tile(np.repeat(ROWS, times, axis=0), (n, 1)), way, **options)
    assert (np.abs(a - b) < 5.5 * np.hypot(error_a, error_b) + 1e-12).all()


def data(n=80, width=10, seed=0, share=0.2):
    """Noisy prototypes with missing values."""
    draw = np.random.default_rng(seed)
    prototypes = draw.integers(0, 2, (2, width))
    X = (prototypes[draw.integers(0, 2, n)] ^ (draw.random((n, width)) < 0.1)).astype(np.float32)
    whole = X.copy()
    X[draw.random(X.shape) < share] = NAN
    return X, whole


FITS = {
    "drop": {"missing": "drop"},
    "sample": {"missing": "sample", "missing_steps": 3},
    "sample, PCD": {"missing": "sample", "persistent": True, "n_chains": 7},
    "drop, Gaussian": {"missing": "drop", "scale": "standard", "visible": "gaussian"},
    "sample, thresholded": {"missing": "sample", "binarize": 0.5, "validation_fraction": 0.2},
    "drop, watched": {
        "missing": "drop",
        "validation_fraction": 0.2,
        "early_stopping": True,
        "monitor": "validation_pseudo_likelihood",
    },
}


@pytest.mark.parametrize("name", FITS)
def test_fits(name, tmp_path, split_everything):
    """Finite, the same at any number of threads, other data left as they were, nothing learned from the place of a NaN."""
    X, _ = data()
    before = X.copy()
    a, b = (RBM(6, n_iter=6, random_state=0, n_jobs=n_jobs, batch_size=16, **FITS[name]).fit(X) for n_jobs in (1, 3))
    assert bits(a) == bits(b)
    np.testing.assert_array_equal(X, before)
    assert np.isfinite(a.transform(X)).all() and np.isfinite(a.reconstruct(X)).all()
    assert np.isfinite(a.history_["reconstruction_error"]).all()
    a.save(tmp_path / "m")
    assert load(tmp_path / "m").transform(X).tobytes() == a.transform(X).tobytes()


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_without_missing_values_nothing_changes(way):
    """Complete data take the usual way, whatever the parameter says."""
    (_, whole), options = data(), {"centering": None, "n_iter": 2, "random_state": 0}
    assert bits(RBM(6, missing=way, **options).fit(whole)) == bits(RBM(6, **options).fit(whole))


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_missing_values_are_filled_in(way):
    """What was taken away is found again better than by the columns' means: something was learned around the gaps."""
    X, whole = data(n=400, share=0.25)
    model = RBM(8, missing=way, n_iter=60, learning_rate=0.1, random_state=0).fit(X)
    lost = np.isnan(X)
    error = np.mean((model.reconstruct(X) - whole)[lost] ** 2)
    by_means = np.mean((np.broadcast_to(np.nanmean(X, axis=0), X.shape) - whole)[lost] ** 2)
    assert error < 0.7 * by_means  # a tenth of the values is noise, so no better than half of it can be


def test_statistics_are_of_the_observed():
    """Means and scaling: those of NumPy's nan functions, weighted too."""
    draw = np.random.default_rng(0)
    X = draw.normal([3.0, -50.0, 0.1], [1.0, 20.0, 0.01], (200, 3))
    X[draw.random(X.shape) < 0.3] = NAN
    model = RBM(4, missing="drop", visible="gaussian", scale="standard", n_iter=0).fit(X)
    np.testing.assert_allclose(model.scaling_.shift, np.nanmean(X, axis=0), rtol=1e-12)
    np.testing.assert_allclose(1 / model.scaling_.scale, np.nanstd(X, axis=0), rtol=1e-12)
    assert np.allclose(model.intercept_visible_, 0, atol=1e-6)
    times = draw.integers(0, 3, 200)
    a = RBM(4, missing="drop", visible="gaussian", scale="standard", n_iter=0).fit(X, sample_weight=times)
    b = RBM(4, missing="drop", visible="gaussian", scale="standard", n_iter=0).fit(np.repeat(X, times, axis=0))
    np.testing.assert_allclose(a.scaling_.scale, b.scaling_.scale, rtol=1e-9)
    Y = (X - np.nanmin(X, axis=0)) / np.ptp(X[~np.isnan(X).any(axis=1)], axis=0)
    model = RBM(4, missing="sample", binarize=0.5, centering=None, n_iter=0, dtype="float64").fit(Y)
    share = np.nanmean(np.where(np.isnan(Y), NAN, Y > 0.5), axis=0)
    np.testing.assert_allclose(sigmoid(model.intercept_visible_), (share * 200 + 0.5) / 201, rtol=1e-9)
    model = RBM(4, missing="sample", scale="minmax", n_iter=0).fit(Y)
    np.testing.assert_allclose(model.scaling_.scale, 1 / np.nanmax(Y, axis=0), rtol=1e-9)


def test_use_of_rows_that_lack_values():
    """A row of "drop" is its own machine: features and energies of the machine without those units, Gaussian ones too."""
    for visible in ("bernoulli", "gaussian"):
        X, _ = data(n=20)
        model = RBM(6, missing="drop", visible=visible, n_iter=5, random_state=0, dtype="float64").fit(X)
        for row in X[:8]:
            seen = ~np.isnan(row)
            small = RBM(6, visible=visible, n_iter=0, dtype="float64").fit(np.zeros((2, seen.sum())))
            small.components_, small.intercept_hidden_ = model.components_[:, seen], model.intercept_hidden_
            small.intercept_visible_ = model.intercept_visible_[seen]
            np.testing.assert_allclose(model.transform(row[None]), small.transform(row[None, seen]), rtol=1e-9)
            np.testing.assert_allclose(model.free_energy(row[None]), small.free_energy(row[None, seen]), rtol=1e-9)
    sampled = RBM(6, missing="sample", n_iter=5, random_state=0).fit(X)
    np.testing.assert_array_equal(sampled.transform(X)[:3], sampled.transform(X[:3]))
    for use in (sampled.free_energy, sampled.score_samples, sampled.gibbs, model.gibbs):
        with pytest.raises(ValueError, match="NaN"):
            use(X)


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_softmax_groups_are_missing_whole(way):
    """A category that is missing is a whole group; a part of it is an error."""
    X = np.eye(3)[np.random.default_rng(0).integers(0, 3, (30, 2))].reshape(30, 6)
    X[3, :3] = X[7, 3:] = X[9] = NAN
    model = RBM(4, visible=softmax(3), missing=way, n_iter=4, batch_size=8, random_state=0).fit(X)
    assert np.isfinite(model.components_).all() and np.isfinite(model.transform(X)).all()
    X[5, 0] = NAN
    with pytest.raises(ValueError, match=r"row 5 has nan in group 0.*all of them NaN where it is missing"):
        RBM(4, visible=softmax(3), missing=way).fit(X)


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_a_stack_learns_from_rows_that_lack_values(way):
    X, _ = data()
    model = DBN((6, 4), rbm=RBM(n_iter=3, missing=way), random_state=0).fit(X)
    assert np.isfinite(model.transform(X)).all() and np.isfinite(model.reconstruct(X)).all()


def test_refusals():
    """Without the parameter NaN is an error; so are columns without values, infinities, NaN in CSR, and drop with PCD."""
    X, _ = data()
    with pytest.raises(ValueError, match="NaN"):
        RBM(4).fit(X)
    with pytest.raises(ValueError, match="NaN"):
        DBN((4,)).fit(X)
    with pytest.raises(ValueError, match="NaN"):
        RBM(4, missing="drop").fit(sparse.csr_matrix(X))
    Y = X.copy()
    Y[:, 2] = NAN
    for way in ("drop", "sample"):
        with pytest.raises(ValueError, match="column 2 of X has no value"):
            RBM(4, missing=way).fit(Y)
    Y = X.copy()
    Y[1, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        RBM(4, missing="sample").fit(Y)
    with pytest.raises(ValueError, match="missing='drop' makes each row a machine of its own"):
        RBM(4, missing="drop", persistent=True).fit(X)
    with pytest.raises(ValueError, match="missing='mean': give None or one of 'drop', 'sample'"):
        RBM(4, missing="mean").fit(X)
    with pytest.raises(ValueError, match="missing_steps=0"):
        RBM(4, missing="sample", missing_steps=0).fit(X)
    Y = X.copy()
    Y[0, 0] = 7
    with pytest.raises(ValueError, match="column 0 has max 7"):
        RBM(4, missing="drop", visible="bernoulli").fit(Y)
    model = RBM(4, missing="drop", n_iter=1).fit(X)
    with pytest.raises(ValueError, match="column 0 has max 7"):
        model.partial_fit(Y)


def grouped(n=300, share=0.3):
    """Gappy rows of two prototypes, and which prototype each is of."""
    draw = np.random.default_rng(1)
    y, prototypes = draw.integers(0, 2, n), np.tile([[0, 0, 1, 1], [1, 1, 0, 0]], 3)
    X = (prototypes[y] ^ (draw.random((n, 12)) < 0.05)).astype(np.float32)
    return np.where(draw.random(X.shape) < share, np.float32(NAN), X), y


NETWORKS = {
    "classifier": lambda rbm: DBNClassifier((8,), rbm=rbm, max_iter=40, random_state=0),
    "regressor": lambda rbm: DBNRegressor((8,), rbm=rbm, max_iter=40, random_state=0),
    "generative": lambda rbm: GenerativeDBNClassifier((8, 8), rbm=rbm, up_down_iter=20, random_state=0),
}


@pytest.mark.parametrize("way", ["drop", "sample"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_learn_from_and_predict_rows_with_gaps(name, way):
    """Pretraining learns around gaps, fine-tuning and predictions take them as the first RBM does."""
    X, y = grouped()
    model = NETWORKS[name](RBM(n_iter=30, missing=way)).fit(X[:200], y[:200], validation_data=(X[:50], y[:50]))
    assert model.score(X[200:], y[200:]) > (0.95 if name != "regressor" else 0.8)
    assert np.isfinite(model.transform(X)).all()
    assert model.__sklearn_tags__().input_tags.allow_nan
    assert not clone(model).set_params(rbm=RBM()).__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match=r"contains NaN .* networks with rbm=RBM\(missing='sample'\)"):
        clone(model).set_params(rbm=RBM()).fit(X, y)


@pytest.mark.parametrize("way", ["drop", "sample"])
def test_fine_tuning_begins_with_what_the_first_layer_makes_of_gaps(way, tmp_path):
    """Before its first epoch the network computes what its pretrained layers do; a row's output does not depend on others."""
    X, y = grouped()
    model = DBNClassifier((8, 4), rbm=RBM(n_iter=2, missing=way), max_iter=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.transform(X), model.dbn_.transform(X), atol=1e-6)
    np.testing.assert_allclose(model.transform(X[:3]), model.transform(X)[:3], atol=1e-6)
    whole = np.nan_to_num(X)
    assert np.array_equal(model.predict_proba(whole), model.predict_proba(whole.copy()))
    model.save(tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").predict_proba(X), model.predict_proba(X))
    assert np.array_equal(model.fit(X, y).predict_proba(X), load(tmp_path / "m").predict_proba(X))


def test_autoencoder_with_gaps():
    """What is observed is reconstructed well, and scored alone; a classifier given its own network takes gaps too."""
    X, y = grouped()
    model = DBNAutoencoder((6,), rbm=RBM(n_iter=30, missing="sample"), max_iter=20, random_state=0).fit(X)
    seen = ~np.isnan(X)
    assert np.mean((model.reconstruct(X) - X)[seen] ** 2) < 0.1
    assert np.isfinite(model.denoise(X)).all()
    assert -3.5 < model.score(X) < 0  # 12 units that are guessed would have -8.3
    given = DBNClassifier((6,), pretrain=model.dbn_, max_iter=10, random_state=0).fit(X, y)
    assert given.score(X, y) > 0.95
    assert given.partial_fit(X, y).n_iter_ == 11


def test_outliers_with_gaps():
    """Scores are those of rows that conditional means complete; rows that are machines of their own cannot be compared."""
    X, _ = grouped()
    model = DBNOutlierDetector((8,), rbm=RBM(n_iter=30, missing="sample"), contamination=0.1, random_state=0).fit(X)
    odd = np.where(np.isnan(X), X, 1 - X)
    odd[:, :2] = X[:, :2]
    assert model.decision_function(X).mean() > model.decision_function(odd).mean()
    with pytest.raises(ValueError, match="missing='drop' gives each row a machine of its own"):
        DBNOutlierDetector((8,), rbm=RBM(n_iter=1, missing="drop")).fit(X)


def test_gaps_that_no_layer_fills():
    """Networks without a pretrained RBM, and a threshold, refuse them with the remedy."""
    X, y = grouped()
    rbm = RBM(n_iter=1, missing="sample")
    with pytest.raises(ValueError, match="a network that was not pretrained"):
        DBNClassifier((8,), rbm=rbm, pretrain=False).fit(X, y)
    with pytest.raises(ValueError, match="a network that was not pretrained"):
        DBNClassifier((8,), rbm=rbm, pretrain=False, max_iter=0).fit(np.nan_to_num(X), y).predict(X)
    with pytest.raises(ValueError, match=r"binarize=0\.5 with missing values"):
        DBNClassifier((8,), rbm=RBM(n_iter=1, missing="sample", binarize=0.5)).fit(X, y)
    with pytest.raises(ValueError, match="missing='drop' reaches the top RBM"):
        GenerativeDBNClassifier((8,), rbm=RBM(missing="drop")).fit(X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "spin"])
def test_draws_of_the_missing_alone(units, dtype, split_everything):
    """States and fields are those of drawing all units and taking the missing ones, at odd sizes and any number of threads."""
    unit, key = get_unit(units), rng.key(7, 3, rng.stream(rng.VISIBLE, 0, 5))
    for n, nv, nh in ((1, 1, 1), (3, 65, 31), (33, 130, 97), (17, 7, 64)):
        results = set()
        for n_threads in (1, 3):
            backend, draw = get_backend(n_threads, dtype), np.random.default_rng(1)
            W, bias = draw.normal(size=(nv, nh)).astype(dtype) / nh, draw.normal(size=nv).astype(dtype)
            h, v, mask = ((draw.random(shape) < 0.4).astype(dtype) for shape in ((n, nh), (n, nv), (n, nv)))
            rows, field, mean, drawn = np.arange(5, 5 + n, dtype=np.uint32), v @ W, backend.zeros(n, nv), backend.zeros(n, nv)
            backend.conditional(unit, h, W, bias, mean, drawn, rows, key, transpose=True)
            expected = np.where(mask != 0, drawn, v)
            assert backend.redraw(unit, h, W, bias, mask, rows, key, v, field)
            tolerance = 1e-5 if dtype == "float32" else 1e-12
            assert np.allclose(v, expected, rtol=tolerance, atol=tolerance)
            assert np.allclose(field, expected @ W, rtol=tolerance, atol=tolerance)
            results.add(v.tobytes() + field.tobytes())
        assert len(results) == 1


def test_draws_of_whole_layers_of_other_units():
    """Groups are not drawn one by one."""
    assert not get_backend(1, "float32").redraw(softmax(3), *[np.zeros((1, 3), np.float32)] * 4, None, None, None, None)


def test_assignments_where_a_mask_is_set():
    """Of numbers and booleans, for each number, each row and a vector; with values and without."""
    backend, draw = get_backend(1, "float32"), np.random.default_rng(0)
    x, values, mask = draw.normal(size=(5, 7)).astype("f"), draw.normal(size=(5, 7)).astype("f"), draw.random((5, 7)) < 0.5
    for kind in ("float32", "bool"):
        for given, where in ((x, mask), (x, mask[:, :1]), (x[0], mask[0])):
            for new in (None, values[: len(given)] if given.ndim == 2 else values[0]):
                out = given.copy()
                backend.assign_where(out, where.astype(kind), new)
                assert np.array_equal(out, np.where(where, 0 if new is None else new, given))
