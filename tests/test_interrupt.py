"""A fit that is interrupted, at every stage of every estimator: what is left can be used or says that it cannot, and a fit with
`warm_start` completes it to the bits of one that was not interrupted."""

import copy
import pickle

import numpy as np
import pytest
from learnt import learnt
from room import contents, no_room
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    DivergenceError,
    GenerativeDBNClassifier,
    load,
)
from fastdbn.backends.cpu.backend import CPU
from fastdbn.files.state import declared


def falling(epoch):
    """A schedule that has another value in every epoch."""
    return 0.1 / (1 + epoch)


LAYERS = {"batch_size": 8, "random_state": 0}
"""Of an RBM, and of back-propagation."""


def layer(n_iter, **more):
    """What describes a layer of a network."""
    return RBM(n_iter=n_iter, batch_size=8, **more)


NETWORK = {"rbm": [layer(1), layer(2)], "max_iter": 3, **LAYERS}
MODELS = {
    "rbm": RBM(5, n_iter=3, **LAYERS),
    "stopping": RBM(
        5, n_iter=4, early_stopping=True, monitor="reconstruction_error", n_iter_no_change=2, learning_rate=0.5, **LAYERS
    ),
    "chains": RBM(
        5, n_iter=3, persistent=True, n_chains=3, centering="data", sparsity_target=0.2, learning_rate="auto", **LAYERS
    ),
    "dbn": DBN((5, 4, 3), rbm=[layer(2), layer(1), layer(2)], random_state=0),
    "sampled": DBN((5, 4), rbm=layer(2), propagate="sample", random_state=0),
    "outliers": DBNOutlierDetector((5, 4), rbm=layer(2), random_state=0),
    "generative": GenerativeDBNClassifier((5, 4), rbm=layer(2, momentum=0.5), up_down_iter=3, random_state=0),
    "classifier": DBNClassifier((5, 4), dropout=0.3, **NETWORK),
    "sgd": DBNClassifier((5,), pretrain=False, solver="sgd", max_iter=3, learning_rate_init=falling, **LAYERS),
    "best": DBNClassifier((5, 4), early_stopping=True, n_iter_no_change=2, learning_rate_init=0.1, **NETWORK | {"max_iter": 5}),
    "given": DBNClassifier((5,), pretrain=DBN((5,), rbm=layer(1), random_state=0), max_iter=2, **LAYERS),
    "regressor": DBNRegressor((5, 4), **NETWORK),
    "autoencoder": DBNAutoencoder((5, 4), **NETWORK),
}
DRAW = np.random.default_rng(0)
X = (DRAW.random((40, 6)) < np.where(DRAW.random((40, 1)) < 0.5, 0.2, 0.8)).astype(np.float32)
Y = (X.sum(axis=1) > 3).astype(int)
OTHER = (DRAW.random((24, 7)) < 0.5).astype(np.float32), np.arange(24) % 3
USES = ("transform", "predict", "predict_proba", "score_samples", "decision_function", "reconstruct")
every = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module", autouse=True)
def pretrained():
    """One of the models is given a network."""
    MODELS["given"].pretrain.fit(X)


def model_of(name):
    """An unfitted model; the network that one is given stays fitted."""
    model = clone(MODELS[name])
    return model.set_params(pretrain=copy.deepcopy(MODELS[name].pretrain)) if name == "given" else model


class Interrupt:
    """A callback that counts epochs and interrupts after one of them."""

    def __init__(self, after=None, error=KeyboardInterrupt):
        self.after, self.error, self.seen = after, error, 0

    def __call__(self, **_):
        self.seen += 1
        if self.seen == self.after:
            raise self.error


def completed(model):
    """The model after a fit that completes what it has begun."""
    return learnt(model.set_params(callbacks=None, warm_start=True).fit(X, Y))


