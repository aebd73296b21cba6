"""`fit(..., validation_data=...)`: rows of the user's own are watched in every stage, and early stopping reads them."""

import numpy as np
import pytest
from learnt import learnt
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import clone
from small import bits
from test_interrupt import LAYERS, Interrupt, layer

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier, load
from fastdbn.callbacks import Checkpoint, EarlyStopping
from fastdbn.estimators.forward import means

DRAW = np.random.default_rng(0)
X = (DRAW.random((60, 6)) < np.where(DRAW.random((60, 1)) < 0.5, 0.2, 0.8)).astype(np.float32)
Y = (X.sum(axis=1) > 3).astype(int)
TRAIN, HELD = (X[:40], Y[:40]), (X[40:], Y[40:])
NETWORK = {"rbm": layer(2), "max_iter": 3, **LAYERS}
WATCHED = "validation_reconstruction_error", "validation_pseudo_likelihood", "free_energy_gap"


def unlike(history):
    """Which measures of rows held out there are."""
    return {name for name in (*WATCHED, "validation_loss", "validation_score") if np.isfinite(history.get(name, [np.nan])).all()}


def test_an_rbm_watches_them():
    """The measures are those of these rows; the training is as without them; a tuple gives its X."""
    model = RBM(5, n_iter=3, monitor_interval=1, **LAYERS)
    plain = clone(model).fit(TRAIN[0])
    watched = clone(model).fit(TRAIN[0], validation_data=HELD[0])
    assert bits(watched) == bits(plain)
    assert unlike(watched.history_) == set(WATCHED)
    assert not unlike(plain.history_)
    error = np.mean((watched.reconstruct(HELD[0]) - HELD[0]) ** 2)
    np.testing.assert_allclose(watched.history_["validation_reconstruction_error"][-1], error, rtol=1e-5)
    gap = watched.free_energy(HELD[0]).mean() - watched.free_energy(TRAIN[0]).mean()
    np.testing.assert_allclose(watched.history_["free_energy_gap"][-1], gap, rtol=1e-4, atol=1e-5)
    for given in (HELD, sparse.csr_matrix(HELD[0])):
        assert learnt(clone(model).fit(TRAIN[0], validation_data=given)) == learnt(watched)


@pytest.mark.parametrize("missing", ["drop", "sample"])
def test_missing_values(missing):
    """Either set may lack values."""
    lacking = np.where(np.eye(20, 6) > 0, np.nan, HELD[0]), np.where(np.eye(40, 6) > 0, np.nan, TRAIN[0])
    for train, held in ((TRAIN[0], lacking[0]), (lacking[1], HELD[0]), (lacking[1], lacking[0])):
        model = RBM(5, n_iter=2, missing=missing, monitor_interval=1, **LAYERS).fit(train, validation_data=held)
        assert unlike(model.history_) == set(WATCHED)
        assert bits(model) == bits(clone(model).fit(train))


@pytest.mark.parametrize("kind", [DBN, DBNOutlierDetector])
def test_every_layer_watches_them(kind):
    """Upper layers watch what the layers below make of them."""
    model = kind((5, 4), rbm=layer(2, monitor_interval=1), random_state=0)
    watched = clone(model).fit(TRAIN[0], validation_data=HELD)
    assert [unlike(rbm.history_) for rbm in watched.layers_] == [set(WATCHED)] * 2
    assert [bits(rbm) for rbm in watched.layers_] == [bits(rbm) for rbm in clone(model).fit(TRAIN[0]).layers_]


