"""Training that goes on: k epochs, saved and loaded, then the rest, are the bits of all of them at once, for every estimator."""

import numpy as np
import pytest
from sklearn.base import clone
from test_interrupt import LAYERS, Interrupt, X, Y, falling, layer, learnt

from fastdbn import DBN, RBM, BernoulliRBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, GenerativeDBNClassifier, load

NETWORK = {"rbm": layer(1), "learning_rate_init": falling, **LAYERS}
STEPS = {"up_down_learning_rate": 0.01, "n_gibbs": [1, 2, 3, 4]}


def two(*epochs):
    """What describes two layers of so many epochs. All is measured in each, because the last one of a fit measures all."""
    return [layer(n, learning_rate=falling, monitor_interval=1) for n in epochs]


HALVES = {  # a model, and which parameter has which value for the whole, for the first part and for the rest
    "rbm": (RBM(5, monitor_interval=1, learning_rate=falling, **LAYERS), "n_iter", 4, 1, 3),
    "chains": (RBM(5, monitor_interval=1, persistent=True, learning_rate=falling, **LAYERS), "n_iter", 4, 1, 3),
    "dbn": (DBN((5, 4), random_state=0), "rbm", two(2, 3), two(2, 1), two(0, 2)),
    "outliers": (
        DBNOutlierDetector((5,), rbm=layer(3, monitor_interval=1, learning_rate=falling), random_state=0),
        "rbm__n_iter",
        3,
        2,
        1,
    ),
    "generative": (GenerativeDBNClassifier((5, 4), rbm=layer(1), **STEPS, random_state=0), "up_down_iter", 4, 1, 3),
    "adam": (DBNClassifier((5, 4), dropout=0.3, **NETWORK), "max_iter", 4, 1, 3),
    "sgd": (
        DBNClassifier((5,), solver="sgd", momentum=0.9, **NETWORK | {"rbm": layer(1, momentum=0.9)}),
        "max_iter",
        3,
        2,
        1,
    ),
    "autoencoder": (DBNAutoencoder((5, 4), **NETWORK), "max_iter", 3, 1, 2),
}


@pytest.mark.parametrize("name", HALVES)
def test_two_parts_are_one_fit(name, tmp_path):
    """Whatever training keeps from epoch to epoch, moments and velocities and chains, is in the estimator and in its file."""
    model, parameter, *values = HALVES[name]
    whole, part = (clone(model).set_params(**{parameter: n}).fit(X, Y) for n in values[:2])
    part.save(tmp_path / "m")
    for rest in (part, load(tmp_path / "m")):
        assert learnt(rest.set_params(warm_start=True, **{parameter: values[2]}).fit(X, Y)) == learnt(whole)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_passes_are_epochs(solver, tmp_path):
    """Calls of `partial_fit`, with a file between two of them, are the epochs of one fit."""
    model = DBNClassifier((5,), pretrain=False, solver=solver, learning_rate_init=0.01, max_iter=3, **LAYERS)
    passes = clone(model).partial_fit(X, Y, [0, 1]).partial_fit(X, Y)
    passes.save(tmp_path / "m")
    assert learnt(load(tmp_path / "m").partial_fit(X, Y)) == learnt(model.fit(X, Y))


def test_another_solver_begins_anew():
    """Moments are no velocity: after a change of solver the first step has no past, and the correction of Adam's bias none."""
    model = DBNClassifier((5,), pretrain=False, learning_rate_init=0.01, max_iter=1, **LAYERS).fit(X, Y)
    model.set_params(warm_start=True, solver="sgd").fit(X, Y)
    assert (model._optimizer.solver, model._optimizer.steps, model._step) == ("sgd", 5, 10)
    before = model.coefs_[0]
    model.set_params(solver="adam", max_iter=1, batch_size=len(X), dropout=0.0, alpha=0.0).fit(X, Y)
    assert np.abs(model.coefs_[0] - before).max() <= 0.01 * (1 + 1e-4), "Adam's first step is the learning rate at most"


def test_thirds_belong_to_the_run():
    """Without `n_gibbs` every call of up-down takes 3, 6 and 10 steps in its thirds, not in those of the first call alone."""
    models = [DBN((5, 4), rbm=layer(1), random_state=0).fit(X) for _ in range(2)]
    steps = [3, 6, 10, 3, 6, 10]
    for _ in range(2):
        models[0].up_down(X, 3)
        models[1].up_down(X, 3, n_gibbs=steps)
    assert learnt(models[0]) == learnt(models[1])


@pytest.mark.parametrize("rate", [falling, lambda epoch: [0.1, 0.05, 0.02][epoch]])
def test_a_file_holds_the_schedules_of_the_rest(rate, tmp_path):
    """A callable is saved as the values of all epochs that are planned, as far as it goes, not of those alone that were run."""
    model = RBM(5, n_iter=3, learning_rate=rate, **LAYERS)
    whole = learnt(clone(model).fit(X))
    model.set_params(callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    model.save(tmp_path / "m")
    assert learnt(load(tmp_path / "m").set_params(warm_start=True).fit(X)) == whole
    model = RBM(5, n_iter=3, learning_rate=lambda epoch: 0.1, **LAYERS).fit(X)
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").learning_rate == [0.1]


def test_a_checkpoint_is_completed(tmp_path):
    """A file that a callback wrote in the middle of a fit, as a precaution, is completed like the fit itself."""

    def save(estimator, layer, epoch, **_):
        if (layer, epoch) == ("fine-tuning", 2):
            estimator.save(tmp_path / "m")

    model = DBNClassifier((5,), rbm=layer(1), max_iter=4, callbacks=[save], **LAYERS).fit(X, Y)
    rest = load(tmp_path / "m").set_params(warm_start=True)
    assert rest.n_iter_ == 2
    assert learnt(rest.fit(X, Y)) == learnt(model)


def test_drop_in(tmp_path):
    """BernoulliRBM goes on by `partial_fit`."""
    model = BernoulliRBM(4, n_iter=2, random_state=0).fit(X)
    model.save(tmp_path / "m")
    whole = BernoulliRBM(4, n_iter=3, random_state=0).fit(X)
    models = load(tmp_path / "m").partial_fit(X), model.partial_fit(X), whole
    for each in models:
        each._rbm.history_ = {}  # the end of a fit measures more than a pass
    assert learnt(models[0]) == learnt(models[1]) == learnt(models[2])