def usable(model, path):
    """Whether a model is fitted; either way all that it does agrees with that."""
    answers = []
    for use in (
        *(getattr(model, name, None) for name in USES),
        lambda _: model.sample(2, n_steps=1, random_state=0),
        lambda _: model.save(path),
    ):
        try:
            answers += [] if use is None else [use(X)]
        except NotFittedError as error:
            assert "interrupted" in str(error) and "warm_start=True" in str(error)
            answers.append(NotFittedError)
        except (AttributeError, ValueError) as error:  # there is no pretrained network, or no method of this name
            assert "cannot generate" in str(error) or "has no attribute 'sample'" in str(error)
    lacking = [answer is NotFittedError for answer in answers]
    assert all(lacking) or not any(lacking)
    return not any(lacking)


@every
def test_after_every_epoch(name, tmp_path):
    """Ctrl-C or an error after each epoch: used, pickled, saved and completed, once and over again."""
    whole = model_of(name).set_params(callbacks=[Interrupt()])
    epochs = whole.fit(X, Y).callbacks[0].seen
    whole = learnt(whole)
    for after in range(1, epochs + 1):
        model = model_of(name).set_params(callbacks=[Interrupt(after, KeyboardInterrupt if after % 2 else RuntimeError)])
        with pytest.raises((KeyboardInterrupt, RuntimeError)):
            model.fit(X, Y)
        again = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
        if usable(model, tmp_path / "m"):
            assert completed(load(tmp_path / "m")) == whole
        else:
            assert not (tmp_path / "m").exists()
        again.set_params(callbacks=[Interrupt(1)], warm_start=True)
        if after < epochs:
            with pytest.raises(KeyboardInterrupt):
                again.fit(X, Y)
        assert completed(again) == completed(model) == whole