@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor, DBNAutoencoder])
def test_fine_tuning_watches_them(kind):
    """Loss and score of each epoch are those of these rows, and pretraining watches them too; the training is as without them."""
    model = kind((5, 4), **NETWORK)
    plain, watched = clone(model).fit(*TRAIN), clone(model).fit(*TRAIN, validation_data=HELD)
    assert all(np.array_equal(a, b) for a, b in zip(plain.coefs_, watched.coefs_, strict=True))
    assert unlike(watched.history_) == {"validation_loss", "validation_score"}
    assert "validation_reconstruction_error" in unlike(watched.dbn_.layers_[1].history_)
    loss, score = (watched.history_[f"validation_{name}"][-1] for name in ("loss", "score"))
    outputs = means(watched, HELD[0]).astype(np.float64)
    if kind is DBNClassifier:
        np.testing.assert_allclose(loss, -watched.predict_log_proba(HELD[0])[np.arange(20), HELD[1]].mean(), rtol=1e-5)
        assert score == watched.score(*HELD)
    elif kind is DBNRegressor:
        target = (HELD[1][:, None] - watched.target_mean_) / watched.target_scale_
        np.testing.assert_allclose(loss, 0.5 * np.mean((outputs - target) ** 2), rtol=1e-5)
        np.testing.assert_allclose(score, watched.score(*HELD), rtol=1e-5)
    else:
        cross = HELD[0] * np.log(outputs) + (1 - HELD[0]) * np.log(1 - outputs)
        np.testing.assert_allclose(loss, -cross.sum(axis=1).mean(), rtol=1e-4)
        np.testing.assert_allclose(score, -np.mean(np.sum((outputs - HELD[0]) ** 2, axis=1)), rtol=1e-5)


def test_up_down_watches_them():
    """Log loss and accuracy of each epoch."""
    model = GenerativeDBNClassifier((5, 4), rbm=[layer(2, monitor_interval=1), layer(2)], up_down_iter=3, random_state=0)
    plain, watched = clone(model).fit(*TRAIN), clone(model).fit(*TRAIN, validation_data=HELD)
    assert [bits(rbm) for rbm in watched.layers_] == [bits(rbm) for rbm in plain.layers_]
    assert unlike(watched.layers_[0].history_) == set(WATCHED)
    assert unlike(watched.up_down_history_) == {"validation_loss", "validation_score"}
    logs = watched.predict_log_proba(HELD[0])
    np.testing.assert_allclose(watched.up_down_history_["validation_loss"][-1], -logs[np.arange(20), HELD[1]].mean(), rtol=1e-6)
    assert watched.up_down_history_["validation_score"][-1] == watched.score(*HELD)
    np.testing.assert_allclose(logsumexp(logs, axis=1), 0, atol=1e-6)
    assert learnt(clone(model).fit(*TRAIN, validation_data=[*HELD])) == learnt(watched)


def test_early_stopping_by_them():
    """As by rows held out, but all rows are trained on."""
    stop = {"early_stopping": True, "n_iter_no_change": 2}
    rbm = RBM(5, n_iter=50, **stop, **LAYERS).fit(TRAIN[0], validation_data=HELD[0])
    assert rbm.n_iter_ < 50
    network = DBNClassifier((5,), pretrain=False, max_iter=60, validation_fraction=0.0, **stop, **LAYERS)
    network.fit(*TRAIN, validation_data=HELD)
    assert network.score(*HELD) == network.history_["validation_score"].max()
    assert network.n_iter_ < 60
    whole = GenerativeDBNClassifier((5, 4), rbm=layer(1), up_down_iter=30, random_state=0)
    by_loss = EarlyStopping("validation_loss", n_iter_no_change=2, tol=0.1)
    whole.set_params(callbacks=[by_loss]).fit(*TRAIN, validation_data=HELD)
    best = whole.up_down_history_["validation_loss"].min()
    logs = whole.predict_log_proba(HELD[0])
    np.testing.assert_allclose(-logs[np.arange(20), HELD[1]].mean(), best, rtol=1e-6)
    assert whole.up_down_iter_ < 30


