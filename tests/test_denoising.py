"""Denoising autoencoders: what noise does to the inputs, what a step learns from them, and what comes back clean."""

import numpy as np
import pytest
from naive import sigmoid
from scipy import sparse
from sklearn.base import clone

from fastdbn import RBM, DBNAutoencoder, load
from fastdbn.training.noise import KINDS

DRAW = np.random.default_rng(0)
X = (DRAW.random((60, 8)) < 0.3 + 0.4 * (np.arange(60)[:, None] % 2)).astype(np.float32)
SMALL = {"rbm": RBM(n_iter=1), "max_iter": 2, "batch_size": 16, "random_state": 0}


def learnt(model):
    """All weights and biases, as one array."""
    return np.concatenate([x.ravel() for x in (*model.coefs_, *model.intercepts_)])


@pytest.mark.parametrize("kind", KINDS)
def test_noise_by_name(kind):
    """The share of values that change, and what they become."""
    x, ends = DRAW.random((400, 50)).astype(np.float32), np.full((2, 50), [[-1.0], [2.0]], np.float32)
    noisy = KINDS[kind](x, np.random.default_rng(0), 0.3, *ends)
    changed = noisy != x
    if kind == "gaussian":
        assert abs((noisy - x).std() - 0.3) < 0.01
        assert abs((noisy - x).mean()) < 0.01
        return
    assert abs(changed.mean() - 0.3) < 0.02
    shares = {"masking": {0.0: 0.3}, "salt-and-pepper": {-1.0: 0.15, 2.0: 0.15}}[kind]
    for value, share in shares.items():
        assert abs((noisy == value).mean() - share) < 0.02
    assert np.isin(noisy[changed], list(shares)).all()


@pytest.mark.parametrize("pairs", [False, True])
def test_one_step_by_hand(pairs):
    """The network sees noisy rows; loss and gradients are those of the clean ones."""
    clean, noisy = X, np.where(DRAW.random(X.shape) < 0.3, 1 - X, X)

    def noise(rows, draw):
        nonlocal clean, noisy
        clean, noisy = rows.copy(), np.where(draw.random(rows.shape) < 0.5, 1 - rows, rows)
        return noisy

    options = {"pretrain": False, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "dtype": "float64"}
    model = DBNAutoencoder(3, max_iter=0, batch_size=60, random_state=0, **options).fit(X)
    (W, G), (c, b) = model.coefs_, model.intercepts_
    if pairs:
        model.partial_fit(noisy, X)
    else:
        model.set_params(noise=noise).partial_fit(X)
        assert (noisy != clean).mean() > 0.3
    h = sigmoid(noisy @ W + c)
    p = sigmoid(h @ G + b)
    assert np.isclose(model.history_["loss"][0], -np.sum(clean * np.log(p) + (1 - clean) * np.log(1 - p)) / 60)
    up = (p - clean) / 60
    down = (up @ G.T) * h * (1 - h)
    for before, after, step in zip((W, G), model.coefs_, (noisy.T @ down, h.T @ up), strict=True):
        assert np.allclose(after, before - 0.1 * step, rtol=1e-12, atol=1e-12)
    for before, after, step in zip((c, b), model.intercepts_, (down.sum(axis=0), up.sum(axis=0)), strict=True):
        assert np.allclose(after, before - 0.1 * step, rtol=1e-12, atol=1e-12)