@every
def test_between_epochs(name, monkeypatch):
    """Ctrl-C before the first epoch or anywhere else: the model is as it was, or goes on to the bits of one fit."""
    whole = model_of(name)
    with no_room(monkeypatch, CPU, np.inf) as count:
        whole.fit(X, Y)
    whole, fitted = learnt(whole), model_of(name).fit(*OTHER) if name != "given" else model_of(name).fit(X, Y)
    before = learnt(fitted)
    for after in np.unique(np.linspace(0, count[0] - 1, 6).astype(int)):
        for model in (model_of(name), copy.deepcopy(fitted)):
            with no_room(monkeypatch, CPU, after, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
            assert learnt(model) == before or completed(model) == whole


@every
def test_a_second_fit_forgets_the_first(name):
    """A model fitted on other columns, then on these: interrupted after the first epoch it holds nothing of the former."""
    if name == "given":
        pytest.skip("a network that was given has its columns")
    model = model_of(name).fit(*OTHER).set_params(callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    fresh = model_of(name).set_params(callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X, Y)
    assert learnt(model) == learnt(fresh)


@every
def test_private_attributes_are_known(name):
    """A fit drops what it knows to be a fit's, and leaves alone what others set, as scikit-learn's tools do while they run."""
    model = model_of(name)
    model._set_by_others = 1
    model.fit(X, Y)
    private = {attribute for attribute in vars(model) if attribute.startswith("_") and not attribute.startswith("_sklearn")}
    assert private - {"_set_by_others"} <= set(declared(type(model)))
    assert model._set_by_others == 1


@every
def test_a_bad_second_fit_leaves_the_first(name):
    """Data that are refused change nothing."""
    model = model_of(name).fit(X, Y)
    before = learnt(model)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(OTHER[0], np.nan, 0.0), OTHER[1])
    assert learnt(model) == before


@pytest.mark.parametrize("name", ["rbm", "dbn", "generative", "classifier", "autoencoder"])
def test_passes_are_whole(name, monkeypatch):
    """A `partial_fit` that is interrupted in one of its layers is as if it had not been."""
    model = model_of(name).fit(X, Y)
    before = learnt(model)
    with no_room(monkeypatch, CPU, np.inf) as count:
        copy.deepcopy(model).partial_fit(X, Y)
    with no_room(monkeypatch, CPU, count[0] - 1, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, Y)
    assert learnt(model) == before


def test_a_fit_in_the_middle_of_a_fit():
    """A second run on a complete fit, interrupted, is completed as it began; another number of epochs is a run of its own."""
    model = model_of("classifier").set_params(warm_start=True).fit(X, Y)
    whole, part = learnt(copy.deepcopy(model).fit(X, Y)), model.set_params(callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        part.fit(X, Y)
    assert part.n_iter_ == 4
    longer = copy.deepcopy(part).set_params(callbacks=None, max_iter=5).fit(X, Y)
    assert longer.n_iter_ == 9
    assert completed(part) == whole


def test_the_best_epoch_is_kept(composed):
    """Early stopping leaves the best weights and their optimizer after Ctrl-C and after a divergence too, as at a clean end."""
    rough = {"pretrain": False, "early_stopping": True, "max_iter": 6, "learning_rate_init": 1.0, **LAYERS}
    clean = DBNClassifier((5,), **rough).fit(X, Y)
    best = int(np.argmax(clean.history_["validation_score"])) + 1
    assert best < clean.n_iter_ == 6 and clean._optimizer.steps == best * 5
    model = DBNClassifier((5,), callbacks=[Interrupt(6)], **rough)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.n_iter_ == best == len(model.history_["validation_score"]) == len(model.history_["loss"])
    assert contents(model.coefs_) == contents(clean.coefs_) and contents(model._optimizer) == contents(clean._optimizer)
    rates = [0.1, 0.0, 1e30]
    model = DBNRegressor((5,), rbm=RBM(hidden="gaussian"), solver="sgd", **rough | {"learning_rate_init": rates})
    with pytest.raises(DivergenceError):
        model.fit(X, Y)
    assert model.n_iter_ == 1 and model._optimizer.steps == model._step == 5


def test_divergence_keeps_the_last_good_epoch(composed):
    """Weights, optimizer and counters are those of one moment; with a smaller rate the fit is completed."""
    rates = [1e-3, 1e30]
    model = model_of("regressor").set_params(rbm=RBM(hidden="gaussian"), pretrain=False, learning_rate_init=rates, solver="sgd")
    with pytest.raises(DivergenceError):
        model.fit(X, Y)
    assert model.n_iter_ == 1 and model._optimizer.steps == model._step == 5
    model.set_params(learning_rate_init=1e-3)
    completed(model)
    assert model.n_iter_ == 3


@pytest.mark.parametrize("name", ["dbn", "generative"])
def test_up_down_is_completed(name, tmp_path):
    """As a call of its own; with the default of `n_gibbs` the thirds are those of the call that was interrupted."""
    model = model_of(name).fit(X, Y)
    given = (X, Y, 4) if name == "generative" else (X, 4)
    whole = learnt(copy.deepcopy(model).up_down(*given))
    part = model.set_params(callbacks=[Interrupt(2)], warm_start=True)
    with pytest.raises(KeyboardInterrupt):
        part.up_down(*given)
    part.set_params(callbacks=None).save(tmp_path / "m")
    assert learnt(load(tmp_path / "m").up_down(*given)) == learnt(part.up_down(*given)) == whole


def test_drop_in(monkeypatch):
    """BernoulliRBM keeps its last whole epoch, from which `partial_fit` goes on to the bits of one fit."""
    whole = BernoulliRBM(4, n_iter=3, random_state=0)
    with no_room(monkeypatch, CPU, np.inf) as count:
        whole.fit(X)
    model = BernoulliRBM(4, n_iter=3, random_state=0)
    with no_room(monkeypatch, CPU, count[0] - 1, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert 0 < model.n_iter_ < 3
    while model.n_iter_ < 3:
        model.partial_fit(X)
    assert model.components_.tobytes() == whole.components_.tobytes()