@pytest.mark.parametrize(
    "model",
    [
        GenerativeDBNClassifier((5, 4), rbm=layer(1), up_down_iter=8, up_down_learning_rate=0.5, random_state=0),
        DBNClassifier((5,), pretrain=False, max_iter=8, learning_rate_init=0.5, **LAYERS),
    ],
    ids=["generative", "classifier"],
)
def test_checkpoints_hold_the_best_epoch(model, tmp_path):
    """Early stopping by these rows goes on from a checkpoint to the same bits; other rows are refused."""
    stop = EarlyStopping("validation_loss", n_iter_no_change=6)
    whole = learnt(clone(model).set_params(callbacks=[stop]).fit(*TRAIN, validation_data=HELD))
    part = clone(model).set_params(callbacks=[stop, Checkpoint(tmp_path), Interrupt(6)])
    with pytest.raises(KeyboardInterrupt):
        part.fit(*TRAIN, validation_data=HELD)
    assert load(tmp_path / "last.safetensors")
    again = clone(model).set_params(callbacks=[stop])
    with pytest.raises(ValueError, match="validation_data X has other values"):
        again.fit(*TRAIN, validation_data=(1 - HELD[0], HELD[1]), resume=tmp_path / "last.safetensors")
    assert learnt(again.fit(*TRAIN, validation_data=HELD, resume=tmp_path / "last.safetensors")) == whole


def test_noise_and_pairs():
    """An autoencoder sees them as it sees rows held out: with its noise, or as noisy rows beside clean ones."""
    noisy = np.clip(X + DRAW.normal(0, 0.1, X.shape), 0, 1).astype(np.float32)
    masked = DBNAutoencoder((5,), noise="masking", **NETWORK).fit(TRAIN[0], validation_data=HELD[0])
    assert unlike(masked.history_) == {"validation_loss", "validation_score"}
    paired = DBNAutoencoder((5,), **NETWORK).fit(noisy[:40], TRAIN[0], validation_data=(noisy[40:], HELD[0]))
    by_hand = -np.mean(np.sum((paired.denoise(noisy[40:]) - HELD[0]) ** 2, axis=1))
    np.testing.assert_allclose(paired.history_["validation_score"][-1], by_hand, rtol=1e-5)
    with pytest.raises(ValueError, match="validation_data has no clean rows"):
        clone(paired).fit(noisy[:40], TRAIN[0], validation_data=HELD[0])


def test_rows_without_labels():
    """They do not count."""
    y = HELD[1].copy()
    y[:5] = -1
    model = DBNClassifier((5,), unlabelled=-1, pretrain=False, **NETWORK | {"rbm": None})
    some = clone(model).fit(*TRAIN, validation_data=(HELD[0], y))
    assert learnt(some.history_) == learnt(clone(model).fit(*TRAIN, validation_data=(HELD[0][5:], y[5:])).history_)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (RBM(5), HELD[0][:, :4], "validation_data: X has 4 features"),
        (RBM(5), np.full((2, 6), np.nan), "validation_data: Input X contains NaN"),
        (RBM(5), 3, "validation_data: "),
        (RBM(5, validation_fraction=0.1), HELD[0], r"validation_fraction=0.1 holds out rows, and validation_data are given"),
        (RBM(5, early_stopping=True), None, "give validation_fraction, such as 0.1, or validation_data"),
        (DBN((5,)), HELD[0][:, :4], "validation_data: X has 4 features"),
        (DBNClassifier((5,)), HELD[0], r"give a tuple \(X, y\)"),
        (DBNClassifier((5,)), (HELD[0], HELD[1] + 5), "validation_data: y"),
        (DBNClassifier((5,)), (HELD[0], HELD[1][:3]), "validation_data: "),
        (DBNClassifier((5,), early_stopping=True, validation_fraction=0.0), None, "or validation_data"),
        (DBNRegressor((5,)), (HELD[0], None), "validation_data: y=None"),
        (DBNRegressor((5,)), (HELD[0], np.c_[HELD[1], HELD[1]]), "validation_data: y has 2 outputs, and the fit had 1"),
        (GenerativeDBNClassifier((5,)), (HELD[0], HELD[1] + 5), "validation_data: y"),
        (GenerativeDBNClassifier((5,)), 3, r"validation_data=3: give a tuple \(X, y\)"),
        (DBNAutoencoder((5,)), HELD[0][:, :4], "validation_data: X has 4 features"),
    ],
)
def test_what_cannot_be_watched(model, given, message):
    """It is refused by name before anything is trained."""
    model = clone(model)
    with pytest.raises(ValueError, match=message):
        model.fit(*TRAIN, validation_data=given)
    assert not [name for name in vars(model) if name.endswith("_")]