def test_noise_is_new_in_each_minibatch_and_epoch():
    """It comes from the seed, through warm starts and interrupts, on any number of threads."""
    draws = []

    def noise(rows, draw):
        draws.append(draw.random())
        return rows

    model = DBNAutoencoder(3, **SMALL).set_params(noise=noise)
    model.fit(X)
    assert len(set(draws)) == len(draws) == 2 * 4
    first, whole = list(draws), learnt(DBNAutoencoder(3, **SMALL, noise="masking").fit(X))
    draws.clear()
    model.fit(X)
    assert draws == first
    assert np.array_equal(learnt(DBNAutoencoder(3, **SMALL, noise="masking", n_jobs=2).fit(X)), whole)

    def interrupt(layer, **_):
        if layer == "fine-tuning":
            raise KeyboardInterrupt

    stopped = DBNAutoencoder(3, **SMALL, noise="masking", callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X)
    assert np.array_equal(learnt(stopped.set_params(callbacks=None, warm_start=True).fit(X)), whole)
    assert not np.array_equal(learnt(DBNAutoencoder(3, **SMALL).fit(X)), whole)


FACTORS = DRAW.normal(size=(400, 2)) @ DRAW.normal(size=(2, 12))
ONE_HOT = np.eye(3)[np.digitize(FACTORS[:, :4], (-0.7, 0.7))].reshape(400, 12)
KINDS_OF_DATA = {
    "zeros and ones": ((FACTORS > 0).astype(np.float32), {}),
    "grey": (1 / (1 + np.exp(-FACTORS)), {"visible": "bernoulli"}),
    "pixels": (np.round(255 / (1 + np.exp(-FACTORS))).astype(np.uint8), {}),
    "numbers": (40 + 10 * FACTORS, {}),
    "numbers as given": (FACTORS, {"visible": "gaussian", "scale": "none"}),
    "threshold": (40 + 10 * FACTORS, {"binarize": 40.0}),
    "drawn": (1 / (1 + np.exp(-FACTORS)), {"binarize": "sample"}),
    "sparse": (sparse.csr_matrix(np.maximum(FACTORS, 0).clip(0, 1)), {}),
    "one of three": (ONE_HOT, {"visible": "softmax:3"}),
    "mixed": (np.c_[ONE_HOT[:, :3], FACTORS[:, 3:]], {"visible": [("softmax", slice(0, 3)), ("gaussian", slice(3, 12))]}),
    "spin": (np.sign(FACTORS), {"visible": "spin"}),
    "positive": (np.maximum(FACTORS, 0), {"visible": "rectified", "scale": "none"}),
}


def swapped(rows, draw):
    """Some values of other rows."""
    return np.where(draw.random(rows.shape) < 0.2, rows[::-1], rows)


@pytest.mark.parametrize("case", KINDS_OF_DATA)
@pytest.mark.parametrize("noise", [*KINDS, "callable", "pairs"])
def test_kinds_of_data(case, noise):
    """Every kind of data with every kind of noise: denoised rows have the scale of the clean ones."""
    rows, options = KINDS_OF_DATA[case]
    dense = np.asarray(rows.toarray() if sparse.issparse(rows) else rows, float)
    noisy = np.where(DRAW.random(dense.shape) < 0.2, dense[::-1], dense)
    model = DBNAutoencoder(8, rbm=RBM(n_iter=1, **options), pretrain=case == "grey", max_iter=2, random_state=0)
    if noise == "pairs":
        model.fit(sparse.csr_matrix(noisy) if sparse.issparse(rows) else noisy, rows)
    else:
        model.set_params(noise=swapped if noise == "callable" else noise)
        model.fit(rows)
    cleaned = model.denoise(noisy)
    assert cleaned.shape == dense.shape
    low, high = dense.min(), dense.max()
    if case == "threshold":
        low, high = 0, 1
    assert (cleaned > low - (high - low)).all()
    assert (cleaned < high + (high - low)).all()
    assert cleaned.std() > 0


def test_denoising_removes_noise():
    """Of all kinds, better than a plain autoencoder: noise by name, a callable, and pairs, also by early stopping."""
    rows, test = (40 + 10 * FACTORS[:300]), 40 + 10 * FACTORS[300:]
    noisy, noisy_test = (x + 10 * np.random.default_rng(1).normal(size=x.shape) for x in (rows, test))
    scale = rows.std(axis=0)
    options = {"pretrain": False, "max_iter": 60, "random_state": 0}

    def error(model):
        return np.square((model.denoise(noisy_test) - test) / scale).mean()

    plain = error(DBNAutoencoder(16, **options).fit(rows))
    level = float((10 / scale).mean())
    for more in ({"noise": "gaussian", "noise_level": level}, {"noise": lambda x, draw: x + 10 * draw.normal(size=x.shape)}):
        assert error(DBNAutoencoder(16, **options, **more).fit(rows)) < 0.6 * plain
    model = DBNAutoencoder(16, **options, early_stopping=True).fit(noisy, rows)
    assert error(model) < 0.6 * plain
    held = model._split(np.arange(300, dtype=np.uint32), None, model.seed_)[1]
    by_hand = -np.square(model.denoise(noisy[held]) - rows[held]).sum(axis=1).mean()
    assert np.isclose(model.history_["validation_score"].max(), by_hand)
    assert model.score(noisy_test, test) > model.score(noisy_test[::-1], test)
    masked = DBNAutoencoder(16, **options | {"max_iter": 3}, early_stopping=True, noise="masking").fit(rows)
    assert np.isfinite(masked.history_["validation_score"]).all()


def test_what_leaves_the_range_and_labels(recwarn):
    """denoise clips without a warning; labels as y change nothing."""
    model = DBNAutoencoder(3, **SMALL, noise="gaussian").fit(X, np.arange(60) % 3)
    assert np.array_equal(learnt(model), learnt(clone(model).fit(X)))
    recwarn.clear()
    assert np.array_equal(model.denoise(4 * X - 1), model.denoise(np.clip(4 * X - 1, 0, 1)))
    assert np.array_equal(model.denoise(sparse.csr_matrix(X)), model.denoise(X))
    assert not recwarn.list
    model.reconstruct(4 * X - 1)
    assert len(recwarn.list) == 1


@pytest.mark.parametrize(
    ("params", "y", "says"),
    [
        ({"noise": "pepper"}, None, "noise='pepper': give one of 'masking', 'salt-and-pepper', 'gaussian', a callable"),
        ({"noise": "masking", "noise_level": 1.5}, None, "noise_level=1.5"),
        ({"noise": "masking"}, X, "noise='masking' beside clean rows"),
        ({}, X[:, :3], r"y has shape \(60, 3\) for X of shape \(60, 8\)"),
        ({}, X[:9], r"y has shape \(9, 8\)"),
        ({}, np.full(X.shape, np.nan), "Input y contains NaN"),
        ({"noise": lambda rows, draw: rows[:1]}, None, r"made rows of shape \(1, 8\)"),
        ({"noise": lambda rows, draw: rows * np.nan}, None, "finite numbers"),
    ],
)
def test_what_is_refused(params, y, says):
    """Each message names the remedy."""
    with pytest.raises(ValueError, match=says):
        DBNAutoencoder(3, **SMALL).set_params(**params).fit(X, y)


def test_parts_of_an_epoch():
    """They cannot be noisy rows beside clean ones; labels beside them are ignored."""
    model = DBNAutoencoder(3, **SMALL, pretrain=False).partial_fit(X[:30], epoch=0)
    with pytest.raises(ValueError, match="first_row=30 beside clean rows as y"):
        model.partial_fit(X[30:], X[30:], epoch=0, first_row=30)
    model.partial_fit(X[30:], np.zeros(30), epoch=0, first_row=30)


def test_files(tmp_path):
    """Noise by name is in the file; a function is not, and the message says what to do."""
    model = DBNAutoencoder(3, **SMALL, noise="masking", noise_level=0.4).fit(X)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert (loaded.noise, loaded.noise_level) == ("masking", 0.4)
    assert np.array_equal(learnt(loaded.partial_fit(X)), learnt(model.partial_fit(X)))
    with pytest.raises(ValueError, match=r"is a function.*set_params\(noise=None\)"):
        model.set_params(noise=lambda rows, draw: rows).save(tmp_path / "m")
